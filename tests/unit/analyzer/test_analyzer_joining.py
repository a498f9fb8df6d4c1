"""Posts of one matter join; the result is a function of the sequence of operations."""

from __future__ import annotations

from itertools import count

import pytest
from huiyin_analyzer.model.joining import COOLING, Joiner, Placed
from huiyin_analyzer.model.repair import split
from huiyin_analyzer.model.terms import NO_TERMS, dump, load, terms_of
from hypothesis import given, settings
from hypothesis import strategies as st

MATTERS = {
    "noise": ["碧水湾小区夜间施工噪音", "碧水湾工地半夜施工打桩", "投诉碧水湾工地夜间施工", "碧水湾夜间施工太吵"],
    "wages": ["金桂华庭拖欠农民工工资", "金桂华庭工地拖欠工资", "讨要金桂华庭工资", "金桂华庭二期拖欠工资"],
    "water": ["望江花园自来水爆管停水", "望江花园停水三天", "望江花园水管爆裂停水", "望江花园停水何时恢复"],
}
BY_TURNS = zip(*MATTERS.values(), strict=True)
TEXTS = [(name, text) for texts in BY_TURNS for name, text in zip(MATTERS, texts, strict=True)]
COPIED = "我们住在桥头的三十几户人家每逢下雨就要淌水出门。"
DAY = 86_400_000_000


def test_posts_of_one_matter_join_and_others_do_not() -> None:
    joiner = Joiner()
    events = {name: set[str]() for name in MATTERS}
    for number, (name, text) in enumerate(TEXTS):
        events[name].add(joiner.join(terms_of(text, ""), str(number)).event)
    assert all(len(found) == 1 for found in events.values())
    assert len(set.union(*events.values())) == len(MATTERS)


@pytest.mark.parametrize(
    ("place", "event"), [("A市.A3区", "first"), ("A市", "first"), ("", "first"), ("A市.A7县", "second")]
)
def test_the_same_trouble_in_another_place_is_another_event(place: str, event: str) -> None:
    joiner = Joiner()
    joiner.join(terms_of("金桂华庭麻将馆扰民", ""), "first", "A市.A3区")
    assert joiner.join(terms_of("望江花园麻将馆扰民", ""), "second", place).event == event


def test_a_text_without_terms_opens_an_event_of_its_own() -> None:
    joiner = Joiner()
    assert [joiner.join(NO_TERMS, str(number)).event for number in range(3)] == ["0", "1", "2"]


def test_an_echo_opens_an_event_that_is_linked_to_the_closed_one() -> None:
    joiner = Joiner()
    joiner.join(terms_of("望江花园停水三天", ""), "first", time=0)
    assert joiner.join(terms_of("望江花园停水", ""), "second", time=COOLING) == ("first", "", True)
    assert joiner.join(terms_of("望江花园停水", ""), "third", time=2 * COOLING + 1) == ("third", "first", False)


def test_a_post_that_arrives_late_joins_the_event_of_its_time() -> None:
    joiner = Joiner()
    for new_id, time in [("first", 0), ("second", 3 * COOLING)]:
        assert joiner.join(terms_of("望江花园停水三天", ""), new_id, time=time).event == new_id
    assert joiner.join(terms_of("望江花园停水", ""), "late", time=DAY).event == "first"
    assert joiner.join(terms_of("望江花园停水", ""), "later", time=3 * COOLING - DAY).event == "second"
    assert joiner.neighbours("first") == []


def test_an_event_is_reviewed_as_it_grows_by_a_part_of_its_size() -> None:
    joiner = Joiner()
    reviewed = [joiner.join(terms_of("望江花园停水三天", ""), str(number)).review for number in range(1000)]
    assert reviewed[:3] == [False, True, True]
    assert 15 < sum(reviewed) < 40


def test_events_that_are_one_are_neighbours_until_they_are_merged() -> None:
    joiner = Joiner()
    for number, (name, text) in enumerate(TEXTS):
        joiner.add(terms_of(text, ""), f"{name}-{number % 2}")
    assert joiner.neighbours("water-0") == ["water-1"]
    joiner.merge("water-1", "water-0")
    assert joiner.neighbours("water-0") == joiner.neighbours("water-1") == []
    assert joiner.join(terms_of("望江花园水管爆裂", ""), "new").event == "water-0"


def test_an_event_whose_posts_were_moved_away_no_longer_draws_their_like() -> None:
    joiner = Joiner()
    for _, text in TEXTS:
        joiner.add(terms_of(text, ""), "all")
    joiner.replace("all", [(terms_of(text, ""), "", 0) for text in MATTERS["noise"]])
    assert joiner.join(terms_of("望江花园停水三天", ""), "new").event == "new"
    joiner.replace("all", [])
    assert joiner.join(terms_of("碧水湾小区夜间施工噪音", ""), "newer").event == "newer"


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["join", "join", "join", "merge", "replace"]),
        st.sampled_from([text for _, text in TEXTS]),
        st.sampled_from(["", COPIED]),
        st.sampled_from(["", "A市", "A市.A3区", "A市.A7县"]),
        st.integers(0, 3),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(OPERATIONS, st.randoms(use_true_random=False))
def test_a_replay_goes_on_as_if_nothing_had_happened(operations: list[tuple[str, str, str, str, int]], chance) -> None:  # type: ignore[no-untyped-def]
    """Ids are made by chance: which they are changes nothing, and neither does a restart."""
    live, replayed = Joiner(), Joiner()
    renamed: dict[str, str] = {}
    members: dict[str, list[Placed]] = {}
    ids = (str(number) for number in count())
    for kind, subject, text, place, quarter in operations:
        terms, time = terms_of(subject, text), quarter * COOLING // 2
        several = sorted(members)
        if kind == "join" or len(several) < 2:
            event = live.join(terms, next(ids), place, time).event
            renamed.setdefault(event, f"{chance.random()}-{event}")
            members.setdefault(event, []).append((terms, place, time))
            replayed.add(load(dump(terms)), renamed[event], place, time)
        elif kind == "merge":
            event, into = chance.sample(several, 2)
            live.merge(event, into)
            replayed.merge(renamed[event], renamed[into])
            members[into] += members.pop(event)
        else:
            event = chance.choice(several)
            members[event] = members[event][1:]
            live.replace(event, members[event])
            replayed.replace(renamed[event], members[event])
            if not members[event]:
                del members[event]
    for event in members:
        assert [renamed[other] for other in live.neighbours(event)] == replayed.neighbours(renamed[event])
    renamed |= {f"new-{number}": f"new-{number}" for number in range(len(TEXTS))} | {"": ""}
    for number, (_, subject) in enumerate(TEXTS):
        first = live.join(terms_of(subject, COPIED), f"new-{number}", "A市", COOLING)
        second = replayed.join(terms_of(subject, COPIED), f"new-{number}", "A市", COOLING)
        assert (renamed[first.event], renamed[first.echo_of], first.review) == second


@given(st.text(max_size=60), st.text(max_size=300))
def test_terms_are_kept_as_they_are(subject: str, text: str) -> None:
    terms = terms_of(subject, text)
    assert load(dump(terms)) == terms


def test_a_copied_sentence_leaves_the_same_mark_whatever_stands_around_it() -> None:
    first = terms_of("路面积水", f"您好！{COPIED}盼复。")
    assert first.marks == terms_of("下雨天", COPIED.replace("人家", "人家，").replace("。", "！")).marks != ()
    assert first.marks != terms_of("路面积水", COPIED.replace("三十", "四十")).marks


def test_an_event_of_several_matters_is_split_and_one_of_one_matter_is_not() -> None:
    by_turns = zip(MATTERS["wages"], MATTERS["water"], strict=True)
    posts = [(text, terms_of(text, ""), "", 0) for pair in by_turns for text in pair]
    joiner = Joiner()
    for _, terms, _, _ in posts:
        joiner.add(terms, "event")
    assert split(posts, joiner.weigh) == [MATTERS["wages"], MATTERS["water"]]
    assert split(posts[::2], joiner.weigh) == [MATTERS["wages"]]
    assert split([], joiner.weigh) == [[]]


def test_a_large_event_is_left_as_it_is() -> None:
    joiner = Joiner()
    posts = [(f"{number}", terms_of(text, ""), "", 0) for number in range(50) for _, text in TEXTS]
    for _, terms, _, _ in posts:
        joiner.add(terms, "event")
    assert split(posts, joiner.weigh) == [[post_id for post_id, _, _, _ in posts]]


def test_what_is_merged_one_after_the_other_is_still_one() -> None:
    """A neighbour of a neighbour is told only if it is like all of them together."""
    joiner = Joiner()
    for number, text in enumerate(MATTERS["noise"]):
        joiner.add(terms_of(text, ""), str(number))
    found = joiner.neighbours("0")
    assert found
    for other in found:
        assert joiner.neighbours("0")[0] == other
        joiner.merge(other, "0")
    assert joiner.neighbours("0") == []


def test_weighing_what_never_joined_changes_nothing() -> None:
    first, second = Joiner(), Joiner()
    first.weigh(terms_of("望江花园停水三天", "自来水爆管"))
    for number, (_, text) in enumerate(TEXTS):
        assert first.join(terms_of(text, ""), str(number)) == second.join(terms_of(text, ""), str(number))


def test_a_copied_sentence_joins_what_is_else_not_like_enough() -> None:
    joiner = Joiner()
    about = "去年冬天以来社区医务室、图书角和健身器材都没有人管，大家只好绕到河对岸办事，来回要两个钟头，老人尤其不便。"
    joiner.join(terms_of("桥头片区设施年久失修", about + COPIED), "first")
    for asked, event in ((COPIED, "first"), (COPIED.replace("三十几户", "全部"), "second")):
        text = f"校门口的斑马线磨得看不清，早晚高峰车速又快，接送孩子的家长提心吊胆。{asked}"
        assert joiner.join(terms_of("学校旁边过街危险", text), "second").event == event
        joiner.replace("first", [(terms_of("桥头片区设施年久失修", about + COPIED), "", 0)])
