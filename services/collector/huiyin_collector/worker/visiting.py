"""Visiting: takes the sources that are due, a few of each host at a time, and writes down what they show."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import timedelta
from typing import Any, Final

import structlog
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.errors import DomainError
from huiyin_chassis.store import Tx
from sqlalchemy import Row

from huiyin_collector.fetching import Fetcher
from huiyin_collector.looking import Look, Looker
from huiyin_collector.model.faults import Fault
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
from huiyin_collector.pacing import PATIENCE, Host, Hosts, Pace, VisitTurns
from huiyin_collector.store import CollectorStore, articles, visits
from huiyin_collector.store.messages import PAGE_LIST
from huiyin_collector.store.visits import Visit

log = structlog.get_logger(__name__)

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_LOOK_AGAIN: Final = 1.0
VISIT_SECONDS: Final = 60.0
"""Within which a visit begins its requests; what is left then comes with the next."""
_SOON: Final = 1.0
"""Seconds until a visit goes on that was not at its end, where its host asks for no more."""
_RECENT: Final = timedelta(days=7)
_CREATED: Final = post_pb2.PostOutcome.KIND_CREATED
_NO_ALARM: Final = source_pb2.SourceHealth.ALARM_UNSPECIFIED
_SILENT: Final = source_pb2.SourceHealth.ALARM_SILENT
_FAILING: Final = source_pb2.SourceHealth.ALARM_FAILING


class Visitor:
    """Visits what is due. `request_seconds`: the longest that one request may take, with all that it leads to."""

    def __init__(
        self,
        store: CollectorStore,
        fetcher: Fetcher,
        looker: Looker,
        hosts: Hosts,
        bounds: Bounds,
        pace: Pace,
        request_seconds: float,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._looker = looker
        self._hosts = hosts
        self._bounds = bounds
        self._pace = pace
        self._lease_us = int((VISIT_SECONDS + request_seconds + PATIENCE) * _SECOND)
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
            host, wait = self._hosts.reserve(visit.uri)
            if wait > PATIENCE or host is None:
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

    async def _visit(self, visit: Visit, host: Host, wait: float) -> None:
        try:
            await asyncio.sleep(wait)
            await self.visit(visit)
        finally:
            host.under_way -= 1

    async def visit(self, visit: Visit) -> None:
        """One visit from the first request to the commit."""
        turns = VisitTurns(self._hosts, visit.uri, VISIT_SECONDS)
        try:
            pause = await self._hosts.learn(visit.uri)
            look = await self._looker.look(visit, turns)
            await self._store.write(lambda tx: self._succeed(tx, visit, look, pause))
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

    def _succeed(self, tx: Tx, visit: Visit, look: Look, host_pause: float) -> None:
        row = visits.holds(tx, visit)
        if row is None:
            return
        outcomes = self._store.receive_items(tx, visit.source, look.items) if look.items else []
        created = sum(outcome.kind == _CREATED for outcome in outcomes)
        withdrawn = [*look.withdrawn, *(each.article.key for each in look.readings if each.withdrawn)]
        if withdrawn:
            self._store.withdraw(tx, visit.source, withdrawn)
        if look.moved_to:
            visits.moved(tx, self._store, visit, look.moved_to)
        values: dict[str, object] = {"items_total": row.items_total + created, "resume": look.resume}
        if look.first is not None:
            values |= {"etag": look.first.etag, "last_modified": look.first.last_modified}
        if look.first is not None or look.items:
            values["items_passed_over"] = look.passed_over
        waiting = 0
        if visit.kind == PAGE_LIST:
            articles.see(tx, visit.source, look.links)
            articles.record(tx, visit.source, look.readings)
            waiting, broken = articles.counts(tx, visit.source)
            values |= {"articles_waiting": waiting, "articles_broken": broken}
        rhythm, longest_pause = self._rhythm(tx, visit, row, look, created)
        days = (tx.now_us - row.last_item_time) / _DAY if row.last_item_time else 0.0
        if created:
            values["last_item_time"] = tx.now_us
            longest_pause = next_longest_pause(longest_pause, days)
        values |= {"items_a_day": rhythm, "longest_pause": longest_pause}
        if look.fault is not None:
            self._finish_failed(tx, row, values, look.fault)
            return
        if look.resume or waiting:
            pause = max(host_pause, _SOON)
        else:
            pause = pause_after_success(rhythm, self._bounds, look.ttl_seconds, random.random())  # noqa: S311 - jitter
        values |= {
            "next_time": tx.now_us + int(pause * _SECOND),
            "last_success_time": tx.now_us,
            "error_streak": 0,
            "error_reason": "",
            "error_message": "",
        }
        silent = not created and is_silent(rhythm, longest_pause, days)
        visits.finish(tx, self._store, row, values, _SILENT if silent else _NO_ALARM)

    def _rhythm(self, tx: Tx, visit: Visit, row: Row[Any], look: Look, created: int) -> tuple[float, float]:
        """Items a day, and days of the longest pause before this visit."""
        if not visit.last_success_us:
            return first_rhythm(look.published, tx.now), first_longest_pause(look.published, tx.now)
        # An old list that is read bit by bit is no sign of much to come.
        recent = sum(moment is None or moment > tx.now - _RECENT for moment in look.published)
        # Time passes from one visit that goes well to the next.
        days = (tx.now_us - visit.last_success_us) / _DAY if look.fault is None else 0.0
        return next_rhythm(visit.items_a_day, min(created, recent), days), row.longest_pause

    def _fail(self, tx: Tx, visit: Visit, fault: Fault) -> None:
        row = visits.holds(tx, visit)
        if row is None:
            return
        values: dict[str, object] = {"resume": ""}
        if fault.reason == "GONE":
            values["state"] = visits.DISABLED
        self._finish_failed(tx, row, values, fault)

    def _finish_failed(self, tx: Tx, row: Row[Any], values: dict[str, object], fault: Fault) -> None:
        streak = row.error_streak + 1
        pause = pause_after_failure(streak, self._bounds, fault.retry_after, random.random())  # noqa: S311
        values |= {
            "next_time": tx.now_us + int(pause * _SECOND),
            "error_streak": streak,
            "error_reason": fault.reason,
            "error_message": fault.message,
        }
        is_failing = streak >= FAILURES_TOLD or values.get("state") == visits.DISABLED
        visits.finish(tx, self._store, row, values, _FAILING if is_failing else row.alarm)
        log.info("visit.failed", source=row.source, reason=fault.reason, streak=streak)
