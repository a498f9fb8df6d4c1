"""Joins posts to events in one streaming pass, and finds events that are one.

A post joins the event whose posts it is most like in the mean, when it is like enough; otherwise it opens one. How
like two posts are is the mean of two cosines, of their words and of their pairs of characters, where rare ones count
for more (tf-idf with what was seen so far, smoothed by a prior); less when they speak of different places, for the same
trouble in another town is another event, and less when much time lies between. The mean over an event's posts is what
agglomerative clustering by average linkage goes by: unlike the likeness to a centre, it does not grow as an event
becomes loose.

Candidates come from an inverted index over each post's weightiest terms, and from the marks of copied sentences, which
bounds the cost of a post whatever the number of events.

An event is closed to posts that were published more than `COOLING` after its last post or before its first one. What
resembles it then is an echo, and opens an event of its own. A post that arrives late joins the event of its time.

The joiner is a function of the sequence of operations alone: the same operations, with `add` in the place of `join`,
give the same state, on every machine. Weights are whole numbers, whose sums depend on no order.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from huiyin_analyzer.model.terms import Terms

LIKENESS: Final = 0.2
"""Above it a post belongs to an event."""
COPY_LIKENESS: Final = 0.1
"""Above it a post belongs to an event that has one of its longest sentences too."""
ONE_MATTER: Final = 0.21
"""Above it two events are one."""
COOLING: Final = 180 * 86_400_000_000
"""So long after its last post an event is closed, in microseconds."""
REVIEWED_GROWTH: Final = 1.5
"""An event is looked at for repair whenever it has grown by so much."""
_ACTIVE: Final = 14 * 86_400_000_000
"""So long after its last post an event is active, in microseconds."""

ELSEWHERE: Final = 0.35
"""What the likeness of two posts loses when they speak of different places."""
_LATER: Final = 0.005
"""What it loses as the days between them grow e-fold; where they are fewer than `_NEAR_DAYS` it gains."""
_NEAR_DAYS: Final = 20.0
_DAY: Final = 86_400_000_000.0
UNIT: Final = 4096
"""The length of a post's weights, which are whole numbers."""
_UNIT_SQUARE: Final = UNIT * UNIT
_FINE: Final = 256.0
"""A weight of 1 as a whole number, before it is measured against the others of its post."""
_FIRST_ROOM: Final = 1024
_PRIOR_POSTS: Final = 4000.0
_PRIOR_SHARE: Final = 0.0005
"""A term never seen counts as seen in this share of so many posts: early in a feed everything would seem rare."""
_INDEXED_TERMS: Final = 10
_MOST_INDEXED: Final = 40
"""Of one event."""
_LONGEST_LIST: Final = 20
"""A term leads to so many events at most, to those that had it last."""
_VISITED: Final = 60
"""So many entries of the index are looked at for a post, the rarest terms first."""
_CANDIDATES: Final = 3
_CLOSED_CANDIDATES: Final = 1
_MOST_TERMS: Final = 400
_KEPT_TERMS: Final = 300
_MOST_PLACES: Final = 12
_COMPARED_TERMS: Final = 20
"""By so many of an event's terms its neighbours are found."""
_COMPARED_EVENTS: Final = 6
_MOST_NEIGHBOURS: Final = 5
_MOST_MARKS: Final = 32
_COUNT = itemgetter(1)
_COPIED: Final = 4 * UNIT
"""What a mark that is shared weighs among the terms that are: more than all of them."""

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


Numbers = NDArray[np.int64]


class Weighed(NamedTuple):
    """The terms of a post by their numbers, with their weights, in the order of the text."""

    terms: Numbers
    weights: Numbers

    def heaviest(self, count: int) -> list[tuple[int, int]]:
        """Terms and weights, from the heaviest; of equals, the one that came first comes first."""
        order = np.argsort(-self.weights, kind="stable")[:count]
        return list(zip(self.terms[order].tolist(), self.weights[order].tolist(), strict=True))


@dataclass(slots=True, eq=False)
class _Centre:
    """What an event is compared by: the sums of the weights of its posts, its times and places."""

    event: str
    terms: NDArray[np.uint32]
    """By their numbers, in their order."""
    sums: NDArray[np.uint32]
    first: int
    last: int
    posts: int
    places: tuple[tuple[str, int], ...]
    """How many posts speak of each place."""
    heads: list[int]
    """The terms under which it is indexed."""
    marks: tuple[int, ...] = ()

    def is_open_at(self, time: int) -> bool:
        """Whether a post published then can be of this event."""
        return self.first - COOLING <= time <= self.last + COOLING

    def weighed(self) -> Weighed:
        """Its terms as if they were those of one post."""
        return Weighed(self.terms.astype(np.int64), self.sums.astype(np.int64))

    def take(self, weighed: Weighed, posts: int, first: int, last: int) -> None:
        """Adds the weights of so many posts."""
        at = np.searchsorted(self.terms, weighed.terms)
        known = self.terms.take(at, mode="clip") == weighed.terms
        sums = self.sums.copy()  # an event that is looked at for its neighbours shares them
        sums[at[known]] += weighed.weights[known].astype(np.uint32)
        new = ~known
        terms = np.concatenate((self.terms, weighed.terms[new].astype(np.uint32)))
        sums = np.concatenate((sums, weighed.weights[new].astype(np.uint32)))
        if len(terms) > _MOST_TERMS:
            kept = np.lexsort((terms, -sums.astype(np.int64)))[:_KEPT_TERMS]
            terms, sums = terms[kept], sums[kept]
        order = np.argsort(terms, kind="stable")
        self.terms, self.sums = terms[order], sums[order]
        self.posts += posts
        self.first, self.last = min(self.first, first), max(self.last, last)

    def settle(self, places: Iterable[tuple[str, int]]) -> None:
        """Adds posts that speak of places."""
        counts = dict(self.places)
        for place, count in places:
            counts[place] = counts.get(place, 0) + count
            if len(counts) > _MOST_PLACES:
                del counts[min(counts, key=counts.__getitem__)]
        self.places = tuple(counts.items())

    def take_over(self, other: _Centre) -> None:
        """Adds the posts of another event."""
        self.take(other.weighed(), other.posts, other.first, other.last)
        self.settle(other.places)


class Joiner:
    """Finds the event of each post. Real and rehearsed posts take a joiner each: they never join."""

    def __init__(self) -> None:
        self._posts = 0
        # Each word and each pair has a number, in the order in which they were first seen.
        self._words: dict[str, int] = {}
        self._pairs: dict[str, int] = {}
        self._numbered = 0
        self._seen: Numbers = np.zeros(_FIRST_ROOM, np.int64)
        # The logarithm of each count that a term has reached, smoothed by the prior.
        self._logs: NDArray[np.float64] = np.zeros(0)
        # The weights of the post or event that others are compared with, by term.
        self._compared: Numbers = np.zeros(_FIRST_ROOM, np.int64)
        self._centres: dict[str, _Centre] = {}
        self._index: dict[int, list[_Centre]] = {}
        self._marked: dict[int, _Centre] = {}
        self._alone: dict[str, tuple[tuple[str, int], ...]] = {"": ()}

    def join(self, terms: Terms, new_id: str, place: str = "", time: int = 0) -> Joined:
        """The event that a post with these terms and this place belongs to: one that is there, or `new_id`.

        `time`: when it was published, in microseconds since the epoch. The post is added to the event.
        """
        weighed = self._weigh(terms, count=True)
        heads = weighed.heaviest(_INDEXED_TERMS)
        found, echo = self._nearest(weighed, heads, terms.marks, place, time)
        event = found or new_id
        grown = self._add(event, weighed, heads, terms.marks, place, time)
        return Joined(event, "" if found else echo, grown)

    def add(self, terms: Terms, event: str, place: str = "", time: int = 0) -> None:
        """Adds a post whose event is known."""
        self._take(self._weigh(terms, count=True), terms, event, place, time)

    def merge(self, event: str, into: str) -> None:
        """Lets one event take over the posts of another, which is no more."""
        merged, centre = self._centres.get(event), self._centres.get(into)
        if merged is None or centre is None or merged is centre:
            return
        self._drop(merged)
        centre.take_over(merged)
        self._enter(centre, merged.heads, merged.marks)

    def replace(self, event: str, posts: Iterable[Placed]) -> None:
        """Builds an event anew from its posts, after some were moved. Without any the event is no more."""
        centre = self._centres.get(event)
        if centre is not None:
            self._drop(centre)
        for terms, place, time in posts:
            self._take(self.weigh(terms), terms, event, place, time)

    def neighbours(self, event: str) -> list[str]:
        """The events that are one with this, each with those before it too; the likeliest first, a few at most."""
        centre = self._centres.get(event)
        if centre is None:
            return []
        union = replace(centre)
        votes = self._votes(union.weighed().heaviest(_COMPARED_TERMS), centre.marks)
        votes.pop(centre, None)
        near = islice(sorted(votes, key=votes.__getitem__, reverse=True), _COMPARED_EVENTS)
        rest = [other for other in near if _may_be_one(centre, other)]
        found: list[str] = []
        while rest and len(found) < _MOST_NEIGHBOURS:
            likenesses = self._likenesses_of_events(union, rest)
            best = max(likenesses)
            if best <= ONE_MATTER:
                break
            other = rest.pop(likenesses.index(best))
            found.append(other.event)
            union.take_over(other)
        return found

    def size(self, event: str) -> int:
        """How many posts an event has; 0 where it is not known."""
        centre = self._centres.get(event)
        return centre.posts if centre else 0

    def weigh(self, terms: Terms) -> Weighed:
        """The terms of a post with their weights as of now; of length `UNIT`, half of it words.

        Terms of posts that never joined weigh nothing.
        """
        words = {word: weight for word, weight in terms.words.items() if word in self._words}
        pairs = {pair: weight for pair, weight in terms.pairs.items() if pair in self._pairs}
        return self._weigh(Terms(words, pairs, terms.marks), count=False)

    def _weigh(self, terms: Terms, count: bool) -> Weighed:
        """`count`: counts first that a post has these terms."""
        words, pairs = self._numbers(self._words, terms.words), self._numbers(self._pairs, terms.pairs)
        numbers: Numbers = np.array(words + pairs, np.int64)
        seen = self._seen[numbers]
        if count:
            self._posts += 1
            seen += 1
            self._seen[numbers] = seen
        if len(self._logs) <= self._posts:  # a term has been seen once a post at most
            reached = range(2 * self._posts + 1)
            self._logs = np.array([math.log(posts + _PRIOR_POSTS * _PRIOR_SHARE) for posts in reached])
        rarity = math.log(self._posts + _PRIOR_POSTS) - self._logs[seen]
        raw = (np.array([*terms.words.values(), *terms.pairs.values()]) * rarity * _FINE).astype(np.int64)
        halves = 2.0 if words and pairs else 1.0
        parts = raw[: len(words)], raw[len(words) :]
        scaled = [part * (UNIT / math.sqrt(halves * int(part @ part) or 1.0)) for part in parts]
        return Weighed(numbers, np.concatenate(scaled).astype(np.int64))

    def _numbers(self, known: dict[str, int], terms: Iterable[str]) -> list[int]:
        """The numbers of terms; new ones get one."""
        numbers = [*map(known.get, terms)]
        if None in numbers:
            for at, term in enumerate(terms):
                if numbers[at] is None:
                    numbers[at] = known[term] = self._numbered
                    self._numbered += 1
            if self._numbered > len(self._seen):
                room = np.zeros(2 * self._numbered - len(self._seen), np.int64)
                self._seen, self._compared = np.append(self._seen, room), np.append(self._compared, room)
        return numbers  # type: ignore[return-value]

    def _votes(self, heads: Iterable[tuple[int, int]], marks: Iterable[int]) -> dict[_Centre, int]:
        """The events that share terms or marks, by the weight of what they share, the rarest first."""
        votes: dict[_Centre, int] = {}
        index = self._index
        lists = sorted([(len(index[term]), weight, term) for term, weight in heads if term in index])
        visited = 0
        for length, weight, term in lists:
            visited += length
            if visited > _VISITED:
                break
            for centre in index[term]:
                votes[centre] = votes.get(centre, 0) + weight
        marked = self._marked
        for mark in marks:
            copied = marked.get(mark)
            if copied is not None:
                votes[copied] = votes.get(copied, 0) + _COPIED
        return votes

    def _nearest(
        self,
        weighed: Weighed,
        heads: Sequence[tuple[int, int]],
        marks: tuple[int, ...],
        place: str,
        time: int,
    ) -> tuple[str, str]:
        """The event that a post belongs to, and the closed one that it resembles; each "" where there is none."""
        votes = self._votes(heads, marks)
        if not votes:
            return "", ""
        found = {True: "", False: ""}
        best = {True: 0.0, False: 0.0}
        left = {True: _CANDIDATES, False: _CLOSED_CANDIDATES}
        compared = self._compared
        compared[weighed.terms] = weighed.weights
        # Of events with as many votes, the one found first comes first; ids, which chance makes, decide nothing.
        for centre in sorted(votes, key=votes.__getitem__, reverse=True):
            is_open = centre.is_open_at(time)
            if not left[is_open]:
                if not left[not is_open]:
                    break
                continue
            left[is_open] -= 1
            least = max(best[is_open], COPY_LIKENESS if votes[centre] >= _COPIED else LIKENESS)
            likeness = int(compared[centre.terms] @ centre.sums) / (centre.posts * _UNIT_SQUARE)
            likeness += likeness_in_time(max(centre.first - time, time - centre.last, 0))
            if likeness > least and place and centre.places:
                likeness -= ELSEWHERE * _share_elsewhere(centre.places, place)
            if likeness > least:
                found[is_open], best[is_open] = centre.event, likeness
        compared[weighed.terms] = 0
        return found[True], found[False]

    def _likenesses_of_events(self, centre: _Centre, others: Iterable[_Centre]) -> list[float]:
        """How like the posts of an event are to those of others in the mean."""
        compared = self._compared
        compared[centre.terms] = centre.sums
        found = []
        for other in others:
            likeness = int(compared[other.terms] @ other.sums) / (centre.posts * other.posts * _UNIT_SQUARE)
            likeness += likeness_in_time(max(centre.first - other.last, other.first - centre.last, 0))
            if likeness > ONE_MATTER and centre.places and other.places:
                shares = [_share_elsewhere(other.places, place) * count for place, count in centre.places]
                likeness -= ELSEWHERE * math.fsum(shares) / sum(map(_COUNT, centre.places))
            found.append(likeness)
        compared[centre.terms] = 0
        return found

    def _take(self, weighed: Weighed, terms: Terms, event: str, place: str, time: int) -> None:
        self._add(event, weighed, weighed.heaviest(_INDEXED_TERMS), terms.marks, place, time)

    def _add(
        self,
        event: str,
        weighed: Weighed,
        heads: Sequence[tuple[int, int]],
        marks: tuple[int, ...],
        place: str,
        time: int,
    ) -> bool:
        """Adds a post to its event; returns whether that has grown enough to be looked at."""
        centre = self._centres.get(event)
        grown = False
        if centre is None:
            places = self._alone.setdefault(place, ((place, 1),))
            order = np.argsort(weighed.terms)
            terms, sums = weighed.terms[order].astype(np.uint32), weighed.weights[order].astype(np.uint32)
            centre = self._centres[event] = _Centre(event, terms, sums, time, time, 1, places, [])
        else:
            grown = _steps(centre.posts + 1) > _steps(centre.posts)
            centre.take(weighed, 1, time, time)
            if place:
                centre.settle([(place, 1)])
        self._enter(centre, [term for term, _ in heads], marks)
        return grown

    def _enter(self, centre: _Centre, heads: Iterable[int], marks: Iterable[int]) -> None:
        """Indexes an event under more terms and marks. A term leads to those events that had it last."""
        index, known = self._index, centre.heads
        for term in heads:
            centres = index.get(term)
            if centres is None:
                if len(known) < _MOST_INDEXED:
                    index[term] = [centre]
                    known.append(term)
            elif term in known:
                if centres[-1] is not centre:
                    centres.remove(centre)
                    centres.append(centre)
            elif len(known) < _MOST_INDEXED:
                if len(centres) == _LONGEST_LIST:
                    centres.pop(0).heads.remove(term)
                centres.append(centre)
                known.append(term)
        marked = self._marked
        for mark in marks:
            if len(centre.marks) < _MOST_MARKS and mark not in marked:
                marked[mark] = centre
                centre.marks += (mark,)

    def _drop(self, centre: _Centre) -> None:
        del self._centres[centre.event]
        for term in centre.heads:
            centres = self._index[term]
            centres.remove(centre)
            if not centres:
                del self._index[term]
        for mark in centre.marks:
            del self._marked[mark]


def _steps(posts: int) -> int:
    """How often an event of so many posts has grown by a part of its size."""
    return int(math.log(posts) / math.log(REVIEWED_GROWTH) + 1e-9)


def likeness_in_time(apart: float) -> float:
    """What the likeness of two posts gains or loses by the time that lies between them, in microseconds."""
    return _LATER * (math.log1p(_NEAR_DAYS) - math.log1p(apart / _DAY))


def _may_be_one(centre: _Centre, other: _Centre) -> bool:
    return centre.first - COOLING <= other.last and other.first - COOLING <= centre.last


def _share_elsewhere(places: Iterable[tuple[str, int]], place: str) -> float:
    """Which part of these places neither holds nor lies in a place; 0 where none is known."""
    elsewhere = total = 0
    for other, count in places:
        total += count
        if not one_in_another(other, place):
            elsewhere += count
    return elsewhere / total if elsewhere else 0.0


def one_in_another(first: str, second: str) -> bool:
    """Whether one place holds the other, or is it."""
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")
