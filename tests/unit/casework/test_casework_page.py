"""The page for officers shows what commands printed, and pictures that are there and load fast."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "casework.md"
RUN = re.compile(r"<!-- run: ([\w-]+) -->\n```\n(.*?)```", re.DOTALL)
MOST_BYTES = 150_000


def test_every_command_of_the_page_was_run_and_shows_what_it_printed() -> None:
    text = PAGE.read_text("utf-8")
    shown = dict(RUN.findall(text))
    assert len(shown) == text.count("<!-- run: ")
    for name, block in shown.items():
        command, _, printed = block.partition("\n")
        assert command.startswith("$ huiyin "), name
        assert printed.strip(), name


def test_the_pictures_of_the_page_are_there_and_small_and_no_other_is_kept() -> None:
    named = set(re.findall(r"\]\((pictures/[\w-]+\.png)\)", PAGE.read_text("utf-8")))
    kept = {f"pictures/{path.name}": path.stat().st_size for path in (PAGE.parent / "pictures").glob("*.png")}
    assert named == set(kept)
    assert max(kept.values()) < MOST_BYTES
