"""The dispatch catalogue: which office leads and which assist, by topic and place. It proposes; a desk decides.

One document (`policies/dispatch`). The entry that fits most closely comes first: by its topic, then by its place, then
as listed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

from huiyin_casework.model.routing import closest, depth

_FIELDS: Final = ("id", "topics", "places", "lead", "assisting", "basis", "reserved")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DEFAULT_LOWER: Final = ("town", "township", "street", "village")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the catalogue. Topics and places are paths, each with all below it; none: every one."""

    id: str
    topics: tuple[str, ...]
    places: tuple[str, ...]
    lead: str
    assisting: tuple[str, ...]
    basis: str
    reserved: bool
    """True for work of the lead's own, which is not pushed down to a unit of a lower kind."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The entries, and the kinds of unit to which reserved work is not pushed down."""

    entries: tuple[Entry, ...] = ()
    lower_kinds: tuple[str, ...] = _DEFAULT_LOWER


@dataclass(frozen=True, slots=True)
class Fit:
    """An entry that fits, with the path of the topic and of the place by which it does; "" for every one."""

    entry: Entry
    topic: str
    place: str

    @property
    def reason(self) -> str:
        """Why it is proposed."""
        by = [f"{what} {path}" for what, path in (("topic", self.topic), ("place", self.place)) if path]
        return f"{self.entry.id}: {' and '.join(by) or 'every matter'} → {self.entry.lead} ({self.entry.basis})"


class CatalogueError(ValueError):
    """A catalogue cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


def fits(catalogue: Catalogue, topics: Collection[str], places: Collection[str], units: Collection[str]) -> list[Fit]:
    """The entries that fit, the closest first; one whose lead is no unit is passed over."""
    found: list[tuple[int, int, int, Fit]] = []
    for order, entry in enumerate(catalogue.entries):
        topic, place = closest(entry.topics, topics), closest(entry.places, places)
        if topic is not None and place is not None and entry.lead in units:
            found.append((-depth(topic), -depth(place), order, Fit(entry, topic, place)))
    return [fit for *_, fit in sorted(found, key=lambda each: each[:3])]


def reserved_for(catalogue: Catalogue, ranked: Sequence[Fit], lead: str, kind: str) -> Fit | None:
    """The entry by which the work is another office's own, so that a lead of this lower kind may not be ordered."""
    if not ranked or not ranked[0].entry.reserved or lead == ranked[0].entry.lead or kind not in catalogue.lower_kinds:
        return None
    return ranked[0]


def parse_catalogue(text: str) -> Catalogue:
    """Reads the catalogue from YAML. Raises CatalogueError with every mistake."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogueError([f"The document is not YAML: {error}."]) from error
    if not isinstance(document, dict) or not isinstance(document.get("entries"), list):
        raise CatalogueError(["The document must be a mapping with entries, a list, and lower_kinds, a list of kinds."])
    problems = [
        f"{name}: not a field of the catalogue; known are entries, lower_kinds."
        for name in document
        if name not in ("entries", "lower_kinds")
    ]
    lower = document.get("lower_kinds", list(_DEFAULT_LOWER))
    if not _are_words(lower):
        problems.append("lower_kinds: must be a list of kinds of unit.")
    entries = [
        entry
        for index, item in enumerate(document["entries"])
        if (entry := _parse(item, f"entries[{index}]", problems)) is not None
    ]
    ids = [entry.id for entry in entries]
    problems += [f"entries: the id {each} is there twice." for each in sorted(set(ids)) if ids.count(each) > 1]
    if problems:
        raise CatalogueError(problems)
    return Catalogue(tuple(entries), tuple(lower))


def _parse(item: Any, where: str, problems: list[str]) -> Entry | None:
    if not isinstance(item, dict):
        problems.append(f"{where}: must be a mapping of {', '.join(_FIELDS)}.")
        return None
    before = len(problems)
    problems += [
        f"{where}.{name}: not a field of an entry; known are {', '.join(_FIELDS)}."
        for name in item
        if name not in _FIELDS
    ]
    if _ID.fullmatch(str(item.get("id", ""))) is None:
        problems.append(f"{where}.id: must be of small letters, digits and hyphens, e.g. water-supply.")
    problems += [
        f"{where}.{name}: must be a text."
        for name in ("lead", "basis")
        if not isinstance(item.get(name), str) or not item[name].strip()
    ]
    problems += [
        f"{where}.{name}: must be a list."
        for name in ("topics", "places", "assisting")
        if not _are_words(item.get(name) or [])
    ]
    if not item.get("topics") and not item.get("places"):
        problems.append(f"{where}: must name topics or places.")
    if not isinstance(item.get("reserved", False), bool):
        problems.append(f"{where}.reserved: must be true or false.")
    if len(problems) == before and item["lead"] in (item.get("assisting") or []):
        problems.append(f"{where}.assisting: the lead does not assist.")
    if len(problems) > before:
        return None
    return Entry(
        id=str(item["id"]),
        topics=tuple(item.get("topics") or ()),
        places=tuple(item.get("places") or ()),
        lead=item["lead"],
        assisting=tuple(item.get("assisting") or ()),
        basis=item["basis"],
        reserved=item.get("reserved", False),
    )


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) and each for each in value)
