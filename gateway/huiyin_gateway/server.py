"""The HTTP server under the application: uvicorn, stopped the way every process of ours is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import structlog
import uvicorn
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.errors import Unavailable

from huiyin_gateway.app import Gateway
from huiyin_gateway.changes import Hub

log = structlog.get_logger(__name__)

_BACKLOG = 2048


class GatewayServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT; then takes no more, ends the streams, and lets calls under way finish.

    Bound when it is made: `port` is the one that it listens on. Raises Unavailable when the port is taken.
    """

    def __init__(self, app: Gateway, settings: ProcessSettings, hub: Hub) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=int(settings.drain_seconds),
            )
        )
        self._hub = hub
        self._socket = _bind(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]

    @property
    def ready(self) -> bool:
        """True while it takes requests."""
        return self.started and not self.should_exit

    def stop(self) -> None:
        """Begins to stop; told twice, it waits no longer."""
        self.force_exit = self.should_exit
        self.should_exit = True

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serves on its socket until it is told to stop."""
        await super().serve(sockets or [self._socket])
        log.info("server.stopped")

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does."""
        await super().startup(sockets)
        log.info("server.started", port=self.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, which uvicorn would wait for, then as it does."""
        self._hub.close()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[Any]:
        """Stops at a signal. uvicorn's own way raises it again at the end, which would end the process half closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = f"port {port} of {host} cannot be used ({error.strerror}); stop what uses it, or set HUIYIN_PORT"
        raise Unavailable("PORT_TAKEN", why) from error
