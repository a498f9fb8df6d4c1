"""When a source is visited next, and when its silence is more than a pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from huiyin_collector.model.schedule import (
    first_longest_pause,
    first_rhythm,
    is_silent,
    next_longest_pause,
    next_rhythm,
)

NOW = datetime(2026, 3, 20, 9, tzinfo=UTC)


def days_ago(*days: float) -> list[datetime | None]:
    return [NOW - timedelta(days=each) for each in days]


def silent_after(days: float, *, items_a_day: float, longest_pause: float, visits: int = 10) -> bool:
    """Whether a source of that rhythm counts as silent after so many days without an item, visited so often."""
    rhythm = items_a_day
    for _ in range(visits):
        rhythm = next_rhythm(rhythm, 0, days / visits)
    return is_silent(rhythm, longest_pause, days)


@pytest.mark.parametrize(
    ("items_a_day", "longest_pause", "soonest_days"),
    [
        pytest.param(24, 0.5, 1.0, id="an item an hour: after a day"),
        pytest.param(24, 3.0, 6.0, id="the same, that rests over long weekends: after two of them"),
        pytest.param(1, 2.0, 7.0, id="an item a day: once seven were due"),
        pytest.param(1 / 7, 9.0, 49.0, id="an item a week: after seven weeks"),
    ],
)
def test_a_source_is_silent_when_its_own_rhythm_does_not_explain_it(
    items_a_day: float, longest_pause: float, soonest_days: float
) -> None:
    silent = [
        silent_after(soonest_days * share, items_a_day=items_a_day, longest_pause=longest_pause)
        for share in (0.97, 1.03)
    ]
    assert silent == [False, True]


def test_how_often_it_is_visited_meanwhile_changes_nothing() -> None:
    for visits in (1, 7, 400):
        assert silent_after(7.1, items_a_day=1, longest_pause=1, visits=visits)
        assert not silent_after(6.9, items_a_day=1, longest_pause=1, visits=visits)


def test_a_source_that_never_said_anything_is_not_silent() -> None:
    assert not is_silent(0.0, 0.0, 1000.0)


def test_the_longest_pause_is_learnt_at_the_first_visit_and_fades_with_the_months() -> None:
    assert first_longest_pause([*days_ago(1, 2, 6.5, 200), None], NOW) == pytest.approx(4.5)
    assert first_longest_pause(days_ago(3), NOW) == first_longest_pause([], NOW) == 0
    assert next_longest_pause(2.0, 5.0) == 5.0
    pause = 8.0
    for _ in range(90):
        pause = next_longest_pause(pause, 1.0)
    assert pause == pytest.approx(8 / 2.718, rel=0.01)


def test_the_rhythm_counts_the_items_of_the_last_week() -> None:
    assert first_rhythm([*days_ago(0.5, 3, 6.9, 7.1), None], NOW) == pytest.approx(3 / 7)
    assert next_rhythm(1.0, 0, 7.0) == pytest.approx(1 / 2.718, rel=0.001)
    assert next_rhythm(0.0, 14, 1.0) == 2.0
