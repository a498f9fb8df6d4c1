"""The system itself: `huiyin apply`, `status` and `watch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    applying,
    watching,
)
from huiyin_cli.console import (
    AsJson,
    as_public,
    caller,
    out,
    print_json,
)


def apply(folder: Annotated[Path, typer.Argument(help="A folder as samples/ is one.")]) -> None:
    """Writes the topics, places, units and policies of a folder. Again changes nothing."""
    for line in applying.apply_folder(caller.gateway("admin"), folder):
        out.print(line, markup=False)


def watch(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help='e.g. case.opened or "case.*"; may be repeated.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prints every change as it happens, until Ctrl-C."""
    for row in watching.changes(caller.gateway(), kinds or []):
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            print(watching.line_of(row), flush=True)


def status(as_json: AsJson = False) -> None:
    """Says whether every part serves."""
    answer = as_public().get("/v1/status")
    if as_json:
        print_json(answer)
    else:
        for part in answer.get("services", []):
            out.print(f"{part['service']:<10} {'serving' if part.get('serving') else 'NOT SERVING'}")
    if not answer.get("serving"):
        raise typer.Exit(1)
