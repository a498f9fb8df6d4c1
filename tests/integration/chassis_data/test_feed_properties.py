"""A follower's state always equals a fold of what was committed, whatever happens on the way. Both databases."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from huiyin_chassis import clock
from huiyin_chassis.errors import OutOfRange
from huiyin_chassis.feed import Feed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.chassis_data.shop import POISON, Follower, Shop, make

NAMES = st.sampled_from(["tea", "rice", "salt"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("price"), NAMES, st.integers(0, 9)),
        st.tuples(st.just("both at once"), NAMES, st.integers(0, 9)),
        st.tuples(st.sampled_from(["follow", "restart follower", "restart shop"]), NAMES, st.just(0)),
    ),
    max_size=14,
)
Urls = Callable[[], tuple[str, str]]


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Urls:
    """Two fresh databases at each call: the shop's and its follower's."""
    numbers = itertools.count()

    def fresh() -> tuple[str, str]:
        pair = []
        for role in ("shop", "own"):
            name = f"{role}{next(numbers)}"
            if request.param == "sqlite":
                pair.append(f"sqlite:///{tmp_path / name}.db")
            else:
                server: Any = request.getfixturevalue("postgres_server")
                database = f"{name}_{abs(hash(tmp_path))}"
                server.psql(f"CREATE DATABASE {database}")
                pair.append(str(server.get_uri(database)))
            make(pair[-1])
        return pair[0], pair[1]

    return fresh


def run(urls: Urls, test: Callable[[Shop, Shop], Awaitable[None]]) -> None:
    async def body() -> None:
        first, second = urls()
        shop, own = await Shop.opened(first), await Shop.opened(second)
        try:
            await test(shop, own)
        finally:
            await shop.close()
            await own.close()

    asyncio.run(body())


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_the_followers_state_is_a_fold_of_what_was_committed(urls: Urls, steps: list[tuple[str, str, int]]) -> None:
    async def body() -> None:
        shop_url, own_url = urls()
        shop, second, own = await Shop.opened(shop_url), await Shop.opened(shop_url), await Shop.opened(own_url)
        follower = Follower(own, shop)
        for step, name, price in steps:
            if step == "price":
                await shop.price(name, price)
            elif step == "both at once":
                # Two processes write to one database at the same time, each in groups.
                await asyncio.gather(
                    *(writer.price(f"{name}-{number}", price) for number in range(4) for writer in (shop, second)),
                    return_exceptions=True,
                )
            elif step == "follow":
                await follower.catch_up()
            elif step == "restart follower":
                await own.close()
                own = await Shop.opened(own_url)
                follower = Follower(own, shop)
            else:
                await shop.close()
                shop = await Shop.opened(shop_url)
                follower = Follower(own, shop)
        await follower.catch_up()
        assert await own.prices() == await shop.prices()
        assert sorted(await own.seen()) == await shop.told()
        for store in (shop, second, own):
            await store.close()

    asyncio.run(body())


def test_nothing_is_missed_while_others_commit(urls: Urls) -> None:
    """On PostgreSQL numbers are given before commits: one given early and committed late must not be passed over."""

    async def body(shop: Shop, own: Shop) -> None:
        second = await Shop.opened(shop.url.render_as_string(hide_password=False))
        follower = Follower(own, shop)
        running = asyncio.create_task(follower.consumer.run())
        writes = [
            writer.price(f"{number}-{who}", number) for number in range(60) for who, writer in enumerate((shop, second))
        ]
        await asyncio.gather(*writes)
        head = await shop.read(shop.feed.head)
        await asyncio.wait_for(follower.consumer.until_applied(head), 20)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert sorted(await own.seen()) == await shop.told()
        assert len(await own.seen()) == 120
        await second.close()

    run(urls, body)


def test_a_poisonous_change_is_set_aside_with_what_follows_it_and_replayed(urls: Urls) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        for name, price in (("tea", 1), ("rice", 1), ("tea", POISON), ("rice", 2), ("tea", 3), ("salt", 5)):
            await shop.price(name, price)
        follower = Follower(own, shop)
        await follower.catch_up()
        prices = await own.prices()
        assert (prices["tea"], prices["rice"], prices["salt"]) == ((1, 1), (2, 2), (5, 1))
        parked = await follower.consumer.list_parked()
        assert [(item.resource, item.change.revision) for item in parked] == [("items/tea", 2), ("items/tea", 3)]
        assert "cannot be read" in parked[0].error and parked[1].error == ""
        assert await follower.consumer.replay_parked() == 0
        follower.poisoned = False
        assert await follower.consumer.replay_parked() == 2
        assert await own.prices() == await shop.prices()
        assert not await follower.consumer.list_parked()

    run(urls, body)


def test_a_follower_whose_place_expired_lists_again(urls: Urls) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        await shop.price("tea", 1)
        follower = Follower(own, shop)
        await follower.catch_up()
        await shop.price("tea", 2)
        await shop.price("rice", 3)
        assert await shop.feed.expire(clock.now() + timedelta(hours=1)) == 3
        await shop.price("salt", 4)
        await Follower(own, shop).catch_up()
        assert await own.prices() == await shop.prices()

    run(urls, body)


def test_a_feed_of_another_epoch_is_listed_again(urls: Urls) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        await shop.price("tea", 1)
        follower = Follower(own, shop)
        await follower.catch_up()
        cursor = await shop.read(shop.feed.head)
        await shop.renew_epoch()
        await shop.price("tea", 2)
        running = asyncio.create_task(follower.consumer.run())
        async with asyncio.timeout(20):
            while await own.prices() != await shop.prices():
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert follower.listed == 1
        with pytest.raises(OutOfRange) as caught:
            await anext(aiter(shop.feed.watch(cursor)))
        assert caught.value.reason == "CURSOR_UNKNOWN"

    run(urls, body)


def test_list_then_watch_misses_nothing(urls: Urls) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        await shop.price("tea", 1)
        cursor = await shop.read(shop.feed.head)
        await shop.price("tea", 2)
        batch = await anext(aiter(shop.feed.watch(cursor)))
        assert [change.revision for change in batch.changes] == [2] and batch.caught_up

    run(urls, body)


def test_a_full_batch_that_was_the_last_is_told_to_be_so_at_once(urls: Urls) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        for amount in range(6):
            await shop.price("tea", amount)
        batches = aiter(Feed(shop, batch_size=3).watch())
        async with asyncio.timeout(5):
            told = [await anext(batches) for _ in range(3)]
        assert [(len(batch.changes), batch.caught_up) for batch in told] == [(3, False), (3, False), (0, True)]

    run(urls, body)


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "AAAA"])
def test_a_cursor_that_is_none_is_refused(urls: Urls, cursor: str) -> None:
    async def body(shop: Shop, own: Shop) -> None:
        with pytest.raises(OutOfRange) as caught:
            await anext(aiter(shop.feed.watch(cursor)))
        assert caught.value.reason == "CURSOR_UNKNOWN"

    run(urls, body)
