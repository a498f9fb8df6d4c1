"""What of a post an event counts, and an event's figures."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from huiyin_analyzer.model.text import Harm, Intent

_DAY: Final = 86_400_000_000
GROWTH_VOICES: Final = 6
"""Growth is told from so many voices in the two days: of fewer, chance alone makes a doubling."""
_HARMS: Final = [tuple(harm for harm in Harm if harm & several) for several in range(16)]
"""The single harms of each sum of them; taking a flag apart costs microseconds."""


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
    decides: bool = False
    """Whether a person set its topic together with those of its whole event."""


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
    decided: Counter[str] = field(default_factory=Counter)
    """The topics that people set of the whole event, by posts."""
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
        self.count_topic(post.topic, post.decides)
        if post.place:
            self.places[post.place] += 1
        if post.intent or post.harm:
            self._count_said(voice, post)

    def count_topic(self, topic: str, decides: bool, posts: int = 1) -> None:
        """Counts the topic of so many posts. `decides`: a person set it together with those of the whole event."""
        if topic:
            self.topics[topic] += posts
            if decides:
                self.decided[topic] += posts

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
        """The topic that people gave it, or that of most posts; of several, the one that came first."""
        topics = self.decided or self.topics
        return max(topics, key=topics.__getitem__) if topics else ""

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
