"""The change feed of a store: written in the transaction of the state that it describes, served from any cursor.

A cursor is opaque to clients: (epoch, sequence) of the last change seen. Sequences grow in the order of commits and are
never used again; the epoch changes when the store is restored or rebuilt.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from google.protobuf.message import Message
from huiyin.type.v1 import feed_pb2
from sqlalchemy import Connection, delete, func, select, update

from huiyin_chassis import bulk, clock
from huiyin_chassis.errors import OutOfRange
from huiyin_chassis.tables import CHANGES, FEED

if TYPE_CHECKING:
    from huiyin_chassis.store import Store, Tx

M = TypeVar("M", bound=Message)

BEGINNING: Final = "beginning"
"""The cursor before the very first change. Refused with CURSOR_EXPIRED once that is not kept any more."""

Join = Callable[[Connection, Sequence[feed_pb2.Change]], None]

_URL: Final = "type.googleapis.com/"
_MAX_BATCH_BYTES: Final = 3_000_000
"""Below gRPC's default limit of 4 MiB a message."""

_INSERT: Final = "INSERT INTO changes (kind, name, revision, commit_time, drill, resource_type, resource) VALUES ({})"
_SELECT: Final = select(
    CHANGES.c.sequence,
    CHANGES.c.kind,
    CHANGES.c.name,
    CHANGES.c.revision,
    CHANGES.c.commit_time,
    CHANGES.c.drill,
    CHANGES.c.resource_type,
    CHANGES.c.resource,
).order_by(CHANGES.c.sequence)


class ChangeWriter:
    """The changes of one work, in order; they reach the database when its transaction is about to commit."""

    __slots__ = ("_commit_time", "rows")

    def __init__(self, commit_time: int) -> None:
        self._commit_time = commit_time
        self.rows: list[tuple[object, ...]] = []

    def add(self, kind: str, name: str, revision: int, message: Message, *, drill: bool = False) -> None:
        """Notes that `kind` happened to resource `name`, which is `message` now, at `revision`."""
        self.add_bytes(kind, name, revision, message.DESCRIPTOR.full_name, message.SerializeToString(), drill=drill)

    def add_bytes(
        self, kind: str, name: str, revision: int, type_name: str, body: bytes, *, drill: bool = False
    ) -> None:
        """The same for a resource that is serialized already; `type_name` like huiyin.collector.v1.Post."""
        # Refused here, where only this work fails; at the commit it would take its whole group with it.
        if not kind or not name or "\x00" in name or revision < 0 or not type_name or not isinstance(body, bytes):
            raise ValueError(f"a change needs kind, name, revision and resource: {kind!r} {name!r} {revision!r}")
        self.rows.append((kind, name, revision, self._commit_time, drill, type_name, body))

    @staticmethod
    def flush(connection: Connection, rows: list[tuple[object, ...]]) -> None:
        """Writes rows in their order; on PostgreSQL under the feed's lock."""
        marks = ", ".join(["?" if connection.dialect.paramstyle == "qmark" else "%s"] * 7)
        bulk.run(connection, _INSERT.format(marks), rows)


class _State(NamedTuple):
    epoch: str
    expired_through: int
    head: int


class Feed:
    """Serves the changes of a store. `batch_size`: changes a batch at most; `heartbeat`: seconds of silence at most."""

    def __init__(self, store: Store, *, batch_size: int = 500, heartbeat: float = 15.0) -> None:
        self._store = store
        self._batch_size = batch_size
        self._heartbeat = heartbeat

    async def watch(
        self,
        cursor: str = "",
        *,
        kinds: Collection[str] = (),
        tail: bool = False,
        until: datetime | None = None,
        join: Join | None = None,
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """Yields every change after `cursor` in batches, for ever; ends at `until` or when the store stops watches.

        An empty cursor starts at the oldest change that is kept, or with `tail` at the head. `kinds` leaves out other
        changes while the cursor still moves on. `join` may complete the resources in place; it runs in the read
        transaction of its batch. The first batch comes at once, if need be empty. Raises OutOfRange with reason
        CURSOR_UNKNOWN or CURSOR_EXPIRED: list again.
        """
        store = self._store
        wanted = sorted(kinds)
        epoch, position = await store.read(lambda connection: _start(connection, cursor, tail))
        silent_until, behind = clock.now(), False
        while not store.draining and (until is None or clock.now() < until):
            commit = store.changed.current()
            look = partial(self._next, epoch=epoch, after=position, kinds=wanted, join=join)
            batch, position = await store.read(look)
            now = clock.now()
            # Whoever was given a full batch is told at once that it was the last.
            if batch.changes or now >= silent_until or (behind and batch.caught_up):
                silent_until = clock.from_micros(clock.micros(now) + int(self._heartbeat * 1e6))
                behind = not batch.caught_up
                yield batch
            if batch.caught_up:
                rest = min(silent_until, until or silent_until) - clock.now()
                await store.changed.wait(commit, rest.total_seconds())

    def head(self, connection: Connection) -> str:
        """The cursor of all that this transaction sees; read it with a list to watch on from there."""
        state = _state(connection)
        return cursor_of(state.epoch, state.head)

    async def expire(self, before: datetime) -> int:
        """Drops the changes made before that time; cursors that point among them expire. Returns how many."""
        limit = clock.micros(before)

        def drop(tx: Tx) -> int:
            last = tx.execute(select(func.max(CHANGES.c.sequence)).where(CHANGES.c.commit_time < limit)).scalar()
            if last is None:
                return 0
            # By sequence, so that what is kept has no holes where a clock went back.
            tx.execute(update(FEED).values(expired_through=last))
            return tx.execute(delete(CHANGES).where(CHANGES.c.sequence <= last)).rowcount

        return await self._store.write(drop)

    def _next(
        self, connection: Connection, *, epoch: str, after: int, kinds: list[str], join: Join | None
    ) -> tuple[feed_pb2.ChangeBatch, int]:
        state = _state(connection)
        _check(state, epoch, after)
        query = _SELECT.where(CHANGES.c.sequence > after, CHANGES.c.sequence <= state.head).limit(self._batch_size)
        if kinds:
            query = query.where(CHANGES.c.kind.in_(kinds))
        # Filled in place: building each change and then the batch would copy every resource twice.
        batch = feed_pb2.ChangeBatch(epoch=epoch)
        add = batch.changes.add
        for sequence, kind, name, revision, time, drill, type_name, body in connection.execute(query):
            change = add(sequence=sequence, kind=kind, name=name, revision=revision, drill=drill)
            change.commit_time.seconds = time // 1_000_000
            change.commit_time.nanos = time % 1_000_000 * 1000
            change.resource.type_url = _URL + type_name
            change.resource.value = body
        caught_up = len(batch.changes) < self._batch_size
        if join is not None and batch.changes:
            join(connection, batch.changes)
        while batch.ByteSize() > _MAX_BATCH_BYTES and len(batch.changes) > 1:
            del batch.changes[len(batch.changes) // 2 :]
            caught_up = False
        position = max(after, state.head) if caught_up else batch.changes[-1].sequence
        batch.caught_up = caught_up
        batch.cursor = cursor_of(epoch, position)
        return batch, position


def unpack(change: feed_pb2.Change, message_type: type[M]) -> M:
    """The resource of a change as a message; the kind of the change says which type it has."""
    return message_type.FromString(change.resource.value)


def sequence_of(cursor: str) -> int:
    """The place in the feed that a cursor means, to compare cursors of one epoch. Raises OutOfRange."""
    return _parse(cursor)[1]


def _state(connection: Connection) -> _State:
    head = select(func.max(CHANGES.c.sequence)).scalar_subquery()
    row = connection.execute(select(FEED.c.epoch, FEED.c.expired_through, head)).one()
    return _State(row[0], row[1], max(row[1], row[2] or 0))


def _start(connection: Connection, cursor: str, tail: bool) -> tuple[str, int]:
    """The epoch and the sequence that a cursor means."""
    state = _state(connection)
    if not cursor:
        return state.epoch, state.head if tail else state.expired_through
    if cursor == BEGINNING:
        _check(state, state.epoch, 0)
        return state.epoch, 0
    epoch, sequence = _parse(cursor)
    _check(state, epoch, sequence)
    return epoch, sequence


def _check(state: _State, epoch: str, sequence: int) -> None:
    if epoch != state.epoch or sequence > state.head:
        raise _unknown()
    if sequence < state.expired_through:
        raise OutOfRange("CURSOR_EXPIRED", "changes after this cursor are not kept any more; list again, then watch")


def _unknown() -> OutOfRange:
    return OutOfRange("CURSOR_UNKNOWN", "this cursor is not of this feed; list again, then watch from the list")


def cursor_of(epoch: str, sequence: int) -> str:
    """The cursor of a place in a feed."""
    return base64.urlsafe_b64encode(f"{epoch}:{sequence}".encode()).decode().rstrip("=")


def _parse(cursor: str) -> tuple[str, int]:
    with contextlib.suppress(ValueError, binascii.Error):
        epoch, _, sequence = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().rpartition(":")
        if epoch and sequence.isdecimal():
            return epoch, int(sequence)
    raise _unknown()
