"""/v1/changes: the feeds of the four services as one stream of server-sent events.

One upstream watch for each service serves every client, and is open only while there are clients. What it brings is
written as text once, and kept in a ring from which every client takes what is for it. A client that comes with cursors
is first brought up to where the shared stream stands, by watches of its own; so it gets every change once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import grpc
import structlog
from google.protobuf.message import DecodeError
from huiyin.gateway.v1 import change_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.errors import DomainError, InvalidArgument, Unavailable, from_rpc_error
from huiyin_chassis.feed import cursor_of, sequence_of

from huiyin_gateway import codec
from huiyin_gateway.audience import Audience, Selection, audience_of, withhold

log = structlog.get_logger(__name__)

FEEDS: Final = ("collector", "analyzer", "casework", "notifier")
COALESCE_SECONDS: Final = 0.08
"""Writes to the clients are gathered for so long: a write for each change would drown the loop."""
HEARTBEAT_SECONDS: Final = 15.0
"""A client hears something at least this often."""
_BEAT_SECONDS: Final = HEARTBEAT_SECONDS / 3
_RING: Final = 10_000
_WAIT_SECONDS: Final = 5.0
_RECHECK_SECONDS: Final = 5.0
"""So often a client's key and reach are looked at again."""
_SEPARATOR: Final = "~"
_LOST: Final = frozenset({"CURSOR_UNKNOWN", "CURSOR_EXPIRED"})

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
    audience: Audience
    data: bytes
    """The change as JSON, without its id, which depends on the place in the other feeds."""


@dataclass(frozen=True)
class Form:
    """How a stream is written."""

    head: bytes
    """The headers of the answer."""
    begin: Callable[[str], bytes]
    """The first thing that is written, with the client's place."""
    change: Callable[[str, Item], bytes]
    beat: Callable[[str], bytes]
    """A sign of life with the client's place."""
    end: Callable[[str], bytes]
    """The last thing, with the reason."""


class Sink(Protocol):
    """Where a client's text goes."""

    on_drained: Callable[[], object] | None
    """Called when it takes more after it was blocked."""

    @property
    def blocked(self) -> bool:
        """So much waits that no more should be written."""

    def piece(self, chunk: bytes, /) -> None:
        """Writes some text."""

    async def drained(self) -> None:
        """Returns when it is not blocked."""


def parse_position(text: str) -> Position:
    """The cursors of a Last-Event-ID. Raises InvalidArgument."""
    parts = text.split(_SEPARATOR)
    if len(parts) != len(FEEDS):
        raise InvalidArgument("cursor", "is not the id of an event of this stream; leave it out to begin now")
    return {feed: cursor for feed, cursor in zip(FEEDS, parts, strict=True) if cursor}


def format_position(position: Position) -> str:
    """The cursors as one id."""
    return _SEPARATOR.join(position.get(feed, "") for feed in FEEDS)


def item_of(feed: str, epoch: str, change: feed_pb2.Change) -> Item:
    """A change as clients get it. One whose resource a newer service made is told by name alone."""
    try:
        resource: Any = codec.message_class(change.resource.TypeName()).FromString(change.resource.value)
    except (KeyError, DecodeError):
        resource = None
        change.ClearField("resource")
    else:
        withhold(resource)
        change.resource.value = resource.SerializeToString()
    data = codec.to_json(change_pb2.StreamChangesResponse(service=feed, change=change))
    return Item(feed, cursor_of(epoch, change.sequence), change.kind, audience_of(resource), data)


SERVER_SENT_EVENTS: Final = Form(
    b"content-type: text/event-stream\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n",
    lambda place: f"retry: 1000\nid: {place}\n\n".encode(),
    lambda place, item: b"id: %b\nevent: %b\ndata: %b\n\n" % (place.encode(), item.kind.encode(), item.data),
    lambda place: f": still here\nid: {place}\n\n".encode(),
    lambda why: f": {why}\n\n".encode(),
)
"""text/event-stream: the id of each event is the place after it."""

LINES: Final = Form(
    b"content-type: application/x-ndjson\r\ncache-control: no-store\r\nx-accel-buffering: no\r\n",
    lambda place: b'{"cursor":"%b"}\n' % place.encode(),
    lambda place, item: b'%b,"cursor":"%b"}\n' % (item.data[:-1], place.encode()),
    lambda place: b'{"cursor":"%b"}\n' % place.encode(),
    lambda why: b"",
)
"""application/x-ndjson: an object a line, with the place after it; without a change it is a sign of life."""


class Hub:
    """The shared upstream watches, and the latest changes of all feeds in the order in which they came here."""

    def __init__(self, watches: Mapping[str, Watch]) -> None:
        self._watches = watches
        self._position: Position = {}
        # Each item with the id that it has for every client that has seen all before it.
        self._ring: deque[tuple[str, Item]] = deque(maxlen=_RING)
        self._count = 0
        # What clients may write by now: so many changes, and the place after them.
        self._ready = 0
        self._ready_position: Position = {}
        self._written: dict[tuple[int, Selection, int], bytes] = {}
        self._up: set[str] = set()
        self._tried: set[str] = set()
        self._moved = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._clients: set[Subscription] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    async def subscribe(self, selection: Selection, resume: Position, form: Form = SERVER_SENT_EVENTS) -> Subscription:
        """A client's place in the stream: after `resume`, or now. It must be left with `leave`.

        Raises OutOfRange with reason CURSOR_UNKNOWN or CURSOR_EXPIRED, or Unavailable.
        """
        if self._closing:
            raise Unavailable("STOPPING", "the gateway is stopping; try again in a moment")
        client = Subscription(self, selection, form)
        self._clients.add(client)
        if not self._tasks:
            self._tasks = [
                asyncio.create_task(self._follow(feed, watch), name=f"changes-{feed}")
                for feed, watch in self._watches.items()
            ]
            self._tasks.append(asyncio.create_task(self._beat(), name="changes-beat"))
        try:
            await client.begin(resume)
        except BaseException:
            self.leave(client)
            raise
        return client

    def leave(self, client: Subscription) -> None:
        """Lets a client go; with the last one the upstream watches end."""
        client.drop_replays()
        self._clients.discard(client)
        if not self._clients:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._ring.clear()
            self._written.clear()
            self._ready, self._ready_position = self._count, {}
            self._position, self._up, self._tried = {}, set(), set()

    def close(self) -> None:
        """Ends every stream."""
        self._closing = True
        for client in self._clients:
            client.finish("stopping")

    @property
    def place(self) -> tuple[int, Position]:
        """How many changes came so far, and the cursors after them."""
        return self._count, self._position

    @property
    def ready_place(self) -> tuple[int, Position]:
        """The same of what clients may write by now."""
        return self._ready, self._ready_position

    def is_up(self, feed: str) -> bool:
        """Whether the feed's watch is open now."""
        return feed in self._up

    def watch(self, feed: str, cursor: str) -> Any:
        """A watch of one client's own."""
        return self._watches[feed](cursor, False)

    async def wait(self, until: Callable[[], bool]) -> bool:
        """Waits, not for long, until something holds; it is looked at whenever a feed moved. Whether it holds."""
        deadline = asyncio.get_running_loop().time() + _WAIT_SECONDS
        while not until():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._moved.wait()
            except TimeoutError:
                return False
        return True

    def all_tried(self) -> bool:
        """Whether every feed has answered or failed since the watches were opened."""
        return self._tried == self._watches.keys()

    def ready_since(self, seen: int) -> list[tuple[str, Item]] | None:
        """What clients may write by now after the first `seen` changes; None: some of it is gone already."""
        late = self._count - self._ready
        missed = max(self._ready - seen, 0)
        if missed > len(self._ring) - late:
            return None
        return list(islice(reversed(self._ring), late, late + missed))[::-1]

    def text_since(self, seen: int, selection: Selection, form: Form) -> bytes | None:
        """The same as text with the ids of the shared stream, put together once for equal selections."""
        found = self._written.get((seen, selection, id(form)))
        if found is None:
            ready = self.ready_since(seen)
            if ready is None:
                return None
            taken = [form.change(place, item) for place, item in ready if selection.takes(item.kind, item.audience)]
            found = self._written[seen, selection, id(form)] = b"".join(taken)
        return found

    async def _follow(self, feed: str, watch: Watch) -> None:
        backoff, failures = Backoff(ceiling=2.0), 0
        while True:
            cursor = self._position.get(feed, "")
            try:
                async for batch in watch(cursor, not cursor):
                    failures = 0
                    self._take(feed, batch)
            except grpc.RpcError as error:
                failures += 1
                self._failed(feed, from_rpc_error(error))
            except Exception:
                failures += 1
                log.exception("changes.failed", feed=feed)
            self._up.discard(feed)
            self._tried.add(feed)
            self._tell_moved()
            await asyncio.sleep(backoff.delay(max(failures, 1)))

    def _failed(self, feed: str, error: DomainError) -> None:
        if error.reason in _LOST:
            # The feed was restored or fell behind what is kept. Whoever comes back with its cursor is told: 410.
            self._position.pop(feed, None)
            for client in self._clients:
                client.finish(f"the feed of the {feed} begins anew; come back with Last-Event-ID")
        elif not error.transient:
            log.warning("changes.refused", feed=feed, reason=error.reason)

    def _take(self, feed: str, batch: feed_pb2.ChangeBatch) -> None:
        if feed not in self._up:
            self._up.add(feed)
            self._tried.add(feed)
            for client in self._clients:
                client.is_back(feed)
        for change in batch.changes:
            item = item_of(feed, batch.epoch, change)
            self._position[feed] = item.cursor
            self._ring.append((format_position(self._position), item))
            self._count += 1
        self._position[feed] = batch.cursor
        self._tell_moved()
        if self._timer is None:
            if batch.changes:
                self._timer = asyncio.get_running_loop().call_later(COALESCE_SECONDS, self._flush)
            else:
                self._ready_position = dict(self._position)

    def _tell_moved(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    def _flush(self) -> None:
        self._timer = None
        self._ready, self._ready_position = self._count, dict(self._position)
        self._written.clear()
        for client in self._clients:
            client.push()

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            for client in self._clients:
                client.push()


class Subscription:
    """One client of the stream. `selection` may be replaced while it runs."""

    def __init__(self, hub: Hub, selection: Selection, form: Form) -> None:
        self.selection = selection
        self._form = form
        self._hub = hub
        self._replays: list[_Replay] = []
        self._position: Position = {}
        self._seen = 0
        # Feeds that were away when the client came with a cursor of theirs: it keeps that cursor, gets nothing of them,
        # and comes back when they do.
        self._away: set[str] = set()
        self._sink: Sink | None = None
        self._spoken = 0.0
        self._finished = asyncio.Event()
        self._farewell = ""

    async def begin(self, resume: Position) -> None:
        """Finds the client's place. Raises what Hub.subscribe raises."""
        hub = self._hub
        wanted = {feed: sequence_of(cursor) for feed, cursor in resume.items()}
        await hub.wait(hub.all_tried)
        self._away = {feed for feed in resume if not hub.is_up(feed) and hub.place[1].get(feed) != resume[feed]}
        replays: dict[str, _Replay] = {}

        def behind() -> set[str]:
            """Feeds whose changes after the client's cursor were read by the shared watch before the client came."""
            return {feed for feed in wanted if hub.place[1].get(feed) != resume[feed]} - self._away - replays.keys()

        def reached() -> bool:
            # Only a shared watch that is just coming back can be behind a client.
            position = hub.place[1]
            return all(feed in position and sequence_of(position[feed]) >= wanted[feed] for feed in replays)

        while feeds := behind():
            for feed in feeds:
                replays[feed] = _Replay(feed, hub.watch(feed, resume[feed]))
                self._replays.append(replays[feed])
                await replays[feed].begin()
            if not await hub.wait(reached):
                raise Unavailable("FEED_UNAVAILABLE", f"{', '.join(sorted(replays))} cannot be followed now; try again")
        self._seen, shared = hub.place
        self._position = shared | {feed: resume[feed] for feed in (*replays, *self._away)}
        for feed, replay in replays.items():
            replay.until = shared[feed]

    async def write_to(self, sink: Sink, seen_again: Callable[[], Awaitable[Selection]]) -> None:
        """Writes changes until the client should go. `seen_again` gives its selection as it is by then, or
        raises where it may see nothing any more.
        """
        # With the id a client has its place from the first moment on.
        sink.piece(self._form.begin(format_position(self._position)))
        for replay in self._replays:
            await self._write_replay(sink, replay)
            if self._farewell:
                break
            self._position[replay.feed] = replay.until
        self._sink, self._spoken = sink, time.monotonic()
        sink.on_drained = self.push
        try:
            self.push()
            while not self._farewell:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_RECHECK_SECONDS):
                        await self._finished.wait()
                        break
                self.selection = await seen_again()
        finally:
            self._sink = sink.on_drained = None
        sink.piece(self._form.end(self._farewell))

    def push(self) -> None:
        """Writes what is ready for this client, or that it is still there. Called by the hub for one client after
        another: a task woken for each of a thousand would cost several times as much.
        """
        sink = self._sink
        if sink is None or sink.blocked or self._farewell:
            return
        text, now = self._next(), time.monotonic()
        if text is None:
            self.finish("too slow; come back with Last-Event-ID")
        elif text or now - self._spoken >= HEARTBEAT_SECONDS - _BEAT_SECONDS:
            self._spoken = now
            # An id without data moves the client on past changes that were not for it.
            sink.piece(text or self._form.beat(format_position(self._position)))

    def finish(self, why: str) -> None:
        """Ends the stream after what is being written; the first reason counts."""
        self._farewell = self._farewell or why
        self._finished.set()

    def is_back(self, feed: str) -> None:
        """A feed can be read again; a client that waits for it does so by coming back."""
        if feed in self._away:
            self.finish(f"the {feed} is back; come back with Last-Event-ID")

    def drop_replays(self) -> None:
        """Ends the watches of the client's own."""
        for replay in self._replays:
            replay.drop()

    async def _write_replay(self, sink: Sink, replay: _Replay) -> None:
        try:
            async for items in replay.batches():
                if self._farewell:
                    break
                if written := self._write(items):
                    sink.piece(written)
                    await sink.drained()
        except DomainError as error:
            log.info("changes.replay_broken", feed=replay.feed, reason=error.reason)
            self.finish(f"the feed of the {replay.feed} broke off; come back with Last-Event-ID")
        replay.drop()

    def _next(self) -> bytes | None:
        """What is ready for this client; None when it fell behind the ring."""
        ready, position = self._hub.ready_place
        if ready < self._seen:
            return b""
        if self._away:
            items = self._hub.ready_since(self._seen)
            text = None if items is None else self._write([item for _, item in items])
        else:
            text = self._hub.text_since(self._seen, self.selection, self._form)
            self._position = position
        self._seen = ready
        return text

    def _write(self, items: list[Item]) -> bytes:
        """Items with ids of this client's own."""
        parts = []
        for item in items:
            self._position[item.feed] = item.cursor
            if self.selection.takes(item.kind, item.audience):
                parts.append(self._form.change(format_position(self._position), item))
        return b"".join(parts)


class _Replay:
    """Brings one client from its cursor of one feed to where the shared stream stood when it came: `until`."""

    def __init__(self, feed: str, stream: Any) -> None:
        self.feed = feed
        self.until = ""
        self._stream = stream
        self._batches: Any = aiter(stream)
        self._batch: feed_pb2.ChangeBatch | None = None

    async def begin(self) -> None:
        """Reads the first batch, which says whether the cursor can be served. Raises DomainError."""
        self._batch = await self._following()

    async def batches(self) -> AsyncIterator[list[Item]]:
        """The changes up to the shared stream's place. Raises DomainError where the watch breaks off."""
        last, batch = sequence_of(self.until), self._batch
        while batch is not None:
            yield [item_of(self.feed, batch.epoch, each) for each in batch.changes if each.sequence <= last]
            if sequence_of(batch.cursor) >= last:
                return
            batch = await self._following()

    def drop(self) -> None:
        """Ends the watch."""
        if cancel := getattr(self._stream, "cancel", None):
            cancel()

    async def _following(self) -> feed_pb2.ChangeBatch:
        try:
            batch: feed_pb2.ChangeBatch | None = await anext(self._batches, None)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error
        if batch is None:
            raise Unavailable("FEED_UNAVAILABLE", f"the {self.feed} is stopping; try again soon")
        return batch
