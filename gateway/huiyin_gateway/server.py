"""The HTTP server: a socket, its connections, and the end of all of them within the drain time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from email.utils import formatdate

import structlog
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.errors import Unavailable

from huiyin_gateway.app import Gateway
from huiyin_gateway.changes import Hub
from huiyin_gateway.connection import Connection, Limits, Listening

log = structlog.get_logger(__name__)

_BACKLOG = 2048
_LOOK_SECONDS = 1.0


class GatewayServer:
    """Serves until SIGTERM or SIGINT; then takes no more, ends the streams, and lets calls under way finish.

    Bound when it is made: `port` is the one that it listens on. Raises Unavailable when the port is taken.
    """

    def __init__(self, app: Gateway, settings: ProcessSettings, hub: Hub, limits: Limits) -> None:
        self._listening = Listening(app.serve, limits)
        self._drain_seconds = settings.drain_seconds
        self._hub = hub
        self._socket = _bind(settings.host, settings.port)
        self._stopping = asyncio.Event()
        self._impatient = asyncio.Event()
        self.port: int = self._socket.getsockname()[1]
        self.ready = False
        """True while it takes requests."""

    @property
    def connections(self) -> set[Connection]:
        """Those that are open."""
        return self._listening.connections

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """The requests that are being served."""
        return self._listening.tasks

    def stop(self) -> None:
        """Begins to stop; told twice, it waits no longer."""
        if self._stopping.is_set():
            self._impatient.set()
        self._stopping.set()

    async def serve(self) -> None:
        """Serves on its socket until it is told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._look()
        server = await loop.create_server(
            lambda: Connection(self._listening, loop), sock=self._socket, backlog=_BACKLOG
        )
        looking = asyncio.create_task(self._keep_looking(), name="connections")
        self.ready = True
        log.info("server.started", port=self.port)
        try:
            await self._stopping.wait()
        finally:
            self.ready = False
            server.close()
            await self._drain()
            looking.cancel()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)
        log.info("server.stopped")

    async def _drain(self) -> None:
        shared = self._listening
        shared.stopping = True
        self._hub.close()
        for connection in list(shared.connections):
            connection.shut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds):
                while (shared.tasks or shared.connections) and not self._impatient.is_set():  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        for connection in list(shared.connections):
            connection.transport.abort()
        left = list(shared.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._look()
            for connection in list(self._listening.connections):
                connection.look()

    def _look(self) -> None:
        self._listening.now = asyncio.get_running_loop().time()
        self._listening.date = f"date: {formatdate(usegmt=True)}\r\n".encode()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = f"port {port} of {host} cannot be used ({error.strerror}); stop what uses it, or set HUIYIN_PORT"
        raise Unavailable("PORT_TAKEN", why) from error
