"""What must hold before anything starts; what does not is said in one sentence that tells what to do."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

from huiyin_local.layout import PROCESSES, Database, Layout


class CannotStart(Exception):
    """Why nothing was started, as one sentence with the remedy."""


def read_layout(environ: Mapping[str, str]) -> Layout:
    """The layout that PORT, DATABASE and VAR ask for."""
    text = environ.get("PORT") or "8080"
    highest = 65535 - 14
    if not text.isdecimal() or not 1024 <= int(text) <= highest:
        raise CannotStart(f"PORT={text} cannot be used; give a number from 1024 to {highest}, e.g. make run PORT=9080.")
    kind = environ.get("DATABASE") or "sqlite"
    databases: dict[str, Database] = {"sqlite": "sqlite", "postgres": "postgres"}
    if kind not in databases:
        raise CannotStart(f"DATABASE={kind} is not known; use DATABASE=sqlite (the default) or DATABASE=postgres.")
    return Layout(Path(environ.get("VAR") or "var").resolve(), int(text), databases[kind])


def check(layout: Layout) -> None:
    """Everything, in the order in which a person would want to hear of it."""
    check_not_running(layout.pid_file)
    check_folder(layout)
    check_database_kind(layout)
    check_ports(layout)


def check_folder(layout: Layout) -> None:
    """The state folder can be made and written."""
    try:
        layout.prepare()
        probe = layout.var / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"The folder {layout.var} cannot be written ({error.strerror}); "
            "make it writable for this user, or name another one: make run VAR=/path/to/folder."
        ) from error


def check_not_running(pid_file: Path) -> None:
    """No other supervisor works on this folder."""
    try:
        pid = int(pid_file.read_text("ascii"))
        os.kill(pid, 0)
        command = Path(f"/proc/{pid}/cmdline")
        if command.exists() and b"supervisord" not in command.read_bytes():
            return
    except (OSError, ValueError):
        return
    raise CannotStart(f"Huiyin is running already on this folder; stop it first: kill {pid}")


def check_database_kind(layout: Layout) -> None:
    """The folder was not begun with the other database, whose state would seem lost."""
    mark = layout.var / "database"
    if mark.exists() and (begun := mark.read_text("utf-8").strip()) != layout.database:
        raise CannotStart(
            f"The folder {layout.var} was begun with DATABASE={begun}; "
            f"go on with that, or name another folder: make run DATABASE={layout.database} VAR=var-{layout.database}."
        )
    mark.write_text(layout.database, "utf-8")


def check_ports(layout: Layout) -> None:
    """Every port that will be served is free."""
    for process in PROCESSES:
        for port in (layout.port_of(process), layout.metrics_port_of(process)):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise CannotStart(
                        f"Port {port}, which the {process} needs, is in use; stop what uses it, "
                        f"or choose other ports: make run PORT={9080 if layout.port != 9080 else 10080} "
                        "(the four ports after it, and those ten above, are used too)."
                    ) from error
