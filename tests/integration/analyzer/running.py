"""An analyzer without its server, for tests: what it consumes comes from the test."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import huiyin_analyzer
from huiyin.analyzer.v1 import event_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import MIGRATIONS, AnalyzerStore
from huiyin_analyzer.worker.following import Analysis
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.policies import Policies

from tests.databases import migrate

GRADING = (Path(huiyin_analyzer.__file__).parent / "data" / "grading.yaml").read_text("utf-8")
EPOCH = str(uuid.UUID(int=7))
HOUR = 3_600_000_000
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)
NAMES = ("A市A3区碧水湾小区夜间施工噪音扰民", "B市金桂华庭拖欠农民工工资", "A市望江花园自来水停水")


def posts(count: int, *, drill: bool = False) -> list[feed_pb2.Change]:
    """Posts on three matters by turns."""
    changes = []
    for number in range(count):
        post = post_pb2.Post(
            name=f"posts/{'d' if drill else 'p'}{number:04}",
            source="sources/board",
            external_id=str(number),
            subject=NAMES[number % 3],
            text=f"{NAMES[number % 3]}，第{number}次反映，有人受伤",
            publish_time=micros_to_timestamp(number * HOUR),
            expects_answer=number % 2 == 0,
            drill=drill,
            revision=1,
        )
        changes.append(change(number + 1, "post.created", post))
    return changes


def change(sequence: int, kind: str, post: post_pb2.Post) -> feed_pb2.Change:
    found = feed_pb2.Change(sequence=sequence, kind=kind, name=post.name, revision=post.revision, drill=post.drill)
    found.resource.Pack(post)
    return found


class Running:
    """An analyzer without its server: what it consumes comes from the test."""

    def __init__(self, store: AnalyzerStore) -> None:
        self.store = store
        self.policies = Policies({"grading": check_grading})
        self.analysis = Analysis(self.policies)
        self.service = AnalyzerServicer(store, Feed(store), self.policies)

    async def apply(self, changes: Sequence[feed_pb2.Change]) -> None:
        await self.store.write(lambda tx: self.analysis.apply(tx, changes, FeedPosition(EPOCH)))

    async def events(self, **request: Any) -> list[event_pb2.Event]:
        found = await self.service.ListEvents(event_pb2.ListEventsRequest(**request), None)
        return list(found.events)

    async def changes(self) -> list[feed_pb2.Change]:
        """Every change, in order."""
        found: list[feed_pb2.Change] = []
        async for batch in self.service.WatchEvents(event_pb2.WatchEventsRequest(), None):
            found += batch.changes
            if batch.caught_up:
                break
        return found

    async def told(self) -> list[tuple[str, str]]:
        """(kind, name) of every change, in order."""
        return [(found.kind, found.name) for found in await self.changes()]


def run(url: str, test: Callable[[Running], Awaitable[None]]) -> None:
    async def body() -> None:
        set_current_principal(DESK)
        store = AnalyzerStore(url)
        await store.open()
        running = Running(store)
        await store.write(lambda tx: running.policies.seed(tx, "grading", GRADING))
        try:
            await test(running)
        finally:
            await store.close()

    migrate(url, MIGRATIONS)
    asyncio.run(body())
