"""The whole system on PostgreSQL comes to what it comes to on SQLite."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.outcome import Outcome, comes_to, read_outcome


def test_postgresql_gives_the_same_result(start: Start, messages: tuple[Path, int], undisturbed: Outcome) -> None:
    path, count = messages
    with start("postgres") as system:
        system.huiyin("import", str(path))
        system.settle(count)
        if not comes_to(system.layout, undisturbed, chains=100):
            assert read_outcome(system.layout, chains=100) == undisturbed  # shows the difference
