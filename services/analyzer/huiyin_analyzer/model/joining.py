"""Joins posts to events in one streaming pass, and finds events that are one.

A post joins the event that it is most like, when it is like enough; otherwise it opens one. Likeness is the cosine of
their terms, where rare terms count for more (tf-idf with what was seen so far, smoothed by a prior), so that names of
estates, roads and firms decide. It is less where the event's posts speak of another place: the same trouble in another
town is another event.

Candidates come from an inverted index over each post's weightiest terms, and from the marks of copied sentences, which
bounds the cost of a post whatever the number of events.

An event is closed to posts that were published more than `COOLING` after its last post or before its first one. What
resembles it then is an echo, and opens an event of its own. A post that arrives late joins the event of its time.

The joiner is a function of the sequence of operations alone: the same operations, with `add` in the place of `join`,
give the same state. Weights are whole numbers, whose sums depend on no order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

from huiyin_analyzer.model.terms import Terms

LIKENESS: Final = 0.25
"""Above it a post belongs to an event. Found by trying on labelled messages in several orders."""
ONE_MATTER: Final = 0.5
"""Above it two events are one."""
COOLING: Final = 180 * 86_400_000_000
"""So long after its last post an event is closed, in microseconds."""
REVIEWED_GROWTH: Final = 1.25
"""An event is looked at for repair whenever it has grown by so much."""

_ACTIVE: Final = 14 * 86_400_000_000
"""So long after its last post an event is active, in microseconds."""

_ELSEWHERE: Final = 0.4
"""What the likeness loses where every post of an event speaks of another place."""
_PLACE_WEIGHT: Final = 1.5
"""A place is a term too, as weighty as one of the subject: a village says much, a city next to nothing."""
_UNIT: Final = 256.0
"""A weight of 1 as a whole number."""
_PRIOR_POSTS: Final = 2000.0
_PRIOR_SHARE: Final = 0.0005
"""A term never seen counts as seen in this share of so many posts: early in a feed everything would seem rare."""
_TERMS: Final = 64
"""The weightiest terms of a post are compared; the rest is noise that costs time."""
_INDEXED_TERMS: Final = 10
_LONGEST_LIST: Final = 60
"""A term that so many events share tells nothing of which of them it is."""
_CANDIDATES: Final = 3
_MOST_TERMS: Final = 400
_KEPT_TERMS: Final = 200
_COMPARED_TERMS: Final = 20
"""By so many of an event's terms its neighbours are found."""
_MOST_NEIGHBOURS: Final = 5
_MOST_MARKS: Final = 32
_WEIGHT = itemgetter(0)

Placed = tuple[Terms, str, int]
"""The terms of a post, its place, and when it was published (microseconds since the epoch)."""


class Activity(StrEnum):
    """How lately people spoke of an event."""

    ACTIVE = "active"
    COOLED = "cooled"
    CLOSED = "closed"


def activity(last: int, now: int) -> Activity:
    """That of an event whose last post was published at `last`; both in microseconds since the epoch."""
    if now - last <= _ACTIVE:
        return Activity.ACTIVE
    return Activity.COOLED if now - last <= COOLING else Activity.CLOSED


class Joined(NamedTuple):
    """What became of a post."""

    event: str
    echo_of: str
    """The closed event that a newly opened one resembles, or ""."""
    review: bool
    """Whether the event is to be looked at for repair now: it has grown by a part of its size."""


@dataclass(slots=True, eq=False)
class _Centre:
    """What an event is compared by: the sum of the weights of its posts, the square of its length, its times and how
    many of its posts speak of each place."""

    event: str
    weights: dict[str, int]
    square: int
    first: int
    last: int
    posts: int = 1
    places: dict[str, int] = field(default_factory=dict)
    heads: dict[str, None] = field(default_factory=dict)
    """The terms under which it is indexed."""
    marks: dict[int, None] = field(default_factory=dict)

    def is_open_at(self, time: int) -> bool:
        """Whether a post published then can be of this event."""
        return self.first - COOLING <= time <= self.last + COOLING


class Joiner:
    """Finds the event of each post. Real and rehearsed posts take a joiner each: they never join."""

    def __init__(self) -> None:
        self._posts = 0
        self._seen: dict[str, int] = {}
        # The logarithm of each count that a term has reached, smoothed by the prior.
        self._logs: list[float] = []
        self._centres: dict[str, _Centre] = {}
        self._index: dict[str, list[_Centre]] = {}
        self._marked: dict[int, _Centre] = {}

    def join(self, terms: Terms, new_id: str, place: str = "", time: int = 0) -> Joined:
        """The event that a post with these terms and this place belongs to: one that is there, or `new_id`.

        `time`: when it was published, in microseconds since the epoch. The post is added to the event.
        """
        self._count(terms.weights, place)
        weights = self._weigh(terms.weights, place)
        square = _square(weights)
        found, echo = self._nearest(weights, square, terms.marks, place, time)
        event = found or new_id
        grown = self._add(event, weights, square, terms.marks, place, time)
        return Joined(event, "" if found else echo, grown)

    def add(self, terms: Terms, event: str, place: str = "", time: int = 0) -> None:
        """Adds a post whose event is known."""
        self._count(terms.weights, place)
        weights = self._weigh(terms.weights, place)
        self._add(event, weights, _square(weights), terms.marks, place, time)

    def merge(self, event: str, into: str) -> None:
        """Lets one event take over the posts of another, which is no more."""
        merged, centre = self._centres.get(event), self._centres.get(into)
        if merged is None or centre is None or merged is centre:
            return
        self._drop(merged)
        sums = centre.weights
        for term, weight in merged.weights.items():
            sums[term] = sums.get(term, 0) + weight
        centre.square = _square(sums)
        self._shorten(centre)
        centre.first, centre.last = min(centre.first, merged.first), max(centre.last, merged.last)
        centre.posts += merged.posts
        for place, count in merged.places.items():
            centre.places[place] = centre.places.get(place, 0) + count
        self._enter(centre, merged.heads, merged.marks)

    def replace(self, event: str, posts: Iterable[Placed]) -> None:
        """Builds an event anew from its posts, after some were moved. Without any the event is no more."""
        centre = self._centres.get(event)
        if centre is not None:
            self._drop(centre)
        for terms, place, time in posts:
            weights = self._weigh(terms.weights, place)
            self._add(event, weights, _square(weights), terms.marks, place, time)

    def size(self, event: str) -> int:
        """How many posts an event has; 0 where it is not known."""
        centre = self._centres.get(event)
        return centre.posts if centre else 0

    def neighbours(self, event: str) -> list[str]:
        """The events that are one with this, the likeliest first; a few at most."""
        centre = self._centres.get(event)
        if centre is None:
            return []
        heads = sorted(centre.weights.items(), key=lambda item: (-item[1], item[0]))[:_COMPARED_TERMS]
        votes = self._votes(dict(heads), centre.marks)
        votes.pop(centre, None)
        found = []
        for other in sorted(votes, key=votes.__getitem__, reverse=True)[: 4 * _MOST_NEIGHBOURS]:
            if other.first - COOLING <= centre.last and centre.first - COOLING <= other.last:
                like = _likeness(centre.weights, centre.square, other)
                if like > ONE_MATTER and centre.places and other.places:
                    shares = [_share_elsewhere(other.places, place) * n for place, n in centre.places.items()]
                    like -= _ELSEWHERE * math.fsum(shares) / sum(centre.places.values())
                if like > ONE_MATTER:
                    found.append((like, other.event))
        found.sort(key=_WEIGHT, reverse=True)
        return [other for _, other in found[:_MOST_NEIGHBOURS]]

    def _count(self, terms: Mapping[str, float], place: str) -> None:
        """Counts that a post has these terms."""
        self._posts += 1
        seen = self._seen
        for term in terms:
            seen[term] = seen.get(term, 0) + 1
        if place and terms:
            seen[f"@{place}"] = seen.get(f"@{place}", 0) + 1
        logs = self._logs
        while len(logs) <= self._posts:  # a term has been seen once a post at most
            logs.append(math.log(len(logs) + 1.0 + _PRIOR_POSTS * _PRIOR_SHARE))

    def _weigh(self, terms: Mapping[str, float], place: str) -> dict[str, int]:
        """The weightiest terms of a post with their weights, from the weightiest."""
        if place and terms:  # where nothing is said, the place alone is no matter
            terms = {**terms, f"@{place}": _PLACE_WEIGHT}
        seen, logs = self._seen, self._logs
        log_posts = math.log(self._posts + _PRIOR_POSTS)
        weighed = [
            (int(_UNIT * weight * (log_posts - logs[seen.get(term, 1) - 1])), term) for term, weight in terms.items()
        ]
        # The sort is stable: of terms as weighty, the one that came first in the text comes first.
        weighed.sort(key=_WEIGHT, reverse=True)
        return {term: weight for weight, term in weighed[:_TERMS]}

    def _votes(self, weights: Mapping[str, int], marks: Iterable[int]) -> dict[_Centre, int]:
        """The events that share terms or marks, by the weight of what they share."""
        votes: dict[_Centre, int] = {}
        index = self._index
        for term, weight in weights.items():
            centres = index.get(term, ())
            if len(centres) <= _LONGEST_LIST:
                for centre in centres:
                    votes[centre] = votes.get(centre, 0) + weight
        marked = self._marked
        for mark in marks:
            copied = marked.get(mark)
            if copied is not None:
                votes[copied] = votes.get(copied, 0) + int(10 * _UNIT)
        return votes

    def _nearest(
        self, weights: dict[str, int], square: int, marks: tuple[int, ...], place: str, time: int
    ) -> tuple[str, str]:
        """The event that a post belongs to, and the closed one that it resembles; each "" where there is none."""
        votes = self._votes(dict(islice(weights.items(), _INDEXED_TERMS)), marks)
        if not votes:
            return "", ""
        found, likeness = {True: "", False: ""}, {True: LIKENESS, False: LIKENESS}
        # Of events with as many votes, the one found first comes first; ids, which chance makes, decide nothing.
        for centre in sorted(votes, key=votes.__getitem__, reverse=True)[:_CANDIDATES]:
            is_open = centre.is_open_at(time)
            like = _likeness(weights, square, centre)
            if like > likeness[is_open] and place:
                like -= _ELSEWHERE * _share_elsewhere(centre.places, place)
            if like > likeness[is_open]:
                found[is_open], likeness[is_open] = centre.event, like
        return found[True], found[False]

    def _add(
        self, event: str, weights: dict[str, int], square: int, marks: tuple[int, ...], place: str, time: int
    ) -> bool:
        """Adds a post to its event; returns whether that has grown enough to be looked at."""
        heads = islice(weights, _INDEXED_TERMS)
        centre = self._centres.get(event)
        grown = False
        if centre is None:
            centre = self._centres[event] = _Centre(event, weights, square, time, time)
            heads = islice(list(weights), _INDEXED_TERMS)
        else:
            sums, total = centre.weights, centre.square
            for term, weight in weights.items():
                old = sums.get(term, 0)
                sums[term] = old + weight
                total += weight * (2 * old + weight)
            centre.square = total
            self._shorten(centre)
            grown = _steps(centre.posts + 1) > _steps(centre.posts)
            centre.posts += 1
            centre.first, centre.last = min(centre.first, time), max(centre.last, time)
        if place:
            centre.places[place] = centre.places.get(place, 0) + 1
        self._enter(centre, heads, marks)
        return grown

    def _enter(self, centre: _Centre, heads: Iterable[str], marks: Iterable[int]) -> None:
        """Indexes an event under more terms and marks."""
        index, known = self._index, centre.heads
        for term in heads:
            if term not in known:
                centres = index.get(term)
                if centres is None:
                    index[term] = [centre]
                    known[term] = None
                elif len(centres) <= _LONGEST_LIST:
                    centres.append(centre)
                    known[term] = None
        for mark in marks:
            if len(centre.marks) < _MOST_MARKS and mark not in self._marked:
                self._marked[mark] = centre
                centre.marks[mark] = None

    def _drop(self, centre: _Centre) -> None:
        del self._centres[centre.event]
        for term in centre.heads:
            centres = self._index[term]
            centres.remove(centre)
            if not centres:
                del self._index[term]
        for mark in centre.marks:
            del self._marked[mark]

    @staticmethod
    def _shorten(centre: _Centre) -> None:
        if len(centre.weights) > _MOST_TERMS:
            kept = sorted(centre.weights.items(), key=lambda item: (-item[1], item[0]))[:_KEPT_TERMS]
            centre.weights = dict(kept)
            centre.square = _square(centre.weights)


def _square(weights: Mapping[str, int]) -> int:
    """The square of the length of weights; 1 where there are none."""
    return sum([weight * weight for weight in weights.values()]) or 1


def _steps(posts: int) -> int:
    """How often an event of so many posts has grown by a part of its size."""
    return int(math.log(posts) / math.log(REVIEWED_GROWTH) + 1e-9)


def _likeness(weights: dict[str, int], square: int, centre: _Centre) -> float:
    sums = centre.weights
    product = sum([weights[term] * sums[term] for term in weights.keys() & sums.keys()])
    return product / math.sqrt(square * centre.square)


def _share_elsewhere(places: Mapping[str, int], place: str) -> float:
    """Which part of these places neither holds nor lies in a place; 0 where none is known."""
    elsewhere = sum([count for other, count in places.items() if not _one_in_another(other, place)])
    return elsewhere / sum(places.values()) if elsewhere else 0.0


def _one_in_another(first: str, second: str) -> bool:
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")
