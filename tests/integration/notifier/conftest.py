"""A casework that publishes what a test says, a webhook that refuses as often as told, and the notifier's process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from huiyin.casework.v1 import case_pb2, casework_service_pb2, casework_service_pb2_grpc
from huiyin.notifier.v1 import notification_pb2, notifier_service_pb2_grpc
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, current_principal, ensure_keys
from huiyin_chassis.server import Server, Service
from huiyin_chassis.store import Store, Tx
from huiyin_notifier.store import MIGRATIONS

from tests.databases import migrate

ADMIN = Principal("accounts/admin", roles=("admin",), everywhere=True)
GATEWAY = Principal("services/gateway")
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)


class Casework(casework_service_pb2_grpc.CaseworkServiceServicer):
    """Serves the feed of a store that tests write to. The notifier's migrations make its tables: the chassis's do."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.feed = Feed(store)
        self.address = ""

    async def WatchCases(
        self, request: case_pb2.WatchCasesRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        async for batch in self.feed.watch(
            request.cursor, kinds=request.kinds, tail=request.tail, until=current_principal().expires
        ):
            yield batch

    async def ListCases(self, request: case_pb2.ListCasesRequest, context: Any) -> case_pb2.ListCasesResponse:
        return case_pb2.ListCasesResponse(cursor=await self.store.read(self.feed.head))

    async def publish(self, *cases: case_pb2.Case, kind: str = "case.opened") -> None:
        """Publishes a change of each case."""

        def write(tx: Tx) -> None:
            for case in cases:
                tx.changes.add(kind, case.name, case.revision, case, drill=case.drill)

        await self.store.write(write)


@asynccontextmanager
async def casework(keys: Path, folder: Path) -> AsyncIterator[Casework]:
    """A casework on a port of its own."""
    url = f"sqlite:///{folder / 'casework.db'}"
    migrate(url, MIGRATIONS)
    store = Store(url, migrations=MIGRATIONS)
    await store.open()
    servicer = Casework(store)
    settings = ProcessSettings(public_keys=keys / "public", drain_seconds=0.2)
    service = Service(
        casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
        casework_service_pb2_grpc.add_CaseworkServiceServicer_to_server,
        servicer,
    )
    server = Server("casework", settings, [service])
    await server.start()
    servicer.address = f"127.0.0.1:{server.port}"
    try:
        yield servicer
    finally:
        await server.stop(store)
        await store.close()


@dataclass
class Webhook:
    """A receiver on loopback: refuses the first `refusals` messages, takes the others, answers while `open` is set."""

    refusals: int = 0
    posts: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """Idempotency key, body and headers of everything that came."""
    accepted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    port: int = 0
    open: threading.Event = field(default_factory=threading.Event)

    def answer(self, headers: dict[str, str], body: dict[str, Any]) -> int:
        self.posts.append((headers["idempotency-key"], body, headers))
        self.open.wait(20)
        if self.refusals > 0:
            self.refusals -= 1
            return 503
        self.accepted.append((headers["idempotency-key"], body))
        return 200


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    receiver = Webhook()
    receiver.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(receiver.answer(headers, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.open.set()
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Notifier:
    """The notifier's process, and its client."""

    process: subprocess.Popen[str]
    stub: notifier_service_pb2_grpc.NotifierServiceAsyncStub
    signer: Signer

    def as_(self, principal: Principal) -> dict[str, Any]:
        """What goes with a call of somebody."""
        return {"metadata": client.metadata(self.signer.sign(principal)), "timeout": client.DEADLINE}

    def kill(self) -> None:
        """Kills the process where it stands."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def list(self, filter: str = "") -> list[notification_pb2.Notification]:
        """Every notification that a filter matches."""
        request = notification_pb2.ListNotificationsRequest(page_size=1000, filter=filter)
        found: list[notification_pb2.Notification] = []
        while True:
            page = await self.stub.ListNotifications(request, **self.as_(DESK))
            found += page.notifications
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def until(self, filter: str, count: int) -> list[notification_pb2.Notification]:
        """Waits until so many notifications match a filter."""
        async with asyncio.timeout(30):
            while len(found := await self.list(filter)) < count:
                await asyncio.sleep(0.02)
        return found


Start = Callable[..., Any]


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    ensure_keys(tmp_path / "keys", ["casework", "notifier", "gateway"])
    return tmp_path / "keys"


@pytest.fixture
def notifier_on(keys: Path, tmp_path: Path) -> Start:
    """Starts the notifier's process on a database, following a casework; a context manager."""

    @asynccontextmanager
    async def start(database_url: str, casework_address: str, **settings: str) -> AsyncIterator[Notifier]:
        migrate(database_url, MIGRATIONS)
        environment = {
            "PATH": os.environ["PATH"],
            "HUIYIN_PORT": "0",
            "HUIYIN_METRICS_PORT": "0",
            "HUIYIN_DATABASE_URL": database_url,
            "HUIYIN_KEY_FILE": str(keys / "private" / "notifier.pem"),
            "HUIYIN_PUBLIC_KEYS": str(keys / "public"),
            "HUIYIN_CASEWORK_ADDRESS": casework_address,
            "HUIYIN_ALLOW_PRIVATE_RECEIVERS": "true",
            "HUIYIN_SEND_FIRST_PAUSE": "0.02",
            "HUIYIN_DRAIN_SECONDS": "0.2",
            **settings,
        }
        log = tmp_path / "notifier.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "huiyin_notifier"], env=environment, stderr=out, text=True
            )
        try:
            port = await _port_of(process, log)
            async with client.connect(f"127.0.0.1:{port}") as channel:
                stub = notifier_service_pb2_grpc.NotifierServiceStub(channel)
                yield Notifier(process, stub, Signer("gateway", keys / "private" / "gateway.pem"))
        finally:
            process.kill()
            process.wait()

    return start


async def _port_of(process: subprocess.Popen[str], log: Path) -> int:
    async with asyncio.timeout(20):
        while True:
            for line in log.read_text("utf-8").splitlines():
                if '"server.started"' in line:
                    return int(json.loads(line)["port"])
            assert process.poll() is None, log.read_text("utf-8")
            await asyncio.sleep(0.02)


def case_of(number: int, **fields: Any) -> case_pb2.Case:
    """A case as casework publishes it."""
    values: dict[str, Any] = {
        "state": case_pb2.Case.STATE_REGISTERED,
        "grade": 2,
        "title": f"第{number}件",
        "revision": 1,
    }
    values |= {"suggested_unit": f"units/{number % 3}", "revision": 1} | fields
    return case_pb2.Case(name=f"cases/{number}", event=f"events/{number}", **values)
