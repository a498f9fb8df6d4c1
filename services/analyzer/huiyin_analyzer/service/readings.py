"""Reads texts for whoever asks: of posts that are kept, and of others that are not."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any, NamedTuple, cast

from huiyin.analyzer.v1 import reading_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.masking import mask_text
from sqlalchemy import Connection, Row, select

from huiyin_analyzer import resources
from huiyin_analyzer.model.text import Reader, Reading
from huiyin_analyzer.model.times import TimeMention, times_in
from huiyin_analyzer.model.topics import TopicReading
from huiyin_analyzer.model.urgency import urgency, when
from huiyin_analyzer.readers import InForce, Readers
from huiyin_analyzer.service.events import within_reach
from huiyin_analyzer.service.zones import zone_of
from huiyin_analyzer.store import EVENTS, POSTS, AnalyzerStore

_TIMES_CHARACTERS = 4_000
"""How much of a text is searched for times."""

_TIMES = range(4_102_444_800)
"""Seconds since the epoch that a text may have been written at, to the end of 2099."""


class _Post(NamedTuple):
    subject: str
    text: str
    published: datetime | None


class ReadingMethods:
    """What the service reads."""

    _store: AnalyzerStore
    _readers: Readers

    async def GetMembership(
        self, request: reading_pb2.GetMembershipRequest, context: Any
    ) -> reading_pb2.GetMembershipResponse:
        """A membership within the caller's reach, and what is read of its post."""
        post_id = request.name.removeprefix("memberships/")
        query = select(POSTS).join(EVENTS, EVENTS.c.id == POSTS.c.event_id)
        query = query.where(POSTS.c.id == post_id, within_reach(current_principal()))

        def read(connection: Connection) -> tuple[Row[Any], InForce]:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFound(request.name)
            return row, self._readers.get(connection)

        row, in_force = await self._store.read(read)
        found = reading_pb2.GetMembershipResponse(membership=resources.membership(row, with_text=True))
        if row.subject or row.text:
            post = _Post(row.subject, row.text, clock.from_micros(row.publish_time))
            found.reading.CopyFrom(_read(in_force, [post], zone_of(""))[0])
        return found

    async def AnalyzeTexts(
        self, request: reading_pb2.AnalyzeTextsRequest, context: Any
    ) -> reading_pb2.AnalyzeTextsResponse:
        """What is read of texts that are masked first and stored nowhere."""
        zone = zone_of(request.time_zone)
        times = [_published(text, index) for index, text in enumerate(request.texts)]
        in_force = await self._store.read(self._readers.get)

        def read() -> reading_pb2.AnalyzeTextsResponse:
            posts = [
                _Post(mask_text(text.subject), mask_text(text.text), published)
                for text, published in zip(request.texts, times, strict=True)
            ]
            return reading_pb2.AnalyzeTextsResponse(readings=_read(in_force, posts, zone))

        return await asyncio.to_thread(read)


def _published(text: reading_pb2.Text, index: int) -> datetime | None:
    if not text.HasField("publish_time"):
        return None
    if text.publish_time.seconds not in _TIMES:
        why = "lies before 1970 or after 2099; leave it out where it is not known"
        raise InvalidArgument(f"texts[{index}].publish_time", why, "TIME_IMPLAUSIBLE")
    return clock.from_timestamp(text.publish_time)


def _read(in_force: InForce, posts: Sequence[_Post], zone: tzinfo) -> list[reading_pb2.Reading]:
    read = in_force.read([(post.subject, post.text) for post in posts])
    return [_told(in_force.texts, post, *found, zone) for post, found in zip(posts, read, strict=True)]


def _told(reader: Reader, post: _Post, reading: Reading, topic: TopicReading, zone: tzinfo) -> reading_pb2.Reading:
    evidence = reader.evidence(post.subject, post.text, reading)
    text = f"{post.subject}\n{post.text[:_TIMES_CHARACTERS]}"
    times = times_in(text, post.published, zone)
    return reading_pb2.Reading(
        places=map(resources.place_name, evidence.places),
        times=map(_time, times),
        intent=resources.intent(reading.intent),
        intent_words=evidence.intent,
        harms=[
            reading_pb2.HarmReading(harm=resources.harm(harm), words=words) for harm, words in evidence.harms.items()
        ],
        urgency=cast("reading_pb2.Urgency.ValueType", urgency(reading.harm, when(times, text, post.published))),
        topic=_topic(topic),
    )


def _time(time: TimeMention) -> reading_pb2.TimeReading:
    return reading_pb2.TimeReading(
        text=time.text,
        start_time=clock.to_timestamp(time.start) if time.start else None,
        end_time=clock.to_timestamp(time.end) if time.end else None,
        recurring=time.recurring,
    )


def _topic(topic: TopicReading) -> reading_pb2.TopicReading:
    return reading_pb2.TopicReading(
        topic=resources.topic_name(topic.path),
        label=topic.label,
        levels=[topic.label, *topic.path.split(".")[1:]] if topic.path else [],
        confidence=topic.confidence,
        low=topic.low,
        model=resources.topic_model_name(topic.model),
    )
