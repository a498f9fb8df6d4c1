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
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.uploading import check_table

if TYPE_CHECKING:
    from huiyin_chassis.files import Table

ADDED = ("topic_1", "topic_2", "topic_3", "confidence", "places", "intent", "harm", "urgency", "times")
"""The columns that are added."""

_BATCH_ROWS = 500
_BATCH_CHARACTERS = 1_000_000
_LONGEST_SUBJECT, _LONGEST_TEXT = 500, 20_000
_ENDINGS = (".csv", ".jsonl")
_LISTED = 20
_ENDS = ("startTime", "endTime")
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[T ]\s*(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?"
)
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
        table = _open(file, source)
        header = [_heading(cell, index) for index, cell in enumerate(table.header)]
        columns = Columns(
            _find(header, text, "--text", source),
            _find(header, subject, "--subject", source) if subject else None,
            _find(header, time, "--time", source) if time else None,
        )
        names = _added_names(header)
        task = progress.add_task("reading", total=table.count or None)
        rows = unread = 0
        with _written(target, [*header, *names]) as write:
            for batch in _batches(_rows(table, len(header), source), columns):
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


def _open(file: Any, source: Path) -> Table:
    # Loaded here: no other command needs it.
    from huiyin_chassis.files import Format, UnreadableFile, open_table

    try:
        return open_table(file, Format.of_name(source.name), keep_empty=True)
    except UnreadableFile as error:
        raise Problem(f"{source.name}: {error}.") from error


def _rows(table: Table, width: int, source: Path) -> Iterator[list[object]]:
    """Rows, each as wide as the header."""
    from huiyin_chassis.files import BadRow, UnreadableFile

    try:
        for row in table.rows:
            if isinstance(row, BadRow):
                raise Problem(f"{source.name}, row {row.row}: {row.description}.")
            cells = list(row[1])
            if len(cells) > width and any(cell not in (None, "") for cell in cells[width:]):
                raise Problem(f"{source.name}, row {row[0]}: has more cells than the header names; check its quotes.")
            yield (cells + [None] * width)[:width]
    except UnreadableFile as error:
        raise Problem(f"{source.name}: {error}.") from error


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
    if columns.time is not None and (moment := _moment(row[columns.time], zone)):
        found["publishTime"] = moment.isoformat()
    return found


def _clean(cell: object, longest: int) -> str:
    return _UNWANTED.sub(" ", _plain(cell))[:longest]


def _moment(cell: object, zone: tzinfo) -> datetime | None:
    """The time of a cell, in a zone unless it names one."""
    match = _TIME.fullmatch(_plain(cell).strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        if match[7]:
            offset = datetime.fromisoformat(f"2000-01-01T00:00:00{match[7].replace('Z', '+00:00')}").tzinfo
            return datetime(year, month, day, hour, minute, second, tzinfo=offset)
        return datetime(year, month, day, hour, minute, second, tzinfo=zone)
    except ValueError:
        return None


def _is_unread(cell: object, zone: tzinfo) -> bool:
    return bool(_plain(cell).strip()) and _moment(cell, zone) is None


def _heading(cell: object, index: int) -> str:
    return _plain(cell).strip().lstrip("\ufeff") or f"column_{index + 1}"


def _find(header: Sequence[str], name: str, option: str, source: Path) -> int:
    from huiyin_chassis.files import find_column

    index = find_column(header, name)
    if index is None:
        listed = ", ".join(header[:_LISTED]) + (" …" if len(header) > _LISTED else "")
        raise Problem(f"{option}: {source.name} has no column {name!r}; it has: {listed}.")
    return index


def _added_names(header: Sequence[str]) -> list[str]:
    """The names of what is added; a name that the file has already stays the file's."""
    names = []
    for usual in ADDED:
        name = usual
        while name in header:
            name = f"huiyin_{name}"
        names.append(name)
    return names


def _plain(cell: object) -> str:
    """A cell as text: whole numbers without a fraction, times as ISO 8601 has them."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53:
        return str(int(cell))
    return str(cell)


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
    return ";".join(map(str, cell)) if isinstance(cell, list) else _plain(cell)


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
