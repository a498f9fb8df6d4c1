"""The dispatch catalogue: which entry fits most closely, what is not pushed down, mistakes told with their field."""

from __future__ import annotations

from pathlib import Path

import huiyin_casework
import pytest
from huiyin_casework.model.dispatch import Catalogue, CatalogueError, fits, parse_catalogue, reserved_for

UNITS = {"water", "housing", "town"}
CATALOGUE = parse_catalogue(
    """
lower_kinds: [town]
entries:
  - {id: building, topics: [城乡建设], lead: housing, basis: 职责清单}
  - {id: supply, topics: [城乡建设.供水], lead: water, assisting: [housing], basis: 职责清单, reserved: true}
  - {id: supply-town, topics: [城乡建设.供水], places: [A市.B镇], lead: town, basis: 委托协议}
  - {id: gone, topics: [城乡建设.供水.停水], lead: nobody, basis: 旧清单}
"""
)


def ranked(topic: str, place: str) -> list[str]:
    return [fit.entry.id for fit in fits(CATALOGUE, [topic], [place], UNITS)]


def test_the_closest_topic_comes_first_then_the_closest_place() -> None:
    assert ranked("城乡建设.供水.停水", "A市.B镇.C村") == ["supply-town", "supply", "building"]
    assert ranked("城乡建设.供水", "A市.D镇") == ["supply", "building"]
    assert ranked("城乡建设.道路", "A市.B镇") == ["building"]
    assert ranked("教育", "A市.B镇") == []


def test_a_proposal_says_by_what_it_fits() -> None:
    (first, *_) = fits(CATALOGUE, ["城乡建设.供水"], ["A市.B镇"], UNITS)
    assert first.reason == "supply-town: topic 城乡建设.供水 and place A市.B镇 → town (委托协议)"


def test_work_of_a_bureau_is_not_pushed_down_unless_an_entry_gives_it_to_the_town() -> None:
    elsewhere = fits(CATALOGUE, ["城乡建设.供水"], ["A市.D镇"], UNITS)
    fit = reserved_for(CATALOGUE, elsewhere, "town", "town")
    assert fit is not None and fit.entry.id == "supply"
    assert reserved_for(CATALOGUE, elsewhere, "housing", "bureau") is None
    assert reserved_for(CATALOGUE, elsewhere, "water", "town") is None
    delegated = fits(CATALOGUE, ["城乡建设.供水"], ["A市.B镇"], UNITS)
    assert reserved_for(CATALOGUE, delegated, "town", "town") is None


def test_the_seeded_catalogue_is_empty_and_knows_lower_kinds() -> None:
    seeded = Path(huiyin_casework.__file__).parent / "data" / "dispatch.yaml"
    assert parse_catalogue(seeded.read_text("utf-8")) == Catalogue()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("[]", "must be a mapping with entries"),
        ("entries: [water]", "entries[0]: must be a mapping"),
        ("entries: [{id: a, topics: [供水], basis: 清单}]", "entries[0].lead"),
        ("entries: [{id: a, lead: water, basis: 清单}]", "entries[0]: must name topics or places"),
        ("entries: [{id: a, topics: 供水, lead: water, basis: 清单}]", "entries[0].topics"),
        ("entries: [{id: a, topics: [供水], lead: water, basis: 清单, reserved: 是}]", "entries[0].reserved"),
        (
            "entries: [{id: a, topics: [供水], lead: water, assisting: [water], basis: 清单}]",
            "the lead does not assist",
        ),
        ("entries: [{id: A, topics: [供水], lead: water, basis: 清单}]", "entries[0].id"),
        ("{entries: [], kinds: []}", "kinds: not a field"),
        ("{entries: [], lower_kinds: town}", "lower_kinds"),
        ("entries: {", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_field(body: str, problem: str) -> None:
    with pytest.raises(CatalogueError) as refused:
        parse_catalogue(body)
    assert any(problem in told for told in refused.value.problems)
