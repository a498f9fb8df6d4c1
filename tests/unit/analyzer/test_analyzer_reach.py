"""Series, bursts and forecasts, by themselves."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from huiyin_analyzer.model import bursts, forecast, series
from huiyin_analyzer.model.bursts import Detector, find_bursts, surprise
from huiyin_analyzer.model.series import DAY, HOUR, Arrival
from hypothesis import given, settings
from hypothesis import strategies as st

SHANGHAI = ZoneInfo("Asia/Shanghai")
BERLIN = ZoneInfo("Europe/Berlin")


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def steady(hours: int, per_hour: int) -> list[int]:
    """So many posts an hour, evenly."""
    return [hour * HOUR + post * HOUR // per_hour for hour in range(hours) for post in range(per_hour)]


@given(st.lists(st.integers(-5 * HOUR, 30 * HOUR)), st.integers(1, 20))
def test_every_post_within_the_edges_is_in_one_bucket(times: list[int], width: int) -> None:
    edges = list(range(0, 24 * HOUR, width * HOUR // 2)) + [24 * HOUR]
    found = series.buckets([Arrival(time, "sources/a", b"", 1) for time in times], edges)
    assert sum(bucket.posts for bucket in found) == sum(0 <= time < 24 * HOUR for time in times)
    for bucket in found:
        assert bucket.posts == bucket.engagement == sum(bucket.start <= time < bucket.end for time in times)


def test_voices_and_sources_count_once_and_unknown_voices_not() -> None:
    arrivals = [
        Arrival(1, "sources/a", b"one", 2),
        Arrival(2, "sources/a", b"one", 0),
        Arrival(3, "sources/b", b"", 5),
        Arrival(4, "sources/b", b"", 0),
    ]
    (bucket,) = series.buckets(arrivals, [0, HOUR])
    assert (bucket.posts, len(bucket.voices), len(bucket.sources), bucket.engagement) == (4, 1, 2, 7)


def test_days_begin_at_midnight_of_the_zone_also_when_clocks_change() -> None:
    day = series.day_start(micros("2026-03-28T12:00:00"), BERLIN)
    days = [day]
    for _ in range(3):
        days.append(series.next_day(days[-1], BERLIN))
    assert [(after - before) // HOUR for before, after in pairwise(days)] == [24, 23, 24]
    assert series.day_start(micros("2026-03-01T16:00:00"), SHANGHAI) == micros("2026-03-01T16:00:00")


def test_hours_of_the_week_count_from_mondays_midnight() -> None:
    assert series.hour_of_week(micros("2026-03-01T16:30:00"), SHANGHAI) == 0  # Monday 00:30 there
    assert series.hour_of_week(micros("2026-03-01T15:30:00"), SHANGHAI) == 167


def test_hours_count_whole_hours_only() -> None:
    assert series.hourly([0, 1, HOUR, 2 * HOUR + 5], 0, 2 * HOUR + 10) == [2, 1]
    assert series.hourly([], 5, 5) == []


@given(st.integers(1, 300), st.floats(0.01, 100), st.floats(0.5, 50))
def test_surprise_bounds_the_probability_of_so_many_posts(posts: int, expected: float, size: float) -> None:
    below = forecast.cumulated(expected, 1 / size)
    probability = 1 - below[min(posts - 1, len(below) - 1)]
    assert probability <= 10 ** -surprise(posts, expected, size) + 1e-6


def test_more_posts_surprise_more() -> None:
    values = [surprise(posts, 3.0, 5.0) for posts in range(1, 50)]
    assert values[:3] == [0.0, 0.0, 0.0] and all(after > before for before, after in pairwise(values[3:]))


def test_a_burst_is_found_with_its_start_its_end_and_its_figures() -> None:
    start = 20 * DAY + 10 * HOUR
    planted = [start + minute * HOUR // 60 for minute in range(0, 120, 2)]
    times = sorted(steady(24 * 24, 1) + planted)
    (burst,) = find_bursts(times, 15 * DAY, 24 * DAY, 0)
    assert abs(burst.start - start) <= HOUR and burst.end is not None
    assert burst.start < burst.alarm < start + HOUR // 2
    assert abs(burst.end - planted[-1]) <= 2 * HOUR
    assert burst.posts > 40 and burst.expected < 6 and burst.surprise > 10


def test_a_burst_has_no_end_while_it_lasts() -> None:
    start = 20 * DAY
    times = steady(20 * 24, 1) + [start + minute * HOUR // 60 for minute in range(90)]
    (lasting,) = find_bursts(times, 15 * DAY, times[-1] + 1, 0)
    assert lasting.end is None
    (over,) = find_bursts(times, 15 * DAY, times[-1] + DAY, 0)
    assert over.end == times[-1]


def test_a_steady_stream_does_not_burst_nor_does_its_rhythm() -> None:
    assert find_bursts(steady(24 * 28, 3), 10 * DAY, 28 * DAY, 0) == []
    awake = [time for time in steady(24 * 28, 6) if 8 <= time // HOUR % 24 < 22]
    detector = Detector(0, awake[0])
    alarms = [time for time in awake if detector.see(time) and time > 10 * DAY]
    assert alarms == []


def test_an_event_that_begins_with_many_posts_at_once_bursts_into_life() -> None:
    times = [minute * HOUR // 60 for minute in range(0, 60, 4)]
    (burst,) = find_bursts(times, 0, HOUR, 0)
    assert burst.start == 0


@pytest.mark.parametrize("posts", [0, 1, 3])
def test_few_posts_are_no_burst_however_close(posts: int) -> None:
    assert find_bursts([HOUR] * posts, 0, DAY, 0) == []


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 6 * DAY), min_size=1, max_size=120), st.integers(0, 6 * DAY))
def test_an_alarm_does_not_depend_on_what_comes_later(times: list[int], until: int) -> None:
    times.sort()
    whole = find_bursts(times, 0, 6 * DAY + 1, 0)
    part = find_bursts(times, 0, until, 0)
    assert [burst.alarm for burst in part] == [burst.alarm for burst in whole if burst.alarm < until]


def test_bursts_long_before_the_series_are_passed_over() -> None:
    times = sorted(steady(24 * 40, 1) + [10 * DAY + second for second in range(0, HOUR, HOUR // 60)])
    assert len(find_bursts(times, 9 * DAY, 40 * DAY, 0)) == 1
    assert find_bursts(times, 30 * DAY, 40 * DAY, 0) == []


def weekly(weeks: int, seed: int = 1) -> list[int]:
    """Hourly counts with quiet nights and weekends."""
    generator = random.Random(seed)
    return [
        sum(generator.random() < 0.5 * (hour % 24 >= 8) * (0.4 if hour % 168 >= 120 else 1.0) for _ in range(10))
        for hour in range(weeks * 168)
    ]


def test_the_forecast_knows_the_hour_and_the_day() -> None:
    counts = weekly(12)
    made = forecast.forecast(counts, 0)
    assert made is not None and len(made.hours) == 24
    night, day = made.hours[3], made.hours[12]
    assert night.high <= 1 and day.expected == pytest.approx(5, abs=1.5) and day.low <= 5 <= day.high
    weekend = forecast.forecast(counts[: -2 * 24], 0)
    assert weekend is not None and weekend.total.expected < 0.6 * made.total.expected


def test_the_level_follows_the_last_days() -> None:
    calm = weekly(10)
    lively = calm[:-168] + [3 * count for count in calm[-168:]]
    before, after = forecast.forecast(calm, 0), forecast.forecast(lively, 0)
    assert before and after and after.total.expected > 1.7 * before.total.expected


@pytest.mark.parametrize(
    "counts",
    [[], [5] * 100, [1] * 27 + [0] * 400, [1] * 1000 + [0] * 28 * 24],
    ids=["none", "not a week", "few posts", "none of late"],
)
def test_too_little_is_not_forecast_from(counts: list[int]) -> None:
    assert forecast.forecast(counts, 0) is None


@given(st.floats(0.001, 3000), st.floats(0, 5))
@settings(deadline=None)
def test_an_intervals_probability_is_what_it_says(mean: float, spread: float) -> None:
    below = forecast.cumulated(mean, spread)
    found = forecast.interval(mean, spread)
    assert 0 <= found.low <= found.high
    within = below[found.high] - (below[found.low - 1] if found.low else 0.0)
    assert found.probability == pytest.approx(within) and below[-1] == pytest.approx(1, abs=2e-3)


def test_the_spread_is_that_of_a_negative_binomial_count() -> None:
    below = forecast.cumulated(7.0, 0.3)
    masses = [below[0], *(after - before for before, after in pairwise(below))]
    mean = sum(count * mass for count, mass in enumerate(masses))
    variance = sum(count * count * mass for count, mass in enumerate(masses)) - mean * mean
    assert mean == pytest.approx(7.0, rel=1e-3) and variance == pytest.approx(7.0 + 0.3 * 49, rel=1e-2)


def test_of_large_counts_the_interval_holds_four_in_five() -> None:
    found = forecast.interval(400.0, 0.0)
    assert found.probability == pytest.approx(0.8, abs=0.02)
    assert found.high - found.low == pytest.approx(2 * 1.2816 * math.sqrt(400), abs=3)


def test_the_threshold_is_told_in_the_same_unit_as_the_surprise() -> None:
    times = [minute * HOUR // 60 for minute in range(0, 60, 4)]
    (burst,) = find_bursts(times, 0, HOUR, 0)
    assert burst.surprise >= bursts.ALARM
