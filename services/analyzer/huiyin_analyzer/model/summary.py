"""A summary of posts in sentences of theirs: what most of them speak of, without saying it twice. Nothing is generated.

A sentence is the more central, the more of its words other posts have too (centroid of the posts' words, Radev and
others, 2004); of what is central, that is taken which is unlike what was taken before (maximal marginal relevance,
Carbonell and Goldstein, 1998).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from huiyin_analyzer.model.terms import terms_of

_READ_CHARACTERS: Final = 600
_SENTENCES: Final = 12
"""Of each post, the first so many are looked at."""
_SHORTEST, _LONGEST = 8, 100
_ALIKE: Final = 0.45
"""A sentence that has so much in common with one that was taken says nothing new (cosine)."""
_LEAST_SHARE: Final = 0.25
"""A sentence so much less central than the first adds nothing worth reading."""
_POSITION: Final = 0.12
_ENDS: Final = re.compile(r"(?<=[。！？!?；;\n…])")
_COURTESY: Final = re.compile(
    r"^[^，,。]{0,8}(?:尊敬|您好|你好|领导好)|此致|敬礼|谢谢|感谢|望.{0,6}(?:回复|答复|重视)|恳请|联系电话|〔电话〕"
)
_FIGURE: Final = re.compile(r"\d")


class Kept(NamedTuple):
    """A post whose text is kept."""

    id: str
    subject: str
    text: str


class Sentence(NamedTuple):
    """A sentence and the post that it comes from."""

    post: str
    text: str


@dataclass(frozen=True)
class _Candidate:
    sentence: Sentence
    words: frozenset[str]
    centrality: float


def summarise(posts: Sequence[Kept], most: int) -> list[Sentence]:
    """At most so many sentences, the most central first; those of equal rank in the order of the posts."""
    read = [(post, list(_sentences(post))) for post in posts]
    candidates = _candidates(read)
    taken: list[_Candidate] = []
    while candidates and len(taken) < most:
        best = max(candidates, key=lambda candidate: _gain(candidate, taken))
        if taken and best.centrality < _LEAST_SHARE * taken[0].centrality:
            break
        taken.append(best)
        candidates = [each for each in candidates if _likeness(each.words, best.words) < _ALIKE]
    return [candidate.sentence for candidate in taken]


def _candidates(read: Sequence[tuple[Kept, list[str]]]) -> list[_Candidate]:
    worded = [(post, index, text, _words(text)) for post, texts in read for index, text in enumerate(texts)]
    shared: Counter[str] = Counter()
    for post, texts in read:
        shared.update(_words(post.subject).union(*map(_words, texts)))
    found = []
    for post, index, text, words in worded:
        if len(words) < 2:
            continue
        centrality = sum(shared[word] for word in words) / len(read) / math.sqrt(len(words) + 3)
        centrality *= (1.1 if _FIGURE.search(text) else 1.0) * (0.4 if _COURTESY.search(text) else 1.0)
        found.append(_Candidate(Sentence(post.id, text), words, centrality / (1 + _POSITION * index)))
    return found


def _sentences(post: Kept) -> Iterator[str]:
    """The sentences of a post that are neither too short nor too long; its subject where it has none."""
    parts = _ENDS.split(post.text[:_READ_CHARACTERS])
    if len(post.text) > _READ_CHARACTERS:
        del parts[-1]  # torn
    sentences = [text for part in parts[:_SENTENCES] if _SHORTEST <= len(text := " ".join(part.split())) <= _LONGEST]
    subject = " ".join(post.subject.split())
    yield from sentences or ([subject] if subject else [])


def _words(text: str) -> frozenset[str]:
    return frozenset(terms_of("", text).words)


def _gain(candidate: _Candidate, taken: Sequence[_Candidate]) -> float:
    return candidate.centrality * (1 - max((_likeness(candidate.words, each.words) for each in taken), default=0.0))


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / math.sqrt(len(one) * len(other))
