"""How `huiyin policy test` reads events and says what would change, and what is said of a grade."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from huiyin_cli.client import Gateway, Problem
from huiyin_cli.policies import explained, lines_of, test_policy

test_policy.__test__ = False  # type: ignore[attr-defined]
RULES = "rules: []"


class Answers:
    """A gateway whose analyzer would make everything ordinary."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = events
        self.sizes: list[int] = []

    def pages(self, path: str, field: str) -> Iterator[dict[str, Any]]:
        assert (path, field) == ("/v1/events", "events")
        yield from self.events

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        assert path == "/v1/policies/grading:test" and body["body"] == RULES
        self.sizes.append(len(body["events"]))
        changes = [
            {"event": each["name"], "previousGrade": each["grade"], "grade": "GRADE_ORDINARY"}
            for each in body["events"]
            if each.get("grade", "GRADE_ORDINARY") != "GRADE_ORDINARY"
        ]
        counts = [
            {"grade": "GRADE_ORDINARY", "count": len(body["events"]) - len(changes)},
            {"grade": "GRADE_LARGE", "count": len(changes)},
        ]
        after = [{"grade": "GRADE_ORDINARY", "count": len(body["events"])}, {"grade": "GRADE_LARGE"}]
        return {"changes": changes, "before": counts, "after": after}


def event(number: int, grade: str = "GRADE_ORDINARY", overriding: str = "") -> dict[str, Any]:
    assessment: dict[str, Any] = {"figures": {"posts": 1}, "grade": overriding or grade, "computedGrade": grade}
    if overriding:
        assessment["gradeOverride"] = {"grade": overriding, "author": "accounts/desk", "reason": "x"}
    return {"name": f"events/{number}", "assessment": assessment}


def tried(folder: Path, gateway: Answers, lines: list[str] | None) -> dict[str, Any]:
    policy = folder / "grading.yaml"
    policy.write_text(RULES, "utf-8")
    file = None
    if lines is not None:
        file = folder / "events.jsonl"
        file.write_text("\n".join(lines), "utf-8")
    return test_policy(cast("Gateway", gateway), policy, file)


def test_events_go_a_thousand_at_a_time_and_counts_add_up(tmp_path: Path) -> None:
    gateway = Answers()
    lines = [json.dumps(event(number, "GRADE_LARGE" if number % 2 else "GRADE_ORDINARY")) for number in range(2500)]
    result = tried(tmp_path, gateway, lines)
    assert gateway.sizes == [1000, 1000, 500]
    assert (result["events"], len(result["changes"])) == (2500, 1250)
    assert result["before"] == {"GRADE_ORDINARY": 1250, "GRADE_LARGE": 1250}
    assert result["after"] == {"GRADE_ORDINARY": 2500, "GRADE_LARGE": 0}


def test_without_a_file_the_events_of_now_are_tested(tmp_path: Path) -> None:
    result = tried(tmp_path, Answers(event(1, "GRADE_LARGE"), event(2)), None)
    assert [change["event"] for change in result["changes"]] == ["events/1"]


def test_lines_tell_every_change_and_what_a_person_decided(tmp_path: Path) -> None:
    lines = [json.dumps(event(1, "GRADE_LARGE")), "", json.dumps(event(2, "GRADE_LARGE", "GRADE_SERIOUS"))]
    assert list(lines_of(tried(tmp_path, Answers(), lines))) == [
        "events/1  LARGE → ORDINARY  by no rule",
        "events/2  LARGE → ORDINARY  by no rule  (stays SERIOUS: overridden)",
        "ORDINARY                 0 →       2",
        "LARGE                    2 →       0",
        "2 of 2 events would have another grade.",
    ]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2"),
        ('["a"]', "line 2"),
        ('{"name": "events/1"}', "line 2"),
        ('{"name": 1, "assessment": {}}', "line 2"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path: Path, line: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        tried(tmp_path, Answers(), [json.dumps(event(1)), line])


def test_a_file_without_events_tests_nothing(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no events"):
        tried(tmp_path, Answers(), [])


def test_a_grade_says_who_overrode_it_what_is_missing_and_what_would_change_it() -> None:
    explanation = {
        "assessment": {
            "computedGrade": "GRADE_ORDINARY",
            "gradeOverride": {"author": "accounts/desk", "reason": "现场核实", "expireTime": "2026-03-02T00:00:00Z"},
        },
        "missing": [{"figure": "growth", "requirement": "growth needs more", "rules": ["burst"]}, {"figure": "media"}],
        "raising": [{"grade": "GRADE_LARGE", "figures": [{"figure": "voices", "value": 8, "requiredValue": 10}]}],
    }
    assert list(explained(explanation)) == [
        "overridden by accounts/desk: 现场核实 (computed: ORDINARY, until 2026-03-02T00:00:00Z)",
        "not judged: burst; growth needs more",
        "voices 8 → 10 would raise it to LARGE",
    ]
