"""Forecasts how many posts the next hours bring, with an interval, from the counts of the hours before.

Counts are small integers with a strong weekly rhythm, so the model counts too: the mean of an hour is a level times the
profile of its hour of the week; the count is negative binomial about it.

- Profile: what each hour of the day and each day of the week gets of the whole (their product), corrected by what each
  of the 168 hours was seen to get, each shrunk so that few posts say little. Older weeks weigh less.
- Level: posts of the last days against what the profile expects of them, a Gamma-Poisson mean with the long run as its
  prior. Older days weigh less.
- Spread: the variance of a count of mean m is m + a m² (negative binomial, type 2). `a` is measured on the forecasts
  that the same model makes of the history's own last days, by moments, once for hours and once for the total: hours of
  one day rise and fall together.

An interval of counts cannot have any probability one likes. The one given is the central interval whose ends are
rounded so that its probability comes nearest to 80 %, and that probability is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from huiyin_analyzer.model.series import HISTORY_HOURS, WEEK_HOURS, Floats, forgetting, week_profile

METHOD: Final = "hour-of-week profile, Gamma-Poisson level, negative binomial spread"
HORIZON: Final = 24
"""Hours ahead."""
COVERAGE: Final = 0.8
"""The probability that an interval aims at."""
LEAST_HOURS: Final = 7 * 24
"""With less history there is no forecast: a rhythm of the week is not seen in less than a week."""
LEAST_POSTS: Final = 28
RECENT_HOURS: Final = 28 * 24
"""Nor is there one with fewer posts, one a day, in so many last hours: each hour would be forecast as 0."""

_LEVEL_HALF_LIFE: Final = 4 * 24.0
_LEVEL_POSTS: Final = 10.0
"""The long run counts for the level as much as so many posts."""
_REHEARSALS: Final = 42
"""Days of the history that are forecast to measure the spread."""
_PRIOR_REHEARSALS: Final = 4.0
_PRIOR_SPREAD: Final = 0.2


@dataclass(frozen=True, slots=True)
class Interval:
    """A count to come: its mean, and the interval of `probability` from low to high, both ends within."""

    expected: float
    low: int
    high: int
    probability: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """The hours to come, the nearest first, and all of them together."""

    hours: tuple[Interval, ...]
    total: Interval


@dataclass(frozen=True, slots=True)
class Distributions:
    """What the intervals are read from: means and spreads of the hours and of their total."""

    means: Floats
    hour_spread: float
    total_spread: float


def has_evidence(counts: Sequence[int]) -> bool:
    """Whether these hours are enough to forecast from."""
    return len(counts) >= LEAST_HOURS and sum(counts[-RECENT_HOURS:]) >= LEAST_POSTS


def forecast(counts: Sequence[int], first_hour: int) -> Forecast | None:
    """Forecasts the 24 hours after these, or None where evidence is too little.

    `counts`: posts of consecutive hours, the oldest first. `first_hour`: hours from a Monday's midnight to the first.
    """
    if not has_evidence(counts):
        return None
    found = distributions(counts, first_hour)
    hours = tuple(interval(mean, found.hour_spread) for mean in found.means.tolist())
    return Forecast(hours, interval(float(found.means.sum()), found.total_spread))


def distributions(counts: Sequence[int], first_hour: int) -> Distributions:
    """Means and spreads of the 24 hours after these."""
    kept = np.asarray(counts[-HISTORY_HOURS:], dtype=np.float64)
    first = first_hour + max(0, len(counts) - HISTORY_HOURS)
    squares_hour = squares_total = _PRIOR_REHEARSALS
    excess_hour = excess_total = _PRIOR_REHEARSALS * _PRIOR_SPREAD
    # Each rehearsal weighs alike whatever the level was: its squares are told in units of its own mean.
    for origin in range(len(kept) - HORIZON, LEAST_HOURS - 1, -HORIZON)[:_REHEARSALS]:
        means = _means(kept[:origin], first)
        actual = kept[origin : origin + HORIZON]
        total = means.sum()
        unit = (means**2).sum()
        squares_hour += 1.0
        excess_hour += float((((actual - means) ** 2 - means) / unit).sum())
        squares_total += 1.0
        excess_total += float(((actual.sum() - total) ** 2 - total) / total**2)
    return Distributions(
        _means(kept, first),
        max(0.0, excess_hour / squares_hour),
        max(0.0, excess_total / squares_total),
    )


def _means(counts: Floats, first_hour: int) -> Floats:
    profile, rate = week_profile(counts, first_hour)
    hours = (first_hour + np.arange(len(counts))) % WEEK_HOURS
    weights = forgetting(len(counts), _LEVEL_HALF_LIFE)
    seen = weights @ counts
    expected = rate * (weights @ profile[hours])
    level = rate * (seen + _LEVEL_POSTS) / (expected + _LEVEL_POSTS)
    ahead = (first_hour + len(counts) + np.arange(HORIZON)) % WEEK_HOURS
    return np.asarray(level * profile[ahead])


def interval(mean: float, spread: float) -> Interval:
    """The central interval of a negative binomial count whose probability is nearest to 80 %."""
    below = cumulated(mean, spread)
    tail = (1 - COVERAGE) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    choices = [(lo, hi) for lo in (low, low + 1) for hi in (high - 1, high) if 0 <= lo <= hi]

    def probability(ends: tuple[int, int]) -> float:
        return float(below[ends[1]] - (below[ends[0] - 1] if ends[0] else 0.0))

    # Of equals the wider one: to promise too little is the lesser fault.
    best = min(choices, key=lambda ends: (abs(probability(ends) - COVERAGE), ends[0] - ends[1]))
    return Interval(mean, *best, probability(best))


def cumulated(mean: float, spread: float) -> Floats:
    """P(count ≤ k) for k = 0, 1, … as far as it matters, of variance mean + spread · mean²."""
    mean = max(mean, 1e-9)
    last = int(mean + 12 * np.sqrt(mean + spread * mean * mean) + 12)
    k = np.arange(last, dtype=np.float64)
    if spread < 1e-6:
        logs = np.concatenate(([-mean], np.log(mean / (k + 1))))
    else:
        size = 1 / spread
        ratio = np.log((k + size) / (k + 1)) + np.log(mean / (size + mean))
        logs = np.concatenate(([-size * np.log1p(spread * mean)], ratio))
    return np.asarray(np.minimum(np.cumsum(np.exp(np.cumsum(logs))), 1.0))
