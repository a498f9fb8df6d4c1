"""The five processes under supervisord, which restarts what dies."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import psutil

from huiyin_local.layout import PROCESSES, Layout, inherited, module_command
from huiyin_local.preflight import CannotStart
from huiyin_local.status import serving

_STOP_SECONDS = 15
_HEAD = """\
[supervisord]
nodaemon=true
silent=true
logfile={logs}/supervisord.log
logfile_maxbytes=5MB
logfile_backups=1
pidfile={pid_file}
"""
# startsecs: a process that ends within a second is started again after a pause that grows by a second each time.
_PROGRAM = """
[program:{name}]
command={command}
environment={environment}
autorestart=true
startsecs=1
startretries=1000
stopsignal=TERM
stopwaitsecs={stop_seconds}
redirect_stderr=true
stdout_logfile={logs}/{name}.log
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=2
"""


class Supervisor:
    """supervisord with the five as its programs. It runs in a session of its own, so that Ctrl-C reaches only us."""

    def __init__(self, layout: Layout, database_urls: Mapping[str, str]) -> None:
        self._layout = layout
        self._database_urls = database_urls
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.ready_seconds = 0.0

    def start(self) -> None:
        """Writes the configuration and starts supervisord."""
        config = self._layout.var / "supervisord.conf"
        config.touch(mode=0o600)
        config.write_text(self._config(), "utf-8")
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [str(Path(sys.executable).parent / "supervisord"), "--configuration", str(config)],
            cwd=self._layout.var,
            env=inherited(),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_until_serving(self, seconds: float = 60) -> None:
        """Waits until the gateway says that every part serves, and keeps how long that took since start()."""
        while not serving(self._layout):
            if self._process is None or self._process.poll() is not None:
                log = self._layout.logs / "supervisord.log"
                raise CannotStart(f"The supervisor ended by itself; {log} says why.")
            if time.monotonic() - self._started > seconds:
                logs = self._layout.logs
                raise CannotStart(f"Not every part serves after {seconds:.0f} s; the logs in {logs} say why.")
            time.sleep(0.05)
        self.ready_seconds = time.monotonic() - self._started

    def processes(self) -> dict[str, psutil.Process]:
        """The five as they run now, by name; one that is being restarted is missing."""
        assert self._process is not None, "start() comes first"
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.Error):
                command = child.cmdline()
                found |= {name: child for name in PROCESSES if f"huiyin_{name}" in command}
        return found

    def wait(self) -> None:
        """Waits until supervisord ends by itself."""
        assert self._process is not None, "start() comes first"
        self._process.wait()

    def stop(self) -> None:
        """Asks the five to drain and end, and waits until they have."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS + 10)
            except subprocess.TimeoutExpired:
                # It gave up: no child of its may live on.
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    child.kill()
                self._process.kill()
                self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _config(self) -> str:
        parts = [_HEAD.format(logs=_escaped(self._layout.logs), pid_file=_escaped(self._layout.pid_file))]
        for name in PROCESSES:
            environment = inherited() | self._layout.environment(name, self._database_urls[name])
            parts.append(
                _PROGRAM.format(
                    name=name,
                    command=" ".join(f'"{_escaped(word)}"' for word in module_command(name)),
                    environment=",".join(f'{key}="{_escaped(value)}"' for key, value in environment.items()),
                    logs=_escaped(self._layout.logs),
                    stop_seconds=_STOP_SECONDS,
                )
            )
        return "".join(parts)


def _escaped(value: object) -> str:
    # supervisord expands %(name)s in its configuration.
    return str(value).replace("%", "%%")
