"""What NotifierService answers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from huiyin.notifier.v1 import notification_pb2, policy_pb2
from huiyin.type.v1 import policy_pb2 as type_policy_pb2
from huiyin_chassis.errors import DomainError, from_rpc_error
from huiyin_chassis.identity import Principal

from tests.integration.notifier.conftest import ADMIN, DESK, GATEWAY, Notifier, Start, case_of, casework

OFFICER = Principal("accounts/officer", roles=("officer",), units=("1",))
QUIET = """
receivers: [{id: duty, channel: log}]
route: {receiver: duty, group_wait: 1h}
"""


async def put(notifier: Notifier, body: str, etag: str = "", name: str = "policies/routes") -> type_policy_pb2.Policy:
    policy = type_policy_pb2.Policy(name=name, body=body, etag=etag)
    return await notifier.stub.UpdatePolicy(policy_pb2.UpdatePolicyRequest(policy=policy), **notifier.as_(ADMIN))


async def refused(call: object) -> DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc_error(caught.value)


def test_notifications_are_filtered_paged_counted_and_kept_within_reach(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            await put(notifier, QUIET)
            await cases.publish(*(case_of(number, grade=1 + number % 4) for number in range(84)))
            everything = await notifier.until("state = PENDING", 84)
            assert [one.create_time.ToMicroseconds() for one in everything] == sorted(
                (one.create_time.ToMicroseconds() for one in everything), reverse=True
            )
            assert everything[0].group == f"unit={everything[0].unit} grade={_grade(everything[0])}"
            request = notification_pb2.ListNotificationsRequest(
                page_size=20, filter="grade >= SERIOUS AND unit = units/1"
            )
            first = await notifier.stub.ListNotifications(request, **notifier.as_(DESK))
            assert (len(first.notifications), first.total_size) == (14, 14)
            assert {one.unit for one in first.notifications} == {"units/1"}
            own = await notifier.stub.ListNotifications(
                notification_pb2.ListNotificationsRequest(), **notifier.as_(OFFICER)
            )
            assert own.total_size == 28
            others = next(one for one in everything if one.unit != "units/1")
            hidden = notifier.stub.GetNotification(
                notification_pb2.GetNotificationRequest(name=others.name), **notifier.as_(OFFICER)
            )
            assert (await refused(hidden)).code is grpc.StatusCode.NOT_FOUND
            stream = notifier.stub.WatchNotifications(
                notification_pb2.WatchNotificationsRequest(cursor=first.cursor),
                metadata=notifier.as_(GATEWAY)["metadata"],
            )
            await stream.read()
            await cases.publish(case_of(84))
            batch = await stream.read()
            stream.cancel()
            assert [change.kind for change in batch.changes] == ["notification.created"]

    asyncio.run(scenario())


def _grade(one: notification_pb2.Notification) -> str:
    return notification_pb2.Notification.DESCRIPTOR.fields_by_name["grade"].enum_type.values_by_number[one.grade].name


def test_the_routes_policy_is_seeded_versioned_and_checked(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            get = policy_pb2.GetPolicyRequest(name="policies/routes")
            seeded = await notifier.stub.GetPolicy(get, **notifier.as_(DESK))
            assert (seeded.version, seeded.author) == (1, "system")
            written = await put(notifier, QUIET, seeded.etag)
            assert (written.version, written.author) == (2, "accounts/admin")
            assert (await put(notifier, QUIET)).version == 2
            stale = await refused(put(notifier, QUIET + "# again\n", seeded.etag))
            assert stale.code is grpc.StatusCode.ABORTED
            versions = await notifier.stub.ListPolicyVersions(
                policy_pb2.ListPolicyVersionsRequest(parent="policies/routes"), **notifier.as_(DESK)
            )
            assert [policy.version for policy in versions.policies] == [2, 1]
            get.name = "policies/routes/versions/1"
            assert (await notifier.stub.GetPolicy(get, **notifier.as_(DESK))).body == seeded.body

            wrong = await refused(put(notifier, "receivers: [{id: X, channel: y}]\nroute: {receiver: z}"))
            assert (wrong.code, wrong.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "POLICY_INVALID")
            assert [violation.field for violation in wrong.violations] == ["policy.body"] * 3
            assert [violation.description.split()[0] for violation in wrong.violations] == [
                "receivers[0].id",
                "receivers[0].channel",
                "route.receiver",
            ]
            assert (await refused(put(notifier, QUIET, name="policies/clocks"))).code is grpc.StatusCode.NOT_FOUND
            policy = type_policy_pb2.Policy(name="policies/routes", body=QUIET)
            forbidden = notifier.stub.UpdatePolicy(policy_pb2.UpdatePolicyRequest(policy=policy), **notifier.as_(DESK))
            assert (await refused(forbidden)).code is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(scenario())


def test_routes_apply_to_what_happens_after_they_were_written(
    database_url: str, keys: Path, tmp_path: Path, notifier_on: Start
) -> None:
    async def scenario() -> None:
        async with casework(keys, tmp_path) as cases, notifier_on(database_url, cases.address) as notifier:
            await cases.publish(case_of(1, revision=4), kind="case.closed")
            await cases.publish(case_of(2))
            await notifier.until("", 1)
            await put(notifier, QUIET)
            await cases.publish(case_of(3, revision=4), kind="case.closed")
            found = await notifier.until("", 2)
            assert {(one.case, one.cause) for one in found} == {("cases/2", "case.opened"), ("cases/3", "case.closed")}

    asyncio.run(scenario())
