"""Rereading: tells the topics of stored posts anew when another model was put in force, beside the stream.

New posts are told by the model in force as they come. The others are gone through in their order, in small steps, each
a transaction of its own with how far it came, so that a step that was lost is made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog
from huiyin_chassis.errors import Unavailable
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row

from huiyin_analyzer import store
from huiyin_analyzer.readers import InForce, Readers
from huiyin_analyzer.store import AnalyzerStore, topic_models
from huiyin_analyzer.store.regroupings import wait_for_turn
from huiyin_analyzer.store.topic_models import Rereading as Progress
from huiyin_analyzer.topics import Columns, as_read, assign

log = structlog.get_logger(__name__)

_STEP = 200
_EVERY_SECONDS = 2.0
_PAUSE_SECONDS = 0.05
"""Between two steps, for what else waits to be written."""


class Rereading:
    """Rereads what was told by another model than the one in force."""

    def __init__(self, store: AnalyzerStore, readers: Readers) -> None:
        self._store = store
        self._readers = readers

    async def run(self) -> None:
        """Looks every two seconds, for ever."""
        while True:
            try:
                await self.catch_up()
            except Unavailable as error:
                log.warning("rereading.waits", reason=error.reason)
            await asyncio.sleep(_EVERY_SECONDS)

    async def catch_up(self) -> int:
        """Rereads every post that stands behind; returns how many."""
        total = 0
        while progress := await self._store.read(topic_models.rereading):
            in_force, rows = await self._store.read(partial(self._next, progress))
            # Beside the writer, who has others to serve meanwhile.
            read = await asyncio.to_thread(in_force.read, [(row.subject, row.text) for row in rows])
            found = {row.id: (row.revision, as_read(topic)) for row, (_, topic) in zip(rows, read, strict=True)}
            through = rows[-1].number if len(rows) == _STEP else progress.through
            total += await self._store.write(partial(_step, progress, in_force.choice, found, through))
            await asyncio.sleep(_PAUSE_SECONDS)
        if total:
            log.info("rereading.caught_up", posts=total)
        return total

    def _next(self, progress: Progress, connection: Connection) -> tuple[InForce, list[Row[Any]]]:
        return self._readers.get(connection), topic_models.to_reread(connection, progress, _STEP)


def _step(progress: Progress, choice: int, found: Mapping[str, tuple[int, Columns]], through: int, tx: Tx) -> int:
    wait_for_turn(tx)
    if choice != progress.choice or topic_models.rereading(tx.connection) != progress:
        return 0  # another model was chosen meanwhile, or another process did this step
    # One that changed meanwhile was read by the model in force, or corrected.
    known = store.known_posts(tx.connection, found)
    as_they_were = {
        post_id: topic for post_id, (revision, topic) in found.items() if known[post_id].revision == revision
    }
    assign(tx, as_they_were)
    topic_models.note_reread(tx, through)
    return len(as_they_were)
