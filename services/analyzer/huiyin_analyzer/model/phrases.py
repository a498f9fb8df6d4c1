"""Finds many fixed phrases in a text in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from ahocorasick_rs import AhoCorasick

T = TypeVar("T")


class Phrases(Generic[T]):
    """Phrases of two characters or more, each with what it means; a phrase may mean several things."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        meanings: dict[str, list[T]] = {}
        for phrase, meaning in entries:
            if len(phrase) >= 2:
                meanings.setdefault(phrase, []).append(meaning)
        self._meanings = list(meanings.items())
        self._automaton = AhoCorasick(list(meanings)) if meanings else None

    def find(self, text: str) -> Iterator[tuple[int, str, T]]:
        """(position, phrase, meaning) of each occurrence, in their order.

        Of those that begin at one place, the longest alone, so that a place is not taken for a shorter one that begins
        alike.
        """
        if self._automaton is None:
            return
        # They come by their ends: of one place, the longest last.
        found = {start: index for index, start, _ in self._automaton.find_matches_as_indexes(text, overlapping=True)}
        for start in sorted(found):
            phrase, meanings = self._meanings[found[start]]
            for meaning in meanings:
                yield start, phrase, meaning
