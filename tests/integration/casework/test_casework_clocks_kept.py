"""Clocks as rows: what starts and ends them, what a new policy moves, what a pause and an extension do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2, policy_pb2, unit_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_casework import supervision
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.model.clocks.counting import PauseRefused
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import ENTRIES
from huiyin_casework.worker.keeping_time import KeepingTime
from huiyin_chassis import clock
from huiyin_chassis.clock import from_timestamp, to_timestamp
from huiyin_chassis.identity import Principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import select

from tests.integration.casework.conftest import LARGE, SERIOUS, Office, Run, joined, opened, updated

Clock = clock_pb2.Clock
SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2026, 11, 23, 9, tzinfo=SHANGHAI)
"""A Monday, as work begins."""
WATER = Principal("accounts/li", roles=("officer",), units=("water",))


class Wall:
    """The one clock on the wall of a test."""

    def __init__(self) -> None:
        self.moment = NOW.astimezone(UTC)

    def turn(self, **by: float) -> None:
        """Some time passes."""
        self.moment += timedelta(**by)


@contextmanager
def stopped() -> Iterator[Wall]:
    wall = Wall()
    with clock.stopped(lambda: wall.moment):
        yield wall


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


async def clocks(office: Office, name: str) -> dict[str, Any]:
    """The clocks of a case by their rules, of an answer each."""
    found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=name))
    return {explained.clock.rule: explained.clock for explained in found.clocks}


def keeping(office: Office) -> KeepingTime:
    """The worker as a process that starts has it."""
    return KeepingTime(office.store, Rules(Policies({"clocks": check_clocks})))


async def set_policy(office: Office, body: str) -> None:
    policy = policies_pb2.Policy(name="policies/clocks", body=body)
    await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")
    await keeping(office).count_anew()


async def write_unit(office: Office, **fields: Any) -> None:
    unit = unit_pb2.Unit(name="units/water", display_name="供水公司", parent="units/desk", **fields)
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")


def test_a_case_has_clocks_of_its_kinds_and_each_step_ends_its_own(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.case("e1")
            found = await clocks(office, case.name)
            assert {rule: from_timestamp(each.deadline) for rule, each in found.items()} == {
                "answer": at("2026-11-25T17:30"),
                "first_information.ORDINARY": at("2026-11-25T09:00"),
            }
            assert {each.unit for each in found.values()} == {"units/desk"}
            await office.take(case, "assign")
            found = await clocks(office, case.name)
            # Half of seven hours: the morning's three and half an hour of the afternoon.
            assert from_timestamp(found["acceptance"].deadline) == at("2026-11-23T14:00")
            wall.turn(hours=1)
            await office.take(case, "accept")
            found = await clocks(office, case.name)
            assert found["acceptance"].state == Clock.STATE_MET
            assert from_timestamp(found["acceptance"].end_time) == wall.moment
            await office.take(case, "draft", "review", "approve", "publish")
            assert {each.state for each in (await clocks(office, case.name)).values()} == {Clock.STATE_MET}

    run(test)


def test_another_order_has_a_clock_of_its_own_in_the_hours_of_its_unit(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            await write_unit(office, working_hours=["08:00-10:00"], time_zone="Asia/Urumqi")
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.take(await office.case("e1"), "assign")
            await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water"))
            found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=case.name))
            orders = [each.clock for each in found.clocks if each.clock.kind == Clock.KIND_ACCEPTANCE]
            running = [each for each in orders if each.state == Clock.STATE_RUNNING]
            assert [each.state for each in orders if each not in running] == [Clock.STATE_DROPPED]
            # 08:00 in Ürümqi is 10:00 in Beijing; half of that unit's day is one hour.
            assert [from_timestamp(each.deadline) for each in running] == [at("2026-11-23T11:00")]
            await write_unit(office)
            await keeping(office).count_anew()
            found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=running[0].name))
            # The policy's hours give more; what was promised stays.
            assert from_timestamp(found.clocks[0].clock.counted_time) == at("2026-11-23T14:00")
            assert found.clocks[0].clock.deadline == running[0].deadline

    run(test)


def test_a_grade_that_rises_shortens_the_clocks_of_a_case_from_its_opening(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await office.tell(opened("e1", grade=LARGE), joined("e1", "p1"))
            case = await office.case("e1")
            wall.turn(hours=1)
            await office.tell(updated("e1", grade=SERIOUS))
            found = await clocks(office, case.name)
            assert {rule: from_timestamp(each.deadline) for rule, each in found.items()} == {
                "answer.urgent": at("2026-11-24T17:30"),
                "first_information.SERIOUS": at("2026-11-23T14:00"),
                "briefing.SERIOUS": at("2026-11-24T09:00"),
            }
            await office.tell(updated("e1", grade=LARGE))
            found = await clocks(office, case.name)
            assert from_timestamp(found["first_information.LARGE"].deadline) == at("2026-11-23T14:00")
            assert from_timestamp(found["answer"].deadline) == at("2026-11-24T17:30")
            assert from_timestamp(found["answer"].counted_time) == at("2026-11-25T17:30")

    run(test)


def test_a_new_calendar_counts_running_clocks_anew_and_moves_no_promise_later(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.case("e1")
            await set_policy(office, "overrides: {free: [2026-11-24]}")
            (answer,) = [each for each in (await clocks(office, case.name)).values() if each.inquiry]
            assert from_timestamp(answer.deadline) == at("2026-11-25T17:30")
            assert from_timestamp(answer.counted_time) == at("2026-11-26T17:30")
            assert "case.clocks_moved" not in await office.steps(case)
            await set_policy(office, "answer_working_days: 2\nfirst_information_hours: {}")
            moved = await office.case("e1")
            (inquiry,) = await office.inquiries(case)
            assert from_timestamp(moved.deadline) == from_timestamp(inquiry.deadline) == at("2026-11-24T17:30")
            assert (await office.steps(case)).count("case.clocks_moved") == 1
            entries = await office.store.read(
                lambda connection: connection.scalars(
                    select(ENTRIES.c.details).where(ENTRIES.c.step == "case.clocks_moved")
                ).all()
            )
            assert answer.name.removeprefix("clocks/") in entries[0]
            # A rule that is no more leaves what it promised.
            left = (await clocks(office, case.name))["first_information.ORDINARY"]
            assert from_timestamp(left.deadline) == at("2026-11-25T09:00")

    run(test)


def test_a_clock_stands_still_and_goes_on_with_what_was_left(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.case("e1")
            rules = Rules(Policies({"clocks": check_clocks}))

            async def change(how: Any) -> None:
                def work(tx: Tx) -> None:
                    files = CaseFiles(tx, rules)
                    (answer,) = [row for row in files.clocks.of_case(case.name[6:]) if row["inquiry_id"]]
                    how(files, answer, "accounts/officer")
                    files.write()

                await office.store.write(work)

            with pytest.raises(PauseRefused):
                await change(supervision.resume)
            wall.turn(hours=1)
            await change(supervision.pause)
            with pytest.raises(PauseRefused):
                await change(supervision.pause)
            still = (await clocks(office, case.name))["answer"]
            assert still.state == Clock.STATE_PAUSED
            wall.turn(days=1)
            await change(supervision.resume)
            (inquiry,) = await office.inquiries(case)
            assert from_timestamp(inquiry.deadline) == at("2026-11-26T17:30")
            assert (await office.case("e1")).deadline == inquiry.deadline
            # Paused again and forgotten: the policy allows five days in all, of which one is used up.
            await change(supervision.pause)
            wall.turn(days=30)
            await keeping(office).fire()
            answer = (await clocks(office, case.name))["answer"]
            assert answer.state == Clock.STATE_RUNNING
            assert from_timestamp(answer.pauses[1].end_time) == at("2026-11-30T10:00")
            assert from_timestamp(answer.deadline) == at("2026-12-02T17:30")
            with pytest.raises(PauseRefused):
                await change(supervision.pause)
            steps = await office.steps(case)
            assert steps.count("case.clock_paused") == steps.count("case.clock_resumed") == 2

    run(test)


def test_an_extension_is_asked_for_by_the_unit_and_granted_once_by_another(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.take(await office.case("e1"), "assign", "accept")
            ask = case_pb2.RequestExtensionRequest(name=case.name, reason="需现场勘查。")
            grant = case_pb2.DecideExtensionRequest(name=case.name, decision=case_pb2.DECISION_PASS)
            refuse = case_pb2.DecideExtensionRequest(name=case.name, decision=case_pb2.DECISION_RETURN, note="请按期")
            assert (await office.refusal("DecideExtension", grant)).reason == "EXTENSION_NOT_REQUESTED"
            asked = await office.call("RequestExtension", ask, "officer")
            assert asked.extension == case_pb2.Case.EXTENSION_REQUESTED
            assert asked.deadline == case.deadline
            assert (await office.refusal("RequestExtension", ask, "officer")).reason == "EXTENSION_REQUESTED"
            both = Principal("accounts/officer", roles=("officer", "approver"), everywhere=True)
            assert (await office.refusal("DecideExtension", grant, both)).reason == "SAME_REQUESTER"
            silent = case_pb2.DecideExtensionRequest(name=case.name, decision=case_pb2.DECISION_RETURN)
            assert (await office.refusal("DecideExtension", silent, "approver")).violations[0].field == "note"
            refused = await office.call("DecideExtension", refuse, "approver")
            assert (refused.extension, refused.extended) == (case_pb2.Case.EXTENSION_REFUSED, False)
            await office.call("RequestExtension", ask, "officer")
            granted = await office.call("DecideExtension", grant, "approver")
            assert granted.extended
            assert from_timestamp(granted.deadline) == at("2026-11-27T17:30")
            (inquiry,) = await office.inquiries(case)
            assert inquiry.deadline == granted.deadline
            assert (await office.refusal("RequestExtension", ask, "officer")).reason == "ALREADY_EXTENDED"
            steps = [step for step in await office.steps(case) if "exten" in step]
            assert steps == [
                "case.extension_requested",
                "case.extension_refused",
                "case.extension_requested",
                "case.extended",
            ]

    run(test)


def test_a_clock_explains_itself_and_a_receipt_says_what_is_not_sure(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            wall.moment = at("2026-09-30T16:30").astimezone(UTC)
            receipt = await office.submit("路灯不亮")
            assert list(receipt.weekday_years) == []
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.case("e1")
            wall.turn(days=8)
            found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=case.name))
            (answer,) = [each for each in found.clocks if each.clock.inquiry]
            assert found.left_out == 0
            holiday = [each for each in answer.stretches if each.reason == each.REASON_HOLIDAY]
            assert [from_timestamp(each.start_time) for each in holiday] == [at("2026-10-01T00:00")]
            assert "国务院办公厅关于2026年" in holiday[0].notice
            counted = sum(each.end_time.seconds - each.start_time.seconds for each in answer.stretches if each.counted)
            assert counted == answer.allowed.seconds == 3 * 7 * 3600
            assert answer.passed.seconds + answer.left.seconds == counted
            assert answer.passed.seconds == 7 * 3600
            assert answer.time_zone == "Asia/Shanghai"
            wall.moment = at("2040-10-01T09:00").astimezone(UTC)
            receipt = await office.submit("积水")
            assert list(receipt.weekday_years) == [2040]
            assert list((await office.lookup(receipt.receipt)).weekday_years) == [2040]
            unknown = clock_pb2.ExplainClockRequest(name="clocks/none")
            assert (await office.refusal("ExplainClock", unknown)).reason == "NOT_FOUND"
            stranger = clock_pb2.ExplainClockRequest(name=case.name)
            assert (await office.refusal("ExplainClock", stranger, WATER)).reason == "NOT_FOUND"

    run(test)


def test_what_was_done_outside_is_noted_and_what_was_left_undone_shows_in_the_seal(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            await office.tell(opened("e1", grade=SERIOUS), joined("e1", "p1"), opened("e2", grade=SERIOUS))
            case, other = await office.case("e1"), await office.case("e2")
            found = await clocks(office, case.name)
            met_by_step = clock_pb2.CompleteClockRequest(name=found["answer.urgent"].name, note="已答复")
            assert (await office.refusal("CompleteClock", met_by_step)).reason == "CLOCK_MET_BY_STEP"
            held = clock_pb2.CompleteClockRequest(name=found["briefing.SERIOUS"].name, note="已召开新闻发布会")
            assert (await office.call("CompleteClock", held)).state == Clock.STATE_MET
            assert (await office.refusal("CompleteClock", held)).reason == "CLOCK_ENDED"
            assert "case.clock_met" in await office.steps(case)
            await office.take(other, "assign", "accept", "draft", "review", "approve", "publish", "close")
            found = await clocks(office, other.name)
            assert found["briefing.SERIOUS"].state == Clock.STATE_DROPPED
            entries = await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=other.name, page_size=100))
            assert "briefing.SERIOUS" in entries.entries[-1].details

    run(test)


def test_a_drills_clocks_run_faster_and_nobody_elses(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            await office.tell(opened("d", drill=True), joined("d", "pd", drill=True), opened("e"), joined("e", "pe"))
            drill, real = (
                await clocks(office, (await office.case("d")).name),
                await clocks(office, (await office.case("e")).name),
            )
            for rule in ("answer", "first_information.ORDINARY"):
                took = from_timestamp(drill[rule].deadline) - NOW
                assert took == (from_timestamp(real[rule].deadline) - NOW) / 60
                assert (drill[rule].speed, real[rule].speed) == (60, 1)

    run(test)


def test_an_inquiry_that_no_case_holds_yet_has_its_clock_too(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await office.submit("路灯不亮")
            (inquiry,) = (await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())).inquiries
            name = f"clocks/{inquiry.name.removeprefix('inquiries/')}"
            wall.turn(days=3)
            await keeping(office).fire()
            found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=name))
            assert found.clocks[0].clock.stage == Clock.STAGE_SUPERVISION
            assert (found.clocks[0].clock.case, found.clocks[0].clock.unit) == ("", "units/desk")
            listed = await office.call(
                "ListSupervision", clock_pb2.ListSupervisionRequest(until=to_timestamp(wall.moment))
            )
            assert [each.name for each in listed.clocks] == [name]

    run(test)
