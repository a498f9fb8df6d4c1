"""Looking at feeds."""

from __future__ import annotations

import asyncio
from typing import Final

from huiyin_chassis import clock

from huiyin_collector.fetching import Answer, Fetcher
from huiyin_collector.intake import Intake
from huiyin_collector.looking.look import Look, Turns
from huiyin_collector.model.feeds import read_feed
from huiyin_collector.model.times import HOME_ZONE, load_zone
from huiyin_collector.store.visits import Visit

_ZONE: Final = load_zone(HOME_ZONE)


class FeedReader:
    """Reads a feed, which is one document."""

    def __init__(self, fetcher: Fetcher, intake: Intake) -> None:
        self._fetcher = fetcher
        self._intake = intake

    async def look(self, visit: Visit, turns: Turns, most_articles: int) -> Look:
        """Fetches and reads a feed as one of its source. Raises Fault."""
        await turns.take(visit.uri)
        answer = await self._fetcher.fetch(visit.uri, etag=visit.etag, last_modified=visit.last_modified)
        if answer.not_modified:
            return Look(answer.url, moved_to=answer.moved_to)
        # Reading is the processor's work: in a thread, so that others go on meanwhile.
        return await asyncio.to_thread(self._read, visit.source, answer)

    def _read(self, source: str, answer: Answer) -> Look:
        collected = clock.now()
        feed = read_feed(answer.content, answer.charset, answer.url, source=source, zone=_ZONE, collected=collected)
        look = Look(
            answer.url,
            answer,
            feed.format,
            feed.title,
            withdrawn=feed.withdrawn,
            passed_over=feed.passed_over,
            ttl_seconds=feed.ttl_seconds,
            moved_to=answer.moved_to,
        )
        look.take_in(
            self._intake, source, [item.draft for item in feed.items], [item.keys for item in feed.items], collected
        )
        return look
