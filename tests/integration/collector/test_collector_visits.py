"""Feeds that are visited: what they show becomes posts, once each; and how visits go is told without touching them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import from_rpc_error
from huiyin_chassis.feed import unpack
from huiyin_collector.store import visits
from huiyin_collector.store.tables import VISITS
from sqlalchemy import update

from tests.integration.collector.conftest import OFFICER, Collector, Source, Start, Test
from tests.integration.collector.site import Request, Site, feed, response, serve

Health = source_pb2.SourceHealth


def named(name: str) -> dict[str, str]:
    return {"name": f"sources/{name}"}


async def refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return from_rpc_error(error.value).reason


def test_items_of_a_feed_become_posts_masked_and_without_authors(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        item = (
            "<item><title>停水</title><link>https://town.example/1</link><author>王编辑甲乙</author>"
            "<pubDate>Thu, 26 Nov 2020 08:00:00 +0800</pubDate><description>请致电13912345678。</description></item>"
        )
        site.pages["/feed"] = response(feed(extra=item), content_type="application/rss+xml")
        created = await collector.add("town", site.url(), expects_answer=True, area="青石镇")
        assert (created.state, created.uri) == (Source.STATE_ACTIVE, site.url())
        health = await collector.visited("town")
        assert (health.error_reason, health.items_total) == ("", 1)
        assert health.HasField("last_success_time") and health.HasField("next_visit_time")
        (post,) = await collector.posts()
        assert (post.source, post.subject, post.text) == ("sources/town", "停水", "请致电〔电话〕。")
        assert (post.uri, post.external_id) == ("https://town.example/1", "https://town.example/1")
        assert clock.from_timestamp(post.publish_time).isoformat() == "2020-11-26T00:00:00+00:00"
        assert post.expects_answer
        told = [change for change in await collector.changes() if change.kind == "post.created"]
        assert len(told) == 1
        assert "王编辑甲乙" not in str(told)
        assert site.asked("/feed")[0].headers["user-agent"].startswith("Huiyin/")
        assert "desk@town.example" in site.asked("/feed")[0].headers["user-agent"]

    go(test)


def test_an_item_is_one_post_however_often_it_comes_and_an_edit_is_a_revision(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(feed(("/1?utm_source=a", "停水"), ("/2", "修路")))
        await collector.add("town", site.url())
        await collector.visited("town")
        first = {post.subject: post for post in await collector.posts()}
        site.pages["/feed"] = response(feed(("/3", "新"), ("/2", "修路"), ("/1?utm_source=b#c", "停水（更正）")))
        health = await collector.visit("town")
        posts = {post.subject: post for post in await collector.posts()}
        assert sorted(posts) == ["修路", "停水（更正）", "新"]
        edited = posts["停水（更正）"]
        assert (edited.name, edited.revision) == (first["停水"].name, 2)
        assert edited.publish_time == first["停水"].publish_time
        assert posts["修路"] == first["修路"]
        assert health.items_total == 3

    go(test)


def test_an_article_that_several_feeds_carry_is_one_post_of_the_first_with_all_its_places(
    go: Callable[[Test], None],
) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(feed(("/1", "停水")))
        site.pages["/other"] = response(feed(("/1?spm=1", "停水！快讯"), ("/9", "别的"), host="http://town.example:80"))
        await collector.add("town", site.url())
        await collector.visited("town")
        await collector.add("portal", site.url("/other"))
        await collector.visited("portal")
        await collector.visit("portal")
        posts = {post.subject: post for post in await collector.posts()}
        assert sorted(posts) == ["停水", "别的"]
        read = await collector.stub.GetPost(post_pb2.GetPostRequest(name=posts["停水"].name), **collector.by())
        assert (read.source, read.carried_by, read.revision) == ("sources/town", ["sources/portal"], 1)

    go(test)


def test_a_withdrawn_entry_is_purged_unless_a_case_needs_it(go: Callable[[Test], None]) -> None:
    def atom(*entries: str) -> bytes:
        return response(
            '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">'
            + "".join(entries)
            + "</feed>"
        )

    async def test(collector: Collector, site: Site) -> None:
        entries = [f"<entry><id>urn:{n}</id><title>{n}</title></entry>" for n in (1, 2)]
        gone = [f'<at:deleted-entry ref="urn:{n}" when="2026-11-26T00:00:00Z"/>' for n in (1, 2)]
        site.pages["/feed"] = atom(*entries)
        await collector.add("town", site.url())
        await collector.visited("town")
        held = next(post for post in await collector.posts() if post.subject == "2")
        await collector.stub.SetPostHold(
            post_pb2.SetPostHoldRequest(posts=[held.name], held=True), **collector.by_analyzer()
        )
        site.pages["/feed"] = atom(*gone)
        await collector.visit("town")
        assert [post.name for post in await collector.posts()] == [held.name]
        assert [change.kind for change in await collector.changes()][-1] == "post.purged"
        # Shown again or not: what was purged does not come back.
        site.pages["/feed"] = atom(*entries)
        await collector.visit("town")
        assert [post.name for post in await collector.posts()] == [held.name]

    go(test)


def test_what_did_not_change_is_not_read_again(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        async def page(request: Request, writer: asyncio.StreamWriter) -> None:
            known = request.headers.get("if-none-match") == 'W/"x"'
            body = feed(("/1", "停水"))
            writer.write(response(b"", "304 Not Modified") if known else response(body, etag='W/"x"'))

        site.pages["/feed"] = page
        await collector.add("town", site.url())
        await collector.visited("town")
        health = await collector.visit("town")
        assert (health.error_reason, health.items_total) == ("", 1)
        assert [request.headers.get("if-none-match") for request in site.asked("/feed")] == [None, 'W/"x"']
        health = await collector.visit("town")
        assert site.asked("/feed")[-1].headers.get("if-none-match") == 'W/"x"'

    go(test)


def test_a_failure_is_told_by_name_and_the_pause_grows(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response("<html>moved</html>")
        await collector.add("town", site.url())
        first = await collector.visited("town")
        assert (first.error_streak, first.error_reason) == (1, "NOT_A_FEED")
        assert "give the address of an RSS" in first.error_message
        second = await collector.visit("town")
        assert second.error_streak == 2
        pauses = [each.next_visit_time.seconds - each.last_visit_time.seconds for each in (first, second)]
        assert 449 <= pauses[0] <= 751 and 899 <= pauses[1] <= 1501
        listed = await collector.stub.ListSourceHealth(
            source_pb2.ListSourceHealthRequest(failing=True), **collector.by(OFFICER)
        )
        assert [each.name for each in listed.healths] == ["sources/town/health"]
        site.pages["/feed"] = response(feed(("/1", "停水")))
        healed = await collector.visit("town")
        assert (healed.error_streak, healed.error_reason, healed.error_message) == (0, "", "")

    go(test)


def test_a_source_that_falls_silent_or_fails_for_long_raises_an_alarm_until_it_recovers(
    go: Callable[[Test], None],
) -> None:
    async def test(collector: Collector, site: Site) -> None:
        def back(days: float) -> Callable[[Any], None]:
            """Sets the times of the visits back, as if so many days had gone by."""
            shift = int(days * 86_400e6)
            times = {name: VISITS.c[name] - shift for name in ("last_success_time", "last_item_time")}
            return lambda tx: tx.execute(update(VISITS).values(times))

        kinds = ["source.silent", "source.failing", "source.recovered"]
        site.pages["/feed"] = response(feed(*((f"/{each}", f"停水{each}") for each in range(14))))
        await collector.add("town", site.url(), display_name="青石镇论坛")
        await collector.visited("town")
        site.pages["/feed"] = response(feed(*((f"/{each}", f"停水{each}") for each in range(14, 40))))
        assert (await collector.visit("town")).items_total == 40
        await collector.store.write(back(2.5))
        silent = await collector.visit("town")
        assert silent.alarm == Health.ALARM_SILENT
        assert silent.alarm_time == silent.last_visit_time
        listed = await collector.stub.ListSourceHealth(
            source_pb2.ListSourceHealthRequest(failing=True), **collector.by(OFFICER)
        )
        assert list(listed.healths) == [silent]
        # It is told once.
        assert (await collector.visit("town")).revision == silent.revision == 1
        site.pages["/feed"] = response(feed(("/41", "来水了")))
        assert (await collector.visit("town")).alarm == Health.ALARM_UNSPECIFIED

        site.pages["/feed"] = response("down", status="503 Service Unavailable")
        streaks = [await collector.visit("town") for _ in range(8)]
        assert [each.alarm for each in streaks] == [Health.ALARM_UNSPECIFIED] * 7 + [Health.ALARM_FAILING]
        site.pages["/feed"] = response(feed(("/41", "来水了")))
        healed = await collector.visit("town")
        assert (healed.alarm, healed.HasField("alarm_time"), healed.revision) == (Health.ALARM_UNSPECIFIED, False, 4)
        told = await collector.changes(kinds=kinds)
        assert [(change.kind, change.revision) for change in told] == [
            ("source.silent", 1),
            ("source.recovered", 2),
            ("source.failing", 3),
            ("source.recovered", 4),
        ]
        assert {unpack(change, Health).display_name for change in told} == {"青石镇论坛"}

    go(test)


def test_a_host_that_asks_to_be_left_alone_is(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(b"", "429 Too Many Requests", retry_after="40000")
        await collector.add("town", site.url())
        health = await collector.visited("town")
        assert health.error_reason == "THROTTLED"
        assert health.next_visit_time.seconds - health.last_visit_time.seconds >= 39_999

    go(test)


def test_a_feed_that_moved_for_good_is_remembered_there(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(b"", "301 Moved Permanently", location="/new")
        site.pages["/new"] = response(feed(("/1", "停水")))
        await collector.add("town", site.url())
        health = await collector.visited("town")
        assert health.uri == site.url("/new")
        await collector.visit("town")
        assert len(site.asked("/feed")) == 1
        source = await collector.stub.GetSource(source_pb2.GetSourceRequest(**named("town")), **collector.by())
        assert source.uri == site.url("/new")
        assert [change.kind for change in await collector.changes()].count("source.updated") == 1

    go(test)


def test_a_feed_that_is_gone_is_not_visited_until_somebody_resumes_it(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(b"", "410 Gone")
        await collector.add("town", site.url())
        health = await collector.visited("town")
        assert (health.state, health.error_reason) == (Source.STATE_DISABLED, "GONE")
        assert not health.HasField("next_visit_time")
        run_it = collector.stub.RunSource(source_pb2.RunSourceRequest(**named("town")), **collector.by())
        assert await refused(run_it) == "SOURCE_NOT_ACTIVE"
        site.pages["/feed"] = response(feed(("/1", "停水")))
        resumed = await collector.stub.ResumeSource(source_pb2.ResumeSourceRequest(**named("town")), **collector.by())
        assert resumed.state == Source.STATE_ACTIVE
        assert (await collector.visited("town", health)).items_total == 1

    go(test)


def test_a_paused_source_is_left_alone(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(feed(("/1", "停水")))
        await collector.add("town", site.url())
        await collector.visited("town")
        paused = await collector.stub.PauseSource(source_pb2.PauseSourceRequest(**named("town")), **collector.by())
        assert paused.state == Source.STATE_PAUSED
        assert not (await collector.health("town")).HasField("next_visit_time")
        assert await collector.store.read(visits.next_due) is None
        again = await collector.stub.PauseSource(source_pb2.PauseSourceRequest(**named("town")), **collector.by())
        assert again.etag == paused.etag

    go(test)


def test_only_feeds_have_an_address_and_are_visited(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(feed())
        for uri in ("", "town.example/feed", "ftp://town.example/feed", "https://a:b@town.example/", "https://"):
            assert await refused(collector.add("town", uri)) == "URI_INVALID"
        file = Source(kind=Source.KIND_FILE, uri="https://town.example/")
        request = source_pb2.CreateSourceRequest(source_id="file", source=file)
        assert await refused(collector.stub.CreateSource(request, **collector.by())) == "URI_UNUSED"
        await collector.create("file")
        pause = collector.stub.PauseSource(source_pb2.PauseSourceRequest(**named("file")), **collector.by())
        assert await refused(pause) == "SOURCE_KIND"
        await collector.add("town", site.url())
        assert await refused(collector.add("twin", site.url("/feed#x"))) == "ALREADY_EXISTS"

    go(test)


def test_a_source_gets_another_address(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/b"] = response(feed(("/1", "停水")))
        await collector.add("town", site.url("/a"))
        before = await collector.visited("town")
        update = source_pb2.UpdateSourceRequest(
            source=Source(name="sources/town", uri=site.url("/b")), update_mask=field_mask_pb2.FieldMask(paths=["uri"])
        )
        updated = await collector.stub.UpdateSource(update, **collector.by())
        assert updated.uri == site.url("/b")
        assert (await collector.visited("town", before)).items_total == 1

    go(test)


def test_trying_shows_what_a_visit_would_bring_and_stores_nothing(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages["/feed"] = response(feed(("/1", "停水，电话13912345678"), ("/2", "修路")))
        site.pages["/page"] = response('<html><link rel="alternate" type="application/rss+xml" href="/feed"></html>')
        site.pages["/robots.txt"] = response("User-agent: *\nCrawl-delay: 3\nDisallow: /closed\n")

        async def attempt(path: str) -> source_pb2.TrySourceResponse:
            found: source_pb2.TrySourceResponse = await collector.stub.TrySource(
                source_pb2.TrySourceRequest(uri=site.url(path)), **collector.by()
            )
            return found

        shown = await attempt("/feed")
        assert (shown.robots, shown.crawl_delay_seconds) == (shown.ROBOTS_ALLOWED, 3)
        assert (shown.format, shown.title, shown.items_total, shown.error_reason) == ("RSS", "镇讯", 2, "")
        assert shown.items[0].subject == "停水，电话〔电话〕"
        assert not shown.items[0].HasField("publish_time")
        page = await attempt("/page")
        assert (page.error_reason, page.feeds) == ("NOT_A_FEED", [site.url("/feed")])
        closed = await attempt("/closed")
        assert (closed.robots, closed.error_reason) == (closed.ROBOTS_DISALLOWED, "ROBOTS_DISALLOWED")
        assert (await attempt("/none")).error_reason == "NOT_FOUND"
        assert await collector.posts() == []

    go(test)


def test_lists_of_feeds_come_in_and_go_out_as_opml(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages |= {f"/{n}": response(feed((f"/{n}", str(n)))) for n in range(3)}
        opml = (
            '<?xml version="1.0"?><opml version="1.0"><body><outline text="镇街">'
            + "".join(f'<outline text="源 {n} &amp;" xmlUrl="{site.url(f"/{n}")}"/>' for n in range(2))
            + f'</outline><outline title="独" xmlUrl="{site.url("/2")}"/><outline xmlUrl="ftp://a.example/"/>'
            '<outline xmlUrl="http://a:b@c.example/"/></body></opml>'
        )
        request = source_pb2.ImportOpmlRequest(opml=opml, expects_answer=True)
        first = await collector.stub.ImportOpml(request, **collector.by())
        assert (first.created, first.known, first.refused) == (3, 0, ["http://a:b@c.example/"])
        again = await collector.stub.ImportOpml(request, **collector.by())
        assert (again.created, again.known) == (0, 3)
        sources = [
            await collector.stub.GetSource(source_pb2.GetSourceRequest(name=name), **collector.by())
            for name in first.sources
        ]
        assert [(each.display_name, each.area) for each in sources] == [
            ("源 0 &", "镇街"),
            ("源 1 &", "镇街"),
            ("独", ""),
        ]
        assert all(each.expects_answer for each in sources)
        await collector.visited(first.sources[0].removeprefix("sources/"))
        written = await collector.stub.ExportOpml(source_pb2.ExportOpmlRequest(), **collector.by(OFFICER))
        for source in sources:
            await collector.stub.GetSource(source_pb2.GetSourceRequest(name=source.name), **collector.by())
        back = await collector.stub.ImportOpml(source_pb2.ImportOpmlRequest(opml=written.opml), **collector.by())
        assert (back.created, back.known) == (0, 3)
        broken = collector.stub.ImportOpml(source_pb2.ImportOpmlRequest(opml="<html/>"), **collector.by())
        assert await refused(broken) == "NOT_OPML"

    go(test)


def test_two_collectors_share_the_work_and_take_each_item_once(start: Start) -> None:
    async def main() -> None:
        async with serve() as site, start() as one, start():
            site.pages |= {f"/{n}": response(feed(*((f"/{i}", f"条 {i}") for i in range(n, n + 5)))) for n in range(20)}
            for n in range(20):
                await one.add(f"s-{n}", site.url(f"/{n}"))
            healths = [await one.visited(f"s-{n}") for n in range(20)]
            assert [health.error_reason for health in healths] == [""] * 20
            posts = await one.posts()
            assert sorted(post.subject for post in posts) == sorted(f"条 {i}" for i in range(24))
            assert sum(health.items_total for health in healths) == 24
            assert len([change for change in await one.changes() if change.kind == "post.created"]) == 24

    asyncio.run(main())


def test_what_a_collector_held_when_it_died_is_visited_once_its_lease_ends(start: Start) -> None:
    async def main() -> None:
        async with serve() as site, start() as collector:
            site.pages["/feed"] = response(feed(("/1", "停水")))
            await collector.add("town", site.url())
            before = await collector.visited("town")
            # As a process leaves it that is killed between the first request and the commit.
            await collector.stub.RunSource(source_pb2.RunSourceRequest(**named("town")), **collector.by())
            before = await collector.visited("town", before)

            def die(tx: Any) -> list[visits.Visit]:
                visits.run_now(tx, collector.store, "town")
                return visits.claim(tx, "dead", 50_000, 10)

            (visit,) = await collector.store.write(die)
            after = await collector.visited("town", before)
            assert after.error_reason == ""
            assert await collector.store.write(lambda tx: visits.holds(tx, visit)) is None

    asyncio.run(main())
