"""Bulk inserts and updates past SQLAlchemy's work for each row, which costs several times what the database needs.

Values go to the driver as they are, so columns hold what it takes itself: text, integers, booleans, bytes, None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Table


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns; nothing for an empty list."""
    if rows:
        names = tuple(rows[0])
        statement = _insert(table, names, connection.dialect.paramstyle)
        connection.exec_driver_sql(statement, _values(rows, names))


def update_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    """Sets the columns of rows found by `key`; all rows have the same columns."""
    if rows:
        names = (*(name for name in rows[0] if name != key), key)
        statement = _update(table, names, connection.dialect.paramstyle)
        connection.exec_driver_sql(statement, _values(rows, names))


def _values(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> list[tuple[Any, ...]]:
    if len(names) == 1:
        return [(row[names[0]],) for row in rows]
    pick = itemgetter(*names)
    return [pick(row) for row in rows]


@lru_cache(maxsize=256)
def _insert(table: Table, names: tuple[str, ...], paramstyle: str) -> str:
    columns = ", ".join(_quoted(table, name) for name in names)
    marks = ", ".join([_mark(paramstyle)] * len(names))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"


@lru_cache(maxsize=256)
def _update(table: Table, names: tuple[str, ...], paramstyle: str) -> str:
    mark = _mark(paramstyle)
    *columns, key = names
    values = ", ".join(f"{_quoted(table, name)} = {mark}" for name in columns)
    return f"UPDATE {table.name} SET {values} WHERE {_quoted(table, key)} = {mark}"


def _quoted(table: Table, name: str) -> str:
    return f'"{table.columns[name].name}"'


def _mark(paramstyle: str) -> str:
    return "?" if paramstyle == "qmark" else "%s"
