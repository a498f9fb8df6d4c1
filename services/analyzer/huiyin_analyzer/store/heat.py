"""What the heat of events is counted from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from huiyin_chassis.bulk import chunks
from sqlalchemy import ColumnElement, Connection, Row, select

from huiyin_analyzer.model.heat import Spoke, Window
from huiyin_analyzer.store import EVENTS, POSTS


def candidates(
    connection: Connection, window: Window, *conditions: ColumnElement[bool]
) -> Sequence[Row[str, int, int]]:
    """(id, posts, time of the last) of events that may have a post within a window."""
    query = select(EVENTS.c.id, EVENTS.c.post_count, EVENTS.c.last_publish_time).where(
        EVENTS.c.last_publish_time >= window.start,
        EVENTS.c.first_publish_time < window.end,
        EVENTS.c.post_count > 0,
        *conditions,
    )
    return connection.execute(query).all()


def spoken(connection: Connection, event_ids: Iterable[str], window: Window) -> dict[str, list[Spoke]]:
    """What was said in events within a window, by event."""
    found: dict[str, list[Spoke]] = defaultdict(list)
    query: Any = select(POSTS.c.event_id, POSTS.c.publish_time, POSTS.c.voice_day, POSTS.c.harm).where(
        POSTS.c.publish_time >= window.start, POSTS.c.publish_time < window.end
    )
    for chunk in chunks(event_ids):
        for event_id, *spoke in connection.execute(query.where(POSTS.c.event_id.in_(chunk))):
            found[event_id].append(Spoke(*spoke))
    return found
