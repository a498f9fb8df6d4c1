"""What `make audit` says, and what `make sbom` is of."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "deploy" / "supply" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answering(printed: object, told: str = "", code: int = 0) -> list[str]:
    """What stands in for pip-audit, which asks pypi.org."""
    text = printed if isinstance(printed, str) else json.dumps(printed)
    return [sys.executable, "-c", f"import sys; print({text!r}); print({told!r}, file=sys.stderr); sys.exit({code})"]


def test_each_weakness_is_told_with_the_version_that_mends_it(audit: ModuleType) -> None:
    found = {
        "dependencies": [
            {"name": "sound", "version": "1.0", "vulns": []},
            {
                "name": "weak",
                "version": "2.0",
                "vulns": [
                    {"id": "PYSEC-2026-1", "fix_versions": ["2.1", "3.0"]},
                    {"id": "PYSEC-2026-2", "fix_versions": []},
                ],
            },
        ]
    }
    count, lines = audit.weaknesses("requirements.txt", answering(found, code=1))
    assert count == 2
    assert lines == [
        "weak 2.0: PYSEC-2026-1, mended in 2.1, 3.0",
        "weak 2.0: PYSEC-2026-2, mended in no version yet",
    ]


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ("", "ConnectionError: nobody there"),
        ({"dependencies": [{"name": "a", "skip_reason": "not found: a"}]}, ""),
        ({"dependencies": []}, ""),
        ("", ""),
    ],
)
def test_nothing_passes_because_nobody_answered(audit: ModuleType, printed: object, told: str) -> None:
    with pytest.raises(audit.CouldNotAsk, match="could not be audited, and nothing is known of its weaknesses"):
        audit.weaknesses("requirements.txt", answering(printed, told))


def test_the_bill_of_materials_is_of_every_part() -> None:
    named = tomllib.loads((ROOT / "deploy" / "supply" / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    listed = subprocess.run(
        ["git", "ls-files", "*pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    parts = [tomllib.loads((ROOT / path).read_text("utf-8")) for path in listed.stdout.split()]
    names = {part["project"]["name"] for part in parts if "project" in part} - {"huiyin"}
    assert set(named) == names
