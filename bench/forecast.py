"""Back-test of the forecast of the next 24 hours, by rolling origin, over hourly counts: those of the real messages
where they are at hand (all of them, the places that most speak of, the labelled events), otherwise made-up ones.

An origin every 25 hours, so that each hour of the day is one; each forecast sees what lies before its origin only.

mase: mean absolute error of the expected posts of an hour over that of the seasonal naive forecast within the history
before each origin (Hyndman and Koehler, 2006); of the naive forecasts with periods of 24 and 168 hours the better one
is taken. relative_mae: the same against the naive forecasts of the very hours that were forecast. relative_mae_total:
of the 24 hours together. All are of the errors of all series together; each series' own figures are printed before.
Where an hour brings far less than one post, an absolute error says little: no mean can be much better than a naive
guess. coverage: of hours, the part of the probability mass of what came that lies between the forecast's 10 % and 90
% quantiles (the non-randomised form of the probability integral transform for counts, Czado, Gneiting and Held,
2009): a count on an end of the interval counts by the part of its probability that the interval needs. Whole numbers
cannot do better: where an hour brings no post in nine of ten cases, every interval that holds the 0 holds more than
80 %. coverage_inclusive counts both ends of the interval as told; coverage_total does so for the 24 hours together.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from huiyin_analyzer.model import forecast
from huiyin_analyzer.model.forecast import Distributions
from huiyin_analyzer.model.series import WEEK_HOURS, hour_of_week, hourly
from huiyin_analyzer.model.text import Reader
from huiyin_collector.model.times import HOME_ZONE, load_zone, read_time
from python_calamine import CalamineWorkbook

from bench import bursts, texts

_STEP = forecast.HORIZON + 1
_PERIODS = (24, WEEK_HOURS)
_WARM_UP_HOURS = 28 * 24
_LEAST_ORIGINS = 28
_PLACES = 8
_SEED = 2020
_DAYS_MADE_UP = 168
_RATES = (0.2, 0.5, 2.0, 8.0, 32.0)


def main() -> None:
    """Prints one JSON line last."""
    file = texts.find().file
    real = file.name == "messages.xlsx"
    series = dict(_real(file) if real else made_up())
    scored = {}
    for name, (counts, first_hour) in series.items():
        tests = _tests(counts, first_hour)
        if len(tests) >= _LEAST_ORIGINS:
            scored[name] = tests
            print(name, json.dumps({"posts_a_day": round(24 * sum(counts) / len(counts), 2), **_figures(tests)}))
    left_out = [name for name in series if name not in scored]
    line = {
        **_figures([test for tests in scored.values() for test in tests]),
        "series": len(scored),
        "insufficient": len(left_out),
        "method": forecast.METHOD,
        "counts": file.name if real else "made up",
    }
    print(f"Too few posts to be forecast on {_LEAST_ORIGINS} days: {', '.join(left_out) or 'none'}")
    print(json.dumps(line, ensure_ascii=False))


def _real(file: Path) -> Iterator[tuple[str, tuple[list[int], int]]]:
    """Hourly counts of all messages, of places, of labelled events."""
    header, *rows = CalamineWorkbook.from_path(str(file)).get_sheet_by_index(0).to_python()
    zone = load_zone(HOME_ZONE)
    columns = [header.index(name) for name in ("留言编号", "留言主题", "留言时间", "留言详情")]
    reader = Reader()
    every: list[int] = []
    by_place: dict[str, list[int]] = defaultdict(list)
    by_id: dict[str, int] = {}
    for row in rows:
        identity, subject, published, detail = (row[column] for column in columns)
        moment = read_time(published, zone)
        if moment is None:
            continue
        time = int(moment.timestamp() * 1_000_000)
        every.append(time)
        by_id[str(identity).removesuffix(".0")] = time
        place = reader.read(str(subject), str(detail)).place
        by_place[place].append(time)
    every.sort()
    # Four strays come a year before the rest.
    begin, end = every[len(every) // 100], every[-1]

    def counts(times: list[int]) -> tuple[list[int], int]:
        times = sorted(time for time in times if time >= begin)
        return hourly(times, times[0], end), hour_of_week(times[0], zone)

    yield "all", counts(every)
    largest = sorted((place for place in by_place if place), key=lambda place: -len(by_place[place]))
    for place in largest[:_PLACES]:
        yield f"place {place}", counts(by_place[place])
    labels = Path(os.environ.get("EVAL_DATA") or texts.REAL) / "events-dev.json"
    if labels.is_file():
        for title, members in json.loads(labels.read_text("utf-8")).items():
            yield f"event {title}", counts([by_id[str(member)] for member in members if str(member) in by_id])


def made_up() -> Iterator[tuple[str, tuple[list[int], int]]]:
    """Hourly counts of several rates, with the rhythm of the week, days that differ, and a level that drifts."""
    generator = np.random.default_rng(_SEED)
    hours = np.outer(bursts.WEEKDAYS, bursts.HOURS).ravel()
    profile = np.tile(hours / hours.mean(), _DAYS_MADE_UP // 7)
    for rate in _RATES:
        drift = np.exp(np.cumsum(generator.normal(0, 0.05, _DAYS_MADE_UP)))
        shape = 1 / bursts.DAY_SPREAD**2
        days = drift * generator.gamma(shape, 1 / shape, _DAYS_MADE_UP)
        counts = generator.poisson(rate * profile * np.repeat(days, 24))
        yield f"made up, {rate} an hour", (counts.tolist(), 0)


@dataclass(frozen=True)
class _Test:
    """One forecast against what came: mean absolute errors of hours and of their total, those of both naive forecasts
    (of a day and of a week before), and which part of what came lay within the intervals."""

    error: float
    scales: tuple[float, ...]
    naive: tuple[float, ...]
    error_total: float
    naive_total: tuple[float, ...]
    covered: float
    covered_inclusive: float
    covered_total: float
    width_total: int


def _tests(counts: list[int], first_hour: int) -> list[_Test]:
    every = np.asarray(counts, dtype=np.float64)
    found = []
    for origin in range(_WARM_UP_HOURS, len(counts) - forecast.HORIZON + 1, _STEP):
        made = forecast.forecast(counts[:origin], first_hour)
        if made is None:
            continue
        actual = counts[origin : origin + forecast.HORIZON]
        total = sum(actual)
        before = [every[origin - lag : origin - lag + forecast.HORIZON] for lag in _PERIODS]
        hours = list(zip(made.hours, actual, strict=True))
        found.append(
            _Test(
                error=sum(abs(hour.expected - count) for hour, count in hours) / len(hours),
                scales=tuple(float(np.abs(every[lag:origin] - every[: origin - lag]).mean()) for lag in _PERIODS),
                naive=tuple(float(np.abs(actual - naive).mean()) for naive in before),
                error_total=abs(made.total.expected - total),
                naive_total=tuple(abs(total - float(naive.sum())) for naive in before),
                covered=_covered(forecast.distributions(counts[:origin], first_hour), actual),
                covered_inclusive=sum(hour.low <= count <= hour.high for hour, count in hours) / len(hours),
                covered_total=made.total.low <= total <= made.total.high,
                width_total=made.total.high - made.total.low + 1,
            )
        )
    return found


def _figures(tests: Sequence[_Test]) -> dict[str, float]:
    def better(naive: list[tuple[float, ...]]) -> float:
        return float(np.mean(naive, axis=0).min())

    error = float(np.mean([test.error for test in tests]))
    error_total = float(np.mean([test.error_total for test in tests]))
    figures = {
        "mase": error / better([test.scales for test in tests]),
        "coverage": float(np.mean([test.covered for test in tests])),
        "relative_mae": error / better([test.naive for test in tests]),
        "coverage_inclusive": float(np.mean([test.covered_inclusive for test in tests])),
        "relative_mae_total": error_total / better([test.naive_total for test in tests]),
        "coverage_total": float(np.mean([test.covered_total for test in tests])),
        "width_total": float(np.mean([test.width_total for test in tests])),
    }
    return {"origins": len(tests), **{name: round(value, 3) for name, value in figures.items()}}


def _covered(found: Distributions, actual: list[int]) -> float:
    parts = []
    for mean, count in zip(found.means.tolist(), actual, strict=True):
        below = [0.0, *forecast.cumulated(mean, found.hour_spread).tolist()]
        low, high = (below[min(index, len(below) - 1)] for index in (count, count + 1))
        tail = (1 - forecast.COVERAGE) / 2
        within = max(0.0, min(high, 1 - tail) - max(low, tail))
        parts.append(within / (high - low) if high > low else 0.0)
    return sum(parts) / len(parts)


if __name__ == "__main__":
    main()
