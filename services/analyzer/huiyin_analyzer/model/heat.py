"""How hot an event is within a window: recent voices, times growth, times harm. No term is of a viewpoint.

Times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from huiyin_analyzer.model.signs import Harm

HARM_WEIGHTS: Final[Mapping[Harm, float]] = {
    Harm.LIFE: 1.0,
    Harm.HEALTH: 0.6,
    Harm.LIVELIHOOD: 0.4,
    Harm.PROPERTY: 0.2,
}
"""What an event gains of whose voices all describe such harm."""

_HALF_LIVES: Final = 4
"""So many lie in a window."""
_SMOOTHING: Final = 3.0
"""Voices added to both halves of a window: of a few voices, chance alone makes a doubling."""
_LEAST_GROWTH: Final = 0.5
_MOST_GROWTH: Final = 2.0
_MOST_HARM: Final = 1.0 + max(HARM_WEIGHTS.values())
_DAY: Final = 86_400_000_000
_BITS: Final = [(int(harm), harm) for harm in HARM_WEIGHTS]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """From `start` to before `end`."""

    start: int
    end: int

    @property
    def half_life(self) -> float:
        """How long it takes a voice to count half."""
        return (self.end - self.start) / _HALF_LIVES

    def recency(self, time: int) -> float:
        """What a voice counts that spoke at a time within the window."""
        return float(0.5 ** ((self.end - time) / self.half_life))

    def is_later(self, time: int) -> bool:
        """Whether a time is in the second half."""
        return 2 * time >= self.start + self.end


class Spoke(NamedTuple):
    """What of a post counts. `voice_day` is empty where the voice is not known: then it is one of its own."""

    time: int
    voice_day: bytes
    harm: int


@dataclass(frozen=True)
class Heat:
    """How hot an event is, by its terms."""

    earlier: int
    later: int
    recent: float
    growth: float
    harm: float
    gravest: Harm
    harmed: int

    @property
    def value(self) -> float:
        """Recent voices, times growth, times harm."""
        return self.recent * self.growth * self.harm

    @property
    def voices(self) -> int:
        """All voices of the window."""
        return self.earlier + self.later


def heat(spoken: Iterable[Spoke], window: Window) -> Heat:
    """The heat of an event from its posts; those outside of the window are passed over."""
    first: dict[object, int] = {}
    said: dict[object, int] = {}
    for number, post in enumerate(spoken):
        if not window.start <= post.time < window.end:
            continue
        voice = (post.voice_day, post.time // _DAY) if post.voice_day else number
        first[voice] = min(post.time, first.get(voice, post.time))
        said[voice] = said.get(voice, 0) | post.harm
    times = sorted(first.values())
    later = sum(map(window.is_later, times))
    earlier = len(times) - later
    harmed = {harm: sum(1 for each in said.values() if each & bit) for bit, harm in _BITS}
    gravest = max(HARM_WEIGHTS, key=lambda each: HARM_WEIGHTS[each] * harmed[each])
    share = harmed[gravest] / len(times) if times else 0.0
    return Heat(
        earlier,
        later,
        sum(map(window.recency, times)),
        _growth(earlier, later),
        1.0 + HARM_WEIGHTS[gravest] * share,
        gravest if share else Harm.NONE,
        harmed[gravest],
    )


def most(posts: Sequence[int], last: Sequence[int], window: Window) -> Floats:
    """The heat that events cannot exceed that have so many posts each, the last published then."""
    counts, ages = np.array(posts, np.float64), window.end - np.minimum(np.array(last, np.int64), window.end)
    recent = counts * 0.5 ** (ages / window.half_life)
    # Growth is greatest where all voices are of the second half; an event whose last post is of the first has shrunk.
    grown = np.minimum(_MOST_GROWTH, (counts + _SMOOTHING) / _SMOOTHING)
    later = 2 * ages <= window.end - window.start
    return np.asarray(recent * np.where(later, grown, 1.0) * _MOST_HARM)


def _growth(earlier: int, later: int) -> float:
    growth = (later + _SMOOTHING) / (earlier + _SMOOTHING)
    return min(_MOST_GROWTH, max(_LEAST_GROWTH, growth))
