"""Runs the four services in one process, with roles beside theirs: one may do everything, others all but one thing.

python -m tests.conformance.serving FOLDER PORT
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from pathlib import Path

from huiyin_chassis import paging
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.identity import ROLES
from huiyin_chassis.logs import configure_logging
from huiyin_chassis.migrate import migrate
from huiyin_local.layout import Layout

from tests.contract.walking import access, methods

SERVED = ("collector", "analyzer", "casework", "notifier")
EVERYTHING = frozenset(access(method).permission for _, method in methods())
"""Every permission that a method declares."""

ALL = "all"
"""The role that may do everything."""


def all_but(permission: str) -> str:
    """The role that may do everything but what needs this permission."""
    return f"{ALL} but {permission}"


def _settings(layout: Layout, name: str) -> ProcessSettings:
    config = importlib.import_module(f"huiyin_{name}.config")
    environment = layout.environment(name, layout.sqlite_url(name))
    settings: ProcessSettings = getattr(config, f"{name.capitalize()}Settings").load(environment)
    return settings


async def _serve(layout: Layout) -> None:
    async with asyncio.TaskGroup() as group:
        for name in SERVED:
            settings = _settings(layout, name)
            migrate(settings.database_url, importlib.import_module(f"huiyin_{name}.store").MIGRATIONS)
            group.create_task(importlib.import_module(f"huiyin_{name}.__main__").serve(settings))


if __name__ == "__main__":
    ROLES[ALL] = EVERYTHING
    ROLES.update({all_but(permission): EVERYTHING - {permission} for permission in EVERYTHING})
    there = Layout(Path(sys.argv[1]), int(sys.argv[2]))
    configure_logging("conformance", "info", "json")
    paging.use_key(there.keys / "private" / "gateway.pem")
    asyncio.run(_serve(there))
