"""Titles of posts: what an event is called by."""

from __future__ import annotations

from typing import Final

_CHARACTERS: Final = 60


def title(subject: str, text: str) -> str:
    """The subject, or the beginning of the text of a post without one."""
    return subject.strip() or " ".join(text[: 2 * _CHARACTERS].split())[:_CHARACTERS]
