"""Requests drawn from the OpenAPI document against a running system: no error of the server's own, no answer that the
document does not describe. A short run always, `make fuzz-http` for twenty minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.e2e.conftest import SAMPLES, Start, System

HERE = Path(__file__).parent
MINUTES = float(os.environ.get("MINUTES") or 20)
SHORT = ["--phases", "examples,coverage", "--max-examples", "3", "--include-method", "GET", "--max-time", "40"]
STREAM = "StreamChanges"
"""It never ends; test_http reads it."""


def draw_from_the_document(system: System, folder: Path, *options: str, account: str = "desk") -> str:
    """How many requests were drawn, as the tool says it."""
    key = tomllib.loads(system.layout.client_file.read_text("utf-8"))["keys"][account]
    command = [
        str(Path(sys.executable).parent / "st"),
        "--config-file",
        str(HERE / "schemathesis.toml"),
        "run",
        f"{system.layout.address}/v1/openapi.json",
        *("--header", f"Authorization: Bearer {key}"),
        *("--exclude-operation-id", STREAM),
        *("--checks", "all", "--suppress-health-check", "all", "--warnings", "off", "--seed", "1"),
        *("--generation-database", "none", "--continue-on-failure"),
        *options,
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    report = folder / "report.txt"
    report.write_text(done.stdout + done.stderr, "utf-8")
    assert done.returncode == 0, f"{report}: {done.stdout[-6000:]}{done.stderr[-2000:]}"
    return next((line.strip() for line in done.stdout.splitlines() if " generated, " in line), "")


def test_answers_to_what_the_document_allows_and_forbids_are_those_it_describes(start: Start, tmp_path: Path) -> None:
    with start("sqlite") as system:
        draw_from_the_document(system, tmp_path, *SHORT)


@pytest.mark.fuzz
def test_for_as_long_as_it_takes_nothing_else_is_answered(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with start("sqlite") as system:
        system.huiyin("import", str(SAMPLES / "messages.csv"))
        for account, share in (("desk", 0.6), ("admin", 0.4)):
            seconds = str(int(MINUTES * 60 * share))
            drawn = draw_from_the_document(system, tmp_path, "--max-time", seconds, account=account)
            with capsys.disabled():
                print(f"{account}: {drawn}")
