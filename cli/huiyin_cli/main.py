"""`huiyin`: the command for people and scripts, a client of the gateway."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli.client import Problem
from huiyin_cli.commands import (
    attachments,
    cases,
    clocks,
    events,
    filters,
    grading,
    inquiries,
    notifications,
    partners,
    posts,
    replies,
    sources,
    system,
    topics,
)
from huiyin_cli.console import caller, err

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)


@app.callback()
def _options(
    account: Annotated[
        str, typer.Option("--as", help="The account whose key is used. Default: desk; apply, train: admin.")
    ] = "",
    client_file: Annotated[Path | None, typer.Option(help="Address and keys. Default: var/client.toml.")] = None,
) -> None:
    caller.account = account
    caller.client_file = client_file


app.command("import")(posts.import_)
app.command("analyze")(topics.analyze)
app.command("apply")(system.apply)
app.command("train")(topics.train)
app.command("inquire")(inquiries.inquire)
app.command("take")(inquiries.take)
app.command("receipt")(inquiries.receipt)
app.command("search")(events.search)
app.command("watch")(system.watch)
app.command("status")(system.status)
app.add_typer(events.app, name="events")
app.add_typer(cases.app, name="cases")
app.add_typer(filters.app, name="filters")
app.add_typer(inquiries.app, name="inquiries")
app.add_typer(attachments.app, name="attachments")
app.add_typer(partners.app, name="partners")
app.add_typer(sources.app, name="sources")
app.add_typer(notifications.app, name="notifications")
app.add_typer(grading.app, name="policy")
app.add_typer(topics.models_app, name="models")
app.add_typer(replies.answers_app, name="answers")
app.add_typer(replies.replies_app, name="replies")
app.add_typer(replies.templates_app, name="templates")
app.add_typer(clocks.clock_app, name="clock")
app.add_typer(clocks.supervision_app, name="supervision")
app.add_typer(topics.topics_app, name="topics")


def main() -> None:
    """Runs a command; a problem is one sentence on standard error and exit code 1."""
    try:
        app()
    except Problem as problem:
        err.print(str(problem), style="red", markup=False, highlight=False)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
