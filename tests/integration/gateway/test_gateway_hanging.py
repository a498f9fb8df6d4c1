"""A service that takes calls and never answers: what it costs its callers, and that it costs the others nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from huiyin_chassis import client

from tests.integration.gateway.conftest import Start


class Silence(grpc.GenericRpcHandler):
    """Takes every call, and answers none."""

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        async def wait(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            await asyncio.Event().wait()
            return b""

        return grpc.unary_unary_rpc_method_handler(wait)


@asynccontextmanager
async def silent_service() -> AsyncIterator[str]:
    """The address of a service that hangs."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Silence(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def test_a_service_that_hangs_is_held_off_and_says_so_in_the_status(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        async with silent_service() as address, start(analyzer_address=address) as setting:
            monkeypatch.setattr(client, "DEADLINE", 0.2)
            for _ in range(5):
                late = await setting.ask("GET", "/v1/events")
                assert (late.status, late.json["metadata"]) == (504, {"part": "analyzer"})
            monkeypatch.setattr(client, "DEADLINE", 30.0)
            held = await setting.ask("GET", "/v1/events")
            assert (held.status, held.json["reason"]) == (503, "SERVICE_DOWN")
            assert int(held.headers["retry-after"]) >= 1
            assert (await setting.ask("GET", "/v1/sources")).status == 200
            status = (await setting.ask("GET", "/v1/status", account="")).json
            assert {each["service"] for each in status["services"] if each.get("heldOff")} == {"analyzer"}

    asyncio.run(body())


def test_a_call_ends_with_the_client_that_asked_for_it(start: Start) -> None:
    async def body() -> None:
        async with silent_service() as address, start(analyzer_address=address) as setting:
            assert (await setting.ask("GET", "/v1/sources")).status == 200
            _, writer = await setting.connect()
            key = setting.keys["desk"]
            writer.write(f"GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
            while not setting.server.tasks:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            assert setting.server.tasks, "it waits for the service"
            writer.close()
            async with asyncio.timeout(5):
                while setting.server.tasks:
                    await asyncio.sleep(0.01)

    asyncio.run(body())


def test_a_service_that_hangs_keeps_only_its_share_of_the_places(start: Start) -> None:
    async def body() -> None:
        async with silent_service() as address, start(analyzer_address=address, calls_at_once=10) as setting:
            assert (await setting.ask("GET", "/v1/sources")).status == 200
            waiting = [asyncio.create_task(setting.ask("GET", "/v1/events", prefer="wait=3")) for _ in range(20)]
            answers = await asyncio.gather(*waiting, *(setting.ask("GET", "/v1/sources") for _ in range(3)))
            statuses = [answer.status for answer in answers]
            assert statuses[-3:] == [200, 200, 200]
            assert statuses[:20].count(504) == 6 and statuses[:20].count(503) == 14

    asyncio.run(body())
