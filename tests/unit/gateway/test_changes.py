"""The stream of changes: whatever breaks when, a client that comes back with its last id gets every change once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from huiyin.casework.v1 import case_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.errors import InvalidArgument, OutOfRange, Unauthenticated, Unavailable
from huiyin_chassis.feed import cursor_of, sequence_of
from huiyin_chassis.identity import ROLES, Principal
from huiyin_gateway import changes
from huiyin_gateway.audience import Selection
from huiyin_gateway.changes import FEEDS, LINES, Hub, Subscription, format_position, parse_position
from hypothesis import given, settings
from hypothesis import strategies as st

EVERYTHING = Principal("accounts/inspector", ROLES["inspector"], ("inspector",), everywhere=True)


class MemoryFeed:
    """A service's feed in memory: it can be stopped, and come back with all that it has. `pauses`: turns of the loop
    that it takes before each batch."""

    def __init__(self, pauses: int = 0) -> None:
        self.count = 0
        self.pauses = pauses
        self.running = True
        self.moved = asyncio.Event()

    def tell(self, number: int = 1) -> None:
        self.count += number
        self._notify()

    def stop(self) -> None:
        self.running = False
        self._notify()

    def start(self) -> None:
        self.running = True

    def _notify(self) -> None:
        self.moved.set()
        self.moved = asyncio.Event()

    async def watch(self, cursor: str, tail: bool) -> AsyncIterator[feed_pb2.ChangeBatch]:
        at = sequence_of(cursor) if cursor else self.count if tail else 0
        if at > self.count:
            raise _Refused()
        first = True
        while self.running:
            for _ in range(self.pauses):
                await asyncio.sleep(0)
            moved = self.moved
            batch = feed_pb2.ChangeBatch(epoch="e", caught_up=True)
            for sequence in range(at + 1, min(self.count, at + 3) + 1):
                change = batch.changes.add(sequence=sequence, kind="case.updated", name=f"cases/{sequence}")
                change.resource.Pack(case_pb2.Case(name=change.name))  # type: ignore[arg-type]
                at = sequence
            batch.cursor, batch.caught_up = cursor_of("e", at), at == self.count
            if first or batch.changes:
                first = False
                yield batch
            if at == self.count:
                await moved.wait()
        raise Unavailable("UNAVAILABLE", "stopped")


class _Refused(OutOfRange):
    def __init__(self) -> None:
        super().__init__("CURSOR_UNKNOWN", "not of this feed")


class Page:
    """Where a stream writes to; it is blocked when a test says so."""

    def __init__(self) -> None:
        self.on_drained: Callable[[], object] | None = None
        self.blocked = False
        self.texts: asyncio.Queue[bytes] = asyncio.Queue()

    def piece(self, chunk: bytes) -> None:
        self.texts.put_nowait(chunk)

    async def drained(self) -> None:
        pass


class Client:
    """Reads a stream and remembers what an EventSource remembers."""

    def __init__(self) -> None:
        self.last_id = ""
        self.seen: dict[str, list[int]] = {feed: [] for feed in FEEDS}
        self.farewell = ""

    def read(self, text: bytes) -> None:
        for block in text.decode().split("\n\n"):
            fields = dict(line.partition(": ")[::2] for line in block.splitlines())
            self.last_id = fields.get("id", self.last_id)
            self.farewell = fields.get("", self.farewell)
            if "data" in fields:
                data = json.loads(fields["data"])
                self.seen[data["service"]].append(int(data["change"]["sequence"]))

    async def follow(self, hub: Hub, enough: Callable[[], bool]) -> None:
        """Reads until it has enough or is sent away."""
        stream = await hub.subscribe(Selection(EVERYTHING, ()), parse_position(self.last_id) if self.last_id else {})
        try:
            async with written(stream) as texts:
                async for text in texts:
                    self.read(text)
                    if enough():
                        return
        finally:
            hub.leave(stream)


@asynccontextmanager
async def written(stream: Subscription, page: Page | None = None) -> AsyncIterator[AsyncIterator[bytes]]:
    """What a stream writes, until it ends."""
    page = page or Page()

    async def the_same() -> Selection:
        return stream.selection

    writing = asyncio.create_task(stream.write_to(page, the_same))
    writing.add_done_callback(lambda _: page.texts.put_nowait(b""))

    async def texts() -> AsyncIterator[bytes]:
        while text := await page.texts.get():
            yield text
        writing.result()

    try:
        async with aclosing(texts()) as found:
            yield found
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "COALESCE_SECONDS", 0.002)
    monkeypatch.setattr(changes, "HEARTBEAT_SECONDS", 0.003)
    monkeypatch.setattr(changes, "_BEAT_SECONDS", 0.001)
    monkeypatch.setattr(changes, "_WAIT_SECONDS", 0.5)
    monkeypatch.setattr(changes, "from_rpc_error", lambda error: error)
    monkeypatch.setattr(changes.grpc, "RpcError", (Unavailable, OutOfRange))
    monkeypatch.setattr(changes.Backoff, "delay", lambda *_: 0.001)


def hub_of(feeds: dict[str, MemoryFeed]) -> Hub:
    return Hub({feed: memory.watch for feed, memory in feeds.items()})


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.sampled_from(FEEDS), st.integers(1, 7)),
        st.tuples(st.just("stop"), st.sampled_from(FEEDS), st.just(0)),
        st.tuples(st.just("start"), st.sampled_from(FEEDS), st.just(0)),
        st.tuples(st.just("read"), st.just(""), st.integers(1, 4)),
        st.tuples(st.just("new gateway"), st.just(""), st.just(0)),
        st.tuples(st.just("turn"), st.just(""), st.integers(1, 8)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 4)),
    ),
    max_size=40,
)


@settings(max_examples=200)
@given(STEPS, st.tuples(*[st.integers(0, 6)] * len(FEEDS)), st.booleans())
def test_every_change_reaches_the_client_once_and_in_order(
    steps: list[tuple[str, str, int]], pauses: tuple[int, ...], another_client: bool
) -> None:
    async def body() -> None:
        feeds = {feed: MemoryFeed(pause) for feed, pause in zip(FEEDS, pauses, strict=True)}
        hub, client = hub_of(feeds), Client()
        await client.follow(hub, lambda: True)
        beside = asyncio.create_task(Client().follow(hub, lambda: False)) if another_client else None
        reading: asyncio.Task[None] | None = None
        for step, feed, number in steps:
            if step == "tell":
                feeds[feed].tell(number)
            elif step == "stop":
                feeds[feed].stop()
            elif step == "start":
                feeds[feed].start()
            elif step == "new gateway":
                hub.close()
                hub = hub_of(feeds)
            elif step == "turn":
                for _ in range(number):
                    await asyncio.sleep(0)
            elif step == "wait":
                await asyncio.sleep(number / 1000)
            elif reading is None or reading.done():
                pieces = iter(range(1, number))
                reading = asyncio.create_task(client.follow(hub, lambda left=pieces: next(left, None) is None))
        if reading is not None:
            reading.cancel()
        await asyncio.gather(*filter(None, [reading]), return_exceptions=True)
        for memory in feeds.values():
            memory.start()
            memory.tell()

        def complete() -> bool:
            return all(len(client.seen[feed]) >= feeds[feed].count for feed in FEEDS)

        async with asyncio.timeout(10):
            while not complete():
                await client.follow(hub, complete)
        assert client.seen == {feed: list(range(1, feeds[feed].count + 1)) for feed in FEEDS}
        hub.close()
        if beside is not None:
            beside.cancel()
            await asyncio.gather(beside, return_exceptions=True)

    asyncio.run(body())


async def next_change(texts: AsyncIterator[bytes]) -> bytes:
    while b"event: " not in (text := await anext(texts)):
        pass
    return text


def run_with_stream(test: Any) -> None:
    async def body() -> None:
        feeds = {feed: MemoryFeed() for feed in FEEDS}
        hub = hub_of(feeds)
        stream = await hub.subscribe(Selection(EVERYTHING, ()), {})
        await test(hub, feeds, stream)
        hub.leave(stream)

    asyncio.run(body())


def test_equal_selections_get_the_very_same_text() -> None:
    async def body(hub: Hub, feeds: dict[str, MemoryFeed], first: Subscription) -> None:
        second = await hub.subscribe(Selection(EVERYTHING, ()), {})
        async with written(first) as one, written(second) as other:
            for reader in (one, other):
                await anext(reader)
            feeds["casework"].tell(2)
            texts = [await next_change(reader) for reader in (one, other)]
        assert texts[0] is texts[1] and texts[0].count(b"event: case.updated") == 2
        hub.leave(second)

    run_with_stream(body)


def test_lines_carry_the_place_that_events_have_as_their_id() -> None:
    async def body(hub: Hub, feeds: dict[str, MemoryFeed], first: Subscription) -> None:
        second = await hub.subscribe(Selection(EVERYTHING, ()), {}, LINES)
        async with written(first) as events, written(second) as lines:
            assert json.loads(await anext(lines)) == {"cursor": format_position(hub.place[1])}
            feeds["casework"].tell(2)
            client = Client()
            client.read(await next_change(events))
            while b'"change"' not in (text := await anext(lines)):
                assert json.loads(text).keys() == {"cursor"}
            rows = [json.loads(line) for line in text.splitlines()]
        assert [row["change"]["sequence"] for row in rows] == ["1", "2"] and rows[-1]["cursor"] == client.last_id
        hub.leave(second)

    run_with_stream(body)


def test_a_client_that_falls_behind_the_ring_is_sent_away_with_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "_RING", 10)

    async def body(hub: Hub, feeds: dict[str, MemoryFeed], stream: Subscription) -> None:
        client, page = Client(), Page()
        async with written(stream, page) as texts:
            client.read(await anext(texts))
            before = client.last_id
            page.blocked = True
            feeds["casework"].tell(50)
            await hub.wait(lambda: hub.ready_place[0] == 50)
            page.blocked = False
            assert page.on_drained is not None
            page.on_drained()
            client.read(b"".join([text async for text in texts]))
        assert "too slow" in client.farewell and client.last_id == before

    run_with_stream(body)


def test_what_is_not_for_a_client_moves_its_place_on() -> None:
    async def body(hub: Hub, feeds: dict[str, MemoryFeed], stream: Subscription) -> None:
        stream.selection = Selection(EVERYTHING, ["post.*"])
        client = Client()
        feeds["casework"].tell(4)
        async with written(stream) as texts:
            async for text in texts:
                client.read(text)
                if parse_position(client.last_id)["casework"] == cursor_of("e", 4):
                    break
        assert client.seen["casework"] == []

    run_with_stream(body)


def test_a_key_that_was_taken_away_ends_the_stream_and_a_narrower_reach_narrows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(changes, "_RECHECK_SECONDS", 0.001)

    async def body(hub: Hub, feeds: dict[str, MemoryFeed], stream: Subscription) -> None:
        page, looked = Page(), asyncio.Event()

        async def narrower() -> Selection:
            looked.set()
            return Selection(EVERYTHING, ["post.*"])

        writing = asyncio.create_task(stream.write_to(page, narrower))
        await looked.wait()
        await asyncio.sleep(0)
        feeds["casework"].tell(3)
        await hub.wait(lambda: hub.ready_place[0] == 3)
        assert b"case.updated" not in b"".join(page.texts.get_nowait() for _ in range(page.texts.qsize()))
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        async def gone() -> Selection:
            raise Unauthenticated("KEY_UNKNOWN", "this API key is not known")

        with pytest.raises(Unauthenticated):
            await stream.write_to(page, gone)

    run_with_stream(body)


def test_a_service_that_is_away_keeps_nobody_from_the_others() -> None:
    async def body() -> None:
        feeds = {feed: MemoryFeed() for feed in FEEDS}
        hub, client = hub_of(feeds), Client()
        await client.follow(hub, lambda: True)
        feeds["casework"].tell(2)
        feeds["casework"].stop()
        feeds["analyzer"].tell(3)
        await client.follow(hub, lambda: len(client.seen["analyzer"]) == 3)
        assert client.seen["casework"] == []

        following = asyncio.create_task(client.follow(hub, lambda: False))
        await asyncio.sleep(0.01)
        feeds["casework"].start()
        await following
        assert "the casework is back" in client.farewell
        await client.follow(hub, lambda: len(client.seen["casework"]) == 2)
        assert client.seen["casework"] == [1, 2] and client.seen["analyzer"] == [1, 2, 3]

    asyncio.run(body())


def test_a_cursor_of_another_feed_is_refused_before_the_stream_begins() -> None:
    async def body(hub: Hub, feeds: dict[str, MemoryFeed], stream: Subscription) -> None:
        for cursor in ("nonsense", cursor_of("e", 99)):
            with pytest.raises(OutOfRange):
                await hub.subscribe(Selection(EVERYTHING, ()), {"casework": cursor})

    run_with_stream(body)


def test_an_id_is_the_vector_of_the_four_cursors() -> None:
    position = {"collector": "a", "notifier": "b"}
    assert parse_position(format_position(position)) == position
    with pytest.raises(InvalidArgument):
        parse_position("a~b")
