"""Orders (抄告单): numbered and kept as a case is assigned, read back with what they cover."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from huiyin.casework.v1 import order_pb2, unit_pb2
from huiyin_chassis import clock
from huiyin_chassis.bulk import insert_many, select_locked, update_many
from huiyin_chassis.store import insert_new
from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from huiyin_casework import offices
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.model.orders import order_id, order_number, series_of
from huiyin_casework.resources import Fields, named, time
from huiyin_casework.rules import Rules
from huiyin_casework.store import (
    ASSIGNMENTS,
    CASES,
    CLOCKS,
    ENTRIES,
    INQUIRIES,
    NO_DEADLINE,
    NOTES,
    ORDER_COUNTERS,
    ORDERS,
)
from huiyin_casework.timekeeping import MET, part_clock

MOST_INQUIRIES = 100
"""Inquiries that an order lists."""
_EXCERPT = 2000


def take_number(files: CaseFiles, *, drill: bool) -> str:
    """The id of the next order of this year, in the time zone of the clock policy.

    Nobody else takes a number of the series until this transaction ends, and none is left out where it is undone.
    """
    tx = files.tx
    zone = ZoneInfo(files.rules.policy.timezone)
    series = series_of(clock.from_micros(tx.now_us).astimezone(zone).year, drill=drill)
    counted = select_locked(tx.connection, ORDER_COUNTERS.c.id, [series])
    if not counted:
        # Two that begin a series at once: one inserts, the other waits for it and goes on from there.
        tx.execute(insert_new(tx.connection, ORDER_COUNTERS), {"id": series, "last": 0})
        counted = select_locked(tx.connection, ORDER_COUNTERS.c.id, [series])
    number = counted[0]["last"] + 1
    update_many(tx.connection, ORDER_COUNTERS, [{"id": series, "last": number}])
    return order_id(series, number)


def issue(
    files: CaseFiles, case: Fields, order: str, *, entry: int, issuer: str, units: Sequence[str], accept_deadline: int
) -> None:
    """Keeps an order as it is given; `units`: the lead unit first."""
    event = files.event(case["event_id"])
    graded_alike = event is not None and event["grade"] == case["grade"]
    values = {
        "id": order,
        "case_id": case["id"],
        "entry": entry,
        "issue_time": files.tx.now_us,
        "office": files.rules.desk,
        "issuer": issuer,
        "lead_unit": units[0],
        "assisting_units": json.dumps(list(units[1:])),
        "topic": case["topic"],
        "place": case["place"],
        "grade": case["grade"],
        "grade_reason": event["grade_reason"] if event is not None and graded_alike else "",
        "accept_deadline": accept_deadline,
        "answer_deadline": 0 if case["deadline"] == NO_DEADLINE else case["deadline"],
        "basis": basis_of(files.rules, case["topic"], case["place"], units[0]),
        "drill": case["drill"],
    }
    insert_many(files.tx.connection, ORDERS, [values])


def basis_of(rules: Rules, topic: str, place: str, lead: str) -> str:
    """What the choice of a lead unit rests on; "" where nothing proposes it first."""
    for fit in rules.dispatched(topic, place):
        if fit.entry.lead == lead:
            return f"{fit.entry.basis}（派单目录 {fit.entry.id}）"
    # Proposed without an entry of the catalogue, so by what the unit answers for.
    return "单位申报的职责范围" if rules.suggested_unit(topic, place) == lead else ""


def orders(within: ColumnElement[bool]) -> Select[Any]:
    """Orders with what their cases and clocks say of them now; `within` limits the cases."""
    beside = and_(NOTES.c.case_id == ORDERS.c.case_id, NOTES.c.number == ORDERS.c.entry)
    # What was accepted is not assigned anew, so the clock of its lead unit's acceptance is that of the order in force.
    acceptance = and_(CLOCKS.c.id == ORDERS.c.case_id + "-" + ORDERS.c.lead_unit, CLOCKS.c.state == MET)
    return (
        select(
            ORDERS,
            CASES.c.title,
            CASES.c.order_id.label("standing"),
            NOTES.c.text.label("note"),
            CLOCKS.c.end_time.label("accept_time"),
        )
        .join(CASES, CASES.c.id == ORDERS.c.case_id)
        .join(NOTES, beside, isouter=True)
        .join(CLOCKS, acceptance, isouter=True)
        .where(within)
    )


def read_orders(connection: Connection, rows: Sequence[Fields]) -> list[order_pb2.Order]:
    """Rows of `orders` as resources, without what they cover."""
    replaced = _replacements(connection, {row["case_id"] for row in rows})
    return [_order(row, replaced.get(row["id"], "")) for row in rows]


def read_whole(connection: Connection, row: Fields) -> order_pb2.Order:
    """An order with the inquiries that it covers and the units that it is given to."""
    (order,) = read_orders(connection, [row])
    covered = _covered(connection, row)
    order.inquiry_count = len(covered)
    query = select(INQUIRIES).where(INQUIRIES.c.id.in_(covered[:MOST_INQUIRIES]))
    for inquiry in connection.execute(query.order_by(INQUIRIES.c.receive_time, INQUIRIES.c.id)).mappings():
        order.inquiries.add(
            inquiry=f"inquiries/{inquiry['id']}",
            subject=inquiry["subject"],
            text=_excerpt(inquiry["text"]),
            receive_time=time(inquiry["receive_time"]),
            deadline=time(inquiry["deadline"]),
            state=inquiry["state"],
        )
    ids = [row["lead_unit"], *json.loads(row["assisting_units"])]
    units = {unit.name: unit for unit in offices.read_units(connection, [row["office"], *ids])}
    order.office_display_name = _called(units, row["office"])
    parts = _part_deadlines(connection, row, ids[1:]) if order.state == order.STATE_IN_FORCE else {}
    for unit in ids:
        name = f"units/{unit}"
        order.units.add(
            unit=name,
            display_name=_called(units, unit),
            contact_persons=units[name].contact_persons if name in units else (),
            contribute_deadline=time(parts.get(unit, 0)),
        )
    return order


def _covered(connection: Connection, row: Fields) -> list[str]:
    """Inquiries that waited in the case when the order was given and are in it still, the oldest first."""
    joined = select(ENTRIES.c.details).where(
        ENTRIES.c.case_id == row["case_id"],
        ENTRIES.c.number < row["entry"],
        ENTRIES.c.step == "case.inquiry_joined",
    )
    before = {json.loads(details)["inquiry"] for details in connection.scalars(joined)}
    waited = (
        select(INQUIRIES.c.id)
        .join(CLOCKS, CLOCKS.c.id == INQUIRIES.c.id)
        .where(INQUIRIES.c.case_id == row["case_id"])
        .where(or_(CLOCKS.c.end_time == 0, CLOCKS.c.end_time > row["issue_time"]))
        .order_by(INQUIRIES.c.receive_time, INQUIRIES.c.id)
    )
    return [inquiry for inquiry in connection.scalars(waited) if inquiry in before]


def _part_deadlines(connection: Connection, row: Fields, units: Sequence[str]) -> dict[str, int]:
    """Until when units contribute that assist still, by unit."""
    assisting = set(connection.scalars(select(ASSIGNMENTS.c.unit_id).where(ASSIGNMENTS.c.case_id == row["case_id"])))
    by_clock = {part_clock(row["case_id"], unit): unit for unit in units if unit in assisting}
    query = select(CLOCKS.c.id, CLOCKS.c.deadline).where(CLOCKS.c.id.in_(by_clock))
    return {by_clock[clock_id]: deadline for clock_id, deadline in connection.execute(query)}


def _replacements(connection: Connection, cases: set[str]) -> dict[str, str]:
    """The next order of the same case, by the order that it took the place of."""
    query = select(ORDERS.c.case_id, ORDERS.c.id).where(ORDERS.c.case_id.in_(cases))
    found: dict[str, str] = {}
    for (case, order), (of_case, following) in pairwise(
        tuple(row) for row in connection.execute(query.order_by(ORDERS.c.case_id, ORDERS.c.entry))
    ):
        if case == of_case:
            found[order] = following
    return found


def _order(row: Fields, replaced_by: str) -> order_pb2.Order:
    state = order_pb2.Order.STATE_REPLACED if replaced_by else order_pb2.Order.STATE_TAKEN_BACK
    in_force = row["standing"] == row["id"]
    return order_pb2.Order(
        name=f"orders/{row['id']}",
        number=order_number(row["id"]),
        case=named("cases", row["case_id"]),
        issue_time=time(row["issue_time"]),
        office=named("units", row["office"]),
        issuer=row["issuer"],
        lead_unit=named("units", row["lead_unit"]),
        assisting_units=(f"units/{unit}" for unit in json.loads(row["assisting_units"])),
        state=order_pb2.Order.STATE_IN_FORCE if in_force else state,
        replaced_by=named("orders", replaced_by),
        title=row["title"],
        topic=named("topics", row["topic"]),
        place=named("places", row["place"]),
        grade=row["grade"],
        grade_reason=row["grade_reason"],
        accept_deadline=time(row["accept_deadline"]),
        answer_deadline=time(row["answer_deadline"]),
        note=row["note"] or "",
        basis=row["basis"],
        accept_time=time(row["accept_time"] or 0) if in_force else None,
        drill=row["drill"],
    )


def _excerpt(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"


def _called(units: Mapping[str, unit_pb2.Unit], unit: str) -> str:
    found = units.get(f"units/{unit}")
    return found.display_name if found is not None else unit
