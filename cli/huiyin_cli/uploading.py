"""Sending a file in pieces, and what the operation that it begins comes to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
from huiyin_client.problems import problem_of, unreachable
from rich.progress import Progress, TaskID

from huiyin_cli.client import Gateway, Json, Problem

_PIECE = 256 * 1024
_ENDINGS = (".xlsx", ".csv", ".jsonl")


def check_table(path: Path) -> None:
    """Raises Problem where a path is no file that may hold a table."""
    if not path.is_file():
        raise Problem(f"{path} is not a file; give the path of an xlsx, csv or jsonl file.")
    if path.suffix.lower() not in _ENDINGS:
        raise Problem(f"{path.name}: the format is not known; it must end in {', '.join(_ENDINGS)}.")


def upload(gateway: Gateway, url: str, path: Path, parameters: Json, progress: Progress, task: TaskID) -> Json:
    """Sends a file; returns the operation that it begins. `progress` has the fields rate and note."""
    size = path.stat().st_size

    def pieces() -> Iterator[bytes]:
        sent = 0
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
                sent += len(piece)
                progress.update(task, note=f"{100 * sent // max(size, 1)} % sent")

    progress.update(task, description="sending", total=None, completed=0, rate="")
    try:
        answer = gateway.http.post(
            url,
            params=parameters,
            content=pieces(),
            headers={"content-type": "application/octet-stream"},
            timeout=httpx.Timeout(30, read=300, write=300),
        )
    except httpx.HTTPError as error:
        raise unreachable(gateway.address, error) from error
    if answer.is_error:
        raise problem_of(answer)
    operation: Json = answer.json()
    return operation


@contextlib.contextmanager
def cancelled_by_ctrl_c(gateway: Gateway, operation: Json) -> Iterator[None]:
    """Whoever interrupts the command while an operation is waited for cancels it."""
    try:
        yield
    except KeyboardInterrupt:
        if gateway.post(f"/v1/{operation['name']}:cancel", {}).get("response"):
            raise Problem("It was done already.") from None
        raise Problem("Cancelled. What had been taken in by then stays.", reason="OPERATION_CANCELLED") from None


def response_of(operation: Json) -> Json:
    """What an operation that is done came to. Raises Problem where it failed."""
    if error := operation.get("error"):
        reasons = [item["reason"] for item in error.get("details", []) if "reason" in item]
        raise Problem(error.get("message", "The operation failed."), reason=reasons[0] if reasons else "")
    response: Json = operation.get("response", {})
    return response
