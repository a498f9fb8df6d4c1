"""The four services in a process of their own, on SQLite, and calls of any method of theirs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from huiyin_chassis import reasons
from huiyin_chassis.errors import DomainError, from_rpc_error
from huiyin_chassis.identity import Principal, Signer, ensure_keys
from huiyin_local.layout import PROCESSES, Layout, inherited
from huiyin_local.ports import free_port

from tests.conformance.serving import ALL, SERVED
from tests.contract.walking import SERVICES, methods
from tests.logs import only_declared_reasons

_PATIENCE = 120
"""Seconds: others may use this machine."""
PEOPLE = ("desk", "officer", "reviewer", "approver", "admin")


def somebody(name: str, *roles: str, **reach: Any) -> Principal:
    """A principal who may do everything, unless other roles are given, everywhere, unless a reach is given."""
    return Principal(f"accounts/{name}", roles=roles or (ALL, *PEOPLE), **(reach or {"everywhere": True}))


DESK = somebody("desk")
ELSEWHERE = somebody("elsewhere", units=("nowhere",), places=("places/nowhere",), topics=("topics/nothing",))
"""Somebody who may do everything, in a unit, a place and a topic where nothing is."""

EVERY: dict[str, tuple[str, MethodDescriptor]] = {
    f"{service}.{method.name}": (service, method) for service, method in methods()
}
"""Every method, by the names of its service and its own."""

METHODS = {key: found for key, found in EVERY.items() if found[0] != "gateway"}
"""Those that are served over gRPC."""


@dataclass
class World:
    """Running services, and what is in them."""

    layout: Layout
    channels: dict[str, grpc.Channel]
    gateway: Signer
    names: dict[str, str] = field(default_factory=dict)
    """A name of each type of resource."""
    receipts: list[str] = field(default_factory=list)
    """Receipts of inquiries that wait for their answer."""
    done: dict[str, list[str]] = field(default_factory=dict)
    """Methods that wrote something, each with what went otherwise than it should."""

    def token(self, who: Principal | None) -> tuple[tuple[str, str], ...]:
        """What goes with a call of somebody; of nobody, nothing."""
        return () if who is None else (("authorization", f"Bearer {self.gateway.sign(who)}"),)

    def stub(self, key: str, *, raw: bool = False) -> Callable[..., Any]:
        """Calls a method by its key in METHODS; raw, with bytes."""
        service, method = METHODS[key]
        channel = self.channels["collector" if service == "process" else service]
        reply = GetMessageClass(method.output_type)
        path = f"/{SERVICES[service].full_name}/{method.name}"
        write = (lambda data: data) if raw else GetMessageClass(method.input_type).SerializeToString
        if method.server_streaming:
            return channel.unary_stream(path, write, reply.FromString)
        if method.client_streaming:
            call = channel.stream_unary(path, write, reply.FromString)
            return lambda request, **how: call(iter([request]), **how)
        return channel.unary_unary(path, write, reply.FromString)

    def call(self, key: str, request: Message | bytes, who: Principal | None = DESK, *, timeout: float = 60) -> Any:
        """Calls a method; of a stream the first message. An error comes as the DomainError that it was."""
        return self.call_with(key, request, self.token(who), timeout=timeout)

    def call_with(self, key: str, request: Message | bytes, token: Any, *, timeout: float = 60) -> Any:
        """The same, with a token of one's own."""
        try:
            reply = self.stub(key, raw=isinstance(request, bytes))(request, metadata=token, timeout=timeout)
            if METHODS[key][1].server_streaming:
                first = next(reply)
                reply.cancel()
                return first
            return reply
        except grpc.RpcError as error:
            found = from_rpc_error(error)
            reasons.compare(METHODS[key][1].full_name, _declared(key), found)
            raise found from None

    def outcome(
        self, key: str, request: Message | bytes, who: Principal | None = DESK, **how: Any
    ) -> DomainError | None:
        """The error that a call ends with; None where it succeeds."""
        try:
            self.call(key, request, who, **how)
        except DomainError as error:
            return error
        return None

    def until(self, what: str, found: Callable[[], Any]) -> Any:
        """Waits until something is there."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            result = found()
            if result:
                return result
            time.sleep(0.02)
        raise AssertionError(f"{what}: not there after {_PATIENCE} s")


@cache
def _declared(key: str) -> frozenset[str]:
    return reasons.declared(METHODS[key][1])


def new(key: str, **fields: Any) -> Message:
    """A request of a method."""
    return GetMessageClass(EVERY[key][1].input_type)(**fields)


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """The services, serving."""
    layout = Layout(folder, free_port())
    layout.prepare()
    ensure_keys(layout.keys, PROCESSES)

    with (layout.logs / "services.log").open("wb") as log:
        command = [sys.executable, "-m", "tests.conformance.serving", str(folder), str(layout.port)]
        services = subprocess.Popen(command, env=inherited(), stdout=log, stderr=log)
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    channels = {name: grpc.insecure_channel(f"127.0.0.1:{layout.port_of(name)}", options) for name in SERVED}
    try:
        for name, channel in channels.items():
            asked = health_pb2.HealthCheckRequest()
            check = health_pb2_grpc.HealthStub(channel).Check
            assert check(asked, timeout=60, wait_for_ready=True).status == health_pb2.HealthCheckResponse.SERVING, name
        yield World(layout, channels, Signer("gateway", layout.keys / "private" / "gateway.pem"))
        only_declared_reasons(layout.logs)
    finally:
        for channel in channels.values():
            channel.close()
        services.kill()
        services.wait()
