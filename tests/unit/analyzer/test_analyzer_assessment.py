"""Grades follow from rules over figures, and say which rule fired on which."""

from __future__ import annotations

from pathlib import Path

import huiyin_analyzer
import pytest
from huiyin_analyzer.model.assessment import FIGURES, GRADES, PolicyError, parse_grading
from hypothesis import given
from hypothesis import strategies as st

POLICY = """
rules:
  - {id: many, grade: LARGE, when: posts >= 10, why: 多}
  - {id: danger, grade: SERIOUS, when: harm.life >= 2 && growth > 1.5, why: 危险}
"""


def figures(**given: float) -> dict[str, float]:
    return dict.fromkeys(FIGURES, 0.0) | {name.replace("__", "."): value for name, value in given.items()}


def test_without_a_rule_that_fires_an_event_is_ordinary() -> None:
    verdict = parse_grading(POLICY).assess(figures(posts=9))
    assert (verdict.grade, verdict.fired) == (GRADES["ORDINARY"], ())


def test_the_gravest_rule_decides_and_every_one_is_told() -> None:
    verdict = parse_grading(POLICY).assess(figures(posts=12, harm__life=2, growth=2.0))
    assert verdict.grade == GRADES["SERIOUS"]
    assert [(rule.id, rule.reads) for rule in verdict.fired] == [
        ("danger", ("harm.life", "growth")),
        ("many", ("posts",)),
    ]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.floats(0, 3)), max_size=20))
def test_what_is_remembered_is_what_would_be_computed(rows: list[tuple[int, int, float]]) -> None:
    grading = parse_grading(POLICY)
    for posts, lives, growth in rows:
        given_figures = figures(posts=posts, harm__life=lives, growth=growth)
        fresh = parse_grading(POLICY).assess(given_figures)
        found = grading.assess(given_figures)
        assert (found.grade, [rule.id for rule in found.fired]) == (fresh.grade, [rule.id for rule in fresh.fired])


def test_more_harm_or_reach_never_lowers_the_default_grade() -> None:
    body = (Path(huiyin_analyzer.__file__).parent / "data" / "grading.yaml").read_text("utf-8")
    grading = parse_grading(body)
    for name in ("posts", "votes", "harm.life", "harm.health", "harm.livelihood"):
        grades = [grading.assess(figures(posts=9, posts_24h=9) | {name: value}).grade for value in (9, 30, 300)]
        assert grades == sorted(grades)


@pytest.mark.parametrize(
    ("body", "place", "told"),
    [
        ("rules: 3", "rules", "must be a list"),
        ("- a", "rules", "must be a list"),
        ("rules: [{id: a, grade: HUGE, when: posts > 1, why: b}]", "rules[0].grade", "must be LARGE"),
        ("rules: [{id: a, grade: LARGE, when: author == 'x', why: b}]", "rules[0].when", "figures are posts"),
        ("rules: [{id: a, grade: LARGE, when: posts + 1, why: b}]", "rules[0].when", "true or false"),
        ("rules: [{id: a, grade: LARGE, when: posts > 1}]", "rules[0].why", "is required"),
        ("rules: [{id: a, grade: LARGE, when: posts > 1, why: b, mood: c}]", "rules[0].mood", "not a field"),
        ("rules: []\nviewpoint: x", "viewpoint", "not a field"),
        ("rules: [", "body", "not YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(body: str, place: str, told: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_grading(body)
    assert caught.value.problems[0][0] == place
    assert told in caught.value.problems[0][1]
