"""`huiyin watch`: the live stream of changes, one line each, resumed where it broke."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx

from huiyin_cli.client import Gateway, Json, problem_of


def changes(gateway: Gateway, kinds: list[str]) -> Iterator[Json]:
    """The data of every server-sent event (StreamChangesResponse), without end; none is lost over a reconnection."""
    last_id = ""
    pause = 0.2
    while True:
        headers = {"accept": "text/event-stream"} | ({"last-event-id": last_id} if last_id else {})
        try:
            with gateway.http.stream(
                "GET", "/v1/changes", params={"kinds": kinds}, headers=headers, timeout=httpx.Timeout(10, read=60)
            ) as answer:
                if answer.status_code == 410:
                    last_id = ""
                    continue
                if answer.is_error:
                    answer.read()
                    raise problem_of(answer)
                for event_id, data in _events(answer.iter_lines()):
                    pause = 0.2
                    last_id = event_id or last_id
                    if data:
                        yield json.loads(data)
        except httpx.HTTPError as error:
            if not last_id and pause > 1:
                raise gateway.unreachable(error) from error
        time.sleep(pause)
        pause = min(5.0, pause * 2)


def _events(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """(id, data) of each event of a text/event-stream (WHATWG HTML, section 9.2)."""
    event_id = ""
    data: list[str] = []
    for line in lines:
        if not line:
            if data or event_id:
                yield event_id, "\n".join(data)
            event_id, data = "", []
        elif line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


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
