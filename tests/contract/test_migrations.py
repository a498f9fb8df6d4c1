"""What the migrations build is what store.py declares, on both databases."""

from __future__ import annotations

import importlib

import pytest
from huiyin_chassis.migrate import differences, migrate
from huiyin_local.layout import PROCESSES


@pytest.mark.parametrize("process", PROCESSES)
def test_migrations_build_what_the_store_declares(process: str, database_url: str) -> None:
    store = importlib.import_module(f"huiyin_{process}.store")
    migrate(database_url, store.MIGRATIONS)
    migrate(database_url, store.MIGRATIONS)  # again changes nothing
    assert not differences(database_url, store.MIGRATIONS, store.METADATA)
