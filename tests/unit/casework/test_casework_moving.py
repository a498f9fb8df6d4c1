"""What a row of the list that an office brings along must say, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huiyin_casework.model.moving import Came, Row, came, fault, unit_named

NOW = 1_000
ROW = Row(external_id="17", text="路灯坏了", state=None, received=500)
NAMES = {"water": "水务局", "roads": "交通局", "roads-2": "交通局"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, Came.REGISTERED),
        ({"lead_unit": "water"}, Came.ACCEPTED),
        ({"lead_unit": "water", "reply": "已修好"}, Came.ANSWERED),
        ({"lead_unit": "water", "reply": "已修好", "state": Came.ASSIGNED}, Came.ASSIGNED),
    ],
)
def test_how_far_a_matter_had_come_follows_from_the_row_where_it_does_not_say(
    values: dict[str, object], expected: Came
) -> None:
    assert came(replace(ROW, **values)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({"external_id": " "}, "external_id", "REQUIRED"),
        ({"text": ""}, "text", "REQUIRED"),
        ({"received": 0}, "receive_time", "REQUIRED"),
        ({"received": 1_001}, "receive_time", "IN_FUTURE"),
        ({"deadline": 500}, "deadline", "TOO_EARLY"),
        ({"state": Came.ANSWERED}, "reply_text", "REQUIRED"),
        ({"reply": "已修好", "answered": 1_001}, "answer_time", "IN_FUTURE"),
        ({"state": Came.ASSIGNED}, "lead_unit", "REQUIRED"),
        ({"state": Came.ACCEPTED}, "lead_unit", "REQUIRED"),
    ],
)
def test_a_row_that_lacks_something_is_refused_with_the_field_and_what_to_do(
    values: dict[str, object], field: str, reason: str
) -> None:
    found = fault(replace(ROW, **values), NOW)  # type: ignore[arg-type]
    assert found is not None
    assert (found.field, found.reason) == (field, reason)
    assert len(found.description) > 20


def test_a_row_that_says_enough_is_taken() -> None:
    assert fault(replace(ROW, deadline=501, lead_unit="water"), NOW) is None
    assert fault(replace(ROW, reply="已修好"), NOW) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [("units/water", "water"), ("water", "water"), (" 水务局 ", "water"), ("交通局", None), ("住建局", None)],
)
def test_a_unit_is_named_by_its_id_or_by_a_name_that_it_has_alone(given: str, expected: str | None) -> None:
    assert unit_named(given, NAMES) == expected
