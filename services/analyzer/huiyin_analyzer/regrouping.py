"""Carries out moves of posts between events: for people's corrections, and for the analyzer's own repairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

from huiyin.analyzer.v1 import event_pb2, regrouping_pb2
from huiyin_chassis.bulk import insert_many, update_many
from huiyin_chassis.ids import uuid7
from huiyin_chassis.store import Tx
from sqlalchemy import Row

from huiyin_analyzer import resources, store
from huiyin_analyzer.grades import judge
from huiyin_analyzer.holds import hold_posts
from huiyin_analyzer.model.assessment import Grading, Override
from huiyin_analyzer.model.events import Event, Post
from huiyin_analyzer.model.regrouping import Kind, Move, Standing
from huiyin_analyzer.model.text import Harm, Intent
from huiyin_analyzer.model.titles import title
from huiyin_analyzer.store import EVENTS, regroupings

_Row = dict[str, Any]


@dataclass(frozen=True)
class Rules:
    """By what events are graded: a policy, its version, and people's decisions by event."""

    grading: Grading
    version: int
    decisions: Mapping[str, Override]


def counted(row: Any) -> Post:
    """What of a stored post an event counts."""
    return Post(
        row.publish_time,
        row.source,
        row.expects_answer,
        row.votes,
        row.voice_day,
        row.topic,
        row.place,
        Intent(row.intent),
        Harm(row.harm),
        row.topic_decides,
    )


def count(posts: Sequence[Row[Any]]) -> Event:
    """An event counted anew from its posts, in the order of joining."""
    event = Event(posts[0].event_id)
    for row in posts:
        event.count(counted(row))
    return event


@dataclass(frozen=True)
class Moved:
    """A move that was carried out, with every post that moved, and both events as they count now."""

    move: Move
    events: Mapping[str, Event]


def carry_out(tx: Tx, move: Move, rules: Rules, rows: Mapping[str, Row[Any]] | None = None) -> Moved:
    """Moves posts, counts and grades both events anew, and tells of it all.

    An event is told of before the posts that come to it, and a merge before the moves that it causes. A move of all
    posts of an event is a merge. The caller notes the move, and keeps other processes from joining posts meanwhile.
    `rows`: those of both events, where they are at hand.
    """
    rows = rows or store.events_by_id(tx.connection, [move.event, move.target])
    source = dict(rows[move.event]._mapping)
    moved = regroupings.move_posts(tx, move)
    left = [] if move.kind == Kind.MERGE else regroupings.posts_of(tx.connection, move.event)
    gained = regroupings.posts_of(tx.connection, move.target)
    events = {rows[0].event_id: count(rows) for rows in (left, gained) if rows}
    is_split = move.kind == Kind.SPLIT
    target = _opened(tx, move, source) if is_split else dict(rows[move.target]._mapping)
    _judge(target, events[move.target], gained, rules)
    if is_split:
        insert_many(tx.connection, EVENTS, [target])
        store.take_over_holds(tx, [move.target])
        _tell(tx, "event.opened", target)
    if not left:
        _empty(tx, source, move.target)
    for row in moved:
        message = resources.membership(row, with_text=False)
        tx.changes.add("membership.moved", message.name, message.revision, message, drill=row.drill)
    if left:
        _judge(source, events[move.event], left, rules)
        _tell(tx, "event.split" if is_split else "event.updated", source)
    if not is_split:
        _tell(tx, "event.updated", target)
    _pass_hold_on(tx, source, target, [row.id for row in moved])
    update_many(tx.connection, EVENTS, [source, target])
    return Moved(replace(move, posts=tuple(row.id for row in moved)), events)


def tell_of(tx: Tx, number: int, kind: str) -> regrouping_pb2.Regrouping:
    """Tells of a proposal: that it was made (regrouping.proposed), or decided on (regrouping.resolved)."""
    row = regroupings.by_number(tx.connection, number)
    assert row is not None
    message = resources.regrouping(row)
    revision = 1 if row.state == Standing.PROPOSED else 2
    tx.changes.add(kind, message.name, revision, message, drill=row.drill)
    return message


def _opened(tx: Tx, move: Move, source: _Row) -> _Row:
    return {
        **source,
        "id": move.target,
        "create_time": tx.now_us,
        "hold": store.kept_holds(tx.connection).get(move.target, event_pb2.EVENT_HOLD_UNSPECIFIED),
        "merged_into": "",
        "split_from": move.event,
        "echo_of": "",
        "revision": 0,
    }


def _judge(row: _Row, event: Event, posts: Sequence[Row[Any]], rules: Rules) -> None:
    decision = rules.decisions.get(row["id"])
    verdict, columns = judge(event, rules.grading, rules.version, decision)
    row.update(columns)
    row["assessment"] = resources.assessment(verdict, rules.version, decision).SerializeToString()
    row["title"] = next((title(post.subject, post.text) for post in posts if post.subject or post.text), "")


def _empty(tx: Tx, source: _Row, target_id: str) -> None:
    """An event without posts goes on as a name that tells where they are, and so do those that led to it."""
    source.update(post_count=0, inquiry_count=0, merged_into=target_id)
    _tell(tx, "event.merged", source)
    earlier = store.events_by_id(tx.connection, regroupings.merged_into(tx.connection, source["id"]))
    followers = [{**row._mapping, "merged_into": target_id} for row in earlier.values()]
    for row in followers:
        _tell(tx, "event.merged", row)
    update_many(tx.connection, EVENTS, followers)


def _pass_hold_on(tx: Tx, source: _Row, target: _Row, moved: Sequence[str]) -> None:
    """Posts are held while the event that they belong to is. A merged event hands its hold to its target."""
    was_held, target_was = bool(source["hold"]), bool(target["hold"])
    if source["merged_into"]:
        target["hold"] = max(target["hold"], source["hold"])
        source["hold"] = event_pb2.EVENT_HOLD_UNSPECIFIED
    held = bool(target["hold"])
    if held and not target_was:
        hold_posts(tx, store.post_ids_of(tx.connection, [target["id"]]), held=True, request_id=uuid7())
    elif held != was_held:
        hold_posts(tx, moved, held=held, request_id=uuid7())


def _tell(tx: Tx, kind: str, row: _Row) -> None:
    row["update_time"] = tx.now_us
    row["revision"] += 1
    message = resources.event(SimpleNamespace(**row), with_title=False)
    tx.changes.add(kind, message.name, message.revision, message, drill=row["drill"])
