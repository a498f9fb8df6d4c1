"""What the notifier keeps: notifications, the groups that they wait in, the messages that carry them, every attempt.

A notification belongs to one group, leaves in one message, and a message keeps its notifications through every retry,
so that its id is a true idempotency key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from huiyin.notifier.v1 import notification_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.bulk import chunks
from huiyin_chassis.errors import FieldViolation, InvalidArgument
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Pulse, Store, Tx
from huiyin_chassis.tables import Id, define_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Row,
    Table,
    Text,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from huiyin_notifier.model import grouping, routes
from huiyin_notifier.model.grouping import Group
from huiyin_notifier.model.happenings import Happening
from huiyin_notifier.model.rendering import Item
from huiyin_notifier.model.routes import Receiver, Route, Routes

ROUTES: Final = "routes"
"""The kind of the routes policy."""
_DEFAULT_ROUTES: Final = Path(__file__).parent / "data" / "routes.yaml"
MIGRATIONS: Final = Path(__file__).parent / "migrations"
SINK: Final = "sink"
"""The channel of what belongs to a drill: it takes everything and passes nothing on."""

PENDING: Final = notification_pb2.Notification.STATE_PENDING
SENT: Final = notification_pb2.Notification.STATE_SENT
FAILED: Final = notification_pb2.Notification.STATE_FAILED

_KINDS: Final = {SENT: "notification.sent", FAILED: "notification.failed"}
_CHUNK: Final = 500
"""Groups in one look."""

METADATA: Final = MetaData()
define_tables(METADATA)

NOTIFICATIONS: Final = Table(
    "notifications",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Integer, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("cause", Text, nullable=False),
    # The resource that changed: a case, an inquiry or a task.
    Column("subject", Text, nullable=False),
    Column("case", Text, nullable=False),
    Column("unit", Text, nullable=False),
    Column("grade", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("group_key", Text, nullable=False),
    Column("group", Text, nullable=False),
    # The message that carries it; empty while it waits for its group.
    Column("message", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("due_time", BigInteger),
    Column("send_time", BigInteger),
    Column("drill", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("notifications_newest", "create_time", "id"),
    Index("notifications_by_message", "message"),
    Index("notifications_by_subject", "subject", "cause", "receiver"),
    Index(
        "notifications_waiting",
        "due_time",
        "group_key",
        sqlite_where=text("message = ''"),
        postgresql_where=text("message = ''"),
    ),
)

GROUPS: Final = Table(
    "groups",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("interval", BigInteger, nullable=False),
    Column("due_time", BigInteger),
    Column("quiet_until", BigInteger, nullable=False),
)

MESSAGES: Final = Table(
    "messages",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Integer, nullable=False),
    Column("receiver", Text, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_time", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Index(
        "messages_waiting",
        "due_time",
        sqlite_where=text("state = 1"),
        postgresql_where=text("state = 1"),
    ),
)

ATTEMPTS: Final = Table(
    "attempts",
    METADATA,
    Column("id", Id, primary_key=True),
    Column("message", Text, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("problem", Text, nullable=False),
    Index("attempts_by_message", "message"),
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A happening, and one of the routes that take it."""

    happening: Happening
    route: Route
    receiver: Receiver

    @property
    def id(self) -> str:
        """The notification's id: the same whenever this happening is read again."""
        return ids.derived_id("notifications", self.happening.cause(self.receiver.id))

    @property
    def group_key(self) -> str:
        """Names its group: one a route, receiver and values of group_by; drill and real never join."""
        kind = "drill" if self.happening.drill else "real"
        return f"{self.route.path} {self.receiver.id} {kind} {self.route.group_of(self.happening)}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is due, with what it says. `id` is the same in every attempt."""

    id: str
    receiver: str
    drill: bool
    attempts: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went. `problem` is empty when the channel took the message; `pause` None gives it up."""

    message: str
    channel: str
    problem: str = ""
    pause: float | None = None


class NotifierStore(Store):
    """The notifier's database. What takes a Tx or a Connection is a work for `write` or `read`."""

    def __init__(self, url: str, *, allow_private: bool = False) -> None:
        super().__init__(url, feed="notifier", migrations=MIGRATIONS, durability="NORMAL")
        self.policies = Policies({ROUTES: partial(_validate_routes, allow_private=allow_private)})
        self._in_force: tuple[int, Routes] | None = None
        self.routes_changed = Pulse()
        """Beats when this process wrote a new routes policy."""

    # Routes

    def seed(self, tx: Tx) -> None:
        """Puts the packaged routes policy in force where there is none."""
        self.policies.seed(tx, ROUTES, _DEFAULT_ROUTES.read_text("utf-8"))

    def routes(self, connection: Connection) -> Routes:
        """The routes in force."""
        policy = self.policies.active(connection, ROUTES)
        known = self._in_force
        if known is None or known[0] != policy.version:
            # Accepted when it was written; what a message may reach is looked at when it leaves.
            known = self._in_force = (policy.version, routes.parse(policy.body, allow_private=True))
        return known[1]

    # Taking in

    def admit(self, tx: Tx, arrivals: Iterable[Arrival]) -> int:
        """Records one notification a cause and receiver, in order; what is there already stays as it is."""
        new = {arrival.id: arrival for arrival in arrivals}
        for known in _found(tx.connection, NOTIFICATIONS.c.id, new):
            del new[known.id]
        if not new:
            return 0
        keys = {id: arrival.group_key for id, arrival in new.items()}
        groups = {
            row.key: Group(row.interval, row.due_time, row.quiet_until)
            for row in _found(tx.connection, GROUPS.c.key, set(keys.values()), *GROUPS.c)
        }
        said = _said(tx.connection, [arrival for arrival in new.values() if arrival.route.timing.repeat])
        there = set(groups)
        rows = []
        for id, arrival in new.items():
            key = keys[id]
            row = _row(id, key, arrival, tx.now_us)
            groups[key], row["due_time"] = grouping.admit(
                groups.get(key), tx.now_us, arrival.route.timing, said.get(_sameness(row))
            )
            rows.append(row)
        tx.execute(insert(NOTIFICATIONS), rows)
        _save_groups(tx, {key: groups[key] for key in keys.values()}, there)
        for row in rows:
            message = notification_pb2.Notification(**_fields(row))
            tx.changes.add("notification.created", message.name, 1, message, drill=message.drill)
        return len(rows)

    # Sending

    def next_time(self, connection: Connection, besides: Collection[str] = ()) -> int | None:
        """When the next thing is to do; None when nothing waits. `besides`: messages under way."""
        waiting = select(func.min(NOTIFICATIONS.c.due_time)).where(NOTIFICATIONS.c.message == text("''"))
        messages = select(func.min(MESSAGES.c.due_time)).where(
            MESSAGES.c.state == text("1"), MESSAGES.c.id.not_in(list(besides))
        )
        times = [connection.scalar(waiting), connection.scalar(messages)]
        return min((time for time in times if time is not None), default=None)

    def form_messages(self, tx: Tx) -> int:
        """Makes one message of each group that is due. Returns how many."""
        now = tx.now_us
        alone = NOTIFICATIONS.c.message == text("''")
        of_group = (NOTIFICATIONS.c.group_key, NOTIFICATIONS.c.receiver, NOTIFICATIONS.c.drill)
        due = (
            select(*of_group)
            .where(alone, NOTIFICATIONS.c.due_time <= now)
            .group_by(*of_group)
            .order_by(func.min(NOTIFICATIONS.c.due_time), NOTIFICATIONS.c.group_key)
            .limit(_CHUNK)
        )
        groups_due = {ids.uuid7(): row for row in tx.execute(due)}
        messages = [
            {
                "id": id,
                "state": PENDING,
                "receiver": row.receiver,
                "drill": row.drill,
                "attempts": 0,
                "due_time": now,
                "create_time": now,
            }
            for id, row in groups_due.items()
        ]
        if not messages:
            return 0
        tx.execute(insert(MESSAGES), messages)
        tx.execute(
            update(NOTIFICATIONS)
            .where(NOTIFICATIONS.c.group_key == bindparam("key"), alone, NOTIFICATIONS.c.due_time <= now)
            .values(message=bindparam("id_"), due_time=now),
            [{"key": row.group_key, "id_": id} for id, row in groups_due.items()],
        )
        groups = {
            row.key: grouping.flush(Group(row.interval, row.due_time, row.quiet_until), now)
            for row in _found(tx.connection, GROUPS.c.key, {row.group_key for row in groups_due.values()}, *GROUPS.c)
        }
        _save_groups(tx, groups, set(groups))
        # What is held by repeat_interval must not break into the quiet time.
        tx.execute(
            update(NOTIFICATIONS)
            .where(NOTIFICATIONS.c.group_key == bindparam("key"), alone, NOTIFICATIONS.c.due_time < bindparam("until"))
            .values(due_time=bindparam("until")),
            [{"key": key, "until": group.quiet_until} for key, group in groups.items()],
        )
        return len(messages)

    def due_messages(
        self, connection: Connection, now: datetime, besides: Collection[str] = (), limit: int = 100
    ) -> list[Delivery]:
        """Messages to send now, the longest due first, without those under way."""
        query = (
            select(MESSAGES)
            .where(
                MESSAGES.c.state == text("1"),
                MESSAGES.c.due_time <= clock.micros(now),
                MESSAGES.c.id.not_in(list(besides)),
            )
            .order_by(MESSAGES.c.due_time, MESSAGES.c.id)
            .limit(limit)
        )
        messages = connection.execute(query).all()
        items: dict[str, list[Item]] = {message.id: [] for message in messages}
        of_messages = (
            select(NOTIFICATIONS)
            .where(NOTIFICATIONS.c.message.in_(list(items)))
            .order_by(NOTIFICATIONS.c.create_time, NOTIFICATIONS.c.id)
        )
        for row in connection.execute(of_messages):
            items[row.message].append(
                Item(
                    row.cause,
                    row.subject,
                    _name("cases", row.case),
                    _name("units", row.unit),
                    grade_pb2.Grade.Name(row.grade).removeprefix("GRADE_") if row.grade else "",
                    row.title,
                )
            )
        return [Delivery(row.id, row.receiver, row.drill, row.attempts, tuple(items[row.id])) for row in messages]

    def record(self, tx: Tx, outcome: Outcome) -> None:
        """Records an attempt, and what became of the message and of the notifications in it."""
        message = tx.execute(select(MESSAGES).filter_by(id=outcome.message, state=PENDING)).one_or_none()
        if message is None:
            return
        accepted = not outcome.problem
        attempt = {"message": message.id, "time": tx.now_us, "accepted": accepted, "problem": outcome.problem}
        tx.execute(insert(ATTEMPTS), attempt)
        state, due_time = PENDING, tx.now_us
        if accepted:
            state = SENT
        elif outcome.pause is None:
            state = FAILED
        else:
            due_time += int(outcome.pause * 1e6)
        tx.execute(
            update(MESSAGES)
            .filter_by(id=message.id)
            .values(state=state, attempts=message.attempts + 1, due_time=due_time)
        )
        carried = update(NOTIFICATIONS).where(NOTIFICATIONS.c.message == message.id)
        if state == PENDING:
            tx.execute(carried.values(due_time=due_time))
            return
        values: dict[str, object] = {"state": state, "channel": outcome.channel, "due_time": None}
        values["send_time"] = tx.now_us if accepted else None
        tx.execute(carried.values(**values, revision=NOTIFICATIONS.c.revision + 1))
        rows = select(NOTIFICATIONS).where(NOTIFICATIONS.c.message == message.id)
        for row in tx.execute(rows.order_by(NOTIFICATIONS.c.create_time, NOTIFICATIONS.c.id)):
            found = notification_of(row)
            tx.changes.add(_KINDS[state], found.name, found.revision, found, drill=found.drill)

    # Forgetting

    def forget(self, tx: Tx, before: datetime) -> int:
        """Deletes what was dealt with before that time, and groups that wait for nothing. Returns how many."""
        limit = clock.micros(before)
        done = NOTIFICATIONS.delete().where(NOTIFICATIONS.c.state != PENDING, NOTIFICATIONS.c.create_time < limit)
        count = tx.execute(done).rowcount
        carried = exists().where(NOTIFICATIONS.c.message == MESSAGES.c.id)
        tx.execute(delete(MESSAGES).where(MESSAGES.c.create_time < limit, ~carried))
        tx.execute(delete(ATTEMPTS).where(ATTEMPTS.c.time < limit, ATTEMPTS.c.message.not_in(select(MESSAGES.c.id))))
        tx.execute(delete(GROUPS).where(GROUPS.c.due_time.is_(None), GROUPS.c.quiet_until < tx.now_us))
        return count


def notification_of(row: Row[Any]) -> notification_pb2.Notification:
    """The resource that a row of the table is, without its attempts."""
    return notification_pb2.Notification(**_fields(row._mapping))


def attempts_of(connection: Connection, message: str) -> list[notification_pb2.Attempt]:
    """Every attempt to send a message, the oldest first."""
    query = select(ATTEMPTS).where(ATTEMPTS.c.message == message).order_by(ATTEMPTS.c.id)
    return [
        notification_pb2.Attempt(time=clock.micros_to_timestamp(row.time), accepted=row.accepted, problem=row.problem)
        for row in connection.execute(query)
    ]


def _validate_routes(body: str, *, allow_private: bool) -> None:
    """Raises InvalidArgument with every mistake of a routes policy."""
    try:
        routes.parse(body, allow_private=allow_private)
    except routes.PolicyError as error:
        raise InvalidArgument.of(
            FieldViolation("policy.body", f"{problem.path} {problem.sentence}", "POLICY_INVALID")
            for problem in error.problems
        ) from error


def _row(id: str, group_key: str, arrival: Arrival, now: int) -> dict[str, Any]:
    happening = arrival.happening
    return {
        "id": id,
        "state": PENDING,
        "receiver": arrival.receiver.id,
        "channel": SINK if happening.drill else arrival.receiver.channel,
        "cause": happening.kind,
        "subject": happening.name,
        "case": happening.case.removeprefix("cases/"),
        "unit": happening.unit.removeprefix("units/"),
        "grade": grade_pb2.Grade.Value(f"GRADE_{happening.grade or 'UNSPECIFIED'}"),
        "title": happening.title,
        "group_key": group_key,
        "group": arrival.route.group_of(happening),
        "message": "",
        "create_time": now,
        "due_time": None,
        "send_time": None,
        "drill": happening.drill,
        "revision": 1,
    }


def _fields(row: Any) -> dict[str, Any]:
    """The fields of a Notification from a row's columns."""
    return {
        "name": f"notifications/{row['id']}",
        "state": row["state"],
        "receiver": row["receiver"],
        "channel": row["channel"],
        "cause": row["cause"],
        "case": _name("cases", row["case"]),
        "unit": _name("units", row["unit"]),
        "grade": row["grade"],
        "title": row["title"],
        "group": row["group"],
        "drill": row["drill"],
        "revision": row["revision"],
        **{
            name: clock.micros_to_timestamp(row[name])
            for name in ("create_time", "due_time", "send_time")
            if row[name] is not None
        },
    }


def _name(collection: str, id: str) -> str:
    return f"{collection}/{id}" if id else ""


_Sameness = tuple[str, str, str, str, int]


def _sameness(row: Any) -> _Sameness:
    """Two notifications say the same when these agree: receiver, cause, resource, unit and grade."""
    return row["receiver"], row["cause"], row["subject"], row["unit"], row["grade"]


def _said(connection: Connection, arrivals: Sequence[Arrival]) -> dict[_Sameness, int]:
    """When the same was last sent, for arrivals of routes with a repeat_interval."""
    columns = [NOTIFICATIONS.c[name] for name in ("receiver", "cause", "subject", "unit", "grade", "send_time")]
    subjects = {arrival.happening.name for arrival in arrivals}
    said: dict[_Sameness, int] = {}
    for row in _found(connection, NOTIFICATIONS.c.subject, subjects, *columns):
        if row.send_time is not None:
            same = _sameness(row._mapping)
            said[same] = max(said.get(same, 0), row.send_time)
    return said


def _save_groups(tx: Tx, groups: dict[str, Group], there: Collection[str]) -> None:
    rows = {
        key: {"interval": group.interval, "due_time": group.due, "quiet_until": group.quiet_until}
        for key, group in groups.items()
    }
    new = [{"key": key, **row} for key, row in rows.items() if key not in there]
    old = [{"key_": key, **row} for key, row in rows.items() if key in there]
    if new:
        tx.execute(insert(GROUPS), new)
    if old:
        tx.execute(update(GROUPS).where(GROUPS.c.key == bindparam("key_")), old)


def _found(
    connection: Connection, column: Column[Any], values: Collection[str], *columns: Column[Any]
) -> list[Row[Any]]:
    """The rows whose column is one of the values; of them the columns asked for, or that one."""
    query = select(*(columns or (column,)))
    return [row for chunk in chunks(sorted(values)) for row in connection.execute(query.where(column.in_(chunk)))]
