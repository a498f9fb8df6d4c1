"""Assisting units: each with a part of the order, a clock of its own, and one objection."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import grpc
from huiyin.casework.v1 import case_pb2, clock_pb2, task_pb2, unit_pb2
from huiyin_chassis.clock import from_timestamp
from huiyin_chassis.identity import Principal

from tests.integration.casework.conftest import ORDER, Office, Run, joined, opened
from tests.integration.casework.test_casework_clocks_kept import at, keeping, stopped
from tests.integration.casework.test_casework_supervision import fired, told

Case, Clock, Part = case_pb2.Case, clock_pb2.Clock, case_pb2.Part
PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN

WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
ROADS = Principal("accounts/li", roles=("officer",), units=("roads",))
POWER = Principal("accounts/zhao", roles=("officer",), units=("power",))
ZHAO_AT_THE_DESK = Principal("accounts/zhao", roles=("desk",), everywhere=True)
BUREAU = Principal("accounts/wu", roles=("officer",), units=("bureau", "power", "roads"))


async def _ordered(office: Office, *assisting: str) -> Case:
    """A case that units assist in, of which roads works in the morning only and is below a bureau, like power."""
    units = [
        unit_pb2.Unit(name="units/bureau", display_name="住建局"),
        unit_pb2.Unit(name="units/water", display_name="水务局"),
        unit_pb2.Unit(name="units/roads", display_name="养护站", parent="units/bureau", working_hours=["09:00-12:00"]),
        unit_pb2.Unit(name="units/power", display_name="供电所", parent="units/bureau"),
    ]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
    await office.tell(opened("e1"), joined("e1", "p1"))
    return await _assign(office, await office.case("e1"), *(assisting or ("roads", "power")))


async def _assign(office: Office, case: Case, *assisting: str) -> Case:
    request = case_pb2.AssignCaseRequest(
        name=case.name, lead_unit="units/water", assisting_units=[f"units/{unit}" for unit in assisting]
    )
    assigned: Case = await office.call("AssignCase", request)
    return assigned


async def _contributions(office: Office, case: Case) -> dict[str, Any]:
    """The clocks of the parts, by the ids of their units."""
    found = await office.call("ExplainClock", clock_pb2.ExplainClockRequest(name=case.name))
    explained = [each for each in found.clocks if each.clock.kind == Clock.KIND_CONTRIBUTION]
    return {each.clock.name.rpartition("_")[2]: each for each in explained}


def _parts(case: Case) -> dict[str, str]:
    return {part.unit.removeprefix("units/"): Part.State.Name(part.state)[6:] for part in case.parts}


def _contribution(case: Case, **fields: Any) -> case_pb2.ContributeToCaseRequest:
    return case_pb2.ContributeToCaseRequest(name=case.name, note="路基完好，未见渗漏", **fields)


def _objection(case: Case, **fields: Any) -> case_pb2.ObjectToPartRequest:
    return case_pb2.ObjectToPartRequest(name=case.name, rule="《公路法》第八条", reason="属镇村道路", **fields)


def _decision(case: Case, decision: case_pb2.Decision.ValueType, **fields: Any) -> case_pb2.DecidePartObjectionRequest:
    return case_pb2.DecidePartObjectionRequest(name=case.name, decision=decision, note="职责清单已列明", **fields)


def test_each_assisting_unit_contributes_within_two_days_of_its_own_hours(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            case = await _ordered(office)
            assert _parts(case) == {"power": "WAITED", "roads": "WAITED"}
            assert {"contribute", "object_to_part"} <= {step.step for step in case.next_steps}
            found = await _contributions(office, case)
            # Monday 9:00 and two days of seven hours, or of three.
            assert from_timestamp(found["power"].clock.deadline) == at("2026-11-24T17:30")
            assert from_timestamp(found["roads"].clock.deadline) == at("2026-11-24T12:00")
            assert (found["roads"].clock.unit, found["roads"].clock.supervising_unit) == ("units/roads", "units/bureau")
            assert found["roads"].rule.startswith("2个工作日")
            wall.turn(hours=1)
            case = await office.call("ContributeToCase", _contribution(case), ROADS)
            assert (case.state, _parts(case)) == (Case.STATE_ASSIGNED, {"power": "WAITED", "roads": "CONTRIBUTED"})
            found = await _contributions(office, case)
            assert found["roads"].clock.state == Clock.STATE_MET
            assert from_timestamp(found["roads"].clock.end_time) == wall.moment
            assert found["power"].clock.state == Clock.STATE_RUNNING
            # What is found later is added.
            await office.call("ContributeToCase", _contribution(case), ROADS)
            entries = await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))
            told = [(entry.sentence, entry.note) for entry in entries.entries if entry.step == "case.contributed"]
            assert told == [("养护站提交协办意见", "路基完好，未见渗漏")] * 2
            await office.steps(case)

    run(test)


def test_a_unit_speaks_for_its_own_part_alone_and_a_unit_above_names_which(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _ordered(office, "roads", "power")
        error = await office.refusal("ContributeToCase", _contribution(case), WATER)
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_ASSISTING_UNIT")
        other = _contribution(case, unit="units/roads")
        assert (await office.refusal("ContributeToCase", other, POWER)).reason == "NOT_ASSISTING_UNIT"
        assert (await office.refusal("ContributeToCase", _contribution(case), BUREAU)).violations[0].field == "unit"
        stranger = _contribution(case, unit="units/water")
        assert (await office.refusal("ContributeToCase", stranger, BUREAU)).violations[0].reason == "NOT_ASSISTING"
        empty = case_pb2.ContributeToCaseRequest(name=case.name, note=" ")
        assert (await office.refusal("ContributeToCase", empty, ROADS)).violations[0].field == "note"
        assert _parts(await office.call("ContributeToCase", other, BUREAU))["roads"] == "CONTRIBUTED"

    run(test)


def test_an_objection_that_is_upheld_releases_the_unit_and_the_rest_of_the_order_stands(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _ordered(office)
        await office.call("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), WATER)
        nothing = await office.refusal("DecidePartObjection", _decision(case, PASS))
        assert nothing.reason == "NO_PART_OBJECTION"
        case = await office.call("ObjectToPart", _objection(case), ROADS)
        assert (case.state, _parts(case)["roads"]) == (Case.STATE_ACCEPTED, "OBJECTED")
        assert (await office.refusal("ContributeToCase", _contribution(case), ROADS)).reason == "OBJECTION_OPEN"
        clock = (await _contributions(office, case))["roads"].clock
        assert (clock.state, clock.unit) == (Clock.STATE_PAUSED, "units/desk")

        case = await office.call("DecidePartObjection", _decision(case, PASS))
        assert (case.state, case.lead_unit, list(case.assisting_units)) == (
            Case.STATE_ACCEPTED,
            "units/water",
            ["units/power"],
        )
        assert _parts(case) == {"power": "WAITED", "roads": "RELEASED"}
        assert (await _contributions(office, case))["roads"].clock.state == Clock.STATE_DROPPED
        gone = await office.refusal("GetCase", case_pb2.GetCaseRequest(name=case.name), ROADS)
        assert gone.code == grpc.StatusCode.NOT_FOUND
        released = _contribution(case, unit="units/roads")
        assert (await office.refusal("ContributeToCase", released, BUREAU)).violations[0].reason == "NOT_ASSISTING"
        assert (await office.call("GetCase", case_pb2.GetCaseRequest(name=case.name), POWER)).name == case.name
        assert (await office.steps(case))[-3:] == [
            "case.clock_paused",
            "case.part_objected",
            "case.part_objection_upheld",
        ]

    run(test)


def test_an_objection_that_is_refused_leaves_the_part_and_its_clock_goes_on_and_there_is_no_second(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            case = await _ordered(office)
            wall.turn(hours=1)
            case = await office.call("ObjectToPart", _objection(case), POWER)
            wall.turn(hours=2)
            assert (await office.refusal("DecidePartObjection", _decision(case, RETURN), ZHAO_AT_THE_DESK)).reason == (
                "SAME_OBJECTOR"
            )
            unexplained = case_pb2.DecidePartObjectionRequest(name=case.name, decision=RETURN)
            assert (await office.refusal("DecidePartObjection", unexplained)).violations[0].field == "note"
            case = await office.call("DecidePartObjection", _decision(case, RETURN))
            (power,) = [part for part in case.parts if part.unit == "units/power"]
            assert (power.state, power.objected) == (Part.STATE_WAITED, True)
            clock = (await _contributions(office, case))["power"].clock
            # It stood still from ten to twelve.
            assert (clock.state, clock.unit) == (Clock.STATE_RUNNING, "units/power")
            assert from_timestamp(clock.deadline) == at("2026-11-25T11:00")
            assert (await office.refusal("ObjectToPart", _objection(case), POWER)).reason == "ALREADY_OBJECTED"
            # Another order does not give it another objection.
            case = await _assign(office, case, "power")
            assert (await office.refusal("ObjectToPart", _objection(case), POWER)).reason == "NO_PART_WAITS"
            assert from_timestamp((await _contributions(office, case))["power"].clock.deadline) == (
                at("2026-11-25T11:00")
            )
            assert (await _contributions(office, case))["roads"].clock.state == Clock.STATE_DROPPED

    run(test)


def test_a_unit_objects_in_the_time_in_which_it_is_to_contribute(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            case = await _ordered(office)
            wall.moment = at("2026-11-24T12:01").astimezone(UTC)
            assert (await office.refusal("ObjectToPart", _objection(case), ROADS)).reason == "OBJECTION_LATE"
            assert _parts(await office.call("ObjectToPart", _objection(case), POWER))["power"] == "OBJECTED"

    run(test)


def test_a_contribution_is_reminded_of_and_supervised_as_everything_that_is_due(run: Run) -> None:
    async def test(office: Office) -> None:
        with stopped() as wall:
            case = await _ordered(office)
            await office.call("ObjectToPart", _objection(case), ROADS)
            wall.moment = at("2026-11-24T17:30").astimezone(UTC)
            await keeping(office).fire()
            of_parts = [
                (step, details["unit"])
                for step, details in await fired(office, case)
                if details["clock"] == "contribution"
            ]
            # Of what stands still because the desk decides, nothing is said.
            assert of_parts == [("case.reminded", "power"), ("case.supervised", "power")]
            listed = await office.call(
                "ListSupervision", clock_pb2.ListSupervisionRequest(filter="kind = CONTRIBUTION")
            )
            assert [(each.unit, each.stage) for each in listed.clocks] == [("units/power", Clock.STAGE_SUPERVISION)]
            changes = [
                each
                for kind, each in await told(office)
                if kind != "clock.updated" and each.kind == Clock.KIND_CONTRIBUTION
            ]
            assert {(each.unit, each.supervising_unit) for each in changes} == {("units/power", "units/bureau")}

    run(test)


def test_an_answer_does_not_wait_for_a_contribution_and_the_seal_says_who_gave_none(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _ordered(office)
        await office.call("ContributeToCase", _contribution(case), ROADS)
        case = await office.take(case, *ORDER[1:])
        assert _parts(case) == {"power": "LAPSED", "roads": "CONTRIBUTED"}
        assert (await _contributions(office, case))["power"].clock.state == Clock.STATE_DROPPED
        error = await office.refusal("ContributeToCase", _contribution(case), POWER)
        assert error.reason == "STEP_NOT_POSSIBLE"
        (task,) = await office.tasks()
        await office.call("CompleteTask", task_pb2.CompleteTaskRequest(name=task.name, note="已回复"))
        await office.take(case, "close")
        entries = await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name, page_size=100))
        assert [entry.sentence for entry in entries.entries if "未提交" in entry.sentence] == [
            "以水务局名义发布答复，答复1件诉求，供电所未提交协办意见",
            "办结封存，供电所未提交协办意见",
        ]
        await office.steps(case)

    run(test)


def test_an_order_that_is_taken_back_has_no_parts_any_more(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _ordered(office)
        objection = case_pb2.ObjectToCaseRequest(name=case.name, rule="《供水条例》第三条", reason="属住建局")
        await office.call("ObjectToCase", objection, WATER)
        # While the lead unit's objection waits, the parts go on.
        await office.call("ContributeToCase", _contribution(case), ROADS)
        upheld = await office.call("DecideObjection", case_pb2.DecideObjectionRequest(name=case.name, decision=PASS))
        assert (upheld.state, list(upheld.parts), list(upheld.assisting_units)) == (Case.STATE_REGISTERED, [], [])
        states = {unit: each.clock.state for unit, each in (await _contributions(office, case)).items()}
        assert states == {"roads": Clock.STATE_MET, "power": Clock.STATE_DROPPED}
        again = await _assign(office, case, "roads")
        assert _parts(again) == {"roads": "WAITED"}
        assert (await _contributions(office, case))["roads"].clock.state == Clock.STATE_RUNNING

    run(test)
