"""Units and who works in them: writing the tree, seeding it, and how far an account reaches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from huiyin.casework.v1 import unit_pb2
from huiyin_chassis.bulk import chunks, fetch, insert_many
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import FailedPrecondition, FieldViolation, InvalidArgument
from huiyin_chassis.identity import Principal
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, bindparam, delete, select, update

from huiyin_casework import resources, store
from huiyin_casework.model.clocks.policy import parse_timezone, parse_working_hours
from huiyin_casework.store import ASSIGNMENTS, CLOCKS, MEMBERS, UNITS

_EVERYWHERE = frozenset({"desk", "inspector", "admin"})

_APPROVER = "approver"

_FIRST_DESK = unit_pb2.Unit(
    name="units/desk",
    display_name="诉求受理中心",
    kind="desk",
    desk=True,
    members=[
        unit_pb2.UnitMember(account=f"accounts/{role}", roles=[role])
        for role in ("desk", "officer", "reviewer", "approver")
    ],
)
"""The one unit of a new installation, with the demonstration accounts as its members."""


def seed(tx: Tx) -> None:
    """Makes the first desk where there is no unit at all."""
    if tx.execute(select(UNITS.c.id).limit(1)).first() is None:
        write_units(tx, [_FIRST_DESK])


def write_units(tx: Tx, units: Sequence[unit_pb2.Unit]) -> int:
    """Writes units, all or none; returns how many were new or different. Raises InvalidArgument on a broken tree."""
    known = {unit.name: unit for unit in read_units(tx.connection)}
    _check_tree(known, units)
    changed = [unit for unit in units if known.get(unit.name) != _plain(unit)]
    ids = [unit.name.removeprefix("units/") for unit in changed]
    for chunk in chunks(ids):
        tx.execute(delete(UNITS).where(UNITS.c.id.in_(chunk)))
        tx.execute(delete(MEMBERS).where(MEMBERS.c.unit_id.in_(chunk)))
    insert_many(tx.connection, UNITS, [_row(unit) for unit in changed])
    members = [
        {
            "unit_id": unit.name.removeprefix("units/"),
            "account": member.account.removeprefix("accounts/"),
            "roles": json.dumps(list(member.roles)),
        }
        for unit in changed
        for member in unit.members
    ]
    insert_many(tx.connection, MEMBERS, members)
    # Clocks of orders count in the hours of their unit; nought is before every edition, so they are counted anew.
    moved = [unit.name.removeprefix("units/") for unit in changed if _hours(unit) != _hours(known.get(unit.name))]
    for chunk in chunks(moved):
        running = CLOCKS.c.unit_id.in_(chunk) & CLOCKS.c.edition.is_not(None)
        tx.execute(update(CLOCKS).where(running).values(edition=0))
    return len(changed)


_UNITS_OF_CASE: Final = select(ASSIGNMENTS.c.unit_id).where(ASSIGNMENTS.c.case_id == bindparam("case"))


def within_reach(connection: Connection, principal: Principal, case_id: str) -> bool:
    """Whether a unit of the caller's leads or assists in a case; a desk reaches every case."""
    if principal.everywhere:
        return True
    return any(unit in principal.units for (unit,) in fetch(connection, _UNITS_OF_CASE, case=case_id))


def read_units(connection: Connection, ids: Sequence[str] | None = None) -> list[unit_pb2.Unit]:
    """Units with their members, by id; all of them, or those named."""
    units = select(UNITS).order_by(UNITS.c.id)
    members = select(MEMBERS).order_by(MEMBERS.c.unit_id, MEMBERS.c.account)
    if ids is not None:
        units, members = units.where(UNITS.c.id.in_(ids)), members.where(MEMBERS.c.unit_id.in_(ids))
    by_unit: dict[str, list[Any]] = {}
    for member in connection.execute(members).mappings():
        by_unit.setdefault(member["unit_id"], []).append(member)
    return [resources.unit(row, by_unit.get(row["id"], [])) for row in connection.execute(units).mappings()]


def reach(connection: Connection, account: str) -> unit_pb2.Reach:
    """How far an account reaches: the union over the units that it works in. Nothing for one that works in none."""
    memberships = list(connection.execute(select(MEMBERS).where(MEMBERS.c.account == account)))
    rows = store.units(connection)
    by_id = {row.id: row for row in rows}
    roles = sorted(
        {role for member in memberships for role in json.loads(member.roles)}
        # Whether a stand-in may act now is decided when a reply is approved.
        | {_APPROVER for row in rows if account in json.loads(row.stand_ins)}
    )
    own = [by_id[member.unit_id] for member in memberships if member.unit_id in by_id]
    everywhere = bool(_EVERYWHERE & set(roles)) or any(row.desk for row in own)
    message = unit_pb2.Reach(roles=roles, units=store.subtree(rows, [row.id for row in own]), everywhere=everywhere)
    if not everywhere:
        message.places.extend(_scope(own, "places"))
        message.topics.extend(_scope(own, "topics"))
    return message


def stands_in(connection: Connection, unit: str, account: str, *, at: int, waited: bool) -> list[str] | None:
    """The approvers of a unit, or of one above it, for whom an account that is a stand-in may act now.

    None when the account is an approver itself. `waited`: whether the approvers were waited for so long that they
    count as absent. Raises FailedPrecondition when its time has not come, or it stands in for others.
    """
    rows = {row.id: row for row in store.units(connection)}
    members = connection.execute(select(MEMBERS).order_by(MEMBERS.c.unit_id, MEMBERS.c.account)).all()
    approvers: dict[str, list[str]] = {}
    for member in members:
        if _APPROVER in json.loads(member.roles):
            approvers.setdefault(member.unit_id, []).append(member.account)
    above: str = unit
    while above in rows:
        there = approvers.get(above, [])
        if account in there:
            return None
        if account in json.loads(rows[above].stand_ins):
            absent = {who for who, begin, end in json.loads(rows[above].absences) if begin <= at < end}
            present = len([who for who in there if who not in absent])
            if present and not waited:
                raise FailedPrecondition(
                    "APPROVER_PRESENT",
                    f"{present} approvers of units/{above} are not absent; a stand-in acts while all are, or once the "
                    "reply has waited for as long as the clock policy says",
                )
            return there
        above = rows[above].parent
    if any(account in accounts for accounts in approvers.values()):
        return None
    raise FailedPrecondition("NOT_STANDING_IN", f"accounts/{account} stands in for others, not for units/{unit}")


def _scope(units: Sequence[Any], collection: str) -> list[str]:
    """The union of what units answer for; empty, which is all, as soon as one of them answers for all."""
    scopes = [json.loads(getattr(unit, collection)) for unit in units]
    if not all(scopes):
        return []
    return sorted({f"{collection}/{path}" for scope in scopes for path in scope})


def _row(unit: unit_pb2.Unit) -> dict[str, Any]:
    return {
        "id": unit.name.removeprefix("units/"),
        "display_name": unit.display_name,
        "parent": unit.parent.removeprefix("units/"),
        "kind": unit.kind,
        "desk": unit.desk,
        "contact": unit.contact,
        "contact_persons": json.dumps(
            [
                [person.role, person.display_name, person.telephone, person.account.removeprefix("accounts/")]
                for person in unit.contact_persons
            ],
            ensure_ascii=False,
        ),
        "places": json.dumps([name.removeprefix("places/") for name in unit.places], ensure_ascii=False),
        "topics": json.dumps([name.removeprefix("topics/") for name in unit.topics], ensure_ascii=False),
        "working_hours": json.dumps(list(unit.working_hours)),
        "time_zone": unit.time_zone,
        "stand_ins": json.dumps([name.removeprefix("accounts/") for name in unit.stand_ins]),
        "absences": json.dumps(
            [
                [
                    absence.account.removeprefix("accounts/"),
                    timestamp_to_micros(absence.start_time),
                    timestamp_to_micros(absence.end_time),
                ]
                for absence in unit.absences
            ]
        ),
    }


def _plain(unit: unit_pb2.Unit) -> unit_pb2.Unit:
    """The unit as it reads back: members by account."""
    plain = unit_pb2.Unit()
    plain.CopyFrom(unit)
    members = sorted(unit.members, key=lambda member: member.account)
    del plain.members[:]
    plain.members.extend(members)
    return plain


def _check_tree(known: dict[str, unit_pb2.Unit], units: Sequence[unit_pb2.Unit]) -> None:
    after = known | {unit.name: unit for unit in units}
    wrong: list[FieldViolation] = []
    seen: set[str] = set()
    for index, unit in enumerate(units):
        if unit.name in seen:
            wrong.append(FieldViolation(f"units[{index}].name", "is there twice; give it once", "DUPLICATE"))
        seen.add(unit.name)
        if unit.parent and unit.parent not in after:
            text = f"{unit.parent} does not exist; write it before or in the same call"
            wrong.append(FieldViolation(f"units[{index}].parent", text, "PARENT_MISSING"))
        elif _is_circular(after, unit):
            wrong.append(FieldViolation(f"units[{index}].parent", "makes a circle; a tree has none", "CIRCULAR"))
        wrong += _wrong_hours(unit, index)
        wrong += _wrong_stand_ins(after, unit, index)
        wrong += [
            FieldViolation(
                f"units[{index}].contact_persons[{number}].role",
                "says what the person is turned to for; give DUTY_OFFICER, APPROVING_LEADER, LIAISON or INSPECTOR",
                "REQUIRED",
            )
            for number, person in enumerate(unit.contact_persons)
            if not person.role
        ]
        accounts = [member.account for member in unit.members]
        if len(set(accounts)) < len(accounts):
            text = "names an account twice; give it once with all its roles"
            wrong.append(FieldViolation(f"units[{index}].members", text, "DUPLICATE"))
    if not any(unit.desk for unit in after.values()):
        wrong.append(FieldViolation("units", "no unit would be a desk any more; somebody has to assign", "NO_DESK"))
    if wrong:
        raise InvalidArgument.of(wrong)


def _hours(unit: unit_pb2.Unit | None) -> tuple[object, ...]:
    return (list(unit.working_hours), unit.time_zone) if unit is not None else ([], "")


def _wrong_hours(unit: unit_pb2.Unit, index: int) -> list[FieldViolation]:
    hours: list[str] = []
    zone: list[str] = []
    parse_working_hours(list(unit.working_hours), hours)
    if unit.time_zone:
        parse_timezone(unit.time_zone, zone)
    return [FieldViolation(f"units[{index}].working_hours", problem, "HOURS_INVALID") for problem in hours] + [
        FieldViolation(f"units[{index}].time_zone", problem, "ZONE_UNKNOWN") for problem in zone
    ]


def _wrong_stand_ins(units: dict[str, unit_pb2.Unit], unit: unit_pb2.Unit, index: int) -> list[FieldViolation]:
    own = {member.account for member in unit.members}
    reachable, above, seen = set(own), unit.parent, {unit.name}
    while above in units and above not in seen:
        seen.add(above)
        reachable |= {member.account for member in units[above].members}
        above = units[above].parent
    wrong = [
        FieldViolation(
            f"units[{index}].stand_ins",
            f"{account} works neither in the unit nor above it; make it a member",
            "NO_MEMBER",
        )
        for account in unit.stand_ins
        if account not in reachable
    ]
    for absence in unit.absences:
        if absence.account not in own:
            text = f"{absence.account} does not work in the unit; make it a member, or leave the absence out"
            wrong.append(FieldViolation(f"units[{index}].absences", text, "NO_MEMBER"))
        elif timestamp_to_micros(absence.end_time) <= timestamp_to_micros(absence.start_time):
            text = f"the absence of {absence.account} ends before it begins"
            wrong.append(FieldViolation(f"units[{index}].absences", text, "ENDS_EARLY"))
    return wrong


def _is_circular(units: dict[str, unit_pb2.Unit], unit: unit_pb2.Unit) -> bool:
    above, seen = unit.parent, {unit.name}
    while above and above in units:
        if above in seen:
            return True
        seen.add(above)
        above = units[above].parent
    return False
