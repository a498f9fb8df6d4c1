"""Finds bursts: times at which an event's posts come much faster than the event's own past lets expect.

A prospective scan, done at each post with what was known then, so that what is found of the past is what was, or would
have been, alarmed at the time:

- Expected: the event's rate of the last weeks (the last day left out, so that a burst does not hide itself) times its
  own profile of the hours of the week. The rate is a Gamma-Poisson mean, so the count of a window is negative binomial;
  its spread has a floor, because days differ in earnest.
- Windows: those that end now and begin at one of the last posts, at most a day ago.
- Surprise of a window with k posts where m were expected: Chernoff's bound of P(count ≥ k), in powers of ten. It is the
  log-likelihood ratio of negative binomial counts too, which makes this a scan statistic in the sense of Kulldorff
  (2001). A surprise of 6 says: less than once in a million such windows.
- A burst begins when the surprise of a window reaches `ALARM`; it is said to begin with that window. It ends by a
  cumulative sum test (Page, 1954) of the burst's rate against the expected one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from huiyin_analyzer.model.series import (
    DAY,
    HISTORY_HOURS,
    HOUR,
    WEEK_HOURS,
    forgetting,
    hour_start,
    week_profile,
)

STATISTIC: Final = "negative binomial scan, Chernoff bound, powers of ten"
ALARM: Final = 3.5
"""The surprise that begins a burst; chosen on synthetic streams of other seeds than the bench's."""
LEAST_POSTS: Final = 4
"""No fewer posts are a burst, however soon they follow one another."""

LOOK_BACK: Final = 7 * DAY
"""A burst that lasts for so long is the usual by then."""

_LONGEST: Final = DAY
_BACK: Final = (LEAST_POSTS - 1, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)
"""Windows begin at the post so many posts ago; bursts of more are found long before they have grown so far."""
_SHORTEST_HOURS: Final = 0.1
"""Posts of one second may be one import; they count as if they had come within six minutes."""
_LEFT_OUT_HOURS: Final = 24
_HALF_LIFE_HOURS: Final = 14 * 24.0
_PRIOR_POSTS: Final = 1.0
_PRIOR_RATE: Final = 1 / 24
"""Before an event has a past it is expected to get a post a day, and that is hardly known."""
_MOST_SIZE: Final = 10.0
"""The negative binomial's size is no greater: a day's rate varies by about a third (measured on real messages)."""
_SIZE_A_DAY: Final = 0.25
"""Nor greater than 1 and this for each day known: the rhythm of the week has to be seen first."""
_LEAST_RATIO: Final = 2.0
_MOST_RATIO: Final = 10.0
_CALM: Final = math.log(100)
"""A burst is over when its end is a hundred times likelier than its going on."""


@dataclass(frozen=True, slots=True)
class Burst:
    """A burst. Times are microseconds; `end` is None while it lasts.

    `posts` came and `expected` were expected in the window that was the most surprising, after its first post.
    """

    start: int
    alarm: int
    end: int | None
    window_start: int
    window_end: int
    posts: int
    expected: float
    surprise: float


@dataclass(frozen=True, slots=True)
class _Window:
    start: int
    posts: int
    expected: float
    surprise: float


def surprise(posts: int, expected: float, size: float) -> float:
    """How surprising so many posts are: P(count ≥ posts) ≤ 10^-surprise; 0 for no more than expected."""
    if posts <= expected:
        return 0.0
    log_bound = posts * math.log(posts / expected) - (posts + size) * math.log((posts + size) / (expected + size))
    return log_bound / math.log(10)


class Detector:
    """Watches one stream of posts in the order of their times."""

    def __init__(self, hour_of_week: int, first: int, alarm: float = ALARM) -> None:
        """`first`: the time of the first post; `hour_of_week`: that of its hour."""
        self._origin = hour_start(first)
        self._first_hour = hour_of_week
        self._alarm = alarm
        self._times: list[int] = []
        self._counts: list[int] = []
        self._known_hours = -1
        self._size = _PRIOR_POSTS
        self._rate = _PRIOR_RATE
        self._masses: list[float] = []
        self._learn(0)
        self._burst: Burst | None = None
        self._ratio = _LEAST_RATIO
        self._calm = 0.0
        self._last_lively = first
        self._over = first
        self._found: list[Burst] = []

    def learn(self, time: int) -> None:
        """Takes the next post, not earlier than the last, without looking for a burst."""
        self._pass(time)
        hour = (time - self._origin) // HOUR
        self._counts += [0] * (hour + 1 - len(self._counts))
        self._counts[hour] += 1
        self._times.append(time)

    def see(self, time: int) -> Burst | None:
        """Takes the next post, not earlier than the last; returns the burst that it begins, if it does."""
        self.learn(time)
        before = self._times[-2] if len(self._times) > 1 else time
        if self._burst:
            self._calm += (self._ratio - 1) * self._expected(before, time)
            if self._calm > _CALM:
                self._finish()
            else:
                self._calm = max(0.0, self._calm - math.log(self._ratio))
                self._last_lively = time if self._calm == 0.0 else self._last_lively
        best = self._scan(time)
        if best is None or best.surprise < (self._burst.surprise if self._burst else self._alarm):
            return None
        if self._burst:
            self._burst = replace(
                self._burst,
                start=min(self._burst.start, best.start),
                window_start=best.start,
                window_end=time,
                posts=best.posts,
                expected=best.expected,
                surprise=best.surprise,
            )
            return None
        self._burst = Burst(best.start, time, None, best.start, time, best.posts, best.expected, best.surprise)
        self._ratio = min(_MOST_RATIO, max(_LEAST_RATIO, best.posts / best.expected))
        self._calm = 0.0
        self._last_lively = time
        return self._burst

    def bursts(self, until: int) -> list[Burst]:
        """What was found until a time, not earlier than the last post."""
        if self._burst and self._times:
            self._pass(until)
            if self._calm + (self._ratio - 1) * self._expected(self._times[-1], until) > _CALM:
                self._finish()
        return [*self._found, *([self._burst] if self._burst else [])]

    def _finish(self) -> None:
        assert self._burst
        self._found.append(replace(self._burst, end=self._last_lively))
        self._over = self._times[-1]
        self._burst = None

    def _pass(self, time: int) -> None:
        """Learns from the days that were over a day ago."""
        day = (time - self._origin) // (24 * HOUR)
        if day * 24 > self._known_hours:
            self._learn(day * 24)

    def _learn(self, hours: int) -> None:
        self._known_hours = hours
        known = max(0, hours - _LEFT_OUT_HOURS)
        posts, exposure = _PRIOR_POSTS, _PRIOR_POSTS / _PRIOR_RATE
        profile = np.ones(WEEK_HOURS)
        if known:
            first = max(0, known - HISTORY_HOURS)
            counts = np.zeros(known - first)
            seen = self._counts[first:known]
            counts[: len(seen)] = seen
            profile, _ = week_profile(counts, self._first_hour + first)
            weights = forgetting(len(counts), _HALF_LIFE_HOURS)
            usual = profile[(self._first_hour + first + np.arange(len(counts))) % WEEK_HOURS]
            posts += float(weights @ counts)
            exposure += float(weights @ usual)
        self._rate = posts / exposure
        self._size = min(posts, _MOST_SIZE, 1 + _SIZE_A_DAY * known / 24)
        self._masses = [0.0, *np.cumsum(profile).tolist()]

    def _expected(self, start: int, end: int) -> float:
        """Posts expected between two times."""
        return self._rate * (self._mass(end) - self._mass(start))

    def _mass(self, time: int) -> float:
        hours = (time - self._origin) / HOUR + self._first_hour
        weeks, within = divmod(hours, WEEK_HOURS)
        hour = int(within)
        low = self._masses[hour]
        return weeks * WEEK_HOURS + low + (within - hour) * (self._masses[hour + 1] - low)

    def _scan(self, time: int) -> _Window | None:
        """The most surprising window that ends now."""
        best: _Window | None = None
        now = self._mass(time)
        for back in _BACK:
            if back >= len(self._times):
                break
            start = self._times[-1 - back]
            if time - start > _LONGEST or start < self._over:
                break
            expected = self._rate * max(now - self._mass(start), _SHORTEST_HOURS)
            value = surprise(back, expected, self._size)
            if best is None or value > best.surprise:
                best = _Window(start, back, expected, value)
        return best


def find_bursts(times: Sequence[int], since: int, until: int, hour_of_week: int) -> list[Burst]:
    """The bursts of an event that last or begin between two times, by the sorted times of its posts.

    What was published from `until` on is not known yet; bursts that began `LOOK_BACK` before `since` are passed over.
    `hour_of_week`: that of the first post's hour.
    """
    if not times:
        return []
    detector = Detector(hour_of_week, times[0])
    for time in times[: bisect_left(times, until)]:
        if time < since - LOOK_BACK:
            detector.learn(time)
        else:
            detector.see(time)
    return [burst for burst in detector.bursts(until) if burst.end is None or burst.end >= since]
