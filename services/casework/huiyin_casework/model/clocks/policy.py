"""The clock policy: how long things may take, when a clock that runs out is reminded of, and which hours are worked."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml

GRADES: tuple[str, ...] = ("ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")
"""Grades of an event, from the least."""


class PolicyError(ValueError):
    """A clock policy cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


class Kind(StrEnum):
    """What a clock waits for."""

    ANSWER = "answer"
    """An inquiry's answer; working time."""
    ACCEPTANCE = "acceptance"
    """That the unit which was given an order takes it up; working time of that unit."""
    CONTRIBUTION = "contribution"
    """What an assisting unit is to contribute; working time of that unit."""
    FIRST_INFORMATION = "first_information"
    """The first authoritative information on an event; wall clock."""
    BRIEFING = "briefing"
    """A briefing on a grave event; wall clock."""


WALL_KINDS = frozenset({Kind.FIRST_INFORMATION, Kind.BRIEFING})
"""Kinds that run day and night."""


@dataclass(frozen=True)
class WorkingHours:
    """One stretch of a working day, local time; start before end, within one day."""

    start: time
    end: time


@dataclass(frozen=True)
class Steps:
    """When a clock is spoken of, in hours that count as the clock does: working hours, or hours of the wall."""

    reminder_before_hours: float
    supervision_after_hours: float
    circular_after_hours: float


def _steps() -> dict[Kind, Steps]:
    return {
        Kind.ANSWER: Steps(7, 0, 7),
        Kind.ACCEPTANCE: Steps(1, 0, 3.5),
        Kind.CONTRIBUTION: Steps(3.5, 0, 7),
        Kind.FIRST_INFORMATION: Steps(1, 0, 5),
        Kind.BRIEFING: Steps(4, 0, 24),
    }


@dataclass(frozen=True)
class ClockPolicy:
    """How long an answer may take. Days are working days unless the name says otherwise."""

    answer_working_days: float = 3
    urgent_working_days: float = 2
    extended_working_days: float = 5
    acceptance_working_days: float = 0.5
    contribution_working_days: float = 2
    urgent_from: str = "SERIOUS"
    """The least grade of an event that makes its inquiries urgent."""
    first_information_hours: Mapping[str, float] = field(
        default_factory=lambda: {"ORDINARY": 48, "LARGE": 48, "SERIOUS": 5, "ESPECIALLY_SERIOUS": 5}
    )
    """By grade; a grade that is left out has no such clock."""
    briefing_hours: Mapping[str, float] = field(default_factory=lambda: {"SERIOUS": 24, "ESPECIALLY_SERIOUS": 24})
    """The same."""
    pauses: int = 2
    """How often a clock may be paused."""
    pause_working_days: float = 5
    """All pauses of a clock together; it goes on by itself when they are used up."""
    supervision: Mapping[Kind, Steps] = field(default_factory=_steps)
    stand_in_after_hours: float = 4
    """Working hours that a reply waits for its approver before a stand-in may act."""
    feedback_calendar_days: int = 7
    """Days after publication in which the citizen may answer back; contacts are kept until then."""
    drill_speed: int = 60
    """How much faster the clocks of a drill's cases run."""
    timezone: str = "Asia/Shanghai"
    working_hours: tuple[WorkingHours, ...] = (
        WorkingHours(time(9), time(12)),
        WorkingHours(time(13, 30), time(17, 30)),
    )
    overrides: Mapping[date, bool] = field(default_factory=dict)
    """Days that the operator declares worked (True) or free (False), before any calendar."""

    def of_office(self, working_hours: tuple[WorkingHours, ...], timezone: str) -> ClockPolicy:
        """The same policy where an office works; what the office does not declare stays as it is."""
        return replace(self, working_hours=working_hours or self.working_hours, timezone=timezone or self.timezone)


_MOST_DAYS = 250
_MOST_HOURS = 1000
_DAYS_FIELDS = (
    "answer_working_days",
    "urgent_working_days",
    "extended_working_days",
    "acceptance_working_days",
    "contribution_working_days",
    "pause_working_days",
)
_COUNT_FIELDS = {"feedback_calendar_days": (1, _MOST_DAYS), "pauses": (0, 100), "drill_speed": (1, 10_000)}
_BY_GRADE_FIELDS = ("first_information_hours", "briefing_hours")
_STEP_FIELDS = ("reminder_before_hours", "supervision_after_hours", "circular_after_hours")
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
    reader = _Reader(document)
    policy = reader.read()
    if policy is None:
        raise PolicyError(reader.problems)
    return policy


def parse_working_hours(stretches: list[str], problems: list[str]) -> tuple[WorkingHours, ...]:
    """Stretches such as 09:00-12:00, in order; adds a sentence to `problems` for each mistake."""
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
    return tuple(hours)


def parse_timezone(name: str, problems: list[str]) -> str:
    """A zone of the tz database; adds a sentence to `problems` where there is none of that name."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        problems.append(f"timezone: {name!r} is not a zone of the tz database, e.g. Asia/Shanghai.")
        return ""


def is_urgent(policy: ClockPolicy, grade: str) -> bool:
    """Whether inquiries of an event of this grade are urgent. Unknown grades are not."""
    return grade in GRADES and GRADES.index(grade) >= GRADES.index(policy.urgent_from)


class _Reader:
    """Walks the document and notes each mistake."""

    def __init__(self, document: dict[object, object]) -> None:
        self.problems: list[str] = []
        self._document = document
        self._values: dict[str, object] = {}

    def read(self) -> ClockPolicy | None:
        readers = {
            **dict.fromkeys(_DAYS_FIELDS, self._days),
            **dict.fromkeys(_COUNT_FIELDS, self._count),
            **dict.fromkeys(_BY_GRADE_FIELDS, self._by_grade),
            "stand_in_after_hours": self._hours,
            "urgent_from": self._urgent_from,
            "timezone": self._timezone,
            "working_hours": self._working_hours,
            "overrides": self._overrides,
            "supervision": self._supervision,
        }
        for name, value in self._document.items():
            reader = readers.get(str(name))
            if reader is None:
                known = ", ".join(sorted(readers))
                self.problems.append(f"{name}: not a field of a clock policy; known are {known}.")
            else:
                self._values[str(name)] = reader(str(name), value)
        if self.problems:
            return None
        policy = ClockPolicy(**self._values)  # type: ignore[arg-type]
        if policy.urgent_working_days > policy.answer_working_days:
            self.problems.append("urgent_working_days: must not be more than answer_working_days.")
        if policy.extended_working_days < policy.answer_working_days:
            self.problems.append("extended_working_days: must not be less than answer_working_days.")
        return None if self.problems else policy

    def _days(self, name: str, value: object) -> float:
        if (days := _number(value)) is None or not 0 < days <= _MOST_DAYS or days * 4 != int(days * 4):
            self.problems.append(f"{name}: must be days up to {_MOST_DAYS}, in quarters, e.g. 3 or 0.5, not {value!r}.")
            return 1
        return days

    def _count(self, name: str, value: object) -> int:
        least, most = _COUNT_FIELDS[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.problems.append(f"{name}: must be a whole number from {least} to {most}, not {value!r}.")
            return most
        return value

    def _hours(self, name: str, value: object) -> float:
        if (hours := _number(value)) is None or not 0 <= hours <= _MOST_HOURS or hours * 60 != int(hours * 60):
            text = f"{name}: must be hours from 0 to {_MOST_HOURS}, down to the minute, e.g. 5 or 0.5, not {value!r}."
            self.problems.append(text)
            return 0
        return hours

    def _by_grade(self, name: str, value: object) -> dict[str, float]:
        if not isinstance(value, dict) or not set(value) <= set(GRADES):
            self.problems.append(f"{name}: must give hours by grade, of {', '.join(GRADES)}, not {value!r}.")
            return {}
        hours = {str(grade): self._hours(f"{name}.{grade}", given) for grade, given in value.items()}
        self.problems += [f"{name}.{grade}: must be more than 0." for grade, given in hours.items() if not given]
        return hours

    def _urgent_from(self, name: str, value: object) -> str:
        if value not in GRADES:
            self.problems.append(f"{name}: must be one of {', '.join(GRADES)}, not {value!r}.")
        return str(value)

    def _timezone(self, name: str, value: object) -> str:
        return parse_timezone(str(value), self.problems)

    def _working_hours(self, name: str, value: object) -> tuple[WorkingHours, ...]:
        before = len(self.problems)
        hours = parse_working_hours(
            [str(part) for part in value] if isinstance(value, list) else str(value).split(","), self.problems
        )
        if not hours and len(self.problems) == before:
            self.problems.append("working_hours: at least one stretch is needed, e.g. 09:00-12:00.")
        return hours

    def _supervision(self, name: str, value: object) -> dict[Kind, Steps]:
        steps = _steps()
        if not isinstance(value, dict):
            self.problems.append(f"{name}: must give the steps by kind of clock, of {', '.join(Kind)}.")
            return steps
        for kind, given in value.items():
            if kind not in set(Kind):
                self.problems.append(f"{name}.{kind}: not a kind of clock; known are {', '.join(Kind)}.")
            elif not isinstance(given, dict) or not set(given) <= set(_STEP_FIELDS):
                self.problems.append(f"{name}.{kind}: must give {', '.join(_STEP_FIELDS)}.")
            else:
                hours = {step: self._hours(f"{name}.{kind}.{step}", found) for step, found in given.items()}
                steps[Kind(kind)] = found_steps = replace(steps[Kind(kind)], **hours)
                if found_steps.circular_after_hours < found_steps.supervision_after_hours:
                    self.problems.append(f"{name}.{kind}: a circular does not come before supervision.")
        return steps

    def _overrides(self, name: str, value: object) -> dict[date, bool]:
        overrides: dict[date, bool] = {}
        if not isinstance(value, dict) or not set(value) <= {"working", "free"}:
            self.problems.append("overrides: must hold the lists working and free, each of dates such as 2027-02-06.")
            return overrides
        for which, works in (("working", True), ("free", False)):
            for day in value.get(which) or []:
                if isinstance(day, str):
                    with contextlib.suppress(ValueError):
                        day = date.fromisoformat(day)
                if not isinstance(day, date) or isinstance(day, datetime):
                    self.problems.append(f"overrides.{which}: {day!r} is not a date such as 2027-02-06.")
                elif overrides.get(day, works) != works:
                    self.problems.append(f"overrides: {day.isoformat()} stands in both lists.")
                else:
                    overrides[day] = works
        return overrides


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
