"""Keeping time: what is due fires, and a new policy or calendar is applied to the clocks that run."""

from __future__ import annotations

import asyncio
from functools import partial

import structlog
from huiyin_chassis import clock
from huiyin_chassis.errors import Unavailable

from huiyin_casework import supervision
from huiyin_casework.rules import Rules
from huiyin_casework.store import CaseworkStore

log = structlog.get_logger(__name__)

_LOOK_SECONDS = 1.0
_LEAST_SECONDS = 0.01
_STEP = 200
"""Clocks in one transaction: few enough that nobody who writes waits long behind them."""


class KeepingTime:
    """Fires and counts anew in small steps, first of all what the process slept through. Any number of processes may.

    What is left to do follows from the store, so that a step that was lost is made again.
    """

    def __init__(self, store: CaseworkStore, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    async def run(self) -> None:
        """Looks each second, and when the next step is due, for ever."""
        while True:
            wait = _LOOK_SECONDS
            try:
                await self.count_anew()
                await self.fire()
                upcoming = await self._store.read(supervision.next_due)
                if upcoming is not None:
                    wait = min(wait, max((upcoming - clock.micros(clock.now())) / 1e6, _LEAST_SECONDS))
            except Unavailable as error:
                log.warning("clocks.wait", reason=error.reason)
            await asyncio.sleep(wait)

    async def fire(self) -> int:
        """Takes every step that is due now, in the order in which they became due; how many."""
        total = 0
        while ids := await self._store.read(partial(supervision.due, at=clock.micros(clock.now()), most=_STEP)):
            total += await self._store.write(partial(supervision.fire, rules=self._rules, ids=ids))
        if total:
            log.info("clocks.fired", clocks=total)
        return total

    async def count_anew(self) -> int:
        """Counts every clock that an earlier edition counted; how many moved."""
        edition = await self._store.read(self._rules.edition_in)
        counted, moved = 0, 0
        while ids := await self._store.read(partial(supervision.outdated, edition=edition, most=_STEP)):
            moved += await self._store.write(partial(supervision.count_anew, rules=self._rules, ids=ids))
            counted += len(ids)
        if counted:
            log.info("clocks.counted_anew", clocks=counted, moved=moved)
        return moved
