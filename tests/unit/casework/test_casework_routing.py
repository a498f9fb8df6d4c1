"""Proposals of units for an event."""

from __future__ import annotations

from huiyin_casework.model.routing import NOTHING_FITS, Competence, holds, propose

DESK = Competence("desk", (), ())
COUNTY = Competence("county", (), ("A市",))
BUILDING = Competence("building", ("城乡建设",), ())
SAFETY = Competence("safety", ("城乡建设.安全生产",), ("A市",))
TOWN = Competence("town", (), ("A市.A3区",))
UNITS = [DESK, COUNTY, BUILDING, SAFETY, TOWN]


def test_the_most_specific_topic_leads_and_says_why() -> None:
    proposal = propose(["城乡建设.安全生产.工地"], ["A市.A3区.丽发新城"], UNITS)
    assert proposal.lead == "safety"
    assert "城乡建设.安全生产" in proposal.reason and "A市" in proposal.reason


def test_other_units_with_a_topic_of_their_own_assist() -> None:
    assert propose(["城乡建设.安全生产"], ["A市"], UNITS).assisting == ("building",)


def test_without_a_topic_the_most_specific_place_leads() -> None:
    assert propose([], ["A市.A3区"], UNITS).lead == "town"


def test_nothing_is_proposed_where_nobody_answers() -> None:
    assert propose(["教育"], ["B市"], UNITS) == NOTHING_FITS


def test_a_path_holds_itself_and_what_lies_below_and_nothing_that_only_begins_alike() -> None:
    assert holds("A市", "A市.A3区")
    assert holds("A市", "A市")
    assert not holds("A市", "A市场")
