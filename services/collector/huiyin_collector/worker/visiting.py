"""Visiting: takes the feeds that are due, a few of each host at a time, and writes down what they show."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import structlog
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.errors import DomainError
from huiyin_chassis.store import Tx

from huiyin_collector.fetching import Fetcher
from huiyin_collector.looking import Look, Looker
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import host_of
from huiyin_collector.model.schedule import (
    FAILURES_TOLD,
    Bounds,
    first_longest_pause,
    first_rhythm,
    is_silent,
    next_longest_pause,
    next_rhythm,
    pause_after_failure,
    pause_after_success,
)
from huiyin_collector.store import CollectorStore, visits
from huiyin_collector.store.visits import Visit

log = structlog.get_logger(__name__)

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_LOOK_AGAIN: Final = 1.0
_PATIENCE: Final = 5.0
"""Seconds that a visit waits for its host within its lease; beyond, it is put back."""
_LONGEST_DELAY: Final = 600.0
_HOSTS_REMEMBERED: Final = 20_000
_CREATED: Final = post_pb2.PostOutcome.KIND_CREATED
_NO_ALARM: Final = source_pb2.SourceHealth.ALARM_UNSPECIFIED
_SILENT: Final = source_pb2.SourceHealth.ALARM_SILENT
_FAILING: Final = source_pb2.SourceHealth.ALARM_FAILING


@dataclass(frozen=True, slots=True)
class Pace:
    """Visits at a time, altogether and of one host, and seconds between two of one host."""

    at_once: int
    host_at_once: int
    host_pause: float


@dataclass(slots=True)
class _Host:
    free_at: float = 0.0
    pause: float = 0.0
    under_way: int = 0


class Visitor:
    """Visits what is due. `lease_seconds`: longer than a visit may take."""

    def __init__(
        self, store: CollectorStore, fetcher: Fetcher, looker: Looker, bounds: Bounds, pace: Pace, lease_seconds: float
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._looker = looker
        self._bounds = bounds
        self._pace = pace
        self._lease_us = int((lease_seconds + _PATIENCE) * _SECOND)
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Looks at once for what is due."""
        self._woken.set()

    async def run(self) -> None:
        """Visits for ever."""
        try:
            while True:
                self._woken.clear()
                try:
                    seconds = 0.0 if await self._begin() else await self._idle_seconds()
                except DomainError as error:
                    if not error.transient:
                        raise
                    log.warning("visits.postponed", reason=error.reason)
                    seconds = _LOOK_AGAIN
                await self._sleep(seconds)
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
            await self._fetcher.close()

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)

    async def _idle_seconds(self) -> float:
        """Until the next is due; no more than a second, since another process may make one due."""
        if len(self._running) >= self._pace.at_once:
            return _LOOK_AGAIN
        due = await self._store.read(visits.next_due)
        if due is None:
            return _LOOK_AGAIN
        return min(max((due - clock.micros(clock.now())) / _SECOND, 0.02), _LOOK_AGAIN)

    async def _begin(self) -> bool:
        """Begins visits that are due; whether there may be more at once."""
        free = self._pace.at_once - len(self._running)
        if free <= 0:
            return False
        due = await self._store.read(visits.next_due)
        if due is None or due > clock.micros(clock.now()):
            return False
        lease = ids.uuid7()
        claimed = await self._store.write(lambda tx: visits.claim(tx, lease, self._lease_us, free))
        later: list[tuple[Visit, int]] = []
        for visit in claimed:
            host, wait = self._reserve(visit)
            if wait > _PATIENCE or host is None:
                later.append((visit, clock.micros(clock.now()) + int(wait * _SECOND)))
                continue
            task = asyncio.create_task(self._visit(visit, host, wait))
            self._running.add(task)
            task.add_done_callback(self._ended)
        if later:
            await self._store.write(lambda tx: visits.put_back(tx, later))
        return len(claimed) == free and len(later) < len(claimed)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("visit.broke", error=type(task.exception()).__name__)
        self._woken.set()

    def _reserve(self, visit: Visit) -> tuple[_Host | None, float]:
        """The host of a visit with a place in its row, and the seconds until it is our turn; None where it is full."""
        name = host_of(visit.uri)
        host = self._hosts.setdefault(name, _Host(pause=self._pace.host_pause))
        self._hosts.move_to_end(name)
        if len(self._hosts) > _HOSTS_REMEMBERED:
            self._hosts.popitem(last=False)
        now = asyncio.get_running_loop().time()
        if host.under_way >= self._pace.host_at_once:
            return None, max(host.free_at - now, min(host.pause, 1.0), 0.05)
        wait = max(host.free_at - now, 0.0)
        if wait <= _PATIENCE:
            host.free_at = max(host.free_at, now) + host.pause
            host.under_way += 1
        return host, wait

    async def _visit(self, visit: Visit, host: _Host, wait: float) -> None:
        try:
            await asyncio.sleep(wait)
            await self.visit(visit, host)
        finally:
            host.under_way -= 1

    async def visit(self, visit: Visit, host: _Host | None = None) -> None:
        """One visit from the first request to the commit."""
        try:
            robots = await self._fetcher.robots(visit.uri)
            if host is not None:
                host.pause = max(self._pace.host_pause, min(robots.crawl_delay, _LONGEST_DELAY))
            look = await self._looker.look(visit.source, visit.uri, etag=visit.etag, last_modified=visit.last_modified)
            await self._store.write(lambda tx: self._succeed(tx, visit, look))
            return
        except Fault as found:
            fault = found
        except DomainError as error:
            if error.transient:
                # Nothing is written, and the source is not at fault: it is visited anew when the lease ends.
                log.warning("visit.postponed", source=visit.source, reason=error.reason)
                return
            fault = Fault("FAILED", error.message)
        except Exception as error:
            log.exception("visit.raised", source=visit.source)
            fault = Fault("FAILED", f"the visit raised {type(error).__name__}; the collector's log has more")
        await self._store.write(lambda tx: self._fail(tx, visit, fault))

    def _succeed(self, tx: Tx, visit: Visit, look: Look) -> None:
        row = visits.holds(tx, visit)
        if row is None:
            return
        outcomes = self._store.receive_items(tx, visit.source, look.items) if look.items else []
        created = sum(outcome.kind == _CREATED for outcome in outcomes)
        if look.feed is not None and look.feed.withdrawn:
            self._store.withdraw(tx, visit.source, look.feed.withdrawn)
        if look.answer.moved_to:
            visits.moved(tx, self._store, visit, look.answer.moved_to)
        if visit.last_success_us:
            rhythm = next_rhythm(visit.items_a_day, created, (tx.now_us - visit.last_success_us) / _DAY)
            longest_pause = row.longest_pause
        else:
            rhythm = first_rhythm(look.published, tx.now)
            longest_pause = first_longest_pause(look.published, tx.now)
        days = (tx.now_us - row.last_item_time) / _DAY if row.last_item_time else 0.0
        silent = not created and is_silent(rhythm, longest_pause, days)
        ttl = look.feed.ttl_seconds if look.feed is not None else 0.0
        pause = pause_after_success(rhythm, self._bounds, ttl, random.random())  # noqa: S311 - jitter, not a secret
        values: dict[str, object] = {
            "next_time": tx.now_us + int(pause * _SECOND),
            "last_success_time": tx.now_us,
            "error_streak": 0,
            "error_reason": "",
            "error_message": "",
            "items_a_day": rhythm,
            "items_total": row.items_total + created,
        }
        if created:
            values["last_item_time"] = tx.now_us
            longest_pause = next_longest_pause(longest_pause, days)
        values["longest_pause"] = longest_pause
        if look.feed is not None:
            values |= {
                "etag": look.answer.etag,
                "last_modified": look.answer.last_modified,
                "items_passed_over": look.feed.passed_over,
            }
        visits.finish(tx, self._store, row, values, _SILENT if silent else _NO_ALARM)

    def _fail(self, tx: Tx, visit: Visit, fault: Fault) -> None:
        row = visits.holds(tx, visit)
        if row is None:
            return
        streak = row.error_streak + 1
        pause = pause_after_failure(streak, self._bounds, fault.retry_after, random.random())  # noqa: S311
        values: dict[str, object] = {
            "next_time": tx.now_us + int(pause * _SECOND),
            "error_streak": streak,
            "error_reason": fault.reason,
            "error_message": fault.message,
        }
        if fault.reason == "GONE":
            values["state"] = visits.DISABLED
        is_failing = streak >= FAILURES_TOLD or fault.reason == "GONE"
        visits.finish(tx, self._store, row, values, _FAILING if is_failing else row.alarm)
        log.info("visit.failed", source=visit.source, reason=fault.reason, streak=streak)
