"""Supervision: steps fire on time, in order, once, whatever a process slept through; approvers are stood in for."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, timedelta
from typing import Any

from huiyin.casework.v1 import case_pb2, clock_pb2, unit_pb2
from huiyin_casework.store import ENTRIES
from huiyin_chassis.clock import to_timestamp
from huiyin_chassis.identity import Principal
from huiyin_chassis.tables import CHANGES
from sqlalchemy import select

from tests.integration.casework.conftest import Office, Run, joined, opened
from tests.integration.casework.test_casework_clocks_kept import at, keeping, set_policy, stopped

Clock = clock_pb2.Clock
STEPS = ("case.reminded", "case.supervised", "case.circulated")
ONLY_ANSWERS = "first_information_hours: {}\nbriefing_hours: {}\n"


async def units(office: Office, **fields: Any) -> None:
    """A bureau below the desk and a company below the bureau."""
    bureau = unit_pb2.Unit(name="units/bureau", display_name="住建局", parent="units/desk")
    water = unit_pb2.Unit(name="units/water", display_name="供水公司", parent="units/bureau", **fields)
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[bureau, water]), "admin")


async def fired(office: Office, case: case_pb2.Case) -> list[tuple[str, dict[str, Any]]]:
    """The steps that fired in a case, with their details."""
    query = select(ENTRIES).where(ENTRIES.c.case_id == case.name.removeprefix("cases/")).order_by(ENTRIES.c.number)
    rows = await office.store.read(lambda connection: connection.execute(query).all())
    return [(row.step, json.loads(row.details)) for row in rows if row.step in STEPS]


async def told(office: Office) -> list[tuple[str, Clock]]:
    """The changes of clocks in the feed."""
    query = select(CHANGES).where(CHANGES.c.kind.like("clock.%")).order_by(CHANGES.c.sequence)
    rows = await office.store.read(lambda connection: connection.execute(query).all())
    return [(row.kind, Clock.FromString(row.resource)) for row in rows]


def test_a_clock_is_reminded_of_supervised_and_named_in_a_circular(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await units(office)
            await set_policy(office, ONLY_ANSWERS)
            await office.tell(opened("e1"), joined("e1", "p1"), joined("e1", "p2"))
            case = await office.case("e1")
            await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water"))
            await office.call("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), "officer")
            for moment, steps in (
                ("2026-11-24T17:29", 0),  # the answer is due on Wednesday at half past five
                ("2026-11-25T09:00", 1),  # seven working hours before
                ("2026-11-25T17:29", 1),
                ("2026-11-25T17:30", 2),
                ("2026-11-26T17:29", 2),
                ("2026-11-26T17:30", 3),  # seven working hours after
                ("2027-01-26T17:30", 3),
            ):
                wall.moment = at(moment).astimezone(UTC)
                await keeping(office).fire()
                found = await fired(office, case)
                assert [step for step, _ in found] == list(STEPS[:steps]), moment
            assert {details["unit"] for _, details in found} == {"water"}
            assert {len(details["inquiries"]) for _, details in found} == {2}
            changes = await told(office)
            assert [kind for kind, _ in changes] == ["clock.reminder", "clock.supervision", "clock.circular"]
            for _, each in changes:
                assert (each.unit, each.supervising_unit, each.case) == ("units/water", "units/bureau", case.name)
                assert each.title == case.title
            assert "case.circulated" in await office.steps(case)

    run(test)


def test_what_a_process_slept_through_fires_in_order_and_once_however_many_wake(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await set_policy(office, ONLY_ANSWERS)
            for number in range(4):
                await office.tell(opened(f"e{number}"), joined(f"e{number}", f"p{number}"))
                wall.turn(minutes=7)
            wall.turn(days=30)
            await asyncio.gather(*(keeping(office).fire() for _ in range(4)))
            assert await keeping(office).fire() == 0
            changes = await told(office)
            assert len(changes) == len({(kind, each.name) for kind, each in changes}) == 4 * 3
            moments = []
            for number in range(4):
                case = await office.case(f"e{number}")
                found = await fired(office, case)
                assert [step for step, _ in found] == list(STEPS)
                moments += [details["due"] for _, details in found]
                await office.steps(case)
            assert len(moments) == 12
            # Of each step, the clock that was due first fired first.
            for kind in ("clock.reminder", "clock.supervision", "clock.circular"):
                due = [each.deadline.seconds for found, each in changes if found == kind]
                assert due == sorted(due)

    run(test)


def test_nothing_fires_that_was_answered_and_the_desk_is_named_for_what_it_owes(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await units(office)
            await set_policy(office, ONLY_ANSWERS)
            await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
            done, left = await office.case("e1"), await office.case("e2")
            await office.take(done, "assign", "accept", "draft", "review", "approve", "publish")
            order = case_pb2.AssignCaseRequest(name=left.name, lead_unit="units/water")
            await office.call("AssignCase", order)
            await office.take(left, "accept", "draft", "review", "approve")
            wall.turn(days=30)
            await keeping(office).fire()
            assert await fired(office, done) == []
            assert [details["unit"] for _, details in await fired(office, left)] == ["desk"] * 3

    run(test)


def test_an_extension_gives_the_steps_a_new_beginning(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await set_policy(office, ONLY_ANSWERS)
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.take(await office.case("e1"), "assign", "accept")
            wall.moment = at("2026-11-25T10:00").astimezone(UTC)
            await keeping(office).fire()
            await office.take(case, "extend")
            wall.moment = at("2026-11-27T10:00").astimezone(UTC)
            await keeping(office).fire()
            assert [step for step, _ in await fired(office, case)] == ["case.reminded", "case.reminded"]

    run(test)


def test_a_policy_that_speaks_later_puts_off_what_was_planned(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await set_policy(office, ONLY_ANSWERS)
            await office.tell(opened("e1"), joined("e1", "p1"))
            case = await office.case("e1")
            later = "supervision: {answer: {reminder_before_hours: 0.5}}\n"
            await set_policy(office, ONLY_ANSWERS + later)
            wall.moment = at("2026-11-25T16:59").astimezone(UTC)
            await keeping(office).fire()
            assert await fired(office, case) == []
            wall.turn(minutes=1)
            await keeping(office).fire()
            assert [step for step, _ in await fired(office, case)] == ["case.reminded"]

    run(test)


def test_the_list_of_the_day_has_what_is_due_until_its_end_and_counts_the_steps(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            await units(office)
            await set_policy(office, ONLY_ANSWERS)
            await office.tell(opened("e1"), joined("e1", "p1"))
            wall.turn(days=1)
            await office.tell(opened("e2"), joined("e2", "p2"))
            first, second = await office.case("e1"), await office.case("e2")
            water = Principal("accounts/li", roles=("officer",), units=("water",))

            async def listed(who: str | Principal = "desk", **fields: Any) -> list[str]:
                response = await office.call("ListSupervision", clock_pb2.ListSupervisionRequest(**fields), who)
                assert response.total_size == len(response.clocks) == sum(each.count for each in response.stages)
                return [each.case for each in response.clocks]

            assert await listed() == []
            wall.moment = at("2026-11-25T08:00").astimezone(UTC)
            assert await listed() == [first.name]
            assert await listed(until=to_timestamp(wall.moment + timedelta(days=2))) == [first.name, second.name]
            wall.moment = at("2026-11-27T08:00").astimezone(UTC)
            await keeping(office).fire()
            assert await listed() == [first.name, second.name]
            assert await listed(filter="stage = CIRCULAR") == [first.name]
            assert await listed(filter=f'case = "{second.name}" AND kind = ANSWER') == [second.name]
            assert await listed(water) == []
            await office.call("AssignCase", case_pb2.AssignCaseRequest(name=second.name, lead_unit="units/water"))
            # Its answer, which is late, and the order, which is due today.
            assert await listed(water) == [second.name, second.name]

    run(test)


def test_a_stand_in_approves_while_every_approver_is_absent_and_is_named_in_the_chain(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            members = [
                unit_pb2.UnitMember(account="accounts/head", roles=["approver"]),
                unit_pb2.UnitMember(account="accounts/deputy", roles=["reviewer"]),
            ]
            away = unit_pb2.Absence(
                account="accounts/head",
                start_time=to_timestamp(wall.moment + timedelta(hours=2)),
                end_time=to_timestamp(wall.moment + timedelta(hours=3)),
            )
            await units(office, members=members, stand_ins=["accounts/deputy"], absences=[away])
            await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
            deputy = Principal("accounts/deputy", roles=("reviewer", "approver"), units=("water",))
            approvals = []
            for event in ("e1", "e2"):
                case = await office.case(event)
                await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water"))
                await office.take(case, "accept", "draft", "review")
                approvals.append(case_pb2.ApproveReplyRequest(name=case.name, decision=case_pb2.DECISION_PASS))
            first, second = approvals
            assert (await office.refusal("ApproveReply", first, deputy)).reason == "APPROVER_PRESENT"
            wall.turn(hours=2.5)
            approved = await office.call("ApproveReply", first, deputy)
            assert approved.state == case_pb2.Case.STATE_APPROVED
            wall.turn(hours=1)
            assert (await office.refusal("ApproveReply", second, deputy)).reason == "APPROVER_PRESENT"
            # The reply has waited for four working hours: since nine, without the break at noon.
            wall.moment = at("2026-11-23T14:30").astimezone(UTC)
            await office.call("ApproveReply", second, deputy)
            for request in approvals:
                entries = await office.call(
                    "ListEntries", case_pb2.ListEntriesRequest(parent=request.name, page_size=100)
                )
                (entry,) = [each for each in entries.entries if each.step == "case.approved"]
                assert json.loads(entry.details)["standing_in_for"] == ["head"]

    run(test)


def test_a_stand_in_is_for_its_own_unit_and_not_for_its_own_words(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped():
            members = [unit_pb2.UnitMember(account="accounts/deputy", roles=["officer"])]
            await units(office, members=members, stand_ins=["accounts/deputy"])
            reach = await office.call("LookupReach", unit_pb2.LookupReachRequest(account="accounts/deputy"), GATEWAY)
            assert list(reach.roles) == ["approver", "officer"]
            await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
            deputy = Principal("accounts/deputy", roles=("officer", "approver"), everywhere=True)
            other = await office.take(await office.case("e1"), "assign", "accept", "draft", "review")
            approve = case_pb2.ApproveReplyRequest(name=other.name, decision=case_pb2.DECISION_PASS)
            assert (await office.refusal("ApproveReply", approve, deputy)).reason == "NOT_STANDING_IN"
            own = await office.case("e2")
            await office.call("AssignCase", case_pb2.AssignCaseRequest(name=own.name, lead_unit="units/water"))
            await office.take(own, "accept")
            await office.call(
                "DraftReply", case_pb2.DraftReplyRequest(name=own.name, text="管网已抢修完毕，今晨恢复供水。"), deputy
            )
            await office.take(own, "review")
            approve = case_pb2.ApproveReplyRequest(name=own.name, decision=case_pb2.DECISION_PASS)
            assert (await office.refusal("ApproveReply", approve, deputy)).reason == "SAME_AUTHOR"
            # The approver of the desk, which stands above, approves as always.
            await office.take(own, "approve")

    run(test)


def test_a_unit_that_contradicts_itself_is_refused(run: Run) -> None:
    async def test(office: Office) -> None:
        unit = unit_pb2.Unit(
            name="units/water",
            display_name="供水公司",
            parent="units/desk",
            working_hours=["12:00-09:00"],
            time_zone="Mars/Base",
            stand_ins=["accounts/desk", "accounts/nobody"],
            members=[unit_pb2.UnitMember(account="accounts/head", roles=["approver"])],
            absences=[
                unit_pb2.Absence(account="accounts/head", start_time={"seconds": 9}, end_time={"seconds": 5}),
                unit_pb2.Absence(account="accounts/nobody", start_time={"seconds": 5}, end_time={"seconds": 9}),
            ],
        )
        request = unit_pb2.BatchUpdateUnitsRequest(units=[unit])
        refused = await office.refusal("BatchUpdateUnits", request, "admin")
        assert [violation.reason for violation in refused.violations] == [
            "HOURS_INVALID",
            "ZONE_UNKNOWN",
            "NO_MEMBER",
            "ENDS_EARLY",
            "NO_MEMBER",
        ]

    run(test)


GATEWAY = Principal("services/gateway", permissions=frozenset({"casework.reach.read"}))
