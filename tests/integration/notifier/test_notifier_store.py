"""What is recorded follows from the changes and from nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from huiyin.casework.v1 import clock_pb2, task_pb2
from huiyin.collector.v1 import source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed
from huiyin_chassis.migrate import differences
from huiyin_notifier.model.happenings import Happening
from huiyin_notifier.model.routes import parse
from huiyin_notifier.store import (
    METADATA,
    MIGRATIONS,
    NOTIFICATIONS,
    Arrival,
    NotifierStore,
    Outcome,
)
from huiyin_notifier.worker.following import happening_of
from huiyin_notifier.worker.forgetting import Forgetting
from sqlalchemy import select

from tests.databases import migrate

ROUTES = parse(
    """
receivers: [{id: a, channel: log}, {id: b, channel: log}]
route:
  receiver: a
  group_by: [unit]
  group_wait: 30s
  group_interval: 5m
  repeat_interval: 4h
  routes:
    - {match: {grade: SERIOUS}, receiver: b, continue: true}
    - {match: {grade: SERIOUS}}
"""
)
START = datetime(2026, 3, 2, 1, tzinfo=UTC)


@asynccontextmanager
async def store_on(url: str) -> AsyncIterator[NotifierStore]:
    migrate(url, MIGRATIONS)
    store = NotifierStore(url)
    await store.open()
    await store.write(store.seed)
    try:
        yield store
    finally:
        await store.close()


def happening(number: int, kind: str = "case.opened", revision: int = 1, grade: str = "LARGE") -> Happening:
    case = f"cases/{number}"
    return Happening(kind, case, revision, case, f"units/{number % 2}", grade, title=f"第{number}件")


def arrivals(happenings: Sequence[Happening]) -> list[Arrival]:
    return [
        Arrival(one, route, ROUTES.receivers[route.receiver or ""])
        for one in happenings
        for route in ROUTES.takers(one)
    ]


HAPPENINGS = [
    happening(number % 40, revision=1 + number // 40, grade=("LARGE", "SERIOUS")[number % 3 == 0])
    for number in range(120)
]


async def facts(store: NotifierStore) -> list[tuple[object, ...]]:
    columns = (NOTIFICATIONS.c.id, NOTIFICATIONS.c.receiver, NOTIFICATIONS.c.case, NOTIFICATIONS.c.cause)
    return await store.read(
        lambda connection: [tuple(row) for row in connection.execute(select(*columns).order_by("id"))]
    )


def test_the_migrations_make_the_tables_that_the_code_declares(database_url: str) -> None:
    assert not differences(database_url, MIGRATIONS, METADATA)


@pytest.mark.parametrize("cuts", [[0, 120], [0, 1, 2, 119, 120], [0, 50, 120], [0, 60, 120, 30, 90]])
def test_what_is_recorded_does_not_depend_on_where_batches_are_cut_or_read_again(
    database_url: str, sqlite_url: str, cuts: list[int]
) -> None:
    async def scenario() -> None:
        async with store_on(database_url) as store:
            for start, end in pairwise(cuts):
                part = arrivals(HAPPENINGS[min(start, end) : max(start, end)])
                await store.write(lambda tx, part=part: store.admit(tx, part))  # type: ignore[misc]
            found = await facts(store)
        expected = {arrival.id: arrival for arrival in arrivals(HAPPENINGS)}
        assert [row[0] for row in found] == sorted(expected)
        assert len(found) == 120 + 40

    asyncio.run(scenario())


def test_a_group_keeps_its_pace_and_what_was_said_waits_for_repeat_interval(database_url: str) -> None:
    now = START

    async def leave(store: NotifierStore, seconds: float) -> list[list[str]]:
        """What leaves once so much time has passed: the cases of each message."""
        nonlocal now
        now += timedelta(seconds=seconds)
        await store.write(store.form_messages)
        messages = await store.read(lambda connection: store.due_messages(connection, now))
        for message in messages:
            await store.write(lambda tx, id=message.id: store.record(tx, Outcome(id, "log")))  # type: ignore[misc]
        return sorted(sorted(item.case for item in message.items) for message in messages)

    async def come(store: NotifierStore, *happenings: Happening) -> None:
        await store.write(lambda tx: store.admit(tx, arrivals(happenings)))

    async def scenario() -> None:
        async with store_on(database_url) as store:
            await come(store, happening(1), happening(2), happening(3))
            assert await leave(store, 29) == []
            assert await leave(store, 1) == [["cases/1", "cases/3"], ["cases/2"]]
            await come(store, happening(5), happening(1, revision=2))
            assert await leave(store, 299) == []
            assert await leave(store, 1) == [["cases/5"]]
            assert await leave(store, 4 * 3600 - 301) == []
            assert await leave(store, 1) == [["cases/1"]]
            assert await store.read(store.next_time) is None

    with clock.stopped(lambda: now):
        asyncio.run(scenario())


def test_what_was_dealt_with_is_forgotten_when_its_time_is_over(database_url: str) -> None:
    now = START

    async def scenario() -> None:
        nonlocal now
        async with store_on(database_url) as store:
            await store.write(lambda tx: store.admit(tx, arrivals([happening(1), happening(2)])))
            now += timedelta(seconds=30)
            await store.write(store.form_messages)
            (first, second) = await store.read(lambda connection: store.due_messages(connection, now))
            await store.write(lambda tx: store.record(tx, Outcome(first.id, "log")))
            await store.write(lambda tx: store.record(tx, Outcome(second.id, "webhook", "refused", 60.0)))
            now += timedelta(days=181)
            await Forgetting(store, Feed(store), timedelta(days=180)).forget()
            (kept,) = await facts(store)
            assert kept[2] == second.items[0].case.removeprefix("cases/")

    with clock.stopped(lambda: now):
        asyncio.run(scenario())


def test_a_clock_is_told_of_with_the_units_that_it_concerns() -> None:
    change = feed_pb2.Change(kind="clock.circular", name="clocks/7", revision=4)
    change.resource.Pack(
        clock_pb2.Clock(
            name="clocks/7",
            case="cases/1",
            unit="units/water",
            supervising_unit="units/housing",
            grade=2,
            topic="topics/供水",
            title="停水",
        )
    )
    assert happening_of(change) == Happening(
        "clock.circular",
        "clocks/7",
        4,
        "cases/1",
        "units/water",
        "LARGE",
        "topics/供水",
        title="停水",
        supervisor="units/housing",
    )


def test_tasks_are_told_of_with_the_case_that_they_belong_to() -> None:
    change = feed_pb2.Change(kind="task.created", name="tasks/7", revision=1)
    change.resource.Pack(task_pb2.Task(name="tasks/7", case="cases/1"))
    assert happening_of(change) == Happening("task.created", "tasks/7", 1, "cases/1")


def test_sources_are_told_of_by_their_names() -> None:
    change = feed_pb2.Change(kind="source.silent", name="sources/board/health", revision=3)
    change.resource.Pack(source_pb2.SourceHealth(name=change.name, display_name="青石镇论坛", revision=3))
    assert happening_of(change) == Happening("source.silent", "sources/board/health", 3, title="青石镇论坛")
