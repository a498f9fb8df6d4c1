"""A gateway before a real collector and a real casework, spoken to over raw sockets; the two others are away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import huiyin_casework.__main__ as casework
import huiyin_collector.__main__ as collector
import pytest
from huiyin_casework.config import CaseworkSettings
from huiyin_chassis.identity import ensure_keys
from huiyin_chassis.server import Server, supervise
from huiyin_collector.config import CollectorSettings
from huiyin_gateway.__main__ import assembled
from huiyin_gateway.accounts import bootstrap
from huiyin_gateway.config import GatewaySettings
from huiyin_gateway.connection import Limits
from huiyin_gateway.server import GatewayServer
from huiyin_gateway.store import MIGRATIONS, GatewayStore

from tests.databases import migrate


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Setting:
    """A running gateway, the keys of its accounts, and the servers behind it."""

    server: GatewayServer
    keys: dict[str, str]
    behind: dict[str, Server]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.server.port)

    async def send(self, raw: bytes) -> list[Answer]:
        """Sends bytes as they are; every answer until the server closes."""
        reader, writer = await self.connect()
        writer.write(raw)
        answers = []
        async with asyncio.timeout(20):
            while (answer := await read_answer(reader)) is not None:
                answers.append(answer)
        writer.close()
        return answers

    async def ask(self, verb: str, path: str, value: Any = None, account: str = "desk", **headers: str) -> Answer:
        """One request with a JSON body, as one of the demonstration accounts; "" for the public."""
        body = b"" if value is None else value if isinstance(value, bytes) else json.dumps(value).encode()
        lines = {"host": "huiyin", "connection": "close"}
        if account:
            lines["authorization"] = f"Bearer {self.keys[account]}"
        if value is not None:
            lines |= {"content-type": "application/json", "content-length": str(len(body))}
        lines |= {name.replace("_", "-"): text for name, text in headers.items()}
        head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
        (answer,) = await self.send(f"{verb} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return answer


async def read_answer(reader: asyncio.StreamReader, verb: str = "GET") -> Answer | None:
    """The next answer of a connection; None at its end."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    version, status, *_ = first.split(" ")
    assert version == "HTTP/1.1"
    headers = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in lines)
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readline()
    elif verb != "HEAD":
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(status), headers, body)


async def ended(tasks: list[asyncio.Task[None]]) -> None:
    """Ends background loops."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class Behind:
    """The servers behind a gateway, and the settings of a gateway before them."""

    servers: dict[str, Server]
    settings: GatewaySettings
    keys: dict[str, str]


@asynccontextmanager
async def services(folder: Path, *, working: bool = False) -> AsyncIterator[Behind]:
    """A collector and a casework that serve, and the demonstration accounts of a gateway. `working`: their background
    loops run as well.
    """
    keys = folder / "keys"
    ensure_keys(keys, ["gateway", "collector", "casework"])

    def common(name: str) -> dict[str, Any]:
        return {
            "port": 0,
            "metrics_port": 0,
            "database_url": f"sqlite:///{folder / name}.db",
            "key_file": keys / "private" / f"{name}.pem",
            "public_keys": keys / "public",
            "drain_seconds": 3.0,
        }

    async with AsyncExitStack() as stack:
        servers: dict[str, Server] = {}
        collecting = CollectorSettings(
            voice_keys=folder / "voice-keys", secrets=folder / "source-secrets", **common("collector")
        )
        casefile = CaseworkSettings(secrets=folder / "secrets", **common("casework"))
        for name, wire, each, migrations in (
            ("collector", collector.wire, collecting, collector.MIGRATIONS),
            ("casework", casework.wire, casefile, casework.MIGRATIONS),
        ):
            await asyncio.to_thread(migrate, each.database_url, migrations)
            server, workers, store = await wire(each)  # type: ignore[operator]
            await server.start()
            tasks = [asyncio.create_task(supervise(*worker)) for worker in workers.items() if working]
            stack.push_async_callback(store.close)
            stack.push_async_callback(server.stop, store)
            stack.push_async_callback(ended, tasks)
            servers[name] = server
        settings = GatewaySettings(
            **common("gateway"),
            collector_address=f"127.0.0.1:{servers['collector'].port}",
            casework_address=f"127.0.0.1:{servers['casework'].port}",
            analyzer_address="127.0.0.1:1",
            notifier_address="127.0.0.1:1",
        )
        await asyncio.to_thread(migrate, settings.database_url, MIGRATIONS)
        accounts = GatewayStore(settings.database_url)
        await accounts.open()
        secrets = await accounts.write(lambda tx: bootstrap(tx, {}))
        await accounts.close()
        yield Behind(servers, settings, secrets)


Start = Callable[..., AbstractAsyncContextManager[Setting]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a gateway with limits of a test's own; further arguments are settings."""

    @asynccontextmanager
    async def begin(limits: Limits | None = None, *, working: bool = False, **settings: Any) -> AsyncIterator[Setting]:
        async with (
            services(tmp_path, working=working) as behind,
            assembled(replace(behind.settings, **settings), limits) as gateway,
        ):
            serving = asyncio.create_task(gateway.serve())
            async with asyncio.timeout(10):
                while not gateway.ready:
                    await asyncio.sleep(0)
            try:
                yield Setting(gateway, behind.keys, behind.servers)
            finally:
                gateway.stop()
                await serving

    return begin
