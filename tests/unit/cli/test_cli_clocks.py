"""How `huiyin clock explain` and `huiyin supervision list` show what they got."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from huiyin_cli.clocks import explained, supervised

SHANGHAI = ZoneInfo("Asia/Shanghai")


def clock(**fields: Any) -> dict[str, Any]:
    return {
        "name": "clocks/1",
        "kind": "KIND_ANSWER",
        "state": "STATE_RUNNING",
        "case": "cases/1",
        "inquiry": "inquiries/1",
        "unit": "units/water",
        "startTime": "2026-09-30T08:30:00Z",
        "deadline": "2026-10-10T02:00:00Z",
        "countedTime": "2026-10-10T02:00:00Z",
        "title": "停水",
        **fields,
    }


def explanation(found: dict[str, Any], **fields: Any) -> list[str]:
    return list(
        explained({"clock": found, "rule": "3个工作日", "timeZone": "Asia/Shanghai", "left": "5400s", **fields})
    )


def test_each_stretch_is_a_line_with_what_it_rests_on() -> None:
    stretches = [
        {
            "startTime": "2026-09-30T08:30:00Z",
            "endTime": "2026-09-30T09:30:00Z",
            "counted": True,
            "reason": "REASON_WORKING_HOURS",
        },
        {
            "startTime": "2026-09-30T16:00:00Z",
            "endTime": "2026-10-07T16:00:00Z",
            "reason": "REASON_HOLIDAY",
            "notice": "国庆节放假",
        },
    ]
    assert explanation(clock(), stretches=stretches, weekdayYears=[2027]) == [
        "answer to inquiries/1  running  clocks/1",
        "  3个工作日  from 2026-09-30 16:30",
        "  due 2026-10-10 10:00 (Asia/Shanghai), 1 h 30 min left, water is waited for",
        "  counts  2026-09-30 16:30 – 17:30  working hours",
        "    skip  2026-10-01 00:00 – 2026-10-08 00:00  holiday  国庆节放假",
        "  the holidays of 2027 are not known yet: days are taken by the weekday, a notice may bring the date forward",
    ]


def test_a_promise_that_was_kept_is_told_beside_what_the_rule_gives() -> None:
    lines = explanation(clock(countedTime="2026-10-12T02:00:00Z"))
    assert lines[3] == "  its rule gives until 2026-10-12 10:00; the date that was promised stays"


def test_a_clock_that_ended_says_when() -> None:
    met = clock(state="STATE_MET", endTime="2026-10-09T02:00:00Z", inquiry="", kind="KIND_BRIEFING")
    assert explanation(met)[0] == "briefing  met  clocks/1"
    assert explanation(met)[2].endswith("(Asia/Shanghai), ended 2026-10-09 10:00")


def test_the_list_of_the_day_is_by_unit_and_says_how_late() -> None:
    now = datetime(2026, 10, 11, 10, 30, tzinfo=SHANGHAI)
    found = [
        clock(stage="STAGE_CIRCULAR"),
        clock(unit="units/roads", deadline="2026-10-11T04:00:00Z"),
        clock(deadline="2026-10-11T02:00:00Z", stage="STAGE_SUPERVISION", case=""),
    ]
    assert list(supervised(found, SHANGHAI, now)) == [
        "roads: 1",
        "  due            2026-10-11 12:00 (in 1 h 30 min)  answer  停水  cases/1",
        "water: 2",
        "  in a circular  2026-10-10 10:00 (1 d 0 h late)  answer  停水  cases/1",
        "  supervised     2026-10-11 10:00 (0 h 30 min late)  answer  停水  clocks/1",
    ]
