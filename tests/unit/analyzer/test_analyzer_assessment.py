"""Grades follow from rules over figures, say which rule fired on which, and what would change them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import huiyin_analyzer
import pytest
from huiyin_analyzer.model.assessment import (
    FIGURES,
    FRACTIONS,
    GRADES,
    MINIMUMS,
    MOST_EVIDENCE,
    Change,
    Grading,
    PolicyError,
    Spoken,
    evidence,
    nearest,
    parse_grading,
)
from huiyin_analyzer.model.events import GROWTH_VOICES, Event, Post
from huiyin_analyzer.model.text import Harm, Intent
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[3]
DEFAULT = (Path(huiyin_analyzer.__file__).parent / "data" / "grading.yaml").read_text("utf-8")
SAMPLE = (ROOT / "samples" / "policies" / "grading.yaml").read_text("utf-8")
HOUR = 3_600_000_000
DAY = 24 * HOUR
POLICY = """
rules:
  - {id: many, grade: LARGE, when: posts >= 10, why: 多}
  - {id: danger, grade: SERIOUS, when: harm.life >= 2 && growth > 1.5, why: 危险}
"""


def figures(**given: float) -> dict[str, float]:
    return dict.fromkeys(FIGURES, 0.0) | {name.replace("__", "."): value for name, value in given.items()}


def test_the_figures_on_offer_are_these_and_none_is_of_a_viewpoint_or_a_person() -> None:
    """Whoever adds one answers for it: harm, reach, growth and waiting are measured, nothing else."""
    assert set(FIGURES) == {
        *("posts", "inquiries", "voices", "places", "sources", "media", "posts_24h", "voices_24h"),
        *("growth", "span_days", "votes"),
        *("harm.life", "harm.health", "harm.livelihood", "harm.property"),
        *("intent.complaint", "intent.help"),
    }


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


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.none() | st.floats(0, 3)), max_size=20))
def test_what_is_remembered_is_what_would_be_computed(rows: list[tuple[int, int, float | None]]) -> None:
    grading = parse_grading(POLICY)
    for posts, lives, growth in rows:
        found_figures = figures(posts=posts, harm__life=lives)
        if growth is None:
            del found_figures["growth"]
        else:
            found_figures["growth"] = growth
        fresh = parse_grading(POLICY).assess(found_figures)
        found = grading.assess(found_figures)
        assert (found.grade, [rule.id for rule in found.fired]) == (fresh.grade, [rule.id for rule in fresh.fired])
        assert [rule.id for rule in found.unjudged] == [rule.id for rule in fresh.unjudged]


@pytest.mark.parametrize("body", [DEFAULT, SAMPLE], ids=["default", "samples"])
def test_more_harm_or_reach_never_lowers_the_grade(body: str) -> None:
    grading = parse_grading(body)
    for name in ("voices", "votes", "sources", "media", "harm.life", "harm.health", "harm.livelihood"):
        grades = [grading.assess(figures(voices=9, voices_24h=40) | {name: value}).grade for value in (9, 30, 300)]
        assert grades == sorted(grades)


@pytest.mark.parametrize(
    ("given_figures", "grade"),
    [
        (figures(posts=4, voices=4, intent__complaint=2), "ORDINARY"),
        (figures(voices=6, sources=3), "LARGE"),
        (figures(voices=8, voices_24h=4, intent__complaint=5, growth=1.5), "LARGE"),
        (figures(voices=6, voices_24h=6, growth=6.0), "LARGE"),
        (figures(voices=8, harm__life=5), "SERIOUS"),
        (figures(voices=50, voices_24h=40, growth=4.0), "SERIOUS"),
        (figures(voices=5, media=1), "SERIOUS"),
        (figures(voices=30, voices_24h=30, harm__life=20), "ESPECIALLY_SERIOUS"),
        (figures(voices=60, voices_24h=60, harm__health=30), "ESPECIALLY_SERIOUS"),
    ],
)
def test_the_default_policy_states_the_four_grades(given_figures: Mapping[str, float], grade: str) -> None:
    assert parse_grading(DEFAULT).assess(given_figures).grade == GRADES[grade]


# Too little evidence


def test_growth_of_a_few_voices_is_not_told_and_rules_that_read_it_are_not_judged() -> None:
    event = Event("a")
    for number in range(GROWTH_VOICES - 1):
        event.count(post(number * HOUR, voice=b"%d" % number))
    assert "growth" not in event.figures()
    verdict = parse_grading(POLICY).assess(event.figures())
    assert [rule.id for rule in verdict.unjudged] == ["danger"]
    event.count(post(9 * HOUR, voice=b"another"))
    assert event.figures()["growth"] == GROWTH_VOICES
    assert parse_grading(POLICY).assess(event.figures()).unjudged == ()


def test_every_figure_that_may_be_missing_says_what_it_needs() -> None:
    event = Event("a")
    event.count(post(0))
    assert set(FIGURES) - set(event.figures()) == set(MINIMUMS)


def test_media_are_the_sources_that_the_policy_names() -> None:
    body = "media: [sources/daily]\nrules: [{id: m, grade: SERIOUS, when: media >= 1, why: 媒体}]"
    named, unnamed = parse_grading(body), parse_grading(body.replace("sources/daily", ""))
    event = Event("a")
    event.count(post(0, source="sources/daily"))
    assert named.assess(named.figures(event.figures(), event.sources)).grade == GRADES["SERIOUS"]
    verdict = unnamed.assess(unnamed.figures(event.figures(), event.sources))
    assert (verdict.grade, [rule.id for rule in verdict.unjudged]) == (GRADES["ORDINARY"], ["m"])


def test_a_condition_that_cannot_be_computed_does_not_fire_and_stops_nothing() -> None:
    grading = parse_grading("rules: [{id: r, grade: LARGE, when: 100 / (posts - 7) >= 1, why: b}]")
    assert [rule.id for rule in grading.assess(figures(posts=7)).unjudged] == ["r"]
    assert grading.assess(figures(posts=8)).grade == GRADES["LARGE"]


# One voice


def post(time: int, *, voice: bytes = b"v", source: str = "sources/b", harm: Harm = Harm.NONE, **more: object) -> Post:
    values: dict[str, object] = {"expects_answer": True, "votes": 0, "topic": "t", "place": "p", "intent": Intent.NONE}
    return Post(publish_time=time, source=source, voice_day=voice, harm=harm, **{**values, **more})  # type: ignore[arg-type]


POSTS = st.builds(
    post,
    st.integers(0, 4 * DAY),
    voice=st.sampled_from([b"", b"a", b"b", b"c", b"d", b"e", b"f", b"g"]),
    harm=st.sampled_from([Harm.NONE, Harm.LIFE, Harm.LIFE | Harm.HEALTH, Harm.LIVELIHOOD]),
    intent=st.sampled_from([Intent.NONE, Intent.COMPLAINT, Intent.HELP]),
)


@given(st.lists(POSTS, min_size=1, max_size=40), st.data())
def test_figures_do_not_depend_on_the_order_of_arrival(posts: list[Post], data: st.DataObject) -> None:
    forward, other = Event("a"), Event("a")
    for each in posts:
        forward.count(each)
    for each in data.draw(st.permutations(posts)):
        other.count(each)
    assert forward.figures() == other.figures()


@given(st.lists(POSTS, min_size=1, max_size=40), st.integers(1, 60))
def test_nothing_is_raised_by_one_voice_that_repeats_itself_on_its_day(posts: list[Post], times: int) -> None:
    event, grading = Event("a"), parse_grading(DEFAULT)
    rumour = post(5 * DAY, voice=b"rumour", harm=Harm.LIFE | Harm.HEALTH | Harm.LIVELIHOOD, intent=Intent.COMPLAINT)
    for each in [*posts, rumour]:
        event.count(each)
    before = event.figures()
    for number in range(times):
        event.count(rumour._replace(publish_time=rumour.publish_time + number * 60_000_000))
    after = event.figures()
    assert grading.assess(after).grade == grading.assess(before).grade
    assert {name for name in after if after[name] != before[name]} <= {"posts", "inquiries", "posts_24h"}


# Mistakes


def wrong(body: str) -> list[tuple[int, int, str, str]]:
    with pytest.raises(PolicyError) as caught:
        parse_grading(body)
    return [(each.line, each.column, each.place, each.problem) for each in caught.value.mistakes]


@pytest.mark.parametrize(
    ("body", "line", "column", "place", "told"),
    [
        ("rules: 3", 1, 8, "rules", "must be a list"),
        ("- a", 1, 1, "body", "must be a mapping"),
        ("", 1, 1, "rules", "must be a list"),
        ("rules:\n  - {id: a, grade: HUGE, when: posts > 1, why: b}", 2, 20, "rules[0].grade", "must be LARGE"),
        (
            "rules: [{id: a, grade: LARGE, when: posts > 1 && author, why: b}]",
            1,
            50,
            "rules[0].when",
            "no figure author",
        ),
        (
            "rules: [{id: a, grade: LARGE, when: harm.lif > 1, why: b}]",
            1,
            37,
            "rules[0].when",
            "did you mean harm.life",
        ),
        ("rules: [{id: a, grade: LARGE, when: posts + 1, why: b}]", 1, 37, "rules[0].when", "true or false"),
        (
            "rules: [{id: a, grade: LARGE, when: 'posts > 1 ? votes : 2', why: b}]",
            1,
            37,
            "rules[0].when",
            "true or false",
        ),
        (
            "rules: [{id: a, grade: LARGE, when: posts > 1 || votes, why: b}]",
            1,
            37,
            "rules[0].when",
            "does not go togeth",
        ),
        (
            "rules: [{id: a, grade: LARGE, when: posts + growth > 1.0, why: b}]",
            1,
            37,
            "rules[0].when",
            "have a fraction",
        ),
        ("rules: [{id: a, grade: LARGE, when: posts / places > 1, why: b}]", 1, 37, "rules[0].when", "divides by zero"),
        ("rules: [{id: a, grade: LARGE, when: 'true', why: b}]", 1, 37, "rules[0].when", "must read a figure"),
        ("rules: [{id: a, grade: LARGE, when: 'posts > \"x\"', why: b}]", 1, 46, "rules[0].when", "texts in quotes"),
        ("rules:\n- id: a\n  grade: LARGE\n  why: b\n  when: posts >> 1", 5, 16, "rules[0].when", "not a condition"),
        (
            "rules:\n- id: a\n  grade: LARGE\n  why: b\n  when: |\n    posts > 1 &&\n      vots > 1",
            7,
            7,
            "rules[0].when",
            "votes",
        ),
        ("rules: [{id: a, grade: LARGE, when: posts > 1}]", 1, 9, "rules[0].why", "is required"),
        ("rules:\n  - {id: a, grade: LARGE, when: posts > 1, why: b, mood: c}", 2, 52, "rules[0].mood", "not a field"),
        ("rules: [{id: a, id: b, grade: LARGE, when: posts > 1, why: b}]", 1, 17, "rules[0].id", "there twice"),
        ("rules: []\nviewpoint: x", 2, 1, "viewpoint", "not a field"),
        ("rules: []\nmedia: [daily]", 2, 9, "media[0]", "name of a source"),
        ("rules: [", 1, 9, "body", "not YAML"),
        ("rules: []\na: \x00", 2, 4, "body", "not YAML"),
        ("[" * 5000, 1, 1, "body", "nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_column(body: str, line: int, column: int, place: str, told: str) -> None:
    found = wrong(body)
    assert found[0][:3] == (line, column, place)
    assert told in found[0][3]


def test_every_mistake_is_told_at_once_in_the_order_of_the_document() -> None:
    rule = "- {id: a, grade: LARGE, when: author > 1, why: b}\n"
    found = wrong(f"rules:\n{rule}{rule}mood: 1\n")
    assert [(line, place) for line, _, place, _ in found] == [
        (2, "rules[0].when"),
        (3, "rules[1].id"),
        (3, "rules[1].when"),
        (4, "mood"),
    ]


def test_a_division_that_asks_first_is_accepted() -> None:
    grading = parse_grading("rules: [{id: a, grade: LARGE, when: places > 0 && posts / places >= 3, why: b}]")
    assert grading.assess(figures(posts=9, places=3)).grade == GRADES["LARGE"]


# What would change it

COUNTS = sorted(set(FIGURES) - FRACTIONS)
ANY_FIGURES = st.fixed_dictionaries(
    {name: st.sampled_from((0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 20, 29, 30, 40, 199, 300)) for name in COUNTS},
    optional={name: st.floats(0, 60) for name in FRACTIONS},
)


def changed(figures: Mapping[str, float], change: Change) -> dict[str, float]:
    return {**figures, **{move.figure: move.after for move in change.moves}}


def step_before(figure: str, before: float, after: float) -> float:
    step = 0.01 if figure in FRACTIONS else 1
    return max(round(after - step, 2), before) if after > before else min(round(after + step, 2), before)


@pytest.mark.parametrize("grading", [parse_grading(DEFAULT), parse_grading(SAMPLE)], ids=["default", "samples"])
@settings(deadline=None, max_examples=60)
@given(given_figures=ANY_FIGURES)
def test_a_nearest_change_changes_the_grade_and_the_step_before_does_not(
    grading: Grading, given_figures: dict[str, float]
) -> None:
    grade = grading.assess(given_figures).grade
    for change in nearest(grading, given_figures):
        assert change.grade == grading.assess(changed(given_figures, change)).grade != grade
        for move in change.moves:
            assert move.before == given_figures[move.figure]
            before = {move.figure: step_before(move.figure, move.before, move.after)}
            found = grading.assess({**changed(given_figures, change), **before}).grade
            assert found <= grade if change.grade > grade else found >= grade


@settings(deadline=None, max_examples=60)
@given(given_figures=ANY_FIGURES)
def test_whatever_the_figures_are_something_raises_the_grade_and_something_lowers_it(
    given_figures: dict[str, float],
) -> None:
    grading = parse_grading(DEFAULT)
    grade = grading.assess(given_figures).grade
    found = nearest(grading, given_figures)
    assert any(change.grade > grade for change in found) == (grade < GRADES["ESPECIALLY_SERIOUS"])
    assert any(change.grade < grade for change in found) == (grade > GRADES["ORDINARY"])


def test_the_nearest_change_is_told_in_figures() -> None:
    grading = parse_grading(POLICY)
    (change,) = nearest(grading, figures(posts=8))[:1]
    assert (change.grade, [(m.figure, m.before, m.after) for m in change.moves]) == (2, [("posts", 8, 10)])
    lowering = nearest(grading, figures(posts=12, harm__life=2, growth=2.004))
    assert [(c.grade, [(m.figure, m.after) for m in c.moves]) for c in lowering] == [
        (2, [("growth", 1.5)]),
        (2, [("harm.life", 1)]),
    ]


def test_where_one_figure_does_not_do_two_together_are_told() -> None:
    grading = parse_grading("rules: [{id: r, grade: SERIOUS, when: harm.life >= 5 && voices >= 8, why: b}]")
    (change,) = nearest(grading, figures(harm__life=4, voices=7))
    assert {(move.figure, move.after) for move in change.moves} == {("harm.life", 5), ("voices", 8)}
    two = parse_grading(
        "rules: [{id: r, grade: LARGE, when: posts >= 5, why: b}, {id: s, grade: LARGE, when: votes >= 3, why: b}]"
    )
    (change,) = nearest(two, figures(posts=6, votes=4))
    assert {(move.figure, move.after) for move in change.moves} == {("posts", 4), ("votes", 2)}


def test_what_is_not_known_is_not_said_to_change() -> None:
    known = figures(posts=3)
    del known["growth"]
    found = nearest(parse_grading(POLICY), known)
    assert {move.figure for change in found for move in change.moves} == {"posts"}


# Evidence


def spoken(number: int, *, voice: bytes = b"", harm: Harm = Harm.NONE, votes: int = 0, time: int = 0) -> Spoken:
    return Spoken(f"p{number}", time, "sources/b", True, votes, voice, 0, int(harm))


def test_a_rule_of_harm_rests_on_the_posts_that_describe_it_of_each_voice_one_first() -> None:
    rule = parse_grading("rules: [{id: r, grade: LARGE, when: harm.life >= 2, why: b}]").rules[0]
    posts = [
        spoken(0, voice=b"a"),
        spoken(1, voice=b"a", harm=Harm.LIFE, time=1),
        spoken(2, voice=b"a", harm=Harm.LIFE, time=2),
        spoken(3, voice=b"b", harm=Harm.LIFE | Harm.HEALTH, time=3),
    ]
    assert evidence(rule, posts) == ["p1", "p3", "p2"]


def test_evidence_is_short_and_of_votes_the_most_voted() -> None:
    rule = parse_grading("rules: [{id: r, grade: LARGE, when: votes >= 2, why: b}]").rules[0]
    found = evidence(rule, [spoken(number, votes=number) for number in range(20)])
    assert found == ["p19", "p18", "p17", "p16", "p15"] and len(found) == MOST_EVIDENCE


def test_a_rule_of_growth_rests_on_the_posts_of_the_last_day() -> None:
    rule = parse_grading("rules: [{id: r, grade: LARGE, when: growth >= 2.0, why: b}]").rules[0]
    assert evidence(rule, [spoken(0), spoken(1, time=3 * DAY), spoken(2, time=3 * DAY + HOUR)]) == ["p1", "p2"]
