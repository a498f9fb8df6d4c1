"""The outbox: effects on other services or the world, written with the state that asks for them and sent afterwards.

A row is sent until its handler succeeds, always with the same request id, so the receiver can take it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
import structlog
from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, or_, select, text, update

from huiyin_chassis import bulk, clock
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.bulk import delete_many, fetch
from huiyin_chassis.errors import DomainError, from_rpc_error
from huiyin_chassis.tables import OUTBOX

if TYPE_CHECKING:
    from huiyin_chassis.store import Store, Tx

log = structlog.get_logger(__name__)

_INSERT: Final = (
    "INSERT INTO outbox (method, key, payload, request_id, attempts, next_time, state, error, create_time) VALUES ({})"
)

PENDING: Final = "PENDING"
FAILED: Final = "FAILED"

_REST_SECONDS: Final = 0.03

_OUTAGE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
"""Codes that speak of the receiver and not of a row, so that sending rows one by one would not help."""


class OutboxWriter:
    """The outbox rows of one work, in order; they reach the database when its transaction is about to commit."""

    __slots__ = ("_create_time", "rows")

    def __init__(self, create_time: int) -> None:
        self._create_time = create_time
        self.rows: list[tuple[object, ...]] = []

    def add(self, method: str, payload: bytes, request_id: str, *, key: str = "") -> None:
        """Asks for `method` to be handled with `payload`. Rows of a method and key keep their order."""
        # Refused here, where only this work fails; at the commit it would take its whole group with it.
        if not method or not request_id or "\x00" in f"{method}{request_id}{key}" or not isinstance(payload, bytes):
            raise ValueError(f"an outbox row needs a method, a payload and a request id: {method!r} {request_id!r}")
        # next_time 0 is always due: a new row must not overtake another because of a clock that went back.
        self.rows.append((method, key, payload, request_id, 0, 0, PENDING, "", self._create_time))

    @staticmethod
    def flush(connection: Connection, rows: list[tuple[object, ...]]) -> None:
        """Writes rows in their order."""
        marks = ", ".join(["?" if connection.dialect.paramstyle == "qmark" else "%s"] * 9)
        bulk.run(connection, _INSERT.format(marks), rows)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One thing to send. `request_id` is the same in every attempt."""

    id: int
    method: str
    key: str
    payload: bytes
    request_id: str
    attempts: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class FailedRow:
    """A row that was given up, with the error's sentence."""

    row: OutboxRow
    error: str


Handler = Callable[[Sequence[OutboxRow]], Awaitable[Mapping[int, DomainError] | None]]
"""Sends rows. It raises the error of them all, or returns those of single rows, by id, where the others were delivered.
"""

_COLUMNS: Final = (
    OUTBOX.c.id,
    OUTBOX.c.method,
    OUTBOX.c.key,
    OUTBOX.c.payload,
    OUTBOX.c.request_id,
    OUTBOX.c.attempts,
    OUTBOX.c.create_time,
)


_OF_METHOD: Final = and_(OUTBOX.c.method == bindparam("of_method"), OUTBOX.c.state == PENDING)
_EARLIER: Final = OUTBOX.alias("earlier")
_HELD_UP: Final = exists().where(
    _EARLIER.c.method == OUTBOX.c.method,
    _EARLIER.c.key == OUTBOX.c.key,
    _EARLIER.c.state == text("'PENDING'"),
    text("earlier.attempts > 0"),
    _EARLIER.c.next_time > bindparam("now"),
    _EARLIER.c.id < OUTBOX.c.id,
)
_DUE: Final = (
    select(*_COLUMNS)
    .where(_OF_METHOD, OUTBOX.c.next_time <= bindparam("now"), or_(OUTBOX.c.key == "", ~_HELD_UP))
    .order_by(OUTBOX.c.id)
    .limit(bindparam("most"))
)
_SOONEST: Final = select(func.min(OUTBOX.c.next_time)).where(_OF_METHOD)


class Dispatcher:
    """Sends the outbox of a store; one process a store at a time.

    `handlers`: for each method a coroutine function that sends up to `batch_size` rows and returns when it is done.
    `give_up_after`: a row older than that becomes FAILED; it must stay below the time for which receivers remember
    request ids (7 days).
    """

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        *,
        batch_size: int = 100,
        backoff: Backoff = Backoff(),  # noqa: B008 — frozen
        give_up_after: timedelta = timedelta(days=5),
    ) -> None:
        from huiyin_chassis.store import Pulse

        self._store = store
        self._handlers = dict(handlers)
        self._batch_size = batch_size
        self._backoff = backoff
        self._give_up_after = give_up_after
        self._progress = Pulse()

    async def run(self) -> None:
        """Sends what is due, woken by commits; returns only when cancelled."""
        async with asyncio.TaskGroup() as group:
            for method, handler in self._handlers.items():
                group.create_task(self._send_method(method, handler), name=f"outbox-{method}")

    async def until_idle(self) -> None:
        """Returns once no row waits to be sent."""
        waiting = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.state == PENDING)
        while True:
            step = self._progress.current()
            if not await self._store.read(lambda connection: connection.scalar(waiting)):
                return
            await self._progress.wait(step, 1.0)

    async def list_failed(self, limit: int = 100) -> list[FailedRow]:
        """The rows given up, oldest first."""
        query = select(*_COLUMNS, OUTBOX.c.error).where(OUTBOX.c.state == FAILED).order_by(OUTBOX.c.id).limit(limit)
        found = await self._store.read(lambda connection: connection.execute(query).all())
        return [FailedRow(_row(row[:-1]), row.error) for row in found]

    async def retry_failed(self, ids: Iterable[int] | None = None) -> int:
        """Sends rows again that were given up: those with these ids, or all. Returns how many."""
        change = update(OUTBOX).where(OUTBOX.c.state == FAILED)
        if ids is not None:
            change = change.where(OUTBOX.c.id.in_(list(ids)))

        def again(tx: Tx) -> int:
            # The time for giving up starts anew, or an old row would fail at its first hitch.
            values = {"state": PENDING, "attempts": 0, "next_time": 0, "error": "", "create_time": tx.now_us}
            return tx.execute(change.values(**values)).rowcount

        count = await self._store.write(again)
        self._store.posted.beat()
        return count

    async def _send_method(self, method: str, handler: Handler) -> None:
        failures = 0
        while True:
            posted = self._store.posted.current()
            try:
                rows, wait = await self._store.read(lambda connection: self._due(connection, method))
                if rows:
                    await self._deliver(handler, rows)
                    self._progress.beat()
                failures = 0
            except DomainError as error:  # the store itself: its rows stay as they are
                failures += 1
                rows, wait = [], self._backoff.delay(failures)
                log.warning("outbox.store_failed", method=method, reason=error.reason)
            if not rows:
                await self._store.posted.wait(posted, wait)
                # What others commit meanwhile goes with it: a look and a deletion cost as much for one row as for many.
                await asyncio.sleep(_REST_SECONDS)

    def _due(self, connection: Connection, method: str) -> tuple[list[OutboxRow], float]:
        """The next rows to send, and if there are none the seconds until one may be."""
        now = clock.micros(clock.now())
        rows = [_row(row) for row in fetch(connection, _DUE, of_method=method, now=now, most=self._batch_size)]
        if rows:
            return rows, 0.0
        ((soonest,),) = fetch(connection, _SOONEST, of_method=method)
        return [], 60.0 if soonest is None else max(0.0, (soonest - now) / 1e6)

    async def _deliver(self, handler: Handler, rows: Sequence[OutboxRow]) -> None:
        outcome = await _attempt(handler, rows)
        if not isinstance(outcome, DomainError):
            return await self._settle(rows, outcome)
        if len(rows) == 1 or outcome.code in _OUTAGE:
            return await self._postpone(rows, outcome)
        # One of them is at fault, or none knows which: alone, only that one waits or fails.
        held_up: set[str] = set()
        for row in rows:
            if row.key in held_up:
                continue
            outcome = await _attempt(handler, [row])
            if not isinstance(outcome, DomainError):
                await self._settle([row], outcome)
                continue
            await self._postpone([row], outcome)
            if row.key and outcome.transient:
                held_up.add(row.key)
        return None

    async def _settle(self, rows: Sequence[OutboxRow], failed: Mapping[int, DomainError]) -> None:
        """Deletes what was delivered, and lets each of the others wait."""
        delivered = [row.id for row in rows if row.id not in failed]
        if delivered:
            await self._store.write(lambda tx: delete_many(tx.connection, OUTBOX.c.id, delivered))
        for row in rows:
            if row.id in failed:
                await self._postpone([row], failed[row.id])

    async def _postpone(self, rows: Sequence[OutboxRow], error: DomainError) -> None:
        """Lets rows wait, or gives them up when the error is not one that passes."""
        attempts = max(row.attempts for row in rows) + 1

        def postpone(tx: Tx) -> None:
            sentence = f"{error.reason}: {error.message}"[:500]
            values = {"attempts": attempts, "error": sentence}
            too_old = OUTBOX.c.create_time < clock.micros(tx.now - self._give_up_after)
            give_up = too_old if error.transient else text("1 = 1")
            failed = update(OUTBOX).where(_among(rows), give_up).values(**values, state=FAILED)
            if tx.execute(failed).rowcount:
                log.warning("outbox.failed", method=rows[0].method, rows=len(rows), reason=error.reason)
            next_time = tx.now_us + int(self._backoff.delay(attempts) * 1e6)
            tx.execute(
                update(OUTBOX).where(_among(rows), OUTBOX.c.state == PENDING).values(**values, next_time=next_time)
            )

        log.info("outbox.refused", method=rows[0].method, rows=len(rows), attempts=attempts, reason=error.reason)
        await self._store.write(postpone)


async def _attempt(handler: Handler, rows: Sequence[OutboxRow]) -> DomainError | Mapping[int, DomainError]:
    """The error of all rows, or those of single ones."""
    try:
        return await handler(rows) or {}
    except DomainError as error:
        return error
    except grpc.RpcError as error:
        return from_rpc_error(error)
    except Exception as error:
        log.exception("outbox.handler_raised", method=rows[0].method)
        return DomainError("HANDLER_RAISED", f"the handler raised {type(error).__name__}; its log has more")


def _among(rows: Sequence[OutboxRow]) -> ColumnElement[bool]:
    return OUTBOX.c.id.in_([row.id for row in rows])


def _row(row: Sequence[Any]) -> OutboxRow:
    number, method, key, payload, request_id, attempts, create_time = row
    return OutboxRow(number, method, key, payload, request_id, attempts, clock.from_micros(create_time))
