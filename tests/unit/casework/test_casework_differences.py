"""What changed between two versions of a reply."""

from __future__ import annotations

from itertools import pairwise

from huiyin_casework.model.differences import Change, Piece, differences
from hypothesis import given
from hypothesis import strategies as st

TEXTS = st.text(alphabet="路灯修好。！\n ab", max_size=60)


def test_a_sentence_that_was_altered_shows_which_characters() -> None:
    before = "您好！路灯将于3月修复。感谢您的来信。"
    after = "您好！路灯将于4月底修复。感谢您的来信。"
    assert differences(before, after) == [
        Piece(Change.SAME, "您好！路灯将于"),
        Piece(Change.REMOVED, "3"),
        Piece(Change.ADDED, "4"),
        Piece(Change.SAME, "月"),
        Piece(Change.ADDED, "底"),
        Piece(Change.SAME, "修复。感谢您的来信。"),
    ]


def test_a_sentence_that_was_written_anew_is_replaced_whole() -> None:
    assert differences("我们高度重视。路灯已修。", "线缆昨天换完。路灯已修。") == [
        Piece(Change.REMOVED, "我们高度重视。"),
        Piece(Change.ADDED, "线缆昨天换完。"),
        Piece(Change.SAME, "路灯已修。"),
    ]


def test_very_long_texts_without_an_end_of_sentence_are_replaced_rather_than_compared_for_minutes() -> None:
    one, other = "停水" * 5_000, "停电" * 5_000
    assert differences(one, other) == [Piece(Change.REMOVED, one), Piece(Change.ADDED, other)]


@given(before=TEXTS, after=TEXTS)
def test_both_texts_can_be_read_from_the_pieces(before: str, after: str) -> None:
    pieces = differences(before, after)
    assert "".join(piece.text for piece in pieces if piece.change != Change.ADDED) == before
    assert "".join(piece.text for piece in pieces if piece.change != Change.REMOVED) == after
    assert all(piece.text for piece in pieces)
    assert all(one.change != other.change for one, other in pairwise(pieces))
