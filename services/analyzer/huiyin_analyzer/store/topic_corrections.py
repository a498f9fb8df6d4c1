"""Corrections of topics, which people make and which are kept for good; and what else changes the topics of posts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from huiyin_chassis.bulk import chunks, insert_many
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, and_, delete, func, or_, select

from huiyin_analyzer.model.events import Event
from huiyin_analyzer.store import POSTS, TOPIC_CORRECTIONS, TOPIC_RECOUNTS

_KEPT_RECOUNTS: Final = 10_000


class Correction(NamedTuple):
    """What a person said of a post: its topic, and whether it was said of the whole event."""

    number: int
    topic: str
    of_event: bool


def note(tx: Tx, posts: Sequence[str], *, event_id: str, topic: str, reason: str, author: str) -> None:
    """Keeps a correction of each post. `event_id`: the event where all of it was corrected; `topic` "": taken back."""
    row = {"event_id": event_id, "topic": topic, "reason": reason, "author": author, "create_time": tx.now_us}
    insert_many(tx.connection, TOPIC_CORRECTIONS, [{"post_id": post_id, **row} for post_id in posts])


def in_force(connection: Connection, posts: Iterable[str]) -> dict[str, Correction]:
    """What holds of these posts, where people corrected them and did not take it back."""
    found: dict[str, Correction] = {}
    for chunk in chunks(posts):
        newest = select(func.max(TOPIC_CORRECTIONS.c.number)).where(TOPIC_CORRECTIONS.c.post_id.in_(chunk))
        query = select(TOPIC_CORRECTIONS).where(
            TOPIC_CORRECTIONS.c.number.in_(newest.group_by(TOPIC_CORRECTIONS.c.post_id)),
            TOPIC_CORRECTIONS.c.topic != "",
        )
        for row in connection.execute(query):
            found[row.post_id] = Correction(row.number, row.topic, row.event_id != "")
    return found


def to_learn_from(connection: Connection) -> list[tuple[str, str, str]]:
    """Subject, text and topic of corrected posts whose text is kept; rehearsals teach nothing."""
    corrected = and_(POSTS.c.topic_correction > 0, ~POSTS.c.drill, or_(POSTS.c.subject != "", POSTS.c.text != ""))
    query = select(POSTS.c.subject, POSTS.c.text, POSTS.c.topic).where(corrected).order_by(POSTS.c.number)
    return [(row.subject, row.text, row.topic) for row in connection.execute(query)]


def counts(connection: Connection, event_ids: Iterable[str]) -> dict[str, Event]:
    """The topics of events as their stored posts have them; nothing else of the events is counted."""
    found: dict[str, Event] = {}
    columns = (POSTS.c.event_id, POSTS.c.topic, POSTS.c.topic_decides)
    for chunk in chunks(event_ids):
        found |= {event_id: Event(event_id) for event_id in chunk}
        query = select(*columns, func.count().label("posts")).where(POSTS.c.event_id.in_(chunk), POSTS.c.topic != "")
        # Of topics with as many posts the one that came first holds: they are counted in that order.
        for row in connection.execute(query.group_by(*columns).order_by(func.min(POSTS.c.number))):
            found[row.event_id].count_topic(row.topic, row.topic_decides, row.posts)
    return found


def note_recount(tx: Tx, event_ids: Iterable[str]) -> None:
    """Notes that topics of posts of these events are others than who joins posts may have in memory."""
    insert_many(tx.connection, TOPIC_RECOUNTS, [{"event_id": event_id} for event_id in event_ids])
    newest = tx.execute(select(func.max(TOPIC_RECOUNTS.c.number))).scalar() or 0
    tx.execute(delete(TOPIC_RECOUNTS).where(TOPIC_RECOUNTS.c.number <= newest - _KEPT_RECOUNTS))


def newest_recount(connection: Connection) -> int:
    """The number of the newest note, 0 where there is none."""
    return connection.scalar(select(func.max(TOPIC_RECOUNTS.c.number))) or 0


def recounts(connection: Connection, after: int) -> list[str] | None:
    """The events noted with a greater number; None where some of these notes are kept no longer."""
    oldest = connection.scalar(select(func.min(TOPIC_RECOUNTS.c.number))) or 1
    if after + 1 < oldest:
        return None
    return list(connection.scalars(select(TOPIC_RECOUNTS.c.event_id).where(TOPIC_RECOUNTS.c.number > after).distinct()))
