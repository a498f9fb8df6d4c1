"""Migrated databases for tests: each is migrated by Alembic once a process, and made anew from that afterwards."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg
from huiyin_chassis import migrate as alembic
from huiyin_chassis.store import driver_url
from sqlalchemy import Engine, event

_MADE_ON_POSTGRESQL: Final[dict[Path, list[tuple[str, Any]]]] = {}
"""What migrations of a folder executed."""


def migrate(url: str, migrations: Path) -> None:
    """As huiyin_chassis.migrate.migrate does."""
    path = Path(driver_url(url).database or "")
    if url.startswith("sqlite"):
        if path.exists() and path.stat().st_size:
            alembic.migrate(url, migrations)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_sqlite_file(migrations))
    elif migrations in _MADE_ON_POSTGRESQL:
        _repeat(url, migrations)
    else:
        _MADE_ON_POSTGRESQL[migrations] = _recorded(url, migrations)


@cache
def _sqlite_file(migrations: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        alembic.migrate(f"sqlite:///{path}", migrations)
        return path.read_bytes()


def _recorded(url: str, migrations: Path) -> list[tuple[str, Any]]:
    """Migrates a database; the statements that did so."""
    made: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if not statement.lstrip().startswith(("SELECT", "select", "SHOW", "show")):
            made.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", record)
    try:
        alembic.migrate(url, migrations)
    finally:
        event.remove(Engine, "before_cursor_execute", record)
    return made


def _repeat(url: str, migrations: Path) -> None:
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('alembic_version')")
        if cursor.fetchone() == (None,):
            for statement, parameters in _MADE_ON_POSTGRESQL[migrations]:
                cursor.execute(statement.encode(), parameters or None)
