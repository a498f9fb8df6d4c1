"""The words of a message: one for all notifications that leave together; of citizens' words case titles only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from huiyin_notifier.model.happenings import GRADES, KINDS

_LINES: Final = 20
"""More cases than that nobody reads in a message; the rest is counted."""
_TITLE_LENGTH: Final = 60
_RANK: Final = {grade: rank for rank, grade in enumerate(GRADES, 1)}


@dataclass(frozen=True, slots=True)
class Item:
    """One notification as a message shows it."""

    kind: str
    name: str
    """The resource that changed."""
    case: str
    unit: str
    grade: str
    title: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel carries."""

    title: str
    body: str


def render(items: Sequence[Item]) -> Message:
    """One message about at least one item, the gravest first; the same thing said twice is one line with its count."""
    said = Counter(items)
    lines = sorted(said, key=lambda item: -_RANK.get(item.grade, 0))
    shown = [_line(item, said[item]) for item in lines[:_LINES]]
    if len(lines) > _LINES:
        shown.append(f"……另有 {len(lines) - _LINES} 件，请到系统中查看。")
    return Message(_title(lines), "\n".join(shown))


def _title(lines: Sequence[Item]) -> str:
    if len(lines) == 1:
        only = lines[0]
        grade = f"（{GRADES[only.grade]}）" if only.grade else ""
        return f"【回音】{KINDS[only.kind]}{grade}" + (f"：{_short(only.title)}" if only.title else "")
    kinds = Counter(item.kind for item in lines)
    grades = Counter(item.grade for item in lines if item.grade)
    counts = "，".join(f"{KINDS[kind]} {count} 件" for kind, count in kinds.items())
    graver = "、".join(f"{GRADES[grade]} {grades[grade]}" for grade in reversed(list(GRADES)) if grade in grades)
    return f"【回音】{counts}" + (f"（{graver}）" if graver else "")


def _line(item: Item, count: int) -> str:
    parts = [KINDS[item.kind] + (f" ×{count}" if count > 1 else "")]
    if item.grade:
        parts.append(GRADES[item.grade])
    if item.title:
        parts.append(_short(item.title))
    if item.unit:
        parts.append(item.unit)
    parts.append(item.case or item.name)
    return "｜".join(parts)


def _short(title: str) -> str:
    title = " ".join(title.split())
    return title if len(title) <= _TITLE_LENGTH else title[: _TITLE_LENGTH - 1] + "…"
