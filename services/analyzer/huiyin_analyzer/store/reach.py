"""What the series of an event is counted from."""

from __future__ import annotations

from sqlalchemy import Connection, select

from huiyin_analyzer.model.series import Arrival
from huiyin_analyzer.store import POSTS


def arrivals(connection: Connection, event_id: str, before: int) -> list[Arrival]:
    """The posts of an event that were published before a time, the earliest first."""
    query = select(POSTS.c.publish_time, POSTS.c.source, POSTS.c.voice_day, POSTS.c.votes).where(
        POSTS.c.event_id == event_id, POSTS.c.publish_time < before
    )
    return sorted((Arrival(*row) for row in connection.execute(query)), key=lambda arrival: arrival.time)
