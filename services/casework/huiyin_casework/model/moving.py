"""Running cases that an office brings along: what a row of its list must say, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Came(StrEnum):
    """How far a matter had come."""

    REGISTERED = "REGISTERED"
    ASSIGNED = "ASSIGNED"
    ACCEPTED = "ACCEPTED"
    ANSWERED = "ANSWERED"


UNDER_ORDER = frozenset({Came.ASSIGNED, Came.ACCEPTED})
"""A unit had been ordered."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a row says. Times are microseconds of the epoch, 0 where the row has none."""

    external_id: str
    text: str
    state: Came | None
    received: int
    deadline: int = 0
    lead_unit: str = ""
    reply: str = ""
    answered: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row is not taken."""

    field: str
    reason: str
    description: str


def came(row: Row) -> Came:
    """How far it had come, by what else the row says where it does not say so."""
    if row.state is not None:
        return row.state
    if row.reply.strip():
        return Came.ANSWERED
    return Came.ACCEPTED if row.lead_unit else Came.REGISTERED


def fault(row: Row, now: int) -> Fault | None:
    """What keeps a row from being taken, the first of it."""
    state = came(row)
    if not row.external_id.strip():
        return Fault("external_id", "REQUIRED", "is missing; without its number a second import would take it again")
    if not row.text.strip():
        return Fault("text", "REQUIRED", "is empty; write what was asked")
    if not row.received:
        return Fault("receive_time", "REQUIRED", "is missing, or no time; write it as 2026-03-02 09:30")
    if row.received > now:
        return Fault("receive_time", "IN_FUTURE", "lies in the future; check its year, and the zone")
    if row.deadline and row.deadline <= row.received:
        return Fault("deadline", "TOO_EARLY", "is not after the time when it was received; check both")
    if state == Came.ANSWERED and not row.reply.strip():
        return Fault("reply_text", "REQUIRED", "is empty, though it was answered; add the answer, or its real state")
    if state == Came.ANSWERED and row.answered > now:
        return Fault("answer_time", "IN_FUTURE", "lies in the future; check its year, and the zone")
    if state in UNDER_ORDER and not row.lead_unit:
        return Fault("lead_unit", "REQUIRED", f"is missing, though the row is {state}; name the unit")
    return None


def unit_named(given: str, names: Mapping[str, str]) -> str | None:
    """The id of a unit, named by its id ("units/{unit}" or bare) or by what it is called; None where that is not one.

    `names`: what each unit is called, by id.
    """
    bare = given.strip().removeprefix("units/")
    if bare in names:
        return bare
    called = [unit for unit, name in names.items() if name == bare]
    return called[0] if len(called) == 1 else None
