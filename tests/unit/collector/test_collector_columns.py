"""Columns are found by the names that files really use, and by what the caller says."""

from __future__ import annotations

import pytest
from huiyin_collector.model.columns import UnknownColumns, find_columns


def found(header: list[object], *overrides: str) -> list[str]:
    return find_columns(header, overrides).described()


def test_the_names_of_a_message_board() -> None:
    header: list[object] = ["留言编号", "留言用户", "留言主题", "留言时间", "留言详情", "反对数", "点赞数"]
    assert found(header) == [
        *("external_id=留言编号", "subject=留言主题", "text=留言详情", "author=留言用户", "publish_time=留言时间"),
        *("likes=点赞数", "dislikes=反对数"),
    ]


def test_names_in_english_in_any_case_and_joint() -> None:
    header: list[object] = ["Post_ID", "Title", "Content", "Author", "Published At", "share-count", "Views", "URL"]
    assert found(header) == [
        *("external_id=Post_ID", "subject=Title", "text=Content", "author=Author", "publish_time=Published At"),
        *("shares=share-count", "views=Views", "uri=URL"),
    ]


def test_brackets_full_width_and_a_byte_order_mark_do_not_matter() -> None:
    assert found(["\ufeff标题", "内容（必填）", "点赞数(次)"]) == [
        "subject=标题",
        "text=内容（必填）",
        "likes=点赞数(次)",
    ]


def test_the_more_telling_name_wins() -> None:
    assert found(["日期", "发布时间", "内容"])[1] == "publish_time=发布时间"


def test_a_running_number_is_no_identity_and_unknown_columns_stay_unread() -> None:
    assert find_columns(["序号", "内容", "手机"]).positions == {"text": 1}


def test_what_the_caller_says_goes_before_what_is_guessed() -> None:
    assert found(["id", "内容", "备注"], "text=备注", "external_id = id") == ["external_id=id", "text=备注"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [(["body=内容"], "no field 'body'"), (["text=正文"], "no column '正文'")],
)
def test_an_override_that_fits_nothing_is_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(UnknownColumns, match=message):
        find_columns(["内容"], overrides)


def test_a_header_without_content_is_refused_and_not_repeated() -> None:
    with pytest.raises(UnknownColumns) as refused:
        find_columns(["王小明", "13912345678"])
    assert "none of the 2 columns" in str(refused.value)
    assert "王小明" not in str(refused.value)
