"""A small service to test the chassis's data side with: a shop that tells of its items, and one that follows it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.consumer import Consumer, FeedPosition
from huiyin_chassis.feed import Feed, unpack
from huiyin_chassis.migrate import migrate
from huiyin_chassis.store import Store, Tx
from huiyin_chassis.tables import CHANGES, define_tables
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, insert, select, update

METADATA = MetaData()
define_tables(METADATA)

ITEMS = Table(
    "items",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("price", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
)
SEEN = Table(
    "seen",
    METADATA,
    # What a follower applied; a change applied twice breaks the key.
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
)

POISON = 666


class Shop(Store):
    """Sells items and tells of their prices."""

    def __init__(self, url: str) -> None:
        super().__init__(url, migrations=Path(__file__).parent / "migrations", feed="shop")
        self.feed = Feed(self, heartbeat=0.2)

    @classmethod
    async def opened(cls, url: str) -> Shop:
        shop = cls(url)
        await shop.open()
        return shop

    async def price(self, name: str, price: int) -> None:
        """Sets a price and tells of it."""
        await self.write(lambda tx: set_price(tx, name, price, tell=True))

    async def prices(self) -> dict[str, tuple[int, int]]:
        """Price and revision of each item."""
        rows = await self.read(lambda connection: connection.execute(select(ITEMS)).all())
        return {row.name: (row.price, row.revision) for row in rows}

    async def told(self) -> list[int]:
        """Every sequence of the feed."""
        rows = await self.read(lambda connection: connection.execute(select(CHANGES.c.sequence)).all())
        return sorted(row.sequence for row in rows)

    async def seen(self) -> list[int]:
        """Every sequence applied, in the order of applying as far as the numbers tell."""
        rows = await self.read(lambda connection: connection.execute(select(SEEN.c.sequence)).all())
        return [row.sequence for row in rows]


def set_price(tx: Tx, name: str, price: int, *, tell: bool = False, revision: int | None = None) -> None:
    row = tx.execute(select(ITEMS).where(ITEMS.c.name == name)).one_or_none()
    number = revision if revision is not None else (row.revision if row else 0) + 1
    if row is None:
        tx.execute(insert(ITEMS), {"name": name, "price": price, "revision": number})
    else:
        tx.execute(update(ITEMS).where(ITEMS.c.name == name).values(price=price, revision=number))
    if tell:
        message = post_pb2.Post(name=f"items/{name}", text=str(price), revision=number)
        tx.changes.add("item.priced", message.name, number, message)


class Follower:
    """Keeps a copy of a shop's items."""

    def __init__(self, own: Shop, shop: Shop) -> None:
        self.own = own
        self.shop = shop
        self.poisoned = True
        self.listed = 0
        self.consumer = Consumer(
            own, "shop.items", watch=self._watch, apply=self._apply, relist=self._relist, prefetch=1
        )

    async def catch_up(self) -> None:
        """Follows until everything that the shop has told is dealt with."""
        running = asyncio.create_task(self.consumer.run())
        head = await self.shop.read(self.shop.feed.head)
        await asyncio.wait_for(self.consumer.until_applied(head), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    def _watch(self, cursor: str) -> AsyncIterator[feed_pb2.ChangeBatch]:
        return self.shop.feed.watch(cursor)

    def _apply(self, tx: Tx, changes: Sequence[feed_pb2.Change], position: FeedPosition) -> None:
        for change in changes:
            post = unpack(change, post_pb2.Post)
            if int(post.text) == POISON and self.poisoned:
                raise ValueError("this price cannot be read")
            set_price(tx, post.name.removeprefix("items/"), int(post.text), revision=post.revision)
            tx.execute(insert(SEEN), {"sequence": change.sequence, "name": change.name, "revision": change.revision})

    async def _relist(self) -> str:
        self.listed += 1

        def read(connection: Any) -> tuple[list[Any], str]:
            return list(connection.execute(select(ITEMS))), self.shop.feed.head(connection)

        rows, cursor = await self.shop.read(read)

        def write(tx: Tx) -> None:
            tx.execute(delete(ITEMS))
            tx.execute(delete(SEEN))
            for row in rows:
                set_price(tx, row.name, row.price, revision=row.revision)

        await self.own.write(write)
        return cursor


def make(url: str) -> None:
    """Creates a shop's tables."""
    migrate(url, Path(__file__).parent / "migrations")
