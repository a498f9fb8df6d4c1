"""Points on the map that people mark: WGS 84, to a metre."""

from __future__ import annotations

from typing import Final

from google.type import latlng_pb2

from huiyin_chassis.errors import InvalidArgument

_DECIMALS: Final = 5
"""Of a degree: about a metre. More says which window, and is noise."""


def fault(latitude: float, longitude: float) -> tuple[str, str] | None:
    """The coordinate that is none, and what to do; None where both are."""
    # Written so that what is no number fails too.
    if not -90 <= latitude <= 90:
        return "latitude", "must be from -90 to 90 degrees (WGS 84); perhaps latitude and longitude are exchanged"
    if not -180 <= longitude <= 180:
        return "longitude", "must be from -180 to 180 degrees (WGS 84)"
    return None


def rounded(degrees: float) -> float:
    """A coordinate as it is kept."""
    return round(degrees, _DECIMALS)


def checked_location(given: latlng_pb2.LatLng, field: str = "location") -> latlng_pb2.LatLng:
    """A point as it is kept. Raises InvalidArgument."""
    if found := fault(given.latitude, given.longitude):
        raise InvalidArgument(f"{field}.{found[0]}", found[1], "OUT_OF_RANGE")
    return latlng_pb2.LatLng(latitude=rounded(given.latitude), longitude=rounded(given.longitude))
