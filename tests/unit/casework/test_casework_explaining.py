"""Why a clock ends when it does."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from huiyin_casework.model.clocks.calendar import HOUR, Basis, WorkingCalendar
from huiyin_casework.model.clocks.counting import Pause
from huiyin_casework.model.clocks.explaining import Reason, Stretch, stretches
from huiyin_casework.model.clocks.policy import ClockPolicy, Kind, parse_policy
from hypothesis import given
from hypothesis import strategies as st

CALENDAR = WorkingCalendar(ClockPolicy())


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()) * 1_000_000


def explain(
    start: str, end: str, *pauses: tuple[str, str | None], calendar: WorkingCalendar = CALENDAR
) -> list[Stretch]:
    stood: list[Pause] = [(at(begin), at(stop) if stop else None) for begin, stop in pauses]
    return stretches(Kind.ANSWER, calendar, at(start), at(end), stood, speed=1, version=4)


def said(found: list[Stretch]) -> list[tuple[str, bool]]:
    return [(stretch.reason.value, stretch.counted) for stretch in found]


def test_a_day_counts_its_working_hours() -> None:
    found = explain("2026-11-23T10:00", "2026-11-24T10:00")
    assert said(found) == [
        ("WORKING_HOURS", True),
        ("OUTSIDE_HOURS", False),
        ("WORKING_HOURS", True),
        ("OUTSIDE_HOURS", False),
        ("WORKING_HOURS", True),
    ]
    assert {(stretch.basis, stretch.notice) for stretch in found} == {(Basis.CALENDAR, "")}


def test_a_holiday_is_skipped_and_a_make_up_day_counted_by_the_notice_of_its_year() -> None:
    holiday, make_up = explain("2026-10-01T00:00", "2026-10-08T00:00"), explain("2026-10-10T09:00", "2026-10-10T12:00")
    assert {stretch.reason for stretch in holiday} == {Reason.HOLIDAY}
    assert all("国务院办公厅关于2026年部分节假日安排的通知" in stretch.notice for stretch in holiday)
    assert said(make_up) == [("WORKING_HOURS", True)]
    assert "国庆节调休上班" in make_up[0].notice


def test_new_years_days_in_december_rest_on_the_notice_of_the_new_year() -> None:
    assert "关于2019年" in explain("2018-12-31T00:00", "2018-12-31T20:00")[0].notice


def test_days_that_rest_on_weekdays_or_on_an_override_say_so() -> None:
    unknown = explain("2040-10-01T09:00", "2040-10-01T12:00")
    assert (unknown[0].basis, "推算" in unknown[0].notice) == (Basis.WEEKDAY, True)
    calendar = WorkingCalendar(parse_policy("overrides: {free: [2026-11-24]}"))
    free = explain("2026-11-24T00:00", "2026-11-25T00:00", calendar=calendar)
    assert said(free) == [("HOLIDAY", False)]
    assert "policies/clocks/versions/4" in free[0].notice


def test_a_weekend_is_one_stretch() -> None:
    found = explain("2026-11-21T00:00", "2026-11-23T00:00")
    assert said(found) == [("WEEKEND", False)]


def test_pauses_are_skipped_the_open_one_to_the_end() -> None:
    found = explain(
        "2026-11-23T09:00", "2026-11-23T17:00", ("2026-11-23T10:00", "2026-11-23T11:00"), ("2026-11-23T14:00", None)
    )
    assert [stretch.reason.value for stretch in found] == [
        "WORKING_HOURS",
        "PAUSED",
        "WORKING_HOURS",
        "OUTSIDE_HOURS",
        "WORKING_HOURS",
        "PAUSED",
    ]


def test_the_wall_clock_counts_every_hour_and_a_drill_counts_faster() -> None:
    start = at("2026-11-21T00:00")
    (wall,) = stretches(Kind.BRIEFING, CALENDAR, start, start + 24 * HOUR, [], speed=1, version=1)
    assert (wall.counted, wall.reason) == (True, Reason.WALL_CLOCK)
    found = stretches(Kind.ANSWER, CALENDAR, start, start + HOUR, [], speed=60, version=1)
    # An hour of the drill is two and a half days from Saturday on: the weekend, and half of Monday.
    assert [stretch.reason.value for stretch in found] == ["WEEKEND", "OUTSIDE_HOURS", "WORKING_HOURS"]
    assert [stretch.end - stretch.start for stretch in found] == [48 * HOUR // 60, 9 * HOUR // 60, 3 * HOUR // 60]


@given(start=st.integers(0, 100_000), length=st.integers(1, 20_000), edges=st.lists(st.integers(0, 20_000), max_size=6))
def test_stretches_have_no_gap_and_count_what_the_clock_counts(start: int, length: int, edges: list[int]) -> None:
    minute = HOUR // 60
    begin = at("2026-01-01T00:00") + start * minute
    cuts = sorted(begin + edge * minute for edge in edges)
    pauses: list[Pause] = list(zip(cuts[::2], cuts[1::2], strict=False))
    end = begin + length * minute
    found = stretches(Kind.ANSWER, CALENDAR, begin, end, pauses, speed=1, version=1)
    assert [stretch.start for stretch in found] == [begin, *(stretch.end for stretch in found[:-1])]
    assert found[-1].end == end
    for stretch in found:
        counted = CALENDAR.between(stretch.start, stretch.end)
        if stretch.reason != Reason.PAUSED:
            assert counted == (stretch.end - stretch.start if stretch.counted else 0)
