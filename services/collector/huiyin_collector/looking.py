"""What a feed shows: fetched, read, masked, and not yet written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from huiyin_chassis import clock

from huiyin_collector.fetching import Answer, Fetcher
from huiyin_collector.intake import Intake
from huiyin_collector.model.feeds import Feed, read_feed
from huiyin_collector.model.links import item_key
from huiyin_collector.model.times import HOME_ZONE, load_zone
from huiyin_collector.store import KnownItem

_ZONE: Final = load_zone(HOME_ZONE)


@dataclass(frozen=True, slots=True)
class Look:
    """What a visit found. `feed` is None, and `items` empty, where nothing was modified."""

    answer: Answer
    feed: Feed | None
    items: list[KnownItem]
    published: list[datetime | None]


class Looker:
    """Looks at feeds. Everything that goes wrong is a Fault."""

    def __init__(self, fetcher: Fetcher, intake: Intake) -> None:
        self._fetcher = fetcher
        self._intake = intake

    async def look(self, source: str, uri: str, *, etag: str = "", last_modified: str = "") -> Look:
        """Fetches and reads a feed as one of that source."""
        answer = await self._fetcher.fetch(uri, etag=etag, last_modified=last_modified)
        if answer.not_modified:
            return Look(answer, None, [], [])
        # Reading is the processor's work: in a thread, so that others go on meanwhile.
        return await asyncio.to_thread(self._read, source, answer)

    def _read(self, source: str, answer: Answer) -> Look:
        collected = clock.now()
        feed = read_feed(answer.content, answer.charset, answer.url, source=source, zone=_ZONE, collected=collected)
        drafts = [item.draft for item in feed.items]
        posts = self._intake.mask(source, drafts, collected)
        items = [
            # Without an id and a page it is known by what it says; as masked, since a hash tells whoever tries.
            KnownItem(post, item.keys or (item_key(source, post.external_id),), item.draft.publish_time is not None)
            for post, item in zip(posts, feed.items, strict=True)
        ]
        return Look(answer, feed, items, [draft.publish_time for draft in drafts])
