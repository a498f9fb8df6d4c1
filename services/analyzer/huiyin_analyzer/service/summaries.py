"""Summaries of events: sentences of their posts, chosen when they are asked for."""

from __future__ import annotations

from typing import Any

from huiyin.analyzer.v1 import event_pb2, summary_pb2
from sqlalchemy import Connection, Row, or_, select

from huiyin_analyzer.model.summary import Kept, summarise
from huiyin_analyzer.resources import time
from huiyin_analyzer.service.events import EventMethods
from huiyin_analyzer.store import POSTS

_SENTENCES = 3
_EACH_END = 100


class SummaryMethods(EventMethods):
    """What the service sums up."""

    async def GetEventSummary(
        self, request: summary_pb2.GetEventSummaryRequest, context: Any
    ) -> summary_pb2.GetEventSummaryResponse:
        """What the posts of an event within the caller's reach say."""
        # Whether the caller may know of the event is decided where events are read.
        event = await self.GetEvent(event_pb2.GetEventRequest(name=request.name), context)

        def read(connection: Connection) -> summary_pb2.GetEventSummaryResponse:
            rows = _kept(connection, event.name.removeprefix("events/"))
            posts = [Kept(row.id, row.subject, row.text) for row in rows]
            published = {row.id: row.publish_time for row in rows}
            return summary_pb2.GetEventSummaryResponse(
                event=event.name,
                sentences=[
                    summary_pb2.SummarySentence(
                        text=sentence.text, post=f"posts/{sentence.post}", publish_time=time(published[sentence.post])
                    )
                    for sentence in summarise(posts, request.sentence_count or _SENTENCES)
                ],
                posts_read=len(posts),
            )

        return await self._store.read(read)


def _kept(connection: Connection, event_id: str) -> list[Row[Any]]:
    """The first and the newest posts of an event whose text is kept, in the order of joining."""
    query = select(POSTS.c.number, POSTS.c.id, POSTS.c.subject, POSTS.c.text, POSTS.c.publish_time).where(
        POSTS.c.event_id == event_id, or_(POSTS.c.subject != "", POSTS.c.text != "")
    )
    first = connection.execute(query.order_by(POSTS.c.number).limit(_EACH_END)).all()
    newest = connection.execute(query.order_by(POSTS.c.number.desc()).limit(_EACH_END)).all()
    return list({row.number: row for row in (*first, *reversed(newest))}.values())
