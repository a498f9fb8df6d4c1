"""Posts that others write into inboxes: casework for inquiries, and other bodies' systems, which sign them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from huiyin.collector.v1 import inbox_pb2, post_pb2, source_pb2
from huiyin_chassis import clock, webhooks
from huiyin_chassis.errors import DomainError, FieldViolation, InvalidArgument
from huiyin_chassis.identity import current_principal
from huiyin_chassis.locations import checked_location
from huiyin_chassis.sealing import Seal
from huiyin_chassis.store import Tx
from huiyin_chassis.validation import validate

from huiyin_collector.intake import Intake
from huiyin_collector.model.posts import Draft, MaskedPost, clean, content_fault, identifier, time_fault, uri_fault
from huiyin_collector.names import id_of
from huiyin_collector.store import CollectorStore, secrets
from huiyin_collector.store.receiving import Outcome

_MOST_BYTES: Final = 4 * 2**20
_INBOX: Final = source_pb2.Source.KIND_INBOX


class InboxMethods:
    """What the service does with inboxes."""

    _store: CollectorStore
    _intake: Intake
    _seal: Seal

    async def BatchCreatePosts(
        self, request: post_pb2.BatchCreatePostsRequest, context: Any
    ) -> post_pb2.BatchCreatePostsResponse:
        """Writes posts of another part of the system."""

        def told(outcomes: Sequence[Outcome]) -> post_pb2.BatchCreatePostsResponse:
            return post_pb2.BatchCreatePostsResponse(
                outcomes=[post_pb2.PostOutcome(post=f"posts/{item.post_id}", kind=item.kind) for item in outcomes]
            )

        source_id = id_of(request.source, "sources", "source")
        posts = await self._taken_in(source_id, request.posts)

        def work(tx: Tx) -> post_pb2.BatchCreatePostsResponse:
            return told(self._store.receive(tx, source_id, _INBOX, posts))

        subject = current_principal().subject
        return await self._store.write_once(
            request.request_id,
            "BatchCreatePosts",
            _masked(request, posts),
            work,
            post_pb2.BatchCreatePostsResponse,
            subject=subject,
        )

    async def DeliverPosts(
        self, request: inbox_pb2.DeliverPostsRequest, context: Any
    ) -> inbox_pb2.DeliverPostsResponse:
        """Writes posts of another body's system, once its signature holds."""
        now = clock.now()
        source_id = id_of(request.source, "sources", "source")
        row = await self._store.read(lambda connection: secrets.find(connection, source_id))
        accepted = webhooks.secrets_of(row, self._seal, clock.micros(now), request.source) if row else []
        body = webhooks.signed_body(request, accepted, now, most_bytes=_MOST_BYTES)
        delivery = webhooks.read_json(body, inbox_pb2.PostDelivery())
        validate(delivery)
        posts = await self._taken_in(source_id, delivery.posts)

        def work(tx: Tx) -> inbox_pb2.DeliverPostsResponse:
            secrets.check_takes_deliveries(self._store.source_of_kind(tx.connection, source_id, _INBOX, lock=True))
            kinds = Counter(item.kind for item in self._store.receive(tx, source_id, _INBOX, posts))
            return inbox_pb2.DeliverPostsResponse(
                created=kinds[post_pb2.PostOutcome.KIND_CREATED],
                updated=kinds[post_pb2.PostOutcome.KIND_UPDATED],
                unchanged=kinds[post_pb2.PostOutcome.KIND_UNCHANGED],
            )

        known = post_pb2.BatchCreatePostsRequest(source=request.source, posts=delivery.posts)
        with webhooks.numbered_by_webhook_id():
            return await self._store.write_once(
                request.webhook_id,
                "DeliverPosts",
                _masked(known, posts),
                work,
                inbox_pb2.DeliverPostsResponse,
                subject=request.source,
            )

    async def RotateSourceSecret(
        self, request: inbox_pb2.RotateSourceSecretRequest, context: Any
    ) -> inbox_pb2.RotateSourceSecretResponse:
        """Gives the system that delivers into an inbox a new secret."""
        source_id, secret = id_of(request.name, "sources", "name"), webhooks.fresh_secret()

        def rotate(tx: Tx) -> int:
            secrets.check_takes_deliveries(self._store.source_of_kind(tx.connection, source_id, _INBOX, lock=True))
            return secrets.rotate(tx, source_id, self._seal, secret, revoke=request.revoke_previous)

        until = await self._store.write(rotate)
        return inbox_pb2.RotateSourceSecretResponse(
            source=request.name,
            secret=secret,
            previous_expire_time=clock.micros_to_timestamp(until) if until else None,
        )

    async def _taken_in(self, source_id: str, posts: Sequence[post_pb2.Post]) -> list[MaskedPost]:
        """Posts as they may be written. Raises InvalidArgument."""
        collected = clock.now()
        drafts = _drafts(posts, collected)
        return await asyncio.to_thread(self._intake.mask, source_id, drafts, collected)


def _drafts(posts: Sequence[post_pb2.Post], collected: datetime) -> list[Draft]:
    """The posts of a request as drafts. Raises InvalidArgument with every violation."""
    drafts: list[Draft] = []
    violations: list[FieldViolation] = []
    for index, post in enumerate(posts):
        subject, text, uri = clean(post.subject), clean(post.text), identifier(post.uri)
        published = clock.from_timestamp(post.publish_time) if post.HasField("publish_time") else None
        faults = {
            "text": content_fault(subject, text),
            "uri": uri_fault(uri),
            "publish_time": time_fault(published, collected) if published else "",
        }
        violations += [FieldViolation(f"posts[{index}].{name}", fault) for name, fault in faults.items() if fault]
        location = None
        if post.HasField("location"):
            try:
                point = checked_location(post.location, f"posts[{index}].location")
                location = (point.latitude, point.longitude)
            except DomainError as error:
                violations += error.violations
        reach = post.reach
        drafts.append(
            Draft(
                subject,
                text,
                identifier(post.author),
                identifier(post.external_id),
                published,
                uri,
                (reach.likes, reach.dislikes, reach.replies, reach.shares, reach.views),
                post.drill,
                location,
            )
        )
    if violations:
        raise InvalidArgument.of(violations)
    return drafts


def _masked(request: post_pb2.BatchCreatePostsRequest, posts: list[MaskedPost]) -> post_pb2.BatchCreatePostsRequest:
    """The request as it may be remembered: even from its hash, a number or a name could be found by trying all."""
    masked = post_pb2.BatchCreatePostsRequest()
    masked.CopyFrom(request)
    for post, known in zip(masked.posts, posts, strict=True):
        post.subject, post.text, post.author = known.subject, known.text, ""
    return masked
