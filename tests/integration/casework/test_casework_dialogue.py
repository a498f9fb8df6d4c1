"""Objections to orders, what offices and authors say to one another, and what authors say of the answers."""

from __future__ import annotations

from datetime import timedelta

import grpc
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2, message_pb2, task_pb2, unit_pb2
from huiyin_casework.store import CLOCKS, MESSAGES
from huiyin_chassis import clock
from huiyin_chassis.identity import Principal
from sqlalchemy import select

from tests.integration.casework.conftest import ORDER, PEOPLE, Office, Run, joined, opened

Case, Inquiry, Message = case_pb2.Case, inquiry_pb2.Inquiry, message_pb2.Message
PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN

WATER = Principal("accounts/wang", roles=("officer",), units=("water",))


async def _case(office: Office, event: str = "e1") -> tuple[Case, Inquiry, str]:
    """A case with one inquiry that was submitted to us, and its receipt."""
    submitted = await office.submit(f"{event}路口的井盖松动")
    await office.sent()
    (external_id,) = [key for key, post in office.collector.posts.items() if post.text.startswith(event)]
    await office.tell(opened(event), joined(event, event, source="sources/inquiries", external_id=external_id))
    case = await office.case(event)
    (inquiry,) = await office.inquiries(case)
    return case, inquiry, submitted.receipt


def _objection(case: Case) -> case_pb2.ObjectToCaseRequest:
    return case_pb2.ObjectToCaseRequest(name=case.name, rule="《道路养护办法》第八条", reason="该路段由交通局养护")


def _decision(case: Case, decision: case_pb2.Decision.ValueType) -> case_pb2.DecideObjectionRequest:
    return case_pb2.DecideObjectionRequest(name=case.name, decision=decision, note="职责清单已列明")


def _write(receipt: str, text: str, **fields: str) -> message_pb2.WriteByReceiptRequest:
    return message_pb2.WriteByReceiptRequest(receipt=receipt, text=text, **fields)


async def _clock(office: Office, case: Case, kind: clock_pb2.Clock.Kind.ValueType) -> tuple[int, int]:
    query = select(CLOCKS.c.state, CLOCKS.c.deadline).where(
        CLOCKS.c.case_id == case.name.removeprefix("cases/"), CLOCKS.c.kind == kind
    )
    state, deadline = await office.store.read(lambda connection: connection.execute(query).one())
    return int(state), int(deadline)


def test_an_objection_that_is_upheld_takes_the_order_back(run: Run) -> None:
    async def test(office: Office) -> None:
        unit = unit_pb2.Unit(name="units/water", display_name="水务局")
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.case("e1")
        await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit=unit.name))
        unfounded = _objection(case)
        unfounded.rule = " "
        assert (await office.refusal("ObjectToCase", unfounded, WATER)).violations[0].field == "rule"
        objected = await office.call("ObjectToCase", _objection(case), WATER)
        assert (objected.state, objected.objected) == (Case.STATE_OBJECTED, True)
        assert (await _clock(office, case, clock_pb2.Clock.KIND_ACCEPTANCE))[0] == clock_pb2.Clock.STATE_PAUSED
        upheld = await office.call("DecideObjection", _decision(case, PASS))
        assert (upheld.state, upheld.lead_unit) == (Case.STATE_REGISTERED, "")
        accept = case_pb2.AcceptCaseRequest(name=case.name)
        assert (await office.refusal("AcceptCase", accept, WATER)).code == grpc.StatusCode.NOT_FOUND
        again = await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/desk"))
        assert not again.objected
        await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit=unit.name))
        assert (await office.refusal("ObjectToCase", _objection(case), WATER)).reason == "ALREADY_OBJECTED"
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        assert [entry.note for entry in entries if entry.step == "case.objected"] == [
            "《道路养护办法》第八条\n该路段由交通局养护"
        ]
        await office.steps(case)

    run(test)


def test_an_objection_that_is_refused_lets_the_order_stand_with_the_time_that_was_left(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), "assign")
        _, before = await _clock(office, case, clock_pb2.Clock.KIND_ACCEPTANCE)
        await office.call("ObjectToCase", _objection(case), "officer")
        both = Principal("accounts/officer", roles=("officer", "desk"), everywhere=True)
        assert (await office.refusal("DecideObjection", _decision(case, RETURN), both)).reason == "SAME_OBJECTOR"
        refused = await office.call("DecideObjection", _decision(case, RETURN))
        assert (refused.state, refused.lead_unit) == (Case.STATE_ASSIGNED, "units/desk")
        state, deadline = await _clock(office, case, clock_pb2.Clock.KIND_ACCEPTANCE)
        assert state == clock_pb2.Clock.STATE_RUNNING
        assert deadline >= before
        assert (await office.refusal("ObjectToCase", _objection(case), "officer")).reason == "ALREADY_OBJECTED"
        assert (await office.take(case, "accept")).state == Case.STATE_ACCEPTED

    run(test)


def test_an_objection_comes_within_the_time_to_accept(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), "assign")
        with clock.stopped(clock.now() + timedelta(days=20)):
            assert (await office.refusal("ObjectToCase", _objection(case), "officer")).reason == "OBJECTION_LATE"

    run(test)


def test_the_clock_stands_still_from_a_question_to_its_answer(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        case = await office.take(case, "assign", "accept")
        ask = message_pb2.AskAuthorRequest(
            name=inquiry.name, text="请说明是哪个路口，可回电13812345678", request_id="q"
        )
        asked = await office.call("AskAuthor", ask, "officer")
        assert (asked.open, asked.clock_paused, asked.unit) == (True, True, "units/desk")
        assert await office.call("AskAuthor", ask, "officer") == asked
        ask.request_id = "another"
        assert (await office.refusal("AskAuthor", ask, "officer")).reason == "QUESTION_OPEN"
        assert (await _clock(office, case, clock_pb2.Clock.KIND_ANSWER))[0] == clock_pb2.Clock.STATE_PAUSED

        found = await office.lookup(receipt)
        assert [(each.kind, each.open, each.unit_display_name) for each in found.messages] == [
            (Message.KIND_QUESTION, True, "诉求受理中心")
        ]
        assert "13812345678" not in found.messages[0].text
        written = await office.call("WriteByReceipt", _write(receipt, "人民路与中山路口", request_id="a"), "public")
        assert written.kind == Message.KIND_ANSWER
        again = await office.call("WriteByReceipt", _write(receipt, "人民路与中山路口", request_id="a"), "public")
        assert again == written
        state, deadline = await _clock(office, case, clock_pb2.Clock.KIND_ANSWER)
        assert state == clock_pb2.Clock.STATE_RUNNING
        (now,) = await office.inquiries(case)
        assert (now.question, now.message_count, clock.timestamp_to_micros(now.deadline)) == ("", 2, deadline)
        added = await office.call("WriteByReceipt", _write(receipt, "井盖今晚又响了"), "public")
        assert added.kind == Message.KIND_ADDITION
        told = await office.call("TellAuthor", message_pb2.TellAuthorRequest(name=inquiry.name, text="已派人查看"))
        assert not told.open
        listed = await office.call("ListMessages", message_pb2.ListMessagesRequest(parent=inquiry.name), "officer")
        assert [message.kind for message in listed.messages] == [
            Message.KIND_QUESTION,
            Message.KIND_ANSWER,
            Message.KIND_ADDITION,
            Message.KIND_EXPLANATION,
        ]
        assert listed.messages[1].answers == asked.name
        steps = await office.steps(case)
        for step, count in (("case.asked", 1), ("case.author_wrote", 2), ("case.told", 1), ("case.clock_resumed", 1)):
            assert steps.count(step) == count

    run(test)


def test_a_question_beyond_the_limits_is_asked_while_the_clock_runs_and_can_be_closed(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        paused = []
        for number in range(3):
            ask = message_pb2.AskAuthorRequest(name=inquiry.name, text=f"问题{number}")
            paused.append((await office.call("AskAuthor", ask)).clock_paused)
            closed = await office.call("CloseQuestion", message_pb2.CloseQuestionRequest(name=inquiry.name))
            assert closed.question == ""
        assert paused == [True, True, False]
        close = message_pb2.CloseQuestionRequest(name=inquiry.name)
        assert (await office.refusal("CloseQuestion", close)).reason == "NO_QUESTION"
        await office.take(case, *ORDER)
        late = await office.refusal("WriteByReceipt", _write(receipt, "还有一点"), "public")
        assert late.reason == "INQUIRY_ANSWERED"

    run(test)


def test_who_holds_no_receipt_cannot_be_asked_by_it(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        (inquiry,) = await office.inquiries(await office.case("e1"))
        ask = message_pb2.AskAuthorRequest(name=inquiry.name, text="请说明地点")
        assert (await office.refusal("AskAuthor", ask)).reason == "NO_RECEIPT"
        assert (await office.refusal("AskAuthor", ask, WATER)).code == grpc.StatusCode.NOT_FOUND
        unknown = await office.refusal("WriteByReceipt", _write("AAAA", "补充"), "public")
        assert unknown.reason == "RECEIPT_UNKNOWN"

    run(test)


def test_what_is_added_before_there_is_a_case_stands_in_its_chain_and_goes_with_the_text(run: Run) -> None:
    async def test(office: Office) -> None:
        submitted = await office.submit("e1路口的井盖松动")
        await office.call("WriteByReceipt", _write(submitted.receipt, "在学校旁边"), "public")
        await office.sent()
        (external_id,) = office.collector.posts
        own = {"source": "sources/inquiries", "external_id": external_id}
        await office.tell(opened("e1"), joined("e1", "p1", **own))
        case = await office.case("e1")
        assert (await office.steps(case)).count("case.author_wrote") == 1
        await office.tell(joined("e1", "p1", "membership.purged", **own))
        texts = await office.store.read(lambda connection: connection.scalars(select(MESSAGES.c.text)).all())
        assert texts == [""]
        await office.steps(case)

    run(test)


def test_an_answer_is_judged_once_and_a_case_reopened_for_those_who_are_not_satisfied(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        await office.tell(joined("e1", "p2"))
        judge = message_pb2.GiveFeedbackRequest(receipt=receipt, satisfied=False, reason="井盖还在响")
        assert (await office.refusal("GiveFeedback", judge, "public")).reason == "NOT_ANSWERED"
        case = await office.take(case, *ORDER)
        reopen = case_pb2.ReopenCaseRequest(name=case.name, reason="现场复核确未修好")
        assert (await office.refusal("ReopenCase", reopen)).reason == "NOBODY_DISSATISFIED"
        empty = message_pb2.GiveFeedbackRequest(receipt=receipt)
        assert (await office.refusal("GiveFeedback", empty, "public")).violations[0].field == "reason"
        await office.call("GiveFeedback", judge, "public")
        assert (await office.refusal("GiveFeedback", judge, "public")).reason == "FEEDBACK_GIVEN"
        kinds = {task.kind: task for task in await office.tasks()}
        assert kinds[task_pb2.Task.KIND_DISSATISFIED].inquiry == inquiry.name
        await office.call(
            "CompleteTask",
            task_pb2.CompleteTaskRequest(name=kinds[task_pb2.Task.KIND_DELIVER_REPLY].name, note="已回复"),
        )
        assert (await office.refusal("CloseCase", case_pb2.CloseCaseRequest(name=case.name))).reason == "TASKS_OPEN"

        case = await office.call("ReopenCase", reopen)
        assert (case.state, case.dissatisfied_count, case.lead_unit) == (Case.STATE_ACCEPTED, 0, "units/desk")
        states = {each.name: each.state for each in await office.inquiries(case)}
        assert states.pop(inquiry.name) == Inquiry.STATE_IN_PROGRESS
        assert set(states.values()) == {Inquiry.STATE_ANSWERED}
        assert (await _clock_of(office, inquiry))[0] == clock_pb2.Clock.STATE_RUNNING
        assert await office.tasks() == []

        first = {each.name: each.reply for each in await office.inquiries(case)}
        case = await office.take(case, "draft", "review", "approve", "publish")
        second = {each.name: each.reply for each in await office.inquiries(case)}
        assert first.pop(inquiry.name) == ""
        assert second.pop(inquiry.name) == case.reply
        assert first == second
        found = await office.lookup(receipt)
        assert (len(found.answers), found.HasField("feedback_until")) == (1, False)
        assert (await office.refusal("ReopenCase", reopen)).reason == "NOBODY_DISSATISFIED"
        assert (await office.take(case, "close")).state == Case.STATE_CLOSED
        await office.steps(case)

    run(test)


async def _clock_of(office: Office, inquiry: Inquiry) -> tuple[int, int]:
    query = select(CLOCKS.c.state, CLOCKS.c.deadline).where(CLOCKS.c.id == inquiry.name.removeprefix("inquiries/"))
    state, deadline = await office.store.read(lambda connection: connection.execute(query).one())
    return int(state), int(deadline)


def test_a_case_that_another_followed_is_not_reopened_and_a_sealed_one_is_still_judged(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _, receipt = await _case(office)
        case = await office.take(case, *ORDER)
        await office.call("GiveFeedback", message_pb2.GiveFeedbackRequest(receipt=receipt, reason="没修好"), "public")
        await office.tell(joined("e1", "p9"))
        error = await office.refusal("ReopenCase", case_pb2.ReopenCaseRequest(name=case.name, reason="复核"))
        assert error.reason == "CASE_SUCCEEDED"

        other, _, second = await _case(office, "e2")
        other = await office.take(other, *ORDER, "close")
        until = clock.from_timestamp((await office.lookup(second)).feedback_until)
        judge = message_pb2.GiveFeedbackRequest(receipt=second, satisfied=True)
        with clock.stopped(until + timedelta(minutes=1)):
            assert (await office.refusal("GiveFeedback", judge, "public")).reason == "FEEDBACK_OVER"
        await office.call("GiveFeedback", judge, "public")
        assert (await office.steps(other))[-2:] == ["case.closed", "case.feedback"]

    run(test)


def test_units_note_what_they_find_and_the_note_stays_inside(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _, receipt = await _case(office)
        case = await office.take(case, "assign", "accept")
        note = case_pb2.InvestigateCaseRequest(name=case.name, note="现场查看，井盖缺胶垫")
        assert (await office.call("InvestigateCase", note, "officer")).state == Case.STATE_ACCEPTED
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        assert (entries[-1].sentence, entries[-1].note) == ("记录了核查情况", "现场查看，井盖缺胶垫")
        assert f"交办：诉求受理中心牵头（{case.order_number}）" in {entry.sentence for entry in entries}
        assert not (await office.lookup(receipt)).messages
        assert PEOPLE["officer"].subject == entries[-1].actor

    run(test)
