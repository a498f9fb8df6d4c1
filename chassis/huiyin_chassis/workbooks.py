"""The first sheet of a workbook, row by row.

A small workbook may ask for any amount of memory and time: by what it unpacks to, by a cell in its farthest corner, by
texts without end. So one that is small and plain is read at once, six times faster; every other one in a process of its
own with limits to both, which leaves nothing of it in ours:

    python -m huiyin_chassis.workbooks < file > rows

What it writes is lines of JSON: how many rows there may be, then rows with their numbers, some a line, null at the end.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, BinaryIO, Final

IN_MEMORY: Final = 64 * 2**20
"""Workbooks up to this size, unpacked, in bytes, are read at once if they are plain."""

_MOST_UNPACKED: Final = 4 * 2**30
_MOST_CELLS: Final = 2_000_000
"""Of a sheet that is read at once, empty ones between others included: each takes up to 64 bytes."""
_MOST_TAGS: Final = 4_000_000
"""Of what is read at once beside sheets: each may be a text, which takes at least 24 bytes."""
_MEMORY: Final = 2**30
_CPU_SECONDS: Final = 900
_PIECE: Final = 2**20
_ROWS_A_LINE: Final = 100
_DAMAGED: Final = "the workbook is damaged; open it in a spreadsheet and save it again"
_TOO_MUCH: Final = "the workbook takes more memory or time to read than a file may; split it, or save it as CSV"
_FAULTS: Final = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    SyntaxError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
# As every spreadsheet writes them; whoever writes them otherwise is read in the slower way.
_ROW: Final = re.compile(rb'<row r="([0-9]{1,7})"')
_CELL: Final = re.compile(rb'<c r="([A-Z]{1,3})([0-9]{1,7})"')
_ROW_OR_CELL: Final = re.compile(rb"[<:](?:row|c)[\s/>]")

Row = tuple[int, Sequence[object]]


class UnreadableWorkbook(Exception):
    """It cannot be read; the message names the remedy and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows with their numbers, and how many there are at most; 0 where that is not known."""

    rows: Iterator[Row]
    count: int


def open_sheet(file: BinaryIO) -> Sheet:
    """The first sheet of a workbook. Raises UnreadableWorkbook, here or while rows are read."""
    try:
        with zipfile.ZipFile(file) as archive:
            told = sum(member.file_size for member in archive.infolist())
            at_once = told <= IN_MEMORY and _is_plain(archive)
    except _FAULTS as error:
        raise UnreadableWorkbook(
            "the file is no xlsx workbook; open it in a spreadsheet and save it as xlsx, without a password"
        ) from error
    if told > _MOST_UNPACKED:
        raise UnreadableWorkbook("the workbook is too large; split it, or save it as CSV")
    file.seek(0)
    return _read_at_once(file) if at_once else _read_apart(file)


def _is_plain(archive: zipfile.ZipFile) -> bool:
    """Whether a workbook, read at once, takes no more than its size suggests."""
    left = IN_MEMORY
    for member in archive.infolist():
        # What the archive says of its size may be a lie: all that there is comes out.
        member.file_size = IN_MEMORY + 1
        shape = _Shape()
        with archive.open(member) as part:
            for piece in _pieces(part):
                left -= len(piece)
                if left < 0:
                    return False
                shape.see(piece)
        if not shape.is_plain:
            return False
    return True


def _pieces(part: Any) -> Iterator[bytes]:
    """What a part of an archive holds, cut where a tag begins."""
    rest = b""
    while read := part.read(_PIECE):
        whole = rest + read
        cut = max(whole.rfind(b"<"), 0)
        yield whole[:cut]
        rest = whole[cut:]
    yield rest


class _Shape:
    """How much of memory a part takes, by what was seen of it."""

    def __init__(self) -> None:
        self._is_sheet = False
        self._is_usual = True
        self._tags = 0
        self._height = 0
        self._columns: set[bytes] = set()

    def see(self, piece: bytes) -> None:
        self._tags += piece.count(b"<")
        self._is_sheet = self._is_sheet or b"sheetData" in piece
        if not self._is_sheet:
            return
        rows, cells = _ROW.findall(piece), _CELL.findall(piece)
        self._is_usual = self._is_usual and len(_ROW_OR_CELL.findall(piece)) == len(rows) + len(cells)
        self._columns.update(column for column, _ in cells)
        self._height = max(self._height, _last(rows), _last(row for _, row in cells))

    @property
    def is_plain(self) -> bool:
        if not self._is_sheet:
            return self._tags <= _MOST_TAGS
        width = max(map(_number_of, self._columns), default=0)
        return self._is_usual and self._height * width <= _MOST_CELLS


def _last(rows: Iterable[bytes]) -> int:
    return max(map(int, rows), default=0)


def _number_of(column: bytes) -> int:
    """A is 1, Z 26, AA 27."""
    number = 0
    for letter in column:
        number = number * 26 + letter - 64
    return number


def _read_at_once(file: BinaryIO) -> Sheet:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        sheet = CalamineWorkbook.from_filelike(file).get_sheet_by_index(0)
    except (CalamineError, IndexError) as error:
        raise UnreadableWorkbook(_DAMAGED) from error
    except BaseException as error:
        # What the library did not foresee is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise UnreadableWorkbook(_DAMAGED) from error
    return Sheet(enumerate(sheet.iter_rows(), 1), sheet.total_height)


# In a process of its own


def _read_apart(file: BinaryIO) -> Sheet:
    lines = _lines_of(file)
    return Sheet(_rows_of(lines), _told(next(lines, b"")))


def _lines_of(file: BinaryIO) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as copy:
        try:
            source = file.fileno()
        except OSError:  # it is in memory
            copy.write(file.read())
            copy.flush()
            source = copy.fileno()
        command = [sys.executable, "-I", "-m", __name__, f"{_MEMORY}", f"{_CPU_SECONDS}"]
        reader = subprocess.Popen(command, stdin=source, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: S603
        assert reader.stdout is not None
        try:
            yield from reader.stdout
        finally:
            # Whoever reads no further needs it no more.
            reader.kill()
            reader.stdout.close()
            reader.wait()


def _rows_of(lines: Iterator[bytes]) -> Iterator[Row]:
    for line in lines:
        rows = _told(line)
        if rows is None:
            return
        yield from map(tuple, rows)
    raise UnreadableWorkbook(_TOO_MUCH)


def _told(line: bytes) -> Any:
    """Raises UnreadableWorkbook for what says so, and for what is cut short."""
    try:
        told = json.loads(line, object_hook=_value)
    except ValueError:
        raise UnreadableWorkbook(_TOO_MUCH) from None
    if isinstance(told, str):
        raise UnreadableWorkbook(told)
    return told


def _value(told: dict[str, str]) -> datetime:
    return datetime.fromisoformat(told["at"])


def _tell(value: object) -> object:
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    if isinstance(value, date):
        return {"at": datetime(value.year, value.month, value.day).isoformat()}
    return str(value)


def main(memory: int, cpu_seconds: int) -> None:
    """Writes the rows of the workbook on the standard input, which is a file."""
    import resource  # which not every system has that only sends workbooks

    # It would load numpy, wherever that is, to know its numbers: half a second and 30 MB for nothing.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    from openpyxl import load_workbook

    def say(told: object) -> None:
        sys.stdout.buffer.write(json.dumps(told, default=_tell).encode() + b"\n")

    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    try:
        sheet = load_workbook(sys.stdin.buffer, read_only=True, data_only=True).worksheets[0]
        say(sheet.max_row or 0)
        rows = _within_header(enumerate(sheet.iter_rows(values_only=True), 1))
        while some := list(islice(rows, _ROWS_A_LINE)):
            say(some)
        say(None)
    except _FAULTS:
        say(_DAMAGED)


def _within_header(rows: Iterator[Row]) -> Iterator[Row]:
    """Rows that have a cell, as wide as the first with a value: what stands beyond it has no name."""
    width = 0
    for number, cells in rows:
        if not width and any(cell is not None and cell != "" for cell in cells):
            width = len(cells)
        if cells:
            yield number, cells[:width]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
