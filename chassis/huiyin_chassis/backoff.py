"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling delays in seconds, from `first` up to `ceiling`, each cut by up to half at random.

    The random part keeps many waiters from coming back at the same moment.
    """

    first: float = 0.2
    ceiling: float = 60.0

    def delay(self, attempt: int) -> float:
        """Seconds before attempt number `attempt` + 1; `attempt` counts the failures so far, from 1."""
        full = min(self.ceiling, self.first * 2.0 ** min(attempt - 1, 30))
        return full * random.uniform(0.5, 1.0)  # noqa: S311 — jitter, not a secret
