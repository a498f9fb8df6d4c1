"""What a source shows: fetched, read, masked, and not yet written. A file a kind of source."""

from __future__ import annotations

from typing import Final, Protocol

from huiyin_collector.fetching import Fetcher
from huiyin_collector.intake import Intake
from huiyin_collector.looking.apis import ApiReader
from huiyin_collector.looking.feeds import FeedReader
from huiyin_collector.looking.look import Look, Turns
from huiyin_collector.looking.pages import PageReader
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.store import CollectorStore
from huiyin_collector.store.messages import API, FEED, PAGE_LIST
from huiyin_collector.store.visits import Visit

__all__ = ["Look", "Looker", "Turns"]

MOST_ARTICLES: Final = 30
"""Articles that one visit reads; what is beyond waits for the next."""


class _Reader(Protocol):
    async def look(self, visit: Visit, turns: Turns, most_articles: int) -> Look: ...


class Looker:
    """Looks at sources of every kind that is visited. Everything that goes wrong is a Fault."""

    def __init__(self, fetcher: Fetcher, intake: Intake, store: CollectorStore, secrets: Secrets) -> None:
        self._readers: dict[int, _Reader] = {
            FEED: FeedReader(fetcher, intake),
            PAGE_LIST: PageReader(fetcher, intake, store),
            API: ApiReader(fetcher, intake, store, secrets),
        }

    async def look(self, visit: Visit, turns: Turns, most_articles: int = MOST_ARTICLES) -> Look:
        """Fetches and reads what a source shows. What was read before something went wrong comes with its fault."""
        return await self._readers[visit.kind].look(visit, turns, most_articles)
