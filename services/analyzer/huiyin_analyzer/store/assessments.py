"""Decisions on grades, and which events stand under an older policy or decision than the newest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huiyin_chassis.bulk import chunks
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, func, select

from huiyin_analyzer.model.assessment import Override, Spoken
from huiyin_analyzer.store import EVENTS, GRADE_OVERRIDES, POSTS


def decide(tx: Tx, event_id: str, *, grade: int, reason: str, author: str, expire_time: int | None = None) -> Override:
    """Keeps a decision for good; it is the event's newest from now on."""
    values: dict[str, Any] = {
        "event_id": event_id,
        "grade": grade,
        "reason": reason,
        "author": author,
        "create_time": tx.now_us,
        "expire_time": expire_time,
    }
    number = tx.execute(GRADE_OVERRIDES.insert().returning(GRADE_OVERRIDES.c.number), values).scalar_one()
    return Override(number, grade, reason, author, tx.now_us, expire_time)


def decisions(connection: Connection, event_ids: Iterable[str] | None = None) -> dict[str, Override]:
    """The newest decision on each of these events, or on each event at all."""
    newest = select(func.max(GRADE_OVERRIDES.c.number)).group_by(GRADE_OVERRIDES.c.event_id)
    if event_ids is None:
        wanted = [newest]
    else:
        wanted = [newest.where(GRADE_OVERRIDES.c.event_id.in_(chunk)) for chunk in chunks(event_ids)]
    return {
        row.event_id: _override(row)
        for numbers in wanted
        for row in connection.execute(select(GRADE_OVERRIDES).where(GRADE_OVERRIDES.c.number.in_(numbers)))
    }


def history(connection: Connection, event_id: str, limit: int) -> list[Override]:
    """The decisions on an event, the newest first."""
    query = select(GRADE_OVERRIDES).where(GRADE_OVERRIDES.c.event_id == event_id)
    return [_override(row) for row in connection.execute(query.order_by(GRADE_OVERRIDES.c.number.desc()).limit(limit))]


def expired(connection: Connection, now: int) -> list[str]:
    """Events whose newest decision was to hold until a time that is over."""
    newest = select(func.max(GRADE_OVERRIDES.c.number)).group_by(GRADE_OVERRIDES.c.event_id)
    query = select(GRADE_OVERRIDES.c.event_id).where(
        GRADE_OVERRIDES.c.number.in_(newest), GRADE_OVERRIDES.c.grade > 0, GRADE_OVERRIDES.c.expire_time <= now
    )
    return list(connection.scalars(query))


def behind(connection: Connection, policy_version: int, limit: int) -> list[str]:
    """Events that were graded by another policy than this version, or before the newest decision on them."""
    by_policy = select(EVENTS.c.id).where(EVENTS.c.policy_version < policy_version).limit(limit)
    found = list(connection.scalars(by_policy))
    newest = (
        select(GRADE_OVERRIDES.c.event_id, func.max(GRADE_OVERRIDES.c.number).label("number"))
        .group_by(GRADE_OVERRIDES.c.event_id)
        .subquery()
    )
    by_decision = (
        select(EVENTS.c.id)
        .join(newest, newest.c.event_id == EVENTS.c.id)
        .where(EVENTS.c.override_number < newest.c.number)
        .limit(limit)
    )
    return list(dict.fromkeys([*found, *connection.scalars(by_decision)]))[:limit]


def sources_of(connection: Connection, event_ids: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """The sources that the posts of each event come from."""
    found: dict[str, set[str]] = {event_id: set() for event_id in event_ids}
    for chunk in chunks(event_ids):
        query = select(POSTS.c.event_id, POSTS.c.source).where(POSTS.c.event_id.in_(chunk)).distinct()
        for event_id, source in connection.execute(query):
            found[event_id].add(source)
    return {event_id: frozenset(sources) for event_id, sources in found.items()}


def spoken(connection: Connection, event_id: str) -> list[Spoken]:
    """What the posts of an event count for, in the order of joining."""
    columns = [POSTS.c[name] for name in Spoken._fields]
    query = select(*columns).where(POSTS.c.event_id == event_id).order_by(POSTS.c.number)
    return [Spoken(*row) for row in connection.execute(query)]


def _override(row: Row[Any]) -> Override:
    return Override(row.number, row.grade, row.reason, row.author, row.create_time, row.expire_time)
