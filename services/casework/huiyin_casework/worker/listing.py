"""Reading the analyzer's events anew, where its feed does not go back to where casework stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import grpc
import structlog
from huiyin.analyzer.v1 import event_pb2
from huiyin_chassis import client
from huiyin_chassis.identity import Signer
from huiyin_chassis.ids import uuid7
from sqlalchemy import select

from huiyin_casework.model.steps import OPEN_STATES
from huiyin_casework.resources import state_number
from huiyin_casework.store import CASES, EVENTS, CaseworkStore
from huiyin_casework.worker.following import Following, Told

if TYPE_CHECKING:
    from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceAsyncStub

log = structlog.get_logger(__name__)

_PAGE = 500


class Listing:
    """Lists events and memberships and applies them like changes. What is known already stays as it is."""

    def __init__(
        self, store: CaseworkStore, following: Following, analyzer: AnalyzerServiceAsyncStub, signer: Signer
    ) -> None:
        self._store = store
        self._following = following
        self._analyzer = analyzer
        self._signer = signer

    async def relist(self) -> str:
        """Takes over the state of every event; returns the cursor from which the feed goes on."""
        cursor, listed = "", set()
        async for page in self._events():
            cursor = cursor or page.cursor
            listed |= {event.name.removeprefix("events/") for event in page.events}
            await self._take([("event.updated", event) for event in page.events])
        gone = [event for event in await self._followed() if event not in listed]
        await self._take([("event.merged", event) for event in await self._merged(gone)])
        async for memberships in self._memberships():
            # An event that is newer than the list of events comes with the feed, and its memberships too.
            told: list[Told] = []
            for each in memberships:
                if each.event.removeprefix("events/") in listed:
                    purged = not each.subject and not each.text
                    told.append(("membership.purged" if purged else "membership.updated", each))
            await self._take(told)
        log.info("events.listed", events=len(listed), gone=len(gone))
        return cursor

    async def _take(self, told: Sequence[Told]) -> None:
        if told:
            await self._store.write(lambda tx: self._following.follow(tx, told, lambda effect: uuid7()))

    async def _events(self) -> AsyncIterator[event_pb2.ListEventsResponse]:
        request = event_pb2.ListEventsRequest(page_size=_PAGE, order_by="create_time")
        while True:
            page = await self._analyzer.ListEvents(request, metadata=self._metadata(), timeout=client.DEADLINE)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _memberships(self) -> AsyncIterator[Sequence[event_pb2.Membership]]:
        request = event_pb2.ListMembershipsRequest(parent="events/-", page_size=_PAGE)
        while True:
            page = await self._analyzer.ListMemberships(request, metadata=self._metadata(), timeout=client.DEADLINE)
            yield page.memberships
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _followed(self) -> list[str]:
        """Events that an open case follows."""
        states = [state_number(state) for state in OPEN_STATES]
        query = (
            select(CASES.c.event_id)
            .join(EVENTS, EVENTS.c.id == CASES.c.event_id)
            .where(CASES.c.state.in_(states), EVENTS.c.merged_into == "")
        )
        return list(await self._store.read(lambda connection: connection.scalars(query.order_by(CASES.c.id)).all()))

    async def _merged(self, ids: Sequence[str]) -> list[event_pb2.Event]:
        """Those of some events that were merged away; one that the analyzer does not know any more is passed over."""
        found = []
        for event_id in ids:
            request = event_pb2.GetEventRequest(name=f"events/{event_id}")
            try:
                event = await self._analyzer.GetEvent(request, metadata=self._metadata(), timeout=client.DEADLINE)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            else:
                if event.merged_into:
                    found.append(event)
        return found

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return client.metadata(self._signer.own_token())
