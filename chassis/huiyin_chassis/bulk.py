"""Rows by their keys, bulk inserts and updates, past SQLAlchemy's work for each, which costs several times what the
database needs.

Values go to the driver as they are, so columns hold what it takes itself: text, integers, booleans, bytes, None.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, TypeVar, cast

from sqlalchemy import Boolean, Column, Connection, Dialect, Select, Table

T = TypeVar("T", bound=Hashable)

_IN: Final = 500
"""Values in one IN list."""


def chunks(values: Iterable[T]) -> Iterator[list[T]]:
    """Values without repetition, in lists short enough for one IN."""
    unique = list(dict.fromkeys(values))
    for start in range(0, len(unique), _IN):
        yield unique[start : start + _IN]


def fetch(connection: Connection, query: Select[Any], **values: object) -> list[tuple[Any, ...]]:
    """The rows of a query that is written once, at the top of a module, with the values of its `bindparam`s.

    SQLite gives booleans as 0 and 1.
    """
    statement, constants, order = _compiled(query, connection.dialect)
    parameters = constants | values
    return _fetch(connection, statement, tuple(map(parameters.__getitem__, order)) if order is not None else parameters)


def select_locked(connection: Connection, column: Column[Any], values: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a column's table in which it is one of the values, by the names of all their columns.

    On PostgreSQL they stay locked until the transaction ends.
    """
    table = column.table
    # As many marks as the next power of two: few statements, each prepared once.
    padded = [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]
    postgresql = connection.dialect.name == "postgresql"
    statement = _select(table, column.name, len(padded), connection.dialect.paramstyle, postgresql)
    names, flags = _names(table)
    rows = [dict(zip(names, row, strict=True)) for row in _fetch(connection, statement, tuple(padded))]
    if not postgresql:
        for row in rows:
            for name in flags:
                row[name] = bool(row[name])
    return rows


def insert_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Inserts rows that all have the same columns; nothing for an empty list."""
    if rows:
        names = tuple(rows[0])
        statement = _insert(table, names, connection.dialect.paramstyle)
        run(connection, statement, _values(rows, names))


def update_many(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: str = "id") -> None:
    """Sets the columns of rows found by `key`; all rows have the same columns."""
    if rows:
        names = (*(name for name in rows[0] if name != key), key)
        statement = _update(table, names, connection.dialect.paramstyle)
        run(connection, statement, _values(rows, names))


def delete_many(connection: Connection, column: Column[Any], values: Sequence[object]) -> None:
    """Deletes the rows of a column's table in which it is one of the values."""
    if values:
        statement = _delete(column.table, column.name, connection.dialect.paramstyle)
        run(connection, statement, (values[0],) if len(values) == 1 else [(value,) for value in values])


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Lets PostgreSQL have the writes of the block without waiting for each; their errors come at its end.

    Nothing is read inside.
    """
    if connection.dialect.name == "postgresql":
        driver: Any = connection.connection.driver_connection
        with driver.pipeline():
            yield
    else:
        yield


def run(connection: Connection, statement: str, parameters: Any = ()) -> None:
    """Runs a statement that gives no rows; a list of parameters makes it bulk. Errors are the driver's own."""
    cursor = _cursor(connection)
    if isinstance(parameters, list):
        cursor.executemany(statement, parameters)
    else:
        cursor.execute(statement, parameters)


def _fetch(
    connection: Connection, statement: str, parameters: Sequence[Any] | Mapping[str, Any]
) -> list[tuple[Any, ...]]:
    """Rows as the driver gives them: to describe each result costs SQLAlchemy five times what the query does."""
    cursor = _cursor(connection)
    cursor.execute(statement, parameters)
    return cast("list[tuple[Any, ...]]", cursor.fetchall())


def _cursor(connection: Connection) -> Any:
    """One for all statements of a connection, as long as it lives."""
    kept = connection.info
    cursor = kept.get(__name__)
    if cursor is None:
        cursor = kept[__name__] = connection.connection.cursor()
    return cursor


@lru_cache(maxsize=256)
def _compiled(query: Select[Any], dialect: Dialect) -> tuple[str, dict[str, Any], Sequence[str] | None]:
    """A query in SQL, the values that it always has, and the order of all where the driver wants them by place."""
    compiled = query.compile(dialect=dialect)
    return str(compiled), dict(compiled.params), compiled.positiontup


def _values(rows: Sequence[Mapping[str, Any]], names: tuple[str, ...]) -> Any:
    """A list of tuples; of one row the tuple alone, which drivers run with less ado."""
    if len(rows) == 1:
        return tuple(rows[0][name] for name in names)
    if len(names) == 1:
        return [(row[names[0]],) for row in rows]
    pick = itemgetter(*names)
    return [pick(row) for row in rows]


@lru_cache(maxsize=256)
def _select(table: Table, column: str, count: int, paramstyle: str, locked: bool) -> str:
    columns = ", ".join(_quoted(table, name) for name in table.columns.keys())  # noqa: SIM118
    marks = ", ".join([_mark(paramstyle)] * count)
    lock = " FOR UPDATE" if locked else ""
    return f"SELECT {columns} FROM {table.name} WHERE {_quoted(table, column)} IN ({marks}){lock}"


@lru_cache(maxsize=256)
def _names(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of a table, and those that SQLite keeps as numbers although they are booleans."""
    return tuple(table.columns.keys()), tuple(
        name for name, column in table.columns.items() if isinstance(column.type, Boolean)
    )


@lru_cache(maxsize=256)
def _insert(table: Table, names: tuple[str, ...], paramstyle: str) -> str:
    columns = ", ".join(_quoted(table, name) for name in names)
    marks = ", ".join([_mark(paramstyle)] * len(names))
    return f"INSERT INTO {table.name} ({columns}) VALUES ({marks})"


@lru_cache(maxsize=256)
def _delete(table: Table, column: str, paramstyle: str) -> str:
    return f"DELETE FROM {table.name} WHERE {_quoted(table, column)} = {_mark(paramstyle)}"


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
