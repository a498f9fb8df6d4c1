"""The hot list: events ranked by a heat whose terms are told."""

from __future__ import annotations

from typing import Any

import numpy as np
from google.protobuf.duration_pb2 import Duration
from huiyin.analyzer.v1 import heat_pb2
from huiyin_chassis import clock
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.filters import within
from huiyin_chassis.identity import current_principal
from sqlalchemy import ColumnElement, Connection

from huiyin_analyzer import resources, store
from huiyin_analyzer.model.heat import Heat, Window, heat, most
from huiyin_analyzer.model.series import DAY
from huiyin_analyzer.resources import time
from huiyin_analyzer.service.events import within_reach
from huiyin_analyzer.store import EVENTS, AnalyzerStore
from huiyin_analyzer.store import heat as rows

_DEFAULT_SIZE = 20
_SPAN = 7 * DAY
_LONGEST = 366 * DAY
_AT_ONCE = 32


class HeatMethods:
    """What the service ranks."""

    _store: AnalyzerStore

    async def ListHotEvents(
        self, request: heat_pb2.ListHotEventsRequest, context: Any
    ) -> heat_pb2.ListHotEventsResponse:
        """The hottest events of a window, within the caller's reach."""
        window = _window(request)
        conditions = [within_reach(current_principal()), EVENTS.c.drill == request.drill]
        if request.place:
            conditions.append(within(EVENTS.c.place, request.place.removeprefix("places/")))
        if request.topic:
            conditions.append(within(EVENTS.c.topic, request.topic.removeprefix("topics/")))

        def read(connection: Connection) -> heat_pb2.ListHotEventsResponse:
            hottest = _hottest(connection, window, conditions, request.page_size or _DEFAULT_SIZE)
            events = store.events_by_id(connection, [event_id for event_id, _ in hottest])
            return heat_pb2.ListHotEventsResponse(
                events=[
                    heat_pb2.HotEvent(event=resources.event(events[event_id]), heat=_heat(found))
                    for event_id, found in hottest
                ],
                start_time=time(window.start),
                end_time=time(window.end),
                half_life=Duration(seconds=round(window.half_life / 1_000_000)),
            )

        return await self._store.read(read)


def _window(request: heat_pb2.ListHotEventsRequest) -> Window:
    end = timestamp_to_micros(request.end_time) if request.HasField("end_time") else clock.micros(clock.now())
    start = timestamp_to_micros(request.start_time) if request.HasField("start_time") else end - _SPAN
    if start >= end:
        text = "lies at or after end_time, whose default is now; choose an earlier one"
        raise InvalidArgument("start_time", text, "TIMES_REVERSED")
    if end - start > _LONGEST:
        text = f"is more than {_LONGEST // DAY} days before end_time; choose a later one"
        raise InvalidArgument("start_time", text, "WINDOW_TOO_LONG")
    return Window(start, end)


def _hottest(
    connection: Connection, window: Window, conditions: list[ColumnElement[bool]], size: int
) -> list[tuple[str, Heat]]:
    """The hottest events, by looking at the posts of those alone that may be among them."""
    candidates = rows.candidates(connection, window, *conditions)
    if not candidates:
        return []
    ids, posts, last = zip(*candidates, strict=True)
    bounds = most(posts, last, window)
    order = np.argsort(-bounds, kind="stable")
    found: list[tuple[str, Heat]] = []
    for start in range(0, len(order), _AT_ONCE):
        if len(found) >= size and bounds[order[start]] < found[size - 1][1].value:
            break
        spoken = rows.spoken(connection, [ids[index] for index in order[start : start + _AT_ONCE]], window)
        found += [(event_id, heat(said, window)) for event_id, said in spoken.items()]
        found.sort(key=lambda item: (-item[1].value, item[0]))
        del found[size:]
    return found


def _heat(found: Heat) -> heat_pb2.Heat:
    return heat_pb2.Heat(
        heat=found.value,
        voices=found.voices,
        recent_voices=found.recent,
        growth=found.growth,
        earlier_voices=found.earlier,
        later_voices=found.later,
        harm=found.harm,
        gravest_harm=resources.harm(found.gravest),
        harmed_voices=found.harmed,
    )
