"""The rules by which events are graded: `huiyin policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    policies,
)
from huiyin_cli.console import (
    AsJson,
    caller,
    out,
    print_json,
)

app = typer.Typer(no_args_is_help=True, help="The rules by which events are graded.")


@app.command("test")
def policy_test(
    policy: Annotated[Path, typer.Argument(help="A grading policy, as samples/policies/grading.yaml is one.")],
    events: Annotated[
        Path | None, typer.Option("--on", help="Events of `events export --format jsonl`. Default: those of now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says which events would have another grade if a policy were in force, and by which rules. Stores nothing."""
    result = policies.test_policy(caller.gateway(), policy, events)
    if as_json:
        print_json(result)
        return
    for line in policies.lines_of(result):
        out.print(line, markup=False, highlight=False)
