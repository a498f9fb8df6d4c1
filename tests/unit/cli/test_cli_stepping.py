"""What `huiyin cases step` sends, and how messages, decisions and grounds are shown."""

from __future__ import annotations

import pytest
from huiyin_cli.client import Problem
from huiyin_cli.stepping import (
    admission_line,
    body_of,
    contact_lines,
    ground_lines,
    message_lines,
    part_lines,
    proposal_lines,
)


def test_a_step_sends_the_fields_that_it_takes() -> None:
    assigned = body_of("assign", {"unit": "units/water", "assisting": ["units/roads"], "note": "请牵头"})
    assert assigned == {"note": "请牵头", "leadUnit": "units/water", "assistingUnits": ["units/roads"]}
    assert body_of("review", {"decision": True, "note": "请补充"}) == {"note": "请补充", "decision": "DECISION_RETURN"}
    assert body_of("decide_objection", {}) == {"decision": "DECISION_PASS"}
    assert body_of("contribute", {"unit": "units/roads", "note": "路基完好"}) == {
        "note": "路基完好",
        "unit": "units/roads",
    }
    assert body_of("decide_part_objection", {}) == {"decision": "DECISION_PASS"}
    assert body_of("accept", {"unit": "", "decision": False}) == {}


def test_an_option_that_a_step_does_not_take_is_told_with_those_that_it_takes() -> None:
    with pytest.raises(Problem, match="object takes no --note; it takes --rule, --reason"):
        body_of("object", {"note": "不对"})
    with pytest.raises(Problem, match="accept takes no --text; it takes no option"):
        body_of("accept", {"text": "已收到"})
    with pytest.raises(Problem, match="finish is no step"):
        body_of("finish", {})


def test_each_assisting_unit_has_a_line_that_says_how_its_part_stands() -> None:
    parts = [
        {"unit": "units/roads", "state": "STATE_WAITED", "objected": True},
        {"unit": "units/power", "state": "STATE_OBJECTED", "objected": True},
    ]
    assert list(part_lines(parts)) == ["  assists: roads  waited  (objected)", "  assists: power  objected"]


def test_messages_name_who_speaks_and_what_waits() -> None:
    messages = [
        {
            "kind": "KIND_QUESTION",
            "createTime": "2026-03-02T01:00:00Z",
            "text": "几号楼？",
            "open": True,
            "unit": "units/a",
        },
        {"kind": "KIND_ADDITION", "createTime": "2026-03-02T02:00:00Z", "text": "三号楼"},
    ]
    assert list(message_lines(messages, "you")) == [
        "2026-03-02 01:00Z  a asks  (waits for an answer)",
        "  几号楼？",
        "2026-03-02 02:00Z  you adds",
        "  三号楼",
    ]


def test_a_decision_and_a_ground_are_short() -> None:
    admission = {
        "name": "inquiries/1/admission",
        "outcome": "OUTCOME_PASSED_ON",
        "state": "STATE_PROPOSED",
        "body": "水务集团",
    }
    assert admission_line(admission) == "inquiries/1  passed on (水务集团)  proposed"
    ground = {"id": "court", "kind": "KIND_ROUTE", "displayName": "法院", "basis": "法", "text": "起诉"}
    first, second = ground_lines([ground])
    assert first.split() == ["court", "route", "法院", "法"]
    assert second == "    起诉"


def test_proposals_stand_beside_what_was_decided() -> None:
    answer = {
        "proposals": [
            {"leadUnit": "units/a", "assistingUnits": ["units/b"], "reason": "供水", "reserved": True},
            {"leadUnit": "units/c", "reason": "地点"},
        ],
        "likeDecisions": [{"leadUnit": "units/a", "caseCount": 2, "objectionCount": 1, "cases": ["cases/1"]}],
        "likeCaseCount": 2,
    }
    assert list(proposal_lines(answer)) == [
        "1. a, b  (its own work): 供水",
        "2. c: 地点",
        "Decided in 2 like cases:",
        "  a: 2, 0 of them near; objected to 1  cases/1",
    ]
    assert next(proposal_lines({})) == "Nothing fits; the desk decides."
    unit = {"contactPersons": [{"role": "ROLE_DUTY_OFFICER", "displayName": "值班席"}]}
    assert list(contact_lines(unit)) == ["  duty officer: 值班席"]
