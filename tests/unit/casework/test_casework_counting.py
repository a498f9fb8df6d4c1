"""A clock's arithmetic beside a model of it that lists every worked minute of ten years."""

from __future__ import annotations

import random
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import chinese_calendar
import pytest
from huiyin_casework.model.clocks.calendar import HOUR, MINUTE, FasterTime, WallTime, WorkingCalendar
from huiyin_casework.model.clocks.counting import (
    Owes,
    Pause,
    PauseRefused,
    Stage,
    acceptance_rule,
    answer_rule,
    case_rules,
    contribution_rule,
    ends,
    must_resume,
    next_step,
    owes,
    passed,
    pause,
    resume,
    rule_named,
    time_of,
)
from huiyin_casework.model.clocks.policy import ClockPolicy, Kind, Steps, parse_policy
from huiyin_casework.model.steps import State
from hypothesis import given
from hypothesis import strategies as st

SHANGHAI = ZoneInfo("Asia/Shanghai")
FIRST, LAST = date(2017, 1, 1), date(2026, 12, 31)
EPOCH = datetime(2017, 1, 1, tzinfo=SHANGHAI)
"""Minute 0 of the model. The zone has no summer time in these years."""
CALENDAR = WorkingCalendar(ClockPolicy())
DAY = 420
"""Minutes of work in a day of the default policy."""


def is_worked(day: date, minute: int) -> bool:
    """Whether somebody works in a minute of a day."""
    begins = time(minute // 60, minute % 60)
    in_hours = time(9) <= begins < time(12) or time(13, 30) <= begins < time(17, 30)
    return in_hours and bool(chinese_calendar.is_workday(day))


def worked_minutes() -> list[int]:
    """Every worked minute of the ten years, in order."""
    in_a_day = [minute for minute in range(1440) if is_worked(date(2026, 11, 23), minute)]
    assert len(in_a_day) == DAY
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    return [
        number * 1440 + minute for number, day in enumerate(days) if is_worked(day, in_a_day[0]) for minute in in_a_day
    ]


WORKED = worked_minutes()
TOTAL = ((LAST - FIRST).days + 1) * 1440


def slow_end(start: int, amount: int, pauses: list[tuple[int, int]]) -> int:
    """The end of the last minute that is needed: worked, after the start, in no pause."""
    index, left = bisect_left(WORKED, start), amount
    for begin, end in pauses:
        while left and WORKED[index] < begin:
            index, left = index + 1, left - 1
        while left and WORKED[index] < end:
            index += 1
    return WORKED[index + left - 1] + 1


def instant(minute: int) -> int:
    return int(EPOCH.timestamp()) * 1_000_000 + minute * MINUTE


def instants(pauses: list[tuple[int, int]]) -> list[Pause]:
    return [(instant(begin), instant(end)) for begin, end in pauses]


def test_ten_thousand_clocks_end_at_the_minute_at_which_counting_ends() -> None:
    chance = random.Random(20261126)
    for _ in range(10_000):
        start = chance.randrange(TOTAL - 60 * 1440)
        amount = chance.choice([DAY // 2, DAY, 2 * DAY, 3 * DAY, 5 * DAY, chance.randint(1, 8 * DAY)])
        edges = sorted(start + chance.randint(0, 12 * 1440) for _ in range(2 * chance.choice([0, 0, 1, 2, 3])))
        pauses = list(zip(edges[::2], edges[1::2], strict=True))
        end = slow_end(start, amount, pauses)
        assert ends(CALENDAR, instant(start), amount * MINUTE, instants(pauses)) == instant(end), (
            start,
            amount,
            pauses,
        )


def test_what_has_passed_is_what_was_counted_and_going_back_comes_as_far_as_going_on() -> None:
    chance = random.Random(7)
    for _ in range(3000):
        start = chance.randrange(60 * 1440, TOTAL - 60 * 1440)
        end = start + chance.randint(0, 20 * 1440)
        counted = bisect_left(WORKED, end) - bisect_left(WORKED, start)
        assert CALENDAR.between(instant(start), instant(end)) == counted * MINUTE
        amount = chance.randint(1, 3 * DAY)
        # The latest minute from which that many worked minutes lie before the end.
        assert CALENDAR.before(instant(end), amount * MINUTE) == instant(WORKED[bisect_left(WORKED, end) - amount])


MINUTES = st.integers(0, 40 * 1440)


@given(start=MINUTES, amount=st.integers(1, 5 * DAY), edges=st.lists(MINUTES, max_size=8).map(sorted))
def test_a_pause_never_brings_the_end_forward_and_takes_nothing_from_what_is_left(
    start: int, amount: int, edges: list[int]
) -> None:
    edges = [edge for edge in edges if edge >= start]
    pauses = instants(list(zip(edges[::2], edges[1::2], strict=False)))
    end = ends(CALENDAR, instant(start), amount * MINUTE, pauses)
    assert end is not None
    assert end >= CALENDAR.after(instant(start), amount * MINUTE)
    assert passed(CALENDAR, instant(start), end, pauses) == amount * MINUTE
    assert passed(CALENDAR, instant(start), end - MINUTE, pauses) < amount * MINUTE


@given(start=MINUTES, begin=MINUTES, length=MINUTES, amount=st.integers(1, 5 * DAY))
def test_a_clock_goes_on_with_what_was_left_when_it_was_paused(
    start: int, begin: int, length: int, amount: int
) -> None:
    at = instant(start + begin)
    before = CALENDAR.after(instant(start), amount * MINUTE)
    left = CALENDAR.between(at, before)
    still = pause(ClockPolicy(), [], at)
    assert ends(CALENDAR, instant(start), amount * MINUTE, still) == (None if at < before else before)
    again = at + length * MINUTE
    end = ends(CALENDAR, instant(start), amount * MINUTE, resume(still, again))
    assert end == (CALENDAR.after(again, left) if left else before)


def test_a_clock_is_paused_as_often_and_as_long_as_the_policy_allows() -> None:
    policy = parse_policy("pauses: 1\npause_working_days: 0.5")
    with pytest.raises(PauseRefused):
        resume([], instant(0))
    monday = instant((date(2026, 11, 23) - FIRST).days * 1440 + 9 * 60)
    still = pause(policy, [], monday)
    with pytest.raises(PauseRefused):
        pause(policy, still, monday + HOUR)
    half_a_day = CALENDAR.amount(policy.pause_working_days)
    assert must_resume(CALENDAR, half_a_day, still) == monday + 5 * HOUR
    with pytest.raises(PauseRefused):
        pause(policy, resume(still, monday + HOUR), monday + 2 * HOUR)
    twice = [(monday, monday + HOUR), (monday + 24 * HOUR, None)]
    assert must_resume(CALENDAR, half_a_day, twice) == monday + 24 * HOUR + 2 * HOUR + HOUR // 2


def test_each_kind_of_clock_has_its_rule_and_finds_it_by_its_name() -> None:
    policy = ClockPolicy()
    rules = [
        answer_rule(policy, urgent=False, extended=False),
        answer_rule(policy, urgent=True, extended=False),
        answer_rule(policy, urgent=True, extended=True),
        acceptance_rule(policy),
        contribution_rule(policy),
        *case_rules(policy, "LARGE"),
        *case_rules(policy, "SERIOUS"),
    ]
    working = [3 * DAY, 2 * DAY, 5 * DAY, DAY // 2, 2 * DAY]
    assert [rule.amount(CALENDAR) // MINUTE for rule in rules] == [*working, 2880, 300, 1440]
    assert [rule_named(policy, rule.name) for rule in rules] == rules
    assert rule_named(policy, "briefing.LARGE") is None
    assert case_rules(policy, "") == []


def test_an_office_that_declares_its_hours_is_waited_for_in_them() -> None:
    office = ClockPolicy().of_office(parse_policy("working_hours: 08:00-14:00").working_hours, "Asia/Urumqi")
    calendar = WorkingCalendar(office)
    start = int(datetime(2026, 11, 23, 8, tzinfo=ZoneInfo("Asia/Urumqi")).timestamp()) * 1_000_000
    assert calendar.after(start, acceptance_rule(office).amount(calendar)) == start + 3 * HOUR
    assert ClockPolicy().of_office((), "") == ClockPolicy()


def test_a_clock_is_reminded_of_before_its_end_and_supervised_after_it() -> None:
    policy = parse_policy(
        "supervision: {answer: {reminder_before_hours: 2, supervision_after_hours: 1, circular_after_hours: 8}}"
    )
    assert policy.supervision[Kind.ANSWER] == Steps(2, 1, 8)
    monday = instant((date(2026, 11, 23) - FIRST).days * 1440)
    start, deadline = monday + 9 * HOUR, monday + 14 * HOUR
    steps = [next_step(policy, Kind.ANSWER, CALENDAR, start, deadline, stage) for stage in Stage]
    assert steps == [
        (Stage.REMINDER, monday + 10 * HOUR + HOUR // 2),
        (Stage.SUPERVISION, monday + 15 * HOUR),
        (Stage.CIRCULAR, monday + (24 + 15) * HOUR),
        None,
    ]


def test_what_would_come_before_the_start_is_not_said() -> None:
    step = next_step(ClockPolicy(), Kind.FIRST_INFORMATION, WallTime(), 0, HOUR, Stage.NONE)
    assert step == (Stage.SUPERVISION, HOUR)


def test_a_drill_runs_the_same_clock_faster() -> None:
    start = instant(17 * 60)
    real, fast = CALENDAR.after(start, 3 * DAY * MINUTE), FasterTime(CALENDAR, start, 60)
    end = fast.after(start, 3 * DAY * MINUTE)
    assert (end - start) == (real - start) // 60
    assert fast.between(start, end) == 3 * DAY * MINUTE
    assert fast.before(end, DAY * MINUTE) == start + (CALENDAR.before(real, DAY * MINUTE) - start) // 60
    assert time_of(Kind.ANSWER, CALENDAR, start, 1) is CALENDAR
    assert time_of(Kind.BRIEFING, CALENDAR, start, 24).after(start, 24 * HOUR) == start + HOUR


def test_the_desk_is_waited_for_until_it_has_assigned_and_once_it_is_to_publish() -> None:
    assert {state for state in State if owes(state) == Owes.DESK} == {
        State.REGISTERED,
        State.OBJECTED,
        State.APPROVED,
    }


def test_times_are_those_of_the_epoch() -> None:
    assert datetime.fromtimestamp(instant(0) / 1e6, UTC) == EPOCH
