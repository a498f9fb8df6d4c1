"""`huiyin import`: sends a file in pieces, follows its operation, and sends it again when a part was away."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.uploading import cancelled_by_ctrl_c, check_table, response_of, upload

_LOOK_SECONDS = 0.2
_ATTEMPTS = 100

ENCODINGS = ("utf-8", "utf-16", "gb18030", "big5")
DELIMITERS = {",": "COMMA", ";": "SEMICOLON", "\t": "TAB", "|": "PIPE"}
"""What a file of CSV may be told to be written with."""


def ensure_source(gateway: Gateway, source_id: str, expects_answer: bool) -> str:
    """The name of the file source with this id, created when it is not there. Refuses one of another expectation."""
    name = f"sources/{source_id}"
    try:
        source = gateway.get(f"/v1/{name}")
    except Problem as problem:
        if problem.status != 404:
            raise
        body: Json = {"displayName": source_id, "kind": "KIND_FILE", "expectsAnswer": expects_answer}
        source = gateway.post("/v1/sources", body, sourceId=source_id)
    if source.get("expectsAnswer", False) != expects_answer:
        has, asked = ("expects answers", "--no-answer") if not expects_answer else ("expects none", "no --no-answer")
        raise Problem(f"The source {source_id} {has}, and the command has {asked}; name another source with --source.")
    return name


def import_file(
    gateway: Gateway,
    path: Path,
    source: str,
    *,
    columns: list[str],
    time_zone: str,
    drill: bool,
    encoding: str,
    delimiter: str,
    console: Console,
) -> tuple[Json, str]:
    """Imports a file; returns the ImportPostsResponse, and the operation's name.

    Rows are idempotent, so a broken import is just sent again. `encoding`, `delimiter`: of ENCODINGS and DELIMITERS.
    """
    check_table(path)
    parameters: Json = {"fileName": path.name, "columns": columns, "timeZone": time_zone}
    if drill:
        parameters["drill"] = "true"
    if encoding:
        parameters["encoding"] = f"ENCODING_{encoding.upper().replace('-', '_')}"
    if delimiter:
        parameters["delimiter"] = f"DELIMITER_{DELIMITERS[delimiter]}"
    with _progress(console) as progress:
        task = progress.add_task("sending", total=None, rate="", note="")
        for attempt in range(_ATTEMPTS):
            try:
                operation = upload(gateway, f"/v1/{source}:importPosts", path, parameters, progress, task)
                with cancelled_by_ctrl_c(gateway, operation):
                    return _follow(gateway, operation, progress, task), str(operation["name"])
            except Problem as problem:
                if not (problem.reason == "OPERATION_LOST" or problem.away) or attempt == _ATTEMPTS - 1:
                    raise
            console.print("A part of the system was away; sending the file again. Rows that arrived stay single.")
            time.sleep(min(2.0, 0.2 * (attempt + 1)))
            patiently(lambda: gateway.get(f"/v1/{source}"))
    raise AssertionError("the last attempt returns or raises")


def _follow(gateway: Gateway, operation: Json, progress: Progress, task: TaskID) -> Json:
    started = time.monotonic()
    while True:
        figures = operation.get("metadata", {}).get("figures", {})
        read, rows = int(figures.get("read", 0)), int(figures.get("rows", 0))
        elapsed = max(time.monotonic() - started, 1e-6)
        progress.update(
            task,
            description="reading",
            completed=read,
            total=rows or None,
            rate=f"{read / elapsed:,.0f} rows/s",
            note="",
        )
        if operation.get("done"):
            break
        time.sleep(_LOOK_SECONDS)
        operation = gateway.get(f"/v1/{operation['name']}")
    response = response_of(operation)
    figures = response.get("figures", {})
    progress.update(task, description="done", completed=int(figures.get("read", 0)), total=int(figures.get("read", 0)))
    return response


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=console,
    )
