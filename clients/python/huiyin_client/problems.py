"""What goes wrong, as the API tells it, and when the same call is worth another try."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import httpx

Json = dict[str, Any]

_NOTHING_DONE: Final = frozenset({"TOO_MANY_REQUESTS", "SERVICE_DOWN", "BUSY"})
"""Reasons with which a call is turned away before anything happens: any call may be made again."""
_MAYBE_DONE: Final = frozenset({"UNAVAILABLE", "STORE_BUSY", "DEADLINE_EXCEEDED"})
"""Reasons that leave open what happened: a call is made again only when a repetition does no harm."""
_AWAY: Final = frozenset({502, 503, 504})
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 2.0


@dataclass(frozen=True)
class Violation:
    """What is wrong with one field of a request."""

    field: str
    description: str
    reason: str


@dataclass(eq=False)
class Problem(Exception):
    """A call that failed: a sentence for people, `reason` and `metadata` for programs, `status` of HTTP or 0."""

    message: str
    reason: str = ""
    status: int = 0
    violations: list[Violation] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    retry_after: float = 0
    """Seconds after which to come again, where the answer says so."""

    def __str__(self) -> str:
        return self.message

    @property
    def away(self) -> bool:
        """Whether the same call may succeed in a moment."""
        return self.reason in _NOTHING_DONE | _MAYBE_DONE or self.status in _AWAY

    @property
    def nothing_done(self) -> bool:
        """Whether the call was turned away before anything happened."""
        return self.reason in _NOTHING_DONE


def problem_of(answer: httpx.Response) -> Problem:
    """Reads a problem document (RFC 9457); its violations become part of the sentence."""
    found = Problem("", status=answer.status_code)
    seconds = answer.headers.get("retry-after", "")
    found.retry_after = float(seconds) if seconds.isdecimal() else 0
    try:
        document = answer.json()
        found.message = str(document.get("detail") or document.get("title") or "")
        found.reason = str(document.get("reason", ""))
        found.trace_id = str(document.get("traceId", ""))
        found.metadata = {str(key): str(value) for key, value in document.get("metadata", {}).items()}
        found.violations = [
            Violation(str(item.get("field", "")), str(item.get("description", "")), str(item.get("reason", "")))
            for item in document.get("violations", [])
        ]
    except (ValueError, AttributeError):
        found.message = answer.text[:300]
    if len(found.violations) > 1:
        found.message = "; ".join(f"{each.field}: {each.description}" for each in found.violations)
    found.message = found.message or f"HTTP status {answer.status_code}"
    return found


def unreachable(address: str, error: httpx.HTTPError) -> Problem:
    """The Problem of a connection that failed."""
    if isinstance(error, httpx.ConnectError):
        return Problem(f"Nobody answers at {address}.", reason="UNAVAILABLE")
    return Problem(f"The connection to {address} broke ({type(error).__name__}).", reason="UNAVAILABLE")


@dataclass
class Attempts:
    """The attempts of one call, until a time on the caller's own clock."""

    repeatable: bool
    """Whether doing it twice does no harm: it only reads, or it carries an idempotency key."""
    until: float
    _pause: float = _FIRST_PAUSE

    def pause_after(self, problem: Problem, now: float) -> float:
        """How long to wait before the next attempt. Raises the Problem when there is none."""
        pause = max(self._pause, problem.retry_after)
        if not (problem.nothing_done or (self.repeatable and problem.away)) or now + pause > self.until:
            raise problem
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause
