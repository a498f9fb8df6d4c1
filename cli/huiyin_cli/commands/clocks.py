"""By when things are due: `huiyin clock` and `supervision`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from huiyin_cli import (
    clocks,
    series,
)
from huiyin_cli.console import (
    AsJson,
    Limit,
    caller,
    named,
    out,
    print_json,
)

clock_app = typer.Typer(no_args_is_help=True, help="By when things are due, and why then.")
supervision_app = typer.Typer(no_args_is_help=True, help="What is due and was not done.")


@clock_app.command("explain")
def clock_explain(
    name: Annotated[str, typer.Argument(help="A case, or clocks/… for one clock.")],
    as_json: AsJson = False,
) -> None:
    """Says of a case's clocks what they count and skip, on which notice that rests, and how much is left."""
    verb = "explain" if name.startswith("clocks/") else "explainClock"
    path = name if verb == "explain" else named(name, "cases")
    answer = caller.gateway().get(f"/v1/{path}:{verb}")
    if as_json:
        print_json(answer)
        return
    for number, explanation in enumerate(answer.get("clocks", [])):
        if number:
            out.print()
        for line in clocks.explained(explanation):
            out.print(line, markup=False, highlight=False)
    if left_out := answer.get("leftOut"):
        out.print(f"\n… and {left_out} more; give clocks/… for one of them")


@supervision_app.command("list")
def supervision_list(
    filter_: Annotated[
        str, typer.Option("--filter", help="AIP-160, e.g. 'stage >= SUPERVISION AND lead_unit = \"units/water\"'.")
    ] = "",
    until: Annotated[str, typer.Option(help="What ends by then, e.g. 2026-03-01T17:30. Default: today.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times.")] = "Asia/Shanghai",
    limit: Limit = 200,
    as_json: AsJson = False,
) -> None:
    """Lists by unit what is due today or was due before: what was reminded of, is supervised, stood in a circular."""
    zone = series.zone_of(time_zone)
    until = series.rfc3339(until, zone, "--until")
    rows = list(caller.gateway().pages("/v1/clocks:supervision", "clocks", limit, filter=filter_, until=until))
    if as_json:
        print_json(rows)
        return
    if not rows:
        out.print("Nothing is due.")
    for line in clocks.supervised(rows, zone, datetime.now(zone)):
        out.print(line, markup=False, highlight=False)
