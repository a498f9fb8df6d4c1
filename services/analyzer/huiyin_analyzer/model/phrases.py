"""Finds many fixed phrases in a text in one pass."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Phrases(Generic[T]):
    """Phrases of two characters or more, each with what it means; a phrase may mean several things."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._meanings: dict[str, list[T]] = {}
        for phrase, meaning in entries:
            if len(phrase) >= 2:
                self._meanings.setdefault(phrase, []).append(meaning)
        by_start: dict[str, list[str]] = {}
        for phrase in self._meanings:
            by_start.setdefault(phrase[:2], []).append(phrase)
        # The longest first, so that a place is not taken for a shorter one that begins alike.
        self._by_start = {start: sorted(found, key=lambda p: (-len(p), p)) for start, found in by_start.items()}
        first = "".join(sorted({re.escape(start[0]) for start in by_start}))
        # A class of first characters is scanned in C; most positions of a text are passed over there.
        self._starts = re.compile(f"[{first}]") if first else None

    def find(self, text: str) -> Iterator[tuple[int, str, T]]:
        """(position, phrase, meaning) of each occurrence; of those that begin at one place, the longest alone."""
        if self._starts is None:
            return
        by_start = self._by_start
        for match in self._starts.finditer(text):
            at = match.start()
            for phrase in by_start.get(text[at : at + 2], ()):
                if text.startswith(phrase, at):
                    for meaning in self._meanings[phrase]:
                        yield at, phrase, meaning
                    break
