"""Long-running work as google.longrunning.Operation, kept in the store, with progress.

An operation belongs to the process that runs it. What a process that died left running fails, at the next start, with
reason OPERATION_LOST, so that whoever waits for it knows to begin again. One that is cancelled is done from that moment
on; who runs it learns so from whatever it writes next of it, which raises OperationCancelled and is rolled back.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import grpc
from google.longrunning import operations_pb2
from google.protobuf.message import Message
from sqlalchemy import Connection, delete, select, update

from huiyin_chassis.backoff import Backoff
from huiyin_chassis.errors import Aborted, DomainError, NotFound, to_status
from huiyin_chassis.store import Store, Tx
from huiyin_chassis.tables import OPERATIONS

T = TypeVar("T")

_CANCELLED: Final = DomainError(
    "OPERATION_CANCELLED", "somebody cancelled this; what it had written stays", code=grpc.StatusCode.CANCELLED
)

_TRIES: Final = 10
_BACKOFF: Final = Backoff(ceiling=10.0)
_LOST: Final = Aborted("OPERATION_LOST", "the process that ran this ended before it was done; start it again")


class OperationCancelled(Exception):
    """Somebody cancelled the operation: whoever runs it stops, and writes nothing more of it."""


class Operations:
    """The operations of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._owner = str(uuid.uuid4())

    async def recover(self) -> int:
        """Fails what other processes left running; call it at start, in a service that runs as one process."""

        def fail(tx: Tx) -> int:
            query = select(OPERATIONS.c.name).where(OPERATIONS.c.done.is_(False), OPERATIONS.c.owner != self._owner)
            names = list(tx.execute(query).scalars())
            for name in names:
                self.fail_in(tx, name, _LOST)
            return len(names)

        return await self._store.write(fail)

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Writes within the course of an operation: while the store is only busy or away for a moment, again.

        So every work here must be one that may be repeated.
        """
        for attempt in itertools.count(1):
            try:
                return await self._store.write(work)
            except DomainError as error:
                if not error.transient or attempt == _TRIES:
                    raise
            await asyncio.sleep(_BACKOFF.delay(attempt))
        raise AssertionError("unreachable")

    async def create(self, name: str, metadata: Message) -> operations_pb2.Operation:
        """A running operation; `name` is its full resource name."""
        return await self._store.write(lambda tx: self.create_in(tx, name, metadata))

    async def progress(self, name: str, metadata: Message) -> None:
        """New metadata for a running one."""
        await self._store.write(lambda tx: self.progress_in(tx, name, metadata))

    async def finish(self, name: str, response: Message, metadata: Message | None = None) -> None:
        """It is done."""
        await self._store.write(lambda tx: self.finish_in(tx, name, response, metadata))

    async def fail(self, name: str, error: DomainError) -> None:
        """It ended with an error."""
        await self._store.write(lambda tx: self.fail_in(tx, name, error))

    async def get(self, name: str) -> operations_pb2.Operation:
        """An operation by its name. Raises NotFound."""
        return await self._store.read(lambda connection: _get(connection, name))

    async def cancel(self, name: str) -> operations_pb2.Operation:
        """Ends an operation that is not done; returns it. Raises NotFound."""

        def work(tx: Tx) -> operations_pb2.Operation:
            operation = _get(tx.connection, name, lock=True)
            if not operation.done:
                _end(tx, operation, _CANCELLED)
            return operation

        return await self._store.write(work)

    async def list(self, prefix: str = "", limit: int = 100) -> list[operations_pb2.Operation]:
        """The newest operations whose names begin with `prefix`."""
        query = select(OPERATIONS.c.operation).where(OPERATIONS.c.name.startswith(prefix, autoescape=True))
        query = query.order_by(OPERATIONS.c.create_time.desc(), OPERATIONS.c.name.desc()).limit(limit)
        rows = await self._store.read(lambda connection: connection.scalars(query).all())
        return [operations_pb2.Operation.FromString(row) for row in rows]

    def create_in(self, tx: Tx, name: str, metadata: Message) -> operations_pb2.Operation:
        """`create` within a work."""
        operation = operations_pb2.Operation(name=name)
        operation.metadata.Pack(metadata)
        values = {
            "name": name,
            "done": False,
            "operation": operation.SerializeToString(),
            "owner": self._owner,
            "create_time": tx.now_us,
            "update_time": tx.now_us,
        }
        tx.execute(OPERATIONS.insert(), values)
        return operation

    def require_running_in(self, tx: Tx, name: str) -> None:
        """Raises OperationCancelled where it was cancelled; until the work is committed nobody can cancel it."""
        _running(tx, name)

    def progress_in(self, tx: Tx, name: str, metadata: Message) -> None:
        """`progress` within a work. Raises OperationCancelled."""
        operation = _running(tx, name)
        operation.metadata.Pack(metadata)
        _put(tx, operation)

    def finish_in(self, tx: Tx, name: str, response: Message, metadata: Message | None = None) -> None:
        """`finish` within a work. Raises OperationCancelled."""
        operation = _running(tx, name)
        operation.done = True
        operation.response.Pack(response)
        if metadata is not None:
            operation.metadata.Pack(metadata)
        _put(tx, operation)

    def fail_in(self, tx: Tx, name: str, error: DomainError) -> None:
        """`fail` within a work. Raises OperationCancelled."""
        _end(tx, _running(tx, name), error)

    def forget_in(self, tx: Tx, ended_before: int, limit: int) -> Sequence[str]:
        """Forgets operations that ended before then (in microseconds), at most `limit`; returns their names."""
        query = select(OPERATIONS.c.name).where(OPERATIONS.c.done.is_(True), OPERATIONS.c.update_time < ended_before)
        names = tx.execute(query.limit(limit)).scalars().all()
        tx.execute(delete(OPERATIONS).where(OPERATIONS.c.name.in_(names)))
        return names


def _running(tx: Tx, name: str) -> operations_pb2.Operation:
    operation = _get(tx.connection, name, lock=True)
    if operation.done:
        raise OperationCancelled(name)
    return operation


def _get(connection: Connection, name: str, *, lock: bool = False) -> operations_pb2.Operation:
    query = select(OPERATIONS.c.operation).where(OPERATIONS.c.name == name)
    row = connection.scalar(query.with_for_update() if lock else query)
    if row is None:
        raise NotFound(name)
    found: operations_pb2.Operation = operations_pb2.Operation.FromString(row)
    return found


def _end(tx: Tx, operation: operations_pb2.Operation, error: DomainError) -> None:
    operation.done = True
    operation.error.CopyFrom(to_status(error))
    _put(tx, operation)


def _put(tx: Tx, operation: operations_pb2.Operation) -> None:
    values = {"done": operation.done, "operation": operation.SerializeToString(), "update_time": tx.now_us}
    tx.execute(update(OPERATIONS).where(OPERATIONS.c.name == operation.name).values(values))
