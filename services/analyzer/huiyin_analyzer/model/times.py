"""Times that a text names, resolved to intervals.

A pure function of the text and of when it was published. Nothing is guessed: what may mean several times is left out,
such as 3点 without a part of the day, 周三 without its week, a day of a month half a year away, or the end of a year.
What comes again and again is told as such and has no interval. Intervals end before their end.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple

from huiyin_analyzer.model.folding import fold


class TimeMention(NamedTuple):
    """Where a time is named, its words, and what it means; without start and end where it recurs."""

    at: int
    text: str
    start: datetime | None
    end: datetime | None

    @property
    def recurring(self) -> bool:
        """Whether it comes again and again."""
        return self.start is None


class _Days(NamedTuple):
    """Whole days, in local time, from the midnight of `first` to before that of `end`."""

    first: datetime
    end: datetime

    @property
    def is_one(self) -> bool:
        return self.end - self.first == timedelta(days=1)


_FARTHEST: Final = timedelta(days=120)
"""A day of a year that is not told is that of the nearest year, where it is so near; else it may be either."""
_YEARS: Final = range(1950, 2100)
_MOST_DAYS_AGO: Final = 60

_PARTS: Final = {
    "凌晨": (0, 6),
    "清晨": (5, 9),
    "早晨": (5, 9),
    "早上": (5, 9),
    "早": (5, 9),
    "晨": (5, 9),
    "上午": (6, 12),
    "中午": (11, 14),
    "下午": (12, 18),
    "傍晚": (17, 20),
    "晚上": (18, 24),
    "晚间": (18, 24),
    "夜晚": (18, 24),
    "夜里": (18, 24),
    "晚": (18, 24),
    "夜": (18, 24),
}
"""The hours of a part of the day. Midnight is of two days, so that 半夜 and 深夜 are none."""
_DAYS: Final = {"大前": -3, "前": -2, "昨": -1, "今": 0, "明": 1, "后": 2, "大后": 3}
_YEARS_AWAY: Final = {"大前年": -3, "前年": -2, "去年": -1, "今年": 0, "本年": 0, "明年": 1, "后年": 2}
_AWAY: Final = {"上上": -2, "上": -1, "本": 0, "这": 0, "这一": 0, "上一": -1, "下": 1, "下一": 1, "下下": 2}
_WEEKDAYS: Final = {name: index for index, name in enumerate("一二三四五六日")} | {"天": 6}
_THIRDS: Final = {"上旬": (1, 11), "中旬": (11, 21), "下旬": (21, 0)}
_DIGITS: Final = {"零": 0, "〇": 0, "两": 2} | {name: index for index, name in enumerate("一二三四五六七八九", 1)}

_N: Final = r"(?:\d{1,2}|[一二两三四五六七八九]?十[一二三四五六七八九]?|[一二两三四五六七八九])"
_OF_MONTH: Final = "[日号](?!楼|线|栋|院|地块)"
_NOT_A_MONTH: Final = "(?!之久|有余|多|内|票|薪|租|卡|嫂|子|亮|饼|份额)"
_PART: Final = "|".join(sorted(_PARTS, key=len, reverse=True))
_YEAR_AWAY: Final = "|".join(_YEARS_AWAY)
_NEXT: Final = "|".join(sorted(_AWAY, key=len, reverse=True))
_THIRD: Final = "|".join(_THIRDS)
_DATE: Final = re.compile(
    rf"""
      (?<![\d.])(?P<y1>(?:19|20)\d\d)\s?[-/.]\s?(?P<m1>\d{{1,2}})\s?[-/.]\s?(?P<d1>\d{{1,2}})(?![\d.])[日号]?
    | (?:(?<!\d)(?P<y2>(?:19|20)?\d\d)年度?|(?<![明大])(?P<away2>{_YEAR_AWAY})度?的?)\s?
      (?: (?P<m2>{_N})月(?:份)?\s?(?:(?P<d2>{_N}){_OF_MONTH}|(?P<third2>{_THIRD}))?
        | (?P<half>[上下])半年
        | (?=(?P<whole>)) )
    | (?<![\d.个第年~-])(?P<m3>\d{{1,2}}|十[一二]?|[一二三四五六七八九])月{_NOT_A_MONTH}(?:份)?
      (?:\s?(?:(?P<d3>{_N}){_OF_MONTH}|(?P<third3>{_THIRD})))?
    | (?P<away4>{_NEXT})个?月(?:份)?(?:(?P<d4>{_N}){_OF_MONTH}|(?P<third4>{_THIRD}))?
    | (?P<away5>{_NEXT})个?(?:周|星期|礼拜)(?P<weekday>[一二三四五六日天])?(?!围|边|期|年)
    | (?P<day>大前|大后|前|昨|(?<!的)今|明|后)(?:天|日(?!报))
    | (?P<night>昨|今|明|前)(?P<part>早|晨|晚|夜)(?:上|间|里)?
    | (?P<ago>{_N})天(?:之|以)?前
    """,
    re.VERBOSE,
)
_STARTS: Final = re.compile("[\\d一二两三四五六七八九十大前去今明后本昨上下这每天]")
_CLOCK: Final = re.compile(
    rf"""\s?的?\s?(?P<part>{_PART})?\s?
    (?:
        (?P<h>{_N})(?:点|时(?!候|间|代|常|段|刻|不|尚|装))(?:钟|整|(?P<quarter>半|一刻|三刻)|(?P<mi>\d{{2}}|[零〇]?{_N}(?=分)|[零〇]?[一二三四五六七八九十]{{1,3}})分?)?
      | (?P<h2>\d{{1,2}})[:：](?P<mi2>\d\d)(?:[:：]\d\d)?(?!\d)
    )?""",
    re.VERBOSE,
)
_TO: Final = re.compile(
    r"\s?(?:一直)?(?:到|至|[-—–~～])+\s?(?:(?P<next>第二天|次日|翌日)|(?P<same>当天|当日|当晚))?的?\s?"
)
_DAY_ALONE: Final = re.compile(rf"(?P<d>{_N}){_OF_MONTH}")
_SINCE: Final = re.compile(r"\s?(?:份|日|号)?(?:以来|至今|到现在|到目前|起至今|开始至今)")
_OPEN: Final = re.compile(
    r"\s?的?(?:年?[初底末]|年中|左右|前后|前(?!往|来|台|期|去|面|的)|后(?!勤|台|面|续|期|的)|之前|之后|以前|以后|或)"
)
"""What makes an interval without a beginning or an end of what it follows, or something about it."""
_RECURRING: Final = re.compile(
    rf"(?:每天|每日|(?<!一)天天|(?P<when>每晚|每夜|每早|每个?(?:周|星期|礼拜)[一二三四五六日天末](?:[至到]周?[一二三四五六日天])?"
    rf"|每逢周末|每个?月{_N}[日号]|每年{_N}月(?:份)?(?:{_N}[日号])?|每个?工作日))"
    rf"(?P<times>(?:[，,]?(?:从|的|在|基本|都是?|几乎){{0,2}}(?:{_PART})?\s?{_N}(?:点|时(?!候|间|代|常|段))(?:钟|半|{_N}分?)?"
    rf"|的?(?:{_PART}|半夜|深夜)(?!饭|餐))?"
    rf"(?:(?:一直)?(?:到|至|[-—~～]+)(?:第二天|次日)?(?:{_PART}|半夜)?\s?{_N}(?:点|时(?!候|间))(?:钟|半|{_N}分|\d{{2}}(?!\d))?)?)"
)


def times_in(text: str, published: datetime | None, zone: tzinfo) -> list[TimeMention]:
    """The times that a text names, in their order; starts and ends are aware, in `zone`.

    `published`: aware; without it only times that name their year are resolved.
    """
    text = fold(text)
    now = published.astimezone(zone).replace(tzinfo=None) if published else None
    found: list[TimeMention] = []
    end = 0
    year: int | None = None
    bare = -1
    for start in _STARTS.finditer(text):
        at = start.start()
        if at < end:
            continue
        if recurring := _RECURRING.match(text, at):
            end = recurring.end()
            if recurring["when"] or recurring["times"]:
                found.append(TimeMention(at, recurring[0], None, None))
        elif match := _DATE.match(text, at):
            end, interval = _resolve(text, match, now)
            if interval is None:
                continue
            if match["m3"] and (year not in (None, interval[0].year) or at <= bare):
                continue  # of the year that was told before, or of the nearest
            if match["m1"] or match["m2"]:
                year = interval[0].year
            elif match["y2"]:
                bare = end + 1  # a month right behind it is of that year: 2004年，11月
            first, last = (moment.replace(tzinfo=zone) for moment in interval)
            found.append(TimeMention(at, text[at:end].strip(), first, last))
    return found


def _resolve(text: str, match: re.Match[str], now: datetime | None) -> tuple[int, tuple[datetime, datetime] | None]:
    """Where a mention ends, and the interval that it means, if it means one."""
    end = match.end()
    try:
        days = _days_of(match, now)
    except (ValueError, OverflowError):  # the thirtieth of February
        days = None
    if days is None:
        return end, None
    start, stop = days
    if days.is_one:
        clock = _CLOCK.match(text, end)
        interval = _within_day(start, clock, match.groupdict().get("part") if match["night"] else None)
        if clock and clock[0].strip(" 的"):
            end = clock.end()
        if interval is not None:
            start, stop = interval
        elif end > match.end():  # an hour that may be two: the day is sure
            return end, days
    if (to := _TO.match(text, end)) and (until := _until(text, to, days, start, now)):
        end, stop = until
    elif since := _SINCE.match(text, end):
        if now is None or start >= now:
            return since.end(), None
        end, stop = since.end(), now
    elif found := _OPEN.match(text, end):
        return found.end(), None
    return end, (start, stop) if start < stop else None


def _days_of(match: re.Match[str], now: datetime | None) -> _Days | None:
    part = match.groupdict()
    if part["y1"]:
        return _day(int(part["y1"]), int(part["m1"]), int(part["d1"]))
    if part["y2"] or part["away2"]:
        year = _year(part, now)
        return None if year is None else _in_year(year, part)
    if now is None:
        return None
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if part["m3"]:
        return _nearest(today, _number(part["m3"]), part["d3"], part["third3"])
    if part["away4"]:
        months = today.year * 12 + today.month - 1 + _AWAY[part["away4"]]
        return _in_month(months // 12, months % 12 + 1, part["d4"], part["third4"])
    if part["away5"]:
        monday = today + timedelta(days=7 * _AWAY[part["away5"]] - today.weekday())
        if part["weekday"] is None:
            return _Days(monday, monday + timedelta(days=7))
        return _one(monday + timedelta(days=_WEEKDAYS[part["weekday"]]))
    if part["ago"]:
        days = _number(part["ago"])
        return _one(today - timedelta(days=days)) if 0 < days <= _MOST_DAYS_AGO else None
    return _one(today + timedelta(days=_DAYS[part["day"] or part["night"] or ""]))


def _year(part: dict[str, str | None], now: datetime | None) -> int | None:
    if away := part["away2"]:
        return None if now is None else now.year + _YEARS_AWAY[away]
    written = part["y2"] or ""
    if len(written) == 4:
        return int(written)
    # 18年 alone is how long something takes; with a month it is a year of this century.
    if part["m2"] is None or now is None:
        return None
    year = now.year // 100 * 100 + int(written)
    return year if year <= now.year + 1 else None


def _in_year(year: int, part: dict[str, str | None]) -> _Days | None:
    if part["m2"]:
        return _in_month(year, _number(part["m2"]), part["d2"], part["third2"])
    if year not in _YEARS:
        return None
    if part["half"]:
        first = 1 if part["half"] == "上" else 7
        return _Days(datetime(year, first, 1), datetime(year + first // 7, (first + 6) % 12, 1))
    return _Days(datetime(year, 1, 1), datetime(year + 1, 1, 1))


def _in_month(year: int, month: int, day: str | None, third: str | None) -> _Days | None:
    if day:
        return _day(year, month, _number(day))
    if year not in _YEARS:
        return None
    first = datetime(year, month, 1)
    after = datetime(year + month // 12, month % 12 + 1, 1)
    if third:
        start, end = _THIRDS[third]
        return _Days(first.replace(day=start), first.replace(day=end) if end else after)
    return _Days(first, after)


def _nearest(today: datetime, month: int, day: str | None, third: str | None) -> _Days | None:
    """A day or a month of the year in which it is nearest to today, where it is near."""
    each = [_in_month(today.year + years, month, day, third) for years in (-1, 0, 1)]
    found = min((days for days in each if days), key=lambda days: _distance(days, today), default=None)
    return found if found and _distance(found, today) <= _FARTHEST else None


def _distance(days: _Days, today: datetime) -> timedelta:
    return max(days.first - today, today - days.end, timedelta())


def _day(year: int, month: int, day: int) -> _Days | None:
    return _one(datetime(year, month, day)) if year in _YEARS else None


def _one(day: datetime) -> _Days:
    return _Days(day, day + timedelta(days=1))


def _within_day(day: datetime, clock: re.Match[str] | None, part: str | None) -> tuple[datetime, datetime] | None:
    """The time of a day that a clock tells, or a part of it; None where it tells none for sure."""
    part = (clock["part"] if clock else None) or part
    if clock and (clock["h"] or clock["h2"]):
        read = _clock_time(clock, part)
        if read is None:
            return None
        minutes, width = read
        start = day + timedelta(minutes=minutes)
        return start, start + timedelta(minutes=width)
    if part:
        first, last = _PARTS[part]
        return day + timedelta(hours=first), day + timedelta(hours=last)
    return None


def _clock_time(clock: re.Match[str], part: str | None) -> tuple[int, int] | None:
    """Minutes after midnight, and the minutes that the words leave open; None where they may mean two times."""
    digital = clock["h2"] is not None
    hour = int(clock["h2"]) if digital else _number(clock["h"])
    minute = _minute(clock)
    if hour > 24 or minute > 59 or (hour == 24 and minute):
        return None
    if part is None:
        # 3点 is by day or by night, 15点 and 03:00 are not.
        if not digital and 1 <= hour <= 12:
            return None
    else:
        first, last = _PARTS[part]
        # Where a twelve-hour clock says it: 下午3点 is 15, 晚上12点 is midnight.
        if hour <= 12 and first >= 11:
            fitting = [each for each in (hour, hour + 12) if first <= each <= last]
        else:
            fitting = [each for each in (hour % 24 if part == "凌晨" else hour,) if first - 1 <= each <= last]
        if part == "凌晨" and hour == 12:
            fitting = [0]
        if len(fitting) != 1:
            return None
        hour = fitting[0]
    exact = digital or clock["mi"] or clock["quarter"]
    return 60 * hour + minute, 1 if exact else 60


def _minute(clock: re.Match[str]) -> int:
    if clock["mi2"]:
        return int(clock["mi2"])
    if quarter := clock["quarter"]:
        return {"半": 30, "一刻": 15, "三刻": 45}[quarter]
    return _number(clock["mi"].lstrip("零〇") or "零") if clock["mi"] else 0


def _until(
    text: str, to: re.Match[str], days: _Days, start: datetime, now: datetime | None
) -> tuple[int, datetime] | None:
    """Where a range ends in the text, and in time: at the beginning of a minute, at the end of a day."""
    at = to.end()
    day = days.first
    dated = False
    if date := _DATE.match(text, at):
        try:
            second = _days_of(date, start if now is None else now)
        except (ValueError, OverflowError):
            second = None
        if second is None:
            return None
        if not second.is_one:
            return date.end(), second.end
        day, at, dated = second.first, date.end(), True
    elif alone := _DAY_ALONE.match(text, at):
        number = _number(alone["d"])
        if days.is_one and day.day < number <= 31:
            try:
                day, at, dated = day.replace(day=number), alone.end(), True
            except ValueError:
                return None
        else:
            return None
    clock = _CLOCK.match(text, at)
    if clock is None or not (clock["h"] or clock["h2"]):
        return (at, day + timedelta(days=1)) if dated else None
    read = _clock_time(clock, clock["part"])
    if read is None and clock["part"] is None and not dated and clock["h"]:
        # 晚上8点到10点: the same part of the day.
        later = [
            minutes
            for hour in (_number(clock["h"]), _number(clock["h"]) + 12)
            if (minutes := 60 * hour + _minute(clock)) and day + timedelta(minutes=minutes) > start
        ]
        read = (later[0], 1) if len(later) >= 1 and _is_near(start, day, later[0]) else None
    if read is None:
        return None
    stop = day + timedelta(minutes=read[0])
    if to["next"] or (not dated and stop <= start):
        stop += timedelta(days=1)
    return clock.end(), stop


def _is_near(start: datetime, day: datetime, minutes: int) -> bool:
    """Whether an hour without a part of the day goes on with the part in which a range began."""
    return day + timedelta(minutes=minutes) - start <= timedelta(hours=6)


def _number(written: str) -> int:
    """A number up to 99 in digits or in Chinese."""
    if written.isdecimal():
        return int(written)
    tens, ten, ones = written.rpartition("十")
    if not ten:
        return _DIGITS[written]
    return 10 * (_DIGITS[tens] if tens else 1) + (_DIGITS[ones] if ones else 0)
