"""The nearest changes of an event's figures that would raise or lower its grade.

Each figure is changed alone, by the least steps of its kind (one, or a hundredth) until the grade differs; where no
single change does, as few together as do. A search looks at the numbers that the rules name and at ever larger
distances, then halves the way back, so that what it finds changes the grade and one step less does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

from huiyin_analyzer.model.assessment.figures import FRACTIONS
from huiyin_analyzer.model.assessment.grading import Grading, Rule

_HUNDREDTHS: Final = 100
_FARTHEST: Final = 1 << 20
_MOST_READ: Final = 6
"""Rules of more figures are left out where several must change together."""
_MOST: Final = 3
"""So many changes are told for a direction at most."""
_Test = Callable[[Mapping[str, float]], bool]

_NUMBER: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Move:
    """A figure as it is and as it would be."""

    figure: str
    before: float
    after: float

    @property
    def distance(self) -> float:
        """How far it is, as a share of the larger of the two."""
        return abs(self.after - self.before) / max(abs(self.after), abs(self.before), 1.0)


@dataclass(frozen=True, slots=True)
class Change:
    """What would give another grade: one move, or several together where one does not do."""

    grade: int
    moves: tuple[Move, ...]

    @property
    def distance(self) -> float:
        """The sum over its moves."""
        return sum(move.distance for move in self.moves)


def nearest(grading: Grading, figures: Mapping[str, float]) -> list[Change]:
    """The nearest changes that would raise the grade, then those that would lower it, each the nearest first.

    Figures that are missing stay missing: what is not known cannot be said to change.
    """
    search = _Search(grading, figures)
    found: list[Change] = []
    for rises in (True, False):
        changes = search.single(rises) or search.several(rises)
        found += sorted(changes, key=lambda change: (change.distance, change.moves[0].figure))[:_MOST]
    return found


class _Search:
    def __init__(self, grading: Grading, figures: Mapping[str, float]) -> None:
        self._grading = grading
        self._figures = figures
        self._verdict = grading.assess(figures)

    def single(self, rises: bool) -> list[Change]:
        """Changes of one figure."""
        reaches = self._reaching(rises)
        changes: list[Change] = []
        for name in self._figures:
            numbers = {number for rule in self._grading.rules if name in rule.reads for number in _numbers(rule)}
            values = _boundaries(name, self._figures[name], numbers, _along(name, reaches)) if numbers else []
            changes += [self._change({name: value}) for value in values]
        return changes

    def several(self, rises: bool) -> list[Change]:
        """Changes of several figures together."""
        reaches = self._reaching(rises)
        found: dict[tuple[tuple[str, float], ...], Change] = {}
        for far in self._raised() if rises else self._lowered(reaches):
            near = self._tidied(far, reaches)
            if near is not None:
                found[tuple(sorted(near.items()))] = self._change(near)
        return list(found.values())

    def _raised(self) -> Iterator[dict[str, float]]:
        """For each graver rule, its figures far on either side of the numbers that it names, where it fires so."""
        for rule in self._grading.rules:
            if rule.grade <= self._verdict.grade or any(name not in self._figures for name in rule.reads):
                continue
            numbers = _numbers(rule)
            if numbers and len(rule.reads) <= _MOST_READ:
                fires = self._firing(rule)
                sides = [_sides(name, numbers) for name in rule.reads]
                yield from filter(fires, (dict(zip(rule.reads, values, strict=True)) for values in product(*sides)))

    def _lowered(self, reaches: _Test) -> Iterator[dict[str, float]]:
        """The rules that give the grade silenced one after another, each by the nearest change of one of its figures.

        Yields what was tried last, once it lowers the grade.
        """
        changed: dict[str, float] = {}
        for rule in self._verdict.fired:
            if rule.grade == self._verdict.grade and self._firing(rule)(changed):
                silent = self._firing(rule, fires=False)
                moves = [
                    Move(name, self._figures[name], value)
                    for name in rule.reads
                    for value in _boundaries(name, self._figures[name], _numbers(rule), _along(name, silent, changed))
                ]
                if not moves:
                    return
                best = min(moves, key=lambda move: move.distance)
                changed[best.figure] = best.after
        if reaches(changed):
            yield changed

    def _tidied(self, far: dict[str, float], reaches: _Test) -> dict[str, float] | None:
        """The same without the moves that are not needed, each of the others as near as they allow."""
        near = dict(far)
        for name in far:
            value = near.pop(name)
            if not reaches(near):
                grid = _Grid(name, self._figures[name])
                step = _halve(grid, 0, grid.place(value), _along(name, reaches, near))
                near[name] = grid.value(step)
        grids = [(name, _Grid(name, self._figures[name])) for name in near]
        back = [{**near, name: grid.value(_nearer(grid.place(near[name])))} for name, grid in grids]
        return near if near and not any(map(reaches, back)) else None

    def _reaching(self, rises: bool) -> _Test:
        grade = self._verdict.grade

        def reaches(changed: Mapping[str, float]) -> bool:
            found = self._grading.assess({**self._figures, **changed}).grade
            return found > grade if rises else found < grade

        return reaches

    def _firing(self, rule: Rule, *, fires: bool = True) -> _Test:
        return lambda changed: (rule.holds({**self._figures, **changed}) is True) == fires

    def _change(self, changed: Mapping[str, float]) -> Change:
        moves = tuple(Move(name, self._figures[name], value) for name, value in changed.items())
        return Change(self._grading.assess({**self._figures, **changed}).grade, moves)


class _Grid:
    """The values that a figure can have, numbered from the present one (0) up and down."""

    def __init__(self, figure: str, present: float) -> None:
        self._scale = _HUNDREDTHS if figure in FRACTIONS else 1
        self._present = present
        self._floor = math.floor(present * self._scale + 1e-9)
        self._exact = abs(self._floor - present * self._scale) < 1e-6
        self.lowest = -self._floor - (0 if self._exact else 1)

    def value(self, step: int) -> float:
        """The value of a step."""
        if step == 0:
            return self._present
        place = self._floor + step + (1 if step < 0 and not self._exact else 0)
        return place / self._scale if self._scale > 1 else place

    def place(self, value: float) -> int:
        """The step of a value."""
        step = round(value * self._scale) - self._floor
        return step - 1 if step <= 0 and not self._exact else step


def _boundaries(figure: str, present: float, numbers: set[float], holds: Callable[[float], bool]) -> list[float]:
    """The nearest value above and the nearest below the present one at which something comes to hold."""
    grid = _Grid(figure, present)
    marks = {grid.place(number) + near for number in numbers for near in (-1, 0, 1)}
    found = []
    for sign in (1, -1):
        tried = marks | {sign << exponent for exponent in range(_FARTHEST.bit_length())} | {grid.lowest}
        before = 0
        for step in sorted((step for step in tried if step * sign > 0 and step >= grid.lowest), key=abs):
            if holds(grid.value(step)):
                found.append(grid.value(_halve(grid, before, step, holds)))
                break
            before = step
    return found


def _halve(grid: _Grid, without: int, holding: int, holds: Callable[[float], bool]) -> int:
    """A step at which it holds while it does not one step nearer to `without`, where it does not hold."""
    while abs(holding - without) > 1:
        middle = (without + holding) // 2
        if holds(grid.value(middle)):
            holding = middle
        else:
            without = middle
    return holding


def _nearer(step: int) -> int:
    return step - 1 if step > 0 else step + 1


def _along(name: str, reaches: _Test, fixed: Mapping[str, float] | None = None) -> Callable[[float], bool]:
    """A test of changed figures as one of the value of one of them."""
    others = fixed or {}
    return lambda value: reaches({**others, name: value})


def _numbers(rule: Rule) -> set[float]:
    return {float(text) for text in _NUMBER.findall(rule.when)}


def _sides(figure: str, numbers: set[float]) -> tuple[float, float]:
    """Values of a figure below and above every number that a rule names."""
    step = 1 / _HUNDREDTHS if figure in FRACTIONS else 1
    return max(0.0, math.floor(min(numbers)) - step), math.ceil(max(numbers)) + step
