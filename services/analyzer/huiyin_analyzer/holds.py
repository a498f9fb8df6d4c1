"""Posts that a case needs are held: the outbox tells the collector, which does not purge them meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from huiyin.collector.v1 import post_pb2
from huiyin_chassis import client
from huiyin_chassis.identity import Signer
from huiyin_chassis.ids import derived_id
from huiyin_chassis.outbox import OutboxRow
from huiyin_chassis.store import Tx

if TYPE_CHECKING:
    from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceAsyncStub


_HOLD = "SetPostHold"
_HELD_AT_ONCE = 1000


def hold_posts(tx: Tx, post_ids: Sequence[str], *, held: bool, request_id: str) -> None:
    """Leaves it to the outbox to tell the collector which posts are held."""
    for start in range(0, len(post_ids), _HELD_AT_ONCE):
        names = [f"posts/{post_id}" for post_id in post_ids[start : start + _HELD_AT_ONCE]]
        request = post_pb2.SetPostHoldRequest(posts=names, held=held, request_id=derived_id(request_id, str(start)))
        tx.outbox.add(_HOLD, request.SerializeToString(), request.request_id, key="holds")


class Holds:
    """Sends holds to the collector."""

    def __init__(self, stub: CollectorServiceAsyncStub, signer: Signer) -> None:
        self._stub = stub
        self._signer = signer

    @property
    def handlers(self) -> dict[str, Callable[[Sequence[OutboxRow]], Awaitable[None]]]:
        """For the outbox's dispatcher."""
        return {_HOLD: self.send}

    async def send(self, rows: Sequence[OutboxRow]) -> None:
        """One call a row; each may be repeated without harm."""
        for row in rows:
            request = post_pb2.SetPostHoldRequest.FromString(row.payload)
            await self._stub.SetPostHold(
                request, metadata=client.metadata(self._signer.own_token()), timeout=client.DEADLINE
            )
