"""How a case follows its event, cell by cell of the table in docs/architecture.md."""

from __future__ import annotations

import pytest
from huiyin_casework.model.following import (
    TABLE,
    Consequence,
    Happening,
    Phase,
    consequence,
    consequence_of_merge,
    opens_case,
    phase,
)
from huiyin_casework.model.steps import State

SUCCESSOR = "a linked successor case opens, offered the standing reply"
RECOMPUTED = "recomputed, but a promised date is never extended"
EXPECTED = f"""
event gains an inquiry | joins | joins; the unit is told | {SUCCESSOR}
events merge | cases merge | a task for the desk: merge, keep apart, or assist | never moves; linked
event splits | case splits | a task for the desk | never moves; linked
grade rises | clocks recomputed from the original start | the same; supervision told | {SUCCESSOR}
grade falls | {RECOMPUTED} | {RECOMPUTED} | nothing
"""


@pytest.mark.parametrize("row", EXPECTED.strip().splitlines())
def test_the_table_says_what_the_seams_say(row: str) -> None:
    happening, *cells = (cell.strip() for cell in row.split("|"))
    assert [TABLE[Happening(happening)][column].value for column in Phase] == cells


@pytest.mark.parametrize("state", [state for state in State if state != State.MERGED])
@pytest.mark.parametrize("happening", Happening)
def test_every_state_has_its_consequence(state: State, happening: Happening) -> None:
    assert consequence(happening, state) == TABLE[happening][phase(state)]


def test_a_case_is_unassigned_until_an_order_is_out_and_answered_once_published() -> None:
    assert phase(State.REGISTERED) == Phase.UNASSIGNED
    assert {
        phase(state) for state in (State.ASSIGNED, State.ACCEPTED, State.DRAFTED, State.REVIEWED, State.APPROVED)
    } == {Phase.UNDER_ORDER}
    assert {phase(state) for state in (State.PUBLISHED, State.CLOSED)} == {Phase.ANSWERED}


def test_of_two_cases_the_one_that_has_come_further_decides_a_merge() -> None:
    assert consequence_of_merge(State.REGISTERED, State.REGISTERED) == Consequence.MERGE_CASES
    assert consequence_of_merge(State.REGISTERED, State.ACCEPTED) == Consequence.ASK_DESK_TO_MERGE
    assert consequence_of_merge(State.CLOSED, State.ACCEPTED) == Consequence.LINK


@pytest.mark.parametrize(
    ("grade", "expects_answer", "opens"),
    [
        ("ORDINARY", False, False),
        ("ORDINARY", True, True),
        ("LARGE", False, True),
        ("SERIOUS", False, True),
        ("", False, False),
    ],
)
def test_a_case_opens_for_an_inquiry_or_a_large_event(grade: str, expects_answer: bool, opens: bool) -> None:
    assert opens_case(grade, expects_answer) is opens
