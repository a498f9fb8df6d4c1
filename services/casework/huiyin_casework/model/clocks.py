"""Working time in the Chinese calendar, and the deadlines that count it.

A deadline of N working days is the instant at which N working days' worth of working hours have passed since the
start: the same time of day when the start lies within working hours, and the end of the last day when it does not.

Holidays and make-up days come from `chinesecalendar`, which rests on the yearly notices of the State Council. It knows
2004 to the year of its last release; a year beyond is counted by weekdays, and whoever shows the deadline can say so.
An operator's overrides come before both.
"""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import chinese_calendar
import yaml

_SECOND = 1_000_000
_MINUTE = 60 * _SECOND
_DAY = 86_400 * _SECOND
_QUARTER = 15 * _MINUTE  # every change of offset in the tz database since 1972 falls on a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class PolicyError(ValueError):
    """A clock policy cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


class Basis(StrEnum):
    """What a day's being worked or not rests on."""

    OVERRIDE = "override"
    CALENDAR = "calendar"
    WEEKDAY = "weekday"


@dataclass(frozen=True)
class WorkingHours:
    """One stretch of a working day, local time; start before end, within one day."""

    start: time
    end: time


@dataclass(frozen=True)
class ClockPolicy:
    """How long an answer may take. Days are working days unless the name says otherwise."""

    answer_working_days: int = 3
    urgent_working_days: int = 2
    extended_working_days: int = 5
    urgent_from: str = "SERIOUS"
    """The least grade of an event that makes its inquiries urgent."""
    feedback_calendar_days: int = 7
    """Days after publication in which the citizen may answer back; contacts are kept until then."""
    timezone: str = "Asia/Shanghai"
    working_hours: tuple[WorkingHours, ...] = (
        WorkingHours(time(9), time(12)),
        WorkingHours(time(13, 30), time(17, 30)),
    )
    overrides: Mapping[date, bool] = field(default_factory=dict)
    """Days that the operator declares worked (True) or free (False), before any calendar."""


GRADES: tuple[str, ...] = ("ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")
"""Grades of an event, from the least."""

_DAYS_FIELDS = ("answer_working_days", "urgent_working_days", "extended_working_days", "feedback_calendar_days")
_RANGE = re.compile(r"^\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*$")


def parse_policy(text: str) -> ClockPolicy:
    """Reads a clock policy from YAML. Fields left out keep their defaults; raises PolicyError with every mistake."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PolicyError([f"The policy is not YAML: {error}."]) from error
    if document is None:
        document = {}
    if not isinstance(document, dict):
        raise PolicyError(["The policy must be a mapping of fields, e.g. answer_working_days: 3."])
    problems: list[str] = []
    values: dict[str, object] = {}
    known = {*_DAYS_FIELDS, "timezone", "working_hours", "overrides", "urgent_from"}
    for name in document:
        if name not in known:
            problems.append(f"{name}: not a field of a clock policy; known are {', '.join(sorted(known))}.")
    for name in _DAYS_FIELDS:
        if name in document:
            days = document[name]
            if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= 250:
                problems.append(f"{name}: must be a whole number of days from 1 to 250, not {days!r}.")
            else:
                values[name] = days
    if "timezone" in document:
        try:
            values["timezone"] = ZoneInfo(str(document["timezone"])).key
        except (ZoneInfoNotFoundError, ValueError):
            problems.append(f"timezone: {document['timezone']!r} is not a zone of the tz database, e.g. Asia/Shanghai.")
    if "urgent_from" in document:
        if document["urgent_from"] in GRADES:
            values["urgent_from"] = document["urgent_from"]
        else:
            problems.append(f"urgent_from: must be one of {', '.join(GRADES)}, not {document['urgent_from']!r}.")
    if "working_hours" in document:
        values["working_hours"] = _parse_hours(document["working_hours"], problems)
    if "overrides" in document:
        values["overrides"] = _parse_overrides(document["overrides"], problems)
    if not problems:
        policy = ClockPolicy(**values)  # type: ignore[arg-type]
        if policy.urgent_working_days > policy.answer_working_days:
            problems.append("urgent_working_days: must not be more than answer_working_days.")
        if policy.extended_working_days < policy.answer_working_days:
            problems.append("extended_working_days: must not be less than answer_working_days.")
        if not problems:
            return policy
    raise PolicyError(problems)


def _parse_hours(value: object, problems: list[str]) -> tuple[WorkingHours, ...]:
    stretches = [str(part) for part in value] if isinstance(value, list) else str(value).split(",")
    hours: list[WorkingHours] = []
    for stretch in stretches:
        match = _RANGE.match(stretch)
        try:
            if match is None:
                raise ValueError
            begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        except ValueError:
            problems.append(f"working_hours: {stretch.strip()!r} is not a stretch such as 09:00-12:00.")
            continue
        if begin >= end:
            problems.append(f"working_hours: {stretch.strip()} ends before it begins.")
        elif hours and begin < hours[-1].end:
            problems.append(f"working_hours: {stretch.strip()} begins before the stretch before it has ended.")
        else:
            hours.append(WorkingHours(begin, end))
    if not hours and not problems:
        problems.append("working_hours: at least one stretch is needed, e.g. 09:00-12:00.")
    return tuple(hours)


def _parse_overrides(value: object, problems: list[str]) -> dict[date, bool]:
    overrides: dict[date, bool] = {}
    if not isinstance(value, dict) or not set(value) <= {"working", "free"}:
        problems.append("overrides: must hold the lists working and free, each of dates such as 2027-02-06.")
        return overrides
    for name, works in (("working", True), ("free", False)):
        for day in value.get(name) or []:
            if isinstance(day, str):
                with contextlib.suppress(ValueError):
                    day = date.fromisoformat(day)
            if not isinstance(day, date) or isinstance(day, datetime):
                problems.append(f"overrides.{name}: {day!r} is not a date such as 2027-02-06.")
            elif overrides.get(day, works) != works:
                problems.append(f"overrides: {day.isoformat()} stands in both lists.")
            else:
                overrides[day] = works
    return overrides


def is_urgent(policy: ClockPolicy, grade: str) -> bool:
    """Whether inquiries of an event of this grade are urgent. Unknown grades are not."""
    return grade in GRADES and GRADES.index(grade) >= GRADES.index(policy.urgent_from)


class WorkingCalendar:
    """Counts working time by one policy. Days are looked up once and kept: in a batch a deadline costs about 2 µs."""

    def __init__(self, policy: ClockPolicy) -> None:
        self.policy = policy
        self._zone = ZoneInfo(policy.timezone)
        self._hours = [(_micros_of(stretch.start), _micros_of(stretch.end)) for stretch in policy.working_hours]
        self._begins = [begin for begin, _ in self._hours]
        self._done_before: list[int] = []
        total = 0
        for begin, end in self._hours:
            self._done_before.append(total)
            total += end - begin
        self._length = total
        self._days: dict[int, tuple[bool, Basis]] = {}
        self._ahead: dict[tuple[int, int], int] = {}
        self._offsets: dict[int, int] = {}
        self._local_offsets: dict[int, int] = {}

    def day(self, day: date) -> tuple[bool, Basis]:
        """Whether a local day is worked, and what that rests on."""
        return self._day(day.toordinal() - _EPOCH_ORDINAL)

    def deadline(self, start: datetime, working_days: int) -> datetime:
        """The instant (UTC) at which `working_days` of working hours have passed since `start` (aware)."""
        return _EPOCH + timedelta(
            microseconds=self.deadline_micros((start - _EPOCH) // timedelta(microseconds=1), working_days)
        )

    def deadline_micros(self, start: int, working_days: int) -> int:
        """The same in microseconds since the epoch, for bulk work."""
        offset = self._offsets.get(start // _QUARTER)
        if offset is None:
            offset = self._offset(start // _QUARTER)
        day, clock = divmod(start + offset, _DAY)
        # The work that has passed on the starting day counts as if the clock had started with that day.
        done = 0
        if self._day(day)[0]:
            stretch = bisect_right(self._begins, clock) - 1
            if stretch >= 0:
                begin, end = self._hours[stretch]
                done = self._done_before[stretch] + min(clock, end) - begin
        else:
            day = self._worked_day(day, 0)
        full, rest = divmod(done + working_days * self._length, self._length)
        if rest == 0:
            full, rest = full - 1, self._length
        return self._instant(self._worked_day(day, full), rest)

    def unknown_years(self, start: datetime, end: datetime) -> tuple[int, ...]:
        """Years between two instants that the calendar does not know and that are therefore counted by weekdays."""
        first, last = (moment.astimezone(self._zone).date() for moment in (start, end))
        return tuple(
            year
            for year in range(first.year, last.year + 1)
            if self.day(max(first, date(year, 1, 1)))[1] == Basis.WEEKDAY
            or self.day(min(last, date(year, 12, 31)))[1] == Basis.WEEKDAY
        )

    def _day(self, day: int) -> tuple[bool, Basis]:
        known = self._days.get(day)
        if known is None:
            known = self._look_up(date.fromordinal(day + _EPOCH_ORDINAL))
            self._days[day] = known
        return known

    def _look_up(self, day: date) -> tuple[bool, Basis]:
        override = self.policy.overrides.get(day)
        if override is not None:
            return override, Basis.OVERRIDE
        try:
            return bool(chinese_calendar.is_workday(day)), Basis.CALENDAR
        except NotImplementedError:
            return day.weekday() < 5, Basis.WEEKDAY

    def _worked_day(self, day: int, ahead: int) -> int:
        """The worked day that lies `ahead` worked days after the first worked day from `day` on."""
        found = self._ahead.get((day, ahead))
        if found is None:
            found, left = day, ahead
            while True:
                if self._day(found)[0]:
                    if left == 0:
                        break
                    left -= 1
                found += 1
            self._ahead[(day, ahead)] = found
        return found

    def _instant(self, day: int, done: int) -> int:
        """The earliest instant on a worked day at which `done` microseconds of its work have passed (0 < done)."""
        stretch = len(self._hours) - 1
        while self._done_before[stretch] >= done:
            stretch -= 1
        local = day * _DAY + self._begins[stretch] + done - self._done_before[stretch]
        offset = self._local_offsets.get(local // _QUARTER)
        if offset is None:
            moment = datetime(1970, 1, 1) + timedelta(microseconds=local)
            offset = _offset_micros(moment.replace(tzinfo=self._zone).utcoffset())
            self._local_offsets[local // _QUARTER] = offset
        return local - offset

    def _offset(self, quarter: int) -> int:
        moment = _EPOCH + timedelta(microseconds=quarter * _QUARTER)
        offset = _offset_micros(moment.astimezone(self._zone).utcoffset())
        self._offsets[quarter] = offset
        return offset


def _micros_of(moment: time) -> int:
    return (moment.hour * 60 + moment.minute) * _MINUTE


def _offset_micros(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(microseconds=1)


def promised(current: int, recomputed: int) -> int:
    """The deadline after a grade changed: a date once promised is never moved later. Microseconds."""
    return min(current, recomputed)
