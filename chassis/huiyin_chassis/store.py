"""The store of a service: synchronous SQLAlchemy behind one writer thread with group commit, and a pool of readers.

SQLite (WAL) and PostgreSQL (psycopg) behave alike: a work is a function of a transaction; works that arrive together
share a commit, each in a savepoint of its own; reads see one consistent snapshot. Changes and outbox rows are written
last, in bulk, after the feed's lock was taken, so that their numbers follow the order of commits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import queue
import random
import sqlite3
import threading
import urllib.parse
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar, cast

import structlog
from google.protobuf.message import Message
from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Engine,
    Insert,
    Table,
    create_engine,
    delete,
    event,
    inspect,
    make_url,
    select,
    text,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.base import Executable

from huiyin_chassis import bulk, clock
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, Unavailable
from huiyin_chassis.feed import ChangeWriter
from huiyin_chassis.outbox import OutboxWriter
from huiyin_chassis.tables import FEED, REQUESTS

T = TypeVar("T")
M = TypeVar("M", bound=Message)

Durability = Literal["FULL", "NORMAL"]

log = structlog.get_logger(__name__)

CHANNEL: Final = "huiyin_commits"
"""NOTIFY channel of a store's database; its payload is empty."""

_GROUP: Final = 128
"""Works that share a commit at most; more would make the first of them wait for too many others."""
_BUSY_MS: Final = 10_000
_LOOK_SECONDS: Final = 1.0
_ADVISORY_LOCK: Final = int.from_bytes(b"huiyin\x00\x01", "big", signed=True)
# Primary result codes of SQLite that say "not now" or "the disk", never "this statement": busy, locked, no memory,
# read only, interrupted, I/O error, corrupt, full, cannot open, locking protocol.
_SQLITE_UNAVAILABLE: Final = frozenset({5, 6, 7, 8, 9, 10, 11, 13, 14, 15})


class SchemaMismatch(FailedPrecondition):
    """The store's tables are not those that the program was written for; the message names the command that helps."""


def unavailable(error: BaseException) -> Unavailable | None:
    """The Unavailable that a database error stands for, or None when it is the statement that was wrong."""
    if isinstance(error, Unavailable):
        return error
    cause = error.orig if isinstance(error, DBAPIError) else error
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if isinstance(cause, sqlite3.Error):
        lost = lost or (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _SQLITE_UNAVAILABLE
    elif type(cause).__module__.startswith("psycopg"):
        import psycopg

        lost = lost or isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError)
    if not lost:
        return None
    return Unavailable(
        "STORE_UNAVAILABLE", f"the database does not answer now ({type(cause).__name__}); try again in a moment"
    )


class Pulse:
    """Wakes whoever waits for the next commit. Take `current()` BEFORE looking; wait for it if there was nothing."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def current(self) -> asyncio.Event:
        """The event that the next beat sets."""
        return self._event

    def beat(self) -> None:
        """Wakes all who wait; on the loop's thread."""
        self._event.set()
        self._event = asyncio.Event()

    @staticmethod
    async def wait(event: asyncio.Event, seconds: float) -> None:
        """Returns at the beat, or after `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(seconds, 0)):
                await event.wait()


class Tx:
    """What a work writes with. `now` is one time for the whole of it; changes, outbox rows and what is appended go out
    just before the commit, with those of the works that share it."""

    __slots__ = ("appended", "changes", "connection", "now", "now_us", "outbox")

    def __init__(self, connection: Connection, now: datetime) -> None:
        self.connection = connection
        self.now = now
        self.now_us = clock.micros(now)
        self.changes = ChangeWriter(self.now_us)
        self.outbox = OutboxWriter(self.now_us)
        self.appended: list[tuple[Table, dict[str, Any]]] = []

    def append(self, table: Table, rows: Iterable[dict[str, Any]]) -> None:
        """New rows of a table that no work reads, all with the same columns."""
        self.appended += ((table, row) for row in rows)

    def execute(
        self, statement: Executable, parameters: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None
    ) -> CursorResult[Any]:
        """Runs a statement; a list of parameters makes it bulk."""
        return cast("CursorResult[Any]", self.connection.execute(statement, cast("Any", parameters)))

    @contextlib.contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undoes what the block did, its changes and outbox rows included, when it raises; then raises on."""
        changes, rows, appended = len(self.changes.rows), len(self.outbox.rows), len(self.appended)
        nested = self.connection.begin_nested()
        try:
            yield
        except BaseException:
            if not self.connection.invalidated:
                nested.rollback()
            del self.changes.rows[changes:]
            del self.outbox.rows[rows:]
            del self.appended[appended:]
            raise
        nested.commit()


@dataclass(slots=True, eq=False)
class _Work(Generic[T]):
    run: Callable[[Tx], T]
    future: asyncio.Future[T]
    result: T | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Group:
    """What the works of one transaction leave to be written just before its commit."""

    changes: list[tuple[object, ...]] = field(default_factory=list)
    outbox: list[tuple[object, ...]] = field(default_factory=list)
    appended: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, tx: Tx) -> None:
        """What one of them leaves."""
        self.changes += tx.changes.rows
        self.outbox += tx.outbox.rows
        for table, row in tx.appended:
            self.appended.setdefault(table, []).append(row)


class Store:
    """A service's database. Subclass it, declare tables, and give `write` and `read` functions.

    `url`: sqlite:///path or postgresql://…; `migrations`: the folder of the service's Alembic
    revisions; `feed`: the name of its feed in threads and logs; `durability`: FULL survives a power loss,
    NORMAL a killed process (SQLite; PostgreSQL is as its server is set).
    """

    def __init__(
        self,
        url: str,
        *,
        migrations: Path,
        feed: str | None = None,
        durability: Durability = "FULL",
        readers: int = 2,
        queue_size: int = 1000,
    ) -> None:
        self.url = driver_url(url)
        self.dialect: Literal["sqlite", "postgresql"] = (
            "sqlite" if self.url.get_backend_name() == "sqlite" else "postgresql"
        )
        self._name = feed or "store"
        self.changed = Pulse()
        """Beats after each commit, of this process or another, that wrote changes."""
        self.posted = Pulse()
        """Beats after each commit that wrote outbox rows, and at times for none."""
        self.draining = False
        self._migrations = migrations
        self._durability = durability
        self._readers = readers
        self._queue_size = queue_size
        self._waiting = 0
        self._queue: queue.SimpleQueue[_Work[Any] | None] = queue.SimpleQueue()
        self._closed = True
        self._stopped = threading.Event()

    # Life

    async def open(self) -> None:
        """Checks the schema, makes the feed's epoch if there is none, starts the threads. Raises SchemaMismatch."""
        self._loop = asyncio.get_running_loop()
        self._read_pool = ThreadPoolExecutor(self._readers, thread_name_prefix=f"{self._name}-read")
        await self._loop.run_in_executor(self._read_pool, self._prepare)
        self._closed = self.draining = False
        self._stopped.clear()
        self._writer = threading.Thread(target=self._write_until_closed, name=f"{self._name}-writer", daemon=True)
        self._writer.start()
        if self.dialect == "postgresql":
            self._listener = threading.Thread(
                target=self._listen_until_closed, name=f"{self._name}-listener", daemon=True
            )
            self._listener.start()
        self._look = asyncio.create_task(self._look_for_others(), name=f"{self._name}-look")

    async def close(self) -> None:
        """Stops watches, finishes the works that wait, and closes."""
        if self._closed:
            return
        self.stop_watches()
        self._closed = True
        self._stopped.set()
        self._look.cancel()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._writer.join)
        if self.dialect == "postgresql":
            await self._loop.run_in_executor(None, self._listener.join)
        self._read_pool.shutdown(wait=False)
        self._write_engine.dispose()
        self._read_engine.dispose()

    def stop_watches(self) -> None:
        """Lets every Watch of this store end by itself; the first thing to do when a server drains."""
        self.draining = True
        self.changed.beat()

    # Use

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Runs a work in the writer thread and returns its result once it is committed.

        A work that raises is undone alone. Raises Unavailable when the database is lost, ResourceExhausted when too
        many works wait. A caller that is cancelled before its work began cancels the work; later it is done anyway.
        """
        if self._closed:
            raise Unavailable("STORE_CLOSED", "the store is closed because the service is stopping; try again soon")
        if self._waiting >= self._queue_size:
            raise ResourceExhausted("STORE_BUSY", "too many writes are waiting; try again in a moment")
        item: _Work[T] = _Work(work, self._loop.create_future())
        self._waiting += 1
        self._queue.put(item)
        return await item.future

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs a work on a read-only connection in one consistent snapshot. Raises Unavailable."""
        return await self._loop.run_in_executor(self._read_pool, self._read, work)

    async def write_once(
        self,
        request_id: str,
        method: str,
        request: Message,
        work: Callable[[Tx], M],
        response_type: type[M],
        *,
        subject: str = "",
    ) -> M:
        """Like `write`, but the same request id of the same subject and method gets the first response again.

        Raises InvalidArgument REQUEST_ID_REUSED when the request differs from the first. The response is kept as it
        is, so it must hold no secret.
        """
        if not request_id:
            return await self.write(work)
        digest = hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        key = {"subject": subject, "method": method, "request_id": request_id}

        def once(tx: Tx) -> M:
            # Claimed before the work, so that a repetition in another process waits for this transaction to end.
            values = {**key, "digest": digest, "response": b"", "create_time": tx.now_us}
            if tx.execute(insert_new(tx.connection, REQUESTS), values).rowcount == 0:
                row = tx.execute(select(REQUESTS.c.digest, REQUESTS.c.response).filter_by(**key)).one()
                if row.digest != digest:
                    raise InvalidArgument(
                        "request_id",
                        "was used before for another request; take a new UUID for each request that is not repeated",
                        "REQUEST_ID_REUSED",
                    )
                return response_type.FromString(row.response)
            response = work(tx)
            tx.execute(update(REQUESTS).filter_by(**key).values(response=response.SerializeToString()))
            return response

        return await self.write(once)

    async def sweep(self, older_than: timedelta = timedelta(days=7)) -> int:
        """Forgets request ids older than that; it must exceed the longest retry of any client. Returns how many."""

        def forget(tx: Tx) -> int:
            limit = clock.micros(tx.now - older_than)
            return tx.execute(delete(REQUESTS).where(REQUESTS.c.create_time < limit)).rowcount

        return await self.write(forget)

    async def renew_epoch(self) -> str:
        """Gives the feed a new epoch, after a restore or a rebuild: all cursors given out before become unknown."""
        epoch = str(uuid.uuid4())
        await self.write(lambda tx: tx.execute(update(FEED).values(epoch=epoch)))
        self.changed.beat()
        return epoch

    def before_destroy(self, connection: Connection) -> None:
        """For services to override: what else holds deleted text, such as an FTS5 index that wants `optimize`."""

    async def destroy_bytes(self) -> None:
        """Makes deleted rows unreadable in the files: call it after deleting what must be forgotten.

        SQLite: secure_delete has overwritten the pages, and the log that still holds them is emptied here. PostgreSQL:
        VACUUM frees the space; it is overwritten as it is used again, so its disk should be encrypted.
        Raises Unavailable when readers held the log for longer than the busy timeout.
        """
        await self.write(lambda tx: self.before_destroy(tx.connection))
        await self._loop.run_in_executor(self._read_pool, self._destroy)

    # Set-up

    def _prepare(self) -> None:
        self._check_schema()
        self._write_engine = self._engine(read_only=False)
        self._read_engine = self._engine(read_only=True)
        with self._write_engine.begin() as connection:
            first = {"id": 1, "epoch": str(uuid.uuid4()), "expired_through": 0}
            connection.execute(insert_new(connection, FEED), first)

    def _check_schema(self) -> None:
        needed = head_revision(self._migrations)
        command = f"python -m {type(self).__module__.partition('.')[0]} migrate"
        shown = self.url.render_as_string(hide_password=True)
        found = None
        if self.dialect == "postgresql" or Path(self.url.database or "").is_file():
            engine = create_engine(self.url)
            try:
                with engine.connect() as connection:
                    if inspect(connection).has_table("alembic_version"):
                        found = connection.scalar(text("SELECT version_num FROM alembic_version"))
            except DBAPIError as error:
                raise unavailable(error) or error from error
            finally:
                engine.dispose()
        if found != needed:
            at = f"is at revision {found}" if found else "has no tables yet"
            raise SchemaMismatch(
                "SCHEMA_MISMATCH", f"the store {shown} {at}, this program needs {needed}; run: {command}"
            )

    def _engine(self, *, read_only: bool) -> Engine:
        if self.dialect == "sqlite":
            return self._sqlite_engine(read_only)
        engine = create_engine(
            self.url,
            hide_parameters=True,  # an error's text must not carry what people wrote
            pool_size=self._readers if read_only else 1,
            max_overflow=0 if read_only else 1,
            isolation_level="REPEATABLE READ" if read_only else "READ COMMITTED",
        )
        if read_only:

            @event.listens_for(engine, "connect")
            def only_read(connection: Any, _record: object) -> None:
                connection.read_only = True

        return engine

    def _sqlite_engine(self, read_only: bool) -> Engine:
        mode = "ro" if read_only else "rw"
        uri = f"file:{urllib.parse.quote(str(Path(self.url.database or '').absolute()))}?mode={mode}"
        settings = [
            f"busy_timeout={_BUSY_MS}",
            "foreign_keys=ON",
            "cache_size=-8000",
            "mmap_size=67108864",
            "temp_store=MEMORY",
        ]
        if not read_only:
            settings += [
                "journal_mode=WAL",
                f"synchronous={self._durability}",
                "secure_delete=ON",
                "journal_size_limit=16777216",
            ]

        def connect() -> sqlite3.Connection:
            # isolation_level None: transactions begin where we say so, and savepoints are left alone by the driver.
            connection = sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            for setting in settings:
                connection.execute(f"PRAGMA {setting}")
            return connection

        engine = create_engine(
            "sqlite://",
            hide_parameters=True,
            creator=connect,
            poolclass=QueuePool,
            pool_size=self._readers if read_only else 1,
        )
        begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine

    # Reading

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            try:
                with self._read_engine.begin() as connection:
                    return work(connection)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The connection had died while it lay in the pool; reading twice does no harm.
            with self._read_engine.begin() as connection:
                return work(connection)
        except DBAPIError as error:
            raise unavailable(error) or error from error

    # Writing, in the writer thread

    def _write_until_closed(self) -> None:
        connection: Connection | None = None
        works: list[_Work[Any]] = []
        last = False
        while not last:
            works, last = self._next_group()
            if not works:
                continue
            group = _Group()
            try:
                if connection is None:
                    connection = self._write_engine.connect()
                self._write_group(connection, works, group)
            except BaseException as error:
                log.warning("store.group_failed", works=len(works), error=type(error).__name__)
                for work in works:
                    work.error = work.error or unavailable(error) or error
                connection = self._give_up(connection)
                group = _Group()
            self._call_soon(partial(self._deliver, works, bool(group.changes), bool(group.outbox)))
        if connection is not None:
            connection.close()

    def _next_group(self) -> tuple[list[_Work[Any]], bool]:
        """The works that wait now, at least one; and whether the store closes after them."""
        works: list[_Work[Any]] = []
        item = self._queue.get()
        while item is not None:
            works.append(item)
            if len(works) == _GROUP:
                return works, False
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return works, False
        return works, True

    def _write_group(self, connection: Connection, works: list[_Work[Any]], group: _Group) -> None:
        """Runs works in one transaction and commits those that did not raise. Raises when nothing is committed."""
        alone = len(works) == 1
        transaction = connection.begin()
        done, marked = 0, False
        for work in works:
            if work.future.cancelled():
                continue
            tx = Tx(connection, clock.now())
            try:
                if not alone:
                    self._mark(connection, again=marked)
                    marked = True
                work.result = work.run(tx)
            except BaseException as error:
                work.error = unavailable(error) or error
                if connection.invalidated:
                    raise
                if not alone:
                    connection.exec_driver_sql("ROLLBACK TO SAVEPOINT work")
                continue
            done += 1
            group.add(tx)
        if not done:
            transaction.rollback()
            return
        self._finish(connection, group)
        transaction.commit()

    def _mark(self, connection: Connection, *, again: bool) -> None:
        """The point to which a work is undone, in place of that of the work before."""
        if not again:
            bulk.run(connection, "SAVEPOINT work")
        elif self.dialect == "postgresql":
            bulk.run(connection, "RELEASE SAVEPOINT work; SAVEPOINT work")
        else:
            bulk.run(connection, "RELEASE SAVEPOINT work")
            bulk.run(connection, "SAVEPOINT work")

    def _finish(self, connection: Connection, group: _Group) -> None:
        if not (group.changes or group.outbox or group.appended):
            return
        with bulk.together(connection):
            for table, rows in group.appended.items():
                bulk.insert_many(connection, table, rows)
            if group.outbox:
                OutboxWriter.flush(connection, group.outbox)
            if group.changes:
                if self.dialect == "postgresql":
                    # Last before the commit: whoever waits for this lock holds rows that its holder will not ask for.
                    bulk.run(connection, f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
                ChangeWriter.flush(connection, group.changes)
            if self.dialect == "postgresql" and (group.changes or group.outbox):
                bulk.run(connection, f"NOTIFY {CHANNEL}")

    @staticmethod
    def _give_up(connection: Connection | None) -> None:
        """Closes a connection of unknown state; the next group takes a new one."""
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def _deliver(self, works: list[_Work[Any]], changed: bool, posted: bool) -> None:
        self._waiting -= len(works)
        for work in works:
            if work.future.done():
                continue
            if work.error is not None:
                # A future refuses StopIteration; it can only come from a mistake in the work.
                stray = isinstance(work.error, StopIteration)
                work.future.set_exception(RuntimeError("the work raised StopIteration") if stray else work.error)
            else:
                work.future.set_result(work.result)
        if changed:
            self.changed.beat()
        if posted:
            self.posted.beat()

    def _beat(self) -> None:
        self.changed.beat()
        self.posted.beat()

    def _call_soon(self, callback: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already: nobody waits any more
            self._loop.call_soon_threadsafe(callback)

    # Learning of commits made by other processes

    async def _look_for_others(self) -> None:
        """Each second: SQLite's data_version tells of other connections' commits; PostgreSQL's NOTIFY may be lost."""
        if self.dialect == "postgresql":
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                self._beat()
        with contextlib.closing(sqlite3.connect(self.url.database or "", isolation_level=None)) as connection:
            seen = connection.execute("PRAGMA data_version").fetchone()
            while True:
                await asyncio.sleep(_LOOK_SECONDS)
                found = connection.execute("PRAGMA data_version").fetchone()
                if found != seen:
                    seen = found
                    self._beat()

    def _listen_until_closed(self) -> None:
        import psycopg

        conninfo = self.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stopped.is_set():
            try:
                with psycopg.connect(conninfo, autocommit=True) as connection:
                    connection.execute(f"LISTEN {CHANNEL}")
                    self._call_soon(self._beat)
                    while not self._stopped.is_set():
                        for _ in connection.notifies(timeout=0.5, stop_after=1):
                            self._call_soon(self._beat)
            except psycopg.Error as error:
                log.warning("store.listen_failed", error=type(error).__name__)
                self._stopped.wait(0.5 + random.random())  # noqa: S311 — jitter, not a secret

    def _destroy(self) -> None:
        try:
            if self.dialect == "postgresql":
                with self._write_engine.connect() as connection:
                    connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
                return
            with contextlib.closing(sqlite3.connect(self.url.database or "", isolation_level=None)) as raw:
                raw.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
                busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except (DBAPIError, sqlite3.Error) as error:
            raise unavailable(error) or error from error
        if busy:
            raise Unavailable("LOG_HELD", "readers hold the log of the database; destroy again in a moment")


def driver_url(url: str) -> URL:
    """The URL with the driver that we use; raises InvalidArgument for a database that we do not know."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed.set(drivername="sqlite")
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise InvalidArgument(
        "database_url", "must be sqlite:///path/to/file or postgresql://user@host/database", "DATABASE_UNKNOWN"
    )


def head_revision(migrations: Path) -> str:
    """The newest revision in a folder of migrations: the digits before the first underscore of its last file."""
    names = sorted(path.name for path in migrations.glob("[0-9]*_*.py"))
    if not names:
        raise FileNotFoundError(f"{migrations} holds no migration; make one: python -m huiyin_chassis.migrate revision")
    return names[-1].partition("_")[0]


def insert_new(connection: Connection, table: Table) -> Insert:
    """INSERT … ON CONFLICT DO NOTHING: its rowcount tells whether the row is new."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # psycopg's count of rows is given away otherwise.
    return postgresql.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
