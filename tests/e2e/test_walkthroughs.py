"""Every line of docs/tutorial.md works as it stands, on a system of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import Start, System

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def run(system: System) -> list[dict[str, object]]:
    """Runs the tutorial's blocks in one shell; returns every JSON object that it printed."""
    text = (ROOT / "docs" / "tutorial.md").read_text("utf-8")
    script = "set -eu\n" + "\n".join(BLOCK.findall(text))
    assert "http://127.0.0.1:8080" in script and ".venv/bin/python" in script
    script = script.replace("http://127.0.0.1:8080", system.layout.address)
    script = script.replace(".venv/bin/python", sys.executable)
    script = script.replace("var/client.toml", str(system.layout.client_file))
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    decoder, found, rest = json.JSONDecoder(), [], done.stdout.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def test_the_tutorial_walks_one_case_to_its_answer(start: Start) -> None:
    with start("sqlite") as system:
        printed = run(system)
    (
        before,
        case,
        assigned,
        accepted,
        drafted,
        reviewed,
        approved,
        published,
        after,
        closed,
        chain,
        verified,
        problem,
    ) = printed
    assert before["state"] in ("STATE_RECEIVED", "STATE_IN_PROGRESS") and "answers" not in before
    assert case["state"] == "STATE_REGISTERED"
    assert {step["step"] for step in case["nextSteps"]} >= {"assign"}  # type: ignore[attr-defined]
    states = [row["state"] for row in (assigned, accepted, drafted, reviewed, approved, published, closed)]
    expected = ("ASSIGNED", "ACCEPTED", "DRAFTED", "REVIEWED", "APPROVED", "PUBLISHED", "CLOSED")
    assert states == [f"STATE_{name}" for name in expected]
    assert after["state"] == "STATE_ANSWERED"
    (answer,) = after["answers"]  # type: ignore[misc]
    assert "恢复照明" in answer["text"] and answer["unitDisplayName"]
    steps = [entry["step"] for entry in chain["entries"]]  # type: ignore[attr-defined]
    assert steps[-1] == "case.closed"
    assert verified["intact"] is True and int(str(verified["entries"])) == len(steps)
    assert problem["status"] == 400 and problem["reason"] == "STEP_NOT_POSSIBLE"
