"""What every command shares: who calls, the options, and how rows, JSON and names are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from huiyin_cli.client import Access, Gateway, Json

out = Console(soft_wrap=True)
err = Console(stderr=True)
_WIDE = 240

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Filter = Annotated[
    str, typer.Option("--filter", help="AIP-160, e.g. 'grade >= GRADE_LARGE AND place = \"places/A市\"'.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most this many rows.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]


@dataclass
class Caller:
    """Whose key a command uses: that of `--as`, else that of the account that usually gives it."""

    account: str = ""
    client_file: Path | None = None
    _gateways: dict[str, Gateway] = field(default_factory=dict)

    def gateway(self, default_account: str = "desk") -> Gateway:
        """The gateway with that account's key."""
        account = self.account or default_account
        if account not in self._gateways:
            self._gateways[account] = Gateway(Access.find(account, self.client_file))
        return self._gateways[account]


caller = Caller()


def as_public() -> Gateway:
    """The gateway as the public sees it: no key is sent."""
    return Gateway(Access(caller.gateway().address, ""))


def print_rows(rows: Iterable[Json], columns: dict[str, Callable[[Json], str]], as_json: bool) -> None:
    """Rows as a table, or as they are; `columns`: what each shows of a row."""
    found = list(rows)
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("Nothing there.")
        return
    # Names are there to be copied, so nothing is cut off: the title takes what is left of the line, and folds.
    cells = [[plain(read(row)) for read in columns.values()] for row in found]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, title in enumerate(columns):
        if title == "title":
            table.add_column(title, overflow="fold", min_width=16)
        else:
            table.add_column(title, no_wrap=True, min_width=max(cell_len(row[index]) for row in [[*columns], *cells]))
    for row_cells in cells:
        table.add_row(*row_cells)
    # Into a file or a pipe a row is a line, however long.
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def print_lines(lines: Iterable[str]) -> None:
    """Lines as they are."""
    for line in lines:
        out.print(line, markup=False, highlight=False)


def print_json(value: Any) -> None:
    """A value as JSON for people and programs."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def named(name: str, collection: str) -> str:
    """A resource name, whether it was given with its collection or without."""
    return name if name.startswith(f"{collection}/") else f"{collection}/{name}"


def last(path: str) -> str:
    """The last segment of a topic's or a place's path."""
    return path.rpartition("/")[2].rpartition(".")[2]


def plain(text: str) -> str:
    """Text in which nothing is taken for markup."""
    return text.replace("[", r"\[")


def short(value: str, prefix: str = "GRADE_") -> str:
    """A value of an enum without its prefix."""
    return value.removeprefix(prefix)


def local(value: str) -> str:
    """An RFC 3339 time in the zone of this machine, to the minute."""
    if not value:
        return ""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")


def unit_of(case: Json) -> str:
    """The unit that leads a case; in brackets the one that is suggested."""
    if unit := case.get("leadUnit"):
        return str(unit).removeprefix("units/")
    suggested = str(case.get("suggestedUnit", "")).removeprefix("units/")
    return f"({suggested}?)" if suggested else ""
