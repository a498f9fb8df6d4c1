"""The series of an event, its bursts and its forecast, on a real store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from huiyin.analyzer.v1 import reach_pb2
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import EVENTS, MIGRATIONS, POSTS, AnalyzerStore
from huiyin_chassis import clock
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.policies import Policies
from sqlalchemy import insert

from tests.databases import migrate

MONDAY = datetime.fromisoformat("2026-03-02T00:00:00+08:00")
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)
Width = reach_pb2.GetEventSeriesRequest
Posts = Sequence[tuple[timedelta, str, bytes, int]]
"""When after MONDAY, from which source, by which voice of the day, with how many votes."""


def fill(column: Any) -> object:
    """A value for a column that no series reads."""
    kind = column.type.python_type
    return kind()


def rows(table: Any, known: Sequence[dict[str, object]]) -> list[dict[str, object]]:
    rest = {column.name: fill(column) for column in table.columns if not column.nullable}
    return [{**rest, **row} for row in known]


def at(moment: datetime | timedelta) -> int:
    return clock.micros(MONDAY + moment if isinstance(moment, timedelta) else moment)


GRADING = """
media: [{media}]
rules:
  - {{id: many, grade: LARGE, when: voices >= 10, why: 反映较多}}
"""


def run(url: str, posts: Posts, test: Callable[[AnalyzerServicer], Awaitable[None]], media: str = "") -> None:
    """An event `e` with these posts, in no order, and another one with a post of its own."""

    async def body() -> None:
        set_current_principal(DESK)
        store = AnalyzerStore(url)
        await store.open()
        members = [("e", *post) for post in reversed(posts)] + [("other", HOUR, "sources/other", b"x", 9)]
        posted = [
            {
                "id": f"p{number}",
                "number": number,
                "event_id": event,
                "publish_time": at(after),
                "source": source,
                "voice_day": voice,
                "votes": votes,
            }
            for number, (event, after, source, voice, votes) in enumerate(members)
        ]
        last = max(at(post[0]) for post in posts)
        events = [
            {"id": "e", "place": "A市", "last_publish_time": last},
            {"id": "other", "place": "B市", "last_publish_time": at(HOUR)},
        ]
        await store.write(lambda tx: (tx.execute(insert(POSTS), rows(POSTS, posted)), None)[1])
        await store.write(lambda tx: (tx.execute(insert(EVENTS), rows(EVENTS, events)), None)[1])
        policies = Policies({"grading": check_grading})
        await store.write(lambda tx: policies.seed(tx, "grading", GRADING.format(media=media)))
        try:
            await test(AnalyzerServicer(store, Feed(store), policies))
        finally:
            await store.close()

    migrate(url, MIGRATIONS)
    asyncio.run(body())


async def series(service: AnalyzerServicer, **request: Any) -> reach_pb2.GetEventSeriesResponse:
    return await service.GetEventSeries(reach_pb2.GetEventSeriesRequest(name="events/e", **request), None)


FEW: Posts = [
    (9 * HOUR, "sources/a", b"one", 3),
    (9 * HOUR + timedelta(minutes=20), "sources/a", b"one", 0),
    (9 * HOUR + timedelta(minutes=40), "sources/b", b"two", 4),
    (11 * HOUR, "sources/b", b"", 1),
    (DAY + 11 * HOUR, "sources/c", b"next day", 0),
]


def test_a_series_counts_posts_voices_sources_and_engagement_by_hour(database_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        found = await series(service)
        assert len(found.buckets) == 168 + 1  # the last hour is that of the last post
        assert found.end_time.ToDatetime(MONDAY.tzinfo) == MONDAY + DAY + 12 * HOUR
        counted = [
            (
                bucket.start_time.ToDatetime(MONDAY.tzinfo),
                bucket.posts,
                bucket.voices,
                bucket.sources,
                bucket.engagement,
            )
            for bucket in found.buckets
            if bucket.posts
        ]
        assert counted == [
            (MONDAY + 9 * HOUR, 3, 2, 2, 7),
            (MONDAY + 11 * HOUR, 1, 0, 1, 1),
            (MONDAY + DAY + 11 * HOUR, 1, 1, 1, 0),
        ]
        assert (found.posts, found.voice_days, found.sources, found.engagement) == (5, 3, 3, 8)
        assert not found.HasField("forecast")

    run(database_url, FEW, body)


def test_posts_from_media_are_told_where_the_policy_names_media(sqlite_url: str) -> None:
    async def named(service: AnalyzerServicer) -> None:
        found = await series(service)
        assert [bucket.media for bucket in found.buckets if bucket.posts] == [1, 1, 0] and found.media == 2
        assert all(bucket.HasField("media") for bucket in found.buckets)

    run(sqlite_url, FEW, named, media="sources/b")


def test_without_named_media_none_are_counted(sqlite_url: str) -> None:
    async def unnamed(service: AnalyzerServicer) -> None:
        found = await series(service)
        assert not found.HasField("media") and not any(bucket.HasField("media") for bucket in found.buckets)

    run(sqlite_url, FEW, unnamed)


def test_days_are_those_of_the_zone(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        start, end = clock.to_timestamp(MONDAY), clock.to_timestamp(MONDAY + 2 * DAY)
        found = await series(service, start_time=start, end_time=end, width=Width.WIDTH_DAY)
        assert [(bucket.posts, bucket.voices) for bucket in found.buckets] == [(4, 2), (1, 1)]
        # 11:00 in Shanghai is 19:00 of the day before in Los Angeles.
        zone = "America/Los_Angeles"
        found = await series(service, start_time=start, end_time=end, width=Width.WIDTH_DAY, time_zone=zone)
        assert [bucket.posts for bucket in found.buckets] == [4, 1, 0]

    run(sqlite_url, FEW, body)


def test_what_came_after_the_end_is_not_known(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        end = clock.to_timestamp(MONDAY + 9 * HOUR + timedelta(minutes=30))
        found = await series(service, end_time=end)
        assert found.posts == 2 and found.buckets[-1].posts == 2

    run(sqlite_url, FEW, body)


def test_a_live_event_is_shown_until_now_and_an_old_one_until_its_last_post(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        with clock.stopped(MONDAY + 4 * DAY):
            live = await series(service)
        with clock.stopped(MONDAY + 40 * DAY):
            old = await series(service)
        assert live.end_time.ToDatetime(MONDAY.tzinfo) == MONDAY + 4 * DAY
        assert old.end_time.ToDatetime(MONDAY.tzinfo) == MONDAY + DAY + 12 * HOUR

    run(sqlite_url, FEW, body)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"start_time": MONDAY + DAY, "end_time": MONDAY + DAY}, "TIMES_REVERSED"),
        ({"start_time": MONDAY - 50 * DAY, "end_time": MONDAY}, "TOO_MANY_BUCKETS"),
        ({"time_zone": "Mars/Olympus"}, "TIME_ZONE_UNKNOWN"),
    ],
)
def test_what_cannot_be_counted_is_refused(sqlite_url: str, request_: dict[str, Any], reason: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        fields = {
            name: clock.to_timestamp(value) if isinstance(value, datetime) else value
            for name, value in request_.items()
        }
        with pytest.raises(InvalidArgument) as refused:
            await series(service, **fields)
        assert refused.value.reason == reason

    run(sqlite_url, FEW, body)


def test_the_widest_series_that_is_allowed_is_served(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        end = MONDAY + 2 * DAY
        found = await series(service, start_time=clock.to_timestamp(end - 999 * HOUR), end_time=clock.to_timestamp(end))
        assert len(found.buckets) == 999 and found.posts == 5

    run(sqlite_url, FEW, body)


def test_who_may_not_see_the_event_does_not_see_its_series(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        set_current_principal(Principal("accounts/b", places=("places/B市",)))
        with pytest.raises(NotFound):
            await series(service)
        set_current_principal(Principal("accounts/a", places=("places/A市",)))
        assert (await series(service)).posts == 5

    run(sqlite_url, FEW, body)


def test_a_burst_is_told_with_its_statistic_and_figures(database_url: str) -> None:
    calm = [(hour * HOUR, "sources/a", b"", 0) for hour in range(0, 20 * 24, 2)]
    start = 20 * DAY + 9 * HOUR
    burst = [(start + timedelta(minutes=minute), "sources/b", b"", 0) for minute in range(0, 90, 3)]

    async def body(service: AnalyzerServicer) -> None:
        found = await series(service, end_time=clock.to_timestamp(MONDAY + 22 * DAY))
        (told,) = found.bursts
        begun = told.start_time.ToDatetime(MONDAY.tzinfo)
        assert abs(begun - (MONDAY + start)) <= 2 * HOUR
        assert told.alarm_time.ToDatetime(MONDAY.tzinfo) <= MONDAY + start + HOUR
        assert told.HasField("end_time") and told.posts >= 20 and told.expected_posts < 5
        assert told.surprise >= found.burst_threshold > 0 and found.burst_statistic
        during = await series(service, end_time=clock.to_timestamp(MONDAY + start + HOUR))
        assert not during.bursts[-1].HasField("end_time")

    run(database_url, [*calm, *burst], body)


def test_a_forecast_is_made_where_there_is_enough_to_make_it_from(database_url: str) -> None:
    daily = [
        (day * DAY + hour * HOUR, "sources/a", b"", 0) for day in range(28) for hour in range(8, 20) for _ in range(2)
    ]

    async def body(service: AnalyzerServicer) -> None:
        end = clock.to_timestamp(MONDAY + 28 * DAY + timedelta(minutes=5))
        found = (await series(service, end_time=end, forecast=True)).forecast
        assert found.evidence == reach_pb2.SeriesForecast.EVIDENCE_SUFFICIENT
        assert found.start_time.ToDatetime(MONDAY.tzinfo) == MONDAY + 28 * DAY and len(found.hours) == 24
        night, noon = found.hours[3].posts, found.hours[12].posts
        assert night.expected < 0.5 < 1.5 < noon.expected
        assert found.total.low <= 24 <= found.total.high and 0.5 < found.total.probability <= 1

    run(database_url, daily, body)


def test_too_few_posts_are_said_to_be_too_few(sqlite_url: str) -> None:
    async def body(service: AnalyzerServicer) -> None:
        found = (await series(service, forecast=True)).forecast
        assert found.evidence == reach_pb2.SeriesForecast.EVIDENCE_INSUFFICIENT
        assert not found.hours and not found.HasField("total") and found.method

    run(sqlite_url, FEW, body)
