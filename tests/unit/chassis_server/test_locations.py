"""Points on the map: checked, and kept to a metre."""

from __future__ import annotations

import math

import pytest
from huiyin_chassis.locations import fault, rounded


@pytest.mark.parametrize(
    ("latitude", "longitude", "field"),
    [
        (28.2, 112.9, None),
        (-90, 180, None),
        (112.9, 28.2, "latitude"),
        (28.2, 180.1, "longitude"),
        (math.nan, 0, "latitude"),
        (0, math.inf, "longitude"),
    ],
)
def test_a_point_lies_on_the_earth(latitude: float, longitude: float, field: str | None) -> None:
    found = fault(latitude, longitude)
    assert (found and found[0]) == field


def test_a_point_says_the_house_and_not_the_window() -> None:
    assert rounded(28.203612345) == 28.20361
