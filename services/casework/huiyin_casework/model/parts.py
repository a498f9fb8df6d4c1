"""The parts of an order that assisting units have: where each stands, and which steps lead where, as one table.

The state of a case is its lead unit's; a part goes its own way beside it, as long as the table of steps allows.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from huiyin_casework.model.steps import Fact, NobodyAssists, NoPartObjection, NoPartWaits, NotNow, Step


class Standing(StrEnum):
    """Where a part stands."""

    WAITED = "WAITED"
    """The unit's contribution is waited for."""
    OBJECTED = "OBJECTED"
    """The unit says that it is none of its work; the desk decides."""
    CONTRIBUTED = "CONTRIBUTED"
    """The unit has said what it found."""
    LAPSED = "LAPSED"
    """The answer was published, or the case dismissed, before the contribution came."""
    RELEASED = "RELEASED"
    """The unit assists no longer; kept because a unit objects once."""


@dataclass(frozen=True)
class Part:
    """What a unit is to contribute to a case that another one leads."""

    unit: str
    standing: Standing
    objector: str = ""
    """The account that objected; "" while none has."""


TABLE: dict[tuple[Standing, Step], Standing] = {
    (Standing.WAITED, Step.CONTRIBUTE): Standing.CONTRIBUTED,
    # What is found later is added.
    (Standing.CONTRIBUTED, Step.CONTRIBUTE): Standing.CONTRIBUTED,
    (Standing.LAPSED, Step.CONTRIBUTE): Standing.CONTRIBUTED,
    (Standing.WAITED, Step.OBJECT_TO_PART): Standing.OBJECTED,
    (Standing.OBJECTED, Step.UPHOLD_PART_OBJECTION): Standing.RELEASED,
    (Standing.OBJECTED, Step.REFUSE_PART_OBJECTION): Standing.WAITED,
}


class PartObjected(NotNow):
    """The desk decides on an objection before anything else becomes of a part."""

    reason = "OBJECTION_OPEN"
    sentence = "The unit objected to its part, and the desk has not decided yet."


class PartObjectedBefore(NotNow):
    """A unit objects to its part once."""

    reason = "ALREADY_OBJECTED"
    sentence = "The unit objected to its part before, and the desk decided. Contribute, or ask the desk."


_REFUSALS: dict[Step, type[NotNow]] = {
    Step.CONTRIBUTE: NobodyAssists,
    Step.OBJECT_TO_PART: NoPartWaits,
    Step.UPHOLD_PART_OBJECTION: NoPartObjection,
    Step.REFUSE_PART_OBJECTION: NoPartObjection,
}


def parse(stored: str) -> tuple[Part, ...]:
    """Parts as a case keeps them."""
    if stored == "[]":
        return ()
    return tuple(Part(unit, Standing(standing), objector) for unit, standing, objector in json.loads(stored))


def pack(parts: Iterable[Part]) -> str:
    """The same the other way, by unit."""
    ordered_parts = sorted(parts, key=lambda part: part.unit)
    return json.dumps([[part.unit, part.standing.value, part.objector] for part in ordered_parts])


def assisting(parts: Iterable[Part]) -> list[str]:
    """The units that assist, by id."""
    return sorted(part.unit for part in parts if part.standing != Standing.RELEASED)


def ordered(before: Iterable[Part], units: Collection[str]) -> tuple[Part, ...]:
    """The parts after another order: who assisted before goes on, and who objected once does not do so again."""
    known = {part.unit: part for part in before}
    fresh = [known.get(unit, Part(unit, Standing.WAITED)) for unit in units]
    again = [replace(part, standing=Standing.WAITED) if part.standing == Standing.RELEASED else part for part in fresh]
    return (*again, *_remembered(part for part in known.values() if part.unit not in units))


def taken_back(before: Iterable[Part]) -> tuple[Part, ...]:
    """The parts once there is no order any more."""
    return _remembered(before)


def lapsed(before: Iterable[Part]) -> tuple[Part, ...]:
    """The parts once nothing is waited for any more."""
    waited = (Standing.WAITED, Standing.OBJECTED)
    return tuple(replace(part, standing=Standing.LAPSED) if part.standing in waited else part for part in before)


def missing(parts: Iterable[Part]) -> list[str]:
    """The units that did not contribute, by id."""
    return sorted(part.unit for part in parts if part.standing == Standing.LAPSED)


def advance(part: Part, step: Step, account: str) -> Part:
    """The part after a step that an account takes. Raises NotNow."""
    standing = TABLE.get((part.standing, step))
    if standing is None:
        raise PartObjected if part.standing == Standing.OBJECTED else _REFUSALS[step]
    if step != Step.OBJECT_TO_PART:
        return replace(part, standing=standing)
    if part.objector:
        raise PartObjectedBefore
    return replace(part, standing=standing, objector=account)


def facts(parts: Collection[Part]) -> frozenset[Fact]:
    """What the parts of a case say of which steps are possible."""
    true = {
        Fact.PART_OPEN: any((part.standing, Step.CONTRIBUTE) in TABLE for part in parts),
        Fact.PART_WAITS: any(part.standing == Standing.WAITED and not part.objector for part in parts),
        Fact.PART_OBJECTED: any(part.standing == Standing.OBJECTED for part in parts),
    }
    return frozenset(fact for fact, holds in true.items() if holds)


def waits_for_desk(parts: Iterable[Part], unit: str) -> bool:
    """Whether it is the desk that the part of a unit waits for: it decides on the unit's objection."""
    return any(part.unit == unit and part.standing == Standing.OBJECTED for part in parts)


def _remembered(parts: Iterable[Part]) -> tuple[Part, ...]:
    return tuple(replace(part, standing=Standing.RELEASED) for part in parts if part.objector)
