"""What a run came to, with names, times of handling and salts taken out: equal for equal input, whatever was killed."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from huiyin_local.layout import Layout

Json = dict[str, Any]


class Reader:
    """Reads a running system over HTTP as an account."""

    def __init__(self, layout: Layout, account: str = "desk") -> None:
        key = tomllib.loads(layout.client_file.read_text("utf-8"))["keys"][account]
        self.http = httpx.Client(base_url=layout.address, headers={"authorization": f"Bearer {key}"}, timeout=60)

    def get(self, path: str, **parameters: Any) -> Json:
        """Reads a path; waits out a part that is being started again."""
        deadline = time.monotonic() + 30
        while True:
            try:
                answer = self.http.get(path, params=parameters)
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"{path}: nobody answers"
            else:
                if answer.status_code != 503 or time.monotonic() > deadline:
                    break
            time.sleep(0.1)
        assert answer.is_success, f"{path}: {answer.text}"
        result: Json = answer.json()
        return result

    def total(self, path: str, **parameters: Any) -> int:
        return int(self.get(path, pageSize=1, **parameters).get("totalSize", 0))

    def all(self, path: str, field: str, **parameters: Any) -> Iterator[Json]:
        token = ""
        while True:
            page = self.get(path, pageSize=1000, pageToken=token, **parameters)
            yield from page.get(field, [])
            token = page.get("nextPageToken", "")
            if not token:
                return


@dataclass(frozen=True)
class Outcome:
    """Comparable by ==; sets of external ids stand for the names that differ from run to run."""

    events: dict[frozenset[str], tuple[str, str, str, str]]
    """Members → grade, topic, place, title."""
    inquiries: Counter[tuple[str, str]]
    """External id and state."""
    cases: dict[frozenset[str], tuple[str, str, frozenset[str]]]
    """Members of the event → state, grade, external ids of the inquiries."""
    chains: dict[frozenset[str], tuple[str, ...]]
    """Members of the event → the steps of its case, in order."""
    notifications: Counter[tuple[frozenset[str], str, str]]
    """Members of the case's event, cause, receiver."""
    broken_chains: tuple[str, ...]


def read_outcome(layout: Layout, *, chains: int | None = None) -> Outcome:
    """Reads everything; of the chains the first `chains` by size of their event, or all."""
    reader = Reader(layout)
    members: dict[str, set[str]] = {}
    for row in reader.all("/v1/events/-/memberships", "memberships"):
        ids = members.setdefault(row["event"], set())
        assert row["externalId"] not in ids, f"{row['externalId']} belongs twice to {row['event']}"
        ids.add(row["externalId"])
    of_event = {event: frozenset(ids) for event, ids in members.items()}
    events = {
        of_event[row["name"]]: (
            row["assessment"]["grade"],
            row.get("topic", ""),
            row.get("place", ""),
            row.get("title", ""),
        )
        for row in reader.all("/v1/events", "events")
    }
    inquiries: Counter[tuple[str, str]] = Counter()
    held: dict[str, set[str]] = {}
    for row in reader.all("/v1/inquiries", "inquiries"):
        inquiries[row["externalId"], row["state"]] += 1
        held.setdefault(row.get("case", ""), set()).add(row["externalId"])
    cases, of_case = {}, {}
    for row in reader.all("/v1/cases", "cases", filter="state != STATE_MERGED"):
        ids = of_case[row["name"]] = of_event[row["event"]]
        cases[ids] = (row["state"], row["grade"], frozenset(held.get(row["name"], ())))
    notifications = Counter(
        (of_case[row["case"]], row["cause"], row["receiver"])
        for row in reader.all("/v1/notifications", "notifications")
        if row.get("case") in of_case
    )
    steps, broken = {}, []
    for name, ids in sorted(of_case.items(), key=lambda item: (-len(item[1]), sorted(item[1])))[:chains]:
        entries = list(reader.all(f"/v1/{name}/entries", "entries"))
        steps[ids] = tuple(entry["step"] for entry in entries)
        if not reader.get(f"/v1/{name}:verify").get("intact"):
            broken.append(name)
    return Outcome(events, inquiries, cases, steps, notifications, tuple(broken))


def comes_to(layout: Layout, expected: Outcome, *, chains: int | None = None, seconds: float = 30) -> bool:
    """Whether a run comes to an outcome: a part that was started again may still be catching up."""
    deadline = time.monotonic() + seconds
    while read_outcome(layout, chains=chains) != expected:
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
    return True
