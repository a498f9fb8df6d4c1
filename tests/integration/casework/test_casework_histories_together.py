"""Random lives of several cases at once: their events gain inquiries, merge, split and are graded while people work.

Nothing is foretold here but what always holds; test_casework_histories.py foretells one case to the letter.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import grpc
from huiyin.casework.v1 import admission_pb2, case_pb2, clock_pb2, inquiry_pb2, task_pb2, unit_pb2
from huiyin_casework import supervision
from huiyin_casework.handling import Handling
from huiyin_casework.handling.admitting import Admitting
from huiyin_casework.handling.authors import AuthorWork
from huiyin_casework.handling.dialogue import Dialogue
from huiyin_casework.model import chain, parts, receipts
from huiyin_casework.model.admission import Ground, Kind
from huiyin_casework.model.following import Consequence, Phase, consequence_of_merge, phase
from huiyin_casework.model.parts import Standing
from huiyin_casework.model.steps import OPEN_STATES, State, Step
from huiyin_casework.offices import seed, write_units
from huiyin_casework.resources import SETTLED, state_named
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import (
    ADMISSIONS,
    CASES,
    CLOCKS,
    ENTRIES,
    EVENTS,
    INQUIRIES,
    MIGRATIONS,
    NO_DEADLINE,
    REPLIES,
    TASKS,
    CaseworkStore,
)
from huiyin_casework.timekeeping import PAUSED, RUNNING, part_clock
from huiyin_casework.worker.following import Following
from huiyin_chassis import clock
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal
from huiyin_chassis.ids import derived_id
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, RowMapping, Select, delete, select, update

from tests.databases import migrate
from tests.integration.casework.conftest import Told, joined, merged, moved, opened, updated
from tests.integration.casework.test_casework_histories import ASKING, ONWARD, PASS, PEOPLE, RETURN, STEPS, WRITING

Inquiry, Clock = inquiry_pb2.Inquiry, clock_pb2.Clock

WORKERS = [Principal(f"accounts/{name}", everywhere=True) for name in ("li", "wang", "zhao")]
UNITS = ("desk", "water", "roads", "power")
ASSISTING = st.lists(st.sampled_from(UNITS[2:]), unique=True)
ANY = st.integers(0, 11)
"""Which of several: the number modulo how many there are."""

COURT = Ground("court", "诉讼", Kind.ROUTE, "《行政诉讼法》", "请向人民法院起诉。")
ADMISSION: dict[Step, Callable[[Admitting], Any]] = {
    Step.ADMIT: lambda work: work.admit(None),
    Step.REFUSE: lambda work: work.refuse(COURT, "", ""),
    Step.PASS_REFUSAL: lambda work: work.review(PASS, ""),
    Step.RETURN_REFUSAL: lambda work: work.review(RETURN, "应予受理"),
}
PARTS: dict[Step, Callable[[Handling, str], Any]] = {
    Step.CONTRIBUTE: lambda handling, unit: handling.contribute(unit, "路基完好"),
    Step.OBJECT_TO_PART: lambda handling, unit: handling.object_to_part(unit, "《公路法》第八条", "属镇村道路"),
    Step.UPHOLD_PART_OBJECTION: lambda handling, unit: handling.decide_part_objection(unit, PASS, ""),
    Step.REFUSE_PART_OBJECTION: lambda handling, unit: handling.decide_part_objection(unit, RETURN, "仍须协办"),
}
REFUSALS = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED}
LIVE = {RUNNING, PAUSED}
WAITED = {Standing.WAITED, Standing.OBJECTED}
BEGIN = datetime(2026, 3, 2, 1, tzinfo=UTC)

Row = RowMapping


class Seen:
    """All that the store holds of some events: what is compared, and what must hold."""

    def __init__(self, connection: Connection, events: Sequence[str]) -> None:
        def rows(query: Select[Any]) -> list[Row]:
            return list(connection.execute(query).mappings())

        self.events = {row["id"]: row for row in rows(select(EVENTS).where(EVENTS.c.id.in_(events)))}
        cases = rows(select(CASES).where(CASES.c.event_id.in_(events)).order_by(CASES.c.create_time, CASES.c.id))
        self.cases = {row["id"]: row for row in cases}
        ids = list(self.cases)
        self.inquiries = {row["id"]: row for row in rows(select(INQUIRIES).where(INQUIRIES.c.event_id.in_(events)))}
        self.clocks = rows(select(CLOCKS).where(CLOCKS.c.case_id.in_(ids)).order_by(CLOCKS.c.id))
        self.replies = {row["id"]: row for row in rows(select(REPLIES).where(REPLIES.c.case_id.in_(ids)))}
        self.admissions = {row["id"]: row for row in rows(select(ADMISSIONS).where(ADMISSIONS.c.case_id.in_(ids)))}
        self.tasks = rows(select(TASKS).where(TASKS.c.case_id.in_(ids)).order_by(TASKS.c.id))
        of_cases = ENTRIES.c.case_id.in_(ids)
        self.entries = rows(select(ENTRIES).where(of_cases).order_by(ENTRIES.c.case_id, ENTRIES.c.number))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Seen) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def inquiries_of(self, case_id: str) -> list[Row]:
        return [row for row in self.inquiries.values() if row["case_id"] == case_id]

    def ids_of(self, case_id: str) -> set[str]:
        return {row["id"] for row in self.inquiries_of(case_id)}

    def open_case_of(self, event: str) -> str:
        """The open case that follows an event, "" for none."""
        found = self.cases.get(self.events[event]["case_id"])
        return str(found["id"]) if found is not None and state_named(found["state"]) in OPEN_STATES else ""

    def state(self, case_id: str) -> State:
        return state_named(self.cases[case_id]["state"])


class Lives(RuleBasedStateMachine):
    """A few events and their cases. Every step of people is tried, and what is refused changes nothing."""

    store: CaseworkStore
    runner: asyncio.Runner
    rules_in_force: Rules
    moment = BEGIN

    def __init__(self) -> None:
        super().__init__()
        self.prefix = f"e{uuid4()}"
        # Events as the analyzer knows them, those that were merged away too; where each post is.
        self.events: list[str] = []
        self.alive: list[str] = []
        self.grades: dict[str, int] = {}
        self.posts: dict[str, str] = {}
        for number in range(3):
            self.an_event_opens(grade=2)
            self.an_inquiry_comes(number)
        self.seen = self.look()

    # Doing

    def look(self) -> Seen:
        return self.runner.run(self.store.read(lambda connection: Seen(connection, self.events)))

    def told(self, *told: Told) -> None:
        following = Following(self.rules_in_force)
        self.runner.run(self.store.write(lambda tx: following.follow(tx, told, lambda effect: str(uuid4()))))

    def attempt(self, work: Callable[[Tx], Any]) -> None:
        type(self).moment += timedelta(seconds=1)  # no two steps at one instant, as in life
        try:
            self.runner.run(self.store.write(work))
        except DomainError as refused:
            assert refused.code in REFUSALS
            assert self.look() == self.seen

    def step(self, who: Principal, case_id: str, take: Callable[[Handling], Any]) -> None:
        self.attempt(lambda tx: take(Handling(tx, self.rules_in_force, who, f"cases/{case_id}", "")))

    def a_case(self, at: int) -> str:
        return list(self.seen.cases)[at % len(self.seen.cases)]

    def an_inquiry(self, at: int, suitable: Callable[[Row], bool] = lambda row: True) -> str:
        """The id of an inquiry, of a suitable one where there is one."""
        ids = [row["id"] for row in self.seen.inquiries.values() if suitable(row)] or list(self.seen.inquiries)
        return ids[at % len(ids)]

    def is_unassigned(self, inquiry: Row) -> bool:
        return self.seen.state(inquiry["case_id"]) == State.REGISTERED

    # What people do

    @rule(who=PEOPLE, at=ANY, step=st.sampled_from(list(STEPS)))
    def somebody_tries(self, who: Principal, at: int, step: Step) -> None:
        self.step(who, self.a_case(at), STEPS[step])

    @rule(first=st.integers(0, 2), at=ANY, far=st.integers(1, 6))
    def a_case_goes_on(self, first: int, at: int, far: int) -> None:
        """Some steps of the way to the answer, each by another person; without this few lives would come to one."""
        case_id = self.a_case(at)
        for number in range(first, first + far):
            self.seen = self.look()
            onward = ONWARD.get(self.seen.state(case_id))
            if onward is not None:
                self.step(WORKERS[number % len(WORKERS)], case_id, STEPS[onward])

    @rule(who=PEOPLE, at=ANY, lead=st.sampled_from(UNITS[:2]), assisting=ASSISTING)
    def units_are_ordered(self, who: Principal, at: int, lead: str, assisting: list[str]) -> None:
        named = [f"units/{unit}" for unit in assisting]
        self.step(who, self.a_case(at), lambda handling: handling.assign(f"units/{lead}", named, ""))

    @rule(who=PEOPLE, at=ANY, step=st.sampled_from(list(PARTS)))
    def an_assisting_unit_has_a_say(self, who: Principal, at: int, step: Step) -> None:
        cases = self.seen.cases
        there = [(case_id, part.unit) for case_id, row in cases.items() for part in parts.parse(row["parts"])]
        case_id, unit = there[at % len(there)] if there else (self.a_case(at), "roads")
        self.step(who, case_id, lambda handling: PARTS[step](handling, f"units/{unit}"))

    @rule(who=PEOPLE, at=ANY, step=st.sampled_from(list(ADMISSION)))
    def an_inquiry_is_decided_on(self, who: Principal, at: int, step: Step) -> None:
        name = f"inquiries/{self.an_inquiry(at, self.is_unassigned)}"
        self.attempt(lambda tx: ADMISSION[step](Admitting(tx, self.rules_in_force, who, name)))

    @rule(who=PEOPLE, at=ANY)
    def a_refusal_is_looked_over(self, who: Principal, at: int) -> None:
        proposed = admission_pb2.Admission.STATE_PROPOSED
        name = f"inquiries/{self.an_inquiry(at, lambda row: bool(row['admission_state'] == proposed))}"
        self.attempt(lambda tx: Admitting(tx, self.rules_in_force, who, name).review(PASS, ""))

    @rule(who=PEOPLE, at=ANY, into=ANY)
    def an_inquiry_is_joined_to_another_case(self, who: Principal, at: int, into: int) -> None:
        name, case = f"inquiries/{self.an_inquiry(at, self.is_unassigned)}", f"cases/{self.a_case(into)}"
        self.attempt(lambda tx: Admitting(tx, self.rules_in_force, who, name).join(case))

    @rule(who=PEOPLE, at=ANY, step=st.sampled_from(list(ASKING)))
    def somebody_speaks_to_an_author(self, who: Principal, at: int, step: Step) -> None:
        name = f"inquiries/{self.an_inquiry(at)}"
        self.attempt(lambda tx: ASKING[step](Dialogue(tx, self.rules_in_force, who, name)))

    @rule(at=ANY, step=st.sampled_from(list(WRITING)))
    def an_author_writes(self, at: int, step: Step) -> None:
        inquiry = self.an_inquiry(at)
        self.attempt(lambda tx: WRITING[step](AuthorWork(tx, self.rules_in_force, inquiry)))

    @rule(who=PEOPLE, at=ANY)
    def an_author_is_not_satisfied_and_the_case_is_reopened(self, who: Principal, at: int) -> None:
        inquiry = self.an_inquiry(at, lambda row: bool(row["reply_id"]))
        self.attempt(lambda tx: WRITING[Step.FEEDBACK](AuthorWork(tx, self.rules_in_force, inquiry)))
        self.seen = self.look()
        self.step(who, self.seen.inquiries[inquiry]["case_id"], STEPS[Step.REOPEN])

    @rule(hours=st.sampled_from([1, 5, 30]))
    def time_passes(self, hours: int) -> None:
        type(self).moment += timedelta(hours=hours)
        at = clock.micros(self.moment)
        while ids := self.runner.run(self.store.read(partial(supervision.due, at=at, most=200))):
            self.runner.run(self.store.write(partial(supervision.fire, rules=self.rules_in_force, ids=ids)))

    # What becomes of events

    @rule(grade=st.integers(1, 3))
    def an_event_opens(self, grade: int) -> None:
        if len(self.events) < 4:
            event = f"{self.prefix}-{len(self.events)}"
            self.events.append(event)
            self.alive.append(event)
            self.grades[event] = grade
            self.told(opened(event, grade=grade))

    @rule(at=ANY)
    def an_inquiry_comes(self, at: int) -> None:
        if len(self.posts) < 8:
            event, post = self.alive[at % len(self.alive)], f"{self.prefix}-p{len(self.posts)}"
            self.posts[post] = event
            self.told(joined(event, post))
            # As one that was submitted to us: its author holds a receipt, here its id.
            inquiry = derived_id("inquiry", f"posts/{post}")
            given = update(INQUIRIES).where(INQUIRIES.c.id == inquiry)
            values = {"receipt_hash": receipts.token_hash(inquiry)}
            self.runner.run(self.store.write(lambda tx: tx.execute(given.values(values))))

    @rule(at=ANY, into=ANY)
    def events_merge(self, at: int, into: int) -> None:
        event, target = self.alive[at % len(self.alive)], self.alive[into % len(self.alive)]
        if event == target:
            return
        before = self.seen
        case, other = (before.events[each]["case_id"] for each in (event, target))
        self.alive.remove(event)
        going = [post for post, where in self.posts.items() if where == event]
        self.posts |= dict.fromkeys(going, target)
        self.told(merged(event, target), *(moved(target, post, event) for post in going))
        if not case or not other:
            return
        now = self.look()
        todo = consequence_of_merge(before.state(case), before.state(other))
        # Beside what the cases held, what of the event was in a third case may come to the one that is open now.
        coming = {derived_id("inquiry", f"posts/{post}") for post in going}
        if todo == Consequence.MERGE_CASES:
            assert (now.state(case), now.cases[case]["merged_into"]) == (State.MERGED, other)
            assert before.ids_of(case) | before.ids_of(other) <= now.ids_of(other)
            assert now.ids_of(other) <= before.ids_of(case) | before.ids_of(other) | coming
            return
        for each in (case, other):
            assert before.ids_of(each) <= now.ids_of(each) <= before.ids_of(each) | coming - before.ids_of(case)
        asked = [
            row
            for row in now.tasks
            if row["kind"] == task_pb2.Task.KIND_EVENTS_MERGED and (row["case_id"], row["other_case"]) == (other, case)
        ]
        assert bool(asked) == (todo == Consequence.ASK_DESK_TO_MERGE)

    @rule(at=ANY, into=ANY)
    def an_event_splits(self, at: int, into: int) -> None:
        """The post of an inquiry moves to another event."""
        post = list(self.posts)[at % len(self.posts)]
        event, target = self.posts[post], self.alive[into % len(self.alive)]
        if event == target:
            return
        before = self.seen
        inquiry = derived_id("inquiry", f"posts/{post}")
        case = before.inquiries[inquiry]["case_id"]
        self.posts[post] = target
        self.told(moved(target, post, event))
        now = self.look()
        held = now.inquiries[inquiry]["case_id"]
        home = before.cases[case]["event_id"]
        at_home = (before.events[home]["merged_into"] or home) == target or before.events[target]["case_id"] == case
        # What the desk joined to a case stays there.
        at_home |= before.inquiries[inquiry]["admission"] == admission_pb2.Admission.OUTCOME_JOINED
        if at_home or phase(before.state(case)) != Phase.UNASSIGNED:
            assert held == case
        else:
            assert held == now.open_case_of(target)
        if not at_home and phase(before.state(case)) == Phase.UNDER_ORDER:
            kinds = {row["kind"] for row in now.tasks if row["case_id"] == case and row["event_id"] == target}
            assert task_pb2.Task.KIND_EVENT_SPLIT in kinds

    @rule(at=ANY, grade=st.integers(1, 4))
    def a_grade_changes(self, at: int, grade: int) -> None:
        event = self.alive[at % len(self.alive)]
        self.grades[event] = grade
        promised = {row["id"]: row["deadline"] for row in self.seen.clocks if row["state"] in LIVE}
        self.told(updated(event, grade=grade))
        # Whatever a grade does, a date that was promised moves no later.
        assert all(row["deadline"] <= promised.get(row["id"], NO_DEADLINE) for row in self.look().clocks)

    # What always holds

    @invariant()
    def everything_holds(self) -> None:
        before, now = self.seen, self.look()
        self.seen = now
        _check_moves(before, now)
        _check_totals(now, len(self.posts))
        _check_answers(now)
        _check_clocks_of_inquiries(now)
        for case_id, case in now.cases.items():
            _check_clocks_of_case(now, case_id, case)
        _check_chains(now)

    def teardown(self) -> None:
        # Nothing of this life falls due in another.
        self.runner.run(self.store.write(lambda tx: tx.execute(delete(CLOCKS))))


def _check_moves(before: Seen, now: Seen) -> None:
    """What is published or sealed never moves; of what a unit works on nothing is taken away."""
    assert set(before.cases) <= set(now.cases)
    for case_id in before.cases:
        was, state = before.state(case_id), now.state(case_id)
        if was in (State.MERGED, State.CLOSED):
            assert state == was
        if phase(was) != Phase.UNASSIGNED:
            assert before.ids_of(case_id) <= now.ids_of(case_id)
        if was in (State.PUBLISHED, State.CLOSED):
            assert before.ids_of(case_id) == now.ids_of(case_id)
            assert before.cases[case_id]["event_id"] == now.cases[case_id]["event_id"]
        if state == State.MERGED:
            assert was in (State.REGISTERED, State.MERGED)
            assert now.ids_of(case_id) == set()
    followed = Counter(row["event_id"] for row in now.cases.values() if state_named(row["state"]) in OPEN_STATES)
    assert max(followed.values(), default=0) <= 1


def _check_totals(now: Seen, posts: int) -> None:
    """Inquiries in are inquiries held, each in one case, and cases count what they hold."""
    assert len(now.inquiries) == posts
    assert {row["case_id"] for row in now.inquiries.values()} <= set(now.cases)
    for case_id, case in now.cases.items():
        held = now.inquiries_of(case_id)
        assert case["inquiry_count"] == len(held)
        assert case["open_refusal_count"] == sum(
            row["admission_state"] == admission_pb2.Admission.STATE_PROPOSED for row in held
        )
        assert case["dissatisfied_count"] == sum(
            row["state"] == Inquiry.STATE_ANSWERED
            and row["feedback"] == Inquiry.FEEDBACK_DISSATISFIED
            and row["feedback_time"] >= row["answer_time"]
            for row in held
        )
        waiting = (row["deadline"] for row in held if row["state"] not in SETTLED)
        assert case["deadline"] == min(waiting, default=NO_DEADLINE)


def _check_answers(now: Seen) -> None:
    """Every inquiry is promised a date and has at most one standing answer, which another person looked over."""
    for inquiry in now.inquiries.values():
        assert inquiry["deadline"] > inquiry["receive_time"]
        reply, admission = now.replies.get(inquiry["reply_id"]), now.admissions.get(inquiry["id"])
        outcomes = (admission_pb2.Admission.OUTCOME_ROUTED, admission_pb2.Admission.OUTCOME_PASSED_ON)
        refused = (
            admission is not None
            and admission["outcome"] in outcomes
            and admission["state"] == admission_pb2.Admission.STATE_IN_FORCE
        )
        if inquiry["state"] == Inquiry.STATE_ANSWERED:
            assert refused != (reply is not None)
        else:
            assert not inquiry["reply_id"]
            assert not refused
        if reply is not None:
            assert (reply["state"], reply["case_id"]) == (case_pb2.Reply.STATE_PUBLISHED, inquiry["case_id"])
        if refused:
            assert admission is not None
            assert admission["reviewer"] not in ("", admission["proposer"])
    for reply in now.replies.values():
        if reply["state"] == case_pb2.Reply.STATE_PUBLISHED:
            assert reply["reviewer"] not in ("", reply["author"])
            assert reply["approver"]


def _check_clocks_of_inquiries(now: Seen) -> None:
    """An inquiry has one clock, which is live exactly while it waits."""
    found = [row for row in now.clocks if row["kind"] == Clock.KIND_ANSWER]
    by_inquiry = {row["inquiry_id"]: row for row in found}
    assert len(found) == len(by_inquiry)
    assert set(by_inquiry) == set(now.inquiries)
    for inquiry_id, inquiry in now.inquiries.items():
        of_it = by_inquiry[inquiry_id]
        assert (of_it["case_id"], of_it["deadline"]) == (inquiry["case_id"], inquiry["deadline"])
        assert (of_it["state"] in LIVE) == (inquiry["state"] not in SETTLED)
        assert of_it["state"] != PAUSED or inquiry["question_id"]
    for row in now.clocks:
        assert (row["state"] == RUNNING) == (row["edition"] is not None)
        assert row["state"] in LIVE or row["next_time"] is None


def _check_clocks_of_case(now: Seen, case_id: str, case: Row) -> None:
    """Of an order, of its parts and of the event itself as many clocks are live as are waited for."""
    state, standing = state_named(case["state"]), parts.parse(case["parts"])
    of_case = [row for row in now.clocks if row["case_id"] == case_id and row["state"] in LIVE]

    def live(kind: clock_pb2.Clock.Kind.ValueType) -> Iterator[Row]:
        return (row for row in of_case if row["kind"] == kind)

    ordered = {case["lead_unit"]} if state in (State.ASSIGNED, State.OBJECTED) else set()
    assert {row["unit_id"] for row in live(Clock.KIND_ACCEPTANCE)} == ordered
    waited = {part_clock(case_id, part.unit) for part in standing if part.standing in WAITED}
    assert {row["id"] for row in live(Clock.KIND_CONTRIBUTION)} == waited
    unheard = state in OPEN_STATES and not case["publish_time"]
    assert bool(list(live(Clock.KIND_FIRST_INFORMATION))) == unheard
    if state in (State.CLOSED, State.MERGED):
        assert of_case == []


def _check_chains(now: Seen) -> None:
    """Every chain is whole, up to the head that its case names."""
    by_case: dict[str, list[chain.Entry]] = {case_id: [] for case_id in now.cases}
    for row in now.entries:
        by_case[row["case_id"]].append(chain.Entry(*row.values()))
    for case_id, case in now.cases.items():
        entries = by_case[case_id]
        assert chain.verify(case_id, entries) == case["entry_count"]
        assert entries[-1].hash == case["head_hash"]


def test_lives_of_cases_whose_events_change(database_url: str) -> None:
    migrate(database_url, MIGRATIONS)
    store = CaseworkStore(database_url)
    policies = Policies({"clocks": check_clocks})
    few = settings(
        max_examples=8 if store.dialect == "sqlite" else 5,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
    )

    def prepare(tx: Tx) -> None:
        policies.seed(tx, "clocks", "answer_working_days: 3")
        seed(tx)
        write_units(tx, [unit_pb2.Unit(name=f"units/{unit}", display_name=unit) for unit in UNITS[1:]])

    with asyncio.Runner() as runner, clock.stopped(lambda: Lives.moment):
        runner.run(store.open())
        try:
            runner.run(store.write(prepare))
            Lives.store, Lives.runner, Lives.rules_in_force = store, runner, Rules(policies)
            run_state_machine_as_test(Lives, settings=few)
        finally:
            runner.run(store.close())
