"""What a caller may see: the cases that the caller's units lead or assist in, and what belongs to them."""

from __future__ import annotations

from typing import Any, Final

from huiyin_chassis.errors import NotFound
from huiyin_chassis.identity import Principal
from sqlalchemy import ColumnElement, Connection, Select, bindparam, select, true

from huiyin_casework.offices import within_reach
from huiyin_casework.store import ASSIGNMENTS, CASES

_CASE: Final = select(CASES).where(CASES.c.id == bindparam("case"))


def scope(principal: Principal) -> object:
    """What a page token is bound to: the same list for the same reach."""
    return None if principal.everywhere else principal.units


def reach(principal: Principal, case_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Cases that the caller's units lead or assist in; every case for a desk."""
    if principal.everywhere:
        return true()
    return case_id.in_(select(ASSIGNMENTS.c.case_id).where(ASSIGNMENTS.c.unit_id.in_(principal.units)))


def cases(principal: Principal) -> Select[Any]:
    """The cases within reach."""
    return select(CASES).where(reach(principal, CASES.c.id))


def visible_case(connection: Connection, principal: Principal, name: str) -> Any:
    """A case within reach by its name, as a mapping. Raises NotFound."""
    case_id = name.removeprefix("cases/")
    row = connection.execute(_CASE, {"case": case_id}).mappings().one_or_none()
    if row is None or not within_reach(connection, principal, case_id):
        raise NotFound(name)
    return row
