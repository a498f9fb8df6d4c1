"""Why a clock ends when it does: each stretch of time counted or skipped, with what that rests on.

The words are those that an officer reads, and name the State Council's notice where a day rests on one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from chinese_calendar.constants import Holiday, holidays, workdays

from huiyin_casework.model.clocks.calendar import Basis, WorkingCalendar
from huiyin_casework.model.clocks.counting import Pause
from huiyin_casework.model.clocks.policy import WALL_KINDS, Kind


class Reason(StrEnum):
    """Why a stretch counts, or not."""

    WORKING_HOURS = "WORKING_HOURS"
    OUTSIDE_HOURS = "OUTSIDE_HOURS"
    WEEKEND = "WEEKEND"
    HOLIDAY = "HOLIDAY"
    PAUSED = "PAUSED"
    WALL_CLOCK = "WALL_CLOCK"


@dataclass(frozen=True)
class Stretch:
    """A piece of time, in microseconds since the epoch, that a clock counts or skips."""

    start: int
    end: int
    counted: bool
    reason: Reason
    basis: Basis | None = None
    """What its day's being worked or not rests on; None where the day does not matter."""
    notice: str = ""
    """The rule or notice behind that, in words; empty for an ordinary day."""


def stretches(
    kind: Kind, calendar: WorkingCalendar, start: int, end: int, pauses: Sequence[Pause], *, speed: int, version: int
) -> list[Stretch]:
    """The time of a clock from its start to an end, in order and without a gap; neighbours of one reason are joined.

    `version`: of the clock policy, for the words about its overrides.
    """
    found: list[Stretch] = []
    for piece in _pieces(kind, calendar, start, end, pauses, speed, version):
        last = found[-1] if found else None
        if last is not None and replace(last, end=piece.end) == replace(piece, start=last.start):
            found[-1] = replace(last, end=piece.end)
        else:
            found.append(piece)
    return found


def notice_of(day: date, basis: Basis, version: int) -> str:
    """The rule or notice that makes a day worked or free, in words; "" for a plain weekday or weekend."""
    if basis == Basis.OVERRIDE:
        return f"时限规则第{version}版另行规定（policies/clocks/versions/{version}，overrides）"
    if basis == Basis.WEEKDAY:
        return f"{day.year}年放假安排尚未载入，按周一至周五推算"
    name = holidays.get(day) or workdays.get(day)
    if name is None:
        return ""
    if name == Holiday.anti_fascist_70th_day.value:
        return "国务院关于中国人民抗日战争暨世界反法西斯战争胜利70周年纪念日调休放假的通知"
    # What is free or worked in December for New Year stands in the notice of the year that begins.
    year = day.year + (name == Holiday.new_years_day.value and day.month == 12)
    kind = "放假" if day in holidays else "调休上班"
    return f"国务院办公厅关于{year}年部分节假日安排的通知（{Holiday(name).chinese}{kind}）"


def _pieces(
    kind: Kind,
    calendar: WorkingCalendar,
    start: int,
    end: int,
    pauses: Sequence[Pause],
    speed: int,
    version: int,
) -> Iterator[Stretch]:
    at = start
    for begin, stop in (*pauses, (end, end)):
        begin = min(begin, end)
        if at < begin:
            yield from _running(kind, calendar, start, at, begin, speed, version)
        at = min(end if stop is None else stop, end)
        if begin < at:
            yield Stretch(begin, at, False, Reason.PAUSED)


def _running(
    kind: Kind, calendar: WorkingCalendar, origin: int, start: int, end: int, speed: int, version: int
) -> Iterator[Stretch]:
    if kind in WALL_KINDS:
        yield Stretch(start, end, True, Reason.WALL_CLOCK)
        return
    last = start
    inside = (origin + (moment - origin) * speed for moment in (start, end))
    for day, _, upto, counted in calendar.stretches(*inside):
        until = min(origin - (-(upto - origin) // speed), end)
        if until > last:
            basis = calendar.day(day)[1]
            notice = notice_of(day, basis, version)
            yield Stretch(last, until, counted, _reason(calendar, day, counted), basis, notice)
            last = until


def _reason(calendar: WorkingCalendar, day: date, counted: bool) -> Reason:
    if counted:
        return Reason.WORKING_HOURS
    if calendar.day(day)[0]:
        return Reason.OUTSIDE_HOURS
    return Reason.WEEKEND if day.weekday() >= 5 and day not in holidays else Reason.HOLIDAY
