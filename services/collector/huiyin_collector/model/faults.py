"""What goes wrong when a source is visited, by names that operators can look for."""

from __future__ import annotations


class Fault(Exception):
    """Why a visit failed: a stable reason, one sentence with the remedy, and how long the source asked us to stay away.

    The sentence names addresses and figures, never what a page said.
    """

    def __init__(self, reason: str, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    def __repr__(self) -> str:
        return f"Fault({self.reason}, {self.message!r})"


class NotAFeed(Fault):
    """What was found is no feed. `feeds`: those that it names, where it is a page."""

    def __init__(self, message: str, feeds: tuple[str, ...] = ()) -> None:
        super().__init__("NOT_A_FEED", message)
        self.feeds = feeds
