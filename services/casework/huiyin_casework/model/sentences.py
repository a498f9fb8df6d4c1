"""A text as its sentences, each with where it stands. Offsets count characters (code points)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SENTENCE: Final = re.compile(r"[^。！？!?；;\n\r]*[。！？!?；;\n\r]+[”’」』）)]*|[^。！？!?；;\n\r]+$")
_DATE_BENEATH: Final = re.compile(r"[\s（(]*\d{2,4}\s*[年./-]\s*\d{1,2}\s*[月./-]\s*\d{1,2}\s*日?[\s）)]*$")

_BENEATH: Final = 60
"""Characters at the end of a letter that may hold its date."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence without the space around it."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text in their order; what is only space is none."""
    found = []
    for match in _SENTENCE.finditer(text):
        whole = match.group()
        if stripped := whole.strip():
            found.append(Sentence(match.start() + whole.index(stripped[0]), stripped))
    return found


def without_date_beneath(text: str) -> str:
    """The text without the date with which a letter ends: it is no date that the letter speaks of."""
    end = text[-_BENEATH:]
    return text[: len(text) - len(end)] + _DATE_BENEATH.sub("", end)
