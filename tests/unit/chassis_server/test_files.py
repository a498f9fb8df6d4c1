"""Tables are read from workbooks, comma-separated values and JSON lines, whatever program wrote them."""

from __future__ import annotations

import codecs
import io
import json
import zipfile
from datetime import datetime

import pytest
from huiyin_chassis import workbooks
from huiyin_chassis.files import ENCODINGS as ENCODED
from huiyin_chassis.files import BadRow, Format, UnreadableFile, open_table
from openpyxl import Workbook


def read(content: bytes, format: Format) -> tuple[list[object], list[tuple[int, list[object]]]]:
    table = open_table(io.BytesIO(content), format)
    rows = [(row[0], list(row[1])) for row in table.rows if not isinstance(row, BadRow)]
    assert table.count >= len(rows) or not table.count
    return list(table.header), rows


def workbook(*rows: tuple[object, ...]) -> bytes:
    book, target = Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(row)
    book.create_sheet("another").append(("not", "read"))
    book.save(target)
    return target.getvalue()


@pytest.mark.parametrize("in_memory", [workbooks.IN_MEMORY, 0], ids=["at once", "apart"])
def test_the_first_sheet_of_a_workbook_is_read_with_the_numbers_of_its_rows(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(workbooks, "IN_MEMORY", in_memory)
    at = datetime(2019, 2, 28, 11, 25, 5)
    header, rows = read(workbook((), ("编号", "时间", "内容"), (1, at, "一"), (), (2, "2019/3/1", "二")), Format.XLSX)
    assert header == ["编号", "时间", "内容"]
    assert rows == [(3, [1, at, "一"]), (5, [2, "2019/3/1", "二"])]


ENCODINGS = ["utf-8", "utf-8-sig", "gb18030", "big5", "utf-16", "utf-16-le", "utf-16-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_values_in_every_encoding_and_with_every_delimiter(encoding: str, delimiter: str) -> None:
    text = '編號,內容\r\n1,"他說""修""，\n一直沒修"\r\n\r\n2,一個井蓋\r\n'.replace(",", delimiter)
    header, rows = read(text.encode(encoding), Format.CSV)
    assert header == ["編號", "內容"]
    assert rows == [(2, ["1", '他說"修"，\n一直沒修']), (4, ["2", "一個井蓋"])]


def test_a_delimiter_within_quotation_marks_is_none() -> None:
    header, _ = read('"编号,旧,原";"内容"\n'.encode(), Format.CSV)
    assert header == ["编号,旧,原", "内容"]


def test_an_encoding_and_a_delimiter_that_are_told_are_taken() -> None:
    content = "编号\t内容,时间\n1\t坏了,今天\n".encode("gb18030")
    table = open_table(io.BytesIO(content), Format.CSV, encoding=ENCODED["GB18030"], delimiter="\t")
    assert (table.header, list(table.rows)) == (["编号", "内容,时间"], [(2, ["1", "坏了,今天"])])
    with pytest.raises(UnreadableFile, match="not in utf-8"):
        open_table(io.BytesIO(content), Format.CSV, encoding=ENCODED["UTF-8"])


@pytest.mark.parametrize("in_memory", [workbooks.IN_MEMORY, 0], ids=["at once", "apart"])
def test_empty_rows_between_others_are_kept_where_that_is_wanted(
    monkeypatch: pytest.MonkeyPatch, in_memory: int
) -> None:
    monkeypatch.setattr(workbooks, "IN_MEMORY", in_memory)
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
        (b"\x81\xff\xff", Format.CSV, "neither in UTF-8 or UTF-16 nor in GB18030 or Big5"),
        (b"a" * (2**20 + 1), Format.CSV, "longer than 1 MiB"),
        (b'"' + b"a\n" * 2**20, Format.CSV, "quotation marks"),
        (b'"\n",' * 2**21, Format.CSV, "quotation marks"),
        (b"a," * 20_000, Format.CSV, "more than 16384 columns"),
        (json.dumps({f"{number}": 0 for number in range(20_000)}).encode(), Format.JSONL, "more than 16384 columns"),
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


@pytest.mark.parametrize("in_memory", [workbooks.IN_MEMORY, 0], ids=["at once", "apart"])
def test_an_archive_that_is_no_workbook_is_refused(monkeypatch: pytest.MonkeyPatch, in_memory: int) -> None:
    monkeypatch.setattr(workbooks, "IN_MEMORY", in_memory)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("readme.txt", "x")
    with pytest.raises(UnreadableFile, match="damaged"):
        read(target.getvalue(), Format.XLSX)


def test_a_workbook_that_says_it_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "_MOST_UNPACKED", 100)
    with pytest.raises(UnreadableFile, match="too large"):
        read(workbook(("内容",)), Format.XLSX)


NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
TITLE = '<row r="1"><c r="A1" t="inlineStr"><is><t>内容</t></is></c></row>'


def spoilt(**parts: str) -> bytes:
    """A workbook with other parts: `sheet1`, or `theme1`."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("内容",), ("修",)))) as plain,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in plain.namelist():
            other = parts.get(name.rpartition("/")[2].removesuffix(".xml"))
            archive.writestr(name, plain.read(name) if other is None else other)
    return target.getvalue()


def sheet(rows: str, before: str = "") -> str:
    return f'<?xml version="1.0"?>{before}<worksheet {NAMESPACE}><sheetData>{rows}</sheetData></worksheet>'


def test_a_cell_in_the_farthest_corner_takes_no_memory() -> None:
    corner = '<row r="1048576"><c r="A1048576"><v>7</v></c><c r="XFD1048576"><v>8</v></c></row>'
    for far in (corner, corner.replace('c r="XFD1048576"', "c  r='XFD1048576'")):
        assert read(spoilt(sheet1=sheet(TITLE + far)), Format.XLSX)[1] == [(1048576, [7])]


def test_what_is_written_otherwise_than_spreadsheets_do_is_read_all_the_same() -> None:
    unnumbered = "<row><c><v>1</v></c><c><v>2</v></c></row>"
    assert read(spoilt(sheet1=sheet(TITLE + unnumbered)), Format.XLSX)[1] == [(2, [1])]


def cells(count: int) -> str:
    return '<c r="A2"><v>1</v></c>' * count


BOMBS = {
    "a text without end": {
        "sheet1": sheet(f'{TITLE}<row r="2"><c t="inlineStr"><is><t>{"a" * 2**26}</t></is></c></row>')
    },
    "a row without end": {"sheet1": sheet(f'{TITLE}<row r="2">{cells(300_000)}</row>')},
}
"""What is small when it is packed, and large when it is read."""


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_workbook_that_asks_for_too_much_is_refused_within_limits(monkeypatch: pytest.MonkeyPatch, bomb: str) -> None:
    for limit, value in (("_MEMORY", 2**27), ("_CPU_SECONDS", 1), ("IN_MEMORY", 2**20)):
        monkeypatch.setattr(workbooks, limit, value)
    content = spoilt(**BOMBS[bomb])
    assert len(content) < 2**20
    with pytest.raises(UnreadableFile, match="more memory or time"):
        read(content, Format.XLSX)


def test_texts_without_number_are_read_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "_MOST_TAGS", 1000)
    monkeypatch.delattr(workbooks, "_read_at_once")
    assert read(spoilt(theme1=f"<t>{'<a/>' * 1000}</t>"), Format.XLSX) == (["内容"], [(2, ["修"])])


def test_sizes_that_lie_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbooks, "IN_MEMORY", 2**20)
    content = bytearray(spoilt(sheet1=sheet(TITLE + " " * 2**21)))
    entry = content.rindex(b"xl/worksheets/sheet1.xml") - 46
    content[entry + 24 : entry + 28] = (1000).to_bytes(4, "little")
    with pytest.raises(UnreadableFile, match="no xlsx workbook"):
        read(bytes(content), Format.XLSX)


@pytest.mark.parametrize(
    "entity", ['SYSTEM "file:///etc/hostname"', '"' + "a" * 100 + '"'], ids=["external", "of its own"]
)
def test_no_entity_brings_anything_in(entity: str) -> None:
    many = "<!DOCTYPE w [<!ENTITY a ENTITY>" + "".join(
        f'<!ENTITY {name} "{f"&{before};" * 100}">' for before, name in zip("abcde", "bcdef", strict=True)
    )
    rows = f'{TITLE}<row r="2"><c r="A2" t="inlineStr"><is><t>&f;</t></is></c></row>'
    content = spoilt(sheet1=sheet(rows, many.replace("ENTITY>", f"{entity}>", 1) + "]>"))
    with pytest.raises(UnreadableFile, match=r"damaged|more memory or time"):
        read(content, Format.XLSX)


def test_values_with_zeros_and_lines_too_deep_are_rows_like_any_other() -> None:
    _, rows = read("编号,内容\n1,坏\0了\n".encode(), Format.CSV)
    assert rows == [(2, ["1", "坏\0了"])]
    deep = "[" * 10_000 + "]" * 10_000
    lines = f'{{"text": "一"}}\n{{"text": {deep}}}\n{{"text": "{"a" * 2**21}"}}\n{{"text": "二"}}\n'
    table = open_table(io.BytesIO(lines.encode()), Format.JSONL)
    assert [row.row if isinstance(row, BadRow) else row[1] for row in table.rows] == [["一"], 2, 3, ["二"]]


@pytest.mark.parametrize(
    ("name", "format"), [("a.XLSX", Format.XLSX), ("b.csv", Format.CSV), ("c.d.jsonl", Format.JSONL)]
)
def test_the_format_follows_from_the_name(name: str, format: Format) -> None:
    assert Format.of_name(name) is format


def test_a_name_without_a_known_ending_is_refused() -> None:
    with pytest.raises(UnreadableFile, match="give format"):
        Format.of_name("messages.xls")
