"""From a change of a case to a message that somebody took: one record a cause, whatever dies on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from huiyin.notifier.v1 import notification_pb2, policy_pb2
from huiyin.type.v1 import feed_pb2
from huiyin.type.v1 import policy_pb2 as type_policy_pb2

from tests.integration.notifier.conftest import ADMIN, GATEWAY, Casework, Notifier, Start, Webhook, case_of, casework

State = notification_pb2.Notification.State


def routes_to(webhook: Webhook, *, wait: str = "0s", interval: str = "10ms", group_by: str = "[case]") -> str:
    return f"""
receivers:
  - id: hook
    channel: webhook
    url: json://127.0.0.1:{webhook.port}/duty
    headers: {{X-Town: "yunxi"}}
route:
  group_by: {group_by}
  group_wait: {wait}
  group_interval: {interval}
  routes:
    - match: {{kind: [case.opened, case.assigned], grade: [LARGE, SERIOUS]}}
      receiver: hook
"""


async def put_routes(notifier: Notifier, body: str) -> type_policy_pb2.Policy:
    policy = type_policy_pb2.Policy(name="policies/routes", body=body)
    return await notifier.stub.UpdatePolicy(policy_pb2.UpdatePolicyRequest(policy=policy), **notifier.as_(ADMIN))


def test_a_receiver_that_fails_twice_gets_one_message_with_one_key(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    webhook.refusals = 2

    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            await put_routes(notifier, routes_to(webhook))
            await cases.publish(case_of(1, title="停水三天"), case_of(2, grade=1))
            (sent,) = await notifier.until("state = SENT", 1)
            assert (sent.cause, sent.case, sent.receiver, sent.channel) == ("case.opened", "cases/1", "hook", "webhook")
            assert sent.group == "case=cases/1"
            assert sent.unit == "units/1"
            assert not sent.HasField("due_time")
            assert await notifier.list() == [sent]
            request = notification_pb2.GetNotificationRequest(name=sent.name)
            read = await notifier.stub.GetNotification(request, **notifier.as_(ADMIN))
            assert [attempt.accepted for attempt in read.attempts] == [False, False, True]
            assert all("503" in attempt.problem for attempt in read.attempts[:2])
        keys_sent = {key for key, _, _ in webhook.posts}
        assert (len(webhook.posts), len(keys_sent)) == (3, 1)
        _, body, headers = webhook.posts[0]
        assert body["title"] == "【回音】新开办件（较大）：停水三天"
        assert headers["x-town"] == "yunxi"

    asyncio.run(scenario())


def test_what_comes_together_leaves_in_one_message_a_group(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            await put_routes(notifier, routes_to(webhook, wait="500ms", interval="1h", group_by="[unit]"))
            await cases.publish(*(case_of(number) for number in range(600)))
            await notifier.until("state = SENT", 600)
            assert sorted(body["title"] for _, body in webhook.accepted) == ["【回音】新开办件 200 件（较大 200）"] * 3

    asyncio.run(scenario())


def test_killed_between_sending_and_recording_it_records_each_cause_once_and_loses_none(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    webhook.open.clear()

    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases:
            async with notifier_on(database_url, cases.address) as notifier:
                await put_routes(notifier, routes_to(webhook, group_by="[unit]"))
                await cases.publish(*(case_of(number) for number in range(700)))
                await notifier.until("", 1)
                while not webhook.posts:
                    await asyncio.sleep(0.01)
                notifier.kill()
            webhook.open.set()
            await cases.publish(*(case_of(number, revision=2) for number in range(50)), kind="case.assigned")
            async with notifier_on(database_url, cases.address) as notifier:
                sent = await notifier.until("state = SENT", 750)
                assert len(await notifier.list()) == 750
            causes = Counter((one.case, one.cause, one.receiver) for one in sent)
            expected = [(f"cases/{number}", "case.opened", "hook") for number in range(700)]
            expected += [(f"cases/{number}", "case.assigned", "hook") for number in range(50)]
            assert causes == Counter(expected)
        bodies: dict[str, set[str]] = {}
        for key, body, _ in webhook.posts:
            bodies.setdefault(key, set()).add(body["message"])
        assert all(len(said) == 1 for said in bodies.values())

    asyncio.run(scenario())


def test_what_is_learnt_by_listing_again_tells_nobody(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases:
            async with notifier_on(database_url, cases.address) as notifier:
                await put_routes(notifier, routes_to(webhook))
                await cases.publish(case_of(1))
                await notifier.until("state = SENT", 1)
            await cases.publish(case_of(2))
            await cases.store.renew_epoch()
            async with notifier_on(database_url, cases.address) as notifier:
                await until_new_changes_arrive(cases, notifier)
                assert {one.case for one in await notifier.list()} & {"cases/1", "cases/2"} == {"cases/1"}

    asyncio.run(scenario())


async def until_new_changes_arrive(cases: Casework, notifier: Notifier) -> None:
    """Publishes until the notifier, which lists again at a moment of its own, has heard of one."""
    number = 100
    async with asyncio.timeout(20):
        while len(await notifier.list()) < 2:
            await cases.publish(case_of(number))
            number += 1
            await asyncio.sleep(0.05)


def test_a_rehearsal_is_recorded_and_never_leaves(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            await put_routes(notifier, routes_to(webhook, group_by="[]"))
            await cases.publish(case_of(1, drill=True), case_of(2))
            sent = {one.case: one for one in await notifier.until("state = SENT", 2)}
            assert (sent["cases/1"].drill, sent["cases/1"].channel) == (True, "sink")
            assert (sent["cases/2"].drill, sent["cases/2"].channel) == (False, "webhook")
        (message,) = webhook.accepted
        assert "第1件" not in message[1]["message"]

    asyncio.run(scenario())


def test_a_message_is_given_up_after_the_last_attempt_and_watchers_learn_of_it(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    webhook.refusals = 100

    async def scenario() -> None:
        async with (
            casework(keys, tmp_path) as cases,
            notifier_on(database_url, cases.address, HUIYIN_SEND_ATTEMPTS="3") as notifier,
        ):
            await put_routes(notifier, routes_to(webhook))
            await cases.publish(case_of(1))
            (failed,) = await notifier.until("state = FAILED", 1)
            assert len(webhook.posts) == 3
            stream = notifier.stub.WatchNotifications(
                notification_pb2.WatchNotificationsRequest(),
                metadata=notifier.as_(GATEWAY)["metadata"],
            )
            batch = await stream.read()
            stream.cancel()
            assert isinstance(batch, feed_pb2.ChangeBatch)
            assert [change.kind for change in batch.changes] == ["notification.created", "notification.failed"]
            assert notification_pb2.Notification.FromString(batch.changes[1].resource.value) == failed
            assert failed.revision == batch.changes[1].revision == 2

    asyncio.run(scenario())


def test_a_receiver_in_a_private_network_is_refused_where_that_is_not_allowed(
    sqlite_url: str, keys: Path, tmp_path: Path, notifier_on: Start, webhook: Webhook
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases:
            async with notifier_on(sqlite_url, cases.address) as notifier:
                await put_routes(notifier, routes_to(webhook).replace("127.0.0.1", "localhost"))
            strict = {"HUIYIN_ALLOW_PRIVATE_RECEIVERS": "false", "HUIYIN_SEND_ATTEMPTS": "1"}
            async with notifier_on(sqlite_url, cases.address, **strict) as notifier:
                await cases.publish(case_of(1))
                (failed,) = await notifier.until("state = FAILED", 1)
                request = notification_pb2.GetNotificationRequest(name=failed.name)
                read = await notifier.stub.GetNotification(request, **notifier.as_(ADMIN))
                assert "private network" in read.attempts[0].problem
        assert not webhook.posts

    asyncio.run(scenario())
