"""What processes that ran beside the tests wrote into their logs."""

from __future__ import annotations

from pathlib import Path


def only_declared_reasons(folder: Path) -> None:
    """No method gave a reason that its contract does not declare."""
    lines = [line for path in folder.rglob("*.log*") for line in path.read_text("utf-8", "replace").splitlines()]
    assert [line for line in lines if "rpc.reason_undeclared" in line] == []
