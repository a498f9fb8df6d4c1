"""Follows casework and the collector, and records who is to be told of what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, clock_pb2, inquiry_pb2, task_pb2
from huiyin.collector.v1 import collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client
from huiyin_chassis.consumer import Consumer, FeedPosition, first_cursor
from huiyin_chassis.feed import unpack
from huiyin_chassis.identity import Signer
from huiyin_chassis.store import Tx

from huiyin_notifier.model.happenings import CASE_STATES, GRADES, KINDS, Happening
from huiyin_notifier.store import Arrival, NotifierStore

_GRADES = ("", *GRADES)
_STATES = ("", *CASE_STATES)
_OF_SOURCES = [kind for kind in KINDS if kind.startswith("source.")]


Watch = Callable[[str, list[str]], Any]
"""Opens the stream of changes after a cursor, of those kinds."""


class Follower:
    """Records one notification a change and receiver, in the transaction that moves the cursor.

    Only kinds of change that the routes in force can bring to a receiver are asked for. `published`: the kinds of this
    feed.
    """

    def __init__(
        self, store: NotifierStore, name: str, published: list[str], watch: Watch, head: Callable[[], Awaitable[str]]
    ) -> None:
        self._store = store
        self._published = published
        self._open = watch
        # What is learnt by listing is no news: nobody is told of it. Only the place to go on is taken.
        self.consumer = Consumer(store, name, watch=self._watch, apply=self._apply, relist=head)

    async def _watch(self, cursor: str) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """The stream of changes; it ends, to be opened anew, when other kinds are wanted."""
        rewritten = self._store.routes_changed.current()
        kinds = await self._kinds()
        call = self._open(cursor, kinds)
        rewriting = asyncio.create_task(rewritten.wait())
        try:
            while True:
                reading = asyncio.ensure_future(call.read())
                await asyncio.wait({reading, rewriting}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done():
                    return
                batch = reading.result()
                if not isinstance(batch, feed_pb2.ChangeBatch):  # grpc.aio.EOF
                    return
                yield batch
                # Another process may have written routes.
                if await self._kinds() != kinds:
                    return
        finally:
            rewriting.cancel()
            call.cancel()

    async def _kinds(self) -> list[str]:
        wanted = await self._store.read(lambda connection: self._store.routes(connection).kinds())
        return [kind for kind in self._published if kind in wanted] or self._published

    def _apply(self, tx: Tx, changes: Sequence[feed_pb2.Change], position: FeedPosition) -> None:
        routes = self._store.routes(tx.connection)
        kinds = frozenset(routes.kinds())
        arrivals = []
        for change in changes:
            if change.kind in kinds:
                happening = happening_of(change)
                for route in routes.takers(happening):
                    arrivals.append(Arrival(happening, route, routes.receivers[route.receiver or ""]))
        if arrivals:
            self._store.admit(tx, arrivals)


def follow_casework(
    store: NotifierStore, stub: casework_service_pb2_grpc.CaseworkServiceAsyncStub, signer: Signer
) -> Follower:
    """A follower of what happens to cases."""

    def watch(cursor: str, kinds: list[str]) -> Any:
        request = case_pb2.WatchCasesRequest(cursor=cursor, kinds=kinds)
        return stub.WatchCases(request, metadata=client.metadata(signer.own_token()))

    async def head() -> str:
        found = await stub.ListCases(
            case_pb2.ListCasesRequest(page_size=1),
            metadata=client.metadata(signer.own_token()),
            timeout=client.DEADLINE,
        )
        return found.cursor

    return Follower(store, "casework.cases", [kind for kind in KINDS if kind not in _OF_SOURCES], watch, head)


def follow_collector(
    store: NotifierStore, stub: collector_service_pb2_grpc.CollectorServiceAsyncStub, signer: Signer
) -> Follower:
    """A follower of how the visits of sources go."""

    def watch(cursor: str, kinds: list[str]) -> Any:
        request = post_pb2.WatchPostsRequest(cursor=cursor, kinds=kinds)
        return stub.WatchPosts(request, metadata=client.metadata(signer.own_token()))

    async def head() -> str:
        request = post_pb2.WatchPostsRequest(tail=True, kinds=_OF_SOURCES)
        return await first_cursor(stub.WatchPosts(request, metadata=client.metadata(signer.own_token())))

    return Follower(store, "collector.sources", _OF_SOURCES, watch, head)


def happening_of(change: feed_pb2.Change) -> Happening:
    """What a change says. Raises ValueError for a resource that the kind does not promise."""
    family = change.kind.partition(".")[0]
    if family == "case":
        case = unpack(change, case_pb2.Case)
        return Happening(
            change.kind,
            change.name,
            change.revision,
            change.name,
            case.lead_unit or case.suggested_unit,
            _GRADES[case.grade],
            case.topic,
            _STATES[case.state],
            case.title,
            change.drill,
        )
    if family == "clock":
        clock = unpack(change, clock_pb2.Clock)
        return Happening(
            change.kind,
            change.name,
            change.revision,
            clock.case,
            clock.unit,
            _GRADES[clock.grade],
            clock.topic,
            title=clock.title,
            drill=change.drill,
            supervisor=clock.supervising_unit,
        )
    if family == "task":
        task = unpack(change, task_pb2.Task)
        return Happening(change.kind, change.name, change.revision, task.case, drill=change.drill)
    if family == "inquiry":
        inquiry = unpack(change, inquiry_pb2.Inquiry)
        return Happening(change.kind, change.name, change.revision, inquiry.case, drill=change.drill)
    if family == "source":
        health = unpack(change, source_pb2.SourceHealth)
        return Happening(change.kind, change.name, change.revision, title=health.display_name)
    raise ValueError(f"{change.kind} is no kind of change that anybody is told of")
