"""Free ports for an installation that lives as long as a test or a bench."""

from __future__ import annotations

import random
import socket
from pathlib import Path

from huiyin_local.layout import PROCESSES, Layout


def free_port() -> int:
    """A gateway port whose followers are free as well, below the range that the kernel gives out by itself."""
    for _ in range(200):
        port = random.randrange(20000, 32000)  # noqa: S311 - no secret
        layout = Layout(Path(), port)
        if all(_is_free(ask(name)) for name in PROCESSES for ask in (layout.port_of, layout.metrics_port_of)):
            return port
    raise RuntimeError("no ten free ports between 20000 and 32000")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
