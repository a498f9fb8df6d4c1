"""Gives stored posts other topics: for people's corrections, and when another model was put in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from huiyin_chassis.bulk import update_many
from huiyin_chassis.store import Tx

from huiyin_analyzer import resources, store
from huiyin_analyzer.model.topics import TopicReading
from huiyin_analyzer.store import EVENTS, POSTS, topic_corrections
from huiyin_analyzer.store.topic_corrections import Correction

Columns = dict[str, Any]
TOPIC_COLUMNS = (
    "topic",
    "topic_model",
    "topic_confidence",
    "topic_low",
    "topic_correction",
    "topic_decides",
)
_TOLD = ("topic", "topic_low", "topic_correction")


def as_read(reading: TopicReading) -> Columns:
    """What a post's row keeps of a topic that was read."""
    return {
        "topic": reading.path,
        "topic_model": reading.model,
        "topic_confidence": reading.confidence,
        "topic_low": reading.low,
        "topic_correction": 0,
        "topic_decides": False,
    }


def as_corrected(correction: Correction) -> Columns:
    """What a post's row keeps of a topic that a person set."""
    return {
        "topic": correction.topic,
        "topic_model": 0,
        "topic_confidence": 0.0,
        "topic_low": False,
        "topic_correction": correction.number,
        "topic_decides": correction.of_event,
    }


def assign(tx: Tx, found: Mapping[str, Columns]) -> None:
    """Writes topics of stored posts by id, and tells of posts and events where it changes what people see.

    A confidence that changes alone is written and not told. The caller keeps other processes from joining posts
    meanwhile.
    """
    rows = []
    recounted: dict[str, None] = {}
    for post_id, row in store.known_posts(tx.connection, found).items():
        before, new = row._mapping, found[post_id]
        told = any(before[name] != new[name] for name in _TOLD)
        changed = {"id": post_id, **new, "revision": row.revision + told}
        rows.append(changed)
        if told:
            message = resources.membership(SimpleNamespace(**{**before, **changed}), with_text=False)
            tx.changes.add("membership.updated", message.name, message.revision, message, drill=row.drill)
        if (before["topic"], before["topic_decides"]) != (new["topic"], new["topic_decides"]):
            recounted[row.event_id] = None
    update_many(tx.connection, POSTS, rows)
    if recounted:
        recount(tx, recounted)
        topic_corrections.note_recount(tx, recounted)


def recount(tx: Tx, event_ids: Iterable[str]) -> None:
    """Takes the topics of events from their stored posts, and tells of those that have another."""
    rows = []
    events = store.events_by_id(tx.connection, event_ids)
    for event_id, event in topic_corrections.counts(tx.connection, events).items():
        row = dict(events[event_id]._mapping)
        if row["topic"] != event.topic:
            row |= {"topic": event.topic, "update_time": tx.now_us, "revision": row["revision"] + 1}
            rows.append({name: row[name] for name in ("id", "topic", "update_time", "revision")})
            message = resources.event(SimpleNamespace(**row), with_title=False)
            tx.changes.add("event.updated", message.name, message.revision, message, drill=row["drill"])
    update_many(tx.connection, EVENTS, rows)
