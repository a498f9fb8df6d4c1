"""One call as it is sent, and the pages of a listing: what the blocking and the asynchronous client have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from huiyin_client.problems import Attempts, Json

PATIENCE: Final = 60.0
"""Seconds that a call may take with all its repetitions, where nothing else is said."""
MOST_IN_A_PAGE: Final = 1000
_LONGEST_WAIT: Final = 10
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Call:
    """What is asked of the API."""

    method: str
    path: str
    body: Json | None = None
    parameters: Json | None = None
    idempotency_key: str = ""
    etag: str = ""
    headers: dict[str, str] | None = None

    def attempts(self, now: float, patience: float) -> Attempts:
        """The attempts that this call has."""
        return Attempts(self.method in _READS or bool(self.idempotency_key), now + patience)

    def options(self, left: float) -> dict[str, Any]:
        """What httpx sends, when `left` seconds are left for it."""
        headers = dict(self.headers or {})
        if self.idempotency_key:
            headers["idempotency-key"] = self.idempotency_key
        if self.etag:
            headers["if-match"] = f'"{self.etag}"'
        if left < _LONGEST_WAIT:
            headers["prefer"] = f"wait={max(1, int(left))}"
        options: dict[str, Any] = {"headers": headers, "timeout": httpx.Timeout(max(0.1, left))}
        if self.body is not None:
            options["json"] = self.body
        if self.parameters:
            options["params"] = {key: value for key, value in self.parameters.items() if value not in (None, "", [])}
        return options


@dataclass
class Pages:
    """Where the reading of a listing stands."""

    limit: int | None
    token: str = ""
    done: bool = False

    def parameters(self) -> Json:
        """Those of the next page."""
        size = MOST_IN_A_PAGE if self.limit is None else min(self.limit, MOST_IN_A_PAGE)
        return {"pageSize": size, "pageToken": self.token}

    def read(self, page: Json, field: str) -> list[Json]:
        """The rows of a page."""
        rows: list[Json] = page.get(field, [])[: self.limit]
        self.limit = None if self.limit is None else self.limit - len(rows)
        self.token = str(page.get("nextPageToken", ""))
        self.done = not self.token or self.limit == 0
        return rows
