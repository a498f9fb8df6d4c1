"""When a source is visited next: by its own rhythm, by what it asks for, and by how often it failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

_MEMORY_DAYS: Final = 7.0
"""How far back items count for the rhythm of a source: one of this age weighs 1/e."""
_VISITS_AN_ITEM: Final = 2.0
_PAUSES_REMEMBERED_DAYS: Final = 90.0
_SILENT_DAYS: Final = 1.0
_SILENT_PAUSES: Final = 2.0
_SILENT_ITEMS: Final = 7.0
"""By chance alone, a source of items that come one by one lets so many pass once in a thousand times."""
FAILURES_TOLD: Final = 8
"""Failures in a row after which somebody is told: about a day, by the pauses between them."""
_DAY: Final = timedelta(days=1)
_FIRST_FAILURE: Final = 600.0
_LONGEST_ASKED: Final = 7 * 86_400.0
_ARTICLE_FIRST: Final = 6 * 3_600.0
_ARTICLE_WATCHED: Final = 30 * 86_400.0
_ARTICLE_FAILED: Final = 3_600.0
_ARTICLE_GIVEN_UP: Final = 6


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds between two visits of a source: at least, and at most."""

    floor: float
    ceiling: float

    def within(self, seconds: float) -> float:
        return min(max(seconds, self.floor), self.ceiling)


def first_rhythm(published: Sequence[datetime | None], now: datetime) -> float:
    """Items a day, from the times of those that a source shows at the first visit."""
    since = now - timedelta(days=_MEMORY_DAYS)
    return sum(moment is not None and since <= moment <= now for moment in published) / _MEMORY_DAYS


def next_rhythm(items_a_day: float, created: int, days: float) -> float:
    """Items a day, after so many new ones came in so many days."""
    return items_a_day * math.exp(-max(days, 0.0) / _MEMORY_DAYS) + created / _MEMORY_DAYS


def first_longest_pause(published: Sequence[datetime | None], now: datetime) -> float:
    """Days of the longest pause, from the times of the items that a source shows at the first visit."""
    since = now - timedelta(days=_PAUSES_REMEMBERED_DAYS)
    times = sorted(moment for moment in published if moment is not None and since <= moment <= now)
    return max(((after - before) / _DAY for before, after in pairwise(times)), default=0.0)


def next_longest_pause(longest_pause: float, days: float) -> float:
    """Days of the longest pause, after one of so many days ended."""
    return max(days, longest_pause * math.exp(-max(days, 0.0) / _PAUSES_REMEMBERED_DAYS))


def is_silent(items_a_day: float, longest_pause: float, days: float) -> bool:
    """Whether nothing new for so many days is more than a pause as the source makes them.

    `items_a_day`: as of now, so that a rhythm which faded during the silence is taken for what it was at its beginning.
    """
    before = items_a_day * math.exp(days / _MEMORY_DAYS)
    return days >= max(_SILENT_DAYS, _SILENT_PAUSES * longest_pause) and before * days >= _SILENT_ITEMS


def pause_after_success(items_a_day: float, bounds: Bounds, ttl_seconds: float, jitter: float) -> float:
    """Seconds until the next visit: half of the time in which an item is due, and no less than the feed's own `ttl`.

    `jitter`, 0 to 1: sources that were added together do not come due together for ever.
    """
    due = 86_400.0 / (items_a_day * _VISITS_AN_ITEM) if items_a_day > 0 else bounds.ceiling
    return bounds.within(max(due, min(ttl_seconds, bounds.ceiling))) * (0.9 + 0.2 * jitter)


def pause_after_failure(streak: int, bounds: Bounds, retry_after: float, jitter: float) -> float:
    """Seconds until the next attempt: doubling from ten minutes to the ceiling, and no less than it asked for."""
    backoff = min(max(_FIRST_FAILURE, bounds.floor) * 2.0 ** min(streak - 1, 30), bounds.ceiling)
    return max(backoff * (0.75 + 0.5 * jitter), min(retry_after, _LONGEST_ASKED))


def pause_of_article(age: float) -> float:
    """Seconds until an article is looked at again that was first read so long ago; 0: never again.

    Edits come soon or not at all: at six hours, then whenever its age has doubled, for thirty days.
    """
    return max(_ARTICLE_FIRST, age) if age < _ARTICLE_WATCHED else 0.0


def pause_of_broken_article(failures: int) -> float:
    """Seconds until an article is tried again that failed so often in a row; 0: it is given up."""
    return _ARTICLE_FAILED * 2.0 ** (failures - 1) if failures < _ARTICLE_GIVEN_UP else 0.0
