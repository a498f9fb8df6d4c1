"""Tokens, queries and snippets of the search."""

from __future__ import annotations

import pytest
from huiyin_analyzer.model.search import (
    Marker,
    QueryError,
    event_facts,
    fact_token,
    fact_tokens,
    facts,
    fold,
    parse,
    tokens,
)
from huiyin_analyzer.model.text import PlaceNode, Reader
from hypothesis import given
from hypothesis import strategies as st


def phrases(query: str) -> list[list[list[str]]]:
    """The texts of the phrases of a query, by group and alternative."""
    return [[[phrase.text for phrase in each.phrases] for each in group] for group in parse(query).groups]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("噪音扰民", ["噪音", "音扰", "扰民"]),
        ("A市A3区，Ｗｉ-Fi ５G！", ["a", "市", "a3", "区", "wi", "fi", "5g"]),
        ("夜間施工", ["夜间", "间施", "施工"]),
        ("夜间\n 施工", ["夜间", "间施", "施工"]),
        ("夜间，施工", ["夜间", "施工"]),
        ("！？…", []),
    ],
)
def test_pairs_of_characters_and_whole_words_are_indexed(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


@given(st.text())
def test_folding_keeps_every_character_in_its_place(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text) and fold(folded) == folded


@given(st.text())
def test_no_text_holds_a_token_of_a_fact(text: str) -> None:
    assert not {token[0] for token in tokens(text)} & {fact_token(kind, "")[0] for kind in "gtpsxd"}


def test_a_path_is_found_by_itself_and_by_all_above_it() -> None:
    of_event = event_facts("环境保护.噪声污染", "云溪市.东湖区", 2)
    found = fact_tokens(facts(of_event, "sources/board-1", expects_answer=True, drill=False)).split()
    for kind, value in [
        ("t", "环境保护"),
        ("t", "环境保护.噪声污染"),
        ("p", "云溪市"),
        ("p", "云溪市.东湖区"),
        ("g", "2"),
        ("s", "sources/board-1"),
        ("x", "1"),
    ]:
        found.remove(fact_token(kind, value))
    assert found == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("停水 电梯", [[["停水"]], [["电梯"]]]),
        ("夜间施工", [[["夜间", "施工"]]]),
        ("“夜间施工”", [[["夜间施工"]]]),
        ("停水 OR 停电 电梯", [[["停水"], ["停电"]], [["电梯"]]]),
        ('"OR" or', [[["or"]], [["or"]]]),
        ("3栋停水", [[["3", "停水"]]]),
        ('"未关', [[["未关"]]]),
        ("", []),
    ],
)
def test_words_are_all_there_phrases_stand_and_or_joins_two(query: str, expected: list[list[list[str]]]) -> None:
    assert phrases(query) == expected


def test_names_that_no_dictionary_has_are_words_of_their_own() -> None:
    names = Reader(places=[PlaceNode("云溪市.碧水湾", ["碧水湾小区"]), PlaceNode("云溪市.湾小")]).names_in
    found = [[phrase.text for phrase in parse(query, names).phrases] for query in ("碧水灣小區噪音", "楼下碧水湾")]
    assert found == [["碧水湾小区", "噪音"], ["楼下", "碧水湾"]]


def test_what_is_excluded_is_a_phrase() -> None:
    query = parse('噪音 -夜间施工 －"停 水"')
    assert [phrase.tokens for phrase in query.excluded] == [("夜间", "间施", "施工"), ("停水",)]


def test_a_character_at_the_end_of_a_phrase_has_neighbours_that_are_not_known() -> None:
    assert [phrase.tokens for phrase in parse('"小区3栋"').phrases] == [("小区", "3")]


@pytest.mark.parametrize(
    "query", ["水", "！", "OR 停水", "停水 OR", "停水 OR OR 停电", "停水 OR ！", "停水 OR -停电", "停水 " * 31]
)
def test_what_cannot_be_searched_is_refused_with_the_remedy(query: str) -> None:
    with pytest.raises(QueryError):
        parse(query)


@given(st.text(st.sampled_from('停水电 "-ORａ3，'), max_size=20))
def test_a_query_is_read_or_refused(query: str) -> None:
    try:
        found = parse(query)
    except QueryError:
        return
    assert all(phrase.tokens for phrase in (*found.phrases, *found.excluded))


def test_a_snippet_is_cut_where_most_of_the_query_is() -> None:
    text = "停水。" + "无关的话" * 40 + "小区停水，\n电梯也停" + "别的话" * 40
    pieces = Marker(parse("停水 电梯")).snippet(text)
    assert [part for part, marked in pieces if marked] == ["停水", "电梯"]
    assert pieces[0] == pieces[-1] == ("…", False)
    assert len("".join(part for part, _ in pieces)) == 122


def test_letters_are_marked_as_words_and_not_within_words() -> None:
    assert Marker(parse("wifi")).whole("WIFI 与 wifi6") == [("WIFI", True), (" 与 wifi6", False)]


@given(st.text("停水电梯 a，\n", max_size=300), st.sampled_from(["停水", "水 电梯 停", '"停水电"', "-停水", "a"]))
def test_marking_changes_nothing_but_space(text: str, query: str) -> None:
    try:
        marker = Marker(parse(query))
    except QueryError:
        return
    assert "".join(part for part, _ in marker.whole(text)) == " ".join(text.split())
    snippet = "".join(part for part, _ in marker.snippet(text)).strip("…")
    assert snippet in " ".join(text.split()) and len(snippet) <= 120
