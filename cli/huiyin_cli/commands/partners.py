"""Systems of other bodies that pass inquiries on to us: `huiyin partners`."""

from __future__ import annotations

from typing import Annotated

import typer

from huiyin_cli.client import Json
from huiyin_cli.console import AsJson, caller, local, named, out, print_lines, print_rows

app = typer.Typer(no_args_is_help=True, help="Systems of other bodies that pass inquiries on to us, signed.")

_Partner = Annotated[str, typer.Argument(metavar="PARTNER", help="Its id, e.g. hotline.")]


_CALLBACK_HELP = "Where answers are posted to: https://…"


@app.command("list")
def partners_list(as_json: AsJson = False) -> None:
    """Lists partners."""
    print_rows(
        caller.gateway().pages("/v1/partners", "partners"),
        {
            "name": lambda row: row["name"],
            "called": lambda row: row["displayName"],
            "answers to": lambda row: row.get("callbackUrl", ""),
            "state": lambda row: "disabled" if row.get("disabled") else "",
            "secret of": lambda row: local(row["rotateTime"]),
            "the one before until": lambda row: local(row.get("previousExpireTime", "")),
        },
        as_json,
    )


@app.command("create")
def partners_create(
    partner: _Partner,
    display_name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    callback: Annotated[
        str, typer.Option(help=f"{_CALLBACK_HELP} Default: none, answers are read with the receipt.")
    ] = "",
) -> None:
    """Creates a partner; its secret is shown this once."""
    values = {"displayName": display_name, "callbackUrl": callback}
    _tell_secret(caller.gateway().post("/v1/partners", values, partnerId=partner))


@app.command("update")
def partners_update(
    partner: _Partner,
    display_name: Annotated[str, typer.Option("--name", help="What it is called.")] = "",
    callback: Annotated[str | None, typer.Option(help=f'{_CALLBACK_HELP} "" for nowhere.')] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="Whether nothing is taken from it, nor posted to it.")
    ] = None,
) -> None:
    """Changes what is given."""
    given: Json = {"displayName": display_name or None, "callbackUrl": callback, "disabled": disabled}
    values = {field: value for field, value in given.items() if value is not None}
    mask = ",".join(values)
    if not mask:
        raise typer.BadParameter("give what is to change: --name, --callback, --disable or --enable")
    path = f"/v1/{named(partner, 'partners')}"
    changed = caller.gateway().patch(path, values, updateMask=mask)
    out.print(f"{changed['name']} changed", markup=False, highlight=False)


@app.command("rotate-secret")
def partners_rotate_secret(
    partner: _Partner,
    revoke: Annotated[bool, typer.Option(help="Refuse the one before at once: it may be in other hands.")] = False,
) -> None:
    """Makes a new secret, which is shown this once; the one before is accepted for a day."""
    path = f"/v1/{named(partner, 'partners')}:rotateSecret"
    _tell_secret(caller.gateway().post(path, {"revokePrevious": revoke}))


def _tell_secret(answer: Json) -> None:
    partner = answer["partner"]
    address = f"{caller.gateway().address}/v1/{partner['name']}/inquiries"
    print_lines([f"secret: {answer['secret']}", f"It is not shown again. {partner['name']} posts to {address}"])
    if until := partner.get("previousExpireTime"):
        out.print(f"The one before is accepted until {local(until)}.", markup=False, highlight=False)
