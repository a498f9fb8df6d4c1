"""The server as its callers meet it: a real one on loopback with a small servicer of a real contract."""

from __future__ import annotations

import asyncio
import os
import signal
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client, clock, reasons, server, telemetry
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.errors import DomainError, FailedPrecondition, PermissionDenied, Unavailable, from_rpc_error
from huiyin_chassis.identity import Principal, Signer, current_principal, ensure_keys
from huiyin_chassis.server import Server, Service, supervise

DESCRIPTOR = collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"]
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)


class Servicer(collector_service_pb2_grpc.CollectorServiceServicer):
    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.released = asyncio.Event()
        self.closed = asyncio.Event()

    async def GetPost(self, request: post_pb2.GetPostRequest, context: Any) -> post_pb2.Post:
        if request.name == "posts/elsewhere":
            raise PermissionDenied("REACH_MISSING", "it is of another place; ask there", place="places/elsewhere")
        if request.name == "posts/odd":
            raise FailedPrecondition("EVENT_MERGED", "no post is an event")
        if request.name == "posts/broken":
            raise ZeroDivisionError("internal detail")
        if request.name == "posts/slow":
            self.called.set()
            await self.released.wait()
        return post_pb2.Post(name=request.name, subject=current_principal().subject, text=telemetry.trace_id())

    async def WatchPosts(
        self, request: post_pb2.WatchPostsRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        try:
            yield feed_pb2.ChangeBatch(cursor="1")
            await self.released.wait()
        finally:
            self.closed.set()


class Setting:
    """A started server, a stub, and the keys to sign with."""

    def __init__(self, keys: Path, server: Server, servicer: Servicer, channel: grpc.aio.Channel) -> None:
        self.signer = Signer("gateway", keys / "private" / "gateway.pem")
        self.server = server
        self.servicer = servicer
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


def unstarted(keys: Path, servicer: Servicer, **settings: Any) -> Server:
    ensure_keys(keys, ["gateway", "analyzer"])
    add = collector_service_pb2_grpc.add_CollectorServiceServicer_to_server
    given = replace(ProcessSettings(public_keys=keys / "public", drain_seconds=1.0), **settings)
    return Server("collector", given, [Service(DESCRIPTOR, add, servicer)])


@asynccontextmanager
async def serving(keys: Path, **settings: Any) -> AsyncIterator[Setting]:
    servicer = Servicer()
    server = unstarted(keys, servicer, **settings)
    await server.start()
    async with client.connect(f"127.0.0.1:{server.port}") as channel:
        yield Setting(keys, server, servicer, channel)
        servicer.released.set()
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
        error = await setting.refused("posts/elsewhere")
        assert isinstance(error, PermissionDenied)
        assert (error.reason, error.metadata) == ("REACH_MISSING", {"place": "places/elsewhere"})

    run(tmp_path, body)


def test_a_reason_that_the_method_does_not_declare_reaches_the_caller_and_is_noted(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        assert (await setting.refused("posts/odd")).reason == "EVENT_MERGED"
        assert reasons.undeclared == {("huiyin.collector.v1.CollectorService.GetPost", "EVENT_MERGED")}
        reasons.undeclared.clear()  # it was meant here

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


def test_tokens_are_taken_in_one_form_only(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        for authorization in ("Basic ZGVzazpkZXNr", "Bearer nonsense", ""):
            metadata = (("authorization", authorization),)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await setting.stub.GetPost(post_pb2.GetPostRequest(name="posts/1"), metadata=metadata)
            assert from_rpc_error(caught.value).reason == "TOKEN_INVALID"

    run(tmp_path, body)


def test_a_call_stays_in_the_trace_of_its_caller(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        with telemetry.span("caller", f"00-{'a' * 32}-{'b' * 16}-01"):
            assert (await setting.get("posts/1")).text == "a" * 32
        assert len((await setting.get("posts/1")).text) == 32

    run(tmp_path, body)


def test_a_call_without_a_deadline_is_given_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LONGEST_CALL", 0.05)

    async def body(setting: Setting) -> None:
        metadata = client.metadata(setting.signer.sign(DESK))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await setting.stub.GetPost(post_pb2.GetPostRequest(name="posts/slow"), metadata=metadata)
        assert from_rpc_error(caught.value).reason == "CALL_TOO_LONG"

    run(tmp_path, body)


def test_a_stream_ends_when_its_token_does(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        signer = Signer("analyzer", tmp_path / "private" / "analyzer.pem")
        principal = Principal("services/analyzer", expires=clock.now() + timedelta(seconds=2))
        cursors = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            metadata = client.metadata(signer.sign(principal))
            async for batch in setting.stub.WatchPosts(post_pb2.WatchPostsRequest(), metadata=metadata, timeout=30):
                cursors.append(batch.cursor)
        assert cursors == ["1"]
        assert from_rpc_error(caught.value).reason == "TOKEN_EXPIRED"
        await setting.servicer.closed.wait()

    run(tmp_path, body)


def test_a_stream_is_closed_when_its_client_leaves(tmp_path: Path) -> None:
    async def body(setting: Setting) -> None:
        metadata = client.metadata(Signer("analyzer", tmp_path / "private" / "analyzer.pem").own_token())
        call = setting.stub.WatchPosts(post_pb2.WatchPostsRequest(), metadata=metadata)
        assert (await call.read()).cursor == "1"
        call.cancel()
        await asyncio.wait_for(setting.servicer.closed.wait(), 10)

    run(tmp_path, body)


def test_a_contract_without_permissions_is_not_served(tmp_path: Path) -> None:
    health = health_pb2.DESCRIPTOR.services_by_name["Health"]
    settings = ProcessSettings(public_keys=tmp_path)

    async def body() -> None:
        add = health_pb2_grpc.add_HealthServicer_to_server
        with pytest.raises(ValueError, match=r"Health\.Check does not declare"):
            await Server("collector", settings, [Service(health, add, health_pb2_grpc.HealthServicer())]).start()

    asyncio.run(body())


@pytest.mark.parametrize("environment", ["development", "production"])
def test_reflection_is_for_development(tmp_path: Path, environment: str) -> None:
    async def body() -> None:
        async with serving(tmp_path, environment=environment) as setting:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(setting.channel)
            call = stub.ServerReflectionInfo()
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            await call.done_writing()
            names = [service.name async for answer in call for service in answer.list_services_response.service]
            assert DESCRIPTOR.full_name in names

    if environment == "development":
        asyncio.run(body())
    else:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            asyncio.run(body())
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_told_to_stop_it_finishes_what_is_under_way(tmp_path: Path) -> None:
    async def body() -> None:
        servicer, working, cancelled = Servicer(), asyncio.Event(), asyncio.Event()
        server = unstarted(tmp_path, servicer, drain_seconds=30.0)

        async def worker() -> None:
            working.set()
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        running = asyncio.create_task(server.run({"worker": worker}))
        await working.wait()
        async with client.connect(f"127.0.0.1:{server.port}") as channel:
            setting = Setting(tmp_path, server, servicer, channel)
            slow = asyncio.create_task(setting.get("posts/slow"))
            await servicer.called.wait()
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(grpc.aio.AioRpcError):
                while True:
                    await setting.get("posts/1")
            assert not slow.done() and not cancelled.is_set()
            servicer.released.set()
            assert (await slow).name == "posts/slow"
        await running
        assert cancelled.is_set()

    asyncio.run(body())


def test_a_loop_that_fails_is_started_again() -> None:
    starts = []

    async def worker() -> None:
        starts.append(clock.now())
        if len(starts) < 3:
            raise RuntimeError("lost its way")

    asyncio.run(supervise("worker", worker))
    assert len(starts) == 3


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
