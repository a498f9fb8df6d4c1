"""The heat of events, and the bound by which cold ones are passed over."""

from __future__ import annotations

import pytest
from huiyin_analyzer.model.heat import HARM_WEIGHTS, Spoke, Window, heat, most
from huiyin_analyzer.model.signs import Harm
from hypothesis import given
from hypothesis import strategies as st

DAY = 86_400_000_000
WINDOW = Window(10 * DAY, 17 * DAY)
POSTS = st.lists(
    st.builds(Spoke, st.integers(8 * DAY, 19 * DAY), st.sampled_from([b"", b"a", b"b", b"c"]), st.integers(0, 15)),
    min_size=1,
    max_size=30,
)


def test_a_voice_counts_half_for_each_quarter_of_the_window() -> None:
    end = WINDOW.end
    quarter = (end - WINDOW.start) // 4
    assert [WINDOW.recency(end - quarters * quarter) for quarters in range(5)] == [1, 0.5, 0.25, 0.125, 0.0625]


@pytest.mark.parametrize(
    ("earlier", "later", "growth"), [(0, 1, 4 / 3), (1, 0, 0.75), (3, 3, 1), (0, 30, 2), (30, 0, 0.5)]
)
def test_growth_compares_the_halves_of_the_window(earlier: int, later: int, growth: float) -> None:
    posts = [Spoke(WINDOW.start, b"", 0)] * earlier + [Spoke(WINDOW.end - 1, b"", 0)] * later
    assert heat(posts, WINDOW).growth == growth


def test_the_gravest_harm_counts_by_the_share_of_its_voices() -> None:
    posts = [Spoke(WINDOW.end - 1, b"", harm) for harm in (Harm.LIFE, Harm.PROPERTY, Harm.PROPERTY, 0)]
    found = heat(posts, WINDOW)
    assert (found.gravest, found.harmed, found.harm) == (Harm.LIFE, 1, 1.25)
    assert heat(posts[3:], WINDOW).harm == 1 and heat(posts[3:], WINDOW).gravest is Harm.NONE


@given(POSTS)
def test_no_event_is_hotter_than_its_bound(posts: list[Spoke]) -> None:
    found = heat(posts, WINDOW)
    (bound,) = most([len(posts)], [max(post.time for post in posts)], WINDOW)
    assert found.value <= bound * (1 + 1e-12)


@given(POSTS, st.randoms())
def test_the_order_of_posts_and_repetition_make_no_difference(posts: list[Spoke], random: object) -> None:
    named = [post for post in posts if post.voice_day]
    shuffled = sorted(named, key=lambda post: random.random())  # type: ignore[attr-defined]
    one, other = heat(named, WINDOW), heat([*shuffled, *named], WINDOW)
    assert one == other


@given(POSTS, st.sampled_from(list(HARM_WEIGHTS)))
def test_more_harm_makes_no_event_colder(posts: list[Spoke], harm: Harm) -> None:
    worse = [post._replace(harm=post.harm | harm) for post in posts]
    assert heat(worse, WINDOW).value >= heat(posts, WINDOW).value
