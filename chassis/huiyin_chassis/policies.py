"""Policies: rule books that operators change, kept as versioned documents by the service that applies them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from huiyin.type.v1 import policy_pb2
from sqlalchemy import Connection, Row, bindparam, select

from huiyin_chassis.bulk import fetch
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import Aborted, NotFound
from huiyin_chassis.store import Tx
from huiyin_chassis.tables import POLICIES

SYSTEM = "system"
"""The author of what was seeded."""

_NAME = re.compile(r"policies/([a-z]+)(?:/versions/([1-9]\d{0,8}))?")


class Policies:
    """The policies of a service: a check for each kind, which raises InvalidArgument with every mistake of a body."""

    def __init__(self, checks: Mapping[str, Callable[[str], None]]) -> None:
        self._checks = dict(checks)

    def seed(self, tx: Tx, kind: str, default_body: str) -> None:
        """Writes the first version where there is none."""
        if _newest(tx.connection, kind) is None:
            self._write(tx, kind, 1, default_body, SYSTEM)

    def put(self, tx: Tx, kind: str, body: str, author: str, etag: str = "") -> policy_pb2.Policy:
        """A new version, or the one in force when its body is the same. Raises Aborted STALE_ETAG."""
        self._checks[kind](body)
        newest = _newest(tx.connection, kind)
        if newest is not None:
            if etag and etag != _policy(newest, kind).etag:
                raise Aborted("STALE_ETAG", f"policies/{kind} was changed meanwhile; read it again and repeat")
            if newest.body == body:
                return _policy(newest, kind)
        self._write(tx, kind, newest.version + 1 if newest is not None else 1, body, author)
        return self.active(tx.connection, kind)

    def active(self, connection: Connection, kind: str) -> policy_pb2.Policy:
        """The policy in force."""
        row = _newest(connection, kind)
        if row is None:
            raise NotFound(f"policies/{kind}")
        return _policy(row, kind)

    def version(self, connection: Connection, kind: str, number: int) -> policy_pb2.Policy:
        """One of its versions."""
        query = select(POLICIES).where(POLICIES.c.kind == kind, POLICIES.c.version == number)
        row = connection.execute(query).one_or_none()
        name = f"policies/{kind}/versions/{number}"
        if row is None:
            raise NotFound(name)
        return _policy(row, name.removeprefix("policies/"))

    def versions(self, connection: Connection, kind: str) -> list[policy_pb2.Policy]:
        """Every version, the newest first."""
        query = select(POLICIES).where(POLICIES.c.kind == kind).order_by(POLICIES.c.version.desc())
        return [_policy(row, f"{kind}/versions/{row.version}") for row in connection.execute(query)]

    def by_name(self, connection: Connection, name: str) -> policy_pb2.Policy:
        """policies/KIND, or policies/KIND/versions/N. Raises NotFound."""
        match = _NAME.fullmatch(name)
        if match is None or match[1] not in self._checks:
            raise NotFound(name)
        return self.version(connection, match[1], int(match[2])) if match[2] else self.active(connection, match[1])

    @staticmethod
    def _write(tx: Tx, kind: str, version: int, body: str, author: str) -> None:
        values = {"kind": kind, "version": version, "body": body, "author": author, "create_time": tx.now_us}
        tx.execute(POLICIES.insert(), values)


class _Version(NamedTuple):
    """A row of the table."""

    kind: str
    version: int
    body: str
    author: str
    create_time: int


_NEWEST = (
    select(*(POLICIES.c[name] for name in _Version._fields))
    .where(POLICIES.c.kind == bindparam("policy"))
    .order_by(POLICIES.c.version.desc())
    .limit(1)
)


def _newest(connection: Connection, kind: str) -> _Version | None:
    rows = fetch(connection, _NEWEST, policy=kind)
    return _Version(*rows[0]) if rows else None


def _policy(row: Row[Any] | _Version, path: str) -> policy_pb2.Policy:
    return policy_pb2.Policy(
        name=f"policies/{path}",
        body=row.body,
        version=row.version,
        author=row.author,
        create_time=micros_to_timestamp(row.create_time),
        etag=f"{row.version:x}",
    )
