"""Proposes which units should handle an event; never decides.

A unit fits when a topic and a place that it answers for hold those of the event. The most specific fit leads; units
that fit by another topic assist.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Competence:
    """What a unit answers for: paths such as `城乡建设.安全生产` and `A市.A3区`. Empty means all of that kind."""

    unit: str
    topics: tuple[str, ...]
    places: tuple[str, ...]


@dataclass(frozen=True)
class Proposal:
    """A lead unit, assisting units and why. `lead` is empty when no unit fits."""

    lead: str
    assisting: tuple[str, ...]
    reason: str


NOTHING_FITS = Proposal("", (), "No unit answers for these topics and places; the desk decides.")


def propose(topics: Collection[str], places: Collection[str], units: Iterable[Competence]) -> Proposal:
    """Ranks units by how specifically their topics and places hold the event's; ties go to the unit listed first."""
    fits: list[tuple[int, int, int, Competence, str, str]] = []
    for order, unit in enumerate(units):
        if not unit.topics and not unit.places:
            continue  # answers for nothing in particular, such as the desk itself
        topic = closest(unit.topics, topics)
        place = closest(unit.places, places)
        if topic is None or place is None:
            continue
        fits.append((-depth(topic), -depth(place), order, unit, topic, place))
    if not fits:
        return NOTHING_FITS
    fits.sort(key=lambda fit: fit[:3])
    lead = fits[0]
    assisting = tuple(fit[3].unit for fit in fits[1:] if fit[0] < 0 and fit[4] != lead[4])[:3]
    grounds = [f"topic {lead[4]}"] if lead[4] else []
    grounds += [f"place {lead[5]}"] if lead[5] else []
    return Proposal(
        lead[3].unit, assisting, f"{lead[3].unit} answers for {' and '.join(grounds) or 'matters of every kind'}."
    )


def closest(answered: tuple[str, ...], asked: Collection[str]) -> str | None:
    """The longest path answered for that holds one of those asked; "" where the unit sets no limit; None for no fit."""
    if not answered:
        return ""
    held = [path for path in answered if any(holds(path, other) for other in asked)]
    return max(held, key=depth) if held else None


def holds(path: str, other: str) -> bool:
    """Whether a path is the other or an ancestor of it."""
    return other == path or other.startswith(path + ".")


def depth(path: str) -> int:
    return path.count(".") + 1 if path else 0
