"""/v1/changes: the feeds of the four services as one stream of server-sent events.

One upstream watch for each service serves every client, and is open only while there are clients. A client that comes
with a Last-Event-ID is first brought up to where the shared stream stands, by watches of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
import structlog
from huiyin.analyzer.v1 import event_pb2
from huiyin.casework.v1 import case_pb2
from huiyin.gateway.v1 import change_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.errors import InvalidArgument, Unavailable, from_rpc_error
from huiyin_chassis.feed import cursor_of, sequence_of
from huiyin_chassis.identity import Principal

from huiyin_gateway import codec

log = structlog.get_logger(__name__)

FEEDS: Final = ("collector", "analyzer", "casework", "notifier")
COALESCE_SECONDS: Final = 0.06
"""Writes to a client are gathered for so long: a write for each change would drown its loop."""
HEARTBEAT_SECONDS: Final = 15.0
_RING: Final = 20_000
_CONNECT_SECONDS: Final = 5.0
_SEPARATOR: Final = "~"

Watch = Callable[[str, bool], Any]
"""(cursor, tail) → a stream of ChangeBatch."""
Position = dict[str, str]
"""Feed → cursor."""


@dataclass(frozen=True, slots=True)
class Item:
    """One change, written once for every client."""

    feed: str
    cursor: str
    kind: str
    data: bytes
    places: tuple[str, str] | None
    """Place and topic that decide who may see it; None: only those whose reach is everywhere."""
    units: tuple[str, ...]


def parse_position(text: str) -> Position:
    """The cursors of a Last-Event-ID. Raises InvalidArgument."""
    parts = text.split(_SEPARATOR)
    if len(parts) != len(FEEDS):
        raise InvalidArgument("cursor", "is not the id of an event of this stream; leave it out to begin now")
    return {feed: cursor for feed, cursor in zip(FEEDS, parts, strict=True) if cursor}


def format_position(position: Position) -> str:
    """The cursors as one id."""
    return _SEPARATOR.join(position.get(feed, "") for feed in FEEDS)


@dataclass(slots=True)
class Selection:
    """What of the stream one client gets."""

    principal: Principal
    kinds: Collection[str]
    _exact: frozenset[str] = field(init=False)
    _prefixes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self._exact = frozenset(kind for kind in self.kinds if not kind.endswith(".*"))
        self._prefixes = tuple(kind[:-1] for kind in self.kinds if kind.endswith(".*"))

    def takes(self, item: Item) -> bool:
        """Whether the client asked for the kind and may see the row."""
        if self.kinds and item.kind not in self._exact and not item.kind.startswith(self._prefixes or ("\0",)):
            return False
        principal = self.principal
        if principal.everywhere:
            return True
        if item.units:
            return any(unit in principal.units for unit in item.units)
        if item.places is None:
            return False
        place, topic = item.places
        return _within(place, principal.places) and _within(topic, principal.topics)


class Hub:
    """The shared upstream watches and the latest changes of all feeds, in the order in which they came here."""

    def __init__(self, watches: Mapping[str, Watch]) -> None:
        self._watches = watches
        self._ring: deque[Item] = deque(maxlen=_RING)
        self._count = 0
        self._position: Position = {}
        self._pulse = asyncio.Event()
        self._clients = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def stream(self, selection: Selection, resume: Position) -> AsyncGenerator[bytes, None]:
        """Chunks of text/event-stream, without end. The first comes once it is sure that the cursors can be served.

        Raises OutOfRange with reason CURSOR_UNKNOWN or CURSOR_EXPIRED, or Unavailable, before the first chunk.
        """
        self._join()
        try:
            await self._connected(needed=bool(resume))
            joined, position = self._count, dict(self._position)
            replays = [
                _Replay(feed, self._watches[feed], cursor, position.get(feed, "")) for feed, cursor in resume.items()
            ]
            for replay in replays:
                await replay.begin()
            yield b": welcome\n\n"
            at = dict(resume)
            for replay in replays:
                async for item in replay.items():
                    at[item.feed] = item.cursor
                    if selection.takes(item):
                        yield _event(item, at)
            at = position | {feed: at[feed] for feed in at if feed not in position}
            async for chunk in self._live(selection, joined, at):
                yield chunk
        finally:
            self._leave()

    async def _live(self, selection: Selection, joined: int, at: Position) -> AsyncIterator[bytes]:
        silent_since = time.monotonic()
        while not self._closing:
            pulse = self._pulse
            missed = self._count - joined
            if missed > len(self._ring):
                yield b": too slow; come back with Last-Event-ID\n\n"
                return
            parts: list[bytes] = []
            for index in range(len(self._ring) - missed, len(self._ring)):
                item = self._ring[index]
                at[item.feed] = item.cursor
                if selection.takes(item):
                    parts.append(_event(item, at))
            joined += missed
            if parts:
                silent_since = time.monotonic()
                yield b"".join(parts)
            rest = HEARTBEAT_SECONDS - (time.monotonic() - silent_since)
            if rest <= 0:
                silent_since = time.monotonic()
                # An id without data moves the client on past changes that were not for it.
                yield f": still here\nid: {format_position(at)}\n\n".encode()
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pulse.wait(), rest)
                await asyncio.sleep(COALESCE_SECONDS)

    def close(self) -> None:
        """Ends every stream."""
        self._closing = True
        self._pulse.set()
        for task in self._tasks:
            task.cancel()

    def _join(self) -> None:
        self._clients += 1
        if not self._tasks and not self._closing:
            self._tasks = [
                asyncio.create_task(self._follow(feed, watch), name=f"changes-{feed}")
                for feed, watch in self._watches.items()
            ]

    def _leave(self) -> None:
        self._clients -= 1
        if self._clients == 0:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            self._ring.clear()
            self._position = {}

    async def _connected(self, *, needed: bool) -> None:
        """Waits until every feed's place is known; for one that resumes that is needed, so that no change is missed."""
        deadline = time.monotonic() + _CONNECT_SECONDS
        while len(self._position) < len(self._watches):
            if time.monotonic() > deadline:
                if needed:
                    missing = sorted(set(self._watches) - set(self._position))
                    raise Unavailable("FEED_UNAVAILABLE", f"{', '.join(missing)} cannot be reached; try again soon")
                return
            pulse = self._pulse
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(pulse.wait(), 0.1)

    async def _follow(self, feed: str, watch: Watch) -> None:
        backoff, failures = Backoff(ceiling=5.0), 0
        while True:
            cursor = self._position.get(feed, "")
            try:
                async for batch in watch(cursor, not cursor):
                    failures = 0
                    self._take(feed, batch)
                failures = 0
                pause = backoff.delay(1)
            except grpc.RpcError as error:
                failures += 1
                pause = backoff.delay(failures)
                found = from_rpc_error(error)
                if found.reason in ("CURSOR_UNKNOWN", "CURSOR_EXPIRED"):
                    # The feed was restored: go on with what is new. Clients that resume are told by their own watch.
                    self._position.pop(feed, None)
                elif not found.transient:
                    log.warning("changes.refused", feed=feed, reason=found.reason)
            await asyncio.sleep(pause)

    def _take(self, feed: str, batch: feed_pb2.ChangeBatch) -> None:
        items = [item_of(feed, batch.epoch, change) for change in batch.changes]
        self._ring.extend(items)
        self._count += len(items)
        self._position[feed] = batch.cursor
        self._pulse.set()
        self._pulse = asyncio.Event()


class _Replay:
    """Brings one client from its cursor of one feed to where the shared stream stood when it came."""

    def __init__(self, feed: str, watch: Watch, cursor: str, until: str) -> None:
        self._feed = feed
        self._until = sequence_of(until) if until else 0
        self._stream = watch(cursor, False)
        self._batches: Any = aiter(self._stream)
        self._first: feed_pb2.ChangeBatch | None = None

    async def begin(self) -> None:
        """Reads the first batch, which says whether the cursor can be served."""
        try:
            self._first = await anext(self._batches)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        except StopAsyncIteration:
            raise Unavailable("FEED_UNAVAILABLE", f"{self._feed} is stopping; try again soon") from None

    async def items(self) -> AsyncIterator[Item]:
        """The changes up to the shared stream's place."""
        batch = self._first
        try:
            while batch is not None:
                for change in batch.changes:
                    if change.sequence <= self._until:
                        yield item_of(self._feed, batch.epoch, change)
                if batch.caught_up or sequence_of(batch.cursor) >= self._until:
                    return
                batch = await anext(self._batches)
        finally:
            cancel = getattr(self._stream, "cancel", None)
            if cancel is not None:
                cancel()


def item_of(feed: str, epoch: str, change: feed_pb2.Change) -> Item:
    """A change as every client gets it. What people wrote is read by name, not streamed."""
    places: tuple[str, str] | None = None
    units: tuple[str, ...] = ()
    name = change.resource.TypeName()
    if name == "huiyin.analyzer.v1.Event":
        event = event_pb2.Event.FromString(change.resource.value)
        places = (event.place, event.topic)
    elif name == "huiyin.casework.v1.Case":
        case = case_pb2.Case.FromString(change.resource.value)
        units = tuple(unit.removeprefix("units/") for unit in (case.lead_unit, *case.assisting_units) if unit)
    elif name in _TEXTS:
        inner: Any = codec.message_class(name).FromString(change.resource.value)
        for told in ("subject", "text", "voice"):
            if told in inner.DESCRIPTOR.fields_by_name:
                inner.ClearField(told)
        change.resource.value = inner.SerializeToString()
    message = change_pb2.StreamChangesResponse(service=feed, change=change)
    return Item(feed, cursor_of(epoch, change.sequence), change.kind, codec.to_json(message), places, units)


_TEXTS: Final = frozenset({"huiyin.collector.v1.Post", "huiyin.analyzer.v1.Membership", "huiyin.casework.v1.Inquiry"})


def _event(item: Item, at: Position) -> bytes:
    head = f"id: {format_position(at)}\nevent: {item.kind}\ndata: ".encode()
    return b"%b%b\n\n" % (head, item.data)


def _within(name: str, scope: Collection[str]) -> bool:
    """Whether a place or topic lies in a scope; an empty scope holds everything."""
    return not scope or any(name == each or name.startswith(f"{each}.") for each in scope)
