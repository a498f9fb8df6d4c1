"""Connections to hosts that somebody else named: to addresses that were looked at, and to nothing else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Any, Final

import httpcore

from huiyin_chassis.addresses import is_public

LookUp = Callable[[str, int], Awaitable[list[str]]]

_TRIED: Final = 3
"""Addresses of one name that are tried."""


@cache
def default_tls() -> ssl.SSLContext:
    """What the system trusts. Read once a process, which takes a tenth of a second."""
    return ssl.create_default_context()


class AddressRefused(Exception):
    """A host that has an address which may not be called."""


class HostUnknown(Exception):
    """A host without an address."""


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """For a pool of httpcore: looks a host up, judges what was found, and connects to that, whatever the name means a
    moment later. Raises AddressRefused and HostUnknown.

    `permitted`: which addresses may be called.
    """

    def __init__(self, permitted: Callable[[str], bool] = is_public, resolve: LookUp = look_up) -> None:
        self._permitted = permitted
        self._resolve = resolve
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 — the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the first address that answers."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error
        except (OSError, UnicodeError) as error:
            raise HostUnknown from error
        # One that is not permitted among several is what an attack looks like, or a mistake; neither is called.
        if not addresses or not all(map(self._permitted, addresses)):
            raise AddressRefused
        failed: Exception = httpcore.ConnectError()
        for address in addresses[:_TRIED]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        """As httpcore waits between attempts."""
        await asyncio.sleep(seconds)
