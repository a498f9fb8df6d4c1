"""Posts of one matter join; the result is a function of the sequence of posts."""

from __future__ import annotations

import pytest
from huiyin_analyzer.model.events import Event, Joiner, Post
from huiyin_analyzer.model.text import Harm, Intent, terms_of
from hypothesis import given
from hypothesis import strategies as st

MATTERS = {
    "noise": ["碧水湾小区夜间施工噪音", "碧水湾工地半夜施工打桩", "投诉碧水湾工地夜间施工", "碧水湾夜间施工太吵"],
    "wages": ["金桂华庭拖欠农民工工资", "金桂华庭工地拖欠工资", "讨要金桂华庭工资", "金桂华庭二期拖欠工资"],
    "water": ["望江花园自来水爆管停水", "望江花园停水三天", "望江花园水管爆裂停水", "望江花园停水何时恢复"],
}
BY_TURNS = zip(*MATTERS.values(), strict=True)
TEXTS = [(name, text) for texts in BY_TURNS for name, text in zip(MATTERS, texts, strict=True)]
DAY = 86_400_000_000


def post(time: int, **fields: object) -> Post:
    values: dict[str, object] = {
        "source": "sources/a",
        "expects_answer": True,
        "votes": 0,
        "voice_day": b"",
        "topic": "",
        "place": "",
        "intent": Intent.NONE,
        "harm": Harm.NONE,
    }
    return Post(publish_time=time, **{**values, **fields})  # type: ignore[arg-type]


def test_posts_of_one_matter_join_and_others_do_not() -> None:
    joiner = Joiner()
    events = {name: set[str]() for name in MATTERS}
    for number, (name, text) in enumerate(TEXTS):
        events[name].add(joiner.join(terms_of(text, ""), str(number)))
    assert all(len(found) == 1 for found in events.values())
    assert len(set.union(*events.values())) == len(MATTERS)


@given(st.integers(0, len(TEXTS)), st.permutations([f"event-{n}" for n in range(len(TEXTS))]))
def test_a_joiner_loaded_again_goes_on_as_if_nothing_had_happened(cut: int, ids: list[str]) -> None:
    """Ids are made by chance: which they are, and where a process was restarted, changes nothing."""
    whole, first, second = Joiner(), Joiner(), Joiner()
    expected = [whole.join(terms_of(text, ""), str(number)) for number, (_, text) in enumerate(TEXTS)]
    names: dict[str, str] = {}
    found = []
    for number, (_, text) in enumerate(TEXTS):
        joiner = first if number < cut else second
        if number == cut:
            for (_, earlier), event in zip(TEXTS, found, strict=False):
                second.add(terms_of(earlier, ""), event)
        event = joiner.join(terms_of(text, ""), ids[number])
        names.setdefault(event, str(number))
        found.append(event)
    assert [names[event] for event in found] == expected


@pytest.mark.parametrize(
    ("place", "event"), [("A市.A3区", "first"), ("A市", "first"), ("", "first"), ("A市.A7县", "second")]
)
def test_the_same_trouble_in_another_place_is_another_event(place: str, event: str) -> None:
    joiner = Joiner()
    joiner.join(terms_of("金桂华庭麻将馆扰民", ""), "first", "A市.A3区")
    assert joiner.join(terms_of("望江花园麻将馆扰民", ""), "second", place) == event


def test_a_text_without_terms_opens_an_event_of_its_own() -> None:
    joiner = Joiner()
    assert [joiner.join({}, str(number)) for number in range(3)] == ["0", "1", "2"]


def test_figures_read_publication_time_and_not_the_order_of_import() -> None:
    times = [10 * DAY, 9 * DAY + DAY // 2, 8 * DAY + DAY // 2, 1 * DAY]
    forward, backward = Event("a"), Event("a")
    for time in times:
        forward.count(post(time))
    for time in reversed(times):
        backward.count(post(time))
    assert forward.figures() == backward.figures()
    assert (forward.figures()["posts_24h"], forward.figures()["voices_24h"]) == (2, 2)
    assert forward.figures()["span_days"] == 9.0


def test_every_figure_counts_what_it_says() -> None:
    event = Event("a")
    event.count(
        post(0, votes=3, voice_day=b"x", harm=Harm.LIFE | Harm.HEALTH, intent=Intent.HELP, place="A市", topic="t")
    )
    event.count(post(1, votes=4, voice_day=b"x", harm=Harm.LIFE, expects_answer=False, source="sources/b", place="B市"))
    figures = event.figures()
    assert (figures["posts"], figures["inquiries"], figures["voices"], figures["votes"]) == (2, 1, 1, 7)
    assert (figures["harm.life"], figures["harm.health"], figures["intent.help"]) == (1, 1, 1)
    assert (figures["sources"], figures["places"], event.place, event.topic) == (2, 2, "A市", "t")
