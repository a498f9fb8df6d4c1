"""A person's decision on the grade of an event."""

from __future__ import annotations

from dataclasses import dataclass

from huiyin_analyzer.model.assessment.grading import Verdict


@dataclass(frozen=True, slots=True)
class Override:
    """The newest decision on an event: `grade` 0 gave way to the computed one. Times are microseconds."""

    number: int
    """Decisions are numbered through; a later one has a larger number."""
    grade: int
    reason: str
    author: str
    create_time: int
    expire_time: int | None


def grade_that_holds(verdict: Verdict, override: Override | None) -> int:
    """The overriding grade where there is one, otherwise the computed one."""
    return override.grade if override is not None and override.grade else verdict.grade
