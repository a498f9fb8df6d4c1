"""`huiyin watch`: the live stream of changes, one line each, resumed where it broke."""

from __future__ import annotations

from collections.abc import Iterator

from huiyin_cli.client import Gateway, Json, Problem


def changes(gateway: Gateway, kinds: list[str]) -> Iterator[Json]:
    """The data of every change (StreamChangesResponse), without end; where a place is kept no more, from now on."""
    while True:
        try:
            for change in gateway.client.changes(kinds):
                yield change.data
        except Problem as problem:
            if not problem.reason.startswith("CURSOR_"):
                raise


def line_of(row: Json) -> str:
    """One change as a line: time, kind, name, and what a reader wants to know of it."""
    change = row.get("change", {})
    resource = change.get("resource", {})
    told = [
        str(resource[field])
        for field in ("grade", "state", "event", "case", "title", "receiver")
        if resource.get(field) and not isinstance(resource[field], dict)
    ]
    if grade := resource.get("assessment", {}).get("grade"):
        told.insert(0, grade)
    at = str(change.get("commitTime", ""))[:19].replace("T", " ")
    return f"{at}  {change.get('kind', ''):<22} {change.get('name', '')}  {' · '.join(told)}"
