"""Tables are read from workbooks, comma-separated values and JSON lines, whatever program wrote them."""

from __future__ import annotations

import codecs
import io
import json
import zipfile
from datetime import datetime

import pytest
from huiyin_chassis import files
from huiyin_chassis.files import BadRow, Format, UnreadableFile, open_table
from openpyxl import Workbook


def read(content: bytes, format: Format) -> tuple[list[object], list[tuple[int, list[object]]]]:
    table = open_table(io.BytesIO(content), format)
    rows = [(row[0], list(row[1])) for row in table.rows if not isinstance(row, BadRow)]
    assert table.count >= len(rows)
    return list(table.header), rows


def workbook(*rows: tuple[object, ...]) -> bytes:
    book, target = Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.create_sheet("another").append(("not", "read"))
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize("in_memory", [files.IN_MEMORY, 0], ids=["at once", "streamed"])
def test_the_first_sheet_of_a_workbook_is_read_with_the_numbers_of_its_rows(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(files, "IN_MEMORY", in_memory)
    at = datetime(2019, 2, 28, 11, 25, 5)
    header, rows = read(workbook((), ("编号", "时间", "内容"), (1, at, "一"), (), (2, "2019/3/1", "二")), Format.XLSX)
    assert header == ["编号", "时间", "内容"]
    assert rows == [(3, [1, at, "一"]), (5, [2, "2019/3/1", "二"])]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_values_in_every_encoding_and_with_every_delimiter(encoding: str, delimiter: str) -> None:
    text = '编号,内容\r\n1,"他说""修""，\n没修"\r\n\r\n2,井盖\r\n'.replace(",", delimiter)
    header, rows = read(text.encode(encoding), Format.CSV)
    assert header == ["编号", "内容"]
    assert rows == [(2, ["1", '他说"修"，\n没修']), (4, ["2", "井盖"])]


@pytest.mark.parametrize("in_memory", [files.IN_MEMORY, 0], ids=["at once", "streamed"])
def test_empty_rows_between_others_are_kept_where_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(files, "IN_MEMORY", in_memory)
    csv = "编号,内容\n一,1\n\n,\n二,2\n,\n".encode()
    xlsx = workbook(("编号", "内容"), ("一", 1), (), ("二", 2), ())
    for content, format in ((csv, Format.CSV), (xlsx, Format.XLSX)):
        table = open_table(io.BytesIO(content), format, keep_empty=True)
        assert [row[1][0] or "" for row in table.rows if not isinstance(row, BadRow)] == ["一", "", "二"]


def test_json_lines_may_have_fields_in_any_order_and_bad_lines_are_named() -> None:
    lines = [
        json.dumps({"id": 1, "text": "一"}),
        "",
        '{"text": "二", "id"',
        "[1]",
        json.dumps({"text": "三", "tags": []}),
    ]
    table = open_table(io.BytesIO(codecs.BOM_UTF8 + "\n".join(lines).encode()), Format.JSONL)
    assert table.header == ["id", "text", "tags"]
    assert table.count == 4
    first, bad, list_, last = table.rows
    assert first == (1, [1, "一", None])
    assert isinstance(bad, BadRow)
    assert isinstance(list_, BadRow)
    assert (bad.row, list_.row) == (3, 4)
    assert last == (5, [None, "三", []])


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        (b"", Format.CSV, "holds no row"),
        (b"\n\n", Format.CSV, "holds no row"),
        (b"\x81\xff\xff", Format.CSV, "neither UTF-8 nor GB18030"),
        (b"a" * (2**20 + 1), Format.CSV, "longer than 1 MiB"),
        (b"", Format.JSONL, "no JSON object"),
        (b"text\nmore", Format.JSONL, "no JSON object"),
        (b"text", Format.XLSX, "no xlsx workbook"),
        (workbook(), Format.XLSX, "holds no row"),
        (workbook(("内容",))[:-30], Format.XLSX, "no xlsx workbook"),
    ],
)
def test_a_file_that_is_none_of_these_is_refused(content: bytes, format: Format, message: str) -> None:
    with pytest.raises(UnreadableFile, match=message):
        read(content, format)


@pytest.mark.parametrize("in_memory", [files.IN_MEMORY, 0], ids=["at once", "streamed"])
def test_an_archive_that_is_no_workbook_is_refused(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(files, "IN_MEMORY", in_memory)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(UnreadableFile, match="damaged"):
        read(target.getvalue(), Format.XLSX)


def test_a_workbook_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_UNPACKED", 100)
    with pytest.raises(UnreadableFile, match="too large"):
        read(workbook(("内容",)), Format.XLSX)


@pytest.mark.parametrize(
    ("name", "format"), [("a.XLSX", Format.XLSX), ("b.csv", Format.CSV), ("c.d.jsonl", Format.JSONL)]
)
def test_the_format_follows_from_the_name(name: str, format: Format) -> None:
    assert Format.of_name(name) is format


def test_a_name_without_a_known_ending_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="give format"):
        Format.of_name("messages.xls")
