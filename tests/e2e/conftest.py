"""A running system on free ports and a folder of its own, and a file large enough to be interrupted."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from huiyin_local.layout import Layout
from huiyin_local.ports import free_port
from huiyin_local.supervision import Supervisor
from huiyin_local.system import running

from tests.e2e.outcome import Outcome, Reader, read_outcome
from tests.logs import only_declared_reasons

SAMPLES = Path(__file__).parents[2] / "samples"
COPIES = 12


@dataclass
class System:
    """A running system and its `huiyin`."""

    layout: Layout
    supervisor: Supervisor

    def huiyin(self, *arguments: str) -> str:
        """Runs `huiyin` and returns what it printed."""
        done = self.start_huiyin(*arguments)
        out, err = done.communicate(timeout=180)
        assert done.returncode == 0, f"huiyin {' '.join(arguments)}: {out}{err}"
        return out

    def start_huiyin(self, *arguments: str) -> subprocess.Popen[str]:
        command = [
            str(Path(sys.executable).parent / "huiyin"),
            "--client-file",
            str(self.layout.client_file),
            *arguments,
        ]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def settle(self, posts: int, seconds: float = 120, *, unasked: int = 0) -> None:
        """Waits until every post has its event and its inquiry, every case its event, and nothing is under way.

        `unasked`: posts among them whose authors expect no answer, which become no inquiries.
        """
        reader = Reader(self.layout)
        deadline = time.monotonic() + seconds
        before: tuple[int, ...] = ()
        while time.monotonic() < deadline:
            # Counts of what each part made of it; equal twice in a row and complete means that the path is quiet.
            now = (
                reader.total("/v1/events/-/memberships"),
                reader.total("/v1/inquiries"),
                reader.total("/v1/cases", filter="state != STATE_MERGED"),
                reader.total("/v1/events"),
                reader.total("/v1/notifications"),
            )
            if now == before and now[0] == now[1] + unasked == posts and now[2] <= now[3] <= now[2] + unasked:
                return
            before = now
            time.sleep(0.5)
        raise AssertionError(f"after {seconds} s: memberships, inquiries, cases, events, notifications = {before}")


Start = Callable[[str], AbstractContextManager[System]]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """Starts a system with the sample town's topics, places, units and policies."""

    @contextmanager
    def begin(database: str = "sqlite") -> Iterator[System]:
        layout = Layout(tmp_path_factory.mktemp("var"), free_port(), database)  # type: ignore[arg-type]
        with running(layout) as supervisor:
            system = System(layout, supervisor)
            system.huiyin("apply", str(SAMPLES))
            yield system
        only_declared_reasons(layout.logs)

    return begin


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The sample messages many times over, with ids of their own, and how many there are."""
    with (SAMPLES / "messages.csv").open(encoding="utf-8", newline="") as file:
        samples = list(csv.DictReader(file))
    rows = [{**row, "编号": f"{row['编号']}-{copy}"} for copy in range(COPIES) for row in samples]
    target = tmp_path_factory.mktemp("messages") / "messages.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, samples[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return target, len(rows)


@pytest.fixture(scope="session")
def undisturbed(start: Start, messages: tuple[Path, int]) -> Outcome:
    """What a run comes to when nothing is killed."""
    path, count = messages
    with start("sqlite") as system:
        system.huiyin("import", str(path))
        system.settle(count)
        return read_outcome(system.layout, chains=100)
