"""The whole system: keys, stores and accounts prepared, then the five processes under their supervisor."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from huiyin_chassis.identity import ensure_keys

from huiyin_local.layout import PROCESSES, Layout, inherited, module_command
from huiyin_local.postgres import databases
from huiyin_local.preflight import CannotStart
from huiyin_local.supervision import Supervisor


@contextmanager
def running(layout: Layout) -> Iterator[Supervisor]:
    """The system, every part serving, for as long as the context is open; then it drains and stops."""
    layout.prepare()
    ensure_keys(layout.keys, PROCESSES)
    with databases(layout) as database_urls:
        migrate(layout, database_urls)
        bootstrap(layout, database_urls)
        with Supervisor(layout, database_urls) as supervisor:
            supervisor.wait_until_serving()
            yield supervisor


def migrate(layout: Layout, database_urls: Mapping[str, str]) -> None:
    """Brings every store to the schema of this release, side by side."""
    running = {
        name: subprocess.Popen(
            module_command(name, "migrate"),
            env=inherited() | layout.environment(name, database_urls[name]),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for name in PROCESSES
    }
    for name, process in running.items():
        output, _ = process.communicate()
        if process.returncode != 0:
            log = layout.logs / f"{name}-migrate.log"
            log.write_bytes(output)
            raise CannotStart(f"The store of the {name} could not be brought up to date; {log} says why.")


def bootstrap(layout: Layout, database_urls: Mapping[str, str]) -> None:
    """Creates the demonstration accounts and writes their keys for `huiyin`; what exists stays."""
    command = module_command("gateway", "bootstrap", "--out", str(layout.client_file), "--address", layout.address)
    environment = inherited() | layout.environment("gateway", database_urls["gateway"])
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CannotStart(f"The demonstration accounts could not be made: {done.stderr.strip()[-500:]}")
