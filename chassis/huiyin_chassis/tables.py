"""The tables that the chassis keeps in the store of every service, and how a service declares them with its own.

Times are microseconds since the epoch, UTC.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.types import TypeEngine

Id: Final[TypeEngine[int]] = BigInteger().with_variant(Integer(), "sqlite")
"""Type of a numbered key: BIGINT on PostgreSQL; SQLite numbers only what is declared INTEGER PRIMARY KEY."""

_CHASSIS: Final = MetaData()

FEED: Final = Table(
    "feed",
    _CHASSIS,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    # Changes up to this sequence are not kept any more.
    Column("expired_through", BigInteger, nullable=False),
)

CHANGES: Final = Table(
    "changes",
    _CHASSIS,
    Column("sequence", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("commit_time", BigInteger, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("resource", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)

CURSORS: Final = Table(
    "cursors",
    _CHASSIS,
    Column("consumer", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
    Column("update_time", BigInteger, nullable=False),
)

PARKED_CHANGES: Final = Table(
    "parked_changes",
    _CHASSIS,
    Column("id", Id, primary_key=True),
    Column("consumer", Text, nullable=False),
    Column("resource", Text, nullable=False),
    Column("epoch", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("change", LargeBinary, nullable=False),
    # Empty for a change that only waits behind an earlier one of its resource.
    Column("error", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    UniqueConstraint("consumer", "epoch", "sequence", name="parked_changes_once"),
    Index("parked_changes_by_resource", "consumer", "resource", "sequence"),
    sqlite_autoincrement=True,
)

OUTBOX: Final = Table(
    "outbox",
    _CHASSIS,
    Column("id", Id, primary_key=True),
    Column("method", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_time", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Index("outbox_by_state", "method", "state", "id"),
    Index(
        "outbox_waiting",
        "method",
        "key",
        "next_time",
        sqlite_where=text("attempts > 0"),
        postgresql_where=text("attempts > 0"),
    ),
    sqlite_autoincrement=True,
)

REQUESTS: Final = Table(
    "requests",
    _CHASSIS,
    Column("subject", Text, primary_key=True),
    Column("method", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("response", LargeBinary, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Index("requests_by_time", "create_time"),
)

OPERATIONS: Final = Table(
    "operations",
    _CHASSIS,
    Column("name", Text, primary_key=True),
    Column("done", Boolean, nullable=False),
    # A serialized google.longrunning.Operation.
    Column("operation", LargeBinary, nullable=False),
    Column("owner", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Index("operations_by_owner", "done", "owner"),
)

POLICIES: Final = Table(
    "policies",
    _CHASSIS,
    Column("kind", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
)


def define_tables(metadata: MetaData) -> None:
    """Declares the chassis's tables in a service's metadata, so that its first migration creates them with its own."""
    for table in _CHASSIS.sorted_tables:
        table.to_metadata(metadata)
