"""The chain as sentences: every step that is recorded has one, and offices are called by their names."""

from __future__ import annotations

import re
from pathlib import Path

import huiyin_casework
import pytest
from huiyin_casework.model.chain import canonical
from huiyin_casework.model.story import SENTENCES, sentence

CALLED = {"water": "水务局", "roads": "交通局"}
RECORDED = re.compile(
    r'(?:record(?:_with_note)?\(\s*[\w.]+,|_record\()\s*(?:[\w.]+,\s*)?"((?:case|contacts|texts|task)\.\w+)"'
)


def told(step: str, **details: object) -> str:
    return sentence(step, canonical(details), lambda unit: CALLED.get(unit, unit))


@pytest.mark.parametrize(
    ("step", "details", "expected"),
    [
        ("case.assigned", {"lead": "water", "assisting": ["roads"]}, "交办：水务局牵头，交通局协办"),
        ("case.assigned", {"lead": "water", "assisting": []}, "交办：水务局牵头"),
        ("case.contributed", {"unit": "roads"}, "交通局提交协办意见"),
        ("case.closed", {"entries": 9, "missing": ["roads", "water"]}, "办结封存，交通局、水务局未提交协办意见"),
        ("case.closed", {"entries": 9}, "办结封存"),
        (
            "case.assigned",
            {"lead": "water", "assisting": [], "order": "抄告〔2026〕12号"},
            "交办：水务局牵头（抄告〔2026〕12号）",
        ),
        ("case.noted", {"unit": "roads"}, "交通局留了内部备注"),
        ("case.grade_rose", {"from": "ORDINARY", "to": "SERIOUS"}, "等级由一般升为重大"),
        ("case.published", {"reply": "r", "unit": "water", "inquiries": 3}, "以水务局名义发布答复，答复3件诉求"),
        ("case.feedback", {"inquiry": "i", "satisfied": False}, "诉求人评价：不满意"),
        ("case.objected", {"unit": "gone"}, "gone对交办提出异议"),
        ("case.drafted", {}, "起草答复（第稿）"),
        ("case.of_a_later_release", {}, ""),
    ],
)
def test_an_entry_says_what_happened(step: str, details: dict[str, object], expected: str) -> None:
    assert told(step, **details) == expected


def test_every_step_that_the_code_records_has_a_sentence() -> None:
    folder = Path(huiyin_casework.__file__).parent
    found = {step for path in folder.rglob("*.py") for step in RECORDED.findall(path.read_text("utf-8"))}
    assert len(found) > 30
    assert found <= set(SENTENCES)
