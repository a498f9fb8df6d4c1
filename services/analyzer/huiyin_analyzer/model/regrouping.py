"""Posts that came to belong to another event than they joined, and what the analyzer's own repair must leave alone.

Which post belongs to which event follows from the posts in their order and from the regroupings, each at its place
between two of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SYSTEM: Final = "system"
"""The author of the analyzer's own repairs."""


class Kind(IntEnum):
    """What moves: all posts of an event, some to another event, some to one of their own. Numbers of the contract."""

    MERGE = 1
    MOVE = 2
    SPLIT = 3


class Standing(IntEnum):
    """What became of a regrouping; the numbers of the contract's State."""

    DONE = 1
    PROPOSED = 2
    ACCEPTED = 3
    DISMISSED = 4


@dataclass(frozen=True, slots=True)
class Move:
    """Posts that move from an event to a target; of a merge, which moves all, they need not be given."""

    kind: Kind
    event: str
    target: str
    posts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Regrouping:
    """A move that was noted: its number, who decided, and the number of the post that it came after."""

    number: int
    move: Move
    standing: Standing
    author: str
    after: int
    drill: bool
    applied: bool = True
    """False from the beginning of a rebuild until it was carried out anew."""


class Bounds:
    """What repairs respect: events that were told apart stay apart, and an event that people regrouped stays whole.

    Events that were split off by a repair are told apart too, so that two repairs never undo each other for ever.
    """

    def __init__(self, log: Iterable[Regrouping] = ()) -> None:
        self._apart: dict[str, set[str]] = {}
        self._whole: set[str] = set()
        for regrouping in log:
            self.note(regrouping)

    def note(self, regrouping: Regrouping) -> None:
        """Takes a regrouping into account: one that was done, or a proposal that was declined."""
        move = regrouping.move
        event, target = move.event, move.target
        if regrouping.standing == Standing.DISMISSED:
            if move.kind == Kind.MERGE:
                self._tell_apart(event, target)
            else:
                self._whole.add(event)
        elif regrouping.standing == Standing.DONE:
            if move.kind == Kind.MERGE:
                for other in self._apart.pop(event, set()):
                    self._apart[other].discard(event)
                    if other != target:
                        self._tell_apart(other, target)
                if event in self._whole:
                    self._whole.add(target)
            else:
                self._tell_apart(event, target)
            if regrouping.author != SYSTEM:
                self._whole |= {event, target}

    def may_merge(self, event: str, target: str) -> bool:
        """Whether two events may be merged by a repair."""
        return target not in self._apart.get(event, ())

    def may_split(self, event: str) -> bool:
        """Whether posts may be taken from an event by a repair."""
        return event not in self._whole

    def _tell_apart(self, one: str, other: str) -> None:
        self._apart.setdefault(one, set()).add(other)
        self._apart.setdefault(other, set()).add(one)
