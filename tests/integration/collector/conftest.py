"""A collector that serves over gRPC on a database of its own, and a client that calls it as somebody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from google.api import httpbody_pb2
from google.longrunning import operations_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, ensure_keys
from huiyin_chassis.operations import Operations
from huiyin_chassis.server import supervise
from huiyin_collector.__main__ import wire
from huiyin_collector.config import CollectorSettings
from huiyin_collector.store import MIGRATIONS, CollectorStore
from huiyin_collector.voices import VoiceKeys
from huiyin_collector.worker.keeping import Keeper

from tests.databases import migrate
from tests.integration.collector.site import Site, serve

DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)
OFFICER = Principal("accounts/officer", roles=("officer",), units=("water",))

Source = source_pb2.Source


@dataclass
class Collector:
    """A running collector and its client.

    `folder` holds its database, when that is SQLite, and its keys of the day; `secrets` those of interfaces.
    """

    stub: Any
    store: CollectorStore
    folder: Path
    people: Signer
    analyzer: Signer
    secrets: Path

    def by(self, principal: Principal = DESK) -> dict[str, Any]:
        """What goes with a call of somebody."""
        return {"metadata": client.metadata(self.people.sign(principal)), "timeout": client.DEADLINE}

    def by_analyzer(self) -> dict[str, Any]:
        """What goes with a call of the analyzer."""
        return {"metadata": client.metadata(self.analyzer.own_token()), "timeout": client.DEADLINE}

    def keeper(self) -> Keeper:
        """What destroys in time what may not be kept."""
        voices = VoiceKeys(self.folder / "voice-keys")
        return Keeper(self.store, Feed(self.store), Operations(self.store), voices, 180)

    async def create(self, source_id: str, kind: Source.Kind.ValueType = Source.KIND_FILE) -> Source:
        """Creates a source that expects answers."""
        source = Source(kind=kind, expects_answer=True)
        request = source_pb2.CreateSourceRequest(source_id=source_id, source=source)
        created: Source = await self.stub.CreateSource(request, **self.by())
        return created

    async def upload(self, source_id: str, name: str, content: bytes, **fields: Any) -> operations_pb2.Operation:
        """Sends a file in pieces; returns its operation as it stands at once."""

        def pieces() -> Iterable[post_pb2.ImportPostsRequest]:
            yield post_pb2.ImportPostsRequest(source=f"sources/{source_id}", file_name=name, **fields)
            for start in range(0, len(content), 100_000):
                yield post_pb2.ImportPostsRequest(file=httpbody_pb2.HttpBody(data=content[start : start + 100_000]))

        operation: operations_pb2.Operation = await self.stub.ImportPosts(pieces(), **self.by())
        return operation

    async def done(self, name: str) -> operations_pb2.Operation:
        """An operation once it is done."""
        request = collector_service_pb2.GetOperationRequest(name=name)
        async with asyncio.timeout(30):
            while not (operation := await self.stub.GetOperation(request, **self.by())).done:
                await asyncio.sleep(0.01)
        return operation  # type: ignore[no-any-return]

    async def import_(self, source_id: str, name: str, content: bytes, **fields: Any) -> post_pb2.ImportPostsResponse:
        """Imports a file and returns the outcome."""
        operation = await self.done((await self.upload(source_id, name, content, **fields)).name)
        assert not operation.HasField("error"), operation.error
        response = post_pb2.ImportPostsResponse()
        assert operation.response.Unpack(response)
        return response

    async def posts(self, **fields: Any) -> list[post_pb2.Post]:
        """Every post of a listing."""
        request = post_pb2.ListPostsRequest(page_size=1000, **fields)
        found: list[post_pb2.Post] = []
        while True:
            page = await self.stub.ListPosts(request, **self.by())
            found += page.posts
            if not page.next_page_token:
                assert len(found) == page.total_size
                return found
            request.page_token = page.next_page_token

    async def changes(self, cursor: str = "", **fields: Any) -> list[feed_pb2.Change]:
        """What Watch gives the analyzer until it has caught up."""
        call = self.stub.WatchPosts(
            post_pb2.WatchPostsRequest(cursor=cursor, **fields), metadata=client.metadata(self.analyzer.own_token())
        )
        found: list[feed_pb2.Change] = []
        async for batch in call:
            found += batch.changes
            if batch.caught_up:
                break
        call.cancel()
        return found

    async def add(self, source_id: str, uri: str, **fields: Any) -> Source:
        """Creates a source that is visited, a feed where no kind is given; it is visited at once."""
        source = Source(**{"kind": Source.KIND_FEED, "uri": uri, **fields})
        request = source_pb2.CreateSourceRequest(source_id=source_id, source=source)
        created: Source = await self.stub.CreateSource(request, **self.by())
        return created

    async def health(self, source_id: str) -> source_pb2.SourceHealth:
        """How a source does."""
        request = source_pb2.GetSourceHealthRequest(name=f"sources/{source_id}/health")
        found: source_pb2.SourceHealth = await self.stub.GetSourceHealth(request, **self.by())
        return found

    async def visited(self, source_id: str, before: source_pb2.SourceHealth | None = None) -> source_pb2.SourceHealth:
        """How a source does once it was visited after that."""
        async with asyncio.timeout(30):
            while True:
                now = await self.health(source_id)
                if now.HasField("last_visit_time") and (
                    before is None or now.last_visit_time != before.last_visit_time
                ):
                    return now
                await asyncio.sleep(0.01)

    async def visit(self, source_id: str) -> source_pb2.SourceHealth:
        """Visits a source that was visited before, now; how it does then."""
        request = source_pb2.RunSourceRequest(name=f"sources/{source_id}")
        return await self.visited(source_id, await self.stub.RunSource(request, **self.by()))


Start = Callable[[], AbstractAsyncContextManager[Collector]]


@pytest.fixture
def start(database_url: str, tmp_path: Path) -> Start:
    """Starts a collector on the test's database; several may run at once."""
    keys = tmp_path / "keys"
    ensure_keys(keys, ["collector", "gateway", "analyzer"])
    migrate(database_url, MIGRATIONS)
    folder = Path(database_url.removeprefix("sqlite:///")).parent if database_url.startswith("sqlite") else tmp_path
    settings = CollectorSettings(
        port=0,
        metrics_port=0,
        database_url=database_url,
        key_file=keys / "private" / "collector.pem",
        public_keys=keys / "public",
        voice_keys=folder / "voice-keys",
        source_secrets=tmp_path / "source-secrets",
        secrets=folder / "secrets",
        drain_seconds=0.2,
        import_bytes=2**22,
        allow_private_sources=True,
        host_pause=0.0,
        host_at_once=8,
        fetch_seconds=1.0,
        contact="desk@town.example",
    )

    @asynccontextmanager
    async def begin() -> AsyncIterator[Collector]:
        server, workers, store = await wire(settings)
        await server.start()
        tasks = [asyncio.create_task(supervise(name, worker)) for name, worker in workers.items()]
        try:
            async with client.connect(f"127.0.0.1:{server.port}") as channel:
                stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
                people = Signer("gateway", keys / "private" / "gateway.pem")
                analyzer = Signer("analyzer", keys / "private" / "analyzer.pem")
                yield Collector(stub, store, folder, people, analyzer, settings.source_secrets)
        finally:
            await server.stop(store)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()

    return begin


Run = Callable[[Callable[[Collector], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def run(start: Start) -> Run:
    """Runs a test's coroutine with a collector."""

    def with_collector(test: Callable[[Collector], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with start() as collector:
                await test(collector)

        asyncio.run(main())

    return with_collector


Test = Callable[[Collector, Site], Coroutine[Any, Any, None]]


@pytest.fixture
def go(run: Run) -> Callable[[Test], None]:
    """Runs a test's coroutine with a collector and a site."""

    def with_site(test: Test) -> None:
        async def inner(collector: Collector) -> None:
            async with serve() as site:
                await test(collector, site)

        run(inner)

    return with_site
