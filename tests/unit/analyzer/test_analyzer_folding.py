"""Traditional and simplified, full and half width: one form for reading and for search."""

from __future__ import annotations

import opencc
from huiyin_analyzer.model.folding import fold
from huiyin_analyzer.model.traditional import PAIRS
from hypothesis import given
from hypothesis import strategies as st


def test_texts_become_simplified_and_of_half_width() -> None:
    assert fold("請問Ａ３區的噪音，何時解決？") == "请问A3区的噪音，何时解决？"


def test_simplified_text_stays_as_it_is() -> None:
    text = "著名的后街，干净吗？乾隆年间的里巷"
    assert fold(text) == text.replace("乾", "干")


@given(st.text(st.characters() | st.sampled_from(PAIRS + "Ａ９ｚ")))
def test_every_character_keeps_its_place_and_folding_again_changes_nothing(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text) and fold(folded) == folded


def test_the_table_is_that_of_the_library() -> None:
    """Within the basic plane, single characters as OpenCC converts them."""
    library = opencc.OpenCC("t2s")
    codes = [*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000)]
    converted = {chr(code): library.convert(chr(code)) for code in codes}
    assert {old: new for old, new in converted.items() if old != new and new <= "\uffff"} == dict(
        zip(PAIRS[::2], PAIRS[1::2], strict=True)
    )
