"""Regrading: brings events under the policy in force and the newest decision on them, beside the stream.

Events are graded as their posts arrive. What a new policy, a decision made in another process or an override that ran
out means for the others is carried through here, in small steps, each a transaction of its own: what is left to do
follows from the store, so that a step that was lost is made again.
"""

from __future__ import annotations

import asyncio

import structlog
from huiyin_chassis import clock
from huiyin_chassis.errors import Unavailable
from huiyin_chassis.policies import SYSTEM, Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection

from huiyin_analyzer import store
from huiyin_analyzer.grades import compiled, regrade
from huiyin_analyzer.store import AnalyzerStore, assessments

log = structlog.get_logger(__name__)

_STEP = 100
_EVERY_SECONDS = 2.0
_PAUSE_SECONDS = 0.05
"""Between two steps, for what else waits to be written."""


class Regrading:
    """Regrades what stands behind."""

    def __init__(self, store: AnalyzerStore, policies: Policies) -> None:
        self._store = store
        self._policies = policies

    async def run(self) -> None:
        """Looks every two seconds, for ever."""
        while True:
            try:
                await self.catch_up()
            except Unavailable as error:
                log.warning("regrading.waits", reason=error.reason)
            await asyncio.sleep(_EVERY_SECONDS)

    async def catch_up(self) -> int:
        """Ends overrides that ran out and regrades every event that stands behind; returns how many."""
        if await self._store.read(lambda connection: assessments.expired(connection, clock.micros(clock.now()))):
            await self._store.write(self._end_expired)
        total = 0
        while await self._store.read(self._is_behind):
            total += await self._store.write(self._step)
            await asyncio.sleep(_PAUSE_SECONDS)
        if total:
            log.info("regrading.caught_up", events=total)
        return total

    def _is_behind(self, connection: Connection) -> bool:
        return bool(assessments.behind(connection, store.rule_book(connection).policy, 1))

    @staticmethod
    def _end_expired(tx: Tx) -> None:
        for event_id in assessments.expired(tx.connection, tx.now_us):
            assessments.decide(tx, event_id, grade=0, reason="", author=SYSTEM)

    def _step(self, tx: Tx) -> int:
        policy = self._policies.active(tx.connection, "grading")
        found = assessments.behind(tx.connection, policy.version, _STEP)
        regrade(tx, found, compiled(policy.body), policy.version)
        return len(found)
