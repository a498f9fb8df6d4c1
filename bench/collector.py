"""Feeds visited end to end, beside a bare loop that fetches the same ones and parses them, and keeps nothing.

A server of its own process has FEEDS=2000 feeds of 20 items. First visits: ours end with posts, changes and validators
committed; the bare loop is httpx and feedparser. Second visits, all unchanged: ours find out from the store what is
due and write that nothing changed; the bare loop sends the same conditions. Both take turns by slices of the feeds, as
many at a time, so that what else the machine does strikes both.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import feedparser
import httpx
import uvloop
from huiyin.collector.v1 import source_pb2
from huiyin_chassis.logs import configure_logging
from huiyin_chassis.migrate import migrate
from huiyin_chassis.store import Tx
from huiyin_collector.fetching import Agent, Fetcher, Limits
from huiyin_collector.intake import Intake
from huiyin_collector.looking import Looker
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.model.schedule import Bounds
from huiyin_collector.pacing import Hosts, Pace
from huiyin_collector.store import MIGRATIONS, CollectorStore
from huiyin_collector.store.tables import POSTS, VISITS
from huiyin_collector.voices import VoiceKeys
from huiyin_collector.worker.visiting import Visitor
from huiyin_local.ports import free_port
from sqlalchemy import func, select, update

_FEEDS: Final = int(os.environ.get("FEEDS") or 2000)
_ITEMS: Final = 20
_SLICES: Final = 8
_AT_ONCE: Final = 32


def main() -> None:
    """Prints one JSON line last."""
    if sys.argv[1:]:
        asyncio.run(_serve(int(sys.argv[1])))
        return
    configure_logging("json", "error")
    with tempfile.TemporaryDirectory(prefix="huiyin-bench-") as folder:
        port = free_port()
        server = subprocess.Popen([sys.executable, "-m", "bench.collector", str(port)])
        try:
            print(json.dumps(uvloop.run(_measure(f"http://127.0.0.1:{port}", Path(folder)))))
        finally:
            server.terminate()
            server.wait()


async def _measure(address: str, folder: Path) -> dict[str, float]:
    url = f"sqlite:///{folder / 'collector.db'}"
    migrate(url, MIGRATIONS)
    store = CollectorStore(url)
    await store.open()
    fetcher = Fetcher(Agent("Huiyin", "Huiyin/bench"), Limits(), permitted=lambda _: True, connections=2 * _AT_ONCE)
    looker = Looker(fetcher, Intake(VoiceKeys(folder / "keys")), store, Secrets(folder / "secrets"))
    # The host of all feeds is one; what spares a host is not what is measured.
    pace = Pace(_AT_ONCE, _AT_ONCE, 0.0)
    visitor = Visitor(store, fetcher, looker, Hosts(fetcher, pace), Bounds(300, 86_400), pace, 60)
    worker = asyncio.create_task(visitor.run())
    async with httpx.AsyncClient() as bare:
        await _until_served(bare, address)
        slices = [range(start, _FEEDS, _SLICES) for start in range(_SLICES)]
        seconds = dict.fromkeys(("ours", "bare", "ours_again", "bare_again"), 0.0)
        for some in slices:
            seconds["bare"] += await _timed(_bare_visits(bare, address, some, conditional=False))
            seconds["ours"] += await _timed(_first_visits(store, visitor, address, some))
        for some in slices:
            seconds["bare_again"] += await _timed(_bare_visits(bare, address, some, conditional=True))
            seconds["ours_again"] += await _timed(_second_visits(store, visitor, some))
    posts = await store.read(lambda connection: connection.scalar(select(func.count()).select_from(POSTS)))
    assert posts == _FEEDS * _ITEMS, f"{posts} posts of {_FEEDS * _ITEMS} items"
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    await store.close()
    return {
        "feeds": _FEEDS,
        "items_per_s": round(_FEEDS * _ITEMS / seconds["ours"]),
        "bare_items_per_s": round(_FEEDS * _ITEMS / seconds["bare"]),
        "ratio": round(seconds["bare"] / seconds["ours"], 2),
        "unchanged_feeds_per_s": round(_FEEDS / seconds["ours_again"]),
        "bare_unchanged_feeds_per_s": round(_FEEDS / seconds["bare_again"]),
        "conditional_ratio": round(seconds["bare_again"] / seconds["ours_again"], 2),
    }


async def _timed(work: Coroutine[Any, Any, None]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _bare_visits(client: httpx.AsyncClient, address: str, feeds: Sequence[int], *, conditional: bool) -> None:
    waiting = iter(feeds)

    async def some() -> None:
        for number in waiting:
            headers = {"If-None-Match": f'"{number}"'} if conditional else {}
            answer = await client.get(f"{address}/{number}", headers=headers)
            if conditional:
                assert answer.status_code == 304
            else:
                assert len(feedparser.parse(answer.content).entries) == _ITEMS

    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


async def _first_visits(store: CollectorStore, visitor: Visitor, address: str, feeds: Sequence[int]) -> None:
    def add(tx: Tx) -> None:
        for number in feeds:
            source = source_pb2.Source(kind=source_pb2.Source.KIND_FEED, uri=f"{address}/{number}")
            store.create_source(tx, f"s-{number}", source)

    await store.write(add)
    await _all_visited(store, visitor, feeds, 0)


async def _second_visits(store: CollectorStore, visitor: Visitor, feeds: Sequence[int]) -> None:
    def due(tx: Tx) -> int:
        of = VISITS.c.source.in_([f"s-{number}" for number in feeds])
        tx.execute(update(VISITS).where(of).values(next_time=tx.now_us))
        return tx.now_us

    await _all_visited(store, visitor, feeds, await store.write(due))


async def _all_visited(store: CollectorStore, visitor: Visitor, feeds: Sequence[int], since_us: int) -> None:
    names = [f"s-{number}" for number in feeds]
    query = select(func.count()).where(
        VISITS.c.source.in_(names), VISITS.c.last_success_time > since_us, VISITS.c.error_streak == 0
    )
    visitor.wake()
    while (await store.read(lambda connection: connection.scalar(query)) or 0) < len(names):
        await asyncio.sleep(0.02)


# The site


def _feed(number: int) -> bytes:
    items = "".join(
        f"<item><title>第{number}期第{item}条：自来水检修通知</title><link>https://town.example/{number}/{item}?utm_source=rss</link>"
        f"<guid isPermaLink='false'>{number}-{item}</guid><pubDate>Thu, 26 Nov 2026 08:{item:02}:00 +0800</pubDate>"
        "<description><![CDATA[<p>因管道检修，今天上午九时至下午三时停水，请居民提前储水。</p><p>恢复供水后请先放水片刻。</p>]]>"
        "</description></item>"
        for item in range(_ITEMS)
    )
    channel = f"<channel><title>镇讯</title>{items}</channel>"
    return f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0">{channel}</rss>'.encode()


class _Site(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            name = head.split(b" ", 2)[1].lstrip(b"/").decode()
            if not name.isdecimal():
                self._transport.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            elif b"if-none-match" in head.lower():
                self._transport.write(b"HTTP/1.1 304 Not Modified\r\n\r\n")
            else:
                body = _feed(int(name))
                etag = f'ETag: "{name}"\r\nContent-Type: application/rss+xml\r\nContent-Length: {len(body)}\r\n\r\n'
                self._transport.write(b"HTTP/1.1 200 OK\r\n" + etag.encode() + body)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Site, "127.0.0.1", port)
    await server.serve_forever()


async def _until_served(client: httpx.AsyncClient, address: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            await client.get(f"{address}/0")
            return
        except httpx.ConnectError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    main()
