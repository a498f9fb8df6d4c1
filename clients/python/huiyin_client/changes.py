"""The stream of changes: server-sent events, taken up again after any break at the place where it broke."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from huiyin_client.problems import Json, Problem

_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_SEPARATOR: Final = "~"
"""Between the cursors of the feeds; that of a feed which was away is empty."""
TIMEOUT: Final = httpx.Timeout(10, read=60)
"""Something comes at least every 15 seconds."""


@dataclass(frozen=True)
class Change:
    """One change, and the place after it in all feeds: keep it, and give it to `changes` to go on from there."""

    cursor: str
    data: Json
    """StreamChangesResponse: `service`, and `change` with `kind`, `name` and `resource`."""


@dataclass
class Stream:
    """Where the reading of the stream stands."""

    kinds: list[str]
    cursor: str = ""
    _pause: float = _PAUSE
    _id: str = ""
    _data: list[str] = field(default_factory=list)

    def options(self) -> dict[str, Any]:
        """What httpx sends to go on."""
        self._id, self._data = "", []
        headers = {"accept": "text/event-stream"} | ({"last-event-id": self.cursor} if self.cursor else {})
        return {"params": {"kinds": self.kinds}, "headers": headers, "timeout": TIMEOUT}

    def feed(self, line: str) -> Change | None:
        """Takes a line; the change that it ends (WHATWG HTML, section 9.2)."""
        if line.startswith("id:"):
            self._id = line[3:].strip()
        elif line.startswith("data:"):
            self._data.append(line[5:].removeprefix(" "))
        elif not line:
            data, self._data = "\n".join(self._data), []
            self.cursor, self._pause = self._id or self.cursor, _PAUSE
            if data:
                return Change(self.cursor, json.loads(data))
        return None

    def is_whole(self, late: bool) -> bool:
        """Whether the cursor has the place in every feed. Raises a Problem where it has not and it is too late."""
        whole = all(self.cursor.split(_SEPARATOR))
        if late and not whole:
            raise Problem("A part of the system is away, so that its place is not known; try later.", "UNAVAILABLE")
        return whole

    def pause_after(self, problem: Problem) -> float:
        """How long to wait before the next attempt. Raises a Problem that does not pass, or that was there at first."""
        if not problem.away or (not self.cursor and self._pause > 1):
            raise problem
        pause = max(self._pause, problem.retry_after)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause


def started(kinds: Iterable[str], cursor: str) -> Stream:
    """A stream from a place, or from now."""
    return Stream(list(kinds), cursor)
