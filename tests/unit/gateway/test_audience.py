"""Which rows of the stream a caller gets: those within reach, of the kinds, units and grades asked for."""

from __future__ import annotations

from typing import Any

import pytest
from huiyin.analyzer.v1 import assessment_pb2, event_pb2
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2
from huiyin.collector.v1 import source_pb2
from huiyin.notifier.v1 import notification_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis.identity import ROLES, Principal
from huiyin_gateway.audience import Selection, audience_of

DESK = Principal("accounts/desk", ROLES["desk"], ("desk",), everywhere=True)
WATER = Principal("accounts/officer", ROLES["officer"], ("officer",), units=("water", "pumps"))

LARGE = grade_pb2.GRADE_LARGE
ROWS: dict[str, Any] = {
    "event": event_pb2.Event(assessment=assessment_pb2.Assessment(grade=LARGE), place="places/云溪市.东湖区"),
    "case of water": case_pb2.Case(lead_unit="units/water", grade=LARGE),
    "case with pumps": case_pb2.Case(lead_unit="units/roads", assisting_units=["units/pumps"], grade=LARGE),
    "case of roads": case_pb2.Case(lead_unit="units/roads", grade=grade_pb2.GRADE_SERIOUS),
    "clock of water": clock_pb2.Clock(unit="units/water", supervising_unit="units/desk", grade=1),
    "notification of roads": notification_pb2.Notification(unit="units/roads", grade=1),
    "inquiry": inquiry_pb2.Inquiry(),
    "source": source_pb2.Source(),
}


def taken(selection: Selection) -> set[str]:
    return {name for name, row in ROWS.items() if selection.takes("x.updated", audience_of(row))}


def test_who_is_everywhere_gets_every_row_and_an_office_its_own() -> None:
    assert taken(Selection(DESK, ())) == ROWS.keys()
    office = {"event", "case of water", "case with pumps", "clock of water", "source"}
    assert taken(Selection(WATER, ())) == office


@pytest.mark.parametrize(
    ("units", "names"),
    [
        (["units/water"], {"case of water", "clock of water"}),
        (["units/pumps", "units/desk"], {"case with pumps", "clock of water"}),
        (["units/roads"], {"case with pumps", "case of roads", "notification of roads"}),
        (["units/none"], set()),
    ],
)
def test_units_leave_what_is_their_business(units: list[str], names: set[str]) -> None:
    assert taken(Selection(DESK, (), units)) == names


def test_a_least_grade_leaves_what_is_at_least_so_grave() -> None:
    assert taken(Selection(DESK, (), (), LARGE)) == {"event", "case of water", "case with pumps", "case of roads"}
    assert taken(Selection(DESK, (), (), grade_pb2.GRADE_SERIOUS)) == {"case of roads"}
    assert taken(Selection(DESK, (), ["units/roads"], LARGE)) == {"case with pumps", "case of roads"}


def test_what_is_asked_for_widens_no_reach() -> None:
    assert taken(Selection(WATER, (), ["units/roads"])) == {"case with pumps"}


def test_selections_are_equal_where_they_take_the_same() -> None:
    one = Selection(DESK, ["case.*", "event.created"], ["units/water"], LARGE)
    assert one == Selection(DESK, ["event.created", "case.*"], ["units/water"], LARGE)
    assert one != Selection(DESK, ["event.created", "case.*"], ["units/water"], 1)
    assert one != Selection(DESK, ["event.created", "case.*"], (), LARGE)
    assert one != Selection(WATER, ["event.created", "case.*"], ["units/water"], LARGE)
