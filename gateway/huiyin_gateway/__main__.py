"""Wires the gateway together: python -m huiyin_gateway [serve|migrate|bootstrap --out FILE --address URL]."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from huiyin.analyzer.v1 import analyzer_service_pb2
from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceStub
from huiyin.analyzer.v1.event_pb2 import WatchEventsRequest
from huiyin.casework.v1 import casework_service_pb2
from huiyin.casework.v1.case_pb2 import WatchCasesRequest
from huiyin.casework.v1.casework_service_pb2_grpc import CaseworkServiceStub
from huiyin.collector.v1 import collector_service_pb2
from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceStub
from huiyin.collector.v1.post_pb2 import WatchPostsRequest
from huiyin.gateway.v1 import gateway_service_pb2
from huiyin.notifier.v1 import notifier_service_pb2
from huiyin.notifier.v1.notification_pb2 import WatchNotificationsRequest
from huiyin.notifier.v1.notifier_service_pb2_grpc import NotifierServiceStub
from huiyin_chassis import client, process
from huiyin_chassis.identity import Signer
from huiyin_chassis.migrate import migrate
from huiyin_chassis.server import serve_observation

from huiyin_gateway.accounts import OwnMethods, bootstrap
from huiyin_gateway.app import Gateway
from huiyin_gateway.calls import Calls
from huiyin_gateway.changes import Hub, Watch
from huiyin_gateway.config import GatewaySettings
from huiyin_gateway.connection import Limits
from huiyin_gateway.openapi import document
from huiyin_gateway.pages import Pages
from huiyin_gateway.principals import Principals
from huiyin_gateway.routes import Router, bindings_of
from huiyin_gateway.server import GatewayServer
from huiyin_gateway.store import MIGRATIONS, GatewayStore

SERVICES = {
    "collector": collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"],
    "analyzer": analyzer_service_pb2.DESCRIPTOR.services_by_name["AnalyzerService"],
    "casework": casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
    "notifier": notifier_service_pb2.DESCRIPTOR.services_by_name["NotifierService"],
    "gateway": gateway_service_pb2.DESCRIPTOR.services_by_name["GatewayService"],
}


async def serve(settings: GatewaySettings) -> None:
    """Serves until it is told to stop."""
    async with assembled(settings) as server:
        await server.serve()


@asynccontextmanager
async def assembled(settings: GatewaySettings, limits: Limits | None = None) -> AsyncIterator[GatewayServer]:
    """The gateway on its store and its channels to the services, bound to its port and about to serve."""
    async with AsyncExitStack() as stack:
        store = GatewayStore(settings.database_url)
        await store.open()
        stack.push_async_callback(store.close)
        signer = Signer("gateway", settings.key_file)
        channels = {name: client.connect(address) for name, address in settings.addresses().items()}
        for channel in channels.values():
            stack.push_async_callback(channel.close)
        principals = Principals(store, CaseworkServiceStub(channels["casework"]), signer)
        hub = Hub(_watches(channels, signer))
        router = Router(binding for part, service in SERVICES.items() for binding in bindings_of(part, service))
        calls = Calls(router.bindings, channels, at_once=settings.calls_at_once)
        own = OwnMethods(store, channels, calls.circuits, principals.forget)
        app = Gateway(
            router,
            calls,
            own.handlers,
            principals,
            hub,
            Pages(document(router.bindings)),
            largest_upload=settings.largest_upload,
            cors_origins=[origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()],
        )
        server = GatewayServer(app, settings, hub, limits or Limits(connections=settings.connections))
        if settings.metrics_port:
            observed = await serve_observation(settings.host, settings.metrics_port, lambda: server.ready)
            stack.callback(observed.close)
        yield server


def _watches(channels: dict[str, Any], signer: Signer) -> dict[str, Watch]:
    """How the feed of each service is watched, in the gateway's own name."""
    stubs: dict[str, tuple[Any, Any]] = {
        "collector": (CollectorServiceStub(channels["collector"]).WatchPosts, WatchPostsRequest),
        "analyzer": (AnalyzerServiceStub(channels["analyzer"]).WatchEvents, WatchEventsRequest),
        "casework": (CaseworkServiceStub(channels["casework"]).WatchCases, WatchCasesRequest),
        "notifier": (NotifierServiceStub(channels["notifier"]).WatchNotifications, WatchNotificationsRequest),
    }

    def watch_of(method: Any, request_type: Any) -> Watch:
        return lambda cursor, tail: method(
            request_type(cursor=cursor, tail=tail), metadata=client.metadata(signer.own_token())
        )

    return {name: watch_of(*each) for name, each in stubs.items()}


def make_accounts(settings: GatewaySettings, arguments: list[str]) -> None:
    """bootstrap: the demonstration accounts, and a file by which clients find address and keys."""
    parser = argparse.ArgumentParser("python -m huiyin_gateway bootstrap")
    parser.add_argument("--out", type=Path, required=True, help="the client file to write")
    parser.add_argument("--address", required=True, help="where clients reach the gateway")
    options = parser.parse_args(arguments)
    known: dict[str, str] = {}
    if options.out.is_file():
        known = tomllib.loads(options.out.read_text("utf-8")).get("keys", {})

    async def run() -> dict[str, str]:
        store = GatewayStore(settings.database_url)
        await store.open()
        try:
            return await store.write(lambda tx: bootstrap(tx, known))
        finally:
            await store.close()

    keys = asyncio.run(run())
    lines = [f"address = {json.dumps(options.address)}", f"account = {json.dumps(next(iter(keys)))}", "", "[keys]"]
    lines += [f"{name} = {json.dumps(secret)}" for name, secret in keys.items()]
    with os.fdopen(os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    process.main(
        "gateway",
        GatewaySettings,
        serve,
        lambda settings: migrate(settings.database_url, MIGRATIONS),
        {"bootstrap": make_accounts},
    )
