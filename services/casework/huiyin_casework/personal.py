"""What identifies people in a text that an office writes: the chassis's marks, but not how the office is reached."""

from __future__ import annotations

import re
from typing import Final

from huiyin_chassis.masking import CHAT, PHONE, Identifying, identifying

_MOBILE: Final = re.compile(r"(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}")
_OFFICIAL: Final = "公众"
_BEFORE: Final = 12


def personal_spans(text: str) -> list[tuple[int, int]]:
    """Where a text identifies somebody; an office's landline and its public account are no person's."""
    return [(found.start, found.end) for found in _personal(text)]


def mask_personal(text: str) -> str:
    """The text with marks in place of what identifies somebody."""
    for found in reversed(_personal(text)):
        text = text[: found.start] + found.mark + text[found.end :]
    return text


def _personal(text: str) -> list[Identifying]:
    return [found for found in identifying(text) if not _is_official(text, found)]


def _is_official(text: str, found: Identifying) -> bool:
    if found.mark == PHONE:
        return _MOBILE.fullmatch(text, found.start, found.end) is None
    return found.mark == CHAT and _OFFICIAL in text[max(0, found.start - _BEFORE) : found.start]
