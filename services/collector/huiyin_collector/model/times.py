"""Times as people and spreadsheets write them."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

HOME_ZONE: Final = "Asia/Shanghai"
"""The zone of times that name none, and of the day of collection."""

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Nobody wrote to a public body online before; an earlier time is a cell that was read wrongly."""
LEAD: Final = timedelta(days=366)
"""How far ahead of its collection a post may be dated: clocks and time tables of sources err, but not by years."""

_SPELLING: Final = re.compile(
    r"""
    (?P<year>\d{4}) \s? [-/.年] \s? (?P<month>\d{1,2}) \s? [-/.月] \s? (?P<day>\d{1,2}) \s? [日号]?
    (?: ,? \s? (?:星期|周)[一二三四五六日天] )?
    (?:
        [T,]? \s? (?P<half>上午|下午|[AP]M)? \s?
        (?P<hour>\d{1,2}) \s?
        (?: : \s? (?P<minute>\d{1,2}) (?: : (?P<second>\d{1,2}) (?: [.,] (?P<fraction>\d{1,9}) )? )?
          | [时点] \s? (?: (?P<分>\d{1,2}) \s? 分? \s? (?: (?P<秒>\d{1,2}) \s? 秒 )? )?
        )
        (?: \s? (?P<half_after>[AP]M) )?
    )?
    (?: \s? (?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?) )?
    """,
    re.VERBOSE | re.IGNORECASE,
)
_COMPACT: Final = re.compile(r"((?:19|20)\d{2})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2}))?(?:\.0+)?")
_SERIAL: Final = re.compile(r"\d{5}(?:\.\d+)?")
# Day 60 of Excel's 1900 calendar does not exist; from 1 March 1900 on, days count from this one (ECMA-376, 18.17.4.1).
_SERIAL_START: Final = datetime(1899, 12, 30)
_SERIAL_RANGE: Final = range(20_000, 80_000)  # 1954 to 2119

ACCEPTED: Final = "write it like 2019-02-28 11:25:05, 2019/2/28 11:25, 2019年2月28日 or 2019-02-28T11:25:05+08:00"


def read_time(value: object, zone: tzinfo) -> datetime | None:
    """The UTC time that a cell holds, or None when it cannot be read.

    Text in the spellings of ACCEPTED and their kin, dates and times of a workbook and serial day numbers of Excel;
    a date alone is its midnight. `zone` is that of times that name none. Seconds since the epoch are not accepted:
    nothing tells them from other numbers.
    """
    try:
        if isinstance(value, str):
            return _read_text(value, zone)
        if isinstance(value, datetime):
            return _in_utc(value, zone)
        if isinstance(value, date):
            return _in_utc(datetime.combine(value, time()), zone)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _read_text(f"{value:.0f}" if value == int(value) else repr(value), zone)
    except (ValueError, OverflowError):
        # The thirtieth of February, hour 25, infinity, a year that UTC does not have.
        pass
    return None


def is_plausible(moment: datetime, collected: datetime) -> bool:
    """Whether a post that was collected then can have been published at that moment."""
    return EARLIEST <= moment <= collected + LEAD


def _read_text(text: str, zone: tzinfo) -> datetime | None:
    text = " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split())
    match = _SPELLING.fullmatch(text)
    if match is not None:
        return _from_parts(match, zone)
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        return _in_utc(datetime(*(int(part) for part in compact.groups() if part is not None)), zone)  # type: ignore[arg-type]
    if _SERIAL.fullmatch(text) and int(float(text)) in _SERIAL_RANGE:
        milliseconds = round(float(text) * 86_400_000)  # finer digits are rounding errors of the sheet
        return _in_utc(_SERIAL_START + timedelta(milliseconds=milliseconds), zone)
    return None


def _from_parts(match: re.Match[str], zone: tzinfo) -> datetime:
    part = match.groupdict()
    hour = int(part["hour"] or 0)
    half = part["half"] or part["half_after"]
    if half:
        if half.upper() in ("下午", "PM"):
            hour += 12 if hour < 12 else 0  # 下午15:30 is written as well
        elif hour == 12:
            hour = 0
    moment = datetime(
        int(part["year"]),
        int(part["month"]),
        int(part["day"]),
        hour,
        int(part["minute"] or part["分"] or 0),
        int(part["second"] or part["秒"] or 0),
        int(part["fraction"][:6].ljust(6, "0")) if part["fraction"] else 0,
    )
    return _in_utc(moment, _zone_of(part["offset"]) if part["offset"] else zone)


def _zone_of(offset: str) -> tzinfo:
    if offset[0] not in "+-":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(ahead if offset[0] == "+" else -ahead)


def _in_utc(moment: datetime, zone: tzinfo) -> datetime:
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=zone)).astimezone(UTC)


def load_zone(name: str) -> tzinfo:
    """The zone of that name in the tz database. Raises ValueError."""
    try:
        return ZoneInfo(name or HOME_ZONE)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(name) from error


# Times of pages and interfaces, which are of the past and may be told from the moment of reading.

_DIGITS: Final = {character: str(value) for value, character in enumerate("〇一二三四五六七八九")} | {
    "○": "0",
    "零": "0",
}
_NUMERAL: Final = "[〇○零一二三四五六七八九十廿卅]"
_CHINESE_DATE: Final = re.compile(rf"([〇○零一二三四五六七八九]{{4}})年({_NUMERAL}{{1,2}})月({_NUMERAL}{{1,3}})[日号]")
_CLOCK: Final = r"""
    (?: [T,]? \s? (?P<half>凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|晚|[AP]M)? \s?
        (?P<hour>\d{1,2}) \s? (?: : \s? (?P<minute>\d{1,2}) (?: : (?P<second>\d{1,2}) (?: [.,]\d{1,9} )? )?
        | [时点] \s? (?: (?P<minute_>\d{1,2}) \s? 分? \s? (?: (?P<second_>\d{1,2}) \s? 秒 )? )? )
        (?: \s? (?P<half_after>[AP]M) )? )
    """
_BEFORE: Final = r"(?<![\d/-])(?<!\d\.)"
_AFTER: Final = r"(?![\d/]|[-.:]\d)"
_PAST: Final = re.compile(
    rf"""
    (?P<now>刚刚|刚才|just\snow)
    | {_BEFORE}(?P<count>\d{{1,4}}|半|一|两|几)\s?个?
        (?P<unit>秒钟?|分钟?|小时|钟头|天|日|周|星期|礼拜|月|年|seconds?|minutes?|mins?|hours?|days?|weeks?|months?|years?)
        \s?(?:之?前|ago)
    | (?P<day_word>大前天|前天|前日|昨天|昨日|昨晚|今天|今日|当天|today|yesterday) (?: \s? {_CLOCK} )?
    | {_BEFORE} (?:
            (?P<year>(?:19|20)\d{{2}}) \s? [-/.年] \s? (?P<month>\d{{1,2}}) \s? [-/.月] \s? (?P<day>\d{{1,2}})
                (?: \s? [日号] | {_AFTER} )
            | (?P<month_>\d{{1,2}}) \s? 月 \s? (?P<day_>\d{{1,2}}) \s? [日号]
            | (?P<month__>\d{{2}})-(?P<day__>\d{{2}}) {_AFTER} (?!\s?[元月年日万%人名个])
        )
        (?: \s? [(（]? (?:星期|周)[一二三四五六日天] [)）]? )?
        (?: \s? {_CLOCK.replace("?P<", "?P<d_")} (?: \s? (?P<offset>Z|UTC|GMT|[+-]\d{{2}}(?::?\d{{2}})?)(?!\d) )? )?
    | (?<![\d.:/-]) (?P<bare>(?P<t_hour>\d{{1,2}}):(?P<t_minute>\d{{2}})(?::(?P<t_second>\d{{2}}))?) {_AFTER}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DAYS_AGO: Final = {"大前天": 3, "前天": 2, "前日": 2, "昨天": 1, "昨日": 1, "昨晚": 1, "yesterday": 1}
_UNITS: Final = (
    ("秒", timedelta(seconds=1)),
    ("分", timedelta(minutes=1)),
    ("小时", timedelta(hours=1)),
    ("钟头", timedelta(hours=1)),
    ("天", timedelta(days=1)),
    ("日", timedelta(days=1)),
    ("周", timedelta(days=7)),
    ("星期", timedelta(days=7)),
    ("礼拜", timedelta(days=7)),
    ("月", timedelta(days=30)),
    ("年", timedelta(days=365)),
    ("sec", timedelta(seconds=1)),
    ("min", timedelta(minutes=1)),
    ("hour", timedelta(hours=1)),
    ("day", timedelta(days=1)),
    ("week", timedelta(days=7)),
    ("month", timedelta(days=30)),
    ("year", timedelta(days=365)),
)
_COUNTS: Final = {"半": 0.5, "一": 1.0, "两": 2.0, "几": 3.0}
_EARLY: Final = frozenset({"凌晨", "清晨", "早上", "早晨", "上午", "AM"})
_AHEAD: Final = timedelta(days=1)
"""So far ahead a clock or a zone may be; a time within is taken as that of the reading, one beyond as none."""
_EPOCH_DIVISORS: Final = (1, 1_000, 1_000_000)


def read_published(text: str, zone: tzinfo, collected: datetime) -> datetime | None:
    """The UTC time at which something was published that was read then, or None: never later than `collected`.

    Besides what `read_time` reads: 12月30日, 昨天 08:10, 3天前, 刚刚, 二〇一九年十二月三十日. A day without a year is
    the last of its name; a time without a day is of the last day that had it.
    """
    if not text.strip():
        return None
    exact = read_time(text, zone)
    if exact is not None:
        return _of_the_past(exact, collected)
    found = _PAST.fullmatch(_plain_digits(text))
    return _past(found, zone, collected) if found is not None else None


def find_published(text: str, zone: tzinfo, collected: datetime, *, clock_alone: bool = False) -> datetime | None:
    """The first such time within a text. `clock_alone`: 08:10 alone counts too."""
    for found in _PAST.finditer(_plain_digits(text)):
        if clock_alone or found["bare"] is None:
            moment = _past(found, zone, collected)
            if moment is not None:
                return moment
    return None


def read_epoch(value: float, collected: datetime) -> datetime | None:
    """The UTC time of seconds, milli- or microseconds since 1970, whichever gives a year that may be; else None."""
    for divisor in _EPOCH_DIVISORS:
        try:
            moment = datetime.fromtimestamp(value / divisor, UTC)
        except (ValueError, OverflowError, OSError):
            continue
        if EARLIEST <= moment <= collected + _AHEAD:
            return min(moment, collected)
    return None


def _plain_digits(text: str) -> str:
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    return _CHINESE_DATE.sub(lambda match: f"{_year(match[1])}年{_number(match[2])}月{_number(match[3])}日", text)


def _year(numerals: str) -> str:
    return "".join(_DIGITS[each] for each in numerals)


def _number(numerals: str) -> int:
    """Up to 39, as days are written: 十二, 二十, 廿一, 三十一, 〇五."""
    tens, ten, ones = numerals.replace("廿", "二十").replace("卅", "三十").rpartition("十")
    return (int(_DIGITS.get(tens, "1")) * 10 if ten else 0) + int("".join(_DIGITS.get(each, "") for each in ones) or 0)


def _past(found: re.Match[str], zone: tzinfo, collected: datetime) -> datetime | None:
    part = found.groupdict()
    here = collected.astimezone(zone)
    try:
        if part["now"]:
            return collected
        if part["unit"]:
            count = _COUNTS.get(part["count"]) or float(part["count"])
            length = next(length for name, length in _UNITS if part["unit"].lower().startswith(name))
            return _of_the_past(collected - count * length, collected)
        if part["day_word"]:
            day = here.date() - timedelta(days=_DAYS_AGO.get(part["day_word"].lower(), 0))
            half = part["half"] or ("晚上" if part["day_word"] == "昨晚" and part["hour"] else None)
            return _of_the_past(_at(day, {**part, "half": half}, "", zone), collected)
        if part["bare"]:
            today = _at(here.date(), part, "t_", zone)
            return _of_the_past(today if today <= collected else today - timedelta(days=1), collected)
        return _dated(part, zone, here, collected)
    except (ValueError, OverflowError):
        return None


def _dated(part: dict[str, str | None], zone: tzinfo, here: datetime, collected: datetime) -> datetime | None:
    month = int(part["month"] or part["month_"] or part["month__"] or 0)
    day = int(part["day"] or part["day_"] or part["day__"] or 0)
    if part["offset"]:
        zone = _zone_of(part["offset"].upper())
    if part["year"]:
        return _of_the_past(_at(date(int(part["year"]), month, day), part, "d_", zone), collected)
    # The last day of that name: this year's or one before; 29 February may be four years back, or eight.
    for year in range(here.year + 1, here.year - 9, -1):
        with contextlib.suppress(ValueError):
            moment = _at(date(year, month, day), part, "d_", zone)
            if moment <= collected + _AHEAD:
                return _of_the_past(moment, collected)
    return None


def _at(day: date, part: dict[str, str | None], prefix: str, zone: tzinfo) -> datetime:
    def number(*names: str) -> int:
        return int(next((value for value in (part.get(prefix + name) for name in names) if value), 0))

    hour = number("hour")
    half = part.get(prefix + "half") or part.get(prefix + "half_after")
    if half and half.upper() in _EARLY:
        hour %= 12
    elif half and hour < 12 and not (half == "中午" and hour > 10):
        hour += 12
    return _in_utc(datetime.combine(day, time(hour, number("minute", "minute_"), number("second", "second_"))), zone)


def _of_the_past(moment: datetime, collected: datetime) -> datetime | None:
    return min(moment, collected) if EARLIEST <= moment <= collected + _AHEAD else None
