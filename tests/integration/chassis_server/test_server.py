"""The server as its callers meet it: a real one on loopback with a small servicer of a real contract."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client, clock
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.errors import DomainError, FailedPrecondition, Unavailable, from_rpc_error
from huiyin_chassis.identity import Principal, Signer, current_principal, ensure_keys
from huiyin_chassis.server import Server, Service

DESCRIPTOR = collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"]
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)


class Servicer(collector_service_pb2_grpc.CollectorServiceServicer):
    async def GetPost(self, request: post_pb2.GetPostRequest, context: Any) -> post_pb2.Post:
        if request.name == "posts/sealed":
            raise FailedPrecondition("POST_SEALED", "it is sealed; open it first", state="SEALED")
        if request.name == "posts/broken":
            raise ZeroDivisionError("internal detail")
        return post_pb2.Post(name=request.name, subject=current_principal().subject)

    async def WatchPosts(
        self, request: post_pb2.WatchPostsRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        yield feed_pb2.ChangeBatch(cursor="1")


class Setting:
    """A started server, a stub, and the keys to sign with."""

    def __init__(self, keys: Path, server: Server, channel: grpc.aio.Channel) -> None:
        self.signer = Signer("gateway", keys / "private" / "gateway.pem")
        self.server = server
        self.channel = channel
        self.stub: Any = collector_service_pb2_grpc.CollectorServiceStub(channel)

    async def get(self, name: str, principal: Principal | None = DESK) -> post_pb2.Post:
        metadata = client.metadata(self.signer.sign(principal)) if principal else ()
        reply: post_pb2.Post = await self.stub.GetPost(post_pb2.GetPostRequest(name=name), metadata=metadata, timeout=5)
        return reply

    async def refused(self, name: str, principal: Principal | None = DESK) -> DomainError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.get(name, principal)
        return from_rpc_error(caught.value)


@asynccontextmanager
async def serving(keys: Path, **settings: Any) -> AsyncIterator[Setting]:
    ensure_keys(keys, ["gateway", "analyzer"])
    server = Server(
        "collector",
        ProcessSettings(public_keys=keys / "public", drain_seconds=1.0, **settings),
        [Service(DESCRIPTOR, collector_service_pb2_grpc.add_CollectorServiceServicer_to_server, Servicer())],
    )
    await server.start()
    async with client.connect(f"127.0.0.1:{server.port}") as channel:
        yield Setting(keys, server, channel)
    await server.stop()


def run(keys: Path, test: Callable[[Setting], Awaitable[None]]) -> None:
    async def body() -> None:
        async with serving(keys) as setting:
            await test(setting)

    asyncio.run(body())


def test_a_signed_caller_is_served_under_its_name(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        assert (await setting.get("posts/1")).subject == "accounts/desk"

    run(tmp_path, body)


def test_domain_errors_arrive_whole(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        error = await setting.refused("posts/sealed")
        assert isinstance(error, FailedPrecondition)
        assert (error.reason, error.metadata) == ("POST_SEALED", {"state": "SEALED"})

    run(tmp_path, body)


def test_nothing_of_the_inside_leaves_the_process(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        error = await setting.refused("posts/broken")
        assert error.reason == "INTERNAL" and len(error.metadata["trace_id"]) == 32
        assert "internal detail" not in error.message

    run(tmp_path, body)


def test_permission_and_validation_come_before_the_call(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        assert (await setting.refused("posts/1", None)).reason == "TOKEN_MISSING"
        denied = await setting.refused("posts/1", Principal("accounts/officer", roles=("officer",)))
        assert denied.metadata == {"permission": "collector.posts.read"}
        assert (await setting.refused("")).violations[0].field == "name"

    run(tmp_path, body)


def test_a_stream_ends_when_its_token_does(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        signer = Signer("analyzer", tmp_path / "private" / "analyzer.pem")
        metadata = client.metadata(
            signer.sign(Principal("services/analyzer", expires=clock.now() + timedelta(seconds=2)))
        )
        cursors = []
        start = clock.now()
        # The servicer's stream ends at once here; by then the token must have run out for it to be told so.
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while clock.now() < start + timedelta(seconds=10):
                async for batch in setting.stub.WatchPosts(post_pb2.WatchPostsRequest(), metadata=metadata):
                    cursors.append(batch.cursor)
        assert cursors and from_rpc_error(caught.value).reason == "TOKEN_EXPIRED"

    run(tmp_path, body)


def test_health_metrics_and_readiness_are_served(tmp_path: Path, unused_port: int) -> None:
    def fetch(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{unused_port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    async def body() -> None:
        async with serving(tmp_path, metrics_port=unused_port) as setting:
            stub = health_pb2_grpc.HealthStub(setting.channel)
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=DESCRIPTOR.full_name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            await setting.get("posts/1")
            assert "huiyin_rpc_seconds" in await asyncio.to_thread(fetch, "/metrics")
            assert await asyncio.to_thread(fetch, "/readyz") == "ok\n"
            with pytest.raises(urllib.error.HTTPError):
                await asyncio.to_thread(fetch, "/nothing")

    asyncio.run(body())


def test_a_taken_port_is_told_in_a_sentence(tmp_path: Path) -> None:
    async def body() -> None:
        async with serving(tmp_path) as setting:
            with pytest.raises(Unavailable, match="HUIYIN_PORT"):
                async with serving(tmp_path, port=setting.server.port):
                    pass

    asyncio.run(body())
