"""Units and who works in them: writing the tree, seeding it, and how far an account reaches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from huiyin.casework.v1 import unit_pb2
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.errors import FieldViolation, InvalidArgument
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, delete, select

from huiyin_casework import resources, store
from huiyin_casework.store import MEMBERS, UNITS

_EVERYWHERE = frozenset({"desk", "inspector", "admin"})

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
    for chunk in store.chunks(ids):
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
    return len(changed)


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
    roles = sorted({role for member in memberships for role in json.loads(member.roles)})
    own = [by_id[member.unit_id] for member in memberships if member.unit_id in by_id]
    everywhere = bool(_EVERYWHERE & set(roles)) or any(row.desk for row in own)
    message = unit_pb2.Reach(roles=roles, units=store.subtree(rows, [row.id for row in own]), everywhere=everywhere)
    if not everywhere:
        message.places.extend(_scope(own, "places"))
        message.topics.extend(_scope(own, "topics"))
    return message


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
        "places": json.dumps([name.removeprefix("places/") for name in unit.places], ensure_ascii=False),
        "topics": json.dumps([name.removeprefix("topics/") for name in unit.topics], ensure_ascii=False),
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
        accounts = [member.account for member in unit.members]
        if len(set(accounts)) < len(accounts):
            text = "names an account twice; give it once with all its roles"
            wrong.append(FieldViolation(f"units[{index}].members", text, "DUPLICATE"))
    if not any(unit.desk for unit in after.values()):
        wrong.append(FieldViolation("units", "no unit would be a desk any more; somebody has to assign", "NO_DESK"))
    if wrong:
        raise InvalidArgument.of(wrong)


def _is_circular(units: dict[str, unit_pb2.Unit], unit: unit_pb2.Unit) -> bool:
    above, seen = unit.parent, {unit.name}
    while above and above in units:
        if above in seen:
            return True
        seen.add(above)
        above = units[above].parent
    return False
