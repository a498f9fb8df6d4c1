"""The types that the Python client has of the API are those of the contracts, and a type checker reads them."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides import program

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "python"
MISTAKEN = """\
from huiyin_client import Client
from huiyin_client.resources import Case

with Client("http://127.0.0.1:8080") as huiyin:
    case = huiyin.get("/v1/cases/1", of=Case)
    etag: int = case["etag"]
    case["titel"]
    closed = case["state"] == "STATE_SHUT"
    for row in huiyin.pages("/v1/cases", "cases", of=Case):
        count: int = row["inquiryCount"]
    huiyin.get("/v1/cases/1")["whatever"]
"""
HTTPX_UNREAD = "[mypy]\n[mypy-httpx.*]\nfollow_imports = skip\n"
"""What it is to the client is checked with the client; reading all of it would take most of the time."""


def test_the_types_are_those_of_the_contracts() -> None:
    spec = importlib.util.spec_from_file_location("shapes", CLIENT / "shapes.py")
    assert spec is not None and spec.loader is not None
    shapes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shapes)
    if shapes.Shapes().text() != shapes.TARGET.read_text("utf-8"):
        pytest.fail("the contracts have changed; write the client's types anew: make client-types")


def test_a_type_checker_finds_mistakes_and_none_in_the_guide(tmp_path: Path) -> None:
    mistaken = tmp_path / "mistaken.py"
    mistaken.write_text(MISTAKEN, "utf-8")
    guides = [program("integrate/client.md", number, tmp_path) for number in (0, 1)]
    settings = tmp_path / "mypy.ini"
    settings.write_text(HTTPX_UNREAD, "utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file", str(settings)]
    done = subprocess.run(
        [*command, "--cache-dir", str(ROOT / ".mypy_cache" / "client"), *map(str, (mistaken, *guides))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [line.partition(": error: ")[0] for line in done.stdout.splitlines() if ": error: " in line]
    assert found == [f"mistaken.py:{line}" for line in (6, 7, 8, 10)], done.stdout + done.stderr
