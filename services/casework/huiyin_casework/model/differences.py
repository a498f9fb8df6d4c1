"""What changed from one version of a text to another: by sentence, and by character within altered ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import pairwise
from typing import Final

from huiyin_casework.model.sentences import sentences

_RELATED: Final = 0.5
"""Likeness (twice the common characters over all) from which a sentence was altered rather than replaced."""
_MOST: Final = 4_000_000
"""Pairs of characters that are compared; what is longer was replaced."""


class Change(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    REMOVED = "removed"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one of the two texts, or of both where it is the same."""

    change: Change
    text: str


def differences(before: str, after: str) -> list[Piece]:
    """The pieces of both texts in their order: without what was added they are the first, without what was removed the
    second."""
    one, other = _parts(before), _parts(after)
    pieces: list[Piece] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, one, other, autojunk=False).get_opcodes():
        if tag == "replace":
            pieces += _altered("".join(one[i1:i2]), "".join(other[j1:j2]))
        else:
            pieces += _plain(one[i1:i2], other[j1:j2], same=tag == "equal")
    return list(_joined(pieces))


def _parts(text: str) -> list[str]:
    """The sentences of a text, each with the space behind it; the space before the first goes with it."""
    starts = [sentence.start for sentence in sentences(text)]
    bounds = [0, *starts[1:], len(text)]
    return [text[start:end] for start, end in pairwise(bounds) if end > start]


def _altered(before: str, after: str) -> list[Piece]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    if len(before) * len(after) > _MOST or matcher.ratio() < _RELATED:
        return _plain([before], [after], same=False)
    return [
        piece
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        for piece in _plain([before[i1:i2]], [after[j1:j2]], same=tag == "equal")
    ]


def _plain(before: Sequence[str], after: Sequence[str], *, same: bool) -> list[Piece]:
    if same:
        return [Piece(Change.SAME, "".join(before))]
    both = ((Change.REMOVED, "".join(before)), (Change.ADDED, "".join(after)))
    return [Piece(change, text) for change, text in both if text]


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Neighbours of a kind as one."""
    waiting: Piece | None = None
    for piece in pieces:
        if waiting is not None and piece.change == waiting.change:
            waiting = Piece(piece.change, waiting.text + piece.text)
            continue
        if waiting is not None:
            yield waiting
        waiting = piece
    if waiting is not None:
        yield waiting
