"""What a client may send, how slowly, and what it is told when it goes too far."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from huiyin_gateway.connection import Limits

from tests.integration.gateway.conftest import Setting, Start, read_answer

HEAD = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n"
QUICK = Limits(head_seconds=0.5, body_seconds=0.5, idle_seconds=0.5, write_seconds=0.5, head_bytes=2000)


def run(start: Start, body: Callable[[Setting], Awaitable[None]], limits: Limits | None = None) -> None:
    async def whole() -> None:
        async with start(limits) as setting:
            await body(setting)

    asyncio.run(whole())


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"GET /v1/status HTTP/1.1\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (b"nonsense\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "REQUEST_MALFORMED"),
        (b"GET /v1/status HTTP/2.0\r\nHost: x\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (b"GET /v1/\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (b"GET /v1/status HTTP/1.1\nHost: x\n\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Host: y\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b" folded: x\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Bad\x00name: x\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Content-Length: +1\r\n\r\na", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (b"GET /v1/status HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"Expect: wonders\r\n\r\n", 400, "REQUEST_MALFORMED"),
        (HEAD + b"X: " + b"x" * 40_000 + b"\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (HEAD + b"X: y\r\n" * 101 + b"\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
        (b"GET /" + b"x" * 400_000, 431, "HEADERS_TOO_LARGE"),
    ],
)
def test_what_is_not_http_is_refused_in_a_problem_document(start: Start, raw: bytes, status: int, reason: str) -> None:
    async def body(setting: Setting) -> None:
        (answer,) = await setting.send(raw)
        assert (answer.status, answer.json["reason"]) == (status, reason)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["connection"] == "close" and "server" not in answer.headers

    run(start, body)


def test_a_body_that_breaks_off_in_a_chunk_is_refused_and_nothing_behind_it_is_served(start: Start) -> None:
    async def body(setting: Setting) -> None:
        post = b"POST /v1/inquiries:submit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        answers = await setting.send(post + b"5\r\nabcdeXX0\r\n\r\n" + HEAD + b"\r\n")
        assert [answer.status for answer in answers] == [400]
        answers = await setting.send(post + b"2\r\n{}\r\n0\r\nTrailer: x\r\n\r\n" + HEAD + b"\r\n")
        assert [answer.status for answer in answers] == [400]

    run(start, body)


def test_requests_of_one_connection_are_answered_in_their_order(start: Start) -> None:
    async def body(setting: Setting) -> None:
        paths = ["/v1/openapi.json", "/v1/nothing", "/v1/status", "/v1/cases"]
        raw = b"".join(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in paths)
        answers = await setting.send(raw + b"GET /v1/none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + HEAD)
        assert [answer.status for answer in answers] == [200, 404, 200, 401, 404]
        assert "connection" not in answers[0].headers and answers[-1].headers["connection"] == "close"

    run(start, body)


def test_too_many_requests_at_once_on_one_connection_are_refused_after_those_before(start: Start) -> None:
    async def body(setting: Setting) -> None:
        answers = await setting.send((HEAD + b"\r\n") * 500)
        assert {answer.status for answer in answers[:-1]} == {200}
        assert (answers[-1].status, len(answers)) == (400, 18)

    run(start, body)


def test_an_upgrade_is_not_followed(start: Start) -> None:
    async def body(setting: Setting) -> None:
        raw = HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n" + HEAD + b"\r\n"
        answers = await setting.send(raw)
        assert [answer.status for answer in answers] == [200]
        (answer,) = await setting.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n" + HEAD + b"\r\n")
        assert answer.status in (400, 404)

    run(start, body)


def test_a_client_that_waits_for_100_continue_gets_it_only_when_its_body_is_wanted(start: Start) -> None:
    async def body(setting: Setting) -> None:
        expecting = b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        reader, writer = await setting.connect()
        writer.write(b"POST /v1/receipts:lookup HTTP/1.1\r\nHost: x\r\n" + expecting)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        answer = await read_answer(reader)
        assert answer is not None and answer.json["reason"] == "REQUIRED"
        writer.close()
        (refused,) = await setting.send(b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\n" + expecting)
        assert refused.status == 401

    run(start, body)


def test_who_is_too_slow_is_told_and_sent_away(start: Start) -> None:
    async def body(setting: Setting) -> None:
        post = b"POST /v1/receipts:lookup HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        late, unfinished, idle = await asyncio.gather(
            setting.send(HEAD), setting.send(post), setting.send(HEAD + b"\r\n")
        )
        assert [answer.json["reason"] for answer in late] == ["REQUEST_TIMEOUT"]
        assert [answer.status for answer in unfinished] == [408]
        assert [answer.status for answer in idle] == [200]

    run(start, body, QUICK)


def test_a_body_that_drips_is_not_waited_for(start: Start) -> None:
    async def body(setting: Setting) -> None:
        reader, writer = await setting.connect()
        writer.write(b"POST /v1/receipts:lookup HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
        reading = asyncio.create_task(read_answer(reader))
        while not reading.done():
            writer.write(b" ")
            await asyncio.sleep(0.05)
        answer = await reading
        assert answer is not None and answer.status == 408
        writer.close()

    run(start, body, QUICK)


def test_a_client_that_takes_nothing_is_cut_off_and_others_are_served_meanwhile(start: Start) -> None:
    async def body(setting: Setting) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", setting.server.port, limit=1)
        raw = b"GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
        writer.write(raw * 15)
        async with asyncio.timeout(20):
            while not setting.server.connections or not any(each.blocked for each in setting.server.connections):
                writer.write(raw)
                await asyncio.sleep(0.01)
            assert (await setting.ask("GET", "/v1/status", account="")).status == 200
            while setting.server.connections:
                await asyncio.sleep(0.05)
        writer.close()

    run(start, body, Limits(write_seconds=0.5))


def test_beyond_the_most_connections_a_client_is_told_to_come_back(start: Start) -> None:
    async def body(setting: Setting) -> None:
        held = [await setting.connect() for _ in range(3)]
        await setting.ask("GET", "/v1/status", account="")
        held.append(await setting.connect())
        while len(setting.server.connections) < 4:
            await asyncio.sleep(0)
        (answer,) = await setting.send(b"")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        for _, writer in held:
            writer.close()

    run(start, body, Limits(connections=4))


def test_a_server_that_stops_ends_streams_at_once_and_lets_a_call_finish(start: Start) -> None:
    async def body(setting: Setting) -> None:
        key = setting.keys["desk"].encode()
        streams = []
        for _ in range(50):
            reader, writer = await setting.connect()
            writer.write(b"GET /v1/changes HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + key + b"\r\n\r\n")
            streams.append((reader, writer))
        for reader, _ in streams:
            await reader.readuntil(b"retry: 1000")
        reader, writer = await setting.connect()
        expecting = b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        writer.write(b"POST /v1/receipts:lookup HTTP/1.1\r\nHost: x\r\n" + expecting)
        await reader.readuntil(b"\r\n\r\n")
        setting.server.stop()
        for stream, _ in streams:
            assert b": stopping" in await stream.read()
        writer.write(b"{}")
        answer = await read_answer(reader)
        assert answer is not None and answer.headers["connection"] == "close"

    run(start, body)
