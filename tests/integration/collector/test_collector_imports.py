"""Files become posts: once each, whoever repeats them, with every row that is refused named."""

from __future__ import annotations

import asyncio
import codecs
import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from huiyin.collector.v1 import collector_service_pb2, post_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import from_rpc_error, from_status
from huiyin_collector.store import refusals
from huiyin_collector.store.tables import REFUSED_ROWS
from openpyxl import Workbook
from sqlalchemy import func, select

from tests.integration.collector.conftest import Collector, Run, Source, Start

HEADER = ("留言编号", "留言用户", "留言主题", "留言时间", "留言详情", "反对数", "点赞数")
ROWS: list[tuple[object, ...]] = [
    (188006, "A000102948", "路灯", "2019/2/28 11:25:05", "\n\t\t路灯坏了。", 0, 3),
    (188007, "A00074795", "井盖", datetime(2019, 2, 14, 20), "井盖松了。", 1, 0),
    (188031, "A000102948", "水管", "2020-01-09 9:01:02", "水管漏水。", 0, 0),
]


def many(count: int) -> list[tuple[object, ...]]:
    return [(number, "A1", "路灯", "2019/2/28", f"第{number}盏", 0, 0) for number in range(count)]


def xlsx(rows: list[tuple[object, ...]]) -> bytes:
    book, target = Workbook(), io.BytesIO()
    for row in (HEADER, *rows):
        book.worksheets[0].append(row)
    book.save(target)
    return target.getvalue()


def values(rows: list[tuple[object, ...]]) -> bytes:
    target = io.StringIO()
    csv.writer(target).writerows([HEADER, *rows])
    return target.getvalue().encode("gb18030")


def json_lines(rows: list[tuple[object, ...]]) -> bytes:
    return "\n".join(json.dumps(dict(zip(HEADER, row, strict=True)), default=str) for row in rows).encode()


FORMATS = pytest.mark.parametrize(
    ("ending", "write"), [("xlsx", xlsx), ("csv", values), ("jsonl", json_lines)], ids=["xlsx", "csv", "jsonl"]
)
Write = Callable[[list[tuple[object, ...]]], bytes]


@FORMATS
def test_every_row_becomes_a_post(run: Run, ending: str, write: Write) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        outcome = await collector.import_("board", f"a.{ending}", write(ROWS))
        assert outcome.figures == post_pb2.ImportFigures(rows=3, read=3, created=3)
        assert "external_id=留言编号" in outcome.columns
        posts = {post.external_id: post for post in await collector.posts()}
        post = posts["188006"]
        assert (post.source, post.subject, post.text, post.expects_answer) == (
            "sources/board",
            "路灯",
            "路灯坏了。",
            True,
        )
        assert post.publish_time.ToDatetime(UTC) == datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)
        assert (post.reach.likes, post.revision, post.voice, post.author) == (3, 1, b"", "")
        assert posts["188007"].publish_time.ToDatetime(UTC) == datetime(2019, 2, 14, 12, tzinfo=UTC)
        assert len(posts) == 3

    run(test)


@FORMATS
def test_the_same_file_again_adds_nothing(run: Run, ending: str, write: Write) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        await collector.import_("board", f"a.{ending}", write(ROWS))
        again = await collector.import_("board", f"a.{ending}", write(ROWS))
        assert again.figures == post_pb2.ImportFigures(rows=3, read=3, unchanged=3)
        assert len(await collector.changes(kinds=["post.created", "post.updated"])) == 3

    run(test)


def test_rows_without_an_id_are_known_by_time_and_text(run: Run) -> None:
    rows = [(None, *row[1:]) for row in ROWS]

    async def test(collector: Collector) -> None:
        await collector.create("board")
        await collector.import_("board", "a.csv", values(rows))
        first = {post.external_id for post in await collector.posts()}
        assert (await collector.import_("board", "b.xlsx", xlsx(rows))).figures.unchanged == 3
        assert {post.external_id for post in await collector.posts()} == first
        assert len(first) == 3

    run(test)


def test_an_edited_row_is_a_new_revision_in_the_next_file_and_in_the_same(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        await collector.import_("board", "a.csv", values(ROWS))
        edits = [(188006, "A1", "路灯", "2019/2/28", f"还没修，第{number}次。", 0, 9) for number in (2, 3)]
        outcome = await collector.import_("board", "a.csv", values([*edits, edits[-1], ROWS[1]]))
        assert outcome.figures == post_pb2.ImportFigures(rows=4, read=4, updated=2, unchanged=2)
        (post,) = await collector.posts(filter='external_id = "188006"')
        assert (post.text, post.revision, post.reach.likes) == ("还没修，第3次。", 3, 9)

    run(test)


def test_a_rehearsal_takes_no_identity_away(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        assert (await collector.import_("board", "a.csv", values(ROWS), drill=True)).figures.created == 3
        assert (await collector.import_("board", "a.csv", values(ROWS))).figures.created == 3
        assert len(await collector.posts(filter="drill = true")) == 3
        assert [change.drill for change in await collector.changes(kinds=["post.created"])] == [True] * 3 + [False] * 3

    run(test)


def test_refused_rows_are_named_and_the_others_come_in(run: Run) -> None:
    rows = [ROWS[0], (2, "A1", "", "2019/2/28", " ", 0, 0), (3, "A1", "水管", "昨天", "漏水", 0, 0), ROWS[1]]

    async def test(collector: Collector) -> None:
        await collector.create("board")
        outcome = await collector.import_("board", "a.csv", values(rows))
        assert outcome.figures == post_pb2.ImportFigures(rows=4, read=4, created=2, refused=2)
        assert [(row.row, row.field) for row in outcome.refused_rows] == [(3, "text"), (4, "publish_time")]
        assert "2019-02-28 11:25:05" in outcome.refused_rows[1].description

    run(test)


async def report(collector: Collector, operation: str) -> list[list[str]]:
    request = post_pb2.DownloadImportReportRequest(name=operation)
    body = await collector.stub.DownloadImportReport(request, **collector.by())
    assert (body.content_type, body.data[:3]) == ("text/csv; charset=utf-8", codecs.BOM_UTF8)
    return list(csv.reader(io.StringIO(body.data.decode("utf-8-sig"))))


def test_the_report_has_every_refused_row_and_nothing_of_what_stood_in_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MOST", 1200)
    rows = [(number, "王小明", "=1+1", "昨天", "13912345678", 0, 0) for number in range(1300)]

    async def test(collector: Collector) -> None:
        await collector.create("board")
        operation = await collector.upload("board", "a.csv", values([*rows, ROWS[0]]))
        response = post_pb2.ImportPostsResponse()
        (await collector.done(operation.name)).response.Unpack(response)
        assert (response.figures.refused, response.figures.created, len(response.refused_rows)) == (1300, 1, 1000)
        header, *lines, last = await report(collector, operation.name)
        assert header == ["row", "field", "reason", "remedy"]
        assert [line[:2] for line in lines] == [[f"{number}", "publish_time"] for number in range(2, 1202)]
        assert lines[0][2] == "cannot be read as a time" and "2019-02-28 11:25:05" in lines[0][3]
        assert last == ["", "", "100 more rows were refused", "correct these and import the file again"]
        assert not any(told in f"{lines}" for told in ("王小明", "昨天", "13912345678", "=1+1"))

        with clock.stopped(clock.now() + timedelta(days=179)):
            await collector.keeper().purge()
        assert len(await report(collector, operation.name)) == 1202
        with clock.stopped(clock.now() + timedelta(days=181)):
            await collector.keeper().purge()
        with pytest.raises(grpc.aio.AioRpcError) as gone:
            await report(collector, operation.name)
        assert from_rpc_error(gone.value).reason == "NOT_FOUND"
        left = select(func.count()).select_from(REFUSED_ROWS)
        assert await collector.store.read(lambda connection: connection.scalar(left)) == 0

    run(test)


def test_encoding_and_delimiter_that_the_caller_names(run: Run) -> None:
    content = "a|b,c\n路燈壞了|2\n".encode("big5")

    async def test(collector: Collector) -> None:
        await collector.create("board")
        told = post_pb2.ImportPostsRequest
        fields = {"encoding": told.ENCODING_BIG5, "delimiter": told.DELIMITER_PIPE, "columns": ["text=a", "likes=b,c"]}
        await collector.import_("board", "a.csv", content, **fields)
        (post,) = await collector.posts()
        assert (post.text, post.reach.likes) == ("路燈壞了", 2)
        wrong = await collector.upload("board", "a.csv", content, encoding=told.ENCODING_UTF_8)
        assert from_status((await collector.done(wrong.name)).error).reason == "FILE_UNREADABLE"

    run(test)


def test_columns_and_zone_that_the_caller_names(run: Run) -> None:
    content = "a,b\n坏了,2019-02-28 11:25\n".encode()

    async def test(collector: Collector) -> None:
        await collector.create("board")
        await collector.import_(
            "board", "a.csv", content, columns=["text=a", "publish_time=b"], time_zone="Europe/Oslo"
        )
        (post,) = await collector.posts()
        assert post.publish_time.ToDatetime(UTC) == datetime(2019, 2, 28, 10, 25, tzinfo=UTC)

    run(test)


@pytest.mark.parametrize(
    ("name", "content", "fields", "reason"),
    [
        ("a.xls", b"x", {}, "FORMAT_UNKNOWN"),
        ("a.csv", b"x", {"time_zone": "Mars"}, "TIME_ZONE_UNKNOWN"),
        ("a.csv", b"x", {"columns": ["text"]}, "PATTERN"),
        ("a.csv", b"", {}, "FILE_EMPTY"),
        ("a.csv", b"x" * (2**22 + 1), {}, "FILE_TOO_LARGE"),
    ],
)
def test_what_cannot_be_imported_is_refused_at_once(
    run: Run, name: str, content: bytes, fields: dict[str, object], reason: str
) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.upload("board", name, content, **fields)
        assert from_rpc_error(refused.value).reason == reason

    run(test)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xlsx", b"no workbook", "FILE_UNREADABLE"),
        ("a.csv", "王小明,13912345678\n".encode(), "COLUMNS_UNKNOWN"),
    ],
)
def test_a_file_that_cannot_be_read_fails_its_operation(run: Run, name: str, content: bytes, reason: str) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("board")
        operation = await collector.done((await collector.upload("board", name, content)).name)
        error = from_status(operation.error)
        assert (error.reason, error.code) == (reason, grpc.StatusCode.INVALID_ARGUMENT)
        assert "王小明" not in str(operation)

    run(test)


@pytest.mark.parametrize(("source_id", "reason"), [("nowhere", "NOT_FOUND"), ("inbox", "SOURCE_KIND")])
def test_only_a_file_source_takes_files(run: Run, source_id: str, reason: str) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.upload(source_id, "a.csv", values(ROWS))
        assert from_rpc_error(refused.value).reason == reason

    run(test)


def test_replicas_that_import_the_same_file_at_once_create_each_post_once(start: Start) -> None:
    rows: list[tuple[object, ...]] = [
        (number, "A1", "路灯", "2019/2/28", f"第{number}盏", 0, 0) for number in range(3000)
    ]

    async def main() -> None:
        async with start() as one, start() as two:
            await one.create("board")
            outcomes = await asyncio.gather(
                one.import_("board", "a.csv", values(rows)), two.import_("board", "b.xlsx", xlsx(rows))
            )
            assert sum(outcome.figures.created for outcome in outcomes) == 3000
            assert sum(outcome.figures.unchanged for outcome in outcomes) == 3000
            created = [change.name for change in await two.changes(kinds=["post.created"])]
            assert len(created) == len(set(created)) == 3000

    asyncio.run(main())


def test_an_import_that_is_cancelled_is_done_at_once_and_takes_in_nothing_more(run: Run) -> None:
    rows: list[tuple[object, ...]] = [
        (number, "A1", "路灯", "2019/2/28", f"第{number}盏", 0, 0) for number in range(9000)
    ]

    async def test(collector: Collector) -> None:
        await collector.create("board")
        names = [(await collector.upload("board", "a.csv", values(rows))).name for _ in range(4)]
        while not await collector.posts():
            pass
        for name in reversed(names):  # the last ones wait still
            request = collector_service_pb2.CancelOperationRequest(name=name)
            cancelled = await collector.stub.CancelOperation(request, **collector.by())
            assert cancelled.done and from_status(cancelled.error).reason == "OPERATION_CANCELLED"
            assert await collector.stub.CancelOperation(request, **collector.by()) == cancelled
        before = len(await collector.posts())
        outcome = await collector.import_("board", "b.csv", values(rows[:1]))
        assert outcome.figures.unchanged + outcome.figures.created == 1
        assert len(await collector.posts()) in (before, before + 1) and before < 9000

    run(test)


def test_an_import_that_was_interrupted_is_found_lost_and_simply_repeated(start: Start) -> None:
    rows: list[tuple[object, ...]] = [
        (number, "A1", "路灯", "2019/2/28", f"第{number}盏", 0, 0) for number in range(9000)
    ]

    async def main() -> None:
        async with start() as first:
            await first.create("board")
            name = (await first.upload("board", "a.csv", values(rows))).name
            while not await first.posts():
                pass
        async with start() as second:
            error = from_status((await second.done(name)).error)
            assert error.reason == "OPERATION_LOST"
            before = len(await second.posts())
            outcome = await second.import_("board", "a.csv", values(rows))
            assert (outcome.figures.unchanged, outcome.figures.created) == (before, 9000 - before)
            assert 0 < before < 9000

    asyncio.run(main())
