"""Random lives of a case: whoever tries whichever step whenever, the table decides and the record is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import StrEnum
from typing import Any
from uuid import uuid4

import pytest
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2
from huiyin_casework.handling import Handling
from huiyin_casework.handling.authors import AuthorWork
from huiyin_casework.handling.dialogue import Dialogue
from huiyin_casework.model import chain, receipts
from huiyin_casework.model.steps import (
    OPEN_STATES,
    TABLE,
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
from huiyin_casework.store import (
    CASES,
    CLOCKS,
    ENTRIES,
    INQUIRIES,
    MIGRATIONS,
    NO_DEADLINE,
    REPLIES,
    CaseworkStore,
)
from huiyin_casework.worker.following import Following
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal
from huiyin_chassis.ids import derived_id
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Connection, select, update

from tests.databases import migrate
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
    Step.NOTE: lambda handling: handling.note("周五再看"),
    Step.DISMISS: lambda handling: handling.dismiss("无需办理"),
    Step.REOPEN: lambda handling: handling.reopen("复核未修好"),
    Step.EXTEND: lambda handling: handling.extend("需现场勘查"),
    Step.REQUEST_EXTENSION: lambda handling: handling.request_extension("需现场勘查"),
    Step.GRANT_EXTENSION: lambda handling: handling.decide_extension(PASS, ""),
    Step.REFUSE_EXTENSION: lambda handling: handling.decide_extension(RETURN, "请按期办理"),
}
ONWARD = {
    State.REGISTERED: Step.ASSIGN,
    State.ASSIGNED: Step.ACCEPT,
    State.OBJECTED: Step.REFUSE_OBJECTION,
    State.ACCEPTED: Step.DRAFT,
    State.DRAFTED: Step.PASS_REVIEW,
    State.REVIEWED: Step.APPROVE,
    State.APPROVED: Step.PUBLISH,
    State.PUBLISHED: Step.REOPEN,
}
STEPS_THERE_ARE = {(row.source, row.step) for row in TABLE}
OBJECTIONS = (Step.UPHOLD_OBJECTION, Step.REFUSE_OBJECTION)
DECISIONS = (Step.GRANT_EXTENSION, Step.REFUSE_EXTENSION)


class Voice(StrEnum):
    """Where an inquiry stands."""

    WAITS = "waits"
    ANSWERED = "answered"
    WITHDRAWN = "withdrawn"


NUMBERS = {
    Voice.WAITS: inquiry_pb2.Inquiry.STATE_IN_PROGRESS,
    Voice.ANSWERED: inquiry_pb2.Inquiry.STATE_ANSWERED,
    Voice.WITHDRAWN: inquiry_pb2.Inquiry.STATE_WITHDRAWN,
}
ASKING: dict[Step, Callable[[Dialogue], Any]] = {
    Step.ASK: lambda dialogue: dialogue.ask("几号楼？"),
    Step.TELL: lambda dialogue: dialogue.tell("已派人查看"),
    Step.CLOSE_QUESTION: Dialogue.close_question,
}
WRITING: dict[Step, Callable[[AuthorWork], Any]] = {
    Step.WRITE: lambda author: author.write("三号楼"),
    Step.WITHDRAW: lambda author: author.withdraw("已经来水"),
    Step.FEEDBACK: lambda author: author.give_feedback(satisfied=False, reason="仍在停水"),
}


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
        # Inquiries in the order in which they came; those asked, judged, and not satisfied with the answer in force.
        self.voices: list[Voice] = []
        self.asked: set[int] = set()
        self.judged: set[int] = set()
        self.unhappy: set[int] = set()
        self.published = 0
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
        true = {Fact.NOTHING_WAITS: Voice.WAITS not in self.voices, Fact.DISSATISFIED: bool(self.unhappy)}
        return self.facts | {fact for fact, holds in true.items() if holds}

    def inquiry_id(self, number: int) -> str:
        return derived_id("inquiry", f"posts/{self.event}-{number + 1}")

    def receipt(self, number: int) -> str:
        return f"{self.event}-{number}"

    @rule(who=PEOPLE, step=st.sampled_from(list(STEPS)))
    def somebody_tries(self, who: Principal, step: Step) -> None:
        self.take(who, step)

    @rule(who=PEOPLE)
    def the_case_goes_on(self, who: Principal) -> None:
        """Without this few lives would come to an answer, and hardly one further."""
        if self.state in ONWARD:
            self.take(who, ONWARD[self.state])

    def take(self, who: Principal, step: Step) -> None:
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
        elif step == Step.PUBLISH:
            self.published += 1
            self.asked.clear()
            self.voices = [Voice.ANSWERED if each == Voice.WAITS else each for each in self.voices]
        elif step == Step.REOPEN:
            self.recorded += len(self.unhappy)  # that the task of each is done
            self.voices = [Voice.WAITS if n in self.unhappy else each for n, each in enumerate(self.voices)]
            self.unhappy.clear()
        elif step == Step.DISMISS:
            self.recorded += 1  # that it is sealed
        verbs = {legal.step.value.partition(".")[0] for legal in legal_steps(self.state, self.facts_now())}
        assert {possible.step for possible in case.next_steps} == verbs

    @rule()
    def an_inquiry_comes(self) -> None:
        if self.state in OPEN_STATES and self.posts < 4:
            self.posts += 1
            self.told(joined(self.event, f"{self.event}-{self.posts}"))
            number = len(self.voices)
            self.voices.append(Voice.WAITS)
            # As one that was submitted to us: its author holds a receipt.
            given = update(INQUIRIES).where(INQUIRIES.c.id == self.inquiry_id(number))
            values = {"receipt_hash": receipts.token_hash(self.receipt(number))}
            self.runner.run(self.store.write(lambda tx: tx.execute(given.values(values))))
            self.recorded += 1

    @rule(who=PEOPLE, step=st.sampled_from(list(ASKING)), at=st.integers(0, 3))
    def somebody_speaks_to_an_author(self, who: Principal, step: Step, at: int) -> None:
        if at >= len(self.voices):
            return
        name = f"inquiries/{self.inquiry_id(at)}"

        def work(tx: Tx) -> Any:
            return ASKING[step](Dialogue(tx, self.rules_in_force, who, name))

        waits, asked = self.voices[at] == Voice.WAITS, at in self.asked
        possible = {Step.ASK: waits and not asked, Step.TELL: waits, Step.CLOSE_QUESTION: asked}[step]
        if self.attempt(work, possible=possible and (self.state, step) in STEPS_THERE_ARE):
            self.asked -= {at} if step == Step.CLOSE_QUESTION else set()
            self.asked |= {at} if step == Step.ASK else set()

    @rule(step=st.sampled_from(list(WRITING)), at=st.integers(0, 3))
    def an_author_writes(self, step: Step, at: int) -> None:
        if at >= len(self.voices):
            return

        def work(tx: Tx) -> Any:
            return WRITING[step](AuthorWork(tx, self.rules_in_force, self.receipt(at)))

        judges = self.voices[at] == Voice.ANSWERED and at not in self.judged
        possible = judges if step == Step.FEEDBACK else self.voices[at] == Voice.WAITS
        if not self.attempt(work, possible=possible and (self.state, step) in STEPS_THERE_ARE):
            return
        if step == Step.FEEDBACK:
            self.judged.add(at)
            self.unhappy.add(at)
        else:
            self.asked.discard(at)
        if step == Step.WITHDRAW:
            self.voices[at] = Voice.WITHDRAWN

    def attempt(self, work: Callable[[Tx], Any], *, possible: bool) -> bool:
        if not possible:
            with pytest.raises(DomainError):
                self.runner.run(self.store.write(work))
            return False
        self.runner.run(self.store.write(work))
        self.recorded = self.current().entry_count  # a clock may have gone on with it
        return True

    @rule(grade=st.integers(2, 4))
    def the_grade_changes(self, grade: int) -> None:
        if self.state in OPEN_STATES and grade != self.current().grade:
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
        assert all(row.deadline > row.receive_time for row in inquiries)
        by_id = {row.id: row for row in inquiries}
        for number, voice in enumerate(self.voices):
            row = by_id[self.inquiry_id(number)]
            assert row.state == NUMBERS[voice]
            assert bool(row.reply_id) == (voice == Voice.ANSWERED)  # one standing answer, at most
            assert bool(row.question_id) == (number in self.asked)
        waiting = [row.deadline for row in inquiries if row.state == NUMBERS[Voice.WAITS]]
        assert self.current().deadline == min(waiting, default=NO_DEADLINE)
        assert self.current().dissatisfied_count == len(self.unhappy)

    @invariant()
    def no_clock_is_lost(self) -> None:
        of_case = select(CLOCKS).where(CLOCKS.c.case_id == self.case)
        own = {row.id: row for row in self.read(lambda connection: connection.execute(of_case).all())}
        inquiries = select(INQUIRIES).where(INQUIRIES.c.case_id == self.case)
        for inquiry in self.read(lambda connection: connection.execute(inquiries).all()):
            clock = own[inquiry.id]
            assert clock.deadline == inquiry.deadline
            # A promise is kept where the rule gives more; what a pause gave is never taken back.
            assert clock.deadline <= clock.counted_time or clock.pauses != "[]"
            ends = {Voice.ANSWERED: clock_pb2.Clock.STATE_MET, Voice.WITHDRAWN: clock_pb2.Clock.STATE_DROPPED}
            voice = next(voice for voice, number in NUMBERS.items() if number == inquiry.state)
            live = {clock_pb2.Clock.STATE_RUNNING, clock_pb2.Clock.STATE_PAUSED}
            assert clock.state in live if voice == Voice.WAITS else clock.state == ends[voice]
            assert inquiry.question_id or clock.state != clock_pb2.Clock.STATE_PAUSED
        for row in own.values():
            runs = row.state == clock_pb2.Clock.STATE_RUNNING
            assert runs == (row.edition is not None)
            assert runs or row.state == clock_pb2.Clock.STATE_PAUSED or row.next_time is None
        running = {row.kind for row in own.values() if row.state == clock_pb2.Clock.STATE_RUNNING}
        unheard = not self.published and self.state != State.CLOSED
        assert (clock_pb2.Clock.KIND_FIRST_INFORMATION in running) == unheard
        assert (clock_pb2.Clock.KIND_ACCEPTANCE in running) == (self.state == State.ASSIGNED)

    @invariant()
    def nothing_is_published_without_another_persons_review(self) -> None:
        query = select(REPLIES).where(REPLIES.c.case_id == self.case)
        published = [
            row
            for row in self.read(lambda connection: connection.execute(query).all())
            if row.state == case_pb2.Reply.STATE_PUBLISHED
        ]
        assert len(published) == self.published
        assert all(row.author != row.reviewer and row.reviewer and row.approver for row in published)


def test_lives_of_cases(database_url: str) -> None:
    migrate(database_url, MIGRATIONS)
    store = CaseworkStore(database_url)
    policies = Policies({"clocks": check_clocks})
    few = settings(
        max_examples=9 if store.dialect == "sqlite" else 4,
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
