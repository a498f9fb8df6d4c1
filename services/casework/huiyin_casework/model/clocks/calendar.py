"""Working time in the Chinese calendar, wall-clock time, and the sped-up time of a drill: three ways to count.

A deadline of N working days is the instant at which N working days' worth of working hours have passed since the
start: the same time of day when the start lies within working hours, and the end of the last day when it does not.

Holidays and make-up days come from `chinesecalendar`, which rests on the yearly notices of the State Council. It knows
2004 to the year of its last release; a year beyond is counted by weekdays, and whoever shows the deadline can say so.
An operator's overrides come before both.

Instants and amounts are microseconds, instants since the epoch (UTC).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

import chinese_calendar
from chinese_calendar.constants import holidays

from huiyin_casework.model.clocks.policy import ClockPolicy

_SECOND = 1_000_000
MINUTE = 60 * _SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
_QUARTER = 15 * MINUTE  # every change of offset in the tz database since 1972 falls on a quarter of an hour
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

LAST_KNOWN_YEAR: int = max(day.year for day in holidays)
"""The last year whose holidays the calendar library knows."""


class Basis(StrEnum):
    """What a day's being worked or not rests on."""

    OVERRIDE = "override"
    CALENDAR = "calendar"
    WEEKDAY = "weekday"


class Time(Protocol):
    """A way to count time. Amounts are not negative."""

    def after(self, start: int, amount: int) -> int:
        """The earliest instant, not before `start`, at which that amount has passed since."""

    def before(self, end: int, amount: int) -> int:
        """The latest instant, not after `end`, from which that amount passes until then."""

    def between(self, start: int, end: int) -> int:
        """The amount that passes from one instant to another, 0 when the other is earlier."""


class WallTime:
    """Every hour counts."""

    def after(self, start: int, amount: int) -> int:
        """See Time."""
        return start + amount

    def before(self, end: int, amount: int) -> int:
        """See Time."""
        return end - amount

    def between(self, start: int, end: int) -> int:
        """See Time."""
        return max(end - start, 0)


class FasterTime:
    """Another time that runs so many times faster from an instant on, as in a drill."""

    def __init__(self, time: Time, origin: int, speed: int) -> None:
        self._time = time
        self._origin = origin
        self._speed = speed

    def after(self, start: int, amount: int) -> int:
        """See Time."""
        found = self._time.after(self._inside(start), amount) - self._origin
        return self._origin - (-found // self._speed)

    def before(self, end: int, amount: int) -> int:
        """See Time."""
        return self._origin + (self._time.before(self._inside(end), amount) - self._origin) // self._speed

    def between(self, start: int, end: int) -> int:
        """See Time."""
        return self._time.between(self._inside(start), self._inside(end))

    def _inside(self, instant: int) -> int:
        return self._origin + (instant - self._origin) * self._speed


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
        self.day_length = total
        """Working time of a worked day."""
        self._days: dict[int, tuple[bool, Basis]] = {}
        self._ahead: dict[tuple[int, int], int] = {}
        self._offsets: dict[int, int] = {}
        self._local_offsets: dict[int, int] = {}

    def day(self, day: date) -> tuple[bool, Basis]:
        """Whether a local day is worked, and what that rests on."""
        return self._day(day.toordinal() - _EPOCH_ORDINAL)

    def deadline(self, start: datetime, working_days: float) -> datetime:
        """The instant (UTC) at which `working_days` of working hours have passed since `start` (aware)."""
        since = (start - _EPOCH) // timedelta(microseconds=1)
        return _EPOCH + timedelta(microseconds=self.after(since, self.amount(working_days)))

    def amount(self, working_days: float) -> int:
        """The working time of so many days, which are multiples of a quarter."""
        return int(working_days * 4) * self.day_length // 4

    def after(self, start: int, amount: int) -> int:
        """See Time."""
        if amount == 0:
            return start
        day, done = self._position(start)
        full, rest = divmod(done + amount, self.day_length)
        if rest == 0:
            full, rest = full - 1, self.day_length
        return self._instant(self._worked_day(day, full), rest)

    def before(self, end: int, amount: int) -> int:
        """See Time."""
        if amount == 0:
            return end
        day, done = self._position(end)
        left = done - amount
        while left < 0:
            day -= 1
            if self._day(day)[0]:
                left += self.day_length
        # The latest instant at which that much was done: where the next stretch begins, when one has just ended.
        stretch = bisect_right(self._done_before, left) - 1
        return self._utc(day * DAY + self._begins[stretch] + left - self._done_before[stretch])

    def between(self, start: int, end: int) -> int:
        """See Time."""
        if end <= start:
            return 0
        first, done_before = self._position(start)
        last, done = self._position(end)
        return sum(self._day(day)[0] for day in range(first, last)) * self.day_length + done - done_before

    def end_of_day(self, instant: int) -> int:
        """The end of the local day of an instant."""
        return self._utc((self._local(instant)[0] + 1) * DAY)

    def stretches(self, start: int, end: int) -> Iterator[tuple[date, int, int, bool]]:
        """The time between two instants in pieces that count or do not: local day, start, end, and which it is."""
        day = self._local(start)[0]
        while start < end:
            edges = [0]
            if self._day(day)[0]:
                edges = [0, *(edge for stretch in self._hours for edge in stretch)]
            edges.append(DAY)
            for index, (begin, stop) in enumerate(pairwise(edges)):
                upto = min(self._utc(day * DAY + stop), end)
                if upto > start and begin < stop:
                    yield date.fromordinal(day + _EPOCH_ORDINAL), start, upto, index % 2 == 1
                    start = upto
            day += 1

    def by_weekdays(self, start: int, end: int) -> tuple[int, ...]:
        """Years between two instants that the calendar does not know and that are therefore counted by weekdays."""
        first, last = (date.fromordinal(self._local(moment)[0] + _EPOCH_ORDINAL) for moment in (start, end))
        return tuple(
            year
            for year in range(first.year, last.year + 1)
            if self.day(max(first, date(year, 1, 1)))[1] == Basis.WEEKDAY
            or self.day(min(last, date(year, 12, 31)))[1] == Basis.WEEKDAY
        )

    def _local(self, instant: int) -> tuple[int, int]:
        """The local day of an instant, and the time of that day."""
        offset = self._offsets.get(instant // _QUARTER)
        if offset is None:
            offset = self._offset(instant // _QUARTER)
        return divmod(instant + offset, DAY)

    def _position(self, instant: int) -> tuple[int, int]:
        """The worked day of an instant, or the next one, and how much of its work has passed by then."""
        day, clock = self._local(instant)
        if not self._day(day)[0]:
            return self._worked_day(day, 0), 0
        stretch = bisect_right(self._begins, clock) - 1
        if stretch < 0:
            return day, 0
        begin, end = self._hours[stretch]
        return day, self._done_before[stretch] + min(clock, end) - begin

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
        return self._utc(day * DAY + self._begins[stretch] + done - self._done_before[stretch])

    def _utc(self, local: int) -> int:
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
    return (moment.hour * 60 + moment.minute) * MINUTE


def _offset_micros(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // timedelta(microseconds=1)
