"""Filters of cases that are kept by a name: `huiyin filters`."""

from __future__ import annotations

from typing import Annotated

import typer

from huiyin_cli import batching
from huiyin_cli.client import Json
from huiyin_cli.console import AsJson, caller, named, out, print_json, print_lines

app = typer.Typer(no_args_is_help=True, help="Filters of cases that are kept by a name (cases list --saved NAME).")

_Name = Annotated[str, typer.Argument(help="What it is called.")]


@app.command("list")
def filters_list(as_json: AsJson = False) -> None:
    """Lists the filters of the account, and of the units in which it works."""
    kept = list(caller.gateway().pages("/v1/caseFilters", "caseFilters"))
    if as_json:
        print_json(kept)
    else:
        print_lines(map(batching.filter_line, kept))


@app.command("save")
def filters_save(
    name: _Name,
    filter_: Annotated[str, typer.Argument(metavar="FILTER", help="As cases list --filter takes it.")],
    order_by: Annotated[str, typer.Option(help="As cases list --order-by takes it.")] = "",
    unit: Annotated[str, typer.Option(help="Share it with the members of this unit.")] = "",
) -> None:
    """Keeps a filter; one that the account or the unit keeps by this name already is changed."""
    gateway = caller.gateway()
    owner = named(unit, "units") if unit else ""
    values: Json = {"displayName": name, "filter": filter_, "orderBy": order_by}
    for kept in gateway.pages("/v1/caseFilters", "caseFilters"):
        if (kept["displayName"], kept.get("unit", "")) == (name, owner):
            saved = gateway.patch(f"/v1/{kept['name']}", values)
            break
    else:
        saved = gateway.post("/v1/caseFilters", {**values, "unit": owner})
    print_lines([batching.filter_line(saved)])


@app.command("delete")
def filters_delete(name: _Name) -> None:
    """Keeps a filter no longer."""
    gateway = caller.gateway()
    kept = batching.kept_filter(gateway, name)
    gateway.delete(f"/v1/{kept['name']}")
    out.print(f"{kept['displayName']} deleted", markup=False)
