"""What an inquiry asks for, point by point, and which points a reply leaves out.

A point is a sentence that asks or demands something of its own. A reply seems to leave it out when it shares no pair of
characters with it that means anything, and few characters at all. That says nothing of whether the answer is right; it
is a reminder for whoever drafts and reviews. docs/casework.md has how often it is mistaken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from huiyin_casework.model.sentences import Sentence, sentences

_LEAST: Final = 6
"""Characters of a point: anything shorter is a call."""
_MEANT: Final = 2
"""Pairs that a point has at least, beside those of any inquiry."""
_FEW: Final = 4
"""A point with fewer pairs of its own is looked at together with the subject."""
_LITTLE: Final = 0.3
"""Share of a point's characters below which a reply does not speak of it."""
_ALIKE: Final = 0.6
"""Share of common pairs from which two points are one."""

_ASKS: Final = re.compile(
    r"请问|想问|咨询|是否|能否|可否|能不能|可不可以|有没有|是不是|要不要|什么时候|什么时间|何时|多久|几时|如何|怎样|怎么(?!能|会|可)|为什么"
    r"|为何|哪里|哪儿|哪些|哪个|多少|吗[？?]|呢[？?]"
)
_DEMANDS: Final = re.compile(
    r"(?<![抱着满怀无有没])希望(?!工程)|请求|恳请|恳求|要求(?:有关|相关|政府|部门|尽快|退|赔|给|公开|恢复|拆|查|停|整改)|建议|呼吁|盼望|期盼"
    r"|望.{0,6}(?:领导|部门|政府|能|尽快|解决|处理|予以|给予|早日)"
    r"|请.{0,8}(?:领导|部门|政府|尽快|督促|核实|调查|处理|解决|查处|帮|给|予以|明确|答复|回复|告知)"
)
_NO_QUESTION: Final = re.compile(
    r"难道|何在|呵呵|形同虚设|凭什么|天理|良心|谁敢|谁又|岂|道理|情何以堪|何以|怎么能|忍心|扪心|公平|重要吗|血汗|官官相护|保护伞|试问|[叫让].{2,12}(?:如何|怎么)"
    r"|你们.{0,20}吗|不是.{0,20}吗|就是.{0,20}吗|还有.{0,12}吗|何时了"
)
"""Where somebody asks without wanting to be told."""

_EMPTY: Final = frozenset(
    "的了是我们你您他她它这那有在和与及或也都就还又不没很吗呢吧啊呀请问能可否么什如何怎为哪些个一到要会想说让给被把从对于以而但因所其之并等"
)
"""Characters that make no pair worth looking for."""
_COMMON_WORDS: Final = (
    "领导 部门 有关 相关 政府 尊敬 解决 处理 调查 尽快 希望 请求 建议 要求 恳请 恳求 呼吁 问题 情况 百姓"
    " 老百 人民 群众 民众 市民 居民 关注 重视 答复 回复 答案 予解 落实 查处 核实 监督 督促 管理 早日 谢谢"
    " 感谢 咨询 想问 上级 各级 帮助 进行 反映 支持 工作 单位 职能 能部 关部 合理 公道 主持 正义 作主 做主"
    " 做实 实事 民做 体谅 疾苦 讨个 权益 利益 维护 书记 市长 县长 局长 主任 您好 你好 帮忙 认真 及时 方面"
    " 逐步 真相 明白 说法 便利 加以 不胜 感激 百忙 过问 督促 敦促 慎重 考虑"
    " 以上 上述 属实 整治 释疑 疑惑 解答 呼声 真正"
)
_COMMON: Final = re.compile("|".join(_COMMON_WORDS.split()))
"""Pairs of characters that stand in any inquiry."""
_RUN: Final = re.compile(r"[a-z0-9]+|[^\W_a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Point:
    """A sentence of an inquiry that wants an answer."""

    inquiry: str
    start: int
    text: str

    @property
    def end(self) -> int:
        """Where it ends in the inquiry's text."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Asked:
    """What of an inquiry is looked at: its id, its subject and its text."""

    inquiry: str
    subject: str
    text: str


def points(asked: Asked) -> list[Point]:
    """The points of an inquiry, in their order."""
    return [
        Point(asked.inquiry, sentence.start, sentence.text)
        for sentence in sentences(asked.text)
        if _is_point(sentence) and len(_pairs(sentence.text)) >= _MEANT
    ]


def unanswered(inquiries: Sequence[Asked], replies: Sequence[str], most: int) -> list[Point]:
    """Points that the reply to each inquiry seems to leave out, at most so many; one that many raise is told once.

    `replies`: for each inquiry what its author will read.
    """
    missing: list[tuple[Point, frozenset[str]]] = []
    read: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
    for asked, reply in zip(inquiries, replies, strict=True):
        if reply not in read:
            read[reply] = (_pairs(reply, common=True), _letters(reply))
        answered, letters = read[reply]
        raised = points(asked)
        for point in raised:
            own = _pairs(point.text)
            wanted = own | _pairs(asked.subject) if len(raised) == 1 or len(own) < _FEW else own
            asks = _letters(point.text)
            if wanted & answered or len(asks & letters) >= _LITTLE * len(asks):
                continue
            if any(len(own & known) >= _ALIKE * min(len(own), len(known)) for _, known in missing):
                continue
            missing.append((point, own))
            if len(missing) == most:
                return [each for each, _ in missing]
    return [each for each, _ in missing]


def _is_point(sentence: Sentence) -> bool:
    text = sentence.text
    if len(text) < _LEAST or _NO_QUESTION.search(text):
        return False
    return bool(_ASKS.search(text) or _DEMANDS.search(text))


def _runs(text: str) -> list[str]:
    return _RUN.findall(unicodedata.normalize("NFKC", text).lower())


def _pairs(text: str, *, common: bool = False) -> frozenset[str]:
    """Pairs of neighbouring characters, and whole words of Latin letters and digits; with `common`, all of them."""
    found: set[str] = set()
    for run in _runs(text if common else _COMMON.sub(" ", text)):
        if run[0].isascii():
            found.add(run)
        else:
            found.update(one + next_ for one, next_ in pairwise(run) if one not in _EMPTY and next_ not in _EMPTY)
    return frozenset(found)


def _letters(text: str) -> frozenset[str]:
    return frozenset(letter for run in _runs(text) if not run[0].isascii() for letter in run) - _EMPTY
