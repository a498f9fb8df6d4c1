"""Sources, posts written by others, holds, and what is told of every change."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf import field_mask_pb2, timestamp_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import client, clock
from huiyin_chassis.errors import DomainError, from_rpc_error
from huiyin_chassis.feed import unpack
from huiyin_chassis.ids import uuid7
from huiyin_chassis.migrate import differences
from huiyin_collector.store import METADATA, MIGRATIONS
from huiyin_collector.store.tables import POSTS
from sqlalchemy import update

from tests.integration.collector.conftest import OFFICER, Collector, Run, Source

CREATED = post_pb2.PostOutcome.KIND_CREATED
UPDATED = post_pb2.PostOutcome.KIND_UPDATED
UNCHANGED = post_pb2.PostOutcome.KIND_UNCHANGED


def post(number: int, text: str = "路灯坏了。", **fields: object) -> post_pb2.Post:
    return post_pb2.Post(external_id=f"i-{number}", text=text, **fields)  # type: ignore[arg-type]


async def write(collector: Collector, *posts: post_pb2.Post, request_id: str = "") -> list[post_pb2.PostOutcome]:
    request = post_pb2.BatchCreatePostsRequest(source="sources/inbox", posts=posts, request_id=request_id)
    response = await collector.stub.BatchCreatePosts(request, **collector.by())
    return list(response.outcomes)


def refusal(error: pytest.ExceptionInfo[grpc.aio.AioRpcError]) -> DomainError:
    return from_rpc_error(error.value)


def test_the_migrations_make_the_tables_that_the_code_reads(run: Run, database_url: str) -> None:
    assert not differences(database_url, MIGRATIONS, METADATA)


def test_a_source_is_created_once_and_changed_by_those_who_saw_it(run: Run) -> None:
    async def test(collector: Collector) -> None:
        request = source_pb2.CreateSourceRequest(
            source_id="board", source=Source(kind=Source.KIND_FILE), request_id=uuid7()
        )
        created = await collector.stub.CreateSource(request, **collector.by())
        assert (created.name, created.display_name, created.expects_answer) == ("sources/board", "board", False)
        assert await collector.stub.CreateSource(request, **collector.by()) == created
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.create("board")
        assert refusal(refused).reason == "ALREADY_EXISTS"

        update = source_pb2.UpdateSourceRequest(
            source=Source(name="sources/board", expects_answer=True, etag=created.etag),
            update_mask=field_mask_pb2.FieldMask(paths=["expects_answer"]),
        )
        updated = await collector.stub.UpdateSource(update, **collector.by())
        assert (updated.expects_answer, updated.display_name) == (True, "board")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.stub.UpdateSource(update, **collector.by())
        assert refusal(refused).reason == "STALE_ETAG"
        update.source.etag = ""
        assert await collector.stub.UpdateSource(update, **collector.by()) == updated
        get = source_pb2.GetSourceRequest(name="sources/board")
        assert await collector.stub.GetSource(get, **collector.by(OFFICER)) == updated
        assert [(change.kind, change.revision) for change in await collector.changes()] == [
            ("source.created", 1),
            ("source.updated", 2),
        ]

    run(test)


def test_sources_are_listed_by_name_in_pages(run: Run) -> None:
    async def test(collector: Collector) -> None:
        for source_id in ("c", "a", "b"):
            await collector.create(source_id)
        first = await collector.stub.ListSources(source_pb2.ListSourcesRequest(page_size=2), **collector.by())
        rest = await collector.stub.ListSources(
            source_pb2.ListSourcesRequest(page_size=2, page_token=first.next_page_token), **collector.by()
        )
        assert [source.name for source in (*first.sources, *rest.sources)] == ["sources/a", "sources/b", "sources/c"]
        assert not rest.next_page_token

    run(test)


def test_posts_written_by_others_are_created_updated_or_known(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        first = await write(collector, post(1), post(2), request_id=(request_id := uuid7()))
        assert [outcome.kind for outcome in first] == [CREATED, CREATED]
        assert await write(collector, post(1), post(2), request_id=request_id) == first
        second = await write(collector, post(2), post(3), post(1, "还没修。"))
        assert [outcome.kind for outcome in second] == [UNCHANGED, CREATED, UPDATED]
        assert [second[2].post, second[0].post] == [outcome.post for outcome in first]
        found = await collector.stub.GetPost(post_pb2.GetPostRequest(name=first[0].post), **collector.by())
        assert (found.text, found.revision, found.expects_answer) == ("还没修。", 2, True)

    run(test)


def test_the_reach_of_a_post_is_a_series_of_the_last_figures_of_each_hour(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)

        async def seen(likes: int, text: str = "没有水") -> None:
            (outcome,) = await write(collector, post(1, text, reach=post_pb2.PostReach(likes=likes)))
            names.add(outcome.post)

        async def an_hour_later() -> None:
            earlier = POSTS.c.reach_time - 3_600_000_000
            await collector.store.write(lambda tx: tx.execute(update(POSTS).values(reach_time=earlier)))

        names: set[str] = set()
        await seen(2)
        await seen(5)  # within the hour: the last figures stand for it
        await an_hour_later()
        await seen(9)
        await seen(9)
        await seen(0)  # the source shows none any more, and takes nothing back
        await seen(0, "还是没有水")
        (name,) = names
        get = post_pb2.GetPostSeriesRequest(name=f"{name}/series")
        series = await collector.stub.GetPostSeries(get, **collector.by())
        assert [point.reach.likes for point in series.points] == [5, 9]
        assert series.points[0].time.seconds < series.points[1].time.seconds
        found = await collector.stub.GetPost(post_pb2.GetPostRequest(name=name), **collector.by())
        assert (found.reach.likes, found.text, found.revision) == (9, "还是没有水", 2)
        told = [change for change in await collector.changes() if change.name == name]
        assert [(change.kind, change.revision) for change in told] == [
            ("post.created", 1),
            ("post.reach_changed", 1),
            ("post.reach_changed", 1),
            ("post.updated", 2),
        ]
        reached = unpack(told[2], post_pb2.Post)
        assert (reached.reach.likes, reached.text, reached.voice) == (9, "", b"")

    run(test)


def test_a_post_whose_source_shows_no_figures_has_no_series(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        (outcome,) = await write(collector, post(1))
        get = post_pb2.GetPostSeriesRequest(name=f"{outcome.post}/series")
        assert not (await collector.stub.GetPostSeries(get, **collector.by())).points
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.stub.GetPostSeries(post_pb2.GetPostSeriesRequest(name=outcome.post), **collector.by())
        assert refusal(refused).reason == "NAME_INVALID"

    run(test)


def test_posts_that_cannot_be_are_refused_with_their_place(run: Run) -> None:
    far = timestamp_pb2.Timestamp(seconds=int(datetime(2999, 1, 1, tzinfo=UTC).timestamp()))

    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await write(collector, post(1), post(2, " \n"), post(3, publish_time=far), post(4, uri="javascript:1"))
        fields = [violation.field for violation in refusal(refused).violations]
        assert fields == ["posts[1].text", "posts[2].publish_time", "posts[3].uri"]
        await collector.create("board")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.stub.BatchCreatePosts(
                post_pb2.BatchCreatePostsRequest(source="sources/board", posts=[post(1)]), **collector.by()
            )
        assert refusal(refused).reason == "SOURCE_KIND"
        assert await collector.posts() == []

    run(test)


def test_posts_are_read_only_by_those_who_may_read_everywhere(run: Run) -> None:
    near = client.metadata  # what goes with a call

    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        (outcome,) = await write(collector, post(1))
        inspector = OFFICER.__class__("accounts/inspector", roles=("inspector",), places=("places/A市",))
        for call in (
            collector.stub.GetPost(post_pb2.GetPostRequest(name=outcome.post), **collector.by(inspector)),
            collector.stub.ListPosts(post_pb2.ListPostsRequest(), **collector.by(inspector)),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
            assert refusal(refused).reason == "REACH_MISSING"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await collector.stub.ListPosts(post_pb2.ListPostsRequest(), metadata=near(collector.people.sign(OFFICER)))
        assert refusal(refused).reason == "PERMISSION_MISSING"

    run(test)


def test_listings_filter_and_order(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        times = [timestamp_pb2.Timestamp(seconds=1_600_000_000 + day * 86_400) for day in (2, 0, 1)]
        await write(collector, *(post(number, publish_time=time) for number, time in enumerate(times)))
        ordered = await collector.posts(order_by="publish_time")
        assert [found.external_id for found in ordered] == ["i-1", "i-2", "i-0"]
        late = await collector.posts(filter='publish_time > "2020-09-13T23:00:00Z" AND source = "sources/inbox"')
        assert {found.external_id for found in late} == {"i-0", "i-2"}

    run(test)


def test_watch_gives_every_change_once_in_order_with_the_text_of_its_own_revision(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        await write(collector, post(1, author="甲"), post(2, author="乙"), post(3, author="甲"))
        await write(collector, post(2, "还没修。", author="乙"))
        await write(collector, post(2, "修好了。", subject="谢谢", author="乙"), post(4))
        changes = await collector.changes(kinds=["post.created", "post.updated"])
        posts = [unpack(change, post_pb2.Post) for change in changes]
        assert [(each.external_id, each.revision, each.subject, each.text) for each in posts] == [
            ("i-1", 1, "", "路灯坏了。"),
            ("i-2", 1, "", "路灯坏了。"),
            ("i-3", 1, "", "路灯坏了。"),
            ("i-2", 2, "", "还没修。"),
            ("i-2", 3, "谢谢", "修好了。"),
            ("i-4", 1, "", "路灯坏了。"),
        ]
        voices = [each.voice for each in posts]
        assert voices[0] == voices[2] != voices[1] == voices[3] == voices[4]
        assert [len(voice) for voice in voices] == [16, 16, 16, 16, 16, 0]
        assert all(each.source == "sources/inbox" and each.expects_answer and not each.author for each in posts)
        assert [change.sequence for change in changes] == sorted({change.sequence for change in changes})

    run(test)


def test_watch_goes_on_after_the_cursor_of_any_batch(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        for start in range(0, 1500, 500):
            await write(collector, *(post(number) for number in range(start, start + 500)))
        read: list[str] = []
        cursor = ""
        while True:
            call = collector.stub.WatchPosts(
                post_pb2.WatchPostsRequest(cursor=cursor, kinds=["post.created"]),
                metadata=client.metadata(collector.analyzer.own_token()),
            )
            batch = await call.read()
            call.cancel()
            read += [unpack(change, post_pb2.Post).external_id for change in batch.changes]
            cursor = batch.cursor
            if batch.caught_up:
                break
        assert read == [f"i-{number}" for number in range(1500)]

    run(test)


def test_held_posts_outlive_the_purge_and_purged_ones_leave_no_byte(run: Run, database_url: str) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("inbox", Source.KIND_INBOX)
        kept, gone = await write(collector, post(1, "留下的话。"), post(2, "忘掉的话。"))
        await write(collector, post(2, "也要忘掉的话。"))
        hold = post_pb2.SetPostHoldRequest(posts=[kept.post, "posts/unknown"], held=True)
        await collector.stub.SetPostHold(hold, metadata=client.metadata(collector.analyzer.own_token()))
        keeper = collector.keeper()
        with clock.stopped(clock.now() + timedelta(days=179)):
            assert await keeper.purge() == 0
        later = clock.now() + timedelta(days=181)
        with clock.stopped(later):
            assert await keeper.purge() == 1
        assert [found.name for found in await collector.posts()] == [kept.post]
        (change,) = await collector.changes()
        assert (change.kind, change.name, change.revision) == ("post.purged", gone.post, 3)
        assert not unpack(change, post_pb2.Post).text
        if database_url.startswith("sqlite"):
            left = b"".join(path.read_bytes() for path in collector.folder.rglob("*") if path.is_file())
            assert "留下的话".encode() in left
            assert "忘掉的话".encode() not in left

    run(test)


def test_names_and_numbers_of_people_reach_no_byte_of_the_store(run: Run, database_url: str) -> None:
    planted = ["南山渔翁甲乙丙", "13912345678", "11010519491231002X", "6222020200112230336", "nanshan@example.org"]
    author, mobile, identity, card, mail = planted
    text = f"请联系{mobile}，身份证{identity}，卡号{card}，邮箱{mail}。"
    rows = "".join(f"{number},{author},主题{mobile},2026/3/5 9:{number:02}:00,{text}\n" for number in range(50))
    content = f"编号,网友,主题,时间,内容\n{rows}x,{author},,{author},{author}{mobile}\n".encode()

    async def test(collector: Collector) -> None:
        await collector.create("board")
        await collector.create("inbox", Source.KIND_INBOX)
        outcome = await collector.import_("board", "a.csv", content)
        assert (outcome.figures.created, outcome.figures.refused) == (50, 1)
        await write(collector, post(1, text, author=author, subject=mobile))
        told = str(await collector.posts()) + str(await collector.changes()) + str(outcome)
        assert "请联系〔电话〕" in (await collector.posts())[0].text
        if database_url.startswith("sqlite"):
            kept = b"".join(path.read_bytes() for path in collector.folder.rglob("*") if path.is_file())
        else:
            kept = (await asyncio.to_thread(_everything, collector)).encode()
        assert "请联系".encode() in kept
        for value in planted:
            assert value.encode() not in kept
            assert value not in told

    run(test)


def _everything(collector: Collector) -> str:
    """Every row of every table, bytes decoded as far as they are text."""
    from sqlalchemy import create_engine, select

    engine = create_engine(collector.store.url)
    with engine.connect() as connection:
        rows = [row for table in METADATA.sorted_tables for row in connection.execute(select(table))]
    engine.dispose()
    cells = [cell for row in rows for cell in row]
    return "\n".join(cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell) for cell in cells)
