"""Keeping: destroys keys of the day and secrets that were replaced, purges old posts, forgets what else is old."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import structlog
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed
from huiyin_chassis.operations import Operations
from huiyin_chassis.store import Tx
from huiyin_chassis.webhooks import forget_secrets

from huiyin_collector.store import CollectorStore, articles, refusals
from huiyin_collector.store.tables import SECRETS
from huiyin_collector.voices import VoiceKeys

log = structlog.get_logger(__name__)

_KEYS_EVERY: Final = 600.0
_PURGE_EVERY: Final = 3600.0
_PURGE_BATCH: Final = 500


class Keeper:
    """Destroys in time what may not be kept. `retention_days`: how long a post that nobody holds is kept."""

    def __init__(
        self, store: CollectorStore, feed: Feed, operations: Operations, voices: VoiceKeys, retention_days: int
    ) -> None:
        self._store = store
        self._feed = feed
        self._operations = operations
        self._voices = voices
        self._retention = timedelta(days=retention_days)

    async def keep_keys(self) -> None:
        """Destroys the keys of days that are over, now and every ten minutes."""
        await _every(_KEYS_EVERY, self.destroy_keys)

    async def keep_posts(self) -> None:
        """Purges, now and every hour."""
        await _every(_PURGE_EVERY, self.purge)

    async def destroy_keys(self) -> None:
        """Destroys the keys of days that are over."""
        count = await asyncio.to_thread(self._voices.destroy_old, clock.now())
        if count:
            log.info("voice_keys.destroyed", count=count)

    async def purge(self) -> int:
        """Purges posts whose time is over, with what else is of that age: changes, requests, operations, reports.

        Returns how many posts.
        """
        before = clock.now() - self._retention
        purged = 0
        while count := await self._store.write(lambda tx: self._store.purge(tx, clock.micros(before), _PURGE_BATCH)):
            purged += count
        # A source that shows what is older than two terms would have it taken in anew.
        await self._store.write(lambda tx: self._store.forget_keys(tx, clock.micros(before - self._retention)))
        await self._store.write(lambda tx: articles.forget(tx, clock.micros(before - self._retention)))
        expired = await self._feed.expire(before)
        await self._store.sweep()
        while await self._store.write(lambda tx: self._forget_operations(tx, clock.micros(before))):
            pass
        secrets = await self._store.write(lambda tx: forget_secrets(tx, SECRETS, SECRETS.c.source))
        if purged or expired or secrets:
            await self._store.destroy_bytes()
            log.info("posts.purged", count=purged, changes=expired)
        return purged

    def _forget_operations(self, tx: Tx, ended_before: int) -> int:
        names = self._operations.forget_in(tx, ended_before, _PURGE_BATCH)
        refusals.forget(tx, names)
        return len(names)


async def _every(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await work()
        await asyncio.sleep(seconds)
