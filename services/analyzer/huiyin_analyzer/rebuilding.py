"""Rebuilding: forgets what the analyzer worked out, so that it reads the collector's posts anew.

What people decided stays: grades, topics, and regroupings, which are carried out again, each after the post that it
came after. So do the holds of cases, and what is set up: topics, places, policies.
"""

from __future__ import annotations

import uuid

import structlog
from huiyin_chassis.store import Tx
from huiyin_chassis.tables import CHANGES, CURSORS, FEED, PARKED_CHANGES
from sqlalchemy import delete, func, insert, select, update

from huiyin_analyzer.store import (
    EVENTS,
    KEPT_HOLDS,
    POSTS,
    REGROUPINGS,
    SEARCH_EVENTS,
    SEARCH_INDEX,
    SEARCH_POSTS,
    TOPIC_RECOUNTS,
    TOPIC_REREADING,
    AnalyzerStore,
)

log = structlog.get_logger(__name__)


async def rebuild(store: AnalyzerStore) -> None:
    """Empties the store for a rebuild. No analyzer may run meanwhile; the next one to start reads everything anew."""
    await store.open()
    try:
        posts = await store.write(forget)
        log.info("analysis.forgotten", posts=posts)
    finally:
        await store.close()


def forget(tx: Tx) -> int:
    """Forgets what was worked out; returns of how many posts."""
    posts: int = tx.execute(select(func.count()).select_from(POSTS)).scalar_one()
    held = select(EVENTS.c.id, EVENTS.c.hold).where(EVENTS.c.hold > 0)
    tx.execute(insert(KEPT_HOLDS).from_select(["event_id", "hold"], held))
    tx.execute(update(REGROUPINGS).values(applied=False))
    # An index without a form is made anew at the next start.
    tx.execute(update(SEARCH_INDEX).values(form="", number=0, sequence=0))
    for table in (
        POSTS,
        EVENTS,
        SEARCH_POSTS,
        SEARCH_EVENTS,
        TOPIC_RECOUNTS,
        TOPIC_REREADING,
        CHANGES,
        CURSORS,
        PARKED_CHANGES,
    ):
        tx.execute(delete(table))
    # Whoever follows the feed lists again.
    tx.execute(update(FEED).values(epoch=str(uuid.uuid4()), expired_through=0))
    return posts
