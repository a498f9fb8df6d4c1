"""Events and memberships: reads, holds, the feed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.protobuf.message import Message
from huiyin.analyzer.v1 import event_pb2
from huiyin.type.v1 import feed_pb2, grade_pb2
from huiyin_chassis import clock
from huiyin_chassis.bulk import chunks
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.feed import Feed
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    decimal_field,
    enum_field,
    number_field,
    numbered_field,
    parse_order,
    path_field,
    text_field,
    time_field,
    within,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.ids import uuid7
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page, total
from huiyin_chassis.store import Tx
from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, true, update

from huiyin_analyzer import resources, store
from huiyin_analyzer.holds import hold_posts
from huiyin_analyzer.model.joining import Activity, activity
from huiyin_analyzer.store import EVENTS, KEPT_HOLDS, POSTS, AnalyzerStore

_EVENT_FIELDS: dict[str, Compare] = {
    "grade": enum_field(EVENTS.c.grade, grade_pb2.Grade, "GRADE_"),
    "topic": path_field(EVENTS.c.topic, "topics"),
    "place": path_field(EVENTS.c.place, "places"),
    "title": text_field(EVENTS.c.title),
    "post_count": number_field(EVENTS.c.post_count),
    "inquiry_count": number_field(EVENTS.c.inquiry_count),
    "first_publish_time": time_field(EVENTS.c.first_publish_time),
    "last_publish_time": time_field(EVENTS.c.last_publish_time),
    "create_time": time_field(EVENTS.c.create_time),
    "drill": boolean_field(EVENTS.c.drill),
}
_EVENT_ORDERS: dict[str, ColumnElement[Any]] = {
    "grade": EVENTS.c.grade,
    "post_count": EVENTS.c.post_count,
    "last_publish_time": EVENTS.c.last_publish_time,
    "create_time": EVENTS.c.create_time,
}


_ACTIVITIES = {
    Activity.ACTIVE: event_pb2.EVENT_ACTIVITY_ACTIVE,
    Activity.COOLED: event_pb2.EVENT_ACTIVITY_COOLED,
    Activity.CLOSED: event_pb2.EVENT_ACTIVITY_CLOSED,
}

_MEMBERSHIP_FIELDS: dict[str, Compare] = {
    "topic": path_field(POSTS.c.topic, "topics"),
    "topic_model": numbered_field(POSTS.c.topic_model, "topicModels"),
    "topic_confidence": decimal_field(POSTS.c.topic_confidence),
    "topic_low": boolean_field(POSTS.c.topic_low),
    "topic_corrected": boolean_field(POSTS.c.topic_correction > 0),
    "place": path_field(POSTS.c.place, "places"),
    "source": text_field(POSTS.c.source),
    "external_id": text_field(POSTS.c.external_id),
    "publish_time": time_field(POSTS.c.publish_time),
    "expects_answer": boolean_field(POSTS.c.expects_answer),
    "drill": boolean_field(POSTS.c.drill),
}
_MEMBERSHIP_ORDERS: dict[str, ColumnElement[Any]] = {
    "topic_confidence": POSTS.c.topic_confidence,
    "publish_time": POSTS.c.publish_time,
    "number": POSTS.c.number,
}


class EventMethods:
    """What the service does with events."""

    _store: AnalyzerStore
    _feed: Feed

    async def GetEvent(self, request: event_pb2.GetEventRequest, context: Any) -> event_pb2.Event:
        """An event within the caller's reach."""
        reach = within_reach(current_principal())
        event_id = request.name.removeprefix("events/")

        def read(connection: Connection) -> event_pb2.Event:
            row = connection.execute(select(EVENTS).where(EVENTS.c.id == event_id, reach)).one_or_none()
            if row is None:
                raise NotFound(request.name)
            return as_of_now(row)

        return await self._store.read(read)

    async def ListEvents(self, request: event_pb2.ListEventsRequest, context: Any) -> event_pb2.ListEventsResponse:
        """Events within the caller's reach."""
        principal = current_principal()
        there = EVENTS.c.merged_into == ""
        query = select(EVENTS).where(there, compile_filter(request.filter, _EVENT_FIELDS), within_reach(principal))
        order = [*parse_order(request.order_by, _EVENT_ORDERS, "post_count desc"), (EVENTS.c.id, False)]

        def read(connection: Connection) -> event_pb2.ListEventsResponse:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("events", request.filter, scope_of(principal)),
            )
            return event_pb2.ListEventsResponse(
                events=map(as_of_now, found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
                cursor=self._feed.head(connection),
            )

        return await self._store.read(read)

    async def ListMemberships(
        self, request: event_pb2.ListMembershipsRequest, context: Any
    ) -> event_pb2.ListMembershipsResponse:
        """Which posts belong to an event, or to all."""
        principal = current_principal()
        reach = within_reach(principal)
        parent = request.parent.removeprefix("events/")
        query = select(POSTS).where(compile_filter(request.filter, _MEMBERSHIP_FIELDS))
        order = [*parse_order(request.order_by, _MEMBERSHIP_ORDERS, "number")]
        if order[-1][0] is not POSTS.c.number:
            order.append((POSTS.c.number, False))
        if parent != "-":
            query = query.where(POSTS.c.event_id == parent)
        if not principal.everywhere:
            query = query.join(EVENTS, EVENTS.c.id == POSTS.c.event_id).where(reach)
        visible = select(EVENTS.c.id).where(EVENTS.c.id == parent, reach)

        def read(connection: Connection) -> event_pb2.ListMembershipsResponse:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("memberships", parent, request.filter, scope_of(principal)),
            )
            count = total(connection, query)
            if not count and parent != "-" and connection.execute(visible).first() is None:
                raise NotFound(request.parent)
            return event_pb2.ListMembershipsResponse(
                memberships=(resources.membership(row, with_text=True) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=count,
            )

        return await self._store.read(read)

    async def SetEventHold(
        self, request: event_pb2.SetEventHoldRequest, context: Any
    ) -> event_pb2.SetEventHoldResponse:
        """Notes the holds and leaves it to the outbox to pass them on to the posts."""
        ids = [name.removeprefix("events/") for name in request.events]

        def write(tx: Tx) -> event_pb2.SetEventHoldResponse:
            changed = [row for row in store.holds_of(tx.connection, ids) if row.hold != request.hold]
            for chunk in chunks(row.id for row in changed):
                tx.execute(update(EVENTS).where(EVENTS.c.id.in_(chunk)).values(hold=request.hold))
            for chunk in chunks(ids):
                tx.execute(update(KEPT_HOLDS).where(KEPT_HOLDS.c.event_id.in_(chunk)).values(hold=request.hold))
            # Between open and assigned nothing changes for the posts.
            passed_on = [row.id for row in changed if bool(row.hold) != bool(request.hold)]
            if passed_on:
                posts = store.post_ids_of(tx.connection, passed_on)
                hold_posts(tx, posts, held=bool(request.hold), request_id=request.request_id or uuid7())
            return event_pb2.SetEventHoldResponse()

        return await self._store.write_once(
            request.request_id,
            "SetEventHold",
            request,
            write,
            event_pb2.SetEventHoldResponse,
            subject=current_principal().subject,
        )

    async def WatchEvents(
        self, request: event_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """The feed, with the titles of events, and the masked texts where an answer is expected."""
        async for batch in self._feed.watch(
            request.cursor,
            kinds=request.kinds,
            tail=request.tail,
            until=current_principal().expires,
            join=_join_texts,
        ):
            yield batch


def reason_of(text: str) -> str:
    """A reason that somebody gave, masked."""
    reason = mask_text(text.strip())
    if not reason:
        raise InvalidArgument("reason", "is required; say in a sentence why", "REQUIRED")
    return reason


def as_of_now(row: Row[Any]) -> event_pb2.Event:
    """An event with how lately people spoke of it."""
    message = resources.event(row)
    message.activity = _ACTIVITIES[activity(row.last_publish_time, clock.micros(clock.now()))]
    return message


def scope_of(principal: Principal) -> object:
    """What of a principal a page token is bound to."""
    return None if principal.everywhere else (principal.places, principal.topics)


def within_reach(principal: Principal) -> ColumnElement[bool]:
    """Events within a principal's places and topics."""
    if principal.everywhere:
        return true()
    clauses: list[ColumnElement[bool]] = []
    for column, names, collection in (
        (EVENTS.c.place, principal.places, "places/"),
        (EVENTS.c.topic, principal.topics, "topics/"),
    ):
        if names:
            clauses.append(or_(*(within(column, name.removeprefix(collection)) for name in names)))
    return and_(true(), *clauses)


def _join_texts(connection: Connection, changes: Sequence[feed_pb2.Change]) -> None:
    """Puts titles into events, and subject and text into the memberships whose authors expect an answer.

    Both are what people wrote: change rows do not keep them, so that a purge destroys them everywhere.
    """
    named: dict[str, dict[str, list[feed_pb2.Change]]] = {"events": {}, "memberships": {}, "regroupings": {}}
    for change in changes:
        collection, _, found = change.name.partition("/")
        named[collection].setdefault(found, []).append(change)
    events, posts = named["events"], named["memberships"]
    titles = select(EVENTS.c.id, EVENTS.c.title)
    for chunk in chunks(events):
        for event_id, title in connection.execute(titles.where(EVENTS.c.id.in_(chunk))):
            _complete(events[event_id], event_pb2.Event(title=title))
    texts = select(POSTS.c.id, POSTS.c.subject, POSTS.c.text).where(POSTS.c.expects_answer)
    for chunk in chunks(posts):
        for post_id, subject, text in connection.execute(texts.where(POSTS.c.id.in_(chunk))):
            _complete(posts[post_id], event_pb2.Membership(subject=subject, text=text))


def _complete(changes: Sequence[feed_pb2.Change], part: Message) -> None:
    """A message appended to a message is the two of them merged."""
    body = part.SerializeToString()
    for change in changes:
        change.resource.value += body
