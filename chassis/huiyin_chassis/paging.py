"""Pages of a listing by keyset: a token says after which row to go on, and for which query it was given.

Rows that come or go between two pages shift nothing, and the hundredth page costs what the first does.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, or_

from huiyin_chassis.errors import InvalidArgument

DEFAULT_SIZE: Final = 50
MAX_SIZE: Final = 1000

Order = tuple[ColumnElement[Any], bool]
"""A column of the query that is never NULL, and whether it descends."""


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
    digest = hashlib.sha256(repr((binding, [(str(column), down) for column, down in order])).encode()).hexdigest()[:16]
    if page_token:
        query = query.where(_after(order, _parse(page_token, digest, len(order))))
    keys = [column.label(f"_key{index}") for index, (column, _) in enumerate(order)]
    query = query.add_columns(*keys).order_by(*(column.desc() if down else column.asc() for column, down in order))
    rows = connection.execute(query.limit(size + 1)).all()
    if len(rows) <= size:
        return Page(rows, "")
    rows = rows[:size]
    return Page(rows, _token(digest, list(rows[-1][-len(order) :])))


def total(connection: Connection, query: Select[Any]) -> int:
    """How many rows a query has altogether."""
    return connection.scalar(query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)) or 0


def _after(order: Sequence[Order], values: list[Any]) -> ColumnElement[bool]:
    """Rows after a position: (a > x) or (a = x and b > y) or …"""
    terms = []
    for index, (column, down) in enumerate(order):
        same = [earlier == value for (earlier, _), value in zip(order[:index], values[:index], strict=True)]
        value = values[index]
        terms.append(and_(*same, column < value if down else column > value))
    return or_(*terms)


def _token(digest: str, values: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([digest, *values]).encode()).decode().rstrip("=")


def _parse(token: str, digest: str, count: int) -> list[Any]:
    values: list[Any]
    try:
        found, *values = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError):
        found, values = "", []
    if found != digest or len(values) != count or not all(isinstance(value, str | int | float) for value in values):
        raise InvalidArgument(
            "page_token",
            "is not one of this listing; take next_page_token of a page with the same filter and order, or none",
            "PAGE_TOKEN_INVALID",
        )
    return values
