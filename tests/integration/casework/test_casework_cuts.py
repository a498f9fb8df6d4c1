"""Whatever happens, and wherever batches are cut or a process is killed: the same cases, inquiries, chains, changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from huiyin.analyzer.v1 import event_pb2
from huiyin.casework.v1 import case_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_casework.handling import Handling
from huiyin_casework.model import chain
from huiyin_casework.model.steps import OPEN_STATES
from huiyin_casework.offices import seed
from huiyin_casework.resources import state_number
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import (
    ANSWERS,
    ASSIGNMENTS,
    CASES,
    CLOCKS,
    ENTRIES,
    EVENTS,
    INQUIRIES,
    MIGRATIONS,
    NO_DEADLINE,
    ORDER_COUNTERS,
    ORDERS,
    REPLIES,
    TASKS,
    CaseworkStore,
)
from huiyin_casework.worker.following import Following
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from huiyin_chassis.tables import CHANGES, OUTBOX
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Table, delete, select

from tests.databases import migrate
from tests.integration.casework.conftest import PEOPLE, Told, joined, merged, moved, opened, updated

EPOCH = str(UUID(int=7))
OPEN = [state_number(state) for state in OPEN_STATES]

Step = tuple[str, int]
"""Somebody takes the next step with the n-th case that is there."""
Item = Told | Step


@dataclass
class History:
    """Writes a feed that an analyzer could tell, with steps of people in between, from what is drawn."""

    events: list[str] = field(default_factory=list)
    home: dict[str, str] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)

    def add(self, what: str, one: int, other: int) -> None:
        """One more thing that happens."""
        if what == "open" or not self.events:
            self._open(one)
            return
        event = self.events[one % len(self.events)]
        another = self.events[other % len(self.events)]
        posts = sorted(self.home)
        post = posts[other % len(posts)] if posts else ""
        match what:
            case "join":
                post = f"p{len(self.home)}"
                self.home[post] = event
                self.items.append(joined(event, post, expects_answer=other % 4 > 0))
            case "grade":
                self.items.append(updated(event, grade=1 + other % 4))
            case "merge" if event != another:
                self.events.remove(event)
                self.items.append(merged(event, another))
                for each in [post for post in posts if self.home[post] == event]:
                    self._move(each, another)
            case "move" if post:
                self._move(post, event)
            case "purge" if post:
                self.items.append(joined(self.home[post], post, "membership.purged", subject="", text=""))
            case "step":
                self.items.append(("step", one))

    def _open(self, number: int) -> None:
        event = f"e{len(self.items)}"
        self.events.append(event)
        self.items.append(opened(event, grade=1 + (number % 3 == 0)))

    def _move(self, post: str, event: str) -> None:
        if self.home[post] != event:
            self.items.append(moved(event, post, self.home[post]))
            self.home[post] = event


WHAT = st.sampled_from(["open", "join", "join", "join", "grade", "merge", "move", "purge", "step", "step", "step"])
HISTORIES = st.lists(st.tuples(WHAT, st.integers(0, 11), st.integers(0, 11)), min_size=5, max_size=60)


class Desk:
    """A store to which histories are applied, one after the other."""

    def __init__(self, store: CaseworkStore) -> None:
        self.store = store
        policies = Policies({"clocks": check_clocks})
        self.rules = Rules(policies)
        self.following = Following(self.rules)
        self.seed = partial(policies.seed, kind="clocks", default_body="answer_working_days: 3")

    async def outcome(self, items: Sequence[Item], cuts: set[int], killed: set[int]) -> dict[str, Any]:
        """What a history leaves behind, applied in batches that end at `cuts` and are undone once at `killed`."""
        await self.store.write(self._empty)
        batch: list[feed_pb2.Change] = []
        for number, item in enumerate(items, 1):
            kind, resource = item
            if isinstance(resource, int):
                await self._apply(batch)
                await self.store.write(partial(self._step, number=resource))
            else:
                batch.append(_change(number, kind, resource))
            if number in killed:
                with pytest.raises(InterruptedError):
                    await self.store.write(partial(self._killed, batch=batch))
            if number in cuts:
                await self._apply(batch)
        await self._apply(batch)
        return await self.store.read(_outcome)

    async def _apply(self, batch: list[feed_pb2.Change]) -> None:
        if batch:
            await self.store.write(lambda tx: self.following.apply(tx, batch, FeedPosition(EPOCH)))
            batch.clear()

    def _killed(self, tx: Tx, batch: list[feed_pb2.Change]) -> None:
        if batch:
            self.following.apply(tx, batch, FeedPosition(EPOCH))
        raise InterruptedError

    def _step(self, tx: Tx, number: int) -> None:
        """Takes the next step with a case, if one is possible."""
        cases = tx.execute(select(CASES.c.id, CASES.c.state).order_by(CASES.c.id)).all()
        if not cases:
            return
        case = cases[number % len(cases)]
        way = {
            case_pb2.Case.STATE_REGISTERED: ("desk", lambda it: it.assign("units/desk", [], "")),
            case_pb2.Case.STATE_ASSIGNED: ("officer", lambda it: it.accept()),
            case_pb2.Case.STATE_ACCEPTED: ("officer", lambda it: it.draft("已处理。")),
            case_pb2.Case.STATE_DRAFTED: ("reviewer", lambda it: it.review(case_pb2.DECISION_PASS, "")),
            case_pb2.Case.STATE_REVIEWED: ("approver", lambda it: it.approve(case_pb2.DECISION_PASS, "")),
            case_pb2.Case.STATE_APPROVED: ("desk", lambda it: it.publish()),
        }
        if case.state in way:
            who, take = way[case.state]
            take(Handling(tx, self.rules, PEOPLE[who], f"cases/{case.id}", ""))

    def _empty(self, tx: Tx) -> None:
        of_cases = (CASES, INQUIRIES, CLOCKS, ENTRIES, REPLIES, ANSWERS, TASKS, ASSIGNMENTS, ORDERS, ORDER_COUNTERS)
        for table in (EVENTS, *of_cases, CHANGES, OUTBOX):
            tx.execute(delete(table))
        self.seed(tx)
        seed(tx)


def _change(number: int, kind: str, resource: event_pb2.Event | event_pb2.Membership) -> feed_pb2.Change:
    change = feed_pb2.Change(sequence=number, kind=kind, name=resource.name)
    change.resource.Pack(resource)
    return change


def _outcome(connection: Connection) -> dict[str, Any]:
    """Everything that is left, but times, salts and the hashes over them."""
    cases = _rows(connection, CASES)
    entries = _rows(connection, ENTRIES)
    holds: dict[str, int] = {}
    for row in _rows(connection, OUTBOX):
        request = event_pb2.SetEventHoldRequest.FromString(row["payload"])
        holds |= dict.fromkeys(request.events, int(request.hold))
    return {
        "cases": {row["id"]: _without(row, "head_hash") for row in cases},
        "inquiries": {row["external_id"]: _without(row, "salt") for row in _rows(connection, INQUIRIES)},
        "entries": sorted((row["case_id"], row["number"], row["step"], row["details"]) for row in entries),
        "clocks": {row["id"]: _without(row) for row in _rows(connection, CLOCKS)},
        "orders": {row["id"]: _without(row, "accept_deadline", "answer_deadline") for row in _rows(connection, ORDERS)},
        "tasks": {row["id"]: _without(row) for row in _rows(connection, TASKS)},
        "changes": [(row["kind"], row["name"], row["revision"]) for row in _rows(connection, CHANGES, "sequence")],
        "holds": holds,
    }


def _rows(connection: Connection, table: Table, order: str = "") -> list[dict[str, Any]]:
    query = select(table)
    if order or "number" in table.c or table is OUTBOX:
        query = query.order_by(table.c[order or ("id" if table is OUTBOX else "number")])
    return [dict(row) for row in connection.execute(query).mappings()]


def _without(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: row[name] for name in row if name not in names and "time" not in name and name != "deadline"}


def _check(connection: Connection) -> None:
    """What holds after every history."""
    cases = {row["id"]: row for row in _rows(connection, CASES)}
    events = {row["id"]: row for row in _rows(connection, EVENTS)}
    inquiries = _rows(connection, INQUIRIES)
    live = Counter(row["event_id"] for row in cases.values() if row["state"] in OPEN)
    assert all(count == 1 for event, count in live.items() if not events[event]["merged_into"])
    held = Counter(row["case_id"] for row in inquiries)
    assert {case: row["inquiry_count"] for case, row in cases.items()} == {case: held[case] for case in cases}
    assert all(row["case_id"] in cases and row["deadline"] for row in inquiries)
    answers = {row["inquiry_id"]: row for row in _rows(connection, CLOCKS) if row["inquiry_id"]}
    assert {row["id"]: (row["case_id"], row["deadline"]) for row in inquiries} == {
        inquiry: (clock["case_id"], clock["deadline"]) for inquiry, clock in answers.items()
    }
    for case in cases.values():
        waiting = [row["deadline"] for row in inquiries if row["case_id"] == case["id"] and not row["answer_time"]]
        assert case["deadline"] == min(waiting, default=NO_DEADLINE)
        rows = [row for row in _rows(connection, ENTRIES) if row["case_id"] == case["id"]]
        assert chain.verify(case["id"], [chain.Entry(case["id"], *list(row.values())[1:]) for row in rows]) == len(rows)
        assert rows[-1]["hash"] == case["head_hash"]
    final = {event["merged_into"] for event in events.values()} - {""}
    assert not any(events[event]["merged_into"] for event in final)


@contextmanager
def _desk(url: str) -> Iterator[tuple[asyncio.Runner, Desk]]:
    migrate(url, MIGRATIONS)
    store = CaseworkStore(url)
    with asyncio.Runner() as runner:
        runner.run(store.open())
        try:
            yield runner, Desk(store)
        finally:
            runner.run(store.close())


def test_the_result_is_the_same_wherever_batches_are_cut_or_undone(database_url: str) -> None:
    with _desk(database_url) as (runner, desk):

        @settings(max_examples=100 if desk.store.dialect == "sqlite" else 15)
        @given(HISTORIES, st.sets(st.integers(1, 60)), st.sets(st.integers(1, 60), max_size=3))
        def same(drawn: list[tuple[str, int, int]], cuts: set[int], killed: set[int]) -> None:
            history = History()
            for what, one, other in drawn:
                history.add(what, one, other)
            one_by_one = runner.run(desk.outcome(history.items, set(range(1, 400)), set()))
            runner.run(desk.store.read(_check))
            assert runner.run(desk.outcome(history.items, cuts, killed)) == one_by_one

        same()
