"""A connection goes to an address that was looked at, or nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpcore
import pytest
from huiyin_chassis.addresses import is_public
from huiyin_chassis.connecting import AddressRefused, GuardedNetwork, HostUnknown, LookUp, look_up


def named(*addresses: str) -> LookUp:
    """Every name has these addresses."""

    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolve


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


def get(resolve: LookUp, permitted: Callable[[str], bool] = is_public, host: str = "partner.example") -> int:
    """The status of a request to a server on this machine."""

    async def main() -> int:
        server = await asyncio.start_server(_serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, httpcore.AsyncConnectionPool(network_backend=GuardedNetwork(permitted, resolve)) as pool:
            return int((await pool.request("GET", f"http://{host}:{port}/")).status)

    return asyncio.run(main())


def test_a_host_of_this_machine_is_refused_however_it_is_written() -> None:
    for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0x7f.1"):
        with pytest.raises((AddressRefused, HostUnknown)):
            get(look_up, host=host)
    with pytest.raises(AddressRefused):
        get(named("127.0.0.1"))


def test_one_address_that_is_not_permitted_is_enough_to_call_none() -> None:
    with pytest.raises(AddressRefused):
        get(named("8.8.8.8", "127.0.0.1"))


def test_a_name_without_an_address_is_told_as_such() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(HostUnknown):
        get(resolve)
    with pytest.raises(AddressRefused):
        get(named())


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    assert get(named("127.0.0.2", "127.0.0.1"), lambda address: True) == 204


def test_what_was_judged_is_what_is_called() -> None:
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    assert get(resolve, lambda address: address == "127.0.0.1") == 204
    assert asked == ["partner.example"]
