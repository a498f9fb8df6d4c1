"""Files beside inquiries and answers: `huiyin attachments`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli.attaching import attachment_lines, file_of, save
from huiyin_cli.client import Problem
from huiyin_cli.console import AsJson, caller, out, print_json, print_lines

app = typer.Typer(no_args_is_help=True, help="Files beside inquiries, and those that go with answers.")

Holder = Annotated[str, typer.Argument(help="inquiries/…, or cases/… for those of its answer.")]
Enclosure = Annotated[str, typer.Argument(help="cases/…/attachments/… as `attachments list` has it.")]


@app.command("list")
def attachments_list(holder: Holder, as_json: AsJson = False) -> None:
    """Lists the files of an inquiry, or of the answers of a case."""
    found = caller.gateway().get(f"/v1/{_holder(holder)}/attachments").get("attachments", [])
    if as_json:
        print_json(found)
    else:
        print_lines(attachment_lines(found) if found else ["No files."])


@app.command("add")
def attachments_add(
    holder: Holder,
    file: Annotated[Path, typer.Argument(help="A JPEG, PNG, WebP or PDF of at most 5 MB.")],
    as_json: AsJson = False,
) -> None:
    """Adds a file to an inquiry, or to the draft of a case's answer. What it carries unseen is taken out."""
    of_case = _holder(holder).startswith("cases/")
    verb, account = ("enclose", "officer") if of_case else ("attach", "desk")
    added = caller.gateway(account).post(f"/v1/{holder}:{verb}", {"file": file_of(file)})
    if as_json:
        print_json(added)
    else:
        print_lines(attachment_lines([added]))


@app.command("clear")
def attachments_clear(name: Enclosure, as_json: AsJson = False) -> None:
    """Says that a file of a draft was looked over and may go out; whoever added it asks another reviewer."""
    cleared = caller.gateway("reviewer").post(f"/v1/{name}:clear", {})
    if as_json:
        print_json(cleared)
    else:
        print_lines(attachment_lines([cleared]))


@app.command("take-out")
def attachments_take_out(name: Enclosure) -> None:
    """Takes a file out of a draft and destroys it."""
    caller.gateway("officer").post(f"/v1/{name}:takeOut", {})
    out.print(f"{name}  taken out", markup=False)


@app.command("download")
def attachments_download(
    name: Annotated[str, typer.Argument(help="…/attachments/… as `attachments list` has it.")],
    target: Annotated[Path | None, typer.Option("--out", help="Where to. Default: its name, in this folder.")] = None,
) -> None:
    """Saves a file."""
    data, called = caller.gateway().file("GET", f"/v1/{name}:download")
    out.print(str(save(data, called, target)), markup=False)


def _holder(name: str) -> str:
    if not name.startswith(("inquiries/", "cases/")):
        raise Problem(f"{name}: name an inquiry (inquiries/…) or a case (cases/…).")
    return name
