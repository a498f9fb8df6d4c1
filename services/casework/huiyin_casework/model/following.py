"""How a case follows its event: a table as data.

Rows are what happens to the event, columns how far its case has come. The worker looks up here what to do, and the
tests walk every cell.
"""

from __future__ import annotations

from enum import StrEnum

from huiyin_casework.model.steps import UNDER_ORDER, State


class Phase(StrEnum):
    """How far a case has come, as far as following its event goes."""

    UNASSIGNED = "case not yet assigned"
    UNDER_ORDER = "assigned, not yet published"
    ANSWERED = "published or sealed"


class Happening(StrEnum):
    """What can happen to an event that has a case."""

    INQUIRY_JOINS = "event gains an inquiry"
    EVENTS_MERGE = "events merge"
    EVENT_SPLITS = "event splits"
    GRADE_RISES = "grade rises"
    GRADE_FALLS = "grade falls"


class Consequence(StrEnum):
    """What casework does about it."""

    JOIN = "joins"
    JOIN_AND_TELL_UNIT = "joins; the unit is told"
    OPEN_SUCCESSOR = "a linked successor case opens, offered the standing reply"
    MERGE_CASES = "cases merge"
    ASK_DESK_TO_MERGE = "a task for the desk: merge, keep apart, or assist"
    LINK = "never moves; linked"
    SPLIT_CASE = "case splits"
    ASK_DESK_TO_SPLIT = "a task for the desk"
    RECOMPUTE = "clocks recomputed from the original start"
    RECOMPUTE_AND_TELL_SUPERVISION = "the same; supervision told"
    RECOMPUTE_KEEPING_PROMISES = "recomputed, but a promised date is never extended"
    NOTHING = "nothing"


TABLE: dict[Happening, dict[Phase, Consequence]] = {
    Happening.INQUIRY_JOINS: {
        Phase.UNASSIGNED: Consequence.JOIN,
        Phase.UNDER_ORDER: Consequence.JOIN_AND_TELL_UNIT,
        Phase.ANSWERED: Consequence.OPEN_SUCCESSOR,
    },
    Happening.EVENTS_MERGE: {
        Phase.UNASSIGNED: Consequence.MERGE_CASES,
        Phase.UNDER_ORDER: Consequence.ASK_DESK_TO_MERGE,
        Phase.ANSWERED: Consequence.LINK,
    },
    Happening.EVENT_SPLITS: {
        Phase.UNASSIGNED: Consequence.SPLIT_CASE,
        Phase.UNDER_ORDER: Consequence.ASK_DESK_TO_SPLIT,
        Phase.ANSWERED: Consequence.LINK,
    },
    Happening.GRADE_RISES: {
        Phase.UNASSIGNED: Consequence.RECOMPUTE,
        Phase.UNDER_ORDER: Consequence.RECOMPUTE_AND_TELL_SUPERVISION,
        # "Successor rules": a published answer stands. What rises further opens a case of its own.
        Phase.ANSWERED: Consequence.OPEN_SUCCESSOR,
    },
    Happening.GRADE_FALLS: {
        Phase.UNASSIGNED: Consequence.RECOMPUTE_KEEPING_PROMISES,
        Phase.UNDER_ORDER: Consequence.RECOMPUTE_KEEPING_PROMISES,
        Phase.ANSWERED: Consequence.NOTHING,
    },
}


def phase(state: State) -> Phase:
    """The column of a case in this state. A merged case has no column; follow it to the case it went into."""
    if state == State.REGISTERED:
        return Phase.UNASSIGNED
    return Phase.UNDER_ORDER if state in UNDER_ORDER else Phase.ANSWERED


def consequence(happening: Happening, state: State) -> Consequence:
    """What to do when this happens to the event of a case in this state."""
    return TABLE[happening][phase(state)]


def consequence_of_merge(one: State, other: State) -> Consequence:
    """Two events with a case each became one: the case that has come further decides, for it has more to lose."""
    order = (Phase.UNASSIGNED, Phase.UNDER_ORDER, Phase.ANSWERED)
    further = max(phase(one), phase(other), key=order.index)
    return TABLE[Happening.EVENTS_MERGE][further]


def opens_case(grade: str, expects_answer: bool) -> bool:
    """A case opens for every event that carries an inquiry or reaches LARGE."""
    return expects_answer or grade in ("LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")
