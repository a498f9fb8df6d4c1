"""Times as people and spreadsheets write them."""

from __future__ import annotations

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
