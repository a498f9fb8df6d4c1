"""Schema migrations: Alembic without ini file and env.py; a service keeps only numbered revisions in a flat folder.

`python -m huiyin_chassis.migrate revision huiyin_x.store "what changes"` writes the next revision from the metadata.
Alembic is imported here alone, and only when one of these functions runs.
"""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, MetaData, create_engine, event, func, select
from sqlalchemy.exc import DBAPIError

from huiyin_chassis.errors import FailedPrecondition
from huiyin_chassis.store import driver_url, unavailable

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

_ADVISORY_LOCK: Final = int.from_bytes(b"huiyin\x00\x02", "big", signed=True)

_TEMPLATE: Final = '''"""{title}."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down_revision}
branch_labels = None
depends_on = None


def upgrade() -> None:
    {upgrade}
'''


def migrate(url: str, migrations: Path) -> None:
    """Brings a store to the newest revision, creating an SQLite file and its folder. Does nothing when it is there.

    Safe when several processes do it at once. Raises FailedPrecondition when the folder cannot be written.
    """
    with _connect(url) as connection:
        _upgrade(connection, migrations)


def differences(url: str, migrations: Path, metadata: MetaData) -> list[Any]:
    """What a migrated store and the metadata disagree on, as Alembic operations; empty is right. For tests."""
    from alembic.autogenerate import compare_metadata

    with _connect(url) as connection:
        _upgrade(connection, migrations)
        return list(compare_metadata(_context(connection, metadata), metadata))


def write_revision(migrations: Path, metadata: MetaData, title: str) -> Path | None:
    """Writes the revision that leads from the newest one to the metadata; None when nothing differs."""
    from alembic.autogenerate import produce_migrations, render_python_code

    migrations.mkdir(exist_ok=True)
    names = sorted(path.name for path in migrations.glob("[0-9]*_*.py"))
    head = names[-1].partition("_")[0] if names else None
    with tempfile.TemporaryDirectory() as folder, _connect(f"sqlite:///{folder}/revision.db") as connection:
        if head:
            _upgrade(connection, migrations)
        script = produce_migrations(_context(connection, metadata), metadata)
        if script.upgrade_ops is None or script.upgrade_ops.is_empty():
            return None
        code = render_python_code(script.upgrade_ops)
    revision = f"{int(head or 0) + 1:04d}"
    path = migrations / f"{revision}_{re.sub(r'[^a-z0-9]+', '_', title.lower()).strip('_')}.py"
    text = _TEMPLATE.format(
        title=title[:1].upper() + title[1:].rstrip("."),
        revision=revision,
        down_revision=f'"{head}"' if head else "None",
        upgrade=re.sub(r"\s*# ### .* ###\n?", "\n", code).strip(),
    )
    path.write_text(text, "utf-8")
    return path


def _upgrade(connection: Connection, migrations: Path) -> None:
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    if not migrations.is_dir():
        raise FileNotFoundError(f"{migrations} is not a folder of migrations; is the package installed whole?")
    scripts = ScriptDirectory(str(migrations), version_locations=[str(migrations)])
    context = _context(connection, fn=lambda current, _: scripts._upgrade_revs("head", current))
    with Operations.context(context):
        context.run_migrations()


def _context(connection: Connection, metadata: MetaData | None = None, **options: Any) -> MigrationContext:
    from alembic.runtime.migration import MigrationContext

    def ours(name: str | None, kind: str, _parents: object) -> bool:
        # Tables that a migration made by hand, such as those of FTS5, are not in the metadata and are left alone.
        return kind != "table" or metadata is None or name in metadata.tables

    return MigrationContext.configure(connection, opts={"include_name": ours, "target_metadata": metadata, **options})


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    """One transaction, alone: migrations of SQLite and PostgreSQL alike are done whole or not at all."""
    parsed = driver_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(parsed.database or "")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        except OSError as error:
            raise FailedPrecondition(
                "STORE_UNWRITABLE", f"{path} cannot be written ({error.strerror}); give another folder or its rights"
            ) from error
    engine = create_engine(parsed)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "connect")
        def plain(connection: Any, _record: object) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA busy_timeout=10000")

        @event.listens_for(engine, "begin")
        def alone(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            yield connection
    except DBAPIError as error:
        raise unavailable(error) or error from error
    finally:
        engine.dispose()


def main(arguments: list[str] | None = None) -> int:
    """The command for developers that writes the next revision of a service."""
    parser = argparse.ArgumentParser(prog="python -m huiyin_chassis.migrate")
    command = parser.add_subparsers(required=True).add_parser("revision", help="write the next revision of a service")
    command.add_argument("module", help="the module that holds METADATA and MIGRATIONS, such as huiyin_collector.store")
    command.add_argument("title", help="what changes, in a few words")
    given = parser.parse_args(arguments)
    module = importlib.import_module(given.module)
    path = write_revision(module.MIGRATIONS, module.METADATA, given.title)
    if path is None:
        sys.stdout.write("nothing differs\n")
        return 0
    subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", str(path)], check=False)  # noqa: S603
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
