"""Pages of a listing by keyset: a token says after which row to go on, and is signed for the query it was given with.

Rows that come or go between two pages shift nothing, and the hundredth page costs what the first does.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_

from huiyin_chassis.errors import InvalidArgument

DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000

_MAC_BYTES: Final = 16
_key = secrets.token_bytes(32)

Order = tuple[ColumnElement[Any], bool]
"""A column of the query that is never NULL, and whether it descends."""


def use_key(key_file: Path) -> None:
    """Signs tokens by this process's private key, so that they outlive a restart and hold at every replica of it.

    Without one they hold as long as the process lives.
    """
    global _key
    with contextlib.suppress(OSError):  # who needs the key for more than this says that it is missing
        _key = hmac.digest(key_file.read_bytes(), b"huiyin page tokens", "sha256")


@dataclass(frozen=True)
class Page:
    """The rows of a page, and the token of the next one, empty on the last."""

    rows: Sequence[Row[Any]]
    next_page_token: str


def page(
    connection: Connection,
    query: Select[Any],
    order: Sequence[Order],
    *,
    page_size: int,
    page_token: str,
    binding: object = "",
) -> Page:
    """A page of `query`, ordered by columns of which the last is unique.

    `page_size` 0 means DEFAULT_SIZE, more than MAX_SIZE means MAX_SIZE. `binding`: what the token is bound to, such as
    filter and order, so that it is refused (InvalidArgument on page_token) with another query.
    """
    size = min(page_size or DEFAULT_SIZE, MAX_SIZE)
    bound = repr((binding, [(str(column), down) for column, down in order])).encode()
    if page_token:
        query = query.where(_after(order, _parse(page_token, bound)))
    keys = [column.label(f"_key{index}") for index, (column, _) in enumerate(order)]
    query = query.add_columns(*keys).order_by(*(column.desc() if down else column.asc() for column, down in order))
    rows = connection.execute(query.limit(size + 1)).all()
    if len(rows) <= size:
        return Page(rows, "")
    rows = rows[:size]
    return Page(rows, _token(list(rows[-1][-len(order) :]), bound))


def total(connection: Connection, query: Select[Any]) -> int:
    """How many rows a query has altogether."""
    return connection.scalar(query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)) or 0


def _after(order: Sequence[Order], values: list[Any]) -> ColumnElement[bool]:
    """Rows after a position: a >= x and ((a > x) or (a = x and b > y) or …); the first lets PostgreSQL use an index."""
    terms = []
    for index, (column, down) in enumerate(order):
        same = [earlier == value for (earlier, _), value in zip(order[:index], values[:index], strict=True)]
        value = values[index]
        terms.append(and_(*same, column < value if down else column > value))
    first, down = order[0]
    return and_(first <= values[0] if down else first >= values[0], or_(*terms))


def _token(values: list[Any], bound: bytes) -> str:
    body = json.dumps(values, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_mac(body, bound) + body).decode().rstrip("=")


def _parse(token: str, bound: bytes) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raw = b""
    mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(body, bound)):
        raise InvalidArgument(
            "page_token",
            "is not one of this listing; take next_page_token of a page with the same filter and order, or none",
            "PAGE_TOKEN_INVALID",
        )
    values: list[Any] = json.loads(body)
    return values


def _mac(body: bytes, bound: bytes) -> bytes:
    return hmac.digest(_key, hmac.digest(_key, bound, "sha256") + body, "sha256")[:_MAC_BYTES]
