"""Random lives of a case: whoever tries whichever step whenever, the table decides and the record is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2
from huiyin_casework.handling import Handling
from huiyin_casework.model import chain
from huiyin_casework.model.steps import (
    Fact,
    IllegalStep,
    NotNow,
    State,
    Step,
    advance,
    legal_steps,
)
from huiyin_casework.offices import seed
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import CASES, CLOCKS, ENTRIES, INQUIRIES, MIGRATIONS, REPLIES, CaseworkStore
from huiyin_casework.worker.following import Following
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal
from huiyin_chassis.migrate import migrate
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, select

from tests.integration.casework.conftest import Told, joined, opened, updated

PEOPLE = st.sampled_from([Principal(f"accounts/{name}", everywhere=True) for name in ("li", "wang", "zhao")])

PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN

STEPS: dict[Step, Callable[[Handling], case_pb2.Case]] = {
    Step.ASSIGN: lambda handling: handling.assign("units/desk", [], "请办理"),
    Step.ACCEPT: Handling.accept,
    Step.DRAFT: lambda handling: handling.draft("已处理。"),
    Step.PASS_REVIEW: lambda handling: handling.review(PASS, ""),
    Step.RETURN_REVIEW: lambda handling: handling.review(RETURN, "请补充"),
    Step.APPROVE: lambda handling: handling.approve(PASS, ""),
    Step.RETURN_APPROVAL: lambda handling: handling.approve(RETURN, "请补充"),
    Step.PUBLISH: Handling.publish,
    Step.OBJECT: lambda handling: handling.object_to_order("《供水条例》第三条", "属水务局职责"),
    Step.UPHOLD_OBJECTION: lambda handling: handling.decide_objection(PASS, ""),
    Step.REFUSE_OBJECTION: lambda handling: handling.decide_objection(RETURN, "职责清单已列明"),
    Step.INVESTIGATE: lambda handling: handling.investigate("现场查看，管道破裂"),
    Step.REOPEN: lambda handling: handling.reopen("复核未修好"),
    Step.EXTEND: lambda handling: handling.extend("需现场勘查"),
    Step.REQUEST_EXTENSION: lambda handling: handling.request_extension("需现场勘查"),
    Step.GRANT_EXTENSION: lambda handling: handling.decide_extension(PASS, ""),
    Step.REFUSE_EXTENSION: lambda handling: handling.decide_extension(RETURN, "请按期办理"),
}
OBJECTIONS = (Step.UPHOLD_OBJECTION, Step.REFUSE_OBJECTION)
DECISIONS = (Step.GRANT_EXTENSION, Step.REFUSE_EXTENSION)


class Life(RuleBasedStateMachine):
    """A case of one event, beside a model of it: its state, its author, its inquiries, the steps recorded."""

    store: CaseworkStore
    runner: asyncio.Runner
    rules_in_force: Rules

    def __init__(self) -> None:
        super().__init__()
        self.event = f"e{uuid4()}"
        self.state, self.recorded, self.posts = State.REGISTERED, 0, 0
        self.author = self.requester = self.objector = ""
        self.facts: frozenset[Fact] = frozenset()
        self.told(opened(self.event, grade=2))
        self.case = self.current().id
        self.recorded = 1

    def told(self, told: Told) -> None:
        following = Following(self.rules_in_force)
        self.runner.run(self.store.write(lambda tx: following.follow(tx, [told], lambda effect: str(uuid4()))))

    def current(self) -> Any:
        query = select(CASES).where(CASES.c.event_id == self.event).order_by(CASES.c.create_time)
        return self.read(lambda connection: connection.execute(query).first())

    def read(self, work: Callable[[Connection], Any]) -> Any:
        return self.runner.run(self.store.read(work))

    def facts_now(self) -> frozenset[Fact]:
        return self.facts if self.posts else self.facts | {Fact.NOTHING_WAITS}

    @rule(who=PEOPLE, step=st.sampled_from(list(STEPS)))
    def somebody_tries(self, who: Principal, step: Step) -> None:
        def work(tx: Tx) -> case_pb2.Case:
            return STEPS[step](Handling(tx, self.rules_in_force, who, f"cases/{self.case}", ""))

        reason = ""
        try:
            target = advance(self.state, step, self.facts_now())
        except IllegalStep:
            reason = "STEP_NOT_POSSIBLE"
        except NotNow as refusal:
            reason = refusal.reason
        if not reason and step in (Step.PASS_REVIEW, Step.RETURN_REVIEW) and who.subject == self.author:
            reason = "SAME_AUTHOR"
        if not reason and step in DECISIONS and who.subject == self.requester:
            reason = "SAME_REQUESTER"
        if not reason and step in OBJECTIONS and who.subject == self.objector:
            reason = "SAME_OBJECTOR"
        if reason:
            with pytest.raises(DomainError) as refused:
                self.runner.run(self.store.write(work))
            assert refused.value.reason == reason
            return
        case = self.runner.run(self.store.write(work))
        self.state, self.recorded = target, self.recorded + 1
        extension = frozenset({Fact.EXTENDED, Fact.EXTENSION_REQUESTED})
        if step in (Step.EXTEND, Step.GRANT_EXTENSION):
            self.facts = self.facts - extension | {Fact.EXTENDED}
        elif step == Step.REQUEST_EXTENSION:
            self.facts, self.requester = self.facts | {Fact.EXTENSION_REQUESTED}, who.subject
        elif step == Step.REFUSE_EXTENSION:
            self.facts -= extension
        elif step == Step.OBJECT:
            self.facts, self.objector = self.facts | {Fact.OBJECTED}, who.subject
            self.recorded += 1  # that the clock of the order stands still
        elif step == Step.REFUSE_OBJECTION:
            self.recorded += 1  # that it goes on
        if step == Step.DRAFT:
            self.author = who.subject
        verbs = {legal.step.value.partition(".")[0] for legal in legal_steps(self.state, self.facts_now())}
        assert {possible.step for possible in case.next_steps} == verbs

    @rule()
    def an_inquiry_comes(self) -> None:
        if self.state != State.PUBLISHED:
            self.posts += 1
            self.told(joined(self.event, f"{self.event}-{self.posts}"))
            self.recorded += 1

    @rule(grade=st.integers(2, 4))
    def the_grade_changes(self, grade: int) -> None:
        if self.state != State.PUBLISHED and grade != self.current().grade:
            self.told(updated(self.event, grade=grade))
            self.recorded += 1

    @invariant()
    def the_record_is_whole(self) -> None:
        case = self.current()
        assert case_pb2.Case.State.Name(case.state) == f"STATE_{self.state}"
        query = select(ENTRIES).where(ENTRIES.c.case_id == self.case).order_by(ENTRIES.c.number)
        entries = [chain.Entry(*row) for row in self.read(lambda connection: connection.execute(query).all())]
        assert chain.verify(self.case, entries) == self.recorded == case.entry_count

    @invariant()
    def every_inquiry_is_promised_and_answered_with_its_case(self) -> None:
        query = select(INQUIRIES).where(INQUIRIES.c.case_id == self.case)
        inquiries = self.read(lambda connection: connection.execute(query).all())
        assert len(inquiries) == self.posts == self.current().inquiry_count
        answered = inquiry_pb2.Inquiry.STATE_ANSWERED
        assert all(row.deadline > row.receive_time for row in inquiries)
        assert {row.state == answered for row in inquiries} <= {self.state == State.PUBLISHED}

    @invariant()
    def no_clock_is_lost(self) -> None:
        of_case = select(CLOCKS).where(CLOCKS.c.case_id == self.case)
        own = {row.id: row for row in self.read(lambda connection: connection.execute(of_case).all())}
        inquiries = select(INQUIRIES).where(INQUIRIES.c.case_id == self.case)
        for inquiry in self.read(lambda connection: connection.execute(inquiries).all()):
            assert own[inquiry.id].deadline == inquiry.deadline <= own[inquiry.id].counted_time
        for row in own.values():
            runs = row.state == clock_pb2.Clock.STATE_RUNNING
            assert runs == (row.edition is not None)
            assert runs or row.state == clock_pb2.Clock.STATE_PAUSED or row.next_time is None
        waiting = {clock_pb2.Clock.KIND_ANSWER, clock_pb2.Clock.KIND_FIRST_INFORMATION}
        running = {row.kind for row in own.values() if row.state == clock_pb2.Clock.STATE_RUNNING}
        published = self.state == State.PUBLISHED
        assert running & waiting == (set() if published else waiting if self.posts else waiting - {1})
        assert (clock_pb2.Clock.KIND_ACCEPTANCE in running) == (self.state == State.ASSIGNED)

    @invariant()
    def nothing_is_published_without_another_persons_review(self) -> None:
        query = select(REPLIES).where(REPLIES.c.case_id == self.case)
        published = [
            row
            for row in self.read(lambda connection: connection.execute(query).all())
            if row.state == case_pb2.Reply.STATE_PUBLISHED
        ]
        assert len(published) == (self.state == State.PUBLISHED)
        assert all(row.author != row.reviewer and row.reviewer and row.approver for row in published)


def test_lives_of_cases(database_url: str) -> None:
    migrate(database_url, MIGRATIONS)
    store = CaseworkStore(database_url)
    policies = Policies({"clocks": check_clocks})
    few = settings(
        max_examples=25 if store.dialect == "sqlite" else 8,
        stateful_step_count=40,
        suppress_health_check=list(HealthCheck),
    )

    def prepare(tx: Tx) -> None:
        policies.seed(tx, "clocks", "answer_working_days: 3")
        seed(tx)

    with asyncio.Runner() as runner:
        runner.run(store.open())
        try:
            runner.run(store.write(prepare))
            Life.store, Life.runner, Life.rules_in_force = store, runner, Rules(policies)
            run_state_machine_as_test(Life, settings=few)
        finally:
            runner.run(store.close())
