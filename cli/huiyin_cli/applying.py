"""`huiyin apply`: writes the topics, places, units and policies of a folder. Applying it again changes nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from huiyin_cli.client import Gateway, Json, Problem

_BATCH = 1000


def apply_folder(gateway: Gateway, folder: Path) -> Iterator[str]:
    """Applies what the folder has, in the order in which things refer to one another; a line for each file."""
    if not folder.is_dir():
        raise Problem(
            f"{folder} is not a folder; give one with topics.yaml, places.yaml, units.yaml or policies/*.yaml."
        )
    found = False
    for name, apply in _APPLIED.items():
        path = folder / name
        if path.is_file():
            found = True
            yield apply(gateway, path)
    for path in sorted((folder / "policies").glob("*.yaml")):
        found = True
        yield _apply_policy(gateway, path)
    if not found:
        raise Problem(f"{folder} has none of {', '.join(_APPLIED)} and policies/*.yaml; nothing was applied.")


def _apply_topics(gateway: Gateway, path: Path) -> str:
    topics = [
        {"name": f"topics/{'.'.join(names)}", "words": _strings(path, names, node, "words")}
        for names, node in _walk(path, load_yaml(path))
    ]
    return _write(gateway, "/v1/topics:batchUpdate", "topics", topics)


def _apply_places(gateway: Gateway, path: Path) -> str:
    places = [
        {
            "name": f"places/{'.'.join(names)}",
            "kind": str(node.get("kind", "")),
            "aliases": _strings(path, names, node, "aliases"),
        }
        for names, node in _walk(path, load_yaml(path))
    ]
    return _write(gateway, "/v1/places:batchUpdate", "places", places)


def _apply_units(gateway: Gateway, path: Path) -> str:
    units: list[Json] = []

    def add(nodes: Any, parent: str) -> None:
        for node in _mappings(path, nodes):
            if "id" not in node:
                raise Problem(f"{path}: a unit under {parent or 'the root'} has no id; each unit needs id and name.")
            name = f"units/{node['id']}"
            units.append(
                {
                    "name": name,
                    "displayName": str(node.get("name", "")),
                    "parent": parent,
                    "kind": str(node.get("kind", "")),
                    "desk": bool(node.get("desk", False)),
                    "places": [f"places/{place}" for place in node.get("places") or []],
                    "topics": [f"topics/{topic}" for topic in node.get("topics") or []],
                    "members": [
                        {"account": f"accounts/{member['account']}", "roles": member["roles"]}
                        for member in node.get("members") or []
                    ],
                    "contact": str(node.get("contact", "")),
                    "contactPersons": [
                        {
                            "role": f"ROLE_{str(person.get('role', '')).upper()}",
                            "displayName": str(person.get("name", "")),
                            "telephone": str(person.get("telephone", "")),
                            "account": f"accounts/{person['account']}" if person.get("account") else "",
                        }
                        for person in node.get("contact_persons") or []
                    ],
                    "workingHours": [str(stretch) for stretch in node.get("working_hours") or []],
                    "timeZone": str(node.get("time_zone", "")),
                    "standIns": [f"accounts/{account}" for account in node.get("stand_ins") or []],
                    "absences": [
                        {
                            "account": f"accounts/{absence['account']}",
                            "startTime": _instant(path, absence.get("from")),
                            "endTime": _instant(path, absence.get("to")),
                        }
                        for absence in node.get("absences") or []
                    ],
                }
            )
            add(node.get("children") or [], name)

    add(load_yaml(path), "")
    return _write(gateway, "/v1/units:batchUpdate", "units", units)


def _instant(path: Path, value: Any) -> str:
    """A time with its zone, as YAML or a person writes it."""
    moment = value
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            moment = datetime.fromisoformat(value)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Problem(f"{path}: {value!r} is no time of an absence; write it like 2026-03-01T08:00:00+08:00.")
    return moment.isoformat()


def _apply_policy(gateway: Gateway, path: Path) -> str:
    name = f"policies/{path.stem}"
    before = gateway.get(f"/v1/{name}").get("version", 0)
    after = gateway.patch(f"/v1/{name}", {"body": path.read_text("utf-8")}).get("version", 0)
    return f"{name}: version {after}" + ("" if after != before else ", unchanged")


_APPLIED: dict[str, Callable[[Gateway, Path], str]] = {
    "topics.yaml": _apply_topics,
    "places.yaml": _apply_places,
    "units.yaml": _apply_units,
}


def _write(gateway: Gateway, route: str, field: str, rows: list[Json]) -> str:
    changed = 0
    for start in range(0, len(rows), _BATCH):
        changed += int(gateway.post(route, {field: rows[start : start + _BATCH]}).get("changed", 0))
    return f"{field}: {len(rows)}, {changed or 'none'} changed"


def load_yaml(path: Path) -> Any:
    """What a file of YAML holds. Raises Problem."""
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Problem(f"{path} is not YAML in UTF-8: {error}") from error


def _walk(path: Path, nodes: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """Every node of a tree with its path, parents first."""
    for node in _mappings(path, nodes):
        if not node.get("name"):
            raise Problem(f"{path}: a node under {'.'.join(above) or 'the root'} has no name.")
        names = (*above, str(node["name"]))
        yield names, node
        yield from _walk(path, node.get("children") or [], names)


def _mappings(path: Path, nodes: Any) -> list[Json]:
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise Problem(f"{path} must be a list of mappings; samples/ shows one.")
    return nodes


def _strings(path: Path, names: tuple[str, ...], node: Json, field: str) -> list[str]:
    values = node.get(field) or []
    if not isinstance(values, list):
        raise Problem(f"{path}: {field} of {'.'.join(names)} must be a list.")
    return [str(value) for value in values]
