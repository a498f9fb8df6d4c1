"""JSON interfaces that are visited: items by the source's expressions, and secrets that are sent and never shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from huiyin.collector.v1 import source_pb2, source_rules_pb2
from huiyin_chassis import clock

from tests.integration.collector.conftest import Collector, Run, Source
from tests.integration.collector.site import Page, Request, Site, response, serve
from tests.integration.collector.test_collector_pages import refused

Test = Callable[[Collector, Site], Coroutine[Any, Any, None]]
Api = source_rules_pb2.Api
FIELDS = {"items": "data.list", "id": "id", "subject": "title", "text": "body"}
SECRET = "k3y-Of-The-Town"


@pytest.fixture
def go(run: Run) -> Callable[[Test], None]:
    """Runs a test's coroutine with a collector and a site, whose secret lies where the collector looks for it."""

    def with_site(test: Test) -> None:
        async def inner(collector: Collector) -> None:
            collector.secrets.joinpath("127.0.0.1").mkdir(parents=True)
            collector.secrets.joinpath("127.0.0.1", "town").write_text(f"{SECRET}\n")
            async with serve() as site:
                await test(collector, site)

        run(inner)

    return with_site


def answer(*items: dict[str, Any], **more: Any) -> bytes:
    return response(json.dumps({"data": {"list": items, **more}}), content_type="application/json")


def item(number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "title": f"第{number}条", "body": f"<p>第{number}条留言</p>", **more}


async def add(collector: Collector, site: Site, path: str = "/api", **rules: Any) -> source_pb2.SourceHealth:
    """Creates an interface and waits for its first visit."""
    await collector.add("board", site.url(path), kind=Source.KIND_API, api=Api(**{**FIELDS, **rules}))
    return await collector.visited("board")


def test_items_become_posts_by_the_expressions_of_their_source(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        known = {"at": 1_711_411_200_000, "by": "王编辑甲乙", "href": "/q/1", "n": {"like": "1.2万", "read": 70}}
        site.pages["/api"] = answer(item(1, **known), item(2, at="2024-03-26 08:00", title=None), {"title": "无号"})
        health = await add(
            collector,
            site,
            publish_time="at",
            author="by",
            uri="href",
            likes="n.like",
            views="n.read",
            replies="n.none",
        )
        assert (health.error_reason, health.items_total, health.items_passed_over) == ("", 2, 1)
        posts = {post.external_id: post for post in await collector.posts()}
        assert (posts["1"].subject, posts["1"].text, posts["1"].uri) == ("第1条", "第1条留言", site.url("/q/1"))
        assert (posts["1"].reach.likes, posts["1"].reach.views, posts["1"].reach.replies) == (12000, 70, 0)
        assert [clock.from_timestamp(posts[n].publish_time).isoformat() for n in "12"] == [
            "2024-03-26T00:00:00+00:00"
        ] * 2
        assert "王编辑甲乙" not in str(await collector.changes())
        site.pages["/api"] = answer(item(1, body="改了"), item(3))
        await collector.visit("board")
        posts = {post.external_id: post for post in await collector.posts()}
        assert sorted(posts) == ["1", "2", "3"]
        assert (posts["1"].text, posts["1"].revision) == ("改了", 2)

    go(test)


@pytest.mark.parametrize(
    ("rules", "more"),
    [
        ({"next_page": "data.next"}, lambda n: {"next": f"/api?c={n + 1}" if n < 9 else None}),
        ({"next_page": "data.next", "page_template": "{}/api?c={{token}}"}, lambda n: {"next": n + 1 if n < 9 else ""}),
        ({"page_template": "{}/api?c={{page}}"}, lambda n: {}),
    ],
)
def test_pages_are_followed_by_address_token_or_number(
    go: Callable[[Test], None], rules: dict[str, str], more: Callable[[int], dict[str, Any]]
) -> None:
    async def test(collector: Collector, site: Site) -> None:
        site.pages |= {f"/api?c={n}": answer(item(n), **more(n)) for n in range(2, 10)}
        site.pages["/api"] = answer(item(1), **more(1))
        written = {name: value.format(site.url("")) for name, value in rules.items()}
        health = await add(collector, site, most_pages=4, **written)
        assert (health.error_reason, health.items_total) == ("", 4)
        # The next visit ends where everything is known.
        site.pages["/api"] = answer(item(50), item(1), **more(1))
        assert (await collector.visit("board")).items_total == 5
        assert [len(site.asked(path)) for path in ("/api", "/api?c=2", "/api?c=3", "/api?c=5")] == [2, 2, 1, 0]

    go(test)


def test_a_secret_is_sent_to_its_host_and_never_shown(go: Callable[[Test], None]) -> None:
    header = Api.Header(name="Authorization", value="Bearer ", secret="town")

    async def test(collector: Collector, site: Site) -> None:
        async with serve(host="127.0.0.3") as other:
            site.pages |= {
                "/api": response(b"", "302 Found", location="/moved"),
                "/moved": answer(item(1), next=other.url("/api", "127.0.0.3")),
                "/away": response(b"", "301 Moved Permanently", location=other.url("/api", "127.0.0.3")),
                "/echo": answer(item(9, body=f"you sent Bearer {SECRET}")),
            }
            other.pages["/api"] = answer(item(2))
            health = await add(collector, site, headers=[header], next_page="data.next", most_pages=3)
            assert (health.error_reason, health.items_total) == ("", 2)
            assert [site.asked(path)[0].headers["authorization"] for path in ("/api", "/moved")] == [
                f"Bearer {SECRET}"
            ] * 2
            assert [request.headers.get("authorization") for request in other.requests] == [None] * 2
            # Nor is another host remembered, however permanently it is named.
            away = await collector.add(
                "away", site.url("/away"), kind=Source.KIND_API, api=Api(**FIELDS, headers=[header])
            )
            assert (await collector.visited("away")).uri == site.url("/away")
            assert {request.headers.get("authorization") for request in other.requests} == {None}
            assert away.api.headers[0] == header
            rules = Api(**FIELDS, headers=[header])
            trial = source_pb2.TrySourceRequest(uri=site.url("/echo"), kind=Source.KIND_API, api=rules)
            tried = await collector.stub.TrySource(trial, **collector.by())
            assert (tried.error_reason, list(tried.items)) == ("SECRET_SHOWN", [])
            rules.headers[0].secret = "none"
            trial = source_pb2.TrySourceRequest(uri=site.url("/moved"), kind=Source.KIND_API, api=rules)
            tried = await collector.stub.TrySource(trial, **collector.by())
            assert tried.error_reason == "SECRET_MISSING"
            assert "127.0.0.1/none within HUIYIN_SOURCE_SECRETS" in tried.error_message
        assert not any(
            SECRET.encode() in path.read_bytes() for path in collector.folder.glob("*.db*") if path.is_file()
        )

    go(test)


HOSTILE: dict[str, tuple[Page, str]] = {
    "nothing": (response(b""), "EMPTY_BODY"),
    "a page": (response("<html>welcome</html>", content_type="text/html"), "JSON_BROKEN"),
    "JSON that breaks off": (response('{"data": {"list": ['), "JSON_BROKEN"),
    "JSON a million lists deep": (response("[" * 90_000), "JSON_TOO_DEEP"),
    "JSON of another form": (response('{"rows": []}'), "MAPPING_EMPTY"),
    "an object for a list": (response('{"data": {"list": {"id": 1}}}'), "MAPPING_EMPTY"),
    "items without ids": (answer({"title": "一"}, {"title": "二"}), "MAPPING_EMPTY"),
    "items without content": (answer({"id": 1}, {"id": 2}), "MAPPING_EMPTY"),
    "values of another type": (answer({"id": 1, "title": 5, "body": "x"}), "MAPPING_FAILED"),
    "a password wanted": (response(b"", "401 Unauthorized"), "FORBIDDEN"),
}


def test_answers_that_no_reader_expects_end_in_a_named_fault_while_others_go_on(go: Callable[[Test], None]) -> None:
    async def endless(request: Request, writer: asyncio.StreamWriter) -> None:
        number = int(request.path.partition("?")[2] or 0)
        writer.write(answer(item(number), next=f"/api?{number + 1}"))

    async def test(collector: Collector, site: Site) -> None:
        async with contextlib.AsyncExitStack() as stack:
            sites = {kind: await stack.enter_async_context(serve()) for kind in HOSTILE}
            for number, (kind, (page, _)) in enumerate(HOSTILE.items()):
                sites[kind].pages["/api"] = page
                rules = Api(**{**FIELDS, "subject": "title && join('', [title])"})
                await collector.add(f"s-{number}", sites[kind].url("/api"), kind=Source.KIND_API, api=rules)
            site.pages |= {f"/api?{n}": endless for n in range(50)} | {"/api": endless}
            assert (await add(collector, site, next_page="data.next", most_pages=5)).items_total == 5
            for number, (kind, (_, reason)) in enumerate(HOSTILE.items()):
                health = await collector.visited(f"s-{number}")
                assert (kind, health.error_reason) == (kind, reason)
            site.pages["/api?1"] = answer(item(77), next="/api")
            assert (await collector.visit("board")).items_total == 5

    go(test)


def test_expressions_and_headers_that_cannot_be_used_are_refused_by_their_place(go: Callable[[Test], None]) -> None:
    async def test(collector: Collector, site: Site) -> None:
        def header(**fields: str) -> dict[str, Any]:
            return {"headers": [Api.Header(**fields)]}

        for rules, field in (
            ({"items": "data[", "id": "id"}, "items"),
            ({"id": "nope(@)"}, "id"),
            ({"likes": "a..b"}, "likes"),
            ({"text": "", "subject": ""}, "text"),
            ({"page_template": "https://town.example/api"}, "page_template"),
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
            (header(name="User-Agent", value="Mozilla"), "headers[0].name"),
            (header(name="Host", value="other.example"), "headers[0].name"),
            (header(name="X-Api-Key", value="written here"), "headers[0].secret"),
            (header(name="Accept-Language"), "headers[0].value"),
            (header(name="Accept-Language", value="zh\r\nHost: x"), "headers[0].value"),
        ):
            call = collector.add("board", site.url("/api"), kind=Source.KIND_API, api=Api(**{**FIELDS, **rules}))
            assert await refused(call) == ("RULE_INVALID", f"source.api.{field}")
        assert (await refused(collector.add("board", site.url("/api"), kind=Source.KIND_API)))[0] == "REQUIRED"

    go(test)
