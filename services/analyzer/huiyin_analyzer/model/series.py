"""Series: what an event got, bucket by bucket; and the rhythm of the week in it.

Times are microseconds since the epoch. Hours of the week count from a Monday's midnight.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
WEEK_HOURS: Final = 168
HISTORY_HOURS: Final = 26 * WEEK_HOURS
"""What lies further back tells nothing of the present."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_THURSDAY: Final = 3 * 24
"""The epoch began on a Thursday: so many hours after a Monday's midnight."""

_PROFILE_HALF_LIFE: Final = 16 * 168.0
"""Weeks of a profile weigh half as much when they are older by so many hours."""
_HOUR_POSTS: Final = 4.0
_DAY_POSTS: Final = 5.0
_CELL_POSTS: Final = 3.0
"""An hour of the day, a day of the week, an hour of the week is as expected until about so many posts say otherwise."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Arrival:
    """What of a post a series counts. `voice_day` is empty where the voice is not known."""

    time: int
    source: str
    voice_day: bytes
    engagement: int


@dataclass(slots=True)
class Bucket:
    """Posts from `start` to before `end`; voices and sources are counted once each."""

    start: int
    end: int
    posts: int = 0
    engagement: int = 0
    media: int = 0
    """Those from media, where it is told which sources are."""
    voices: set[bytes] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)

    def count(self, arrival: Arrival, media: Set[str] = frozenset()) -> None:
        """Adds a post. `media`: the sources that are media."""
        self.posts += 1
        self.media += arrival.source in media
        self.engagement += arrival.engagement
        self.sources.add(arrival.source)
        if arrival.voice_day:
            self.voices.add(arrival.voice_day)


def buckets(arrivals: Iterable[Arrival], edges: Sequence[int], media: Set[str] = frozenset()) -> list[Bucket]:
    """Counts arrivals between consecutive edges; what lies outside of them is passed over."""
    found = [Bucket(start, end) for start, end in pairwise(edges)]
    for arrival in arrivals:
        index = bisect_right(edges, arrival.time) - 1
        if 0 <= index < len(found):
            found[index].count(arrival, media)
    return found


def hour_start(time: int) -> int:
    """The beginning of the hour (UTC) that a time lies in."""
    return time // HOUR * HOUR


def day_start(time: int, zone: tzinfo) -> int:
    """The midnight, in a zone, before a time."""
    local = _datetime(time).astimezone(zone)
    return _micros(datetime(local.year, local.month, local.day, tzinfo=zone))


def next_day(midnight: int, zone: tzinfo, days: int = 1) -> int:
    """The midnight so many days after another in a zone, where a day may have 23 or 25 hours."""
    # Noon of a day exists once everywhere, whatever the clocks do at night.
    noon = _datetime(midnight).astimezone(zone).replace(hour=12) + timedelta(days=days)
    return day_start(_micros(noon), zone)


def hour_of_week(time: int, zone: tzinfo) -> int:
    """The hour of the week, in a zone, that a time lies in."""
    offset = _datetime(time).astimezone(zone).utcoffset() or timedelta()
    return (time // HOUR + round(offset / timedelta(hours=1)) + _THURSDAY) % WEEK_HOURS


def hourly(times: Sequence[int], start: int, end: int) -> list[int]:
    """Posts of each whole hour between two times, of sorted times."""
    first = hour_start(start)
    counts = [0] * max(0, (hour_start(end) - first) // HOUR)
    for time in times[bisect_left(times, first) : bisect_left(times, hour_start(end))]:
        counts[(time - first) // HOUR] += 1
    return counts


def week_profile(counts: Floats, first_hour: int) -> tuple[Floats, float]:
    """How many times the average each hour of the week gets, and the average an hour.

    Hours of the day and days of the week give a product; what each hour of the week was seen to get corrects it. Each
    is shrunk, so that few posts say little. `first_hour`: hour of the week of the first count.
    """
    hours = (first_hour + np.arange(len(counts))) % WEEK_HOURS
    weights = forgetting(len(counts), _PROFILE_HALF_LIFE)
    posts = np.bincount(hours, weights * counts, WEEK_HOURS).reshape(7, 24)
    exposure = np.bincount(hours, weights, WEEK_HOURS).reshape(7, 24)
    rate = float((posts.sum() + 0.5) / exposure.sum())
    expected = rate * exposure
    of_hour = (posts.sum(axis=0) + _HOUR_POSTS) / (expected.sum(axis=0) + _HOUR_POSTS)
    of_day = (posts.sum(axis=1) + _DAY_POSTS) / ((expected * of_hour).sum(axis=1) + _DAY_POSTS)
    product = np.outer(of_day, of_hour)
    profile = product * (posts + _CELL_POSTS) / (expected * product + _CELL_POSTS)
    return profile.ravel() / profile.mean(), rate


def forgetting(count: int, half_life: float) -> Floats:
    """Weights of so many hours, the last of which weighs 1."""
    return np.asarray(0.5 ** (np.arange(count - 1, -1, -1) / half_life))


def _datetime(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
