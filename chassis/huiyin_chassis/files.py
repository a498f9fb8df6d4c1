"""Tables in files: the first sheet of a workbook, comma-separated values, or JSON lines, read row by row.

Whoever opens workbooks depends on python-calamine and openpyxl; they are loaded when one is opened.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import csv
import io
import itertools
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Sized
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO, Final, NamedTuple, Protocol

from huiyin_chassis.errors import InvalidArgument

Row = tuple[int, Sequence[object]]

ENCODINGS: Final = {"UTF-8": "utf-8-sig", "UTF-16": "utf-16", "GB18030": "gb18030", "BIG5": "big5hkscs"}
"""Encodings that CSV may be told to be in, as Python knows them."""
DELIMITERS: Final = ",;\t|"

_PIECE_BYTES: Final = 2**20
_PROBE: Final = 64 * 2**10
_KEYS_FROM: Final = 1_000
_LONGEST_LINE: Final = 2**20
_LONGEST_ROW: Final = 4 * 2**20
"""Of CSV, in characters: as many as a row of quoted lines may have."""
_MOST_COLUMNS: Final = 16_384
"""As many as a spreadsheet has."""
_CHINESE: Final = {
    "gb18030": ("gb2312", re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")),
    "big5hkscs": ("big5", re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]")),
}
"""The wider encoding, the narrower that it holds, and what stands for the characters in common use there (level 1)."""
_QUOTED: Final = re.compile('"[^"]*"')
_ENDINGS: Final = {".xlsx": "XLSX", ".csv": "CSV", ".jsonl": "JSONL", ".ndjson": "JSONL"}


class Format(Enum):
    """The format of a file."""

    XLSX = "xlsx"
    CSV = "csv"
    JSONL = "jsonl"

    @classmethod
    def of_name(cls, file_name: str) -> Format:
        """By the ending of a file's name. Raises UnreadableFile."""
        for ending, name in _ENDINGS.items():
            if file_name.lower().endswith(ending):
                return cls[name]
        raise UnreadableFile(
            "the file's name does not tell its format; end it with .xlsx, .csv or .jsonl, or give format"
        )


class UnreadableFile(Exception):
    """The file as a whole cannot be read; the message names the remedy and repeats nothing of the file."""


class BadRow(NamedTuple):
    """A row that could not be read: its number, and the reason with its remedy."""

    row: int
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its header cells, its rows with their numbers (the header of a file is row 1), and how many at most.

    The count is 0 where it is not known.
    """

    header: Sequence[object]
    rows: Iterator[Row | BadRow]
    count: int


class Piece(Protocol):
    """A message of an upload: `file` is a google.api.HttpBody with the next bytes."""

    @property
    def file(self) -> Any:
        """The body."""


async def receive(file: BinaryIO, first: Piece, rest: AsyncIterator[Piece], *, most: int, setting: str) -> None:
    """Writes the pieces of an upload into a file, which stands at its beginning then.

    Raises InvalidArgument for pieces of more than 1 MiB, no bytes at all, and more than `most`, which `setting` raises.
    """
    size = 0
    request: Piece | None = first
    while request is not None:
        piece = request.file.data
        size += len(piece)
        if len(piece) > _PIECE_BYTES:
            raise InvalidArgument("file", "a piece is larger than 1 MiB; send smaller ones", "PIECE_TOO_LARGE")
        if size > most:
            raise InvalidArgument(
                "file", f"is larger than {most} bytes; split it, or raise {setting}", "FILE_TOO_LARGE"
            )
        await asyncio.to_thread(file.write, piece)
        request = await anext(rest, None)
    if not size:
        raise InvalidArgument("file", "is empty; send its bytes", "FILE_EMPTY")
    file.seek(0)


def open_table(
    file: BinaryIO, format: Format, *, keep_empty: bool = False, encoding: str = "", delimiter: str = ""
) -> Table:
    """Opens the table in a file that is read from its beginning. Raises UnreadableFile, here or while rows are read.

    Rows without content are left out; `keep_empty` keeps those between others (a blank line of CSV is no row).
    `encoding` (a value of ENCODINGS) and `delimiter` are those of CSV; they are found out where none is given. Memory
    does not grow with a file of CSV or JSON lines, nor with the rows of a large workbook.
    """
    if format is Format.JSONL:
        return _open_json_lines(file)
    if format is Format.XLSX:
        return _open_workbook(file, keep_empty)
    return _open_csv(file, keep_empty, encoding, delimiter)


def find_column(header: Sequence[object], name: str) -> int | None:
    """Where a column stands that is named so; case, width and white space do not tell names apart."""
    titles = ["" if cell is None else str(cell).lstrip("\ufeff").strip() for cell in header]
    if name.strip() in titles:
        return titles.index(name.strip())
    plain = [_plain(title) for title in titles]
    return plain.index(_plain(name)) if _plain(name) in plain else None


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()


def _with_header(rows: Iterator[Row], count: Callable[[], int], keep_empty: bool) -> Table:
    """The first row that is not empty is the header."""
    header = next(filter(_is_full, rows), None)
    if header is None:
        raise UnreadableFile("the file holds no row; its first row must name the columns")
    _check_width(header[1])
    kept = _with_empty(rows) if keep_empty else filter(_is_full, rows)
    return Table(header[1], kept, max(count() - header[0], 0))


def _check_width(header: Sized) -> None:
    if len(header) > _MOST_COLUMNS:
        raise UnreadableFile(f"the file has more than {_MOST_COLUMNS} columns; leave out those that say nothing")


def _is_full(row: Row) -> bool:
    return any(cell is not None and cell != "" for cell in row[1])


def _with_empty(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows up to the last one that is not empty."""
    waiting: list[Row] = []
    for row in rows:
        if _is_full(row):
            yield from waiting
            waiting.clear()
            yield row
        elif row[1]:
            waiting.append(row)


def _open_workbook(file: BinaryIO, keep_empty: bool) -> Table:
    # Loaded here: most processes read none.
    from huiyin_chassis import workbooks

    def rows() -> Iterator[Row]:
        try:
            yield from sheet.rows
        except workbooks.UnreadableWorkbook as error:
            raise UnreadableFile(str(error)) from error

    try:
        sheet = workbooks.open_sheet(file)
    except workbooks.UnreadableWorkbook as error:
        raise UnreadableFile(str(error)) from error
    return _with_header(rows(), lambda: sheet.count, keep_empty)


def _open_csv(file: BinaryIO, keep_empty: bool, encoding: str, delimiter: str) -> Table:
    encoding = _encoding_of(file, encoding)
    file.seek(0)
    dialect = _dialect_of(delimiter or _delimiter_of(file.read(_PROBE).decode(encoding, "ignore")))
    csv.field_size_limit(_LONGEST_LINE)
    try:
        # Counted beforehand, so that progress has an end; quoted line breaks make lines and rows differ.
        count = sum(1 for _ in _csv_rows(file, encoding, dialect))
    except csv.Error as error:
        raise UnreadableFile("the file cannot be read as CSV; check that quotation marks come in pairs") from error
    return _with_header(_csv_rows(file, encoding, dialect), lambda: count, keep_empty)


def _csv_rows(file: BinaryIO, encoding: str, dialect: type[csv.Dialect]) -> Iterator[Row]:
    file.seek(0)
    text = io.TextIOWrapper(file, encoding, newline="")
    left = _LONGEST_ROW

    def lines() -> Iterator[str]:
        nonlocal left
        for line in text:
            left -= len(line)
            if left < 0:
                raise csv.Error
            yield line

    try:
        for row in enumerate(csv.reader(lines(), dialect), 1):
            left = _LONGEST_ROW
            yield row
    finally:
        # Let go without closing the file, which is read twice; whoever closed it already needs no more.
        with contextlib.suppress(ValueError):
            text.detach()


def _encoding_of(file: BinaryIO, told: str) -> str:
    """The encoding of a file, which has to be without fault in it."""
    file.seek(0)
    probe = file.read(_PROBE)
    for encoding in [told] if told else _candidates(probe):
        if _decodes(file, encoding):
            return encoding
    if told:
        raise UnreadableFile(f"the file is not in {told}; name its encoding, or save it as CSV UTF-8")
    raise UnreadableFile("the file is neither in UTF-8 or UTF-16 nor in GB18030 or Big5; save it as CSV UTF-8")


def _candidates(probe: bytes) -> Iterator[str]:
    """The encodings that a file may be in by its beginning, the likeliest first."""
    if probe.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield "utf-16"
        return
    # A line's end has a zero beside it then, on one side or the other.
    for encoding in ("utf-16-le", "utf-16-be") if probe.count(0) > 1 else ():
        if "\n" in probe.decode(encoding, "ignore"):
            yield encoding
            return
    yield "utf-8-sig"
    yield from sorted(_CHINESE, key=lambda name: _share_in_use(probe, name), reverse=True)


def _share_in_use(probe: bytes, encoding: str) -> float:
    """Which share of the characters beyond ASCII is in common use, if a text is in GB 18030 or Big5."""
    narrow, in_use = _CHINESE[encoding]
    wide = [character for character in probe.decode(encoding, "replace") if character > "\x7f"]
    hits = sum(in_use.fullmatch(character.encode(narrow, "ignore")) is not None for character in wide)
    return hits / max(len(wide), 1)


def _decodes(file: BinaryIO, encoding: str) -> bool:
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while piece := file.read(_LONGEST_LINE):
            decoder.decode(piece)
            if len(piece) == _LONGEST_LINE and b"\n" not in piece and b"\r" not in piece:
                raise UnreadableFile("a line is longer than 1 MiB; is this a CSV file?")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter_of(probe: str) -> str:
    """The delimiter that stands most often in the header line, outside of quotation marks."""
    header = next((line for line in probe.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=_QUOTED.sub("", header).count)


def _dialect_of(found: str) -> type[csv.Dialect]:
    """Quotation marks doubled as RFC 4180 has them."""

    class Found(csv.excel):
        delimiter = found

    return Found


def _open_json_lines(file: BinaryIO) -> Table:
    count = sum(1 for _, line in _lines(file) if line.strip())
    keys: dict[str, None] = {}
    for _, parsed in itertools.islice(_json_lines(file), _KEYS_FROM):
        if isinstance(parsed, dict):
            keys.update(dict.fromkeys(parsed))
            _check_width(keys)
    if not keys:
        raise UnreadableFile("the file holds no JSON object; write one object a line")
    return Table(list(keys), _json_rows(file, list(keys)), count)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Lines with their numbers; of one that is too long only its beginning, which is no JSON then."""
    file.seek(0)
    number, is_whole = 0, True
    while line := file.readline(_LONGEST_LINE):
        if is_whole:
            number += 1
            yield number, line
        is_whole = line.endswith(b"\n")


def _json_lines(file: BinaryIO) -> Iterator[tuple[int, object]]:
    for number, line in _lines(file):
        if line.strip():
            try:
                yield number, json.loads(line.decode("utf-8-sig"))
            except (ValueError, RecursionError):
                yield number, None


def _json_rows(file: BinaryIO, keys: list[str]) -> Iterator[Row | BadRow]:
    for number, parsed in _json_lines(file):
        if isinstance(parsed, dict):
            yield number, [parsed.get(key) for key in keys]
        else:
            yield BadRow(number, "no JSON object in UTF-8; write one object a line")
