"""What people say of topics: corrections of posts and of whole events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from huiyin.analyzer.v1 import event_pb2, topic_pb2
from huiyin_chassis.bulk import chunks
from huiyin_chassis.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.filters import compile_filter, name_field, path_field, text_field, time_field
from huiyin_chassis.identity import current_principal
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_analyzer import resources, store
from huiyin_analyzer.readers import Readers
from huiyin_analyzer.service.events import EventMethods, as_of_now, reason_of, scope_of, within_reach
from huiyin_analyzer.store import EVENTS, POSTS, TOPIC_CORRECTIONS, topic_corrections
from huiyin_analyzer.store.regroupings import wait_for_turn
from huiyin_analyzer.topics import as_corrected, as_read, assign

_FILTERS: Final = {
    "membership": name_field(TOPIC_CORRECTIONS.c.post_id, "memberships"),
    "event": name_field(TOPIC_CORRECTIONS.c.event_id, "events"),
    "topic": path_field(TOPIC_CORRECTIONS.c.topic, "topics"),
    "author": text_field(TOPIC_CORRECTIONS.c.author),
    "create_time": time_field(TOPIC_CORRECTIONS.c.create_time),
}


class TopicMethods(EventMethods):
    """What the service does with corrections of topics."""

    _readers: Readers

    async def CorrectTopics(
        self, request: topic_pb2.CorrectTopicsRequest, context: Any
    ) -> topic_pb2.CorrectTopicsResponse:
        """Corrects the topics of posts that the caller may know of."""
        principal = current_principal()
        ids = [name.removeprefix("memberships/") for name in request.memberships]
        reason = reason_of(request.reason)

        def write(tx: Tx) -> topic_pb2.CorrectTopicsResponse:
            path = self._path(tx.connection, request.topic)
            wait_for_turn(tx)
            reach = select(POSTS.c.id).join(EVENTS, EVENTS.c.id == POSTS.c.event_id).where(within_reach(principal))
            there = {
                post_id
                for chunk in chunks(ids)
                for post_id in tx.connection.scalars(reach.where(POSTS.c.id.in_(chunk)))
            }
            missing = [
                FieldViolation(f"memberships[{index}]", f"{name} is not there; look up its name", "POST_UNKNOWN")
                for index, (name, post_id) in enumerate(zip(request.memberships, ids, strict=True))
                if post_id not in there
            ]
            if missing:
                raise InvalidArgument.of(missing)
            self._correct(tx, list(dict.fromkeys(ids)), path, reason=reason, author=principal.subject)
            rows = store.known_posts(tx.connection, ids)
            return topic_pb2.CorrectTopicsResponse(
                memberships=[resources.membership(rows[post_id], with_text=False) for post_id in ids]
            )

        return await self._store.write_once(
            request.request_id,
            "CorrectTopics",
            request,
            write,
            topic_pb2.CorrectTopicsResponse,
            subject=principal.subject,
        )

    async def CorrectEventTopic(self, request: topic_pb2.CorrectEventTopicRequest, context: Any) -> event_pb2.Event:
        """Corrects the topics of all posts of an event."""
        # Whether the caller may know of the event is decided where events are read.
        event = await self.GetEvent(event_pb2.GetEventRequest(name=request.name), context)
        if event.merged_into:
            text = f"{event.name} was merged into {event.merged_into}; correct that"
            raise FailedPrecondition("EVENT_MERGED", text, event=event.merged_into)
        name = event.name
        event_id = name.removeprefix("events/")
        author = current_principal().subject
        reason = reason_of(request.reason)

        def write(tx: Tx) -> event_pb2.Event:
            path = self._path(tx.connection, request.topic)
            wait_for_turn(tx)
            ids = store.post_ids_of(tx.connection, [event_id])
            self._correct(tx, ids, path, reason=reason, author=author, event_id=event_id)
            row = store.events_by_id(tx.connection, [event_id]).get(event_id)
            if row is None:
                raise NotFound(name)
            return as_of_now(row)

        return await self._store.write_once(
            request.request_id, "CorrectEventTopic", request, write, event_pb2.Event, subject=author
        )

    async def ListTopicCorrections(
        self, request: topic_pb2.ListTopicCorrectionsRequest, context: Any
    ) -> topic_pb2.ListTopicCorrectionsResponse:
        """Corrections of posts within the caller's reach, the newest first."""
        principal = current_principal()
        query = select(TOPIC_CORRECTIONS).where(compile_filter(request.filter, _FILTERS))
        if not principal.everywhere:
            query = query.join(POSTS, POSTS.c.id == TOPIC_CORRECTIONS.c.post_id)
            query = query.join(EVENTS, EVENTS.c.id == POSTS.c.event_id).where(within_reach(principal))

        def read(connection: Connection) -> topic_pb2.ListTopicCorrectionsResponse:
            found = page(
                connection,
                query,
                [(TOPIC_CORRECTIONS.c.number, True)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("topic corrections", request.filter, scope_of(principal)),
            )
            return topic_pb2.ListTopicCorrectionsResponse(
                topic_corrections=map(resources.topic_correction, found.rows), next_page_token=found.next_page_token
            )

        return await self._store.read(read)

    def _path(self, connection: Connection, name: str) -> str:
        """The path of a topic's name that posts may be given. Raises InvalidArgument."""
        path = name.removeprefix("topics/")
        if path and path not in store.topics(connection) and path not in self._readers.get(connection).topics.paths:
            why = f"{name} is in no topic tree and no label of the model in force; huiyin apply writes topics"
            raise InvalidArgument("topic", why, "TOPIC_UNKNOWN")
        return path

    def _correct(self, tx: Tx, ids: Sequence[str], path: str, *, reason: str, author: str, event_id: str = "") -> None:
        topic_corrections.note(tx, ids, event_id=event_id, topic=path, reason=reason, author=author)
        said = topic_corrections.in_force(tx.connection, ids)
        found = {post_id: as_corrected(correction) for post_id, correction in said.items()}
        # What is taken back is read again; where no text is kept there is nothing to read, and the topic stays.
        taken_back = store.known_posts(tx.connection, [post_id for post_id in ids if post_id not in said])
        rows = [row for row in taken_back.values() if row.subject or row.text]
        if rows:
            read = self._readers.get(tx.connection).read([(row.subject, row.text) for row in rows])
            found |= {row.id: as_read(topic) for row, (_, topic) in zip(rows, read, strict=True)}
        assign(tx, found)
