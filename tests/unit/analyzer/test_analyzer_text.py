"""Reading a text: terms, topic, place, intent and harm."""

from __future__ import annotations

import pytest
from huiyin_analyzer.model.phrases import Phrases
from huiyin_analyzer.model.terms import terms_of
from huiyin_analyzer.model.text import Harm, Intent, PlaceNode, Reader
from hypothesis import given
from hypothesis import strategies as st

TOPICS = {
    "城乡建设": ["小区", "物业"],
    "城乡建设.物业管理": ["物业费", "电梯"],
    "环境保护.噪声污染": ["噪音", "夜间施工"],
}
PLACES = [
    PlaceNode("云溪市"),
    PlaceNode("云溪市.东湖区"),
    PlaceNode("云溪市.东湖区.荷塘街道", ["荷塘"]),
    PlaceNode("龙泉县"),
    PlaceNode("龙泉县.荷塘街道", ["荷塘"]),
]
reader = Reader(TOPICS, PLACES)


@pytest.mark.parametrize(
    ("subject", "text", "topic"),
    [
        ("物业费上涨", "小区的物业不公示", "城乡建设.物业管理"),
        ("工地夜间施工", "噪音太大", "环境保护.噪声污染"),
        ("咨询", "今天天气如何", ""),
    ],
)
def test_the_topic_is_that_of_the_surest_words(subject: str, text: str, topic: str) -> None:
    assert reader.read(subject, text).topic == topic


@pytest.mark.parametrize(
    ("subject", "text", "place"),
    [
        ("荷塘街道停水", "", "云溪市.东湖区.荷塘街道"),
        ("停水", "龙泉县荷塘街道停水三天", "龙泉县.荷塘街道"),
        ("东湖区停水", "云溪市都停水了", "云溪市.东湖区"),
        ("反映A市A3区违建", "", "A市.A3区"),
        ("A7县的道路", "", "A市.A7县"),
        ("K市停电", "", "K市"),
        ("A市五矿万境K9县漏水", "", "A市"),
        ("我是江北省清河市临江县居民", "", "江北省.清河市.临江县"),
        ("小区超市关门", "我们城市的夜市很吵", ""),
        ("路灯坏了", "报修了，可是市里没人来", ""),
        ("停水", "，现在清河市临江县停水", "清河市.临江县"),
    ],
)
def test_places_are_read_by_the_gazetteer_and_by_their_pattern(subject: str, text: str, place: str) -> None:
    assert reader.read(subject, text).place == place


@pytest.mark.parametrize(
    ("subject", "intent"),
    [
        ("投诉夜间施工", Intent.COMPLAINT),
        ("求助讨薪", Intent.HELP),
        ("请问何时通车", Intent.QUESTION),
        ("建议增设路灯", Intent.SUGGESTION),
        ("表扬民警", Intent.THANKS),
        ("路灯", Intent.NONE),
    ],
)
def test_the_intent_is_what_is_asked_for(subject: str, intent: Intent) -> None:
    assert reader.read(subject, "").intent is intent


def test_every_harm_described_is_read() -> None:
    assert reader.read("电梯坠楼", "有人受伤，还被骗了血汗钱").harm == Harm.LIFE | Harm.HEALTH | Harm.PROPERTY


@given(st.text(max_size=200), st.text(max_size=1000))
def test_reading_never_fails_and_is_a_function_of_the_text(subject: str, text: str) -> None:
    first = reader.read(subject, text)
    assert first == Reader(TOPICS, PLACES).read(subject, text)
    assert first.terms == terms_of(subject, text)


def test_padding_makes_no_difference() -> None:
    assert terms_of("路灯", "\n\t\t路灯坏了\n\n很黑\t") == terms_of(" 路灯 ", "路灯坏了 很黑")


def test_terms_are_of_the_matter_and_not_of_asking() -> None:
    assert set(terms_of("请问A7县泉星公园什么时候开工", "").weights) == {"泉星", "公园", "开工"}


@given(
    st.lists(st.sampled_from(["路灯", "路灯坏", "停水", "水电", "灯坏"]), unique=True),
    st.text("路灯坏停水电。", max_size=30),
)
def test_phrases_are_found_where_they_stand(words: list[str], text: str) -> None:
    found = list(Phrases((word, word) for word in words).find(text))
    assert all(text.startswith(phrase, at) and phrase == meaning for at, phrase, meaning in found)
    at_each = {at: max((w for w in words if text.startswith(w, at)), key=len, default="") for at in range(len(text))}
    assert {at: phrase for at, phrase, _ in found} == {at: word for at, word in at_each.items() if word}
