"""How soon a burst is alarmed, and how often an alarm is false, on streams that are made up: fixed seed, hours of the
day and days of the week as people keep them, days that differ, and planted bursts of several strengths.

delay_s: the median, over all planted bursts, of the time from a burst's start to the first alarm within it; a burst
that was missed counts as never. false_per_day: alarms outside of bursts, a day and stream. The naive threshold stands
beside it with three standard deviations, as is usual, and with so many that its alarms are as seldom false.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from huiyin_analyzer.model.bursts import ALARM, STATISTIC, Detector
from huiyin_analyzer.model.series import HOUR, Floats

_SEED = 2019
_DAYS = 56
_WARM_UP_DAYS = 14
_RATES = (0.5, 2.0, 8.0)
"""Posts an hour, on average."""
_STRENGTHS = (3, 5, 10)
"""How many times the usual rate a burst has."""
_BURST_HOURS = 6
_WAKING = (7, 18)
"""Bursts begin between these hours of the day: a multiple of a night's silence is silence."""
_NEWBORN_DAYS = 1
"""Alarms of a stream's first day are not judged: it is then as an event that bursts into life."""
_STREAMS = 20
"""Of each rate."""
DAY_SPREAD = 0.3
"""Standard deviation of a day's level, as measured on real messages."""
HOURS = (9, 5, 2, 1, 1, 2, 4, 8, 18, 30, 42, 38, 24, 22, 30, 36, 32, 30, 24, 18, 16, 17, 17, 13)
WEEKDAYS = (1.1, 1.25, 1.2, 1.1, 1.05, 0.6, 0.7)


@dataclass(frozen=True)
class Planted:
    """A burst that was put into a stream."""

    start: int
    end: int
    strength: int
    rate: float


@dataclass(frozen=True)
class Stream:
    """Times of posts, and the bursts among them."""

    times: list[int]
    bursts: list[Planted]


Alarms = Callable[[list[int]], list[int]]
"""The times of alarms in a stream, made online."""


def main() -> None:
    """Prints one JSON line last."""
    streams = list(made_up(_SEED))
    results = {
        "scan": _score(streams, by_scan),
        "naive": _score(streams, partial(by_threshold, deviations=3)),
        "naive_strict": _score(streams, partial(by_threshold, deviations=5)),
    }
    for name, result in results.items():
        print(name, json.dumps(result))
    found = results["scan"]
    line = {
        "delay_s": found["delay_s"],
        "false_per_day": found["false_per_day"],
        "detected": found["detected"],
        "delay_s_by_strength": found["delay_s_by_strength"],
        "detected_by_strength": found["detected_by_strength"],
        **{
            f"{name}_{key}": results[name][key]
            for name in ("naive", "naive_strict")
            for key in ("delay_s", "false_per_day", "detected")
        },
        "bursts": sum(len(stream.bursts) for stream in streams),
        "stream_days": len(streams) * _DAYS,
        "strengths": _STRENGTHS,
        "posts_per_hour": _RATES,
        "statistic": STATISTIC,
        "alarm": ALARM,
    }
    print(json.dumps(line))


def made_up(seed: int) -> Iterator[Stream]:
    """Streams of every rate; a burst a week, on any day, after two quiet weeks."""
    generator = np.random.default_rng(seed)
    hours = np.outer(WEEKDAYS, HOURS).ravel()
    hours /= hours.mean()
    for rate in _RATES:
        for _ in range(_STREAMS):
            yield _stream(generator, hours, rate)


def _stream(generator: np.random.Generator, profile: Floats, rate: float) -> Stream:
    shape = 1 / DAY_SPREAD**2
    days = generator.gamma(shape, 1 / shape, _DAYS)
    means = rate * np.tile(profile, _DAYS // 7) * np.repeat(days, 24)
    bursts = []
    times = _arrivals(generator, means, 0)
    for week in range(_WARM_UP_DAYS // 7, _DAYS // 7):
        strength = int(generator.choice(_STRENGTHS))
        start = int((week * 168 + generator.integers(0, 7) * 24 + generator.uniform(*_WAKING)) * HOUR)
        end = start + _BURST_HOURS * HOUR
        bursts.append(Planted(start, end, strength, rate))
        first = start // HOUR
        more = _arrivals(generator, means[first : first + _BURST_HOURS + 1] * (strength - 1), first)
        times += [time for time in more if start <= time < end]
    return Stream(sorted(times), bursts)


def _arrivals(generator: np.random.Generator, means: Floats, first_hour: int) -> list[int]:
    counts = generator.poisson(means)
    hours = np.repeat(np.arange(len(means)), counts) + generator.uniform(0, 1, counts.sum()) + first_hour
    return [int(hour * HOUR) for hour in hours]


def by_scan(times: list[int]) -> list[int]:
    """The detector of the analyzer."""
    detector = Detector(times[0] // HOUR % 168, times[0])
    return [time for time in times if detector.see(time)]


def by_threshold(times: list[int], deviations: float) -> list[int]:
    """Naive: the posts of the running hour exceed the mean of the last week's hours by so many standard deviations."""
    alarms: list[int] = []
    hours: list[int] = []
    count, alarmed = 0, False
    for time in times:
        hour = time // HOUR
        while len(hours) < hour:
            alarmed = alarmed and count > _limit(hours, deviations)
            hours.append(count)
            count = 0
        count += 1
        if not alarmed and len(hours) >= 24 and count > _limit(hours, deviations):
            alarms.append(time)
            alarmed = True
    return alarms


def _limit(hours: list[int], deviations: float) -> float:
    week = hours[-168:]
    mean = sum(week) / len(week)
    return mean + deviations * math.sqrt(sum((count - mean) ** 2 for count in week) / len(week))


def _score(streams: list[Stream], alarms_of: Alarms) -> dict[str, object]:
    delays: dict[int, list[float]] = {strength: [] for strength in _STRENGTHS}
    false = 0
    for stream in streams:
        alarms = [alarm for alarm in alarms_of(stream.times) if alarm >= _NEWBORN_DAYS * 24 * HOUR]
        for burst in stream.bursts:
            within = [alarm for alarm in alarms if burst.start <= alarm < burst.end]
            delays[burst.strength].append((within[0] - burst.start) / 1e6 if within else math.inf)
        false += sum(not any(burst.start <= alarm < burst.end for burst in stream.bursts) for alarm in alarms)
    every = [delay for found in delays.values() for delay in found]
    return {
        "delay_s": _seconds(every),
        "false_per_day": round(false / (len(streams) * (_DAYS - _NEWBORN_DAYS)), 4),
        "detected": _detected(every),
        "delay_s_by_strength": {strength: _seconds(found) for strength, found in delays.items()},
        "detected_by_strength": {strength: _detected(found) for strength, found in delays.items()},
    }


def _seconds(delays: list[float]) -> float | None:
    """The median delay; None where fewer than half were found."""
    middle = median(delays)
    return round(middle) if math.isfinite(middle) else None


def _detected(delays: list[float]) -> float:
    return round(sum(map(math.isfinite, delays)) / len(delays), 3)


if __name__ == "__main__":
    main()
