"""Sending to the collector and the analyzer what casework's transactions left for them in the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import grpc
from huiyin.analyzer.v1 import event_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import client
from huiyin_chassis.identity import Signer
from huiyin_chassis.outbox import Handler, OutboxRow

from huiyin_casework.casefile import CREATE_POST, INBOX, SET_HOLD

if TYPE_CHECKING:
    from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceAsyncStub
    from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceAsyncStub

_MOST_EVENTS = 1000
"""That one call of SetEventHold takes."""


class Sending:
    """The handlers of the outbox."""

    def __init__(
        self, collector: CollectorServiceAsyncStub, analyzer: AnalyzerServiceAsyncStub, signer: Signer
    ) -> None:
        self._collector = collector
        self._analyzer = analyzer
        self._signer = signer

    @property
    def handlers(self) -> dict[str, Handler]:
        """For the outbox's dispatcher."""
        return {CREATE_POST: self.pass_on, SET_HOLD: self.hold}

    async def pass_on(self, rows: Sequence[OutboxRow]) -> None:
        """Writes submitted inquiries into the collector's inbox, which is made when it is missing.

        An inquiry's id is its post's external id, so one that is sent again is the same post; no request id is needed.
        """
        request = post_pb2.BatchCreatePostsRequest(
            source=f"sources/{INBOX}", posts=[post_pb2.Post.FromString(row.payload) for row in rows]
        )
        try:
            await self._collector.BatchCreatePosts(request, metadata=self._metadata(), timeout=client.DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            await self._make_inbox()
            await self._collector.BatchCreatePosts(request, metadata=self._metadata(), timeout=client.DEADLINE)

    async def hold(self, rows: Sequence[OutboxRow]) -> None:
        """Tells the analyzer what the cases ask of its events: one call a level, the last word of each event.

        A hold that is set again is the same hold; a batch that is cut differently in the next attempt could not keep
        the request ids of its rows.
        """
        levels: dict[str, event_pb2.EventHold.ValueType] = {}
        for row in rows:
            request = event_pb2.SetEventHoldRequest.FromString(row.payload)
            levels |= dict.fromkeys(request.events, request.hold)
        for level in sorted(set(levels.values())):
            events = [event for event, wanted in levels.items() if wanted == level]
            for start in range(0, len(events), _MOST_EVENTS):
                request = event_pb2.SetEventHoldRequest(events=events[start : start + _MOST_EVENTS], hold=level)
                await self._analyzer.SetEventHold(request, metadata=self._metadata(), timeout=client.DEADLINE)

    async def _make_inbox(self) -> None:
        source = source_pb2.Source(display_name="诉求", kind=source_pb2.Source.KIND_INBOX, expects_answer=True)
        request = source_pb2.CreateSourceRequest(source_id=INBOX, source=source)
        try:
            await self._collector.CreateSource(request, metadata=self._metadata(), timeout=client.DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return client.metadata(self._signer.own_token())
