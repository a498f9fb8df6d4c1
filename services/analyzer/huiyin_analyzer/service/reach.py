"""How far events reach: their series, bursts and forecasts, counted when they are asked for."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

from huiyin.analyzer.v1 import event_pb2, reach_pb2
from huiyin_chassis import clock
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection

from huiyin_analyzer.grades import compiled
from huiyin_analyzer.model import bursts, forecast, series
from huiyin_analyzer.model.bursts import Burst
from huiyin_analyzer.model.forecast import Interval
from huiyin_analyzer.model.series import DAY, HOUR, Arrival, Bucket
from huiyin_analyzer.resources import time
from huiyin_analyzer.service.events import EventMethods
from huiyin_analyzer.service.zones import zone_of
from huiyin_analyzer.store.reach import arrivals

_MOST_BUCKETS = 1000
_SPAN = 7 * DAY


class ReachMethods(EventMethods):
    """What the service does with series."""

    _policies: Policies

    async def GetEventSeries(
        self, request: reach_pb2.GetEventSeriesRequest, context: Any
    ) -> reach_pb2.GetEventSeriesResponse:
        """The series of an event within the caller's reach."""
        zone = zone_of(request.time_zone)
        # Whether the caller may know of the event is decided where events are read.
        event = await self.GetEvent(event_pb2.GetEventRequest(name=request.name), context)
        until = _until(request, event)
        edges = _edges(request, until, zone)

        def read(connection: Connection) -> reach_pb2.GetEventSeriesResponse:
            found = arrivals(connection, event.name.removeprefix("events/"), until)
            media = compiled(self._policies.active(connection, "grading").body).media
            response = _response(event.name, found, edges, media)
            _add_bursts(response, found, edges, until, zone)
            if request.forecast:
                _add_forecast(response.forecast, found, until, zone)
            return response

        return await self._store.read(read)


def _until(request: reach_pb2.GetEventSeriesRequest, event: event_pb2.Event) -> int:
    """Where the series ends; what is published from then on is not known to it."""
    if request.HasField("end_time"):
        return timestamp_to_micros(request.end_time)
    now, last = clock.micros(clock.now()), timestamp_to_micros(event.last_publish_time)
    return now if last < now <= last + _SPAN else last + 1


def _edges(request: reach_pb2.GetEventSeriesRequest, until: int, zone: tzinfo) -> list[int]:
    """Where buckets begin, and where the last one ends."""
    start = timestamp_to_micros(request.start_time) if request.HasField("start_time") else until - _SPAN
    if start >= until:
        text = "lies at or after end_time, whose default is the event's last post; choose an earlier one"
        raise InvalidArgument("start_time", text, "TIMES_REVERSED")
    daily = request.width == reach_pb2.GetEventSeriesRequest.WIDTH_DAY
    if (until - start) // (DAY if daily else HOUR) >= _MOST_BUCKETS:
        text = f"is more than {_MOST_BUCKETS:,} buckets before end_time; choose a later one or wider buckets"
        raise InvalidArgument("start_time", text, "TOO_MANY_BUCKETS")
    edges = [series.day_start(start, zone) if daily else series.hour_start(start)]
    while edges[-1] < until:
        edges.append(series.next_day(edges[-1], zone) if daily else edges[-1] + HOUR)
    return edges


def _response(
    name: str, found: list[Arrival], edges: list[int], media: frozenset[str]
) -> reach_pb2.GetEventSeriesResponse:
    counted = series.buckets(found, edges, media)
    whole = Bucket(edges[0], edges[-1])
    for arrival in found:
        if arrival.time >= edges[0]:
            whole.count(arrival, media)
    return reach_pb2.GetEventSeriesResponse(
        event=name,
        start_time=time(edges[0]),
        end_time=time(edges[-1]),
        buckets=[_bucket(bucket, told=bool(media)) for bucket in counted],
        posts=whole.posts,
        voice_days=len(whole.voices),
        sources=len(whole.sources),
        engagement=whole.engagement,
        media=whole.media if media else None,
    )


def _bucket(bucket: Bucket, *, told: bool) -> reach_pb2.SeriesBucket:
    return reach_pb2.SeriesBucket(
        start_time=time(bucket.start),
        posts=bucket.posts,
        voices=len(bucket.voices),
        sources=len(bucket.sources),
        engagement=bucket.engagement,
        media=bucket.media if told else None,
    )


def _add_bursts(
    response: reach_pb2.GetEventSeriesResponse, found: list[Arrival], edges: list[int], until: int, zone: tzinfo
) -> None:
    response.burst_statistic = bursts.STATISTIC
    response.burst_threshold = bursts.ALARM
    if found:
        first_hour = series.hour_of_week(found[0].time, zone)
        times = [arrival.time for arrival in found]
        response.bursts.extend(map(_burst, bursts.find_bursts(times, edges[0], until, first_hour)))


def _burst(burst: Burst) -> reach_pb2.Burst:
    return reach_pb2.Burst(
        start_time=time(burst.start),
        alarm_time=time(burst.alarm),
        end_time=None if burst.end is None else time(burst.end),
        window_start_time=time(burst.window_start),
        window_end_time=time(burst.window_end),
        posts=burst.posts,
        expected_posts=burst.expected,
        surprise=burst.surprise,
    )


def _add_forecast(message: reach_pb2.SeriesForecast, found: list[Arrival], until: int, zone: tzinfo) -> None:
    start = series.hour_start(until)
    first = max(series.hour_start(found[0].time) if found else start, start - series.HISTORY_HOURS * HOUR)
    counts = series.hourly([arrival.time for arrival in found], first, start)
    made = forecast.forecast(counts, series.hour_of_week(first, zone))
    message.method = forecast.METHOD
    message.start_time.CopyFrom(time(start))
    message.evidence = reach_pb2.SeriesForecast.EVIDENCE_INSUFFICIENT
    if made:
        message.evidence = reach_pb2.SeriesForecast.EVIDENCE_SUFFICIENT
        message.total.CopyFrom(_count(made.total))
        for hour, interval in enumerate(made.hours):
            message.hours.add(start_time=time(start + hour * HOUR), posts=_count(interval))


def _count(interval: Interval) -> reach_pb2.CountForecast:
    return reach_pb2.CountForecast(
        expected=interval.expected, low=interval.low, high=interval.high, probability=interval.probability
    )
