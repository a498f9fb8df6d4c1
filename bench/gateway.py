"""The gateway beside a bare Starlette handler that makes the same gRPC call, and its stream to 1,000 clients.

Three processes: the services, reduced to prepared answers behind the chassis's own server with all its checks; the
gateway, or the bare handler, on uvicorn with the same loop, parser and settings; and this one, which asks. Rounds of
both alternate, so that what else the machine does strikes both. The bare handler signs nobody in, and neither logs,
counts nor traces: it has its token from the start, and keeps its channel.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import grpc.aio
import httpx
import psutil
import uvicorn
import uvloop
from google.protobuf.json_format import MessageToDict
from huiyin.analyzer.v1 import analyzer_service_pb2, analyzer_service_pb2_grpc
from huiyin.casework.v1 import case_pb2, casework_service_pb2, casework_service_pb2_grpc, unit_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc
from huiyin.notifier.v1 import notifier_service_pb2, notifier_service_pb2_grpc
from huiyin.type.v1 import feed_pb2, grade_pb2
from huiyin_chassis import client, clock
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, ensure_keys
from huiyin_chassis.logs import configure_logging
from huiyin_chassis.migrate import migrate
from huiyin_chassis.server import Server, Service
from huiyin_chassis.store import Store, Tx
from huiyin_gateway.store import MIGRATIONS
from huiyin_local.ports import free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_CALLERS: Final = int(os.environ.get("CALLERS") or 32)
_SECONDS: Final = float(os.environ.get("SECONDS_EACH") or 1)
_ROUNDS: Final = int(os.environ.get("ROUNDS") or 12)
_CLIENTS: Final = int(os.environ.get("CLIENTS") or 1000)
_CHANGES_PER_S: Final = 100
_STREAM_SECONDS: Final = float(os.environ.get("STREAM_SECONDS") or 20)
_PATHS: Final = {"unary": "/v1/cases/1", "list": "/v1/cases?pageSize=100"}
_EVENT: Final = re.compile(rb'"title":"(\d+) (\d+)"')


def main() -> None:
    """Prints one JSON line last."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * _CLIENTS + 1000)), hard))
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as name, _running(Path(name)) as setting:
        result = uvloop.run(_measure(setting))
    print(json.dumps(result))


class _Setting(NamedTuple):
    gateway: str
    bare: str
    services: str
    folder: Path
    key: str
    processes: dict[str, psutil.Process]


@contextmanager
def _running(folder: Path) -> Iterator[_Setting]:
    ensure_keys(folder / "keys", ["gateway", "casework"])
    url = f"sqlite:///{folder / 'gateway.db'}"
    migrate(f"sqlite:///{folder / 'casework.db'}", MIGRATIONS)
    services, ports = free_port(), {"gateway": free_port(), "bare": free_port()}
    addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    env = {
        **os.environ,
        **{f"HUIYIN_{part}_ADDRESS": f"127.0.0.1:{services}" for part in ("COLLECTOR", "ANALYZER", "CASEWORK")},
        "HUIYIN_NOTIFIER_ADDRESS": f"127.0.0.1:{services}",
        "HUIYIN_DATABASE_URL": url,
        "HUIYIN_KEY_FILE": str(folder / "keys/private/gateway.pem"),
        "HUIYIN_PUBLIC_KEYS": str(folder / "keys/public"),
        "HUIYIN_METRICS_PORT": "0",
        "HUIYIN_PORT": str(ports["gateway"]),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }
    gateway = [sys.executable, "-m", "huiyin_gateway"]
    this = [sys.executable, "-m", "bench.gateway"]
    out = folder / "client.toml"
    for arguments in (["migrate"], ["bootstrap", "--out", str(out), "--address", addresses["gateway"]]):
        subprocess.run([*gateway, *arguments], env=env, check=True)
    commands = {
        "services": [*this, "services", str(folder), str(services)],
        "gateway": gateway,
        "bare": [*this, "bare", str(folder), str(services), str(ports["bare"])],
    }
    with (folder / "log").open("w") as log:
        started = {name: subprocess.Popen(command, env=env, stderr=log) for name, command in commands.items()}
        try:
            for address in addresses.values():
                _until_ready(address)
            key = tomllib.loads(out.read_text("utf-8"))["keys"]["desk"]
            processes = {name: psutil.Process(process.pid) for name, process in started.items()}
            yield _Setting(addresses["gateway"], addresses["bare"], f"127.0.0.1:{services}", folder, key, processes)
        finally:
            for process in started.values():
                process.terminate()
            for process in started.values():
                process.wait(20)


def _until_ready(address: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/v1/status").is_success:
                return
        time.sleep(0.1)
    raise TimeoutError(f"{address} did not begin to serve")


async def _measure(setting: _Setting) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, path in _PATHS.items():
        figures[name] = await _compare(setting, path)
        print(name, figures[name], file=sys.stderr)
    figures["sse"] = await _stream(setting)
    return figures


# Requests


class _Caller(asyncio.Protocol):
    """One connection that asks the same thing again and again, and notes how long each answer took."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[list[float]]) -> None:
        self._request = request
        self._until = until
        self._done = done
        self._waiting = b""
        self._missing = 0
        self._seconds: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            data = self._waiting + data
            head, end, body = data.partition(b"\r\n\r\n")
            if not end:
                self._waiting = data
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._done.set_exception(RuntimeError(data[:1000].decode(errors="replace")))
                self._transport.abort()
                return
            self._waiting = b""
            self._missing = int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
            data = body
        self._missing -= len(data)
        if not self._missing:
            now = time.perf_counter()
            self._seconds.append(now - self._asked)
            if now < self._until:
                self._ask()
            else:
                self._transport.close()
                self._done.set_result(self._seconds)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._done.set_exception(error or ConnectionError("the server closed the connection"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)


async def _ask_for(address: str, path: str, key: str, seconds: float) -> list[float]:
    """The seconds of each answer in a round."""
    loop = asyncio.get_running_loop()
    host, _, port = address.removeprefix("http://").partition(":")
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\nAuthorization: Bearer {key}\r\n\r\n"
    until = time.perf_counter() + seconds
    waiting = [loop.create_future() for _ in range(_CALLERS)]
    for done in waiting:
        await loop.create_connection(partial(_Caller, head.encode(), until, done), host, int(port))
    return [each for found in await asyncio.gather(*waiting) for each in found]


class _Round(NamedTuple):
    per_s: float
    p99_ms: float
    cpu_us: float


async def _compare(setting: _Setting, path: str) -> dict[str, float]:
    headers = {"authorization": f"Bearer {setting.key}"}
    one, other = [httpx.get(address + path, headers=headers).json() for address in (setting.gateway, setting.bare)]
    assert one == other, "both answer the same"
    rounds: dict[str, list[_Round]] = {"gateway": [], "bare": []}
    for number in range(_ROUNDS + 1):
        for name, address in (("gateway", setting.gateway), ("bare", setting.bare)):
            before, started = setting.processes[name].cpu_times(), time.perf_counter()
            seconds = await _ask_for(address, path, setting.key, _SECONDS if number else 0.5)
            elapsed, after = time.perf_counter() - started, setting.processes[name].cpu_times()
            used = after.user + after.system - before.user - before.system
            p99 = statistics.quantiles(seconds, n=100)[98]
            if number:  # the first only warms up
                rounds[name].append(_Round(len(seconds) / elapsed, p99 * 1e3, used / len(seconds) * 1e6))
    pairs = list(zip(rounds["gateway"], rounds["bare"], strict=True))

    def middle(figures: list[float], digits: int) -> float:
        return round(statistics.median(figures), digits)

    return {
        "ratio": middle([gateway.per_s / bare.per_s for gateway, bare in pairs], 2),
        "cpu_ratio": middle([bare.cpu_us / gateway.cpu_us for gateway, bare in pairs], 2),
        **{
            f"{name}_{figure}": middle([getattr(each, figure) for each in found], 1)
            for name, found in rounds.items()
            for figure in _Round._fields
        },
    }


# Streams


class _Piece(NamedTuple):
    """The changes of one piece of the stream: numbers of the first and the last, and when each was made."""

    first: int
    last: int
    times: list[float]


@lru_cache(256)
def _piece(text: bytes) -> _Piece | None:
    """What is in a piece, None for no change; the same piece goes to many clients. Its changes are without a gap."""
    found = [(int(number), int(micros) / 1e6) for number, micros in _EVENT.findall(text)]
    if not found:
        return None
    numbers = [number for number, _ in found]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "no gap, no repeat"
    return _Piece(numbers[0], numbers[-1], [made for _, made in found])


class _Reader(asyncio.Protocol):
    """A client of the stream. It sees every change once, or says that it did not."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._left = b""
        self.welcome = asyncio.get_running_loop().create_future()
        self.last = 0
        self.in_order = True
        self.pieces: list[tuple[float, _Piece]] = []
        """When each piece came. What that means is counted afterwards: the reader must not be what is measured."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.welcome.done():
            if b"retry: " in data:
                self.welcome.set_result(None)
            elif not data.startswith(b"HTTP/1.1 200"):
                self.welcome.set_exception(RuntimeError(data[:1000].decode(errors="replace")))
        if self._left:
            data = self._left + data
        whole, _, self._left = data.rpartition(b"\n\n")
        piece = _piece(whole)
        if piece is not None:
            self.in_order = self.in_order and piece.first == self.last + 1
            self.last = piece.last
            self.pieces.append((time.time(), piece))


async def _stream(setting: _Setting) -> dict[str, float]:
    loop = asyncio.get_running_loop()
    host, _, port = setting.gateway.removeprefix("http://").partition(":")
    head = f"GET /v1/changes HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {setting.key}\r\n\r\n".encode()
    process = setting.processes["gateway"]
    before = process.memory_full_info().pss
    readers: list[_Reader] = []
    for start in range(0, _CLIENTS, 50):
        made = await asyncio.gather(
            *(loop.create_connection(partial(_Reader, head), host, int(port)) for _ in range(min(50, _CLIENTS - start)))
        )
        readers += [reader for _, reader in made]
    await asyncio.gather(*(reader.welcome for reader in readers))
    used = process.cpu_times()
    count = round(_CHANGES_PER_S * _STREAM_SECONDS)
    async with client.connect(setting.services) as channel:
        casework = casework_service_pb2_grpc.CaseworkServiceStub(channel)
        asked = case_pb2.AssignCaseRequest(name="cases/1", lead_unit="units/desk", note=str(count))
        await casework.AssignCase(asked, metadata=_metadata(setting.folder), timeout=_STREAM_SECONDS + 60)
    deadline = time.monotonic() + 10
    while any(reader.last < count for reader in readers) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    after, memory = process.cpu_times(), process.memory_full_info().pss
    for reader in readers:
        reader.transport.abort()
    assert all(reader.in_order for reader in readers), "no gap, no repeat"
    waits = array("d", (came - made for reader in readers for came, piece in reader.pieces for made in piece.times))
    quantiles = statistics.quantiles(waits, n=100)
    return {
        "clients": _CLIENTS,
        "changes": count,
        "delivered": len(waits) / (count * _CLIENTS),
        "p50_ms": round(quantiles[49] * 1e3, 1),
        "p99_ms": round(quantiles[98] * 1e3, 1),
        "kb_per_client": round((memory - before) / 1e3 / _CLIENTS, 1),
        "gateway_cpu": round((after.user + after.system - used.user - used.system) / _STREAM_SECONDS, 2),
    }


# The services, in a process of their own


def _case(number: int) -> case_pb2.Case:
    """A case as the desk sees it when a unit works on it."""
    now = clock.to_timestamp(clock.now())
    return case_pb2.Case(
        name=f"cases/01936b5e-7c1a-7d3e-9f00-{number:012d}",
        event=f"events/01936b5e-7c1a-7d3e-8a00-{number:012d}",
        state=case_pb2.Case.STATE_ACCEPTED,
        grade=grade_pb2.GRADE_LARGE,
        title=f"荷塘路{number}号院门前路灯不亮，夜间出行不安全",
        topic="topics/城乡建设.市政设施.路灯",
        place="places/云溪市.东湖区.荷塘街道",
        lead_unit="units/lighting",
        assisting_units=["units/power", "units/street"],
        suggested_unit="units/lighting",
        inquiry_count=number % 7 + 1,
        deadline=now,
        create_time=now,
        update_time=now,
        assign_time=now,
        reply=f"cases/01936b5e-7c1a-7d3e-9f00-{number:012d}/replies/1",
        next_steps=[
            case_pb2.NextStep(step="draft", roles=["officer"]),
            case_pb2.NextStep(step="ask", roles=["officer", "desk"]),
            case_pb2.NextStep(step="extend", roles=["desk"]),
        ],
        etag="5f2a",
        revision=4,
    )


class _Casework(casework_service_pb2_grpc.CaseworkServiceServicer):
    def __init__(self, store: Store) -> None:
        self._store = store
        self._feed = Feed(store)
        self._one = _case(1)
        self._page = case_pb2.ListCasesResponse(
            cases=map(_case, range(100)), next_page_token="b2Zmc2V0", total_size=4326, cursor="ZXBvY2g6MTIz"
        )

    async def GetCase(self, request: Any, context: Any) -> case_pb2.Case:
        return self._one

    async def ListCases(self, request: Any, context: Any) -> case_pb2.ListCasesResponse:
        return self._page

    async def LookupReach(self, request: Any, context: Any) -> unit_pb2.Reach:
        return unit_pb2.Reach(roles=["desk"], units=["desk"], everywhere=True)

    async def WatchCases(self, request: Any, context: Any) -> AsyncIterator[feed_pb2.ChangeBatch]:
        async for batch in self._feed.watch(request.cursor, tail=request.tail):
            yield batch

    async def AssignCase(self, request: case_pb2.AssignCaseRequest, context: Any) -> case_pb2.Case:
        """Makes as many changes as the note says, each in a transaction of its own, at an even pace."""
        start = time.monotonic()
        for number in range(1, int(request.note) + 1):
            await asyncio.sleep(max(0.0, start + number / _CHANGES_PER_S - time.monotonic()))
            await self._store.write(partial(self._change, number))
        return self._one

    @staticmethod
    def _change(number: int, tx: Tx) -> None:
        case = _case(number)
        case.title = f"{number} {time.time_ns() // 1000}"
        tx.changes.add("case.updated", case.name, number, case)


class _Collector(collector_service_pb2_grpc.CollectorServiceServicer):
    def __init__(self, store: Store) -> None:
        self._feed = Feed(store)

    def WatchPosts(self, request: Any, context: Any) -> AsyncIterator[feed_pb2.ChangeBatch]:
        return self._feed.watch(request.cursor, kinds=["none"], tail=request.tail)


class _Analyzer(analyzer_service_pb2_grpc.AnalyzerServiceServicer):
    def __init__(self, store: Store) -> None:
        self._feed = Feed(store)

    def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[feed_pb2.ChangeBatch]:
        return self._feed.watch(request.cursor, kinds=["none"], tail=request.tail)


class _Notifier(notifier_service_pb2_grpc.NotifierServiceServicer):
    def __init__(self, store: Store) -> None:
        self._feed = Feed(store)

    def WatchNotifications(self, request: Any, context: Any) -> AsyncIterator[feed_pb2.ChangeBatch]:
        return self._feed.watch(request.cursor, kinds=["none"], tail=request.tail)


async def _serve_services(folder: Path, port: int) -> None:
    store = Store(f"sqlite:///{folder / 'casework.db'}", feed="casework", migrations=MIGRATIONS, durability="FULL")
    await store.open()
    settings = ProcessSettings(port=port, public_keys=folder / "keys/public", environment="production")
    services = [
        Service(
            casework_service_pb2.DESCRIPTOR.services_by_name["CaseworkService"],
            casework_service_pb2_grpc.add_CaseworkServiceServicer_to_server,
            _Casework(store),  # type: ignore[abstract]
        ),
        Service(
            collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"],
            collector_service_pb2_grpc.add_CollectorServiceServicer_to_server,
            _Collector(store),  # type: ignore[abstract]
        ),
        Service(
            analyzer_service_pb2.DESCRIPTOR.services_by_name["AnalyzerService"],
            analyzer_service_pb2_grpc.add_AnalyzerServiceServicer_to_server,
            _Analyzer(store),  # type: ignore[abstract]
        ),
        Service(
            notifier_service_pb2.DESCRIPTOR.services_by_name["NotifierService"],
            notifier_service_pb2_grpc.add_NotifierServiceServicer_to_server,
            _Notifier(store),  # type: ignore[abstract]
        ),
    ]
    await Server("casework", settings, services).run({}, store)


# The bare handler, in a process of its own


async def _serve_bare(folder: Path, services: int, port: int) -> None:
    casework = casework_service_pb2_grpc.CaseworkServiceStub(client.connect(f"127.0.0.1:{services}"))
    metadata = _metadata(folder)

    async def get_case(request: Request) -> JSONResponse:
        asked = case_pb2.GetCaseRequest(name=f"cases/{request.path_params['case']}")
        reply = await casework.GetCase(asked, metadata=metadata, timeout=client.DEADLINE)
        return JSONResponse(MessageToDict(reply))

    async def list_cases(request: Request) -> JSONResponse:
        asked = case_pb2.ListCasesRequest(page_size=int(request.query_params["pageSize"]))
        reply = await casework.ListCases(asked, metadata=metadata, timeout=client.DEADLINE)
        return JSONResponse(MessageToDict(reply))

    async def ready(request: Request) -> JSONResponse:
        return JSONResponse({})

    routes = [
        Route("/v1/cases/{case}", get_case),
        Route("/v1/cases", list_cases),
        Route("/v1/status", ready),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes),
        port=port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    await uvicorn.Server(config).serve()


def _metadata(folder: Path) -> tuple[tuple[str, str], ...]:
    """A token of the desk for as long as tokens are good, five minutes."""
    signer = Signer("gateway", folder / "keys/private/gateway.pem")
    return client.metadata(signer.sign(Principal("accounts/desk", roles=("desk",), units=("desk",), everywhere=True)))


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        role, folder, *ports = sys.argv[1:]
        configure_logging(role, "warning")
        grpc.aio.init_grpc_aio()
        if role == "services":
            uvloop.run(_serve_services(Path(folder), int(ports[0])))
        else:
            uvloop.run(_serve_bare(Path(folder), int(ports[0]), int(ports[1])))
