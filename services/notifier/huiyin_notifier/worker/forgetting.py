"""Deletes notifications once their time is over: their titles come from what people wrote."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed

from huiyin_notifier.store import NotifierStore

log = structlog.get_logger(__name__)

_PERIOD = 3600.0


class Forgetting:
    """Looks each hour. `keep`: how long a notification that was dealt with stays."""

    def __init__(self, store: NotifierStore, feed: Feed, keep: timedelta) -> None:
        self._store = store
        self._feed = feed
        self._keep = keep

    async def run(self) -> None:
        """Returns only when cancelled."""
        while True:
            await asyncio.sleep(_PERIOD)
            await self.forget()

    async def forget(self) -> None:
        """Deletes what is older, its changes with it, and makes the bytes unreadable."""
        before = clock.now() - self._keep
        count = await self._store.write(lambda tx: self._store.forget(tx, before))
        expired = await self._feed.expire(before)
        await self._store.sweep()
        if count or expired:
            await self._store.destroy_bytes()
            log.info("notifications.forgotten", count=count)
