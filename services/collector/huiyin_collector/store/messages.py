"""Rows of sources and posts as the messages that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.type import latlng_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import clock
from sqlalchemy import Row

from huiyin_collector.model.posts import REACH

FEED: Final = source_pb2.Source.KIND_FEED
PAGE_LIST: Final = source_pb2.Source.KIND_PAGE_LIST
API: Final = source_pb2.Source.KIND_API
POST_PREFIX: Final = "posts/"
"""Of the names of posts."""


def post_of(row: Row[Any]) -> post_pb2.Post:
    """The message of a row of POSTS."""
    return post_pb2.Post(
        name=f"{POST_PREFIX}{row.id}",
        source=f"sources/{row.source}",
        external_id=row.external_id,
        subject=row.subject,
        text=row.text,
        publish_time=clock.micros_to_timestamp(row.publish_time),
        collect_time=clock.micros_to_timestamp(row.collect_time),
        uri=row.uri,
        reach=reach_of([getattr(row, name) for name in REACH]),
        expects_answer=row.expects_answer,
        drill=row.drill,
        revision=row.revision,
        held=row.held,
        location=location_of(row.latitude, row.longitude),
    )


def reach_of(figures: Sequence[int]) -> post_pb2.PostReach:
    """The message of figures in the order of REACH."""
    return post_pb2.PostReach(**dict(zip(REACH, figures, strict=True)))


def location_of(latitude: float | None, longitude: float | None) -> latlng_pb2.LatLng | None:
    """The message of two columns, both None where there is no place."""
    return latlng_pb2.LatLng(latitude=latitude, longitude=longitude) if latitude is not None else None


def source_of(row: Row[Any]) -> source_pb2.Source:
    """The message of a row of SOURCES_SHOWN."""
    source = source_pb2.Source(
        name=f"sources/{row.id}",
        display_name=row.display_name,
        kind=row.kind,
        expects_answer=row.expects_answer,
        area=row.area,
        create_time=clock.micros_to_timestamp(row.create_time),
        update_time=clock.micros_to_timestamp(row.update_time),
        etag=str(row.revision),
        uri=row.uri or "",
        state=row.state or source_pb2.Source.STATE_UNSPECIFIED,
    )
    if row.kind == PAGE_LIST:
        source.page_list.ParseFromString(bytes(row.rules))
    elif row.kind == API:
        source.api.ParseFromString(bytes(row.rules))
    return source


def rules_of(source: source_pb2.Source) -> bytes:
    """How a source is read, as its row keeps it."""
    if source.kind == PAGE_LIST:
        return source.page_list.SerializeToString(deterministic=True)
    return source.api.SerializeToString(deterministic=True) if source.kind == API else b""
