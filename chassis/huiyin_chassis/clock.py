"""Time: the one place that reads the wall clock, and the forms in which times are kept and sent.

Datetimes are timezone-aware and in UTC, tables hold microseconds since the epoch, the wire has Timestamp.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from google.protobuf import timestamp_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _wall() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _wall


def now() -> datetime:
    """The present, in UTC."""
    return _source()


@contextlib.contextmanager
def stopped(at: datetime | Callable[[], datetime]) -> Iterator[None]:
    """For tests: inside the block, `now` is `at`, or whatever `at()` says."""
    global _source
    before = _source
    _source = at if callable(at) else lambda: at
    try:
        yield
    finally:
        _source = before


def micros(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z of an aware datetime, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(microseconds: int) -> datetime:
    """The UTC datetime of microseconds since the epoch, exact."""
    return _EPOCH + timedelta(microseconds=microseconds)


def micros_to_timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    """The Timestamp of microseconds since the epoch."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1000)


def timestamp_to_micros(timestamp: timestamp_pb2.Timestamp) -> int:
    """Microseconds since the epoch of a Timestamp; what is finer is cut off."""
    return timestamp.seconds * 1_000_000 + timestamp.nanos // 1000


def to_timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    """The Timestamp of an aware datetime."""
    return micros_to_timestamp(micros(moment))


def from_timestamp(timestamp: timestamp_pb2.Timestamp) -> datetime:
    """The UTC datetime of a Timestamp."""
    return from_micros(timestamp_to_micros(timestamp))
