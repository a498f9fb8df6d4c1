"""Which answers of the past resemble a question: an index in memory over past questions with their answers.

Texts are taken as characters and pairs of neighbouring characters, so no dictionary decides what a word is. Documents
are ranked by BM25 (Robertson and Zaragoza, 2009), a question counting twice beside its answer, as BM25F weighs fields.
Numbers of documents are the caller's; texts are not kept, only how often each character and pair stands in which.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

K1: Final = 1.2
B: Final = 0.75
"""The usual constants of BM25; around them the order hardly changes."""

QUESTION_WEIGHT: Final = 2
"""How often a question counts beside its answer."""

INDEXED: Final = 4_000
"""Characters of a question and of an answer that are looked at."""

_SEGMENT: Final = 4_096
"""Documents of a segment at most; it bounds what merging and taking out cost."""

_RUN: Final = re.compile(r"[^\W_]+")
_APART: Final = "\x00"
_PAIR: Final = 21  # bits of a code point

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Match:
    """A document that was found."""

    number: int
    score: float
    """Its BM25; only the order of two means something."""
    share: float
    """How much of the question stands in it, from 0 to 1, rare pairs of characters counting more."""


@dataclass(slots=True)
class _Segment:
    """Postings by code: documents are positions in `numbers`."""

    numbers: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.float64]
    codes: Codes
    starts: npt.NDArray[np.int64]
    """Where the postings of each code begin; one more than there are codes."""
    documents: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint8]


class AnswerIndex:
    """Questions with their answers, found by what they have in common with a text. Not for several threads at once."""

    def __init__(self) -> None:
        self._segments: list[_Segment] = []
        self._numbers: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def numbers(self) -> Collection[int]:
        """The documents that are in it."""
        return self._numbers

    def add(self, documents: Iterable[tuple[int, str, str]]) -> None:
        """Adds documents: number, question, answer. A number that is in already is passed over."""
        waiting: list[tuple[int, Codes, npt.NDArray[np.int64]]] = []
        for number, question, answer in documents:
            if number in self._numbers:
                continue
            self._numbers.add(number)
            waiting.append((number, *_counted(question, answer)))
            if len(waiting) == _SEGMENT:
                self._segments.append(_segment(waiting))
                waiting = []
        if waiting:
            self._segments.append(_segment(waiting))
        self._merge()

    def remove(self, numbers: Iterable[int]) -> None:
        """Takes documents out; nothing of them stays in memory."""
        gone = self._numbers.intersection(numbers)
        if gone:
            self._numbers -= gone
            lost = np.fromiter(gone, np.int64)
            kept = [_without(segment, np.isin(segment.numbers, lost)) for segment in self._segments]
            self._segments = [segment for segment in kept if len(segment.numbers)]
            self._merge()

    def search(self, text: str, limit: int) -> list[Match]:
        """The documents that resemble a text most, the best first; of equals the later one."""
        wanted = np.unique(_codes(text))
        if not len(wanted) or not self._segments:
            return []
        places = [_find(segment, wanted) for segment in self._segments]
        frequencies = np.zeros(len(wanted))
        for segment, (found, at) in zip(self._segments, places, strict=True):
            frequencies[found] += segment.starts[at + 1] - segment.starts[at]
        total = len(self._numbers)
        rarity = np.log1p((total - frequencies + 0.5) / (frequencies + 0.5))
        mean = sum(float(segment.lengths.sum()) for segment in self._segments) / total or 1.0
        best: list[Match] = []
        whole = float(rarity.sum())
        for segment, (found, at) in zip(self._segments, places, strict=True):
            best += _rank(segment, at, rarity[found], mean, whole, limit)
        best.sort(key=lambda match: (-match.score, -match.number))
        return best[:limit]

    def _merge(self) -> None:
        """Small segments become one, so that their number stays that of full ones and one more."""
        while len(self._segments) > 1:
            *_, one, other = self._segments
            if len(one.numbers) + len(other.numbers) > _SEGMENT or len(one.numbers) > 4 * len(other.numbers):
                return
            self._segments[-2:] = [_joined(one, other)]


def _plain(text: str) -> str:
    """Runs of letters, digits and characters, of one width and in lower case, apart from one another."""
    return _APART.join(_RUN.findall(unicodedata.normalize("NFKC", text[:INDEXED]).lower()))


def _codes(text: str) -> Codes:
    """Each character, and each pair of neighbours, as a number."""
    letters = np.frombuffer(_plain(text).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    first, second = letters[:-1], letters[1:]
    together = (first != 0) & (second != 0)
    return np.concatenate((letters[letters != 0], (first[together] << _PAIR) | second[together]))


def _counted(question: str, answer: str) -> tuple[Codes, npt.NDArray[np.int64]]:
    asked = _codes(question)
    codes, counts = np.unique(np.concatenate((*[asked] * QUESTION_WEIGHT, _codes(answer))), return_counts=True)
    return codes, counts.astype(np.int64)


def _segment(documents: list[tuple[int, Codes, npt.NDArray[np.int64]]]) -> _Segment:
    sizes = [len(codes) for _, codes, _ in documents]
    return _ordered(
        np.array([number for number, _, _ in documents], np.int64),
        np.array([counts.sum() for _, _, counts in documents], np.float64),
        np.concatenate([codes for _, codes, _ in documents]),
        np.repeat(np.arange(len(documents)), sizes).astype(np.uint16),
        np.minimum(np.concatenate([counts for _, _, counts in documents]), 255).astype(np.uint8),
    )


def _ordered(
    numbers: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.float64],
    codes: Codes,
    documents: npt.NDArray[np.uint16],
    counts: npt.NDArray[np.uint8],
) -> _Segment:
    """Postings in the order of their codes."""
    order = np.argsort(codes, kind="stable")
    unique, starts = np.unique(codes[order], return_index=True)
    return _Segment(numbers, lengths, unique, np.append(starts, len(codes)), documents[order], counts[order])


def _spread(segment: _Segment) -> Codes:
    """The code of each posting."""
    return np.repeat(segment.codes, np.diff(segment.starts))


def _joined(one: _Segment, other: _Segment) -> _Segment:
    return _ordered(
        np.concatenate((one.numbers, other.numbers)),
        np.concatenate((one.lengths, other.lengths)),
        np.concatenate((_spread(one), _spread(other))),
        np.concatenate((one.documents, other.documents + np.uint16(len(one.numbers)))),
        np.concatenate((one.counts, other.counts)),
    )


def _without(segment: _Segment, gone: npt.NDArray[np.bool_]) -> _Segment:
    if not gone.any():
        return segment
    stays = ~gone[segment.documents]
    renumbered = (np.cumsum(~gone) - 1).astype(np.uint16)
    return _ordered(
        segment.numbers[~gone],
        segment.lengths[~gone],
        _spread(segment)[stays],
        renumbered[segment.documents[stays]],
        segment.counts[stays],
    )


def _find(segment: _Segment, wanted: Codes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which of the wanted codes a segment has, and where."""
    if not len(segment.codes):  # of documents without a word
        return np.empty(0, np.int64), np.empty(0, np.int64)
    at = np.searchsorted(segment.codes, wanted)
    at[at == len(segment.codes)] = 0
    found = np.flatnonzero(segment.codes[at] == wanted)
    return found, at[found]


def _rank(
    segment: _Segment,
    at: npt.NDArray[np.int64],
    rarity: npt.NDArray[np.float64],
    mean: float,
    whole: float,
    limit: int,
) -> Iterator[Match]:
    sizes = segment.starts[at + 1] - segment.starts[at]
    if not len(at):
        return
    ends = np.cumsum(sizes)
    postings = np.arange(ends[-1]) + np.repeat(segment.starts[at] - (ends - sizes), sizes)
    documents, counts = segment.documents[postings], segment.counts[postings].astype(np.float64)
    weights = np.repeat(rarity, sizes)
    damping = K1 * (1 - B + B * segment.lengths[documents] / mean)
    scores = np.bincount(documents, weights * counts * (K1 + 1) / (counts + damping), len(segment.numbers))
    shares = np.bincount(documents, weights, len(segment.numbers)) / whole
    top = np.argpartition(-scores, limit - 1)[:limit] if limit < len(scores) else np.arange(len(scores))
    for place in top:
        if scores[place] > 0:
            yield Match(int(segment.numbers[place]), float(scores[place]), float(shares[place]))
