"""How a series is shown on a terminal: a line of bars a day, then its bursts and what is to come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo

from huiyin_cli.client import Json, Problem

_BARS = "▁▂▃▄▅▆▇█"
_NONE = "·"


def zone_of(name: str) -> tzinfo:
    """The zone of that name. Raises Problem."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise Problem(f"{name!r} is no time zone; use a name like Asia/Shanghai.") from error


def rfc3339(text: str, zone: tzinfo, option: str) -> str:
    """A time as people write it, in a zone unless it names one, as the gateway reads it; "" of "". Raises Problem."""
    if not text:
        return ""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Problem(f"{option}: {text!r} is no time; write it like 2026-03-01 or 2026-03-01T08:00.") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def lines(series: Json, zone: tzinfo) -> Iterator[str]:
    """The answer of GetEventSeries, times in a zone."""
    yield (
        f"{series['event']}  {_time(series['startTime'], zone)} to {_time(series['endTime'], zone)} ({zone})  "
        f"{_count(series, 'posts')} posts  {_count(series, 'voiceDays')} voice-days  "
        f"{_count(series, 'sources')} sources  {_count(series, 'engagement')} likes, replies and shares"
    )
    buckets = [(_moment(bucket["startTime"], zone), _count(bucket, "posts")) for bucket in series.get("buckets", [])]
    most = max((posts for _, posts in buckets), default=0)
    for day, found in groupby(buckets, key=lambda bucket: bucket[0].date()):
        hours = list(found)
        bars = " " * hours[0][0].hour + "".join(bar(posts, most) for _, posts in hours)
        yield f"{day} {day:%a}  {bars:<24}  {sum(posts for _, posts in hours):>5}"
    for burst in series.get("bursts", []):
        end = _time(burst["endTime"], zone) if "endTime" in burst else "now"
        yield (
            f"burst from {_time(burst['startTime'], zone)} to {end}, alarmed {_time(burst['alarmTime'], zone)}: "
            f"{_count(burst, 'posts')} posts where {burst.get('expectedPosts', 0):.1f} were expected, "
            f"surprise {burst.get('surprise', 0):.1f} (from {series.get('burstThreshold', 0):g} on; "
            f"{series.get('burstStatistic', '')})"
        )
    if "forecast" in series:
        yield from _forecast(series["forecast"], zone)


def bar(value: int, most: int) -> str:
    """A bar as high as a value is of the greatest; a dot for none."""
    return _BARS[-(-value * len(_BARS) // most) - 1] if value else _NONE


def _forecast(forecast: Json, zone: tzinfo) -> Iterator[str]:
    start = _time(forecast["startTime"], zone)
    if forecast.get("evidence") != "EVIDENCE_SUFFICIENT":
        yield f"24 hours from {start}: INSUFFICIENT, too few posts to forecast from"
        return
    total = forecast["total"]
    yield (
        f"24 hours from {start}: {total.get('expected', 0):.1f} posts expected, {_count(total, 'low')} to "
        f"{_count(total, 'high')} with probability {total.get('probability', 0):.2f} ({forecast.get('method', '')})"
    )
    means = [float(hour["posts"].get("expected", 0)) for hour in forecast["hours"]]
    bars = "".join(bar(round(100 * mean), round(100 * max(means))) for mean in means)
    yield f"  {bars}  from {start[-5:]} on, the highest {max(means):.1f} an hour"


def _count(message: Json, field: str) -> int:
    return int(message.get(field, 0))


def _moment(value: str, zone: tzinfo) -> datetime:
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(zone)


def _time(value: str, zone: tzinfo) -> str:
    return f"{_moment(value, zone):%Y-%m-%d %H:%M}"
