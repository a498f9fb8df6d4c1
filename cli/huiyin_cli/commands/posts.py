"""Posts from files: `huiyin import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    importing,
)
from huiyin_cli.console import (
    AsJson,
    caller,
    err,
    out,
    print_json,
)


def import_(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, one message a row.")],
    source: Annotated[str, typer.Option(help="Id of the source that it belongs to. Default: import.")] = "",
    no_answer: Annotated[bool, typer.Option("--no-answer", help="Its authors expect no answer.")] = False,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="field=column, e.g. subject=留言主题; may be repeated.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Zone of times without one. Default: Asia/Shanghai.")] = "",
    drill: Annotated[bool, typer.Option("--drill", help="A rehearsal: joins and counts with nothing real.")] = False,
    encoding: Annotated[
        str, typer.Option(help=f"Of CSV: {', '.join(importing.ENCODINGS)}. Default: found out.", metavar="NAME")
    ] = "",
    delimiter: Annotated[
        str, typer.Option(help='Of CSV: "," ";" "|" or tab. Default: found out.', metavar="CHARACTER")
    ] = "",
    report: Annotated[
        Path | None, typer.Option(help="A file to write, as CSV: which rows were refused, and why.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Imports a file of messages. A row that is known already is not added again."""
    delimiter = "\t" if delimiter == "tab" else delimiter
    if encoding and encoding.lower() not in importing.ENCODINGS:
        raise typer.BadParameter(f"choose one of {', '.join(importing.ENCODINGS)}", param_hint="--encoding")
    if delimiter and delimiter not in importing.DELIMITERS:
        raise typer.BadParameter('choose one of "," ";" "|" and tab', param_hint="--delimiter")
    gateway = caller.gateway()
    source_id = source or ("import-no-answer" if no_answer else "import")
    name = importing.ensure_source(gateway, source_id, expects_answer=not no_answer)
    result, operation = importing.import_file(
        gateway,
        file,
        name,
        columns=columns or [],
        time_zone=time_zone,
        drill=drill,
        encoding=encoding,
        delimiter=delimiter,
        console=err,
    )
    if report is not None:
        report.write_bytes(gateway.file("GET", f"/v1/{operation}:report")[0])
    if as_json:
        print_json(result)
        return
    figures = result.get("figures", {})
    refused = int(figures.get("refused", 0))
    read, created, updated, unchanged = (
        int(figures.get(name, 0)) for name in ("read", "created", "updated", "unchanged")
    )
    out.print(f"{read:,} rows: {created:,} new, {updated:,} edited, {unchanged:,} known already, {refused:,} refused.")
    for row in result.get("refusedRows", []):
        out.print(f"  row {row['row']}, {row.get('field', 'row')}: {row['description']}", markup=False)
    if refused > len(result.get("refusedRows", [])):
        more = "" if report else f"; huiyin import {file.name} --report refused.csv writes them down"
        out.print(f"  … and {refused - len(result['refusedRows']):,} more{more}", markup=False)
    if refused and report:
        out.print(f"Which rows were refused, and why, stands in {report}.", markup=False, highlight=False)
    if refused and refused == read:
        raise typer.Exit(1)
