"""Pacing: a few visits of a host at a time, and a pause between two requests to it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from huiyin_collector.fetching import Fetcher
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import host_of

PATIENCE: Final = 5.0
"""Seconds that a visit waits for its host before its first request; beyond, it is put back."""
_LONGEST_DELAY: Final = 600.0
_HOSTS_REMEMBERED: Final = 20_000


@dataclass(frozen=True, slots=True)
class Pace:
    """Visits at a time, altogether and of one host, and seconds between two requests to one host."""

    at_once: int
    host_at_once: int
    host_pause: float


@dataclass(slots=True)
class Host:
    """When a host may be asked next, by the clock of the loop, and how many visits of it are under way."""

    free_at: float = 0.0
    pause: float = 0.0
    under_way: int = 0


class Hosts:
    """The hosts that this process visits."""

    def __init__(self, fetcher: Fetcher, pace: Pace) -> None:
        self._fetcher = fetcher
        self._pace = pace
        self._hosts: OrderedDict[str, Host] = OrderedDict()

    def reserve(self, url: str) -> tuple[Host | None, float]:
        """The host of an address with a place in its row, and the seconds until it is our turn; None where it is full.

        Whoever gets a host whose turn comes within PATIENCE gives it back by `under_way`.
        """
        host = self._of(url)
        now = asyncio.get_running_loop().time()
        if host.under_way >= self._pace.host_at_once:
            return None, max(host.free_at - now, min(host.pause, 1.0), 0.05)
        wait = max(host.free_at - now, 0.0)
        if wait <= PATIENCE:
            host.free_at = max(host.free_at, now) + host.pause
            host.under_way += 1
        return host, wait

    async def learn(self, url: str) -> float:
        """Takes over the delay that the robots.txt of a host asks for; the seconds between two requests to it.

        Raises Fault when its robots.txt is not known.
        """
        robots = await self._fetcher.robots(url)
        host = self._of(url)
        pause = max(self._pace.host_pause, min(robots.crawl_delay, _LONGEST_DELAY))
        host.free_at += max(pause - host.pause, 0.0) if host.free_at else 0.0
        host.pause = pause
        return pause

    async def turn(self, url: str, until: float) -> bool:
        """Waits for a turn at a host; False when it comes after `until`, by the clock of the loop."""
        host = self._of(url)
        now = asyncio.get_running_loop().time()
        at = max(host.free_at, now)
        if at > until:
            return False
        host.free_at = at + host.pause
        await asyncio.sleep(at - now)
        return True

    def _of(self, url: str) -> Host:
        name = host_of(url)
        host = self._hosts.setdefault(name, Host(pause=self._pace.host_pause))
        self._hosts.move_to_end(name)
        if len(self._hosts) > _HOSTS_REMEMBERED:
            self._hosts.popitem(last=False)
        return host


class VisitTurns:
    """The turns of a visit, whose first one its reservation was; it ends after so many seconds."""

    def __init__(self, hosts: Hosts, url: str, seconds: float) -> None:
        self._hosts = hosts
        self._reserved = host_of(url)
        self._until = asyncio.get_running_loop().time() + seconds

    async def take(self, url: str) -> bool:
        """Waits for a turn at the host of an address; False when it does not come within the visit."""
        host = host_of(url)
        if host == self._reserved:
            self._reserved = ""
            return True
        try:
            await self._hosts.learn(url)
        except Fault:
            return True  # the request ends in the same fault, told with its address
        return await self._hosts.turn(url, self._until)
