"""Runs the services and the gateway in one process, with roles beside theirs: one may do everything, others all but one
thing.

python -m tests.conformance.serving FOLDER PORT
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any

import huiyin_gateway.__main__
from huiyin_chassis import paging
from huiyin_chassis.identity import ROLES
from huiyin_chassis.logs import configure_logging
from huiyin_chassis.store import Tx
from huiyin_gateway.store import MIGRATIONS, GatewayStore, create_account, create_key
from huiyin_local.layout import Layout

from tests.contract.walking import access, methods
from tests.databases import migrate

SERVED = ("collector", "analyzer", "casework", "notifier")
"""The services, whose methods are called over gRPC."""
EVERYTHING = frozenset(access(method).permission for _, method in methods())
"""Every permission that a method declares."""

OF_GATEWAY = sorted({access(method).permission for service, method in methods() if service == "gateway"})
"""Those of the gateway's own methods."""

ALL = "all"
"""The role that may do everything."""


def all_but(permission: str) -> str:
    """The role that may do everything but what needs this permission."""
    return f"{ALL} but {permission}"


def key_file(layout: Layout) -> Path:
    """Where the keys of the gateway's accounts stand, each account with the role that its name says."""
    return layout.var / "account-keys.json"


def _settings(layout: Layout, name: str) -> Any:
    config = importlib.import_module(f"huiyin_{name}.config")
    environment = layout.environment(name, layout.sqlite_url(name))
    return getattr(config, f"{name.capitalize()}Settings").load(environment)


async def _with_accounts(layout: Layout, database_url: str) -> None:
    """An account of the gateway for each of our roles, with a key."""

    def write(tx: Tx) -> dict[str, str]:
        keys = {}
        for number, role in enumerate((ALL, *map(all_but, OF_GATEWAY))):
            create_account(tx, f"a{number}", role, [role])
            keys[role] = create_key(tx, f"a{number}", "", 0)[1]
        keys["expired"] = create_key(tx, "a0", "", 1)[1]
        return keys

    store = GatewayStore(database_url)
    await store.open()
    key_file(layout).write_text(json.dumps(await store.write(write)), "utf-8")
    await store.close()


async def _serve(layout: Layout) -> None:
    settings = _settings(layout, "gateway")
    migrate(settings.database_url, MIGRATIONS)
    await _with_accounts(layout, settings.database_url)
    async with asyncio.TaskGroup() as group:
        group.create_task(huiyin_gateway.__main__.serve(settings))
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
