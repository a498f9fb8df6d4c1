"""Past answers that resemble a question: the index against a slow count of the same formula, and against itself."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter

import pytest
from huiyin_casework.model import similar
from huiyin_casework.model.similar import K1, AnswerIndex, B
from hypothesis import given
from hypothesis import strategies as st

DOCUMENTS = [
    (1, "东街路灯坏了半个月没人修", "东街路灯的线缆已更换，当晚恢复照明。"),
    (2, "老旧小区能不能加装电梯", "加装电梯须经本单元三分之二以上业主同意。"),
    (3, "西街路灯太亮影响休息", "已为西街路灯加装遮光罩。"),
    (4, "公交12路为什么停运", "12路因道路施工改线，预计十月恢复。"),
]

TEXTS = st.text(alphabet="东西街路灯修ab1 ，。", max_size=12)


def _tokens(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).lower()
    runs = "".join(letter if letter.isalnum() else " " for letter in plain).split()
    return [run[at : at + size] for run in runs for size in (1, 2) for at in range(len(run) - size + 1)]


def _slowly(documents: dict[int, tuple[str, str]], text: str) -> dict[int, float]:
    """BM25 as it is written down, one token and one document after the other."""
    counts = {number: Counter(2 * _tokens(asked) + _tokens(told)) for number, (asked, told) in documents.items()}
    mean = sum(sum(each.values()) for each in counts.values()) / len(counts)
    scores: Counter[int] = Counter()
    for token in set(_tokens(text)):
        holding = sum(token in each for each in counts.values())
        rarity = math.log(1 + (len(counts) - holding + 0.5) / (holding + 0.5))
        for number, each in counts.items():
            if token in each:
                length = sum(each.values()) / mean
                scores[number] += rarity * each[token] * (K1 + 1) / (each[token] + K1 * (1 - B + B * length))
    return dict(scores)


def test_the_answer_to_the_same_matter_comes_first() -> None:
    index = AnswerIndex()
    index.add(DOCUMENTS)
    assert [match.number for match in index.search("东街的路灯何时修好", 2)] == [1, 3]
    assert index.search("１２路公交", 1)[0].number == 4
    assert index.search("，。！", 3) == index.search("", 3) == []


def test_how_much_of_the_question_an_answer_shares_lies_between_nothing_and_all() -> None:
    index = AnswerIndex()
    index.add(DOCUMENTS)
    same, other = index.search("东街路灯坏了半个月没人修", 2)
    assert (same.number, round(same.share, 9)) == (1, 1)
    assert 0 < other.share < 1


@given(documents=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), text=TEXTS, gone=st.sets(st.integers(0, 7)))
def test_scores_are_those_of_the_formula_whatever_was_added_and_taken_out(
    documents: list[tuple[str, str]], text: str, gone: set[int]
) -> None:
    kept = {number: both for number, both in enumerate(documents) if number not in gone}
    index = AnswerIndex()
    for number, (asked, told) in enumerate(documents):
        index.add([(number, asked, told)])
    index.remove(gone)
    assert set(index.numbers) == set(kept)
    found = {match.number: match.score for match in index.search(text, len(documents))}
    assert found == pytest.approx(_slowly(kept, text) if kept else {})


def test_what_is_taken_out_leaves_nothing_in_memory() -> None:
    index = AnswerIndex()
    index.add(DOCUMENTS)
    index.remove([2])
    codes = {code for segment in index._segments for code in segment.codes.tolist()}
    assert ord("梯") not in codes
    assert ord("灯") in codes


def test_many_documents_lie_in_segments_and_are_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similar, "_SEGMENT", 8)
    index = AnswerIndex()
    for number in range(100):
        index.add([(number, f"第{number}号楼停水", "已恢复供水。")])
    assert len(index) == 100
    assert len(index._segments) < 20
    assert [index.search(f"第{number}号楼停水", 1)[0].number for number in (0, 37, 99)] == [0, 37, 99]
