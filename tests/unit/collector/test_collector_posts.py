"""A row becomes a post, or is refused with a reason that repeats nothing of it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.columns import find_columns
from huiyin_collector.model.posts import (
    Draft,
    Refusal,
    clean,
    derived_external_id,
    digest,
    identifier,
    read_figure,
    read_rows,
)
from hypothesis import given
from hypothesis import strategies as st

HEADER = ["编号", "用户", "主题", "时间", "内容", "点赞数", "链接"]
COLLECTED = datetime(2026, 3, 1, tzinfo=UTC)


def read(*cells: object) -> Draft | Refusal:
    rows = read_rows([(2, cells)], find_columns(HEADER), zone=ZoneInfo("Asia/Shanghai"), collected=COLLECTED)
    row = next(rows)
    return row if isinstance(row, Refusal) else row[1]


def test_a_row_becomes_a_draft() -> None:
    assert read(
        188006.0, "A000102948", "路灯 ", "2019/2/28 11:25:05", "\n\t\t路灯\u3000坏了。\r\n\r\n\r\n请修。", 3.0
    ) == Draft(
        "路灯",
        "路灯 坏了。\n请修。",
        "A000102948",
        "188006",
        datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC),
        "",
        (3, 0, 0, 0, 0),
    )


def test_a_row_may_be_shorter_than_the_header_and_needs_only_content() -> None:
    assert read(None, None, "路灯") == Draft("路灯", "")


@pytest.mark.parametrize(
    ("cells", "field", "reason"),
    [
        ((1, "王小明", " ", "2019/2/28", "\n"), "text", "neither subject nor text"),
        ((1, "王小明", "路灯", "王小明昨天", "坏了"), "publish_time", "cannot be read as a time"),
        ((1, "王小明", "路灯", "1899-12-31", "坏了"), "publish_time", "the year 1899"),
        ((1, "王小明", "路灯", "2091/2/28", "坏了"), "publish_time", "the year 2091"),
        ((1, "王小明", "路灯", None, "坏" * 20_001), "text", "20001 characters, at most 20000"),
        ((1, "王小明", "路" * 501, None, "坏了"), "subject", "501 characters, at most 500"),
        (("9" * 201, "王小明", "路灯", None, "坏了"), "external_id", "longer than 200"),
        ((1, "王小明", "路灯", None, "坏了", "王小明"), "likes", "cannot be read as a count"),
        ((1, "王小明", "路灯", None, "坏了", -1), "likes", "cannot be read as a count"),
        ((1, "王小明", "路灯", None, "坏了", 0, "javascript:alert(1)"), "uri", "begin it with http"),
        ((1, "王小明", "路灯", None, ["坏了", "王小明"]), "text", "holds an object or a list"),
    ],
)
def test_a_row_that_cannot_be_a_post_is_refused(cells: tuple[object, ...], field: str, reason: str) -> None:
    refusal = read(*cells)
    assert isinstance(refusal, Refusal)
    assert (refusal.row, refusal.field) == (2, field)
    assert reason in refusal.description
    assert "王小明" not in refusal.description


def test_a_refusal_of_the_file_itself_passes_through() -> None:
    bad = Refusal(7, "", "no JSON object")
    assert list(read_rows([bad], find_columns(HEADER), zone=UTC, collected=COLLECTED)) == [bad]


@given(st.text())
def test_clean_text_is_clean_for_good(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert once == once.strip()
    assert "\x00" not in once
    assert "\n\n" not in once
    once.encode()


def test_marks_that_are_not_seen_cannot_split_a_number() -> None:
    assert clean("139\u200b1234\ufeff5678") == "13912345678"


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        (None, 0),
        ("", 0),
        ("-", 0),
        (12, 12),
        (12.0, 12),
        ("1,200", 1200),
        ("1.2万", 12_000),
        ("3k", 3000),
        ("10万+", 100_000),
    ],
)
def test_counts_as_sources_write_them(value: object, figure: int) -> None:
    assert read_figure(value) == figure


@pytest.mark.parametrize(
    ("value", "text"), [(188006.0, "188006"), (7, "7"), (" A 1\n", "A 1"), (1.5, "1.5"), (None, "")]
)
def test_identifiers_of_spreadsheets(value: object, text: str) -> None:
    assert identifier(value) == text


def test_a_derived_identity_is_stable_and_tells_time_and_content_apart() -> None:
    at = datetime(2019, 2, 28, 3, 25, 5, tzinfo=UTC)
    first = derived_external_id(at, digest("路灯", "坏了"))
    assert first == derived_external_id(at, digest("路灯", "坏了"))
    others = [
        derived_external_id(None, digest("路灯", "坏了")),
        derived_external_id(at, digest("路灯坏了", "")),
        derived_external_id(at, digest("路灯", "修好了")),
    ]
    assert len({first, *others}) == 4
