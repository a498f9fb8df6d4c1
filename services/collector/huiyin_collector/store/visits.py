"""Which sources are due, who visits them, and how that goes.

Scheduling is a query on an index. A visit is a lease: whoever takes it moves the time of the next visit to the end of
the lease, so that a process that dies gives back what it held by doing nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from huiyin.collector.v1 import source_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import FailedPrecondition, NotFound
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, Select, bindparam, func, select, update

from huiyin_collector.store import CollectorStore, visit_key
from huiyin_collector.store.messages import FEED
from huiyin_collector.store.tables import SOURCES, VISITS

ACTIVE: Final = source_pb2.Source.STATE_ACTIVE
PAUSED: Final = source_pb2.Source.STATE_PAUSED
DISABLED: Final = source_pb2.Source.STATE_DISABLED

_ALARMS: Final = {
    source_pb2.SourceHealth.ALARM_UNSPECIFIED: "source.recovered",
    source_pb2.SourceHealth.ALARM_SILENT: "source.silent",
    source_pb2.SourceHealth.ALARM_FAILING: "source.failing",
}
_SHOWN: Final = select(VISITS, SOURCES.c.display_name).join(SOURCES, SOURCES.c.id == VISITS.c.source)
"""What `health_of` takes."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A source that is to be visited now, under a lease."""

    source: str
    kind: source_pb2.Source.Kind.ValueType
    uri: str
    rules: bytes = b""
    lease: str = ""
    etag: str = ""
    last_modified: str = ""
    last_success_us: int = 0
    error_streak: int = 0
    items_a_day: float = 0.0
    resume: str = ""
    articles_waiting: int = 0


def next_due(connection: Connection) -> int | None:
    """When the next source is due, in microseconds; None where none is active."""
    due: int | None = connection.scalar(select(func.min(VISITS.c.next_time)).where(VISITS.c.state == ACTIVE))
    return due


def claim(tx: Tx, lease: str, lease_us: int, limit: int) -> list[Visit]:
    """Takes sources that are due, the longest waiting first; `lease_us`: how long they are ours."""
    query = (
        select(VISITS)
        .where(VISITS.c.state == ACTIVE, VISITS.c.next_time <= tx.now_us)
        .order_by(VISITS.c.next_time)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = tx.execute(query).all()
    if rows:
        _move_all(tx, [(row.source, tx.now_us + lease_us, lease) for row in rows])
    return [
        Visit(
            row.source,
            row.kind,
            row.uri,
            bytes(row.rules),
            lease,
            row.etag,
            row.last_modified,
            row.last_success_time,
            row.error_streak,
            row.items_a_day,
            row.resume,
            row.articles_waiting,
        )
        for row in rows
    ]


def put_back(tx: Tx, visits: Sequence[tuple[Visit, int]]) -> None:
    """Gives back what was taken, to be visited at those times."""
    kept = [(visit, time) for visit, time in visits if holds(tx, visit) is not None]
    if kept:
        _move_all(tx, [(visit.source, time, "") for visit, time in kept])


def holds(tx: Tx, visit: Visit) -> Row[Any] | None:
    """The row of a visit whose lease is still ours, locked; None when it was paused, moved or taken over meanwhile."""
    query = select(VISITS).where(VISITS.c.source == visit.source, VISITS.c.lease == visit.lease)
    return tx.execute(query.with_for_update()).one_or_none()


def finish(
    tx: Tx,
    store: CollectorStore,
    row: Row[Any],
    values: dict[str, object],
    alarm: source_pb2.SourceHealth.Alarm.ValueType,
) -> None:
    """Ends a visit, whose row `holds` gave, with these columns; tells of an alarm that begins or ends."""
    values |= {"lease": "", "last_visit_time": tx.now_us}
    if alarm != row.alarm:
        values |= {"alarm": alarm, "alarm_time": tx.now_us if alarm else 0, "revision": row.revision + 1}
    tx.execute(update(VISITS).where(VISITS.c.source == row.source).values(values))
    if values.get("state") == DISABLED:
        store.touch_source(tx, store.locked_source(tx, row.source))
    if alarm != row.alarm:
        told = health(tx.connection, row.source)
        tx.changes.add(_ALARMS[alarm], told.name, told.revision, told)


def moved(tx: Tx, store: CollectorStore, visit: Visit, uri: str) -> None:
    """Remembers that a source moved for good, unless another reads it there."""
    key = visit_key(visit.kind, uri, visit.rules)
    if (
        uri == visit.uri
        or tx.execute(select(VISITS.c.source).where(VISITS.c.key == key, VISITS.c.source != visit.source)).first()
    ):
        return
    tx.execute(update(VISITS).where(VISITS.c.source == visit.source).values(uri=uri, key=key))
    store.touch_source(tx, store.locked_source(tx, visit.source))


def set_state(
    tx: Tx, store: CollectorStore, source_id: str, state: source_pb2.Source.State.ValueType
) -> source_pb2.Source:
    """Pauses or resumes. Raises NotFound, FailedPrecondition."""
    row = store.locked_source(tx, source_id)
    _require_visited(row)
    if row.state == state:
        return store.source(tx.connection, source_id)
    values: dict[str, object] = {"state": state, "lease": ""}
    if state == ACTIVE:
        values |= {"next_time": tx.now_us, "error_streak": 0, "error_reason": "", "error_message": ""}
    tx.execute(update(VISITS).where(VISITS.c.source == source_id).values(values))
    return store.touch_source(tx, row)


def run_now(tx: Tx, store: CollectorStore, source_id: str) -> source_pb2.SourceHealth:
    """Makes a source due. Raises NotFound, FailedPrecondition."""
    row = store.locked_source(tx, source_id)
    _require_visited(row)
    if row.state != ACTIVE:
        raise FailedPrecondition(
            "SOURCE_NOT_ACTIVE", f"sources/{source_id} is paused or disabled; resume it, which visits it at once"
        )
    # One that is being visited is visited again afterwards: its lease is no longer good.
    tx.execute(update(VISITS).where(VISITS.c.source == source_id).values(next_time=tx.now_us, lease=""))
    return health(tx.connection, source_id)


def health(connection: Connection, source_id: str) -> source_pb2.SourceHealth:
    """How the visits of a source go. Raises NotFound."""
    row = connection.execute(_SHOWN.where(VISITS.c.source == source_id)).one_or_none()
    if row is None:
        name = f"sources/{source_id}/health"
        raise NotFound(name, f"{name} does not exist; only feeds, lists and interfaces are visited")
    return health_of(row)


def everything() -> Select[Any]:
    """All that is visited."""
    return _SHOWN


def failing() -> Select[Any]:
    """What failed at its last visit, is gone, or has an alarm."""
    return _SHOWN.where((VISITS.c.error_streak > 0) | (VISITS.c.state == DISABLED) | (VISITS.c.alarm > 0))


def feeds() -> Select[Any]:
    """Addresses of feeds, with the names and areas of their sources, by name."""
    joined = select(VISITS.c.uri, SOURCES.c.display_name, SOURCES.c.area).where(VISITS.c.kind == FEED)
    return joined.join(SOURCES, SOURCES.c.id == VISITS.c.source).order_by(SOURCES.c.id)


def health_of(row: Row[Any]) -> source_pb2.SourceHealth:
    """The message of a row of VISITS."""
    found = source_pb2.SourceHealth(
        name=f"sources/{row.source}/health",
        state=row.state,
        uri=row.uri,
        error_streak=row.error_streak,
        error_reason=row.error_reason,
        error_message=row.error_message,
        items_a_day=row.items_a_day,
        items_total=row.items_total,
        items_passed_over=row.items_passed_over,
        display_name=row.display_name,
        alarm=row.alarm,
        longest_pause_days=row.longest_pause,
        revision=row.revision,
        articles_waiting=row.articles_waiting,
        articles_broken=row.articles_broken,
    )
    times = {
        "next_visit_time": row.next_time if row.state == ACTIVE else 0,
        "last_visit_time": row.last_visit_time,
        "last_success_time": row.last_success_time,
        "last_item_time": row.last_item_time,
        "alarm_time": row.alarm_time,
    }
    for name, micros in times.items():
        if micros:
            getattr(found, name).CopyFrom(clock.micros_to_timestamp(micros))
    return found


def _require_visited(row: Row[Any]) -> None:
    if row.state is None:
        raise FailedPrecondition(
            "SOURCE_KIND", f"sources/{row.id} is not visited by anybody; choose a feed, a list or an interface"
        )


def _move_all(tx: Tx, moves: Sequence[tuple[str, int, str]]) -> None:
    statement = (
        update(VISITS)
        .where(VISITS.c.source == bindparam("id"))
        .values(next_time=bindparam("at"), lease=bindparam("by"))
    )
    tx.execute(statement, [{"id": source, "at": at, "by": lease} for source, at, lease in moves])
