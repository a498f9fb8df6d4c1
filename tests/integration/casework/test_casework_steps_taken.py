"""A case from its inquiries to the sealed chain, step by step, and who may not take which step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2, unit_pb2
from huiyin_casework.store import CASES, CONTACTS, ENTRIES, REPLIES
from huiyin_chassis import clock
from huiyin_chassis.identity import Principal
from sqlalchemy import func, select, update

from tests.integration.casework.conftest import ORDER, PEOPLE, Office, Run, joined, opened

Case = case_pb2.Case

WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
ROADS = Principal("accounts/li", roles=("officer",), units=("roads",))
POWER = Principal("accounts/zhao", roles=("officer",), units=("power",))


async def _units(office: Office) -> None:
    units = [unit_pb2.Unit(name=f"units/{unit}", display_name=unit) for unit in ("water", "roads", "power")]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")


def test_a_case_goes_from_an_inquiry_to_the_answer_read_with_the_receipt(run: Run) -> None:
    async def test(office: Office) -> None:
        submitted = await office.submit("停水三天")
        await office.sent()
        (external_id,) = office.collector.posts
        own = joined("e1", "p1", source="sources/inquiries", external_id=external_id)
        await office.tell(opened("e1"), own, joined("e1", "p2"))
        case = await office.take(await office.case("e1"), *ORDER)
        assert (case.state, case.HasField("deadline")) == (Case.STATE_PUBLISHED, False)

        found = await office.lookup(submitted.receipt)
        assert found.state == inquiry_pb2.Inquiry.STATE_ANSWERED
        assert [(answer.text, answer.unit_display_name) for answer in found.answers] == [
            ("管网已抢修完毕，今晨恢复供水。", "诉求受理中心")
        ]

        (task,) = await office.tasks()
        assert (task.kind, task.source, task.external_id) == (
            task_pb2.Task.KIND_DELIVER_REPLY,
            "sources/board",
            "row-p2",
        )
        assert (task.title, task.unit) == (case.title, "units/desk")
        error = await office.refusal("CloseCase", case_pb2.CloseCaseRequest(name=case.name))
        assert error.reason == "TASKS_OPEN"
        done = task_pb2.CompleteTaskRequest(name=task.name, note="已在留言板回复", request_id="r")
        first = await office.call("CompleteTask", done)
        assert await office.call("CompleteTask", done) == first
        assert (first.state, first.completer) == (task_pb2.Task.STATE_DONE, "accounts/desk")

        case = await office.take(case, "close")
        assert (case.state, list(case.next_steps)) == (Case.STATE_CLOSED, [])
        assert await office.steps(case) == [
            "case.opened",
            "case.inquiry_joined",
            "case.inquiry_joined",
            "case.assigned",
            "case.accepted",
            "case.drafted",
            "case.reviewed",
            "case.approved",
            "case.published",
            "task.completed",
            "case.closed",
        ]

    run(test)


def test_an_event_is_held_while_its_case_is_open_and_more_firmly_once_it_is_assigned(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1", grade=2))
        await office.sent()
        assert office.analyzer.holds == {"e1": 1}
        case = await office.take(await office.case("e1"), "assign")
        await office.sent()
        assert office.analyzer.holds == {"e1": 2}
        await office.take(case, *ORDER[1:], "close")
        await office.sent()
        assert office.analyzer.holds == {"e1": 0}

    run(test)


def test_contacts_are_destroyed_when_the_time_for_feedback_is_over(run: Run) -> None:
    async def test(office: Office) -> None:
        from huiyin_casework.rules import Rules
        from huiyin_casework.service.policies import check_clocks
        from huiyin_casework.worker.following import Following
        from huiyin_casework.worker.forgetting import Forgetting
        from huiyin_chassis.feed import Feed
        from huiyin_chassis.policies import Policies

        rules = Rules(Policies({"clocks": check_clocks}))
        forgetting = Forgetting(office.store, Feed(office.store), rules, Following(rules), feed_days=90, answer_days=90)
        count = select(func.count()).select_from(CONTACTS)

        async def contacts() -> int:
            await forgetting.forget()
            return int(await office.store.read(lambda connection: connection.scalar(count)) or 0)

        await office.submit("停水", contact="老王 13812345678")
        await office.sent()
        (external_id,) = office.collector.posts
        await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
        case = await office.take(await office.case("e1"), *ORDER, "close")
        closed = clock.from_timestamp(case.close_time)
        with clock.stopped(closed + timedelta(days=6)):
            assert await contacts() == 1
        with clock.stopped(closed + timedelta(days=8)):
            assert await contacts() == 0
        assert (await office.steps(case))[-2:] == ["case.closed", "contacts.destroyed"]

    run(test)


@pytest.mark.parametrize(
    ("table", "values"),
    [(ENTRIES, {"actor": "accounts/nobody"}), (REPLIES, {"text": "一切正常。"}), (CASES, {"entry_count": 3})],
)
def test_an_alteration_shows(run: Run, table: Any, values: dict[str, Any]) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), "assign", "accept", "draft")
        await office.store.write(lambda tx: tx.execute(update(table).values(**values)))
        whole = await office.call("VerifyCase", case_pb2.VerifyCaseRequest(name=case.name))
        assert not whole.intact
        assert whole.problem

    run(test)


def test_a_step_that_is_not_possible_names_those_that_are_and_for_whom(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.case("e1")
        assert [(step.step, list(step.roles)) for step in case.next_steps] == [
            ("admit", ["desk"]),
            ("refuse", ["desk"]),
            ("join", ["desk"]),
            ("assign", ["desk"]),
            ("note", ["desk"]),
            ("extend", ["desk"]),
            ("ask", ["desk"]),
            ("tell", ["desk"]),
            ("close_question", ["desk"]),
            ("read_contact", ["desk"]),
            ("attach", ["desk"]),
        ]
        error = await office.refusal("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), "officer")
        assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "STEP_NOT_POSSIBLE")
        assert error.metadata == {
            "state": "REGISTERED",
            "possible": "admit,refuse,join,assign,note,extend,ask,tell,close_question,read_contact.ask_back,attach",
        }
        assert "assign (desk)" in error.message

    run(test)


def test_nobody_reviews_what_they_wrote(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), "assign", "accept", "draft")
        both = Principal("accounts/officer", roles=("officer", "reviewer"), everywhere=True)
        request = case_pb2.ReviewReplyRequest(name=case.name, decision=case_pb2.DECISION_PASS)
        assert (await office.refusal("ReviewReply", request, both)).reason == "SAME_AUTHOR"
        case = await office.take(case, "review")
        replies = await office.call("ListReplies", case_pb2.ListRepliesRequest(parent=case.name))
        assert (replies.replies[0].author, replies.replies[0].reviewer) == ("accounts/officer", "accounts/reviewer")

    run(test)


def test_a_returned_reply_is_written_anew_and_the_reason_stays_beside_it(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), "assign", "accept", "draft")
        back = case_pb2.ReviewReplyRequest(name=case.name, decision=case_pb2.DECISION_RETURN)
        assert (await office.refusal("ReviewReply", back, "reviewer")).violations[0].field == "note"
        back.note = "没有说明恢复时间"
        case = await office.call("ReviewReply", back, "reviewer")
        assert case.state == Case.STATE_ACCEPTED
        case = await office.take(case, "draft", "review", "approve", "publish")
        listed = await office.call("ListReplies", case_pb2.ListRepliesRequest(parent=case.name))
        assert [(reply.state, reply.note) for reply in listed.replies] == [
            (case_pb2.Reply.STATE_PUBLISHED, ""),
            (case_pb2.Reply.STATE_RETURNED, "没有说明恢复时间"),
        ]
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        assert {entry.step: entry.note for entry in entries if entry.note} == {"case.returned": "没有说明恢复时间"}
        assert not any("恢复" in entry.details for entry in entries)

    run(test)


def test_a_case_is_extended_once_up_to_the_longest_that_the_policy_allows(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        before = await office.case("e1")
        case = await office.take(before, "extend")
        assert case.extended
        assert clock.from_timestamp(case.deadline) > clock.from_timestamp(before.deadline)
        (inquiry,) = await office.inquiries(case)
        assert inquiry.deadline == case.deadline
        again = case_pb2.ExtendCaseRequest(name=case.name, reason="还需时间")
        assert (await office.refusal("ExtendCase", again)).reason == "ALREADY_EXTENDED"

    run(test)


def test_a_stale_etag_is_refused_and_a_repeated_request_answered_as_before(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.case("e1")
        assign = case_pb2.AssignCaseRequest(
            name=case.name, lead_unit="units/desk", etag=case.etag, request_id="one", note="请尽快"
        )
        first = await office.call("AssignCase", assign)
        assert await office.call("AssignCase", assign) == first
        assign.request_id = "two"
        error = await office.refusal("AssignCase", assign)
        assert (error.code, error.reason) == (grpc.StatusCode.ABORTED, "STALE_ETAG")
        assert (await office.steps(case)).count("case.assigned") == 1

    run(test)


def test_a_unit_sees_its_cases_and_acts_on_those_that_it_leads(run: Run) -> None:
    async def test(office: Office) -> None:
        await _units(office)
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
        case = await office.case("e1")
        accept = case_pb2.AcceptCaseRequest(name=case.name)
        assert (await office.refusal("AcceptCase", accept, WATER)).code == grpc.StatusCode.NOT_FOUND
        assign = case_pb2.AssignCaseRequest(
            name=case.name, lead_unit="units/water", assisting_units=["units/roads"], note="请牵头"
        )
        assert list((await office.call("AssignCase", assign)).assisting_units) == ["units/roads"]
        assert (await office.refusal("AcceptCase", accept, POWER)).code == grpc.StatusCode.NOT_FOUND
        assert (await office.refusal("AcceptCase", accept, ROADS)).reason == "NOT_LEAD_UNIT"
        assert (await office.call("AcceptCase", accept, WATER)).state == Case.STATE_ACCEPTED
        for who, seen in ((WATER, ["e1"]), (ROADS, ["e1"]), (POWER, []), (PEOPLE["desk"], ["e1", "e2"])):
            assert sorted(each.event.removeprefix("events/") for each in await office.cases(who=who)) == seen
            listed = await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest(), who)
            assert listed.total_size == len(seen)

    run(test)


def test_an_order_names_units_that_exist_each_once(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.case("e1")
        unknown = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/nobody")
        assert (await office.refusal("AssignCase", unknown)).reason == "UNIT_UNKNOWN"
        twice = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/desk", assisting_units=["units/desk"])
        assert (await office.refusal("AssignCase", twice)).violations[0].field == "assisting_units"

    run(test)
