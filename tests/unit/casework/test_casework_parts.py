"""The parts of assisting units: every step in every standing, and what orders make of them."""

from __future__ import annotations

import pytest
from huiyin_casework.model.parts import (
    TABLE,
    Part,
    PartObjected,
    PartObjectedBefore,
    Standing,
    advance,
    assisting,
    facts,
    lapsed,
    missing,
    ordered,
    pack,
    parse,
    taken_back,
    waits_for_desk,
)
from huiyin_casework.model.steps import Fact, NoPartObjection, NoPartWaits, NotNow, Step

STEPS = sorted({step for _, step in TABLE})


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_leads_where_the_table_says_or_is_refused_with_a_reason(standing: Standing, step: Step) -> None:
    part = Part("roads", standing)
    if (standing, step) in TABLE:
        after = advance(part, step, "accounts/li")
        assert after == Part("roads", TABLE[standing, step], "accounts/li" if step == Step.OBJECT_TO_PART else "")
        return
    with pytest.raises(NotNow) as refused:
        advance(part, step, "accounts/li")
    assert refused.value.reason in {"OBJECTION_OPEN", "NOBODY_ASSISTS", "NO_PART_WAITS", "NO_PART_OBJECTION"}
    assert isinstance(refused.value, PartObjected) == (standing == Standing.OBJECTED)


def test_a_unit_objects_to_its_part_once() -> None:
    objected = advance(Part("roads", Standing.WAITED), Step.OBJECT_TO_PART, "accounts/li")
    stands = advance(objected, Step.REFUSE_PART_OBJECTION, "accounts/desk")
    assert stands == Part("roads", Standing.WAITED, "accounts/li")
    with pytest.raises(PartObjectedBefore):
        advance(stands, Step.OBJECT_TO_PART, "accounts/wang")


def test_what_was_contributed_is_no_longer_objected_to_and_nothing_is_decided_twice() -> None:
    with pytest.raises(NoPartWaits):
        advance(Part("roads", Standing.CONTRIBUTED), Step.OBJECT_TO_PART, "accounts/li")
    with pytest.raises(NoPartObjection):
        advance(Part("roads", Standing.WAITED), Step.UPHOLD_PART_OBJECTION, "accounts/desk")


def test_another_order_keeps_how_far_a_unit_has_come_and_forgets_who_is_left_out_but_not_that_it_objected() -> None:
    before = (
        Part("power", Standing.CONTRIBUTED),
        Part("roads", Standing.WAITED, "accounts/li"),
        Part("water", Standing.WAITED),
        Part("works", Standing.RELEASED, "accounts/wu"),
    )
    after = ordered(before, ["power", "gas", "works"])
    assert set(after) == {
        Part("power", Standing.CONTRIBUTED),
        Part("gas", Standing.WAITED),
        Part("works", Standing.WAITED, "accounts/wu"),
        Part("roads", Standing.RELEASED, "accounts/li"),
    }
    assert assisting(after) == ["gas", "power", "works"]
    assert taken_back(after) == (
        Part("works", Standing.RELEASED, "accounts/wu"),
        Part("roads", Standing.RELEASED, "accounts/li"),
    )


def test_what_has_not_come_when_nothing_is_waited_for_any_more_is_missing() -> None:
    parts = lapsed(Part(standing.lower(), standing) for standing in Standing)
    assert {part.unit: part.standing for part in parts} == {
        "waited": Standing.LAPSED,
        "objected": Standing.LAPSED,
        "contributed": Standing.CONTRIBUTED,
        "lapsed": Standing.LAPSED,
        "released": Standing.RELEASED,
    }
    assert missing(parts) == ["lapsed", "objected", "waited"]


def test_parts_say_which_steps_are_possible_and_who_is_waited_for() -> None:
    assert facts(()) == frozenset() == facts([Part("roads", Standing.RELEASED, "accounts/li")])
    assert facts([Part("roads", Standing.WAITED)]) == {Fact.PART_OPEN, Fact.PART_WAITS}
    assert facts([Part("roads", Standing.WAITED, "accounts/li")]) == {Fact.PART_OPEN}
    objected = [Part("roads", Standing.OBJECTED, "accounts/li")]
    assert facts(objected) == {Fact.PART_OBJECTED}
    assert waits_for_desk(objected, "roads")
    assert not waits_for_desk(objected, "water")


def test_parts_are_kept_by_unit() -> None:
    parts = (Part("b", Standing.OBJECTED, "accounts/li"), Part("a", Standing.WAITED))
    assert parse(pack(parts)) == parts[::-1]
    assert parse(pack(())) == ()
