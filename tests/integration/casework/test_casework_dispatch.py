"""Whom a case might be assigned to, what was decided before, and work that is not pushed down."""

from __future__ import annotations

import grpc
from huiyin.casework.v1 import case_pb2, dispatch_pb2, policy_pb2, unit_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_chassis.identity import Principal

from tests.integration.casework.conftest import LARGE, Office, Run, opened

Unit, Person = unit_pb2.Unit, unit_pb2.ContactPerson

WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
SUPPLY, TOWN = "topics/城乡建设.供水", "places/A市.B镇"
CATALOGUE = """
lower_kinds: [town]
entries:
  - {id: supply, topics: [城乡建设.供水], lead: water, assisting: [town, gone], basis: 职责清单, reserved: true}
"""


async def _prepare(office: Office) -> None:
    units = [
        Unit(name="units/water", display_name="水务局", kind="bureau"),
        Unit(name="units/town", display_name="B镇", kind="town", places=["places/A市.B镇"]),
    ]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
    policy = policies_pb2.Policy(name="policies/dispatch", body=CATALOGUE)
    await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")


async def _proposed(
    office: Office, case: case_pb2.Case, who: str | Principal = "desk"
) -> dispatch_pb2.ProposeAssignmentResponse:
    request = dispatch_pb2.ProposeAssignmentRequest(name=case.name)
    answer: dispatch_pb2.ProposeAssignmentResponse = await office.call("ProposeAssignment", request, who)
    return answer


def _assign(case: case_pb2.Case, unit: str, *assisting: str) -> case_pb2.AssignCaseRequest:
    return case_pb2.AssignCaseRequest(name=case.name, lead_unit=f"units/{unit}", assisting_units=assisting)


def test_the_catalogue_comes_first_then_what_units_answer_for(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        await office.tell(
            opened("e1", grade=LARGE, topic=SUPPLY, place=TOWN),
            opened("e2", grade=LARGE, topic="topics/教育", place=TOWN),
        )
        case = await office.case("e1")
        assert case.suggested_unit == "units/water"
        answer = await _proposed(office, case)
        first, second = answer.proposals
        assert (first.lead_unit, list(first.assisting_units), first.entry) == ("units/water", ["units/town"], "supply")
        assert first.reserved
        assert "城乡建设.供水" in first.reason
        assert (second.lead_unit, second.entry) == ("units/town", "")
        assert (answer.like_case_count, answer.version) == (0, 2)
        assert [each.lead_unit for each in (await _proposed(office, await office.case("e2"))).proposals] == [
            "units/town"
        ]

    run(test)


def test_what_was_decided_in_like_cases_stands_beside_it_with_who_objected(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        told = [opened(f"e{n}", grade=LARGE, topic=SUPPLY, place=TOWN if n < 3 else "places/C市") for n in range(1, 5)]
        await office.tell(*told)
        decided = [await office.case(f"e{number}") for number in (1, 2, 3)]
        await office.call("AssignCase", _assign(decided[0], "water"))
        objection = case_pb2.ObjectToCaseRequest(name=decided[0].name, rule="《供水条例》第三条", reason="属住建局")
        await office.call("ObjectToCase", objection, WATER)
        upheld = case_pb2.DecideObjectionRequest(name=decided[0].name, decision=case_pb2.DECISION_PASS)
        await office.call("DecideObjection", upheld)
        await office.call("AssignCase", _assign(decided[0], "desk"))
        for case in decided[1:]:
            await office.call("AssignCase", _assign(case, "water"))
        answer = await _proposed(office, await office.case("e4"))
        assert answer.like_case_count == 3
        assert [(each.lead_unit, each.case_count, each.objection_count) for each in answer.like_decisions] == [
            ("units/water", 2, 1),
            ("units/desk", 1, 0),
        ]
        assert [each.same_place_count for each in answer.like_decisions] == [1, 0]
        seen = await _proposed(office, decided[1], WATER)
        assert {name for each in seen.like_decisions for name in each.cases} == {decided[2].name}
        unseen = dispatch_pb2.ProposeAssignmentRequest(name=decided[0].name)
        assert (await office.refusal("ProposeAssignment", unseen, WATER)).code == grpc.StatusCode.NOT_FOUND

    run(test)


def test_work_of_a_bureau_is_not_pushed_down_to_a_town_that_may_assist(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        await office.tell(opened("e1", grade=LARGE, topic=SUPPLY, place=TOWN))
        case = await office.case("e1")
        refused = await office.refusal("AssignCase", _assign(case, "town"))
        assert (refused.reason, refused.metadata["lead_unit"]) == ("BUREAU_WORK", "units/water")
        assigned = await office.call("AssignCase", _assign(case, "water", "units/town"))
        assert list(assigned.assisting_units) == ["units/town"]

    run(test)


def test_units_name_contact_persons_by_role(run: Run) -> None:
    async def test(office: Office) -> None:
        unit = Unit(name="units/water", display_name="水务局")
        unit.contact_persons.add(role=Person.ROLE_DUTY_OFFICER, display_name="值班席", telephone="0700-8000110")
        unit.contact_persons.add(role=Person.ROLE_LIAISON, display_name="联络员", account="accounts/wang")
        written = await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        assert written.units[0] == unit
        again = await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        assert again.changed == 0
        unit.contact_persons.add(display_name="无岗位")
        wrong = await office.refusal("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        assert wrong.violations[0].field == "units[0].contact_persons[2].role"

    run(test)


def test_a_mistake_in_the_catalogue_is_told_with_its_field(run: Run) -> None:
    async def test(office: Office) -> None:
        policy = policies_pb2.Policy(name="policies/dispatch", body="entries: [{id: a, topics: [供水], basis: 清单}]")
        refused = await office.refusal("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")
        assert "entries[0].lead" in refused.violations[0].description

    run(test)
