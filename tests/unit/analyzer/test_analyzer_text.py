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
    PlaceNode("云溪市.东湖区.荷塘街道.碧水湾小区", ["碧水湾"]),
    PlaceNode("龙泉县"),
    PlaceNode("龙泉县.新荷塘公寓"),
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
        ("荷塘街道碧水湾漏水", "东湖区的荷塘街道", "云溪市.东湖区.荷塘街道.碧水湾小区"),
        ("新荷塘公寓漏水", "龙泉县新荷塘公寓", "龙泉县.新荷塘公寓"),
        ("龍泉縣荷塘街道停水", "", "龙泉县.荷塘街道"),
        ("反映Ａ市Ａ３区违建", "", "A市.A3区"),
        ("A市违建", "A市A3区的违建，A市A7县也有", "A市.A3区"),
        ("A市违建", "B市B3区的人说的", "A市"),
    ],
)
def test_places_are_read_by_the_gazetteer_and_by_their_pattern(subject: str, text: str, place: str) -> None:
    assert reader.read(subject, text).place == place


def places(subject: str, text: str) -> list[str]:
    return reader.evidence(subject, text, reader.read(subject, text)).places


@pytest.mark.parametrize(
    ("subject", "text", "expected"),
    [
        ("碧水湾和龙泉县都停水", "云溪市停水", ["云溪市.东湖区.荷塘街道.碧水湾小区", "龙泉县"]),
        ("荷塘停水", "龙泉县的荷塘", ["龙泉县.荷塘街道"]),
        ("A市A3区与A市A7县之间的路", "B市的车不走", ["A市.A3区", "A市.A7县", "B市"]),
        ("清河市停水", "，在清河市临江县，在白石市也停水", ["清河市.临江县"]),
        ("路灯坏了", "", []),
    ],
)
def test_places_come_in_order_of_certainty(subject: str, text: str, expected: list[str]) -> None:
    assert places(subject, text) == expected


@given(
    st.lists(
        st.sampled_from(["碧水湾", "荷塘", "龙泉县", "云溪市", "，", "A市A3区", "新荷塘公寓", "在清河市"]), max_size=8
    )
)
def test_the_first_place_is_that_of_the_post_and_none_lies_above_one_before_it(words: list[str]) -> None:
    text = "".join(words)
    reading, found = reader.read("", text), places("", text)
    assert (found or [""])[0] == reading.place
    above = [(a, b) for i, a in enumerate(found) for b in found[i:] if a != b and f"{a}.".startswith(f"{b}.")]
    assert not above and len(found) == len(set(found))


@pytest.mark.parametrize(
    ("subject", "text", "intent"),
    [
        ("投诉夜间施工", "", Intent.COMPLAINT),
        ("求助讨薪", "", Intent.HELP),
        ("请问何时通车", "", Intent.QUESTION),
        ("建议增设路灯", "", Intent.SUGGESTION),
        ("表扬民警", "", Intent.THANKS),
        ("路灯", "", Intent.NONE),
        ("这条路还修吗", "", Intent.QUESTION),
        ("楼下的垃圾没人收", "", Intent.COMPLAINT),
        ("建议把噪音大的货车改道", "货车彻夜扰民，违规超速", Intent.SUGGESTION),
        ("物业乱收费", "请问这合理吗？感谢领导百忙之中阅读，谢谢！", Intent.COMPLAINT),
        ("感谢街道修好路灯", "", Intent.THANKS),
        ("路灯一事", "上周投诉的路灯已经修好了，感谢你们", Intent.THANKS),
        ("路灯一事", "路灯投诉至今没有得到解决，感谢阅读", Intent.COMPLAINT),
        ("路灯一事", "路灯已经修好了，但是又坏了，投诉无果，谢谢", Intent.COMPLAINT),
    ],
)
def test_the_intent_is_what_is_asked_for(subject: str, text: str, intent: Intent) -> None:
    assert reader.read(subject, text).intent is intent


def test_every_harm_described_is_read() -> None:
    assert reader.read("电梯坠楼", "有人受伤，还被骗了血汗钱").harm == Harm.LIFE | Harm.HEALTH | Harm.PROPERTY


@pytest.mark.parametrize(
    ("text", "harm"),
    [
        ("工地坍塌，有人受伤", Harm.LIFE | Harm.HEALTH),
        ("幸好没有人员受伤", Harm.NONE),
        ("未造成任何损失", Harm.NONE),
        ("为防止火灾，请清理楼道", Harm.NONE),
        ("商场的光污染", Harm.NONE),
        ("请问社保怎么办理", Harm.NONE),
        ("单位一直没有缴社保", Harm.LIVELIHOOD),
        ("能不能用公积金买房", Harm.NONE),
        ("公积金被停发", Harm.LIVELIHOOD),
        ("商家不给退款", Harm.PROPERTY),
        ("不知道在哪里，退款已经到了", Harm.NONE),
    ],
)
def test_harm_that_is_denied_or_only_spoken_of_is_none(text: str, harm: Harm) -> None:
    assert reader.read("", text).harm == harm


def test_who_thanks_tells_of_a_harm_that_is_over() -> None:
    assert reader.read("感谢消防队扑灭火灾", "").harm == Harm.NONE


def test_the_words_that_say_so_are_told() -> None:
    subject, text = "投訴夜間施工", "噪音扰民，没有人受伤，可是墙面开裂，还漏水"
    found = reader.evidence(subject, text, reader.read(subject, text))
    assert found.intent == ["投诉", "噪音", "扰民"]
    assert found.harms == {Harm.PROPERTY: ["开裂", "漏水"]}


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        ("这条路还修吗", ["吗"]),
        ("楼下垃圾没人收", ["垃圾"]),
        ("感谢修好路灯", ["感谢"]),
        ("希望有路灯", ["希望"]),
        ("请修路灯", ["请"]),
    ],
)
def test_an_intent_by_the_form_of_a_subject_is_explained_too(subject: str, words: list[str]) -> None:
    assert reader.evidence(subject, "", reader.read(subject, "")).intent == words


@given(st.text(max_size=60), st.text(max_size=300))
def test_what_is_told_is_what_was_read(subject: str, text: str) -> None:
    reading = reader.read(subject, text)
    found = reader.evidence(subject, text, reading)
    assert set(found.harms) == {harm for harm in Harm if harm & reading.harm}
    assert bool(found.intent) == bool(reading.intent)


@given(st.text(max_size=200), st.text(max_size=1000))
def test_reading_never_fails_and_is_a_function_of_the_text(subject: str, text: str) -> None:
    first = reader.read(subject, text)
    assert first == Reader(TOPICS, PLACES).read(subject, text)
    assert first.terms == terms_of(subject, text)


def test_characters_and_widths_make_no_difference() -> None:
    assert reader.read("Ａ３区夜間施工擾民", "電梯壞了") == reader.read("A3区夜间施工扰民", "电梯坏了")


def test_padding_makes_no_difference() -> None:
    assert terms_of("路灯", "\n\t\t路灯坏了\n\n很黑\t") == terms_of(" 路灯 ", "路灯坏了 很黑")


def test_terms_are_of_the_matter_and_not_of_asking() -> None:
    assert set(terms_of("请问A7县泉星公园什么时候开工", "").words) == {"泉星", "公园", "开工"}


@given(
    st.lists(st.sampled_from(["路灯", "路灯坏", "停水", "水电", "灯坏"]), unique=True),
    st.text("路灯坏停水电。", max_size=30),
)
def test_phrases_are_found_where_they_stand(words: list[str], text: str) -> None:
    found = list(Phrases((word, word) for word in words).find(text))
    assert all(text.startswith(phrase, at) and phrase == meaning for at, phrase, meaning in found)
    at_each = {at: max((w for w in words if text.startswith(w, at)), key=len, default="") for at in range(len(text))}
    assert {at: phrase for at, phrase, _ in found} == {at: word for at, word in at_each.items() if word}
