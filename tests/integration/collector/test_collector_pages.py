"""Lists of articles that are visited: each article is read once, looked at again, and taken back when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2
from huiyin.collector.v1 import post_pb2, source_pb2, source_rules_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import from_rpc_error
from huiyin_collector.fetching import Agent, Fetcher, Limits
from huiyin_collector.intake import Intake
from huiyin_collector.looking import Looker
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.store import MIGRATIONS, CollectorStore
from huiyin_collector.store.tables import ARTICLES
from huiyin_collector.store.visits import Visit
from huiyin_collector.voices import VoiceKeys
from sqlalchemy import update

from tests.databases import migrate
from tests.integration.collector.conftest import Collector, Source, Test
from tests.integration.collector.site import Page, Request, Site, response, serve

PageList = source_rules_pb2.PageList
LIST = Source.KIND_PAGE_LIST


def listing(*paths: str, after: str = "", day: str = "2026-11-20") -> bytes:
    """A page of a list, with a menu above it."""
    menu = '<div><a href="/">首页</a><a href="/a/">办事服务</a></div>'
    rows = "".join(
        f'<li><a href="{path}">关于{path.strip("/")}号路段施工的通告</a><span>{day}</span></li>' for path in paths
    )
    return response(
        f"<html><title>通知公告</title><body>{menu}<ul>{rows}</ul>{after}</body></html>", content_type="text/html"
    )


def article(title: str, text: str, **headers: str) -> bytes:
    page = (
        f"<html><head><title>{title}_青石镇</title></head><body><div class=nav><a href=/>首页</a></div><h1>{title}</h1>"
        f"<div>来源：镇政府　发布时间：2026-11-20 09:30　浏览次数：7</div><div id=zoom><p>{text}</p></div>"
        "<div class=footer>主办：青石镇人民政府　网站标识码0000</div></body></html>"
    )
    return response(page, content_type="text/html; charset=utf-8", **headers)


async def add(collector: Collector, site: Site, path: str = "/list", **rules: Any) -> source_pb2.SourceHealth:
    """Creates a list and waits for its first visit."""
    await collector.add("town", site.url(path), kind=LIST, page_list=PageList(**rules))
    return await collector.visited("town")


async def age(collector: Collector) -> None:
    """Lets every article be due again, as after hours."""
    await collector.store.write(lambda tx: tx.execute(update(ARTICLES).values(check_time=tx.now_us)))


async def refused(call: Any) -> tuple[str, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    found = from_rpc_error(error.value)
    return found.reason, found.violations[0].field if found.violations else ""


def test_articles_of_a_list_become_posts_once_each(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages |= {
            "/list": listing("/1", "/2"),
            "/1": article("东街封闭施工", "东街自二十五日起封闭施工，请绕行，电话13912345678。"),
            "/2": article("西街恢复通行", "西街已恢复通行，感谢理解。"),
        }
        health = await add(collector, site)
        assert (health.error_reason, health.items_total, health.articles_waiting, health.articles_broken) == (
            "",
            2,
            0,
            0,
        )
        posts = {post.subject: post for post in await collector.posts()}
        assert sorted(posts) == ["东街封闭施工", "西街恢复通行"]
        post = posts["东街封闭施工"]
        assert post.text == "东街自二十五日起封闭施工，请绕行，电话〔电话〕。"
        assert (post.uri, post.external_id) == (site.url("/1"), site.url("/1"))
        assert clock.from_timestamp(post.publish_time).isoformat() == "2026-11-20T01:30:00+00:00"
        site.pages |= {"/list": listing("/3", "/1", "/2"), "/3": article("南街停水", "南街今夜停水，请备水。")}
        assert (await collector.visit("town")).items_total == 3
        # What is known is not asked for again each time.
        assert [len(site.asked(path)) for path in ("/list", "/1", "/2", "/3")] == [2, 1, 1, 1]

    go(test)


def test_an_edit_is_a_revision_and_what_is_gone_twice_is_withdrawn(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        async def unchanged(request: Request, writer: asyncio.StreamWriter) -> None:
            known = request.headers.get("if-none-match") == '"a"'
            writer.write(response(b"", "304 Not Modified") if known else article("不变", "这一篇不变。", etag='"a"'))

        site.pages |= {
            "/list": listing("/1", "/2", "/3", "/4"),
            "/1": article("停水", "今夜停水，请备水。"),
            "/2": article("撤下", "这一篇会撤下。"),
            "/3": unchanged,
            "/4": article("删除", "这一篇会删除。"),
        }
        await add(collector, site)
        site.pages |= {"/1": article("停水", "明夜停水，请备水。"), "/4": response(b"", "410 Gone")}
        del site.pages["/2"]
        await age(collector)
        await collector.visit("town")
        posts = {post.subject: post for post in await collector.posts()}
        # One that is not there may be back a moment later; one that says it is gone for good is gone.
        assert sorted(posts) == ["不变", "停水", "撤下"]
        assert (posts["停水"].text, posts["停水"].revision) == ("明夜停水，请备水。", 2)
        assert (posts["不变"].revision, site.asked("/3")[-1].headers["if-none-match"]) == (1, '"a"')
        await age(collector)
        health = await collector.visit("town")
        assert sorted(post.subject for post in await collector.posts()) == ["不变", "停水"]
        assert [change.kind for change in await collector.changes()].count("post.purged") == 2
        assert health.error_reason == ""
        await age(collector)
        await collector.visit("town")
        assert sorted(post.subject for post in await collector.posts()) == ["不变", "停水"]

    go(test)


def test_one_broken_article_spoils_nothing_and_a_visit_of_broken_ones_is_told(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages |= {
            "/robots.txt": response("User-agent: *\nDisallow: /3\n"),
            "/list": listing("/1", "/2", "/3"),
            "/1": article("停水", "今夜停水，请备水。"),
            "/2": response("<html><body><a href=/>首页</a></body></html>", content_type="text/html"),
            "/3": article("密", "不让读的。"),
        }
        health = await add(collector, site)
        assert (health.error_reason, health.items_total, health.articles_broken) == ("", 1, 2)
        assert site.asked("/3") == []
        site.pages["/list"] = listing("/4", "/1", "/2", "/3")
        health = await collector.visit("town")
        assert (health.error_reason, health.articles_broken) == ("ARTICLES_BROKEN", 3)
        assert "NOT_FOUND" in health.error_message
        # That these are broken is known by now; other rules give them another chance.
        health = await collector.visit("town")
        assert (health.error_reason, health.articles_broken) == ("", 3)
        rules = Source(name="sources/town", page_list=PageList(text_selector="body"))
        mask = field_mask_pb2.FieldMask(paths=["page_list"])
        await collector.stub.UpdateSource(
            source_pb2.UpdateSourceRequest(source=rules, update_mask=mask), **collector.by()
        )
        health = await collector.visited("town", health)
        assert (health.articles_broken, health.items_total) == (2, 2)

    go(test)


def test_pages_are_followed_as_far_as_they_bring_something_new(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        pages = {
            f"/list_{n}": listing(f"/{n}a", f"/{n}b", after=f'<a href="/list_{n + 1}">下一页</a>') for n in range(1, 9)
        }
        site.pages |= pages | {
            f"/{n}{c}": article(f"第{n}{c}号通告", f"第{n}{c}号通告，请知悉。") for n in range(1, 9) for c in "ab"
        }
        health = await add(collector, site, "/list_1", most_pages=4)
        assert health.items_total == 8
        assert [len(site.asked(f"/list_{n}")) for n in range(1, 6)] == [1, 1, 1, 1, 0]
        site.pages["/list_1"] = listing("/8a", "/1a", after='<a href="/list_2">下一页</a>')
        health = await collector.visit("town")
        assert (health.items_total, [len(site.asked(f"/list_{n}")) for n in range(1, 4)]) == (9, [2, 2, 1])

    go(test)


def test_a_long_list_is_read_in_several_visits(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        paths = [f"/{n}" for n in range(40)]
        site.pages["/list"] = listing(*paths)
        site.pages |= {path: article(f"通告{path}", f"第{path}号通告，请知悉。") for path in paths}
        health = await add(collector, site)
        async with asyncio.timeout(20):
            while health.articles_waiting:
                health = await collector.visited("town", health)
        assert (health.items_total, health.error_reason) == (40, "")
        assert len(site.asked("/list")) == 1

    go(test)


def test_an_article_that_a_feed_brought_stays_one_post(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        item = f"<item><title>停水</title><link>{site.url('/1')}?spm=1</link></item>"
        site.pages |= {
            "/feed": response(f"<rss><channel>{item}</channel></rss>"),
            "/list": listing("/1"),
            "/1": article("停水", "今夜停水，请备水。"),
        }
        await collector.add("feed", site.url("/feed"))
        await collector.visited("feed")
        await add(collector, site)
        (post,) = await collector.posts()
        read = await collector.stub.GetPost(post_pb2.GetPostRequest(name=post.name), **collector.by())
        assert (read.source, read.carried_by) == ("sources/feed", ["sources/town"])

    go(test)


def test_a_host_that_wants_to_be_left_alone_is_between_articles_too(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages |= {
            "/list": listing("/1", "/2", "/3"),
            "/1": article("停水", "今夜停水，请备水。"),
            "/2": response(b"", "429 Too Many Requests", retry_after="40000"),
            "/3": article("修路", "东街修路，请绕行。"),
        }
        health = await add(collector, site)
        assert (health.error_reason, health.items_total, health.articles_waiting) == ("THROTTLED", 1, 2)
        assert health.next_visit_time.seconds - health.last_visit_time.seconds >= 39_999
        assert site.asked("/3") == []

    go(test)


def after(path: str) -> str:
    return f"<a href='{path}'>下一页</a>"


async def endless_pages(request: Request, writer: asyncio.StreamWriter) -> None:
    number = int(request.path.partition("?")[2] or 0)
    writer.write(listing(f"/x{number}", after=after(f"/list?{number + 1}")))


ONE = listing("/1")
GOOD = article("停水", "今夜停水，请备水。")
LINKS = "<a href=/b>另一个很长的标题在这里</a>" * 50
ENDLESS: dict[str, Page] = {f"/list?{n}": endless_pages for n in range(1, 200)} | {"/list": endless_pages}
FROM_B = {"/list": listing("/1", after=after("/b")), "/b": listing("/2", after=after("/list"))}

LISTS: dict[str, tuple[dict[str, Page], str]] = {
    "a page of nothing but menus": ({"/list": response("<a href=/>首页</a><a href=/b>机构</a>")}, "NO_ITEMS"),
    "a list that is empty": ({"/list": response("", content_type="text/html")}, "EMPTY_BODY"),
    "a list that is a picture": ({"/list": response(b"\x89PNG", content_type="image/png")}, "CONTENT_TYPE_REFUSED"),
    "a list larger than pages are": ({"/list": response(b"<p>" + b"a" * 3_000_000)}, "TOO_LARGE"),
    "a list without end": (ENDLESS, "ARTICLES_BROKEN"),
    "a next page that is the same": ({"/list": listing("/1", after=after("/list"))}, "ARTICLES_BROKEN"),
    "a next page that leads back": (dict(FROM_B), "ARTICLES_BROKEN"),
    "a next page that is not there": ({"/list": listing("/1", after=after("/b")), "/1": GOOD}, "NOT_FOUND"),
}
ARTICLES_OF_A_LIST: dict[str, Page] = {
    "an article of 100 MB": response(b"<p>", length=100_000_000),
    "an article that is JSON": response("{}", content_type="application/json"),
    "an article that is a film": response(b"", content_type="video/mp4"),
    "an article of nothing but links": response(LINKS, content_type="text/html"),
    "an article of many thousand elements, one in the other": response("<div>" * 20_000 + "深。"),
    "an article that leads back to itself": response(b"", "302 Found", location="/1"),
}
HOSTILE = LISTS | {kind: ({"/list": ONE, "/1": page}, "ARTICLES_BROKEN") for kind, page in ARTICLES_OF_A_LIST.items()}
MOST_PAGES = 7


def test_lists_that_no_reader_expects_end_in_a_named_fault_while_others_go_on(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        async with contextlib.AsyncExitStack() as stack:
            sites = {kind: await stack.enter_async_context(serve()) for kind in HOSTILE}
            for number, (kind, (pages, _)) in enumerate(HOSTILE.items()):
                sites[kind].pages |= pages
                rules = PageList(most_pages=MOST_PAGES)
                await collector.add(f"s-{number}", sites[kind].url("/list"), kind=LIST, page_list=rules)
            site.pages |= {"/list": ONE, "/1": GOOD}
            assert (await add(collector, site)).error_reason == ""
            for number, (kind, (_, reason)) in enumerate(HOSTILE.items()):
                health = await collector.visited(f"s-{number}")
                assert (kind, health.error_reason) == (kind, reason)
                lists = [each for each in sites[kind].requests if each.path.startswith(("/list", "/b"))]
                assert len(lists) <= MOST_PAGES
                # None is asked for twice.
                assert len({each.path for each in lists}) == len(lists)

    go(test)


def test_a_reading_that_is_cut_off_goes_on_where_it_was(database_url: str, tmp_path: Path) -> None:
    class Few:
        def __init__(self, most: int) -> None:
            self.left = most

        async def take(self, url: str) -> bool:
            self.left -= 1
            return self.left >= 0

    async def main() -> None:
        store = CollectorStore(database_url)
        migrate(database_url, MIGRATIONS)
        await store.open()
        fetcher = Fetcher(Agent("Huiyin", "Huiyin"), Limits(), permitted=lambda _: True)
        looker = Looker(fetcher, Intake(VoiceKeys(tmp_path / "keys")), store, Secrets(tmp_path))
        async with serve() as site:
            site.pages |= {f"/list_{n}": listing(f"/{n}", after=after(f"/list_{n + 1}")) for n in range(1, 9)}
            rules = PageList(most_pages=5).SerializeToString()
            visit = Visit("town", LIST, site.url("/list_1"), rules)
            look = await looker.look(visit, Few(2))
            assert (look.resume, [link.url for link in look.links]) == (
                f"3 {site.url('/list_3')}",
                [site.url("/1"), site.url("/2")],
            )
            look = await looker.look(replace(visit, resume=look.resume, articles_waiting=2), Few(3))
            assert (look.resume, [link.url for link in look.links]) == ("", [site.url(f"/{n}") for n in (3, 4, 5)])
        await fetcher.close()
        await store.close()

    asyncio.run(main())


def test_a_list_that_links_to_private_addresses_has_them_refused(database_url: str, tmp_path: Path) -> None:
    class Free:
        async def take(self, url: str) -> bool:
            return True

    links = (
        "http://127.0.0.2/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://2130706434/",
        "file:///etc/passwd",
    )
    rows = "".join(f"<li><a href='{link}x'>一个很长的标题在这里</a></li>" for link in links)

    async def main() -> None:
        store = CollectorStore(database_url)
        migrate(database_url, MIGRATIONS)
        await store.open()
        fetcher = Fetcher(Agent("Huiyin", "Huiyin"), Limits(), permitted=lambda address: address == "127.0.0.1")
        looker = Looker(fetcher, Intake(VoiceKeys(tmp_path / "keys")), store, Secrets(tmp_path))
        async with serve() as site:
            site.pages["/list"] = response(f"<ul>{rows}</ul>")
            rules = PageList(item_selector="li a").SerializeToString()
            look = await looker.look(Visit("town", LIST, site.url("/list"), rules), Free())
            assert [reading.fault for reading in look.readings] == ["ADDRESS_REFUSED"] * 4
            assert look.fault is not None and look.fault.reason == "ARTICLES_BROKEN"
        await fetcher.close()
        await store.close()

    asyncio.run(main())


def test_rules_that_cannot_be_used_are_refused_by_their_place(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        for rules, field in (
            ({"item_selector": "ul > > li"}, "item_selector"),
            ({"text_selector": "div["}, "text_selector"),
            ({"item_pattern": "news/*"}, "item_pattern"),
            ({"page_template": "https://town.example/list"}, "page_template"),
            ({"page_template": site.url("/{page}"), "next_selector": "a"}, "page_template"),
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ):
            call = collector.add("town", site.url("/list"), kind=LIST, page_list=PageList(**rules))
            assert await refused(call) == ("RULE_INVALID", f"source.page_list.{field}")
            trial = source_pb2.TrySourceRequest(uri=site.url("/list"), kind=LIST, page_list=PageList(**rules))
            call = collector.stub.TrySource(trial, **collector.by())
            assert await refused(call) == ("RULE_INVALID", f"page_list.{field}")
        call = collector.add("town", site.url("/list"), page_list=PageList())
        assert await refused(call) == ("RULES_UNUSED", "source.page_list")
        trial = source_pb2.TrySourceRequest(uri=site.url("/list"), kind=Source.KIND_FILE)
        assert (await refused(collector.stub.TrySource(trial, **collector.by())))[0] == "SOURCE_KIND"

    go(test)


def test_trying_a_list_shows_its_items_and_reads_the_first(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        paths = [f"/{n}" for n in range(9)]
        site.pages["/list"] = listing(*paths, day="2026-11-19")
        site.pages |= {path: article(f"通告{path}", f"第{path}号通告，请知悉。") for path in paths}
        found = await collector.stub.TrySource(
            source_pb2.TrySourceRequest(uri=site.url("/list"), kind=LIST), **collector.by()
        )
        assert (found.robots, found.format, found.title) == (found.ROBOTS_ALLOWED, "PAGE_LIST", "通知公告")
        assert (found.items_total, len(found.items), found.error_reason) == (9, 9, "")
        assert [bool(item.text) for item in found.items] == [True] * 3 + [False] * 6
        assert found.items[8].subject == "关于8号路段施工的通告"
        listed = clock.from_timestamp(found.items[8].publish_time) + timedelta(hours=8)
        assert listed.isoformat() == "2026-11-19T00:00:00+00:00"
        assert len(site.asked("/list")) == 1
        assert await collector.posts() == []

    go(test)
