"""A client that knows nothing of ours, synchronous and without the chassis, meets a served contract."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.identity import Principal, Signer, ensure_keys
from huiyin_chassis.server import Server, Service

DESCRIPTOR = collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"]


class Servicer(collector_service_pb2_grpc.CollectorServiceServicer):
    async def GetPost(self, request: post_pb2.GetPostRequest, context: Any) -> post_pb2.Post:
        return post_pb2.Post(name=request.name, text="路灯")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    ensure_keys(folder, ["gateway"])
    return folder


@pytest.fixture(scope="module")
def grpc_servicer() -> Servicer:
    return Servicer()


@pytest.fixture(scope="module")
def grpc_server(grpc_addr: str, grpc_servicer: Servicer, keys: Path) -> Iterator[Server]:
    """pytest-grpc's server, with ours in its place: on a loop of its own, as a process has it."""
    settings = ProcessSettings(port=int(grpc_addr.rpartition(":")[2]), public_keys=keys / "public")
    add = collector_service_pb2_grpc.add_CollectorServiceServicer_to_server
    server = Server("collector", settings, [Service(DESCRIPTOR, add, grpc_servicer)])
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield server
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def grpc_stub_cls(grpc_channel: grpc.Channel) -> Any:
    return collector_service_pb2_grpc.CollectorServiceStub


def test_a_signed_call_is_answered(grpc_stub: Any, keys: Path) -> None:
    token = Signer("gateway", keys / "private" / "gateway.pem").sign(Principal("accounts/desk", roles=("desk",)))
    request = post_pb2.GetPostRequest(name="posts/1")
    assert grpc_stub.GetPost(request, metadata=(("authorization", f"Bearer {token}"),)).text == "路灯"


def test_a_refusal_is_a_google_rpc_status(grpc_stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        grpc_stub.GetPost(post_pb2.GetPostRequest(name="posts/1"))
    trailing = dict(caught.value.trailing_metadata())  # type: ignore[attr-defined]
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("huiyin", "TOKEN_MISSING")


def test_health_and_reflection_are_served(grpc_channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(grpc_channel).Check(health_pb2.HealthCheckRequest())
    assert health.status == health_pb2.HealthCheckResponse.SERVING
    assert DESCRIPTOR.full_name in ProtoReflectionDescriptorDatabase(grpc_channel).get_services()
