"""The gateway's tables: accounts and their API keys. Of a key only its SHA-256 is kept."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huiyin.gateway.v1 import account_pb2
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.ids import uuid7
from huiyin_chassis.store import Store, Tx
from huiyin_chassis.tables import define_tables
from sqlalchemy import BigInteger, Column, Connection, Index, LargeBinary, MetaData, Row, Table, Text, insert, select

MIGRATIONS = Path(__file__).parent / "migrations"

METADATA = MetaData()
define_tables(METADATA)

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    # JSON list of the roles that it has whatever unit it works in.
    Column("roles", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("create_time", BigInteger, nullable=False),
    # 0: never.
    Column("expire_time", BigInteger, nullable=False),
    Index("api_keys_by_account", "account_id"),
)


class GatewayStore(Store):
    """The gateway's store."""

    def __init__(self, url: str) -> None:
        super().__init__(url, feed="gateway", migrations=MIGRATIONS, durability="FULL")


def hash_of(secret: str) -> bytes:
    """What is kept of a secret. It is random and long, so that a plain hash cannot be searched."""
    return hashlib.sha256(secret.encode()).digest()


def account_of_key(connection: Connection, secret: str, now: int) -> Row[Any] | None:
    """The account that a secret signs in, unless the key has expired."""
    query = (
        select(ACCOUNTS)
        .join(API_KEYS, API_KEYS.c.account_id == ACCOUNTS.c.id)
        .where(API_KEYS.c.secret_hash == hash_of(secret))
        .where((API_KEYS.c.expire_time == 0) | (API_KEYS.c.expire_time > now))
    )
    return connection.execute(query).one_or_none()


def create_account(tx: Tx, account_id: str, display_name: str, roles: Sequence[str]) -> None:
    """A new account."""
    values = {"id": account_id, "display_name": display_name, "roles": json.dumps(list(roles))}
    tx.execute(insert(ACCOUNTS), {**values, "create_time": tx.now_us})


def create_key(tx: Tx, account_id: str, display_name: str, expire_time: int) -> tuple[str, str]:
    """A new key; its id and its secret, which is not kept."""
    key_id, secret = uuid7(), f"hy_{secrets.token_urlsafe(30)}"
    values = {"id": key_id, "account_id": account_id, "display_name": display_name, "expire_time": expire_time}
    tx.execute(insert(API_KEYS), {**values, "secret_hash": hash_of(secret), "create_time": tx.now_us})
    return key_id, secret


def account(row: Row[Any]) -> account_pb2.Account:
    """An account from its row."""
    return account_pb2.Account(
        name=f"accounts/{row.id}",
        display_name=row.display_name,
        roles=json.loads(row.roles),
        create_time=micros_to_timestamp(row.create_time),
    )


def api_key(row: Row[Any]) -> account_pb2.ApiKey:
    """A key from its row, without its secret."""
    return account_pb2.ApiKey(
        name=f"accounts/{row.account_id}/apiKeys/{row.id}",
        display_name=row.display_name,
        create_time=micros_to_timestamp(row.create_time),
        expire_time=micros_to_timestamp(row.expire_time) if row.expire_time else None,
    )
