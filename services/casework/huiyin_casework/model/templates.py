"""Templates of replies: texts with named slots. What a case knows is filled in, the rest is left for whoever writes.

The templates are one document (`policies/templates`). A slot is a name in braces: {subject}, {unit}, {contact},
{received}, {deadline}, {today} are filled from the case; any other name is left open as 〔待填：name〕, and a reply
that still holds one does not pass its check.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import yaml

KNOWN_SLOTS: Final = ("subject", "unit", "contact", "received", "deadline", "today")
"""Slots that a case fills."""

INTENTS: Final = ("complaint", "help", "question", "suggestion", "thanks")
"""What a template may answer, as the analyzer names it."""

_FIELDS: Final = ("id", "name", "topics", "intents", "text")
_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SLOT: Final = re.compile(r"\{([^{}\n]{1,40})\}")


@dataclass(frozen=True, slots=True)
class Template:
    """A text with slots, and what it is for; without topics or intents it is for all."""

    id: str
    name: str
    topics: tuple[str, ...]
    intents: tuple[str, ...]
    text: str

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of its slots, in their order, each once."""
        return tuple(dict.fromkeys(_SLOT.findall(self.text)))


class TemplateError(ValueError):
    """A document of templates cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


def parse_templates(text: str) -> list[Template]:
    """Reads templates from YAML: a list under `templates`. Raises TemplateError with every mistake."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TemplateError([f"The document is not YAML: {error}."]) from error
    items = document.get("templates") if isinstance(document, dict) else None
    if not isinstance(items, list) or set(document) != {"templates"}:
        raise TemplateError(["The document must be a mapping with the one field templates, a list."])
    problems: list[str] = []
    templates = [
        template for index, item in enumerate(items) if (template := _parse(item, f"templates[{index}]", problems))
    ]
    ids = [template.id for template in templates]
    problems += [f"templates: the id {each} is there twice." for each in sorted(set(ids)) if ids.count(each) > 1]
    if problems:
        raise TemplateError(problems)
    return templates


def _parse(item: Any, where: str, problems: list[str]) -> Template | None:
    if not isinstance(item, dict):
        problems.append(f"{where}: must be a mapping of {', '.join(_FIELDS)}.")
        return None
    before = len(problems)
    problems += [
        f"{where}.{name}: not a field of a template; known are {', '.join(_FIELDS)}."
        for name in item
        if name not in _FIELDS
    ]
    if _ID.fullmatch(str(item.get("id", ""))) is None:
        problems.append(f"{where}.id: must be of small letters, digits and hyphens, e.g. street-light.")
    for name in ("name", "text"):
        if not isinstance(item.get(name), str) or not item[name].strip():
            problems.append(f"{where}.{name}: must be a text.")
    for name in ("topics", "intents"):
        value = item.get(name) or []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            problems.append(f"{where}.{name}: must be a list of words.")
        elif name == "intents" and (unknown := sorted(set(value) - set(INTENTS))):
            problems.append(f"{where}.intents: {', '.join(unknown)} is not known; known are {', '.join(INTENTS)}.")
    if len(problems) > before:
        return None
    topics, intents = tuple(item.get("topics") or ()), tuple(item.get("intents") or ())
    return Template(str(item["id"]), item["name"], topics, intents, item["text"])


def fill(template: Template, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """The text with what is known filled in, and the names of the slots that stay open, each once."""
    open_slots: dict[str, None] = {}

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if value := values.get(name, ""):
            return value
        open_slots[name] = None
        return f"〔待填：{_TITLES.get(name, name)}〕"

    return _SLOT.sub(put, template.text), list(open_slots)


_TITLES: Final = {
    "subject": "事项",
    "unit": "单位",
    "contact": "联系方式",
    "received": "收到日期",
    "deadline": "答复期限",
    "today": "日期",
}
"""What a known slot is called where the case leaves it open."""


def suited(templates: Sequence[Template], topic: str) -> list[Template]:
    """Templates as they suit a topic: those for it or above it, the nearest first, then those for all.

    Topics are paths, segments divided by dots; templates for other topics are left out.
    """

    def nearness(template: Template) -> int:
        if not template.topics:
            return 0
        covering = [each for each in template.topics if topic == each or topic.startswith(f"{each}.")]
        return max((each.count(".") + 1 for each in covering), default=-1)

    ranked = [(nearness(template), template) for template in templates]
    return [template for near, template in sorted(ranked, key=lambda pair: -pair[0]) if near >= 0]
