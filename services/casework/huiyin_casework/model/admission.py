"""Grounds on which an inquiry is refused, and those that tell whom to call: one document, policies/admission."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import yaml

_FIELDS: Final = ("id", "name", "kind", "basis", "text")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
BODY: Final = "{body}"
"""Where the text of a ground names the body that an inquiry is passed on to."""


class Kind(StrEnum):
    """What a ground is for."""

    EMERGENCY = "emergency"
    ROUTE = "route"
    PASS_ON = "pass_on"  # noqa: S105 (a kind's name, not a password)


@dataclass(frozen=True, slots=True)
class Ground:
    """A ground of the catalogue."""

    id: str
    name: str
    kind: Kind
    basis: str
    text: str

    def told(self, body: str = "", more: str = "") -> str:
        """What the author reads: the ground's text, and beneath it what the desk adds."""
        return "\n".join(filter(None, (self.text.replace(BODY, body).strip(), more.strip())))


class GroundsError(ValueError):
    """A catalogue of grounds cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


def parse_grounds(text: str) -> dict[str, Ground]:
    """Reads the catalogue from YAML, by id, in its order. Raises GroundsError with every mistake."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise GroundsError([f"The document is not YAML: {error}."]) from error
    items = document.get("grounds") if isinstance(document, dict) else None
    if not isinstance(items, list) or set(document) != {"grounds"}:
        raise GroundsError(["The document must be a mapping with the one field grounds, a list."])
    problems: list[str] = []
    found = [ground for index, item in enumerate(items) if (ground := _parse(item, f"grounds[{index}]", problems))]
    ids = [ground.id for ground in found]
    problems += [f"grounds: the id {each} is there twice." for each in sorted(set(ids)) if ids.count(each) > 1]
    if problems:
        raise GroundsError(problems)
    return {ground.id: ground for ground in found}


def _parse(item: Any, where: str, problems: list[str]) -> Ground | None:
    if not isinstance(item, dict):
        problems.append(f"{where}: must be a mapping of {', '.join(_FIELDS)}.")
        return None
    before = len(problems)
    problems += [
        f"{where}.{name}: not a field of a ground; known are {', '.join(_FIELDS)}."
        for name in item
        if name not in _FIELDS
    ]
    if _ID.fullmatch(str(item.get("id", ""))) is None:
        problems.append(f"{where}.id: must be of small letters, digits and hyphens, e.g. labour-arbitration.")
    problems += [
        f"{where}.{name}: must be a text."
        for name in ("name", "basis", "text")
        if not isinstance(item.get(name), str) or not item[name].strip()
    ]
    if item.get("kind") not in list(Kind):
        problems.append(f"{where}.kind: must be one of {', '.join(Kind)}.")
    elif len(problems) == before and (BODY in item["text"]) != (item["kind"] == Kind.PASS_ON):
        problems.append(f"{where}.text: names {BODY} where the kind is {Kind.PASS_ON}, and only there.")
    if len(problems) > before:
        return None
    return Ground(str(item["id"]), item["name"], Kind(item["kind"]), item["basis"], item["text"])
