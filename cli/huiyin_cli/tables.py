"""Tables in files as commands read them: rows as wide as their header, cells as text, columns by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huiyin_cli.client import Problem

if TYPE_CHECKING:
    from huiyin_chassis.files import Table

_LISTED = 20
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
)


def open_file(file: Any, source: Path) -> Table:
    """The table of a file that was opened. Raises Problem."""
    # Loaded here: few commands need it.
    from huiyin_chassis.files import Format, UnreadableFile, open_table

    try:
        return open_table(file, Format.of_name(source.name), keep_empty=True)
    except UnreadableFile as error:
        raise Problem(f"{source.name}: {error}.") from error


def rows_of(table: Table, width: int, source: Path) -> Iterator[list[object]]:
    """Rows, each as wide as the header."""
    from huiyin_chassis.files import BadRow, UnreadableFile

    try:
        for row in table.rows:
            if isinstance(row, BadRow):
                raise Problem(f"{source.name}, row {row.row}: {row.description}.")
            cells = list(row[1])
            if len(cells) > width and any(cell not in (None, "") for cell in cells[width:]):
                raise Problem(f"{source.name}, row {row[0]}: has more cells than the header names; check its quotes.")
            yield (cells + [None] * width)[:width]
    except UnreadableFile as error:
        raise Problem(f"{source.name}: {error}.") from error


def moment(cell: object, zone: tzinfo) -> datetime | None:
    """The time of a cell, in a zone unless it names one."""
    match = _TIME.fullmatch(plain(cell).strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        if match[7]:
            offset = datetime.fromisoformat(f"2000-01-01T00:00:00{match[7].replace('Z', '+00:00')}").tzinfo
            return datetime(year, month, day, hour, minute, second, tzinfo=offset)
        return datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def heading(cell: object, index: int) -> str:
    """The name of a column; one without has its number."""
    return plain(cell).strip().lstrip("\ufeff") or f"column_{index + 1}"


def find(header: Sequence[str], name: str, option: str, source: Path) -> int:
    """Where a column stands. Raises Problem, which names the option and the columns that there are."""
    from huiyin_chassis.files import find_column

    index = find_column(header, name)
    if index is None:
        listed = ", ".join(header[:_LISTED]) + (" …" if len(header) > _LISTED else "")
        raise Problem(f"{option}: {source.name} has no column {name!r}; it has: {listed}.")
    return index


def plain(cell: object) -> str:
    """A cell as text: whole numbers without a fraction, times as ISO 8601 has them."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return str(cell)
