"""Grades an event by rules that are data: CEL expressions over named figures, each with the reason that it gives.

An event has the highest grade of which any rule fires, ORDINARY when none does. Every rule that fired is told with the
figures that it read. Rules measure harm, reach, growth and waiting; there is no figure of opinion to read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cel
import yaml

GRADES: Final = {"ORDINARY": 1, "LARGE": 2, "SERIOUS": 3, "ESPECIALLY_SERIOUS": 4}
"""Names and numbers of huiyin.type.v1.Grade."""

FIGURES: Final = (
    "posts",
    "inquiries",
    "voices",
    "places",
    "sources",
    "posts_24h",
    "growth",
    "span_days",
    "votes",
    "harm.life",
    "harm.health",
    "harm.livelihood",
    "harm.property",
    "intent.complaint",
    "intent.help",
)
"""Every figure that a rule may read. Those with a fraction are growth and span_days; the others are counts."""
_FRACTIONS: Final = frozenset({"growth", "span_days"})
_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)?")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MOST_RULES: Final = 100
_REMEMBERED: Final = 20_000


class PolicyError(ValueError):
    """A grading policy cannot be used; one sentence a mistake, each naming its place in the document."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{place}: {problem}" for place, problem in problems))


@dataclass(frozen=True)
class Rule:
    """One rule: its id, the grade that it gives, its condition and its reason, and the figures that it reads."""

    id: str
    grade: int
    when: str
    why: str
    reads: tuple[str, ...]
    program: Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """A grade, the rules that fired (the gravest first), and every figure."""

    grade: int
    fired: tuple[Rule, ...]
    figures: Mapping[str, float]


class Grading:
    """A grading policy, compiled."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        # Figures are mostly small counts: what a rule said of the same ones is not computed anew.
        self._answers: list[tuple[Rule, dict[tuple[float, ...], bool]]] = [(rule, {}) for rule in rules]

    def assess(self, figures: Mapping[str, float]) -> Verdict:
        """Grades figures as `Event.figures` gives them."""
        fired: list[Rule] = []
        variables: dict[str, Any] | None = None
        for rule, answers in self._answers:
            key = tuple([figures[name] for name in rule.reads])
            answer = answers.get(key)
            if answer is None:
                variables = variables or _variables(figures)
                answer = rule.program.execute(variables) is True
                if len(answers) >= _REMEMBERED:
                    answers.clear()
                answers[key] = answer
            if answer:
                fired.append(rule)
        return Verdict(fired[0].grade if fired else GRADES["ORDINARY"], tuple(fired), figures)


def parse_grading(body: str) -> Grading:
    """Compiles a policy in YAML: `rules`, a list of {id, grade, when, why}. Raises PolicyError with every mistake."""
    try:
        document = yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise PolicyError([("body", f"is not YAML: {error}")]) from error
    rules = document.get("rules") if isinstance(document, dict) else None
    if not isinstance(rules, list):
        raise PolicyError([("rules", "must be a list of rules, each with id, grade, when and why")])
    if len(rules) > _MOST_RULES:
        raise PolicyError([("rules", f"has {len(rules)} rules, at most {_MOST_RULES} are accepted")])
    problems: list[tuple[str, str]] = []
    compiled: list[Rule] = []
    for index, rule in enumerate(rules):
        _compile(f"rules[{index}]", rule, compiled, problems)
    for unknown in sorted(set(document) - {"rules"}):
        problems.append((str(unknown), "is not a field of a grading policy; it has rules alone"))
    if problems:
        raise PolicyError(problems)
    return Grading(tuple(sorted(compiled, key=lambda rule: -rule.grade)))


def _compile(place: str, rule: object, compiled: list[Rule], problems: list[tuple[str, str]]) -> None:
    if not isinstance(rule, dict):
        problems.append((place, "must be a mapping with id, grade, when and why"))
        return
    before = len(problems)
    texts = {name: rule.get(name) for name in ("id", "grade", "when", "why")}
    for name, value in texts.items():
        if not isinstance(value, str) or not value.strip():
            problems.append((f"{place}.{name}", "is required"))
    for unknown in sorted(set(map(str, rule)) - set(texts)):
        problems.append((f"{place}.{unknown}", "is not a field of a rule; it has id, grade, when and why"))
    if len(problems) > before:
        return
    if any(known.id == texts["id"] for known in compiled):
        problems.append((f"{place}.id", f"{texts['id']} is used twice; ids must differ"))
    if texts["grade"] not in GRADES or texts["grade"] == "ORDINARY":
        problems.append((f"{place}.grade", "must be LARGE, SERIOUS or ESPECIALLY_SERIOUS; ORDINARY needs no rule"))
    when = str(texts["when"])
    reads = tuple(
        dict.fromkeys(name for name in _NAME.findall(re.sub(r"\"[^\"]*\"|'[^']*'", "", when)) if name in FIGURES)
    )
    try:
        program = cel.compile(when)
        answer = program.execute(_variables(dict.fromkeys(FIGURES, 1.0)))
    except Exception as error:  # the library raises ValueError, RuntimeError and its own kinds
        problems.append((f"{place}.when", f"cannot be used: {error}; figures are {', '.join(FIGURES)}"))
        return
    if not isinstance(answer, bool):
        problems.append((f"{place}.when", "must be a condition that is true or false"))
    if len(problems) == before:
        grade = GRADES[str(texts["grade"])]
        compiled.append(Rule(str(texts["id"]), grade, when, str(texts["why"]), reads, program))


def _variables(figures: Mapping[str, float]) -> dict[str, Any]:
    """Figures as CEL sees them: counts are int, and harm.life is a field of harm."""
    variables: dict[str, Any] = {"harm": {}, "intent": {}}
    for name, value in figures.items():
        head, _, field = name.partition(".")
        number = float(value) if name in _FRACTIONS else int(value)
        if field:
            variables[head][field] = number
        else:
            variables[head] = number
    return variables
