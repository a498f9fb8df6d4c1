"""What makes a row a post: clean text, an identity, figures, a time; and why a row is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Final, NamedTuple

from huiyin_collector.model.columns import Columns
from huiyin_collector.model.times import ACCEPTED, is_plausible, read_time

# The limits of huiyin.collector.v1.Post, in characters.
MAX_EXTERNAL_ID: Final = 200
MAX_SUBJECT: Final = 500
MAX_TEXT: Final = 20_000
MAX_URI: Final = 2_000

REACH: Final = ("likes", "dislikes", "replies", "shares", "views")

_MOST: Final = 2**53  # the last whole number that a spreadsheet counts to
_UNITS: Final = {"千": 1_000, "万": 10_000, "w": 10_000, "亿": 100_000_000, "k": 1_000, "m": 1_000_000}
_FIGURE: Final = re.compile(r"(\d+(?:\.\d+)?)([千万亿wkm]?)")
_NONE: Final = frozenset({"", "-", "--", "—", "——", "无", "n/a", "null", "none", "nan"})
# Control characters, marks that are not seen and turn or split what is (they would also hide a number from masking),
# and halves of characters, which UTF-8 does not have.
_UNWANTED: Final = re.compile("[\x00-\x08\x0e-\x1b\x7f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Refusal(NamedTuple):
    """Why a row is refused: its number in the file, the field, and reason and remedy in a sentence.

    The sentence never repeats what the row says: it may be a name or a number of somebody.
    """

    row: int
    field: str
    description: str


@dataclass(slots=True)
class Draft:
    """A post as it came in, clean but not yet masked; `publish_time` None where its source says none."""

    subject: str
    text: str
    author: str = ""
    external_id: str = ""
    publish_time: datetime | None = None
    uri: str = ""
    reach: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    drill: bool = False
    location: tuple[float, float] | None = None


@dataclass(slots=True)
class MaskedPost:
    """A post as it may be written: numbers masked, its author turned into `voice` (b"" where there is none)."""

    external_id: str
    subject: str
    text: str
    digest: bytes
    publish_time: datetime
    collect_time: datetime
    uri: str
    reach: tuple[int, int, int, int, int]
    drill: bool
    voice: bytes
    location: tuple[float, float] | None = None


class _Refused(Exception):
    def __init__(self, field: str, description: str) -> None:
        self.field = field
        self.description = description


def _refuse(fault: str, field: str) -> None:
    if fault:
        raise _Refused(field, fault)


def read_rows(
    rows: Iterable[tuple[int, Sequence[object]] | Refusal],
    columns: Columns,
    *,
    zone: tzinfo,
    collected: datetime,
    drill: bool = False,
) -> Iterator[tuple[int, Draft] | Refusal]:
    """Turns rows of a table into drafts with their row numbers, or refusals; rows without any content are left out."""
    reader = _Reader(columns, zone, collected, drill)
    for row in rows:
        if isinstance(row, Refusal):
            yield row
            continue
        number, cells = row
        try:
            yield number, reader.read(cells)
        except _Refused as refused:
            yield Refusal(number, refused.field, refused.description)


class _Reader:
    def __init__(self, columns: Columns, zone: tzinfo, collected: datetime, drill: bool) -> None:
        self._at = columns.positions
        self._reach = [columns.positions.get(name) for name in REACH]
        self._zone = zone
        self._collected = collected
        self._drill = drill

    def read(self, cells: Sequence[object]) -> Draft:
        subject = self._text(cells, "subject", MAX_SUBJECT)
        text = self._text(cells, "text", MAX_TEXT)
        _refuse(content_fault(subject, text), "text")
        return Draft(
            subject,
            text,
            identifier(self._cell(cells, "author")),
            self._external_id(cells),
            self._time(cells),
            self._uri(cells),
            tuple(  # type: ignore[arg-type]
                0 if position is None else self._figure(cells, name, position)
                for name, position in zip(REACH, self._reach, strict=True)
            ),
            self._drill,
        )

    def _cell(self, cells: Sequence[object], field: str) -> object:
        position = self._at.get(field)
        value = cells[position] if position is not None and position < len(cells) else None
        if isinstance(value, dict | list):
            raise _Refused(field, "holds an object or a list; write a text or a number")
        return value

    def _text(self, cells: Sequence[object], field: str, most: int) -> str:
        value = self._cell(cells, field)
        text = clean(value if isinstance(value, str) else identifier(value))
        if len(text) > most:
            raise _Refused(field, f"{len(text)} characters, at most {most} are accepted; shorten it or split the row")
        return text

    def _external_id(self, cells: Sequence[object]) -> str:
        value = identifier(self._cell(cells, "external_id"))
        if len(value) > MAX_EXTERNAL_ID:
            raise _Refused("external_id", f"longer than {MAX_EXTERNAL_ID} characters; is this the column of the ids?")
        return value

    def _uri(self, cells: Sequence[object]) -> str:
        value = identifier(self._cell(cells, "uri"))
        if len(value) > MAX_URI:
            raise _Refused("uri", f"longer than {MAX_URI} characters; shorten it or leave it empty")
        _refuse(uri_fault(value), "uri")
        return value

    def _time(self, cells: Sequence[object]) -> datetime | None:
        value = self._cell(cells, "publish_time")
        if value is None or (isinstance(value, str) and value.strip().lower() in _NONE):
            return None
        moment = read_time(value, self._zone)
        if moment is None:
            raise _Refused("publish_time", f"cannot be read as a time; {ACCEPTED}")
        _refuse(time_fault(moment, self._collected), "publish_time")
        return moment

    def _figure(self, cells: Sequence[object], field: str, position: int) -> int:
        value = cells[position] if position < len(cells) else None
        # The common case of workbooks first.
        figure = int(value) if isinstance(value, float) and 0 <= value < _MOST else read_figure(value)
        if figure is None:
            raise _Refused(field, "cannot be read as a count; write a number such as 1200, or leave it empty")
        return figure


def clean(text: str) -> str:
    """Text without control and invisible characters; runs of blanks become one, empty lines go, the ends are bare."""
    text = _UNWANTED.sub("", text)
    return "\n".join([line for line in [" ".join(line.split()) for line in text.splitlines()] if line])


def identifier(value: object) -> str:
    """A cell as an identifier: clean, on one line, and a whole number without the point that spreadsheets give it."""
    if isinstance(value, str):
        return " ".join(_UNWANTED.sub("", value).split())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def read_figure(value: object) -> int | None:
    """A count as sources write it: 1200, "1,200", "1.2万", "3k"; nothing is 0. None when it cannot be read."""
    if value is None:
        return 0
    text = str(value).strip().lower().rstrip("+")
    if text in _NONE:
        return 0
    match = _FIGURE.fullmatch(text.replace(",", "").replace("，", ""))
    if match is None:
        return None
    figure = round(float(match[1]) * _UNITS.get(match[2], 1))
    return figure if figure < _MOST else None


def content_fault(subject: str, text: str) -> str:
    """What is wrong with the content of a post, as a sentence; empty when nothing is."""
    return "" if subject or text else "neither subject nor text; fill one of them, or leave the post out"


def uri_fault(uri: str) -> str:
    """The same for its address: what is shown as a link must not be able to run."""
    if not uri or uri[:8].lower().startswith(("http://", "https://")):
        return ""
    return "no address of a web page; begin it with http:// or https://, or leave it empty"


def time_fault(moment: datetime, collected: datetime) -> str:
    """The same for its time, when it was collected then."""
    return "" if is_plausible(moment, collected) else f"the year {moment.year} cannot be right; {ACCEPTED}"


def digest(subject: str, text: str) -> bytes:
    """What tells one revision of a post from another: 16 bytes over subject and text, both masked."""
    # A clean text holds no zero byte, so the pair cannot be cut elsewhere.
    return blake2b(f"{subject}\x00{text}".encode(), digest_size=16).digest()


def derived_external_id(publish_time: datetime | None, content: bytes) -> str:
    """The identity of a post whose source gives none: a hash of its time, where it has one, and its masked content."""
    at = publish_time.isoformat() if publish_time is not None else ""
    return "hash-" + blake2b(at.encode() + content, digest_size=16).hexdigest()
