"""Where everything stands on one machine: ports, folders, and the environment of each process."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Database = Literal["sqlite", "postgres"]

PROCESSES = ("collector", "analyzer", "casework", "notifier", "gateway")
"""The five, in the order in which they are started."""

_PORT_AFTER_GATEWAY = {"gateway": 0, "collector": 1, "analyzer": 2, "casework": 3, "notifier": 4}
_METRICS_OFFSET = 10


@dataclass(frozen=True)
class Layout:
    """One installation on one machine. `var` holds all its state; `port` is the gateway's."""

    var: Path
    port: int = 8080
    database: Database = "sqlite"

    def port_of(self, process: str) -> int:
        """The port that a process serves on: the four services follow the gateway's."""
        return self.port + _PORT_AFTER_GATEWAY[process]

    def metrics_port_of(self, process: str) -> int:
        """The port of a process's metrics, ten above its own."""
        return self.port_of(process) + _METRICS_OFFSET

    @property
    def address(self) -> str:
        """Where clients find the gateway."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def client_file(self) -> Path:
        """Where `huiyin` finds the address and the keys."""
        return self.var / "client.toml"

    @property
    def pid_file(self) -> Path:
        """The process id of the supervisor."""
        return self.var / "supervisord.pid"

    @property
    def keys(self) -> Path:
        """Key pairs of the processes: private/NAME.pem and public/NAME.pem."""
        return self.var / "keys"

    @property
    def logs(self) -> Path:
        """One log a process, one of the supervisor."""
        return self.var / "log"

    def state_of(self, process: str) -> Path:
        """The folder of what a process keeps."""
        return self.var / process

    def prepare(self) -> None:
        """Creates the folders; only their owner may read them, and pass through the outermost for what he lets in."""
        self.var.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (self.keys, self.logs, *(self.state_of(name) for name in PROCESSES)):
            folder.mkdir(mode=0o700, exist_ok=True)

    def environment(self, process: str, database_url: str) -> dict[str, str]:
        """The settings of one process. Everything that is not here keeps the default of its config.py."""
        state = self.state_of(process)
        settings = {
            "HUIYIN_HOST": "127.0.0.1",
            "HUIYIN_PORT": str(self.port_of(process)),
            "HUIYIN_METRICS_PORT": str(self.metrics_port_of(process)),
            "HUIYIN_DATABASE_URL": database_url,
            "HUIYIN_KEY_FILE": str(self.keys / "private" / f"{process}.pem"),
            "HUIYIN_PUBLIC_KEYS": str(self.keys / "public"),
        }
        settings |= {
            f"HUIYIN_{name.upper()}_ADDRESS": f"127.0.0.1:{self.port_of(name)}"
            for name in PROCESSES
            if name not in ("gateway", process)
        }
        if process == "collector":
            settings["HUIYIN_VOICE_KEYS"] = str(state / "voice-keys")
            settings["HUIYIN_SOURCE_SECRETS"] = str(state / "source-secrets")
        if process in ("collector", "casework"):
            settings["HUIYIN_SECRETS"] = str(state / "secrets")
        return settings

    def sqlite_url(self, process: str) -> str:
        """The URL of a process's SQLite file."""
        return f"sqlite:///{self.state_of(process) / f'{process}.db'}"


def inherited(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What a process inherits from the shell: the way to its interpreter and what an operator asks of all of them."""
    kept = (
        "PATH",
        "HOME",
        "LANG",
        "TZ",
        "TMPDIR",
        "HUIYIN_LOG_LEVEL",
        "HUIYIN_LOG_FORMAT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    )
    # What a process starts is another program; gRPC need not be told, and would complain of it in the log.
    fixed = {"PYTHONUNBUFFERED": "1", "GRPC_ENABLE_FORK_SUPPORT": "false"}
    return {**fixed, **{name: environ[name] for name in kept if name in environ}}


def module_command(process: str, *arguments: str) -> list[str]:
    """The command of a process, with this interpreter."""
    return [sys.executable, "-m", f"huiyin_{process}", *arguments]
