"""What the people on duty were told: `huiyin notifications`."""

from __future__ import annotations

from collections.abc import Callable

import typer

from huiyin_cli.client import Json
from huiyin_cli.console import (
    AsJson,
    Filter,
    Limit,
    caller,
    local,
    print_rows,
    short,
)

app = typer.Typer(no_args_is_help=True, help="What the people on duty were told.")


@app.command("list")
def notifications_list(filter_: Filter = "", limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists notifications, the newest first."""
    rows = caller.gateway().pages("/v1/notifications", "notifications", limit, filter=filter_)
    columns: dict[str, Callable[[Json], str]] = {
        "created": lambda row: local(row.get("createTime", "")),
        "state": lambda row: short(row.get("state", ""), "STATE_"),
        "receiver": lambda row: row.get("receiver", ""),
        "cause": lambda row: row.get("cause", ""),
        "grade": lambda row: short(row.get("grade", "")),
        "title": lambda row: row.get("title", ""),
        "case": lambda row: row.get("case", ""),
    }
    print_rows(rows, columns, as_json)
