"""Which column of a table holds which field of a post."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

# In order of preference, as `_plain` leaves them. A running number (序号) is no identity: each file has its own.
_COMMON_NAMES: Final = {
    "external_id": "留言编号 帖子编号 帖文编号 信件编号 诉求编号 工单编号 编号 "
    "唯一标识 externalid postid messageid id uuid",
    "subject": "留言主题 留言标题 帖子标题 信件标题 诉求标题 主题 标题 题目 subject title headline",
    "text": "留言详情 留言内容 帖子内容 信件内容 诉求内容 详情 内容 正文 描述 "
    "text content body message detail description",
    "author": "留言用户 留言人 用户 用户名 网友 网名 昵称 作者 发帖人 发布人 发布者 来信人 姓名 "
    "author username user nickname",
    "publish_time": "留言时间 留言日期 发布时间 发表时间 发帖时间 提交时间 来信时间 发布日期 时间 日期 "
    "publishtime publishedat published pubdate posttime createtime createdat created datetime date time",
    "likes": "点赞数 点赞量 点赞 支持数 赞同数 赞 likes likecount upvotes",
    "dislikes": "反对数 反对量 反对 踩 dislikes downvotes",
    "replies": "评论数 评论量 回复数 跟帖数 评论 replies replycount comments commentcount",
    "shares": "转发数 转发量 分享数 转发 分享 shares sharecount reposts retweets",
    "views": "浏览数 浏览量 阅读数 阅读量 点击数 点击量 访问量 浏览 阅读 点击 views viewcount reads hits",
    "uri": "原文链接 帖子链接 链接 网址 uri url link",
}
NAMES: Final = {field: names.split() for field, names in _COMMON_NAMES.items()}
"""Common column names of each field."""

FIELDS: Final = tuple(NAMES)

_IGNORED: Final = re.compile(r"[\s_\-:*]+|\([^)]*\)|\[[^]]*\]")


class UnknownColumns(Exception):
    """The header does not say where a field is; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which column holds which field: `positions` by field, and the header's own names of those columns.

    Columns that are no field are never read: what a file says beyond a post does not come in.
    """

    positions: dict[str, int]
    names: dict[str, str]

    def described(self) -> list[str]:
        """As "field=column", in the order of FIELDS."""
        return [f"{field}={self.names[field]}" for field in FIELDS if field in self.names]


def find_columns(header: Sequence[object], overrides: Iterable[str] = ()) -> Columns:
    """Finds the columns of the fields in a header row: by `overrides` ("field=column"), else by common names.

    Raises UnknownColumns. No message repeats the header: in a file without one it is the first person's row.
    """
    titles = [title(cell) for cell in header]
    found: dict[str, int] = {}
    for override in overrides:
        field, _, name = (part.strip() for part in override.partition("="))
        if field not in NAMES:
            raise UnknownColumns(f"there is no field {field!r}; the fields are {', '.join(FIELDS)}")
        matches = [index for index, each in enumerate(titles) if each == name or _plain(each) == _plain(name)]
        if not matches:
            raise UnknownColumns(f"the file has no column {name!r}; write its name as the header row has it")
        found[field] = matches[0]
    plain = [_plain(each) for each in titles]
    for field, names in NAMES.items():
        if field not in found:
            position = next((plain.index(name) for name in names if name in plain), None)
            if position is not None and position not in found.values():
                found[field] = position
    if "subject" not in found and "text" not in found:
        raise UnknownColumns(
            f"none of the {len(titles)} columns is known as subject or text; the first row must name the columns, "
            'and columns=["text=…"] says which of them holds the text'
        )
    return Columns(found, {field: titles[position] for field, position in found.items()})


def title(cell: object) -> str:
    """A header cell as text."""
    return "" if cell is None else str(cell).strip().lstrip("\ufeff")


def _plain(name: str) -> str:
    return _IGNORED.sub("", unicodedata.normalize("NFKC", name)).lower()
