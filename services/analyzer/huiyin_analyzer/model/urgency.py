"""How soon a post is to be looked at: it follows from the harm that it describes and from when that is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final

from huiyin_analyzer.model.signs import Harm
from huiyin_analyzer.model.times import TimeMention


class Urgency(IntEnum):
    """How soon; the numbers of huiyin.analyzer.v1.Urgency."""

    NONE = 0
    ROUTINE = 1
    SOON = 2
    URGENT = 3
    IMMEDIATE = 4


class When(IntEnum):
    """When a harm is."""

    PAST = 0
    """Every time that is told ended long before the post."""
    OPEN = 1
    """It is not told, or was not long ago."""
    NOW = 2
    """It goes on, is about to be, or was a moment ago."""


URGENCY: Final[Mapping[Harm, tuple[Urgency, Urgency, Urgency]]] = {
    Harm.LIFE: (Urgency.SOON, Urgency.URGENT, Urgency.IMMEDIATE),
    Harm.HEALTH: (Urgency.ROUTINE, Urgency.SOON, Urgency.URGENT),
    Harm.LIVELIHOOD: (Urgency.ROUTINE, Urgency.SOON, Urgency.URGENT),
    Harm.PROPERTY: (Urgency.ROUTINE, Urgency.ROUTINE, Urgency.SOON),
    Harm.NONE: (Urgency.ROUTINE, Urgency.ROUTINE, Urgency.ROUTINE),
}
"""By when the harm is: PAST, OPEN, NOW."""

_NEAR: Final = timedelta(days=2)
_LONG_AGO: Final = timedelta(days=90)
_DAYS: Final = timedelta(days=7)
"""A time that is told more vaguely than this does not say that something is now."""
_GOES_ON: Final = re.compile(
    "正在|此刻|此时|刚刚|刚才|随时|十万火急|万分紧急|紧急求|危在旦夕|马上就|即将|眼看|还在继续|仍在继续|仍然在|一直持续至今"
)


def when(times: Iterable[TimeMention], text: str, published: datetime | None) -> When:
    """When something is that a text tells of, published then."""
    if _GOES_ON.search(text):
        return When.NOW
    if published is None:
        return When.OPEN
    told = [(time.start, time.end) for time in times if time.start and time.end]
    for start, end in told:
        if end - start <= _DAYS and start <= published + _NEAR and end >= published - _NEAR:
            return When.NOW
    return When.PAST if told and all(end < published - _LONG_AGO for _, end in told) else When.OPEN


def urgency(harm: Harm, when: When) -> Urgency:
    """How soon a post is to be looked at that describes such harm: that of its gravest harm."""
    return max(URGENCY[each][when] for each in (harm or (Harm.NONE,)))
