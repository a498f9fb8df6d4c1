"""Killing any process in mid-import changes nothing of the result."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from huiyin_local.layout import PROCESSES

from tests.e2e.conftest import Start, System
from tests.e2e.outcome import Outcome, Reader, comes_to, read_outcome


@pytest.mark.parametrize("victim", PROCESSES)
def test_a_process_killed_in_mid_import_changes_nothing(
    victim: str, start: Start, messages: tuple[Path, int], undisturbed: Outcome
) -> None:
    path, count = messages
    with start("sqlite") as system:
        importing = system.start_huiyin("import", str(path))
        wait_for_progress(system, count // 4)
        system.supervisor.processes()[victim].kill()
        out, err = importing.communicate(timeout=180)
        assert importing.returncode == 0, out + err
        system.settle(count)
        if not comes_to(system.layout, undisturbed, chains=100):
            assert read_outcome(system.layout, chains=100) == undisturbed  # shows the difference


@pytest.mark.chaos
@pytest.mark.parametrize("round_", range(int(os.environ.get("TIMES", "100"))))
def test_processes_killed_at_random_change_nothing(
    round_: int, start: Start, messages: tuple[Path, int], undisturbed: Outcome
) -> None:
    chance = random.Random(round_)
    path, count = messages
    with start("sqlite") as system:
        importing = system.start_huiyin("import", str(path))
        for _ in range(chance.randint(1, 3)):
            time.sleep(chance.uniform(0, 2))
            victims = system.supervisor.processes()
            if victims:
                victims[chance.choice(sorted(victims))].kill()
        out, err = importing.communicate(timeout=240)
        assert importing.returncode == 0, out + err
        system.settle(count)
        if not comes_to(system.layout, undisturbed, chains=100):
            assert read_outcome(system.layout, chains=100) == undisturbed  # shows the difference


def wait_for_progress(system: System, posts: int) -> None:
    """Returns once so many posts have their event, the import being under way."""
    reader = Reader(system.layout)
    deadline = time.monotonic() + 60
    while reader.total("/v1/events/-/memberships") < posts:
        assert time.monotonic() < deadline, "the import does not proceed"
        time.sleep(0.02)
