"""Reads a text: its terms, topic, places, intent, and the harm that it describes.

`Reader.read` is a pure function of subject and text, given the topic and place trees; it could run in another process.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Any, Final, NamedTuple

from huiyin_analyzer.model.phrases import Phrases
from huiyin_analyzer.model.terms import Terms, terms_of_tidy, tidy


class Intent(IntEnum):
    """What a post asks for; the numbers of huiyin.type.v1.Intent."""

    NONE = 0
    COMPLAINT = 1
    HELP = 2
    QUESTION = 3
    SUGGESTION = 4
    THANKS = 5


class Harm(IntFlag):
    """What a post describes as harmed or in danger."""

    NONE = 0
    LIFE = 1
    HEALTH = 2
    LIVELIHOOD = 4
    PROPERTY = 8


class Reading(NamedTuple):
    """What was read. Topic and place are paths, empty when none was recognised."""

    terms: Terms
    topic: str
    place: str
    intent: Intent
    harm: Harm
    topics: dict[str, int]
    """How strongly the words speak of each topic that they speak of, by its path."""


@dataclass(frozen=True)
class PlaceNode:
    """A node of the gazetteer: its path and what people call it besides its last segment."""

    path: str
    aliases: Sequence[str] = ()


_INTENT_WORDS: Final[Mapping[Intent, str]] = {
    Intent.COMPLAINT: "投诉 举报 曝光 控诉 扰民 违规 违法 违建 乱收费 乱停 霸王 欺诈 欺骗 忽悠 黑心 无良 不作为 乱作为 "
    "推诿 拒不 拖欠 强制 偷工减料 污染 噪音 油烟 恶臭 脏乱差 太差 坑人 敲诈",
    Intent.HELP: "求助 求救 救救 帮帮 帮忙 恳请 恳求 请求 求解决 困难 无助 走投无路 讨回 讨薪 何去何从",
    Intent.QUESTION: "请问 咨询 询问 想问 何时 什么时候 能否 是否 如何 怎么办理 怎样 多久 有没有 可不可以 哪里办",
    Intent.SUGGESTION: "建议 提议 呼吁 希望增设 希望增加 希望能增 应当增设 改进 优化",
    Intent.THANKS: "感谢信 表扬 点赞 致谢 感谢 好评 锦旗",
}
_HARM_WORDS: Final[Mapping[Harm, str]] = {
    Harm.LIFE: "死亡 身亡 丧命 人命 生命危险 生命安全 威胁生命 坠楼 轻生 自杀 溺水 溺亡 触电 爆炸 坍塌 垮塌 倒塌 火灾 "
    "起火 煤气泄漏 燃气泄漏 被困电梯 电梯坠落 高空坠物",
    Harm.HEALTH: "中毒 受伤 摔伤 烧伤 烫伤 骨折 患病 得病 住院 呕吐 腹泻 过敏 粉尘 扬尘 甲醛 辐射 臭气 恶臭 有毒 "
    "毒气 刺鼻 污水 水质 黑臭 食品安全 变质 过期食品 睡不着 无法入睡 失眠 疫苗 传染",
    Harm.LIVELIHOOD: "欠薪 拖欠工资 工资 农民工 讨薪 失业 停水 断水 停电 断电 停气 没水 供暖 低保 养老金 社保 医保 "
    "公积金 上不了学 辍学 入学 学位 无家可归 安置房 安置费 征地款 抚恤 残疾",
    Harm.PROPERTY: "损失 诈骗 被骗 骗钱 跑路 烂尾 退款 退费 退钱 定金 血汗钱 漏水 渗水 开裂 裂缝 质量问题 赔偿 补偿款 "
    "盗窃 被盗 砸坏 损坏 集资 非法集资 强拆",
}

_MASKED_PLACE = re.compile(r"([A-Z])(?:市|(\d{1,2}[区县市]))")
"""Names that a publisher masked: A市, A3区, A市A7县. The letter of a district is that of its city."""
_BEFORE_PLACE: Final = (
    "我是|我们是|我在|来自|关于|投诉|反映|咨询|举报|请问|建议|希望|请求|可是|但是|就是|不是|还是|于是|如果|因为|由于|所以|而且|并且|"
    "或者|比如|例如|目前|现在|今天|昨天|整个|这个|那个|一个|各个|作为|难道|到底|究竟|不仅|只有|只要|尤其"
)
"""Words that stand before the name of a place, or of something that is none; never its beginning."""
_NAMED_PLACE = re.compile(
    rf"(?:^|[，。！？、；：:,.!?\s（(]|在|位于)(?:{_BEFORE_PLACE})?"
    r"([一-鿿]{2,3}省|[一-鿿]{2,7}自治区)?([一-鿿]{2,4}?市)?([一-鿿]{1,4}?[区县])?"
)
_NO_PLACE: Final = re.compile(
    rf"(?:{_BEFORE_PLACE}).*$|"
    r".*(?:超市|城市|全市|我市|本市|都市|门市|夜市|菜市|小区|社区|校区|园区|地区|景区|片区|新区|库区|辖区|厂区|城区|"
    r"街区|市区|郊区|山区|灾区|全省|我省|本省|全县|我县|本县|各区|各县|该区|该县|我区|本区|股市|楼市|上市|集市|农贸市)$"
)


class Reader:
    """Reads texts by a topic tree and a gazetteer.

    `topics`: words of each topic by its path; `places`: the gazetteer's nodes. Without a gazetteer, places are read by
    their pattern alone.
    """

    def __init__(self, topics: Mapping[str, Sequence[str]] | None = None, places: Iterable[PlaceNode] = ()) -> None:
        entries: list[tuple[str, tuple[str, Any]]] = []
        for path, words in sorted((topics or {}).items()):
            entries += [(word, ("topic", path)) for word in words]
        for node in sorted(places, key=lambda node: node.path):
            names = {node.path.rpartition(".")[2], *node.aliases}
            entries += [(name, ("place", node.path)) for name in sorted(names)]
        entries += [(word, ("intent", intent)) for intent, words in _INTENT_WORDS.items() for word in words.split()]
        entries += [(word, ("harm", int(harm))) for harm, words in _HARM_WORDS.items() for word in words.split()]
        self._phrases: Phrases[tuple[str, Any]] = Phrases(entries)

    def read(self, subject: str, text: str) -> Reading:
        """Reads a post."""
        subject, text = tidy(subject, text)
        topics: dict[str, int] = {}
        intents: dict[Intent, int] = {}
        mentions: list[tuple[int, int, str]] = []
        harm = 0
        for offset, weight, part in ((0, 3, subject), (len(subject), 1, text)):
            seen: set[tuple[str, Any]] = set()
            for at, phrase, meaning in self._phrases.find(part):
                kind, value = meaning
                if kind == "place":
                    mentions.append((offset + at, len(phrase), value))
                elif (phrase, value) not in seen:
                    seen.add((phrase, value))
                    if kind == "topic":
                        # A longer word is a surer sign; a deeper topic is the better answer of two as sure.
                        topics[value] = topics.get(value, 0) + weight * len(phrase)
                    elif kind == "intent":
                        intents[value] = intents.get(value, 0) + weight
                    else:
                        harm |= value
        return Reading(
            terms_of_tidy(subject, text),
            best_topic(topics, topics),
            _place(mentions) or _place_by_pattern(subject) or _place_by_pattern(text[:200]),
            max(intents, key=lambda intent: (intents[intent], -intent)) if intents else Intent.NONE,
            Harm(harm),
            topics,
        )


def best_topic(points: Mapping[str, int], among: Iterable[str]) -> str:
    """The path with the most points, the deepest of several; "" where there is none."""
    return max(among, key=lambda path: (points[path], path.count("."), path), default="")


def _place(mentions: list[tuple[int, int, str]]) -> str:
    """The most specific of the places mentioned whose parent is mentioned too, else the first of the most specific."""
    if not mentions:
        return ""
    paths = {path for _, _, path in mentions}

    def rank(mention: tuple[int, int, str]) -> tuple[int, int, int, str]:
        at, length, path = mention
        parts = path.split(".")
        above = sum(1 for depth in range(1, len(parts)) if ".".join(parts[:depth]) in paths)
        return (-above, -len(parts), at - length, path)

    return min(mentions, key=rank)[2]


def _place_by_pattern(text: str) -> str:
    return _masked_place(text) or _named_place(text)


def _masked_place(text: str) -> str:
    """The first district of the city that is mentioned first: in A市K9县 the county is part of a name."""
    city = ""
    for match in _MASKED_PLACE.finditer(text):
        letter, district = match.groups()
        city = city or letter
        if district and letter == city:
            return f"{city}市.{city}{district}"
    return city and f"{city}市"


def _named_place(text: str) -> str:
    for match in _NAMED_PLACE.finditer(text):
        parts = []
        for part in match.groups():
            if part is None:
                continue
            if _NO_PLACE.match(part):
                break
            parts.append(part)
        if parts and (len(parts) > 1 or parts[0][-1] in "省市县"):
            return ".".join(parts)
    return ""
