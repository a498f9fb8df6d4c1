"""HTTP's own means: preconditions, repetition, compression, languages, other origins, deadlines, and a service away."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.integration.gateway.conftest import Answer, Setting, Start, read_answer

Body = Callable[[Setting], Awaitable[None]]
SOURCE = {"displayName": "留言板", "kind": "KIND_FILE"}


def run(start: Start, body: Body, **settings: Any) -> None:
    async def whole() -> None:
        async with start(**settings) as setting:
            await body(setting)

    asyncio.run(whole())


async def source_of(setting: Setting) -> Answer:
    created = await setting.ask("POST", "/v1/sources?sourceId=board", SOURCE)
    assert created.status == 200, created.body
    return created


def test_if_match_goes_into_the_etag_of_what_is_written_and_a_stale_one_is_412(start: Start) -> None:
    async def body(setting: Setting) -> None:
        etag = (await source_of(setting)).headers["etag"]
        path = "/v1/sources/board?updateMask=displayName"
        first = await setting.ask("PATCH", path, {"displayName": "一"}, if_match=etag)
        assert first.status == 200 and first.headers["etag"] != etag
        stale = await setting.ask("PATCH", path, {"displayName": "二"}, if_match=etag)
        assert (stale.status, stale.json["reason"]) == (412, "STALE_ETAG")
        without = await setting.ask("PATCH", path, {"displayName": "二", "etag": etag.strip('"')})
        assert (without.status, without.json["reason"]) == (409, "STALE_ETAG")
        any_ = await setting.ask("PATCH", path, {"displayName": "三"}, if_match="*")
        assert any_.status == 200
        weak = await setting.ask("PATCH", path, {"displayName": "四"}, if_match=f"W/{any_.headers['etag']}")
        assert weak.status == 200
        listed = await setting.ask("PATCH", path, {"displayName": "五"}, if_match='"a", "b"')
        assert (listed.status, listed.json["violations"][0]["field"]) == (400, "If-Match")

    run(start, body)


def test_if_match_where_nothing_could_keep_it_is_refused(start: Start) -> None:
    async def body(setting: Setting) -> None:
        answer = await setting.ask("POST", "/v1/accounts", {"displayName": "x"}, "admin", if_match='"a"')
        assert (answer.status, answer.json["reason"]) == (400, "PRECONDITION_UNSUPPORTED")

    run(start, body)


def test_a_resource_that_the_client_has_is_not_sent_again(start: Start) -> None:
    async def body(setting: Setting) -> None:
        etag = (await source_of(setting)).headers["etag"]
        for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
            same = await setting.ask("GET", "/v1/sources/board", if_none_match=known)
            assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
            assert "content-length" not in same.headers
        assert (await setting.ask("GET", "/v1/sources/board", if_none_match='"x"')).status == 200
        assert (await setting.ask("GET", "/v1/sources/board", if_match='"x"')).status == 412
        assert (await setting.ask("GET", "/v1/sources/board", if_match=etag)).status == 200
        document = await setting.ask("GET", "/v1/openapi.json", account="")
        again = await setting.ask("GET", "/v1/openapi.json", account="", if_none_match=document.headers["etag"])
        assert (again.status, again.body) == (304, b"")

    run(start, body)


def test_an_idempotency_key_makes_a_repetition_the_same_request(start: Start) -> None:
    async def body(setting: Setting) -> None:
        key = '"8a9a3a52-2f0b-4c5e-9a64-3a1d7c8e1f10"'
        text = {"text": "路灯不亮，什么时候修？"}
        first = await setting.ask("POST", "/v1/inquiries:submit", text, "", idempotency_key=key)
        again = await setting.ask("POST", "/v1/inquiries:submit", text, "", idempotency_key=key)
        assert first.status == 200 and again.json["receipt"] == first.json["receipt"]
        other = {"text": "井盖坏了。"}
        reused = await setting.ask("POST", "/v1/inquiries:submit", other, "", idempotency_key=key)
        assert reused.json["reason"] == "REQUEST_ID_REUSED"
        both = {**text, "requestId": "2f0b8a9a-2f0b-4c5e-9a64-3a1d7c8e1f10"}
        differing = await setting.ask("POST", "/v1/inquiries:submit", both, "", idempotency_key=key)
        assert (differing.status, differing.json["violations"][0]["field"]) == (400, "Idempotency-Key")

    run(start, body)


@pytest.mark.parametrize(
    ("accepted", "compressed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0, br", False), ("br", False)],
)
def test_an_answer_is_compressed_where_the_client_takes_that(start: Start, accepted: str, compressed: bool) -> None:
    async def body(setting: Setting) -> None:
        plain = await setting.ask("GET", "/v1/openapi.json", account="")
        units = await setting.ask("GET", "/v1/units")
        for path, whole in (("/v1/openapi.json", plain), ("/v1/units", units)):
            answer = await setting.ask("GET", path, accept_encoding=accepted)
            worth = len(whole.body) >= 1400
            assert (answer.headers.get("content-encoding") == "gzip") is (compressed and worth)
            if worth:
                assert answer.headers["vary"] == "accept-encoding"
            if compressed and worth:
                answer.body = zlib.decompress(answer.body, 31)
            assert answer.body == whole.body

    run(start, body)


def test_head_says_what_get_would_and_options_what_a_path_takes(start: Start) -> None:
    async def body(setting: Setting) -> None:
        await source_of(setting)
        got = await setting.ask("GET", "/v1/sources/board")
        reader, writer = await setting.connect()
        key = setting.keys["desk"]
        writer.write(f"HEAD /v1/sources/board HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
        head = await read_answer(reader, "HEAD")
        assert head is not None and head.headers["content-length"] == str(len(got.body))
        assert head.headers["etag"] == got.headers["etag"]
        writer.write(b"OPTIONS /v1/sources/board HTTP/1.1\r\nHost: x\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
        one, every = await read_answer(reader), await read_answer(reader)
        assert one is not None and (one.status, one.headers["allow"]) == (204, "get, head, options, patch")
        assert every is not None and every.status == 204
        writer.close()

    run(start, body)


def test_pages_of_known_origins_may_call_and_of_others_not(start: Start) -> None:
    async def body(setting: Setting) -> None:
        asked = {"access_control_request_method": "PATCH", "account": ""}
        known = await setting.ask("OPTIONS", "/v1/sources/board", origin="https://desk.example", **asked)
        assert known.headers["access-control-allow-origin"] == "https://desk.example"
        assert "patch" in known.headers["access-control-allow-methods"]
        assert "idempotency-key" in known.headers["access-control-allow-headers"]
        other = await setting.ask("OPTIONS", "/v1/sources/board", origin="https://elsewhere.example", **asked)
        assert "access-control-allow-origin" not in other.headers and "origin" in other.headers["vary"]
        answer = await setting.ask("GET", "/v1/cases/none", origin="https://desk.example")
        assert answer.status == 404 and "etag" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers

    run(start, body, cors_origins="https://desk.example, https://console.example")


def test_every_answer_says_what_it_may_do_in_a_browser_and_nothing_of_the_server(start: Start) -> None:
    async def body(setting: Setting) -> None:
        for path in ("/v1/openapi.json", "/v1/status", "/v1/none", "/v1/cases"):
            headers = (await setting.ask("GET", path, account="")).headers
            assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
            assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert not {"server", "x-powered-by", "access-control-allow-origin"} & headers.keys()

    run(start, body)


def test_the_page_of_the_api_comes_from_the_gateway_alone(start: Start) -> None:
    async def body(setting: Setting) -> None:
        page = await setting.ask("GET", "/docs", account="")
        assert page.status == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "script-src 'self'" in policy and "default-src 'none'" in policy and "unsafe" not in policy
        assert b"http://" not in page.body and b"https://" not in page.body
        for part in re.findall(rb'(?:src|href)="(/docs/[^"]+)"', page.body):
            found = await setting.ask("GET", part.decode(), account="")
            assert found.status == 200 and b"https://" not in found.body
            script = found.headers["content-type"].startswith("text/javascript")
            assert not script or b"innerHTML" not in found.body, "texts of contracts are never markup"

    run(start, body)


def test_problems_are_told_in_the_language_of_the_client(start: Start) -> None:
    async def body(setting: Setting) -> None:
        found = await setting.ask("GET", "/v1/cases/none", accept_language="zh-CN,en;q=0.5")
        assert found.json["title"] == "找不到" and found.headers["content-language"] == "zh-cn"
        signed_out = await setting.ask("GET", "/v1/cases", account="", accept_language="zh")
        assert "请先登录" in signed_out.json["detail"]
        assert (await setting.ask("GET", "/v1/cases/none")).headers["content-language"] == "en"

    run(start, body)


def test_changes_come_as_lines_to_who_asks_for_lines(start: Start) -> None:
    async def body(setting: Setting) -> None:
        reader, writer = await setting.connect()
        head = f"Authorization: Bearer {setting.keys['desk']}\r\nAccept: application/x-ndjson\r\n"
        writer.write(f"GET /v1/changes?kinds=source.* HTTP/1.0\r\n{head}\r\n".encode())
        assert b"application/x-ndjson" in await reader.readuntil(b"\r\n\r\n")
        assert json.loads(await reader.readline()).keys() == {"cursor"}
        await source_of(setting)
        row = json.loads(await reader.readline())
        assert (row["service"], row["change"]["kind"]) == ("collector", "source.created") and row["cursor"]
        writer.close()

    run(start, body)


def test_a_service_that_is_away_takes_nothing_but_its_own_routes_with_it(start: Start) -> None:
    async def body(setting: Setting) -> None:
        await source_of(setting)
        away = await setting.ask("GET", "/v1/events")
        assert (away.status, away.json["reason"], away.json["metadata"]) == (503, "UNAVAILABLE", {"part": "analyzer"})
        assert int(away.headers["retry-after"]) >= 1
        assert (await setting.ask("GET", "/v1/sources/board")).status == 200
        status = (await setting.ask("GET", "/v1/status", account="")).json
        serving = {each["service"]: each.get("serving", False) for each in status["services"]}
        assert serving == {"collector": True, "analyzer": False, "casework": True, "notifier": False}
        assert "serving" not in status

    run(start, body)


def test_status_says_how_far_a_service_is_behind_the_feeds_that_it_follows(start: Start) -> None:
    async def body(setting: Setting) -> None:
        async with asyncio.timeout(20):
            while True:
                status = (await setting.ask("GET", "/v1/status", account="")).json
                (casework,) = [each for each in status["services"] if each["service"] == "casework"]
                if casework.get("feeds"):
                    break
        (feed,) = [each for each in casework["feeds"] if each["feed"] == "analyzer.events"]
        assert float(feed["lag"].removesuffix("s")) > 0, "the analyzer is away"

    run(start, body, working=True)


def test_a_call_takes_no_longer_than_the_client_would_wait(start: Start) -> None:
    async def body(setting: Setting) -> None:
        short = await setting.ask("GET", "/v1/sources", prefer="respond-async, wait=0")
        assert (short.status, short.json["reason"]) == (504, "DEADLINE_EXCEEDED")
        assert (await setting.ask("GET", "/v1/sources", prefer="wait=20")).status == 200

    run(start, body)


def test_keys_of_an_account_that_is_not_there_are_not_found(start: Start) -> None:
    async def body(setting: Setting) -> None:
        assert (await setting.ask("GET", "/v1/accounts/nobody/apiKeys", account="admin")).status == 404
        assert (await setting.ask("GET", "/v1/accounts/desk/apiKeys", account="admin")).status == 200

    run(start, body)


def test_more_calls_than_there_are_places_are_refused_at_once(start: Start) -> None:
    async def body(setting: Setting) -> None:
        answers = await asyncio.gather(*(setting.ask("GET", "/v1/sources") for _ in range(40)))
        statuses = {answer.status for answer in answers}
        assert statuses == {200, 503}, statuses
        refused = next(answer for answer in answers if answer.status == 503)
        assert (refused.json["reason"], refused.headers["retry-after"]) == ("TOO_MANY_REQUESTS", "1")
        assert (await setting.ask("GET", "/v1/sources")).status == 200

    run(start, body, calls_at_once=2)
