"""Forgetting in time: the bytes of texts that were purged or edited, old changes and request ids."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed

from huiyin_analyzer.store import AnalyzerStore
from huiyin_analyzer.worker.following import Analysis
from huiyin_analyzer.worker.indexing import Indexing

log = structlog.get_logger(__name__)

_FIRST_SECONDS = 60.0
_EVERY_SECONDS = 600.0


class Forgetting:
    """Destroys what may not be kept any longer. `feed_days`: how long changes are kept for those who follow."""

    def __init__(
        self, store: AnalyzerStore, feed: Feed, analysis: Analysis, indexing: Indexing, feed_days: int
    ) -> None:
        self._store = store
        self._feed = feed
        self._analysis = analysis
        self._indexing = indexing
        self._feed_days = timedelta(days=feed_days)
        # A process may have died after it overwrote a text and before it emptied the files.
        self._unclean = True

    async def run(self) -> None:
        """Looks a minute after the start, when what waited is done, and then every ten, for ever."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            await self.forget()
            await asyncio.sleep(_EVERY_SECONDS)

    async def forget(self) -> None:
        """Destroys what is due now, in the files too."""
        changes = await self._feed.expire(clock.now() - self._feed_days)
        await self._store.sweep()
        indexed = await self._indexing.destroy()
        if self._unclean or changes or indexed or self._analysis.destroyed_texts:
            self._unclean, self._analysis.destroyed_texts = True, False
            await self._store.destroy_bytes()
            self._unclean = False
            log.info("analysis.forgot", changes=changes)
