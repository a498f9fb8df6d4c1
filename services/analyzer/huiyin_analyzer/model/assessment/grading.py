"""Grades figures by rules: an event has the highest grade of which any rule fires, ORDINARY when none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple

from huiyin_analyzer.model.assessment.figures import FIGURES, FRACTIONS, GRADES

_REMEMBERED: Final = 20_000
_EVERY: Final = frozenset(FIGURES)


@dataclass(frozen=True, eq=False)
class Rule:
    """One rule: its id, the grade that it gives, its condition and its reason, and the figures that it reads."""

    id: str
    grade: int
    when: str
    why: str
    reads: tuple[str, ...]
    program: Any

    def holds(self, figures: Mapping[str, float]) -> bool | None:
        """Whether the condition is true; None where it cannot be judged.

        That is where a figure that it reads is missing, or where it cannot be computed (a division by zero).
        """
        if any(name not in figures for name in self.reads):
            return None
        try:
            return self.program.execute(variables(figures)) is True
        except Exception:  # the library raises arithmetic errors, type errors and its own kinds
            return None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grade, the rules that fired (the gravest first), every figure that is known, and the rules not judged."""

    grade: int
    fired: tuple[Rule, ...]
    figures: Mapping[str, float]
    unjudged: tuple[Rule, ...]


class _Judge(NamedTuple):
    """A rule, what reads its figures, and what it said of those that it met."""

    rule: Rule
    read: Callable[[Mapping[str, float]], object]
    answers: dict[object, bool | None]


class _Plan(NamedTuple):
    judges: Sequence[_Judge]
    unjudged: tuple[Rule, ...]


class Grading:
    """A grading policy, compiled. `media`: the sources (sources/…) that it calls media."""

    def __init__(self, rules: tuple[Rule, ...], media: frozenset[str] = frozenset()) -> None:
        self.rules = rules
        self.media = media
        # Figures are mostly small counts: what a rule said of the same ones is not computed anew.
        self._judges = [_Judge(rule, itemgetter(*rule.reads), {}) for rule in rules]
        self._plans: dict[frozenset[str], _Plan] = {}

    def figures(self, counted: Mapping[str, float], sources: Set[str]) -> Mapping[str, float]:
        """Figures of an event's posts together with that of the policy's media among their sources."""
        return {**counted, "media": len(self.media & sources)} if self.media else counted

    def assess(self, figures: Mapping[str, float]) -> Verdict:
        """Grades figures. Those that are missing are unknown, and rules that read them are not judged."""
        missing = _EVERY.difference(figures)
        plan = self._plans.get(missing) or self._plan(missing)
        fired: list[Rule] = []
        broken: list[Rule] = []
        for rule, read, answers in plan.judges:
            key = read(figures)
            try:
                answer = answers[key]
            except KeyError:
                answer = rule.holds(figures)
                if len(answers) >= _REMEMBERED:
                    answers.clear()
                answers[key] = answer
            if answer:
                fired.append(rule)
            elif answer is None:
                broken.append(rule)
        unjudged = (*plan.unjudged, *broken) if broken else plan.unjudged
        return Verdict(fired[0].grade if fired else GRADES["ORDINARY"], tuple(fired), figures, unjudged)

    def _plan(self, missing: frozenset[str]) -> _Plan:
        """Which rules can be judged while these figures are missing."""
        blind = {judge.rule for judge in self._judges if missing.intersection(judge.rule.reads)}
        plan = self._plans[missing] = _Plan(
            [judge for judge in self._judges if judge.rule not in blind],
            tuple(judge.rule for judge in self._judges if judge.rule in blind),
        )
        return plan


def variables(figures: Mapping[str, float]) -> dict[str, Any]:
    """Figures as CEL sees them: counts are int, and harm.life is a field of harm."""
    found: dict[str, Any] = {"harm": {}, "intent": {}}
    for name, value in figures.items():
        head, _, field = name.partition(".")
        number = float(value) if name in FRACTIONS else int(value)
        if field:
            found[head][field] = number
        else:
            found[head] = number
    return found
