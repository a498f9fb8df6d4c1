"""The programs and commands that stand in the documentation, to be run as they are there."""

from __future__ import annotations

import re
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"


def program(guide: str, number: int, folder: Path) -> Path:
    """A Python program of a page, counted from 0, as a file in a folder."""
    found = re.findall(r"```python\n(.*?)```", (_DOCS / guide).read_text("utf-8"), re.DOTALL)
    path = folder / f"program{number}.py"
    path.write_text(found[number], "utf-8")
    return path


def commands(guide: str) -> str:
    """The shell commands of a page, as one script."""
    return "set -eu\n" + "\n".join(re.findall(r"```sh\n(.*?)```", (_DOCS / guide).read_text("utf-8"), re.DOTALL))
