"""The catalogue of grounds: what is seeded can be used, and each mistake of another is told with its field."""

from __future__ import annotations

from pathlib import Path

import huiyin_casework
import pytest
from huiyin_casework.model.admission import BODY, GroundsError, Kind, parse_grounds

SEEDED = Path(huiyin_casework.__file__).parent / "data" / "admission.yaml"


def test_the_seeded_catalogue_has_emergencies_routes_and_other_bodies() -> None:
    grounds = parse_grounds(SEEDED.read_text("utf-8"))
    assert {ground.kind for ground in grounds.values()} == set(Kind)
    assert all(ground.basis and ground.text for ground in grounds.values())
    assert "120" in grounds["life-in-danger"].text


def test_a_ground_tells_its_text_with_the_body_and_what_the_desk_adds() -> None:
    ground = parse_grounds(SEEDED.read_text("utf-8"))["other-body"]
    told = ground.told("B市水务集团", "电话在其网站上公布。")
    assert "B市水务集团" in told
    assert BODY not in told
    assert told.endswith("\n电话在其网站上公布。")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("- court", "must be a mapping"),
        ("grounds: [court]", "grounds[0]: must be a mapping"),
        ("grounds: [{id: Court, name: 法院, kind: route, basis: 法, text: 起诉}]", "grounds[0].id"),
        ("grounds: [{id: court, name: 法院, kind: law, basis: 法, text: 起诉}]", "grounds[0].kind"),
        ("grounds: [{id: court, name: 法院, kind: route, text: 起诉}]", "grounds[0].basis"),
        ("grounds: [{id: court, name: 法院, kind: pass_on, basis: 法, text: 转交}]", "names {body}"),
        ("grounds: [{id: a, name: 甲, kind: route, basis: 法, text: 起诉, why: 乙}]", "grounds[0].why"),
        ("grounds: {", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_field(body: str, problem: str) -> None:
    with pytest.raises(GroundsError, match=problem.replace("[", r"\[").replace("{", r"\{")):
        parse_grounds(body)


def test_an_id_is_there_once() -> None:
    one = "{id: court, name: 法院, kind: route, basis: 法, text: 起诉}"
    with pytest.raises(GroundsError, match="court is there twice"):
        parse_grounds(f"grounds: [{one}, {one}]")
