"""docs/tutorial.md, docs/integrate/client.md and docs/integrate/protos.md do what they say, word for word, on one
system. docs/integrate/partner.md is run where a part of a system is enough.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huiyin_client import Client
from huiyin_client.resources import Case, Inquiry, SubmitInquiryResponse

from tests.e2e.conftest import Start, System
from tests.guides import commands, program

PATIENCE = 60
TEXTS = (
    "青石桥的桥面有三块石板松动，老人走上去会滑，什么时候能修？",
    "柳河公园的饮水台坏了半年，请问谁来管？",
    "图书馆二楼空调漏水，书都湿了，盼望尽快处理。",
)


@pytest.fixture(scope="module")
def system(start: Start) -> Iterator[System]:
    with start("sqlite") as running:
        yield running


def until(what: str, found: Callable[[], Any]) -> Any:
    """Waits until something is there."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"{what}: not there after {PATIENCE} s")


def key_of(system: System, account: str) -> str:
    return str(tomllib.loads(system.layout.client_file.read_text("utf-8"))["keys"][account])


def client(system: System, account: str) -> Client:
    return Client(system.layout.address, key_of(system, account))


def run_commands(system: System, page: str) -> str:
    """Runs a page's commands in one shell; what they printed."""
    script = commands(page)
    for standing, here in (
        ("http://127.0.0.1:8080", system.layout.address),
        (".venv/bin/python", sys.executable),
        ("var/", f"{system.layout.var}/"),
    ):
        script = script.replace(standing, here)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def objects(printed: str) -> list[dict[str, object]]:
    """Every JSON object that was printed."""
    decoder, found, rest = json.JSONDecoder(), [], printed.strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def test_the_tutorial_walks_one_case_to_its_answer(system: System) -> None:
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
    ) = objects(run_commands(system, "tutorial.md"))
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


class Desk:
    """What the others in the house do while an application is watched."""

    def __init__(self, system: System) -> None:
        self._desk = client(system, "desk")

    def case_of(self, text: str) -> str:
        """Asks as a citizen would; the case that comes of it."""
        self._desk.post("/v1/inquiries:submit", {"text": text}, of=SubmitInquiryResponse)

        def asked() -> str:
            rows = self._desk.pages("/v1/inquiries", "inquiries", of=Inquiry)
            return next((row.get("case", "") for row in rows if row.get("text") == text), "")

        return str(until("a case of the inquiry", asked))

    def assign(self, case: str) -> None:
        self._step(case, "assign", leadUnit="units/desk")

    def note(self, case: str, text: str) -> None:
        self._step(case, "note", note=text)

    def _step(self, case: str, verb: str, **body: str) -> None:
        key = str(uuid.uuid4())
        self._desk.post(f"/v1/{case}:{verb}", body, etag=self.read(case)["etag"], idempotency_key=key)

    def read(self, case: str) -> Case:
        return self._desk.get(f"/v1/{case}", of=Case)

    def all(self) -> dict[str, tuple[str, int]]:
        """How every case stands."""
        cases = self._desk.pages("/v1/cases", "cases", of=Case)
        return {case["name"]: (case["state"], int(case["revision"])) for case in cases}


def said(file: Path, *arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code and lines of a program of a page."""
    command = [sys.executable, str(file), *arguments]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, (done.stdout + done.stderr).strip().splitlines()


def test_an_application_of_an_office_finds_its_case_and_accepts_it_once(system: System, tmp_path: Path) -> None:
    office, desk = program("integrate/client.md", 0, tmp_path), Desk(system)
    environment = {"HUIYIN_ADDRESS": system.layout.address, "HUIYIN_KEY": key_of(system, "officer")}
    case = desk.case_of(TEXTS[0])
    assert said(office, "list", **environment) == (0, [])
    seen = desk.read(case)["etag"]
    desk.assign(case)
    code, (line,) = said(office, "list", **environment)
    assert code == 0 and line.startswith(f"{case} 20")
    code, (state, asked, following) = said(office, "show", case, **environment)
    assert (code, state.split(" ")[0], asked) == (0, "STATE_ASSIGNED", f"asked: {TEXTS[0]}")
    assert "accept" in following.split(" ")
    assert said(office, "accept", case, seen, **environment) == (1, ["Somebody was faster; look at the case again."])
    assert said(office, "accept", case, **environment) == (0, ["STATE_ACCEPTED"])
    code, (refused,) = said(office, "accept", case, **environment)
    assert code == 1 and refused.startswith(
        "This cannot be done now: accept is not possible while the case is ACCEPTED"
    )
    code, (stranger,) = said(office, "list", **environment | {"HUIYIN_KEY": "hy_nobody"})
    assert code == 1 and stranger.startswith("KEY_UNKNOWN: ")


class Follower:
    """A program of a page that follows changes into a table, started and killed as it comes."""

    def __init__(self, file: Path, arguments: tuple[str, ...], table: Path, environment: dict[str, str]) -> None:
        self._command = [sys.executable, str(file), *arguments, str(table)]
        self._environment = os.environ | environment
        self._table = table
        self._process: subprocess.Popen[str] | None = None
        self.printed: list[str] = []

    def start(self) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            self._command, env=self._environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )

    def kill(self) -> None:
        assert self._process is not None and self._process.poll() is None, self._process and self._process.communicate()
        self._process.send_signal(signal.SIGKILL)
        self.printed += self._process.communicate()[0].splitlines()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        table = sqlite3.connect(self._table)
        try:
            return table.execute(query).fetchall()
        except sqlite3.OperationalError:
            return []  # it has not made its tables yet
        finally:
            table.close()

    def cases(self) -> dict[str, tuple[str, int]]:
        return {name: (state, revision) for name, state, revision in self.rows("SELECT * FROM cases")}


def test_what_follows_misses_nothing_and_takes_nothing_twice_over_any_end(system: System, tmp_path: Path) -> None:
    run_commands(system, "integrate/protos.md")  # makes the integrator's key
    following = program("integrate/client.md", 1, tmp_path)
    archive = program("integrate/protos.md", 0, tmp_path)
    assert "huiyin_" not in archive.read_text("utf-8")
    http = {"HUIYIN_ADDRESS": system.layout.address, "HUIYIN_KEY": key_of(system, "officer")}
    grpc = {
        "HUIYIN_CASEWORK": f"127.0.0.1:{system.layout.port_of('casework')}",
        "HUIYIN_INTEGRATOR_KEY": str(system.layout.keys / "private" / "integrator.pem"),
    }
    desk = Desk(system)
    followers = [
        Follower(following, (), tmp_path / "follow.db", http),
        Follower(archive, ("follow",), tmp_path / "archive.db", grpc),
    ]
    first, second = desk.case_of(TEXTS[1]), desk.case_of(TEXTS[2])

    def all_know() -> bool:
        return all(each.cases() == desk.all() for each in followers)

    for each in followers:
        each.start()
    until("what there was", all_know)
    desk.assign(first)
    until("a change while they follow", all_know)
    for each in followers:
        each.kill()
    desk.note(first, "Seen on site.")
    desk.assign(second)
    for each in followers:
        each.start()
    until("what came while they were away", all_know)
    system.supervisor.processes()["casework"].kill()
    desk.note(second, "Seen as well.")
    until("a change after the service was killed", all_know)
    for each in followers:
        each.kill()
    told, steps = followers[0].printed, followers[1].rows("SELECT * FROM steps ORDER BY sequence")
    kinds = [("case.assigned", first), ("case.noted", first), ("case.assigned", second), ("case.noted", second)]
    assert told == [f"{kind} {name}" for kind, name in kinds]
    assert [(kind, name) for _, _, kind, name, _ in steps][-4:] == kinds

    anew = Follower(archive, ("follow",), tmp_path / "anew.db", grpc)
    anew.start()
    until("all of it at once", lambda: anew.cases() == desk.all())
    anew.kill()
    assert anew.rows("SELECT * FROM steps ORDER BY sequence") == steps
    assert said(archive, "show", first, **grpc)[1][0].startswith(f"{first} STATE_ASSIGNED ")
    code, (refused,) = said(archive, "show", "cases/none", **grpc)
    assert code == 1 and refused.startswith("NOT_FOUND NOT_FOUND: cases/none does not exist")
