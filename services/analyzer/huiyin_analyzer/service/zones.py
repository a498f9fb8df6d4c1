"""The zones that callers name."""

from __future__ import annotations

from datetime import tzinfo
from zoneinfo import ZoneInfo

from huiyin_chassis.errors import InvalidArgument

_HOME = "Asia/Shanghai"


def zone_of(name: str) -> tzinfo:
    """The zone of that name, Asia/Shanghai of none. Raises InvalidArgument on `time_zone`."""
    try:
        return ZoneInfo(name or _HOME)
    except (KeyError, OSError, ValueError) as error:
        text = f"{name!r} is no time zone; use a name of the IANA database, e.g. Asia/Shanghai"
        raise InvalidArgument("time_zone", text, "TIME_ZONE_UNKNOWN") from error
