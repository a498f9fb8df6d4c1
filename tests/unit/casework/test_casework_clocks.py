"""Working time in the Chinese calendar."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import pytest
from huiyin_casework.model.clocks.calendar import Basis, WorkingCalendar
from huiyin_casework.model.clocks.counting import promised
from huiyin_casework.model.clocks.policy import ClockPolicy, PolicyError, WorkingHours, is_urgent, parse_policy

SHANGHAI = ZoneInfo("Asia/Shanghai")


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI)


def micros(text: str) -> int:
    return int(local(text).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("start", "days", "due"),
    [
        ("2026-11-23T10:15", 3, "2026-11-26T10:15"),  # within working hours: the same time of day
        ("2026-11-23T20:00", 3, "2026-11-26T17:30"),  # after work: the end of the third day
        ("2026-11-23T12:40", 2, "2026-11-25T12:00"),  # at noon: the end of that morning, the earliest such instant
        ("2026-11-20T16:00", 1, "2026-11-23T16:00"),  # over a weekend
        ("2026-11-21T10:00", 1, "2026-11-23T17:30"),  # from a Saturday
        ("2026-09-30T10:00", 3, "2026-10-10T10:00"),  # over National Day: worked again on 8, 9 and Saturday 10
        ("2025-01-24T09:00", 3, "2025-01-27T17:30"),  # Sunday 26 January 2025 is worked for the Spring Festival
    ],
)
def test_a_deadline_counts_working_time(start: str, days: int, due: str) -> None:
    assert WorkingCalendar(ClockPolicy()).deadline(local(start), days) == local(due)


def test_a_later_start_is_never_due_earlier() -> None:
    calendar = WorkingCalendar(ClockPolicy())
    due = [calendar.deadline(local("2026-09-20T00:00") + timedelta(minutes=17 * step), 3) for step in range(2000)]
    assert due == sorted(due)


def test_a_year_that_the_calendar_does_not_know_is_counted_by_weekdays_and_said_so() -> None:
    calendar = WorkingCalendar(ClockPolicy())
    assert calendar.day(date(2040, 10, 1)) == (True, Basis.WEEKDAY)
    assert calendar.by_weekdays(micros("2040-10-01T09:00"), micros("2040-10-03T09:00")) == (2040,)
    assert calendar.by_weekdays(micros("2025-10-01T09:00"), micros("2025-10-03T09:00")) == ()


def test_an_operators_override_comes_before_the_calendar() -> None:
    policy = parse_policy("overrides:\n  working: [2026-10-01]\n  free: ['2026-11-24']\n")
    calendar = WorkingCalendar(policy)
    assert calendar.day(date(2026, 10, 1)) == (True, Basis.OVERRIDE)
    assert calendar.deadline(local("2026-11-23T10:15"), 1) == local("2026-11-25T10:15")


def test_the_seeded_policy_holds_the_defaults() -> None:
    text = (files("huiyin_casework") / "data" / "clocks.yaml").read_text(encoding="utf-8")
    assert parse_policy(text) == ClockPolicy() == parse_policy("")


def test_a_policy_says_all_that_is_wrong_with_it() -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy(
            "answer_working_days: 0\npauses: -1\nstand_in_after_hours: never\nfirst_information_hours: {HUGE: 5}\n"
            "supervision: {lunch: {}, answer: {reminder: 1}}\nurgent_working_days: x\ntimezone: Mars/Base\nspeed: 9\n"
            "working_hours: ['12:00-09:00', 'noon']\noverrides: {working: [soon]}\nurgent_from: HUGE\n"
        )
    said = " ".join(refused.value.problems)
    for name in (
        "answer_working_days",
        "pauses",
        "stand_in_after_hours",
        "first_information_hours",
        "supervision.lunch",
        "supervision.answer",
        "urgent_working_days",
        "timezone",
        "speed",
        "12:00-09:00",
        "noon",
        "soon",
        "HUGE",
    ):
        assert name in said


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "urgent_working_days: 4",
        "extended_working_days: 2",
        "working_hours: []",
        "a: [",
        "working_hours: [09:00-12:00, 11:00-13:00]",
        "answer_working_days: 2.1",
        "briefing_hours: {SERIOUS: 0}",
        "supervision: {answer: {supervision_after_hours: 9, circular_after_hours: 8}}",
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(PolicyError):
        parse_policy(text)


def test_hours_in_another_zone_follow_its_summer_time() -> None:
    policy = ClockPolicy(timezone="Europe/Paris", working_hours=(WorkingHours(time(9), time(17)),))
    start = datetime(2026, 3, 27, 10, 0, tzinfo=ZoneInfo("Europe/Paris"))
    assert WorkingCalendar(policy).deadline(start, 1) == datetime(2026, 3, 30, 10, 0, tzinfo=ZoneInfo("Europe/Paris"))


def test_urgency_begins_at_the_grade_that_the_policy_names() -> None:
    policy = ClockPolicy()
    assert [is_urgent(policy, grade) for grade in ("", "ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_promised_date_is_never_moved_later() -> None:
    assert promised(5, 9) == 5
    assert promised(9, 5) == 5
