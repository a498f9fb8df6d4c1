"""Follows casework and records who is to be told of what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, clock_pb2, inquiry_pb2, task_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client
from huiyin_chassis.consumer import Consumer, FeedPosition
from huiyin_chassis.feed import unpack
from huiyin_chassis.identity import Signer
from huiyin_chassis.store import Tx

from huiyin_notifier.model.happenings import CASE_STATES, GRADES, Happening
from huiyin_notifier.store import Arrival, NotifierStore

_GRADES = ("", *GRADES)
_STATES = ("", *CASE_STATES)


class Follower:
    """Records one notification a change and receiver, in the transaction that moves the cursor.

    Only kinds of change that the routes in force can bring to a receiver are asked for.
    """

    def __init__(
        self, store: NotifierStore, stub: casework_service_pb2_grpc.CaseworkServiceAsyncStub, signer: Signer
    ) -> None:
        self._store = store
        self._stub = stub
        self._signer = signer
        self.consumer = Consumer(store, "casework.cases", watch=self._watch, apply=self._apply, relist=self._relist)

    async def _watch(self, cursor: str) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """The stream of changes; it ends, to be opened anew, when other kinds are wanted."""
        rewritten = self._store.routes_changed.current()
        kinds = await self._kinds()
        call = self._stub.WatchCases(
            case_pb2.WatchCasesRequest(cursor=cursor, kinds=kinds),
            metadata=client.metadata(self._signer.own_token()),
        )
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
        return await self._store.read(lambda connection: self._store.routes(connection).kinds())

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

    async def _relist(self) -> str:
        """What is learnt by listing is no news: nobody is told of it. Only the place to go on is taken."""
        found = await self._stub.ListCases(
            case_pb2.ListCasesRequest(page_size=1),
            metadata=client.metadata(self._signer.own_token()),
            timeout=client.DEADLINE,
        )
        return found.cursor


def happening_of(change: feed_pb2.Change) -> Happening:
    """What a change of casework says. Raises ValueError for a resource that the kind does not promise."""
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
    raise ValueError(f"{change.kind} is no kind of change that casework publishes")
