"""Following another service's feed: effects and cursor in one transaction, so each change takes effect exactly once.

A change that cannot be applied is parked with every later change of its resource; the others go on.
"""

from __future__ import annotations

import asyncio
import uuid
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

import grpc
import structlog
from huiyin.type.v1 import feed_pb2
from sqlalchemy import Connection, Select, delete, func, select, update

from huiyin_chassis import clock
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.errors import (
    Aborted,
    DeadlineExceeded,
    DomainError,
    OutOfRange,
    ResourceExhausted,
    Unavailable,
    from_rpc_error,
)
from huiyin_chassis.feed import BEGINNING, sequence_of
from huiyin_chassis.store import Pulse, Store, Tx, insert_new, unavailable
from huiyin_chassis.tables import CURSORS, PARKED_CHANGES

T = TypeVar("T")

log = structlog.get_logger(__name__)

_WAITS: Final = (Unavailable, DeadlineExceeded, ResourceExhausted)
"""Errors of `apply` that pass by themselves, so that no change is to blame."""


class FeedPosition:
    """Where the changes being applied come from."""

    __slots__ = ("_namespace", "epoch")

    def __init__(self, epoch: str) -> None:
        self.epoch = epoch
        self._namespace = uuid.UUID(epoch)

    def request_id(self, sequence: int, step: str) -> str:
        """The request id of effect `step` of a change: the same whenever the change is applied again."""
        return str(uuid.uuid5(self._namespace, f"{sequence}/{step}"))


@dataclass(frozen=True, slots=True)
class ParkedChange:
    """A change set aside. `error` is empty for one that only waits behind an earlier one of its resource."""

    resource: str
    epoch: str
    change: feed_pb2.Change
    error: str
    attempts: int
    create_time: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a consumer is. `lag`: seconds since it had applied everything that the feed held; 0 while it keeps up."""

    name: str
    lag: float
    set_aside: int


Watch = Callable[[str], AsyncIterable[feed_pb2.ChangeBatch]]
Apply = Callable[[Tx, Sequence[feed_pb2.Change], FeedPosition], None]
Relist = Callable[[], Awaitable[str]]


async def first_cursor(call: Any) -> str:
    """Where a stream of changes begins that was just opened; ends it. Raises Unavailable."""
    try:
        async for batch in call:
            cursor: str = batch.cursor
            return cursor
    finally:
        call.cancel()
    raise Unavailable("FEED_INTERRUPTED", "a feed ended before it began; it is asked again")


_running: weakref.WeakSet[Consumer] = weakref.WeakSet()


async def standings() -> list[Standing]:
    """How far every consumer of this process is, by name."""
    return [await consumer.standing() for consumer in sorted(_running, key=lambda each: each.name)]


class Consumer:
    """Applies a feed to a store, from where it stopped, for ever.

    `name`: key of its cursor, such as "collector.posts". `watch(cursor)` opens the stream. `apply(tx, changes,
    position)` writes the effects, in the writer thread; it must give the same result wherever batches are cut.
    `relist()` lists everything, marks and sweeps, and returns the list's cursor. `resource_of`: which changes must not
    overtake each other; by default those of one name. `rolled_back`: told, never while `apply` runs, that what `apply`
    did since the last commit is undone.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        *,
        watch: Watch,
        apply: Apply,
        relist: Relist,
        resource_of: Callable[[feed_pb2.Change], str] = lambda change: change.name,
        rolled_back: Callable[[], None] = lambda: None,
        prefetch: int = 2,
        backoff: Backoff = Backoff(ceiling=5.0),  # noqa: B008 — frozen
    ) -> None:
        self._store = store
        self._name = name
        self._watch = watch
        self._apply = apply
        self._relist = relist
        self._resource_of = resource_of
        self._rolled_back = rolled_back
        self._prefetch = prefetch
        self._backoff = backoff
        self._progress = Pulse()
        self._failures = 0
        self.position = ""
        """The cursor stored last, empty before the first."""
        self.caught_up = asyncio.Event()
        """Set while everything that the feed had when it last sent is applied."""
        self._complete_until = clock.now()
        """Everything that the feed held by then is applied."""

    @property
    def name(self) -> str:
        """The key of its cursor."""
        return self._name

    async def standing(self) -> Standing:
        """How far it is."""
        lag = 0.0 if self.caught_up.is_set() else max((clock.now() - self._complete_until).total_seconds(), 0.0)
        counting = select(func.count()).where(PARKED_CHANGES.c.consumer == self._name)
        parked = await self._store.read(lambda connection: connection.scalar(counting))
        return Standing(self._name, lag, parked or 0)

    async def run(self) -> None:
        """Follows the feed, reconnecting with back-off; returns only when cancelled."""
        _running.add(self)
        while True:
            try:
                await self._follow()
                self._failures = 0
                pause = self._backoff.delay(1)
            except OutOfRange as error:
                pause = await self._list_again(error)
            except Exception as error:
                pause = self._pause(error)
            self.caught_up.clear()
            await asyncio.sleep(pause)

    async def until_applied(self, cursor: str) -> None:
        """Returns once everything up to a cursor of the present epoch is applied."""
        while not self.position or sequence_of(self.position) < sequence_of(cursor):
            await self._progress.wait(self._progress.current(), 60.0)

    async def list_parked(self, limit: int = 1000) -> list[ParkedChange]:
        """The changes set aside, in their order."""
        query = _parked(self._name).limit(limit)
        rows = await self._store.read(lambda connection: connection.execute(query).all())
        return [
            ParkedChange(
                row.resource,
                row.epoch,
                feed_pb2.Change.FromString(row.change),
                row.error,
                row.attempts,
                clock.from_micros(row.create_time),
            )
            for row in rows
        ]

    async def replay_parked(self) -> int:
        """Applies parked changes in order; a resource stops at its first failure. Returns how many were applied."""
        names = select(PARKED_CHANGES.c.resource).where(PARKED_CHANGES.c.consumer == self._name).distinct()
        resources = await self._store.read(lambda connection: connection.scalars(names.order_by("resource")).all())
        return sum([await self._write(partial(self._replay, resource=resource)) for resource in resources])

    # Following

    async def _follow(self) -> None:
        cursor = await self._store.read(self._stored_cursor)
        self.position = cursor or ""
        self._progress.beat()  # it may have been listed meanwhile
        batches: asyncio.Queue[feed_pb2.ChangeBatch | Exception | None] = asyncio.Queue(self._prefetch)
        receiving = asyncio.create_task(self._receive(cursor or BEGINNING, batches), name=f"{self._name}-receive")
        try:
            while isinstance(batch := await batches.get(), feed_pb2.ChangeBatch):
                cursor = await self._take(cursor, batch)
                self._failures = 0
            if batch is not None:
                raise batch
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _receive(self, cursor: str, batches: asyncio.Queue[feed_pb2.ChangeBatch | Exception | None]) -> None:
        """Reads ahead while the writer thread applies; the stream's end or error comes last."""
        end: Exception | None = None
        stream = self._watch(cursor)
        try:
            async for batch in stream:
                await batches.put(batch)
        except grpc.RpcError as error:
            end = from_rpc_error(error)
        except Exception as error:
            end = error
        finally:
            if isinstance(stream, AsyncGenerator):  # a call of grpc.aio ends itself when its reader is cancelled
                await stream.aclose()
        await batches.put(end)

    async def _take(self, cursor: str | None, batch: feed_pb2.ChangeBatch) -> str:
        if batch.changes or batch.cursor != cursor:
            await self._write(lambda tx: self._apply_batch(tx, cursor, batch))
            self.position = batch.cursor
            self._progress.beat()
        if batch.caught_up:
            self._complete_until = clock.now()
            self.caught_up.set()
        else:
            self._complete_until = clock.from_timestamp(batch.changes[-1].commit_time)
            self.caught_up.clear()
        return batch.cursor

    async def _write(self, work: Callable[[Tx], T]) -> T:
        try:
            return await self._store.write(work)
        except Exception:
            self._rolled_back()
            raise

    def _pause(self, error: Exception) -> float:
        self._failures += 1
        pause = self._backoff.delay(self._failures)
        if isinstance(error, DomainError) and error.transient:
            log.info("consumer.interrupted", consumer=self._name, reason=error.reason, pause=round(pause, 2))
        else:
            log.exception("consumer.failed", consumer=self._name, error=type(error).__name__, pause=round(pause, 2))
        return pause

    async def _list_again(self, error: OutOfRange) -> float:
        log.warning("consumer.relists", consumer=self._name, reason=error.reason)
        try:
            cursor = await self._relist()
            await self._write(lambda tx: self._start_from(tx, cursor))
        except Exception as failure:
            return self._pause(failure)
        return 0.0

    # In the writer thread

    def _stored_cursor(self, connection: Connection) -> str | None:
        return connection.scalar(select(CURSORS.c.cursor).where(CURSORS.c.consumer == self._name))

    def _apply_batch(self, tx: Tx, before: str | None, batch: feed_pb2.ChangeBatch) -> None:
        # First of all, so that a second process with this consumer waits here and then finds that it was overtaken.
        self._move_cursor(tx, before, batch.cursor)
        if not batch.changes:
            return
        position = FeedPosition(batch.epoch)
        held = self._held(tx)
        changes: Sequence[feed_pb2.Change] = batch.changes
        if held:
            changes = [change for change in changes if not self._park_behind(tx, change, held, position)]
        try:
            with tx.savepoint():
                self._apply(tx, changes, position)
        except Exception as error:
            self._raise_if_passing(error)
            self._rolled_back()
        else:
            return
        for change in changes:
            if not self._park_behind(tx, change, held, position):
                failure = self._try(tx, change, position)
                if failure:
                    held.add(self._resource_of(change))
                    self._park(tx, change, position, failure)
                    log.warning("consumer.parked", consumer=self._name, sequence=change.sequence, kind=change.kind)

    def _try(self, tx: Tx, change: feed_pb2.Change, position: FeedPosition) -> str:
        """Applies one change; the sentence of its error, empty when it went well."""
        try:
            with tx.savepoint():
                self._apply(tx, [change], position)
        except Exception as error:
            self._raise_if_passing(error)
            self._rolled_back()
            return f"{type(error).__name__}: {error}"[:500]
        return ""

    @staticmethod
    def _raise_if_passing(error: Exception) -> None:
        if isinstance(error, _WAITS) or unavailable(error):
            raise error

    def _replay(self, tx: Tx, resource: str) -> int:
        applied = 0
        for row in tx.execute(_parked(self._name).where(PARKED_CHANGES.c.resource == resource)).all():
            failure = self._try(tx, feed_pb2.Change.FromString(row.change), FeedPosition(row.epoch))
            this = PARKED_CHANGES.c.id == row.id
            if failure:
                tx.execute(update(PARKED_CHANGES).where(this).values(error=failure, attempts=row.attempts + 1))
                break
            tx.execute(delete(PARKED_CHANGES).where(this))
            applied += 1
        return applied

    def _held(self, tx: Tx) -> set[str]:
        held = select(PARKED_CHANGES.c.resource).where(PARKED_CHANGES.c.consumer == self._name).distinct()
        return {row.resource for row in tx.execute(held)}

    def _park_behind(self, tx: Tx, change: feed_pb2.Change, held: set[str], position: FeedPosition) -> bool:
        """Parks a change whose resource has a parked one; True when it did."""
        if not held or self._resource_of(change) not in held:
            return False
        self._park(tx, change, position, "")
        return True

    def _park(self, tx: Tx, change: feed_pb2.Change, position: FeedPosition, error: str) -> None:
        values = {
            "consumer": self._name,
            "resource": self._resource_of(change),
            "epoch": position.epoch,
            "sequence": change.sequence,
            "change": change.SerializeToString(),
            "error": error,
            "attempts": 1 if error else 0,
            "create_time": tx.now_us,
        }
        tx.execute(PARKED_CHANGES.insert(), values)

    def _move_cursor(self, tx: Tx, before: str | None, after: str) -> None:
        values = {"consumer": self._name, "cursor": after, "update_time": tx.now_us}
        if before is None:
            moved = tx.execute(insert_new(tx.connection, CURSORS), values)
        else:
            moved = tx.execute(update(CURSORS).filter_by(consumer=self._name, cursor=before).values(**values))
        if moved.rowcount != 1:
            raise Aborted("CONSUMER_OVERTAKEN", f"another process moved the cursor of {self._name}; reading it again")

    def _start_from(self, tx: Tx, cursor: str) -> None:
        tx.execute(delete(PARKED_CHANGES).where(PARKED_CHANGES.c.consumer == self._name))
        tx.execute(delete(CURSORS).where(CURSORS.c.consumer == self._name))
        self._move_cursor(tx, None, cursor)


def _parked(consumer: str) -> Select[Any]:
    return select(PARKED_CHANGES).where(PARKED_CHANGES.c.consumer == consumer).order_by(PARKED_CHANGES.c.sequence)
