"""The log of regroupings, and the moves of posts that they mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from huiyin_chassis.bulk import chunks
from huiyin_chassis.store import Tx
from huiyin_chassis.tables import CURSORS
from sqlalchemy import Connection, Row, and_, case, func, or_, select, update

from huiyin_analyzer.model.regrouping import Kind, Move, Regrouping, Standing
from huiyin_analyzer.store import EVENTS, POSTS, REGROUPINGS

POSTS_CONSUMER = "collector.posts"
"""The consumer of the collector's feed: whoever moves its cursor decides the order of posts."""


def wait_for_turn(tx: Tx) -> None:
    """Waits until no other process is about to commit posts, and keeps it from doing so until this work ends."""
    tx.execute(select(CURSORS.c.cursor).where(CURSORS.c.consumer == POSTS_CONSUMER).with_for_update())


def note(
    tx: Tx, move: Move, standing: Standing, *, author: str, reason: str, drill: bool, after: int | None = None
) -> Regrouping:
    """Notes a regrouping as the newest, after the post of this number; by default, after the posts that there are."""
    if after is None:
        after = tx.execute(select(func.max(POSTS.c.number))).scalar() or 0
    values: dict[str, Any] = {
        "kind": int(move.kind),
        "state": int(standing),
        "event_id": move.event,
        "target_id": move.target,
        "posts": json.dumps(move.posts),
        "after_number": after,
        "applied": standing == Standing.DONE,
        "reason": reason,
        "author": author,
        "create_time": tx.now_us,
        "drill": drill,
    }
    number = tx.execute(REGROUPINGS.insert().returning(REGROUPINGS.c.number), values).scalar_one()
    return Regrouping(number, move, standing, author, after, drill)


def resolve(tx: Tx, number: int, standing: Standing, *, author: str, reason: str) -> None:
    """A person decided on a proposal."""
    values = {"state": int(standing), "author": author, "reason": reason}
    tx.execute(update(REGROUPINGS).where(REGROUPINGS.c.number == number).values(values))


def note_applied(tx: Tx, number: int) -> None:
    """What a rebuild had to carry out anew was carried out."""
    tx.execute(update(REGROUPINGS).where(REGROUPINGS.c.number == number).values(applied=True))


def newest(connection: Connection) -> tuple[int, int]:
    """The number of the newest regrouping, and how many proposals were declined; one query for every batch."""
    dismissed = select(func.count()).where(REGROUPINGS.c.state == int(Standing.DISMISSED)).scalar_subquery()
    row = connection.execute(select(func.max(REGROUPINGS.c.number), dismissed)).one()
    return row[0] or 0, row[1]


def log(connection: Connection, after: int = 0) -> list[Regrouping]:
    """Every regrouping with a greater number that was carried out, or declined, in order."""
    standings = (int(Standing.DONE), int(Standing.DISMISSED))
    query = select(REGROUPINGS).where(REGROUPINGS.c.number > after, REGROUPINGS.c.state.in_(standings))
    return [regrouping_of(row) for row in connection.execute(query.order_by(REGROUPINGS.c.number))]


def unapplied(connection: Connection) -> list[Regrouping]:
    """What a rebuild has still to carry out anew, in order."""
    query = select(REGROUPINGS).where(~REGROUPINGS.c.applied, REGROUPINGS.c.state == int(Standing.DONE))
    return [regrouping_of(row) for row in connection.execute(query.order_by(REGROUPINGS.c.number))]


def is_proposed(connection: Connection, move: Move) -> bool:
    """Whether the same waits to be decided on: a merge of the two events, a split of the event."""
    those = and_(REGROUPINGS.c.event_id == move.event, REGROUPINGS.c.kind == int(move.kind))
    if move.kind == Kind.MERGE:
        there = and_(REGROUPINGS.c.event_id == move.event, REGROUPINGS.c.target_id == move.target)
        back = and_(REGROUPINGS.c.event_id == move.target, REGROUPINGS.c.target_id == move.event)
        those = or_(there, back)
    query = select(REGROUPINGS.c.number).where(REGROUPINGS.c.state == int(Standing.PROPOSED), those)
    return connection.scalar(query.limit(1)) is not None


def by_number(connection: Connection, number: int) -> Row[Any] | None:
    """The row of a regrouping."""
    return connection.execute(select(REGROUPINGS).where(REGROUPINGS.c.number == number)).one_or_none()


def regrouping_of(row: Row[Any]) -> Regrouping:
    """A regrouping from its row."""
    move = Move(Kind(row.kind), row.event_id, row.target_id, tuple(json.loads(row.posts)))
    return Regrouping(row.number, move, Standing(row.state), row.author, row.after_number, row.drill, row.applied)


def posts_of(connection: Connection, event_id: str) -> list[Row[Any]]:
    """The posts of an event, in the order of joining."""
    return list(connection.execute(select(POSTS).where(POSTS.c.event_id == event_id).order_by(POSTS.c.number)))


def first_numbers(connection: Connection, event_ids: Sequence[str]) -> dict[str, int]:
    """The number of the first post of each of a few events."""
    query = select(POSTS.c.event_id, func.min(POSTS.c.number)).where(POSTS.c.event_id.in_(event_ids))
    return {row[0]: row[1] for row in connection.execute(query.group_by(POSTS.c.event_id))}


def move_posts(tx: Tx, move: Move) -> list[Row[Any]]:
    """Moves the posts of a move; returns them as they are then, in the order of joining."""
    joined = case((POSTS.c.joined_event_id == "", POSTS.c.event_id), else_=POSTS.c.joined_event_id)
    values = {
        "joined_event_id": joined,
        "previous_event_id": move.event,
        "event_id": move.target,
        "revision": POSTS.c.revision + 1,
    }
    of_event = POSTS.c.event_id == move.event
    those = (
        [of_event] if move.kind == Kind.MERGE else [and_(of_event, POSTS.c.id.in_(ids)) for ids in chunks(move.posts)]
    )
    moved = [row for which in those for row in tx.execute(update(POSTS).where(which).values(values).returning(POSTS))]
    return sorted(moved, key=lambda row: row.number)


def merged_into(connection: Connection, event_id: str) -> list[str]:
    """The events that were merged into one."""
    # That it is not "" goes without saying, but not for an index that leaves those out.
    those = and_(EVENTS.c.merged_into == event_id, EVENTS.c.merged_into != "")
    return list(connection.scalars(select(EVENTS.c.id).where(those).order_by(EVENTS.c.id)))
