"""Replies and past answers: `huiyin replies`, `templates` and `answers`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    answers,
    replying,
    series,
)
from huiyin_cli.client import Json, Problem
from huiyin_cli.console import (
    AsJson,
    caller,
    last,
    named,
    out,
    print_json,
    print_rows,
)

answers_app = typer.Typer(no_args_is_help=True, help="What was answered in the past.")
replies_app = typer.Typer(no_args_is_help=True, help="Replies: looked over, and compared version by version.")
templates_app = typer.Typer(no_args_is_help=True, help="Texts to begin a reply with.")


@replies_app.command("check")
def replies_check(
    name: Annotated[str, typer.Argument(help="The case that is answered.")],
    file: Annotated[
        Path | None, typer.Argument(help="A file with the text, - for standard input. Default: the reply in work.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Looks a reply over before its review; exit code 1 where a finding blocks. Stores nothing."""
    try:
        text = "" if file is None else sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{file} cannot be read as UTF-8 ({error}).") from error
    if file is not None and not text.strip():
        raise Problem(f"{file} holds no text; there is nothing to check.")
    answer = caller.gateway("officer").post(f"/v1/{named(name, 'cases')}:checkReply", {"text": text})
    findings = answer.get("findings", [])
    if as_json:
        print_json(answer)
    else:
        for line in replying.finding_lines(findings):
            out.print(line, markup=False, highlight=False)
        if not findings:
            out.print("Nothing to say of it.")
    if replying.blocks(findings):
        raise typer.Exit(1)


@replies_app.command("diff")
def replies_diff(
    name: Annotated[str, typer.Argument(help="The case.")],
    version: Annotated[int, typer.Option("--of", min=0, help="The later version. Default: the newest.")] = 0,
    base: Annotated[int, typer.Option("--from", min=0, help="The earlier version. Default: the one before.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Shows what changed between two versions of a reply."""
    answer = replying.compare(caller.gateway(), named(name, "cases"), version, base)
    if as_json:
        print_json(answer)
        return
    styled = out.is_terminal
    for line in replying.difference_lines(answer, styled=styled):
        out.print(line, markup=styled, highlight=False)


@templates_app.command("list")
def templates_list(
    case: Annotated[str, typer.Option(help="Only those that suit this case, the nearest first.")] = "",
    as_json: AsJson = False,
) -> None:
    """Lists the templates of replies."""
    parameters = {"case": named(case, "cases")} if case else {}
    rows = caller.gateway("officer").get("/v1/replyTemplates", **parameters).get("replyTemplates", [])
    columns: dict[str, Callable[[Json], str]] = {
        "template": lambda row: row["name"].removeprefix("replyTemplates/"),
        "intents": lambda row: ", ".join(row.get("intents", [])),
        "topics": lambda row: ", ".join(last(topic) for topic in row.get("topics", [])),
        "title": lambda row: row.get("displayName", ""),
    }
    print_rows(rows, columns, as_json)


@templates_app.command("fill")
def templates_fill(
    template: Annotated[str, typer.Argument(help="The template's name, as the list has it.")],
    case: Annotated[str, typer.Argument(help="The case that fills it.")],
    as_json: AsJson = False,
) -> None:
    """Prints a template with what the case knows; what is still to be written stands as 〔待填：…〕."""
    path = f"/v1/{named(template, 'replyTemplates')}:fill"
    answer = caller.gateway("officer").post(path, {"case": named(case, "cases")})
    if as_json:
        print_json(answer)
    else:
        out.print(answer.get("text", ""), markup=False, highlight=False)


@answers_app.command("import")
def answers_import(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, a question with its answer a row.")],
    answer: Annotated[str, typer.Option(help="The column of the answer.")],
    text: Annotated[str, typer.Option(help="The column of what was asked.")] = "",
    subject: Annotated[str, typer.Option(help="The column of the subject.")] = "",
    unit: Annotated[str, typer.Option(help="The column of the office that answered.")] = "",
    identity: Annotated[str, typer.Option("--id", help="The column of the id. Default: the texts are the id.")] = "",
    time: Annotated[str, typer.Option(help="The column of when it was answered.")] = "",
    author: Annotated[
        str, typer.Option(help="The column of who asked: the name is left out wherever it stands in a text.")
    ] = "",
    source: Annotated[str, typer.Option(help="Where they come from. Default: the file's name.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times without one.")] = "Asia/Shanghai",
    as_json: AsJson = False,
) -> None:
    """Brings answers of the past along, to be offered for like cases. Again changes nothing."""
    columns = answers.Columns(answer, subject, text, unit, identity, time, author)
    zone = series.zone_of(time_zone)
    result = answers.import_answers(caller.gateway(), file, source or file.stem, columns, zone)
    if as_json:
        print_json(result)
        return
    out.print(
        f"{result['read']:,} rows: {result['created']:,} new, {result['updated']:,} edited, "
        f"{result['unchanged']:,} known already, {result['empty']:,} without an answer."
    )


@answers_app.command("similar")
def answers_similar(
    case: Annotated[str, typer.Argument(help="The case for which an answer is sought.")] = "",
    text: Annotated[str, typer.Option(help="What is asked, instead of a case.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=50, help="At most this many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Shows past answers to similar questions, with where they come from."""
    result = answers.similar(caller.gateway("officer"), named(case, "cases") if case else "", text, limit)
    if as_json:
        print_json(result)
        return
    for line in answers.lines_of(result):
        out.print(line, markup=False, highlight=False)
