"""The secrets of inboxes, each shared with the system that delivers into it."""

from __future__ import annotations

from typing import Any

from huiyin_chassis import webhooks
from huiyin_chassis.errors import FailedPrecondition
from huiyin_chassis.sealing import Seal
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, insert, select, update

from huiyin_collector.store.tables import SECRETS


def find(connection: Connection, source_id: str, *, lock: bool = False) -> dict[str, Any] | None:
    """The row of an inbox that somebody delivers into."""
    query = select(SECRETS).where(SECRETS.c.source == source_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else dict(row)


def rotate(tx: Tx, source_id: str, seal: Seal, secret: str, *, revoke: bool) -> int:
    """Gives an inbox, whose source is locked, a secret; until when the one before is accepted, 0 where none is."""
    row = find(tx.connection, source_id, lock=True)
    if row is None:
        tx.execute(insert(SECRETS), {"source": source_id, **webhooks.first(seal, secret, tx.now_us)})
        return 0
    values = webhooks.replaced(row, seal, secret, tx.now_us, revoke=revoke)
    tx.execute(update(SECRETS).where(SECRETS.c.source == source_id).values(values))
    return webhooks.previous_until(values)


def check_takes_deliveries(source: Row[Any]) -> None:
    """Raises FailedPrecondition for an inbox whose authors expect an answer: they need a receipt."""
    if source.expects_answer:
        raise FailedPrecondition(
            "ANSWERS_EXPECTED",
            f"who writes to sources/{source.id} expects an answer and needs a receipt for it; pass inquiries on as a "
            "partner (SubmitPartnerInquiry), or take another source for what expects none",
        )
