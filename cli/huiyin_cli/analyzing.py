"""`huiyin analyze`: what is read of each row of a file, beside its own columns. Nothing is stored."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.tables import find, heading, moment, open_file, plain, rows_of
from huiyin_cli.uploading import check_table

ADDED = ("topic_1", "topic_2", "topic_3", "confidence", "places", "intent", "harm", "urgency", "times")
"""The columns that are added."""

_BATCH_ROWS = 500
_BATCH_CHARACTERS = 1_000_000
_LONGEST_SUBJECT, _LONGEST_TEXT = 500, 20_000
_ENDINGS = (".csv", ".jsonl")
_ENDS = ("startTime", "endTime")
# Halves of characters, which UTF-8 does not have, and characters that no text holds.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True)
class Columns:
    """Where a table has what is read; None where it has none."""

    text: int
    subject: int | None
    time: int | None


@dataclass(frozen=True)
class Outcome:
    """How many rows there were, which columns were named otherwise than usual, and how many times were no times."""

    rows: int
    renamed: Mapping[str, str]
    unread_times: int


def analyze(
    gateway: Gateway,
    source: Path,
    target: Path,
    *,
    text: str,
    subject: str,
    time: str,
    zone: tzinfo,
    console: Console,
) -> Outcome:
    """Writes every row of a file, in order, with what is read of it. The target appears when it is complete."""
    check_table(source)
    if target.suffix.lower() not in _ENDINGS:
        raise Problem(f"{target.name}: the format is not known; it must end in {' or '.join(_ENDINGS)}.")
    if target.exists() and target.samefile(source):
        raise Problem(f"{target} is the file that is read; give another one to write to.")
    with source.open("rb") as file, _progress(console) as progress:
        table = open_file(file, source)
        header = [heading(cell, index) for index, cell in enumerate(table.header)]
        columns = Columns(
            find(header, text, "--text", source),
            find(header, subject, "--subject", source) if subject else None,
            find(header, time, "--time", source) if time else None,
        )
        names = _added_names(header)
        task = progress.add_task("reading", total=table.count or None)
        rows = unread = 0
        with _written(target, [*header, *names]) as write:
            for batch in _batches(rows_of(table, len(header), source), columns):
                texts = [_text_of(row, columns, zone) for row in batch]
                unread += sum(columns.time is not None and _is_unread(row[columns.time], zone) for row in batch)
                readings = patiently(partial(_read, gateway, texts, str(zone)))
                for row, reading in zip(batch, readings, strict=True):
                    write([*row, *values(reading, zone)])
                rows += len(batch)
                progress.update(task, completed=rows)
        progress.update(task, total=rows, completed=rows)
    renamed = {usual: name for usual, name in zip(ADDED, names, strict=True) if usual != name}
    return Outcome(rows, renamed, unread)


def values(reading: Json, zone: tzinfo) -> list[object]:
    """What of a reading stands in the columns of ADDED; several places, harms and times are a list."""
    topic = reading.get("topic", {})
    levels = [*topic.get("levels", [])[:3], "", "", ""]
    harms = [_word(found["harm"], "HARM_") for found in reading.get("harms", [])]
    return [
        topic.get("label", ""),
        levels[1],
        levels[2],
        round(topic["confidence"], 4) if "confidence" in topic else "",
        [place.removeprefix("places/") for place in reading.get("places", [])],
        _word(reading.get("intent", ""), "INTENT_"),
        harms or ["none"],
        _word(reading.get("urgency", ""), "URGENCY_"),
        [_interval(time, zone) for time in reading.get("times", [])],
    ]


def _word(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def _interval(time: Json, zone: tzinfo) -> str:
    """As ISO 8601 has it, START/END; what recurs in its own words."""
    if time.get("recurring"):
        return str(time["text"])
    ends = (datetime.fromisoformat(time[name].replace("Z", "+00:00")).astimezone(zone) for name in _ENDS)
    return "/".join(end.isoformat(timespec="minutes") for end in ends)


def _read(gateway: Gateway, texts: Sequence[Json], zone: str) -> list[Json]:
    readings: list[Json] = gateway.post("/v1/texts:analyze", {"texts": texts, "timeZone": zone}).get("readings", [])
    return readings


def _batches(rows: Iterator[list[object]], columns: Columns) -> Iterator[list[list[object]]]:
    batch: list[list[object]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += min(len(str(row[columns.text])), _LONGEST_TEXT)
        if len(batch) == _BATCH_ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _text_of(row: Sequence[object], columns: Columns, zone: tzinfo) -> Json:
    found: Json = {"text": _clean(row[columns.text], _LONGEST_TEXT)}
    if columns.subject is not None:
        found["subject"] = _clean(row[columns.subject], _LONGEST_SUBJECT)
    if columns.time is not None and (published := moment(row[columns.time], zone)):
        found["publishTime"] = published.isoformat()
    return found


def _clean(cell: object, longest: int) -> str:
    return _UNWANTED.sub(" ", plain(cell))[:longest]


def _is_unread(cell: object, zone: tzinfo) -> bool:
    return bool(plain(cell).strip()) and moment(cell, zone) is None


def _added_names(header: Sequence[str]) -> list[str]:
    """The names of what is added; a name that the file has already stays the file's."""
    names = []
    for usual in ADDED:
        name = usual
        while name in header:
            name = f"huiyin_{name}"
        names.append(name)
    return names


@contextmanager
def _written(target: Path, header: Sequence[str]) -> Iterator[Callable[[Sequence[object]], None]]:
    """Writes rows beside the target, which they replace when all of them are written."""
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            file = beside.open("w", encoding="utf-8", newline="", errors="replace")
        except OSError as error:
            raise Problem(f"{target} cannot be written ({error.strerror}); give another path.") from error
        with file:
            if target.suffix.lower() == ".csv":
                writer = csv.writer(file)
                writer.writerow(header)
                yield lambda row: writer.writerow([_in_csv(cell) for cell in row])
            else:
                names = _distinct(header)
                yield lambda row: _write_json(file, names, row)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _in_csv(cell: object) -> str:
    return ";".join(map(str, cell)) if isinstance(cell, list) else plain(cell)


def _write_json(file: Any, names: Sequence[str], row: Sequence[object]) -> None:
    cells = {name: _in_json(cell) for name, cell in zip(names, row, strict=True)}
    file.write(json.dumps(cells, ensure_ascii=False) + "\n")


def _in_json(cell: object) -> object:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, date | datetime):
        return cell.isoformat()
    return cell if isinstance(cell, str | int | float | bool | list | dict) or cell is None else str(cell)


def _distinct(header: Sequence[str]) -> list[str]:
    """Names of which none is there twice, since a JSON object has each once."""
    names: list[str] = []
    for name in header:
        number, found = 1, name
        while found in names:
            number += 1
            found = f"{name}_{number}"
        names.append(found)
    return names


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
