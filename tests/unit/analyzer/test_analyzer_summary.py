"""Summaries are sentences of posts: central, not twice the same, and never made up."""

from __future__ import annotations

from huiyin_analyzer.model.summary import Kept, summarise
from hypothesis import given
from hypothesis import strategies as st

LIFT = "三号楼电梯停运半个月"


def test_what_most_posts_say_comes_first_and_is_said_once() -> None:
    posts = [
        Kept("a", "电梯", f"尊敬的领导您好，我是业主。{LIFT}。"),
        Kept("b", "电梯", f"{LIFT}，没有人管！维修资金还没有批下来。"),
        Kept("c", "电梯", f"{LIFT}。门口的菜市场很好。"),
    ]
    found = summarise(posts, 3)
    assert LIFT in found[0].text
    assert sum(LIFT in sentence.text for sentence in found) == 1
    assert not any("尊敬" in sentence.text for sentence in found)


def test_a_post_without_sentences_is_its_subject() -> None:
    assert [sentence.text for sentence in summarise([Kept("a", "路灯坏了没人修理", "")], 3)] == ["路灯坏了没人修理"]


def test_nothing_is_summed_up_of_nothing() -> None:
    assert summarise([], 3) == [] and summarise([Kept("a", "", "")], 3) == []


TEXTS = st.text("路灯电梯停运，。！ 小区三号楼维修\n", max_size=120)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.integers(1, 5))
def test_every_sentence_stands_in_its_post(written: list[tuple[str, str]], most: int) -> None:
    posts = [Kept(str(number), subject, text) for number, (subject, text) in enumerate(written)]
    found = summarise(posts, most)
    assert len(found) <= most and len(set(found)) == len(found)
    for sentence in found:
        post = posts[int(sentence.post)]
        assert sentence.text in " ".join(f"{post.text} {post.subject}".split())
