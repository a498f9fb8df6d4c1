"""Writing: groups, savepoints, repetition, outbox, operations, and bytes that are gone. Both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from huiyin_chassis.bulk import fetch
from huiyin_chassis.errors import DomainError, FailedPrecondition, InvalidArgument, NotFound, Unavailable
from huiyin_chassis.operations import Operations
from huiyin_chassis.outbox import Dispatcher, OutboxRow
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import SchemaMismatch, Tx
from sqlalchemy import Connection, select, text

from tests.integration.chassis_data.shop import ITEMS, Shop, make, set_price


def run(url: str, test: Callable[[Shop], Awaitable[None]]) -> None:
    async def body() -> None:
        make(url)
        shop = await Shop.opened(url)
        try:
            await test(shop)
        finally:
            await shop.close()

    asyncio.run(body())


def test_a_work_that_fails_is_undone_alone(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        def broken(tx: Tx) -> None:
            set_price(tx, "broken", 1, tell=True)
            raise FailedPrecondition("NO", "no")

        works = [shop.price(f"item-{number}", number) for number in range(20)]
        found = await asyncio.gather(*works[:10], shop.write(broken), *works[10:], return_exceptions=True)
        assert [type(each) for each in found if each is not None] == [FailedPrecondition]
        assert len(await shop.prices()) == 20 and len(await shop.told()) == 20

    run(database_url, body)


def test_what_a_work_appends_is_undone_with_it(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        def row(name: str) -> dict[str, object]:
            return {"name": name, "price": 1, "revision": 1}

        def appending(tx: Tx) -> None:
            tx.append(ITEMS, [row("kept")])
            with pytest.raises(FailedPrecondition), tx.savepoint():
                tx.append(ITEMS, [row("undone")])
                raise FailedPrecondition("NO", "no")

        def broken(tx: Tx) -> None:
            tx.append(ITEMS, [row("broken")])
            raise FailedPrecondition("NO", "no")

        await asyncio.gather(shop.write(appending), shop.write(broken), return_exceptions=True)
        assert await shop.prices() == {"kept": (1, 1)}

    run(database_url, body)


def test_a_read_sees_one_snapshot_also_past_sqlalchemy(database_url: str) -> None:
    every_price = select(ITEMS.c.price)

    async def body(shop: Shop) -> None:
        await shop.price("a", 1)
        read, written = threading.Event(), threading.Event()

        def twice(connection: Connection) -> list[list[tuple[object, ...]]]:
            first = fetch(connection, every_price)
            read.set()
            assert written.wait(20)
            return [first, fetch(connection, every_price)]

        reading = asyncio.create_task(shop.read(twice))
        assert await asyncio.to_thread(read.wait, 20)
        await shop.price("a", 2)
        written.set()
        assert await reading == [[(1,)], [(1,)]]
        assert await shop.read(lambda connection: fetch(connection, every_price)) == [(2,)]

    run(database_url, body)


def test_a_repeated_request_gets_the_first_answer(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        calls: list[int] = []

        def work(tx: Tx) -> StringValue:
            calls.append(1)
            return StringValue(value=f"answer {len(calls)}")

        async def ask(request_id: str, text: str, subject: str = "a") -> str:
            request = StringValue(value=text)
            reply = await shop.write_once(request_id, "Ask", request, work, StringValue, subject=subject)
            return reply.value

        assert [await ask("r1", "x"), await ask("r1", "x")] == ["answer 1", "answer 1"]
        assert await ask("r1", "x", subject="b") == "answer 2"
        assert await ask("", "x") == "answer 3" and await ask("", "x") == "answer 4"
        with pytest.raises(InvalidArgument) as caught:
            await ask("r1", "y")
        assert caught.value.reason == "REQUEST_ID_REUSED"
        first, second = await asyncio.gather(ask("r2", "z"), ask("r2", "z"))
        assert first == second

    run(database_url, body)


def test_the_outbox_sends_in_order_retries_and_shows_what_was_refused(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        sent: list[bytes] = []
        failures = iter([Unavailable("AWAY", "away")])

        async def send(rows: Sequence[OutboxRow]) -> None:
            for failure in failures:
                raise failure
            if any(row.payload == b"bad" for row in rows):
                raise InvalidArgument("payload", "is bad")
            sent.extend(row.payload for row in rows)

        def leave(tx: Tx) -> None:
            for payload in (b"1", b"2", b"bad", b"3"):
                tx.outbox.add("Send", payload, payload.decode(), key="k")

        await shop.write(leave)
        dispatcher = Dispatcher(shop, {"Send": send})
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(20):
            while len(sent) < 3:
                await asyncio.sleep(0.02)
        failed = await dispatcher.list_failed()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert sent == [b"1", b"2", b"3"]
        assert [row.row.payload if hasattr(row, "row") else row.payload for row in failed] == [b"bad"]

    run(database_url, body)


def test_rows_that_were_delivered_beside_others_that_were_not_are_not_sent_again(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        batches: list[list[bytes]] = []

        async def send(rows: Sequence[OutboxRow]) -> dict[int, DomainError]:
            batches.append([row.payload for row in rows])
            if len(batches) > 1:
                return {}
            errors = {b"later": Unavailable("AWAY", "not now"), b"never": InvalidArgument("", "never")}
            return {row.id: errors[row.payload] for row in rows if row.payload in errors}

        def leave(tx: Tx) -> None:
            for payload in (b"first", b"later", b"never", b"last"):
                tx.outbox.add("Send", payload, payload.decode())

        await shop.write(leave)
        dispatcher = Dispatcher(shop, {"Send": send})
        running = asyncio.create_task(dispatcher.run())
        async with asyncio.timeout(20):
            await dispatcher.until_idle()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert batches == [[b"first", b"later", b"never", b"last"], [b"later"]]
        assert [failed.row.payload for failed in await dispatcher.list_failed()] == [b"never"]

    run(database_url, body)


def test_an_operation_of_a_process_that_died_is_lost(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        first = Operations(shop)
        await first.create("shops/a/operations/1", StringValue(value="begun"))
        await first.create("shops/a/operations/2", StringValue(value="begun"))
        await first.finish("shops/a/operations/2", StringValue(value="done"))
        second = Operations(shop)
        assert await second.recover() == 1
        lost = await second.get("shops/a/operations/1")
        assert lost.done and "start it again" in lost.error.message
        assert not (await second.get("shops/a/operations/2")).HasField("error")
        with pytest.raises(NotFound):
            await second.get("shops/a/operations/3")

    run(database_url, body)


def test_policies_are_versioned_and_the_same_body_is_the_same_version(database_url: str) -> None:
    async def body(shop: Shop) -> None:
        def check(text: str) -> None:
            if text == "bad":
                raise InvalidArgument("body", "is bad")

        policies = Policies({"colour": check})
        await shop.write(lambda tx: policies.seed(tx, "colour", "red"))
        await shop.write(lambda tx: policies.seed(tx, "colour", "blue"))
        first = await shop.read(lambda connection: policies.active(connection, "colour"))
        assert (first.body, first.version, first.author) == ("red", 1, "system")
        same = await shop.write(lambda tx: policies.put(tx, "colour", "red", "accounts/a"))
        new = await shop.write(lambda tx: policies.put(tx, "colour", "green", "accounts/a", etag=first.etag))
        assert (same.version, new.version) == (1, 2)
        for body_text, etag in (("bad", ""), ("black", first.etag)):
            with pytest.raises(Exception):  # noqa: B017 - one is refused as invalid, the other as stale
                await shop.write(lambda tx, b=body_text, e=etag: policies.put(tx, "colour", b, "a", etag=e))  # type: ignore[misc]
        versions = await shop.read(lambda connection: policies.versions(connection, "colour"))
        assert [policy.name for policy in versions] == ["policies/colour/versions/2", "policies/colour/versions/1"]

    run(database_url, body)


def test_what_was_deleted_is_found_in_no_byte_of_the_files(tmp_path: Path) -> None:
    secret = "南山渔翁的电话号码".encode()

    async def body(shop: Shop) -> None:
        await shop.price(secret.decode(), 1)
        await shop.write(lambda tx: tx.execute(text("DELETE FROM items")))
        await shop.write(lambda tx: tx.execute(text("DELETE FROM changes")))
        await shop.destroy_bytes()
        for path in tmp_path.iterdir():
            assert secret not in path.read_bytes(), path.name

    run(f"sqlite:///{tmp_path / 'shop.db'}", body)


def test_a_store_without_its_tables_names_the_command_that_makes_them(database_url: str) -> None:
    async def body() -> None:
        with pytest.raises(SchemaMismatch, match="migrate"):
            await Shop.opened(database_url)

    asyncio.run(body())
