"""Another body's system delivers posts into an inbox, signed; what is taken, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.api import httpbody_pb2
from huiyin.collector.v1 import inbox_pb2, post_pb2, source_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import DomainError, from_rpc_error
from huiyin_chassis.identity import ANONYMOUS
from huiyin_chassis.tables import CHANGES
from huiyin_chassis.webhooks import signature
from huiyin_collector.store.tables import SECRETS
from sqlalchemy import select

from tests.integration.collector.conftest import OFFICER, Collector, Run, Source

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what no database has a part in."""

PHONE, MAIL, AUTHOR = "13812345678", "someone@example.org", "南山渔翁"
TEXT = "柳荫巷的路灯坏了两盏，晚上看不清路。"


async def inbox(collector: Collector, source_id: str = "daily") -> str:
    """A new inbox; the secret of its sender."""
    source = Source(kind=Source.KIND_INBOX)
    request = source_pb2.CreateSourceRequest(source_id=source_id, source=source)
    await collector.stub.CreateSource(request, **collector.by())
    return str((await rotated(collector, source_id)).secret)


async def rotated(
    collector: Collector, source_id: str = "daily", *, revoke: bool = False
) -> inbox_pb2.RotateSourceSecretResponse:
    request = inbox_pb2.RotateSourceSecretRequest(name=f"sources/{source_id}", revoke_previous=revoke)
    answer: inbox_pb2.RotateSourceSecretResponse = await collector.stub.RotateSourceSecret(request, **collector.by())
    return answer


def message(
    secret: str,
    *posts: dict[str, Any],
    source: str = "daily",
    number: str = "m1",
    body: bytes | None = None,
    sent: int | None = None,
) -> inbox_pb2.DeliverPostsRequest:
    """A signed message; `sent` is its time in seconds."""
    content = json.dumps({"posts": posts or [{"externalId": "1", "text": TEXT}]}).encode() if body is None else body
    timestamp = int(clock.now().timestamp()) if sent is None else sent
    return inbox_pb2.DeliverPostsRequest(
        source=f"sources/{source}",
        body=httpbody_pb2.HttpBody(content_type="application/json", data=content),
        webhook_id=number,
        webhook_timestamp=str(timestamp),
        webhook_signature=signature(secret, number, timestamp, content),
    )


async def delivered(collector: Collector, request: inbox_pb2.DeliverPostsRequest) -> tuple[int, int, int]:
    """How many were new, edited, and the same."""
    answer = await collector.stub.DeliverPosts(request, **collector.by(ANONYMOUS))
    return answer.created, answer.updated, answer.unchanged


async def refused(collector: Collector, request: inbox_pb2.DeliverPostsRequest) -> DomainError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await delivered(collector, request)
    return from_rpc_error(error.value)


def test_what_is_delivered_is_a_masked_post_with_its_place_and_without_its_author(run: Run) -> None:
    given = {
        "externalId": "A-1",
        "subject": f"路灯 {MAIL}",
        "text": f"{TEXT}电话{PHONE}",
        "author": AUTHOR,
        "publishTime": "2026-03-05T01:30:00Z",
        "uri": "https://daily.example/board/1",
        "reach": {"likes": 3},
        "location": {"latitude": 28.2036111, "longitude": 112.9672222},
    }

    async def test(collector: Collector) -> None:
        secret = await inbox(collector)
        assert await delivered(collector, message(secret, given, {"externalId": "A-2", "text": "桥栏松了。"})) == (
            2,
            0,
            0,
        )
        (post,) = await collector.posts(filter='external_id = "A-1"')
        assert (post.source, post.expects_answer, post.reach.likes) == ("sources/daily", False, 3)
        assert (post.location.latitude, post.location.longitude) == (28.20361, 112.96722)
        assert PHONE not in post.text and MAIL not in post.subject and not post.author
        (other,) = await collector.posts(filter='external_id = "A-2"')
        assert not other.HasField("location")
        told = [
            post_pb2.Post.FromString(each.resource.value) for each in await collector.changes(kinds=["post.created"])
        ]
        assert [each.location for each in told] == [post.location, other.location]
        assert told[0].voice and not told[1].voice
        rows = await collector.store.read(lambda connection: connection.scalars(select(CHANGES.c.resource)).all())
        assert not any(post_pb2.Post.FromString(row).HasField("location") for row in rows), "it goes with the post"

    run(test)


def test_what_comes_again_is_there_once(run: Run) -> None:
    async def test(collector: Collector) -> None:
        secret = await inbox(collector)
        for _ in range(2):
            assert await delivered(collector, message(secret)) == (1, 0, 0)
        assert await delivered(collector, message(secret, number="m2")) == (0, 0, 1)
        edited = {"externalId": "1", "text": "已修好一盏，还差一盏。", "location": {"latitude": 1, "longitude": 2}}
        reused = await refused(collector, message(secret, edited))
        assert (reused.reason, reused.violations[0].field) == ("REQUEST_ID_REUSED", "webhook_id")
        assert await delivered(collector, message(secret, edited, number="m3")) == (0, 1, 0)
        (post,) = await collector.posts()
        assert (post.revision, post.location.longitude) == (2, 2)

    run(test)


@on_sqlite
def test_whoever_is_not_the_sender_is_refused_without_saying_why(run: Run) -> None:
    async def test(collector: Collector) -> None:
        secret, other = await inbox(collector), await inbox(collector, "weekly")
        await collector.create("plain", Source.KIND_INBOX)
        now = int(clock.now().timestamp())
        forged = message(secret)
        forged.body.data += b" "
        attempts = [
            message(other),
            message(secret, source="nowhere"),
            message(secret, source="plain"),
            message(secret, sent=now - 400),
            message(secret, sent=now + 400),
            forged,
        ]
        errors = [await refused(collector, each) for each in attempts]
        assert {(error.code, error.reason, error.message) for error in errors} == {
            (grpc.StatusCode.UNAUTHENTICATED, "SIGNATURE_REFUSED", errors[0].message)
        }
        assert await collector.posts() == []

    run(test)


FAULTS = [
    (b"{", "body", "BODY_INVALID"),
    (b"\xff", "body", "BODY_INVALID"),
    (b"[" * 20_000, "body", "BODY_INVALID"),
    (b'{"posts": [{"text": "a", "attachments": []}]}', "body", "BODY_INVALID"),
    (b" " * (4 * 2**20 + 1), "body", "BODY_TOO_LARGE"),
    (b"{}", "posts", "REQUIRED"),
    (json.dumps({"posts": [{"text": "a"}] * 1001}).encode(), "posts", "TOO_MANY"),
    (json.dumps({"posts": [{"text": "a" * 20_001}]}).encode(), "posts[0].text", "TOO_LONG"),
    (b'{"posts": [{"text": "a"}, {"text": " "}]}', "posts[1].text", "INVALID_ARGUMENT"),
    (b'{"posts": [{"text": "a", "uri": "javascript:a"}]}', "posts[0].uri", "INVALID_ARGUMENT"),
    (b'{"posts": [{"text": "a", "location": {"latitude": 99}}]}', "posts[0].location.latitude", "OUT_OF_RANGE"),
]
"""A body, and the field and the reason with which it is refused."""


@on_sqlite
def test_a_body_that_cannot_be_taken_is_told_with_its_field(run: Run) -> None:
    async def test(collector: Collector) -> None:
        secret = await inbox(collector)
        for number, (body, field, reason) in enumerate(FAULTS):
            error = await refused(collector, message(secret, number=f"{number}", body=body))
            assert (error.reason, error.violations[0].field) == (reason, field), body[:80]
        assert await collector.posts() == []

    run(test)


def test_a_replaced_secret_is_accepted_for_a_day_kept_sealed_and_destroyed(run: Run) -> None:
    async def test(collector: Collector) -> None:
        first = await inbox(collector)
        second = await rotated(collector)
        until = clock.from_timestamp(second.previous_expire_time)
        for number, secret in enumerate([first, second.secret]):
            assert await delivered(collector, message(secret, number=f"{number}"))
        rows = await collector.store.read(lambda connection: connection.execute(select(SECRETS)).all())
        assert not any(secret[6:] in f"{rows}" for secret in (first, second.secret))
        with clock.stopped(until + timedelta(minutes=1)):
            assert (await refused(collector, message(first))).reason == "SIGNATURE_REFUSED"
            await collector.keeper().purge()
        old = await collector.store.read(lambda connection: connection.scalar(select(SECRETS.c.old_secrets)))
        assert old == "[]"
        third = await rotated(collector, revoke=True)
        assert not third.HasField("previous_expire_time")
        assert (await refused(collector, message(second.secret))).reason == "SIGNATURE_REFUSED"
        assert await delivered(collector, message(third.secret, number="9"))

    run(test)


@on_sqlite
def test_what_expects_an_answer_is_passed_on_as_an_inquiry(run: Run) -> None:
    async def test(collector: Collector) -> None:
        await collector.create("letters", Source.KIND_INBOX)
        await collector.create("board", Source.KIND_FILE)
        for source_id, reason in (("letters", "ANSWERS_EXPECTED"), ("board", "SOURCE_KIND"), ("nowhere", "NOT_FOUND")):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await rotated(collector, source_id)
            assert from_rpc_error(error.value).reason == reason
        secret = await inbox(collector)
        update = source_pb2.UpdateSourceRequest(source=Source(name="sources/daily", expects_answer=True))
        update.update_mask.paths.append("expects_answer")
        await collector.stub.UpdateSource(update, **collector.by())
        assert (await refused(collector, message(secret))).reason == "ANSWERS_EXPECTED"
        request = inbox_pb2.RotateSourceSecretRequest(name="sources/daily")
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await collector.stub.RotateSourceSecret(request, **collector.by(OFFICER))
        assert from_rpc_error(error.value).reason == "PERMISSION_MISSING"

    run(test)
