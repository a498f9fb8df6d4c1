"""The state machine of a case: every step in every state, as the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
from huiyin_casework.model import steptable
from huiyin_casework.model.steps import (
    AUTHOR,
    OFFICES,
    OPEN_STATES,
    TABLE,
    UNDER_ORDER,
    AlreadyExtended,
    AlreadyObjected,
    AlreadyRequested,
    Fact,
    IllegalStep,
    NobodyAssists,
    NobodyDissatisfied,
    NotRequested,
    SameAuthor,
    SameObjector,
    SameRequester,
    State,
    Step,
    advance,
    check_objector,
    check_requester,
    check_reviewer,
    legal_steps,
    reaches_as_lead,
)
from huiyin_chassis.identity import ROLES

ROWS = {(row.source, row.step): row.target for row in TABLE}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("step", Step)
def test_a_step_leads_where_the_table_says_or_names_what_is_legal(state: State, step: Step) -> None:
    if (state, step) in ROWS:
        assert advance(state, step) == ROWS[state, step]
        return
    with pytest.raises(IllegalStep) as refused:
        advance(state, step)
    for legal in legal_steps(state, by_author=OFFICES[step].by_author):
        assert legal.step.value in str(refused.value)
        assert all(role in str(refused.value) for role in legal.roles)


def test_the_table_names_each_step_of_a_state_once() -> None:
    assert len(ROWS) == len(TABLE)


def test_the_straight_way_leads_from_registration_to_the_seal() -> None:
    state = State.REGISTERED
    for step in (Step.ASSIGN, Step.ACCEPT, Step.DRAFT, Step.PASS_REVIEW, Step.APPROVE, Step.PUBLISH, Step.CLOSE):
        state = advance(state, step)
    assert state == State.CLOSED


def test_no_way_leads_to_publishing_past_review_and_approval() -> None:
    before = {row.source for row in TABLE if row.target == State.PUBLISHED and row.source != row.target}
    assert before == {State.APPROVED}
    assert {row.step for row in TABLE if row.target == State.APPROVED and row.source != row.target} == {Step.APPROVE}
    assert {row.step for row in TABLE if row.target == State.REVIEWED and row.source != row.target} == {
        Step.PASS_REVIEW
    }


def test_a_new_draft_always_has_to_be_reviewed_again() -> None:
    assert {row.target for row in TABLE if row.step == Step.DRAFT} == {State.DRAFTED}


def test_a_sealed_or_merged_case_allows_nothing_but_that_its_answer_is_judged() -> None:
    assert legal_steps(State.CLOSED) == () == legal_steps(State.MERGED)
    assert [legal.step for legal in legal_steps(State.CLOSED, by_author=True)] == [Step.FEEDBACK]


def test_an_order_is_objected_to_once_and_another_person_decides() -> None:
    assert advance(State.ASSIGNED, Step.OBJECT, frozenset()) == State.OBJECTED
    with pytest.raises(AlreadyObjected):
        advance(State.ASSIGNED, Step.OBJECT, frozenset({Fact.OBJECTED}))
    check_objector("accounts/a", "accounts/b")
    with pytest.raises(SameObjector):
        check_objector("accounts/a", "accounts/a")


def test_a_case_is_reopened_only_for_an_author_who_is_not_satisfied() -> None:
    with pytest.raises(NobodyDissatisfied):
        advance(State.PUBLISHED, Step.REOPEN, frozenset())
    assert advance(State.PUBLISHED, Step.REOPEN, frozenset({Fact.DISSATISFIED})) == State.ACCEPTED


def test_before_a_unit_is_ordered_the_desk_alone_speaks_to_authors() -> None:
    roles = {legal.step: legal.roles for legal in legal_steps(State.REGISTERED)}
    assert roles[Step.ASK] == roles[Step.TELL] == ("desk",)
    assert {legal.step: legal.roles for legal in legal_steps(State.ACCEPTED)}[Step.ASK] == ("desk", "officer")


def test_every_office_may_by_its_role_what_its_steps_ask_for() -> None:
    for office in OFFICES.values():
        for role in set(office.roles) - {AUTHOR}:
            assert office.permission in ROLES[role]


def test_the_documentation_prints_the_table() -> None:
    printed = Path(__file__).parents[3] / "docs" / "casework.md"
    assert "\n".join(steptable.lines()) in printed.read_text("utf-8")


def test_a_case_can_be_extended_exactly_while_it_is_open() -> None:
    assert {row.source for row in TABLE if row.step == Step.EXTEND} == OPEN_STATES


def test_every_step_has_an_office() -> None:
    assert set(OFFICES) == set(Step)
    assert all(office.roles for office in OFFICES.values())


def test_the_author_of_a_draft_may_not_review_it() -> None:
    check_reviewer("accounts/a", "accounts/b")
    with pytest.raises(SameAuthor):
        check_reviewer("accounts/a", "accounts/a")


def possible(state: State, *facts: Fact) -> set[Step]:
    return {legal.step for legal in legal_steps(state, frozenset(facts))}


def test_a_case_is_extended_once() -> None:
    assert advance(State.ACCEPTED, Step.EXTEND, frozenset()) == State.ACCEPTED
    for step in (Step.EXTEND, Step.REQUEST_EXTENSION):
        with pytest.raises(AlreadyExtended):
            advance(State.ACCEPTED, step, frozenset({Fact.EXTENDED}))
        assert step not in possible(State.ACCEPTED, Fact.EXTENDED)


def test_an_extension_is_asked_for_and_then_decided_on_by_another() -> None:
    decisions = {Step.GRANT_EXTENSION, Step.REFUSE_EXTENSION}
    assert Step.REQUEST_EXTENSION in possible(State.DRAFTED)
    assert not decisions & possible(State.DRAFTED)
    assert decisions <= possible(State.DRAFTED, Fact.EXTENSION_REQUESTED)
    with pytest.raises(AlreadyRequested):
        advance(State.DRAFTED, Step.REQUEST_EXTENSION, frozenset({Fact.EXTENSION_REQUESTED}))
    for step in decisions:
        with pytest.raises(NotRequested):
            advance(State.DRAFTED, step, frozenset())
    check_requester("accounts/a", "accounts/b")
    with pytest.raises(SameRequester):
        check_requester("accounts/a", "accounts/a")


def test_only_a_unit_at_work_asks_for_more_time() -> None:
    assert {row.source for row in TABLE if row.step == Step.REQUEST_EXTENSION} == OPEN_STATES - {State.REGISTERED}


def test_an_assisting_unit_has_its_steps_exactly_while_a_unit_works_on_the_case() -> None:
    steps = {step for step in Step if OFFICES[step].assisting_only} | {
        Step.UPHOLD_PART_OBJECTION,
        Step.REFUSE_PART_OBJECTION,
    }
    for step in steps:
        assert {row.source for row in TABLE if row.step == step} == UNDER_ORDER
    assert all(row.source == row.target for row in TABLE if row.step in steps)
    with pytest.raises(NobodyAssists):
        advance(State.ACCEPTED, Step.CONTRIBUTE, frozenset())


def test_assisting_units_look_on_while_the_lead_works() -> None:
    assert reaches_as_lead(Step.DRAFT, desk=False, units=("road",), lead="road")
    assert not reaches_as_lead(Step.DRAFT, desk=False, units=("water",), lead="road")
    assert reaches_as_lead(Step.DRAFT, desk=True, units=("desk",), lead="road")
