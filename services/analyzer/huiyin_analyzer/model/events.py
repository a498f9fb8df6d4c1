"""Joins posts to events in one streaming pass.

A post joins the event that it is most like, when it is like enough; otherwise it opens one. Likeness is the cosine of
their terms, where rare terms count for more (tf-idf with what was seen so far, smoothed by a prior), so that names of
estates, roads and firms decide. It is less where the event's posts speak of another place: the same trouble in another
town is another event.

Candidates come from an inverted index over each post's weightiest terms, which bounds the cost of a post whatever the
number of events.

The joiner is a function of the sequence of posts alone: replaying the same posts, or those that a store kept with their
events (`add`), gives the same state.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple

from huiyin_analyzer.model.text import Harm, Intent

LIKENESS: Final = 0.25
"""Above it a post belongs to an event. Found by trying on labelled messages in several orders."""
_ELSEWHERE: Final = 0.4
"""What the likeness loses where every post of an event speaks of another place."""
_PLACE_WEIGHT: Final = 1.5
"""A place is a term too, as weighty as one of the subject: a village says much, a city next to nothing."""
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
_DAY: Final = 86_400_000_000
GROWTH_VOICES: Final = 6
"""Growth is told from so many voices in the two days: of fewer, chance alone makes a doubling."""
_HARMS: Final = [tuple(harm for harm in Harm if harm & several) for several in range(16)]
"""The single harms of each sum of them; taking a flag apart costs microseconds."""
_WEIGHT = itemgetter(0)


class Post(NamedTuple):
    """What of a post an event counts. Times are microseconds since the epoch; `voice_day` is empty where unknown."""

    publish_time: int
    source: str
    expects_answer: bool
    votes: int
    voice_day: bytes
    topic: str
    place: str
    intent: Intent
    harm: Harm


@dataclass(slots=True)
class Event:
    """An event's figures, kept up to date post by post.

    A voice that says the same again on the same day (of publication, UTC) counts once: in `voiced`, `intents` and
    `harms`. A post whose voice is not known counts as a voice of its own. No figure depends on the order of arrival.
    """

    id: str
    posts: int = 0
    inquiries: int = 0
    votes: int = 0
    times: list[int] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)
    voiced: list[int] = field(default_factory=list)
    """When each voice of a day first spoke."""
    voices: dict[tuple[bytes, int], int] = field(default_factory=dict)
    said: dict[tuple[bytes, int], int] = field(default_factory=dict)
    """The harm and the intent (shifted past it) that a voice was counted for."""
    topics: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    intents: Counter[Intent] = field(default_factory=Counter)
    harms: Counter[Harm] = field(default_factory=Counter)

    def count(self, post: Post) -> None:
        """Adds a post to the figures."""
        self.posts += 1
        self.inquiries += post.expects_answer
        self.votes += post.votes
        insort(self.times, post.publish_time)
        self.sources.add(post.source)
        voice = (post.voice_day, post.publish_time // _DAY) if post.voice_day else None
        if voice is None or self._is_new_voice(voice, post.publish_time):
            insort(self.voiced, post.publish_time)
        if post.topic:
            self.topics[post.topic] += 1
        if post.place:
            self.places[post.place] += 1
        if post.intent or post.harm:
            self._count_said(voice, post)

    def _is_new_voice(self, voice: tuple[bytes, int], time: int) -> bool:
        first = self.voices.get(voice)
        if first is not None:
            if time >= first:
                return False
            del self.voiced[bisect_left(self.voiced, first)]
        self.voices[voice] = time
        return True

    def _count_said(self, voice: tuple[bytes, int] | None, post: Post) -> None:
        before = self.said.get(voice, 0) if voice else 0
        if post.intent and not before >> 4 & 1 << post.intent:
            self.intents[post.intent] += 1
        harms = int(post.harm)
        for harm in _HARMS[harms & ~before]:
            self.harms[harm] += 1
        if voice:
            self.said[voice] = before | harms | 1 << post.intent << 4

    @property
    def topic(self) -> str:
        """The topic of most posts; of several, the one that came first."""
        return max(self.topics, key=self.topics.__getitem__) if self.topics else ""

    @property
    def place(self) -> str:
        """The place of most posts; of several, the one that came first."""
        return max(self.places, key=self.places.__getitem__) if self.places else ""

    def figures(self) -> dict[str, float]:
        """The figures that a grading rule may read, without those for which there is too little evidence."""
        times, voiced = self.times, self.voiced
        newest, voices = voiced[-1], len(voiced)
        voices_24h = voices - bisect_right(voiced, newest - _DAY)
        voices_before = voices - voices_24h - bisect_right(voiced, newest - 2 * _DAY)
        figures: dict[str, float] = {
            "posts": self.posts,
            "inquiries": self.inquiries,
            "voices": voices,
            "places": len(self.places),
            "sources": len(self.sources),
            "posts_24h": len(times) - bisect_right(times, times[-1] - _DAY),
            "voices_24h": voices_24h,
            "span_days": (newest - voiced[0]) / _DAY,
            "votes": self.votes,
            "harm.life": self.harms[Harm.LIFE],
            "harm.health": self.harms[Harm.HEALTH],
            "harm.livelihood": self.harms[Harm.LIVELIHOOD],
            "harm.property": self.harms[Harm.PROPERTY],
            "intent.complaint": self.intents[Intent.COMPLAINT],
            "intent.help": self.intents[Intent.HELP],
        }
        if voices_24h + voices_before >= GROWTH_VOICES:
            figures["growth"] = voices_24h / max(voices_before, 1)
        return figures


@dataclass(slots=True, eq=False)
class _Centre:
    """The sum of the weights of an event's posts, the square of its length, and how many speak of each place."""

    event: str
    weights: dict[str, float]
    square: float
    places: dict[str, int]


class Joiner:
    """Finds the event of each post. Real and rehearsed posts take a joiner each: they never join."""

    def __init__(self) -> None:
        self._posts = 0
        self._seen: dict[str, int] = {}
        # The logarithm of each count that a term has reached, smoothed by the prior.
        self._logs: list[float] = []
        self._centres: dict[str, _Centre] = {}
        self._index: dict[str, list[_Centre]] = {}

    def join(self, terms: Mapping[str, float], new_id: str, place: str = "") -> str:
        """The event that a post with these terms and this place belongs to: one that is there, or `new_id`.

        The post is added to it.
        """
        weights = self._weigh(terms, place)
        square = _square(weights)
        heads = list(islice(weights, _INDEXED_TERMS))
        event = self._nearest(weights, square, heads, place) or new_id
        self._add(event, weights, square, heads, place)
        return event

    def add(self, terms: Mapping[str, float], event: str, place: str = "") -> None:
        """Adds a post whose event is known."""
        weights = self._weigh(terms, place)
        self._add(event, weights, _square(weights), list(islice(weights, _INDEXED_TERMS)), place)

    def _weigh(self, terms: Mapping[str, float], place: str) -> dict[str, float]:
        """The weightiest terms of a post with their weights, from the weightiest."""
        self._posts += 1
        if place and terms:  # where nothing is said, the place alone is no matter
            terms = {**terms, f"@{place}": _PLACE_WEIGHT}
        seen, logs = self._seen, self._logs
        while len(logs) <= self._posts:  # a term has been seen once a post at most
            logs.append(math.log(len(logs) + 1.0 + _PRIOR_POSTS * _PRIOR_SHARE))
        log_posts = math.log(self._posts + _PRIOR_POSTS)
        weighed = []
        for term, weight in terms.items():
            count = seen.get(term, 0)
            seen[term] = count + 1
            weighed.append((weight * (log_posts - logs[count]), term))
        # The sort is stable: of terms as weighty, the one that came first in the text comes first.
        weighed.sort(key=_WEIGHT, reverse=True)
        return {term: weight for weight, term in weighed[:_TERMS]}

    def _nearest(self, weights: dict[str, float], square: float, heads: list[str], place: str) -> str:
        votes: dict[_Centre, float] = {}
        index = self._index
        for term in heads:
            centres = index.get(term, ())
            if len(centres) <= _LONGEST_LIST:
                weight = weights[term]
                for centre in centres:
                    votes[centre] = votes.get(centre, 0.0) + weight
        if not votes:
            return ""
        best, likeness = "", LIKENESS
        # Of events with as many votes, the one found first comes first; ids, which chance makes, decide nothing.
        for centre in sorted(votes, key=votes.__getitem__, reverse=True)[:_CANDIDATES]:
            sums = centre.weights
            # fsum is exact whatever the order: the same posts always give the same sum to the last bit.
            product = math.fsum([weights[term] * sums[term] for term in weights.keys() & sums.keys()])
            like = product / math.sqrt(square * centre.square)
            if like > likeness and place:
                like -= _ELSEWHERE * _share_elsewhere(centre.places, place)
            if like > likeness:
                best, likeness = centre.event, like
        return best

    def _add(self, event: str, weights: dict[str, float], square: float, heads: list[str], place: str) -> None:
        centre = self._centres.get(event)
        known = centre is not None
        if centre is None:
            centre = self._centres[event] = _Centre(event, weights, square, {})
        else:
            sums, total = centre.weights, centre.square
            for term, weight in weights.items():
                old = sums.get(term, 0.0)
                sums[term] = old + weight
                total += weight * (2.0 * old + weight)
            centre.square = total
            if len(sums) > _MOST_TERMS:
                self._shorten(centre)
        if place:
            centre.places[place] = centre.places.get(place, 0) + 1
        index = self._index
        for term in heads:
            centres = index.get(term)
            if centres is None:
                index[term] = [centre]
            elif len(centres) <= _LONGEST_LIST and not (known and centre in centres):
                centres.append(centre)

    @staticmethod
    def _shorten(centre: _Centre) -> None:
        kept = sorted(centre.weights.items(), key=lambda item: (-item[1], item[0]))[:_KEPT_TERMS]
        centre.weights = dict(kept)
        centre.square = sum(weight * weight for _, weight in kept)


def _square(weights: Mapping[str, float]) -> float:
    """The square of the length of weights; 1 where there are none."""
    return sum([weight * weight for weight in weights.values()]) or 1.0


def _share_elsewhere(places: Mapping[str, int], place: str) -> float:
    """Which part of these places neither holds nor lies in a place; 0 where none is known."""
    elsewhere = sum([count for other, count in places.items() if not _one_in_another(other, place)])
    return elsewhere / sum(places.values()) if elsewhere else 0.0


def _one_in_another(first: str, second: str) -> bool:
    return first == second or first.startswith(f"{second}.") or second.startswith(f"{first}.")
