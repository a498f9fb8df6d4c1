"""Words by which a post says what it asks for and what harm it describes, and when they do not count.

The words are data; what is told of them in docs/analysis.md was counted on real messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum, IntFlag
from typing import Final, NamedTuple


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


class Counts(IntEnum):
    """When a word of harm counts."""

    ALWAYS = 0
    UNLESS_DENIED = 1
    """Not where it is said to be absent or prevented: nobody was hurt."""
    IN_TROUBLE = 2
    """Only beside a word of trouble: who asks for the rules of a pension is not harmed, whose pension stays away is."""


class Sign(NamedTuple):
    """What a word says: an intent, with its weight, or a harm, with when it counts."""

    intent: Intent
    weight: int
    harm: int
    counts: Counts


_DECISIVE, _HINT = 2, 1

_INTENT_WORDS: Final[Sequence[tuple[Intent, int, str]]] = (
    (
        Intent.COMPLAINT,
        _DECISIVE,
        """
        投诉 举报 曝光 控诉 扰民 违规 违法 非法 违建 违章 违约 违反 违背 无证 无照 黑车 乱收费 乱停 乱象 乱搭 私搭
        私自 擅自 霸王条款 霸占 侵占 占用 欺诈 欺骗 欺瞒 诈骗 忽悠 诱骗 黑心 无良 虚假宣传 弄虚作假 造假 不作为
        乱作为 不闻不问 推诿 踢皮球 扯皮 拒不 拖欠 克扣 欠薪 强制 强迫 强行 捆绑 强买强卖 变相 偷工减料 污染 噪音
        噪声 油烟 恶臭 臭气 脏乱差 太差 态度差 恶劣 坑人 敲诈 严查 彻查 查处 严惩 追究 取缔 屡禁不止 质量问题 不合理
        不公平 不公 存疑 质疑 黑幕 猫腻 损害 侵害 侵犯 涉黑 涉恶 霸凌 打人 骂人 辱骂 殴打 跑路 烂尾 违法行为 监管不力
        失职 渎职 形同虚设 横行 猖獗 套路 恐吓 威胁 黑恶 怎么这么 怎么那么 声音巨大
        """,
    ),
    (
        Intent.COMPLAINT,
        _HINT,
        """
        反映 严重 泛滥 混乱 隐患 影响 屡次 多次 难道 凭什么 为何不 怎么没人 没人管 无人管 管一管 管管 隐瞒 拒绝
        苦不堪言 忍无可忍 睡不了觉 怨声载道
        """,
    ),
    (
        Intent.HELP,
        _DECISIVE,
        """
        求助 求救 救救 帮帮 帮助我 帮忙 求解决 求帮 无助 走投无路 讨回 讨薪 何去何从 还我 救助 出行困难 生活困难
        """,
    ),
    (
        Intent.HELP,
        _HINT,
        """
        请求 恳请 恳求 恳切 祈求 困难 作主 做主 盼望 期盼 督促 诚请 请给 维修 修复 尽快解决 早日解决 希望能解决
        """,
    ),
    (
        Intent.QUESTION,
        _DECISIVE,
        """
        咨询 询问 想问 想了解 想知道 怎么办理 如何办理 哪里办 是什么标准 有何规定 怎么规定
        """,
    ),
    (
        Intent.QUESTION,
        _HINT,
        """
        请问 何时 什么时候 几时 能否 是否 可否 如何 怎样 怎么 多久 有没有 可不可以 能不能 会不会 为什么 为何 什么政策
        什么部门 什么标准 规划吗
        """,
    ),
    (
        Intent.SUGGESTION,
        _DECISIVE,
        """
        建议 提议 提案 呼吁 希望增设 希望增加 希望能增 希望加快 希望尽快修建 应当增设 增设 加装 优化 应考虑
        """,
    ),
    (Intent.SUGGESTION, _HINT, "改进 完善 希望能 新增 加快 打造"),
    (Intent.THANKS, _DECISIVE, "感谢信 表扬 点赞 鸣谢 好评 锦旗"),
    # Politeness: whether it is more is looked at where it occurs.
    (Intent.THANKS, 0, "感谢 谢谢 致谢"),
)
_HARM_WORDS: Final[Sequence[tuple[Harm, Counts, str]]] = (
    (
        Harm.LIFE,
        Counts.ALWAYS,
        """
        人命 生命危险 生命安全 人身安全 威胁生命 坠楼 跳楼 轻生 自杀 高空坠物 高空抛物 煤气泄漏 燃气泄漏 天然气泄漏
        被困电梯 困在电梯 电梯困人 电梯坠落 电梯下坠
        """,
    ),
    (
        Harm.LIFE,
        Counts.UNLESS_DENIED,
        """
        死亡 身亡 丧命 遇难 溺水 溺亡 触电 爆炸 坍塌 垮塌 倒塌 塌方 塌陷 火灾 起火 着火 猝死 致死 伤亡 车祸 交通事故
        """,
    ),
    (
        Harm.HEALTH,
        Counts.ALWAYS,
        """
        恶臭 臭气 刺鼻 黑臭 过期食品 睡不着 睡不了觉 睡不好 夜不能寐 寝食难安 无法入睡 失眠 彻夜难眠 神经衰弱
        严重影响睡眠 影响休息 无法休息 呛人 熏人 殴打 打伤
        """,
    ),
    (
        Harm.HEALTH,
        Counts.UNLESS_DENIED,
        """
        中毒 受伤 摔伤 烧伤 烫伤 骨折 患病 得病 疾病 生病 呕吐 腹泻 过敏 粉尘 扬尘 甲醛 辐射 有毒 毒气 废气 污水 污染
        白血病 癌症 传染 咬伤 摔倒 感染
        """,
    ),
    (Harm.HEALTH, Counts.IN_TROUBLE, "住院 水质 食品安全 疫苗 身体健康"),
    (
        Harm.LIVELIHOOD,
        Counts.ALWAYS,
        """
        欠薪 拖欠工资 克扣工资 讨薪 血汗工资 停水 断水 停电 断电 停气 断气 没水 没电 无家可归 上不了学 没学上 没书读
        辍学 失学 降薪 生活困难 无法生活 生活无着
        """,
    ),
    (Harm.LIVELIHOOD, Counts.UNLESS_DENIED, "失业 下岗 裁员"),
    (
        Harm.LIVELIHOOD,
        Counts.IN_TROUBLE,
        """
        工资 农民工 供暖 供水 供电 用水 用电 购电 低保 养老金 养老保险 社保 医保 公积金 入学 入园 就读 上小学 学位
        安置房 安置费 过渡费 征地款 征收款 抚恤 补贴 补助 工伤 退休金 自来水
        """,
    ),
    (
        Harm.PROPERTY,
        Counts.ALWAYS,
        """
        诈骗 被骗 骗钱 骗取 跑路 烂尾 血汗钱 漏水 渗水 漏雨 开裂 裂缝 强拆 被盗 失窃 砸坏 非法集资 人去楼空 不退款
        不退钱 不退费 不予退还 拒不退 质量问题 强买强卖 捆绑销售 乱收费 爆雷
        """,
    ),
    (Harm.PROPERTY, Counts.UNLESS_DENIED, "损失 盗窃 损坏 套路贷"),
    (
        Harm.PROPERTY,
        Counts.IN_TROUBLE,
        """
        退款 退费 退钱 退定金 定金 赔偿 补偿 补偿款 押金 货款 工程款
        """,
    ),
)

_DENIED: Final = re.compile(
    r"(?:没有?|未|无|不会|不致|免|防止?|预防|避免|杜绝|零|光|噪音|噪声)(?:[造引]成|发生|出现|导致|任何|人员?|发|再|过|了|得|受)*$"
)
"""What stands before a harm that did not happen, at the end of the few characters before it."""
_TROUBLE: Final = re.compile(
    r"(?<![能会是要可好行对知该])不(?!动产|得不|仅|但|同|论|管|过)|(?<!有)没|未(?!来|成年)|(?<!有)无(?!论|锡|偿)|拒|欠|拖|扣|停发|断|骗|难|"
    r"少发|少交|迟迟|降低|取消|缩水"
)
_AROUND: Final = 8
_BEFORE: Final = 6
_END_OF_CLAUSE: Final = re.compile("[，。！？；,.!?;\\s]")

_SOLVED: Final = re.compile(
    r"(?<![未没有能快日望求请])(?:已经?|得到了?|及时|圆满|顺利|迅速|很快|终于)(?:地?把?.{0,8})(?:解决|处理|修复|修好|办好|办结|恢复|退还|拆除|整改)"
    r"|(?:解决|处理|修|办|装|整治)好?了"
)
_UNSOLVED: Final = re.compile("未|没|不|仍|依旧|依然|又|希望|请|盼|但|可是|可惜|然而|却")
_THANKS_FIRST: Final = re.compile(r"^.{0,12}?(感谢|谢谢|致谢|表扬|点赞|好评|锦旗)")
_ASKS: Final = re.compile("投诉|举报|希望|建议|请|何时|能否|咨询|求|不|没|未|无|差|吗|？|问题")
_POLITE: Final = re.compile("感谢|谢谢|致谢")

_QUESTION_MARKS: Final = ("？", "?", "吗", "呢", "么")
_QUESTION_BY_FORM: Final = 3
_DECLARED: Final = {
    "建议": Intent.SUGGESTION,
    "希望": Intent.SUGGESTION,
    "呼吁": Intent.SUGGESTION,
    "投诉": Intent.COMPLAINT,
    "举报": Intent.COMPLAINT,
    "求助": Intent.HELP,
    "咨询": Intent.QUESTION,
    "询问": Intent.QUESTION,
    "请问": Intent.QUESTION,
}
_DECLARED_BY_FIRST_WORD: Final = 6
_SURE: Final = 3
"""From so many points on, words decide; below, a subject that tells of trouble is a complaint."""
_SUBJECT_TROUBLE: Final = re.compile(
    "[不没未无拒][^动产少论]|乱|差|坏|破|脏|臭|吵|堵|假|骗|偷|抢|垄断|垃圾|焚烧|闹|瘫痪|废弃|失灵|故障|太[贵慢高吵长]|高价|涨价|严重|存在.{0,6}问题"
    "|诸多问题|维权|违|非法|私|侵|霸|捆绑|变相"
)


def phrases() -> Iterator[tuple[str, Sign]]:
    """Every word with what it says."""
    for intent, weight, words in _INTENT_WORDS:
        for word in words.split():
            yield word, Sign(intent, weight, 0, Counts.ALWAYS)
    for harm, when, words in _HARM_WORDS:
        for word in words.split():
            yield word, Sign(Intent.NONE, 0, int(harm), when)


def counts(sign: Sign, text: str, at: int, length: int) -> bool:
    """Whether a word of harm counts where it stands in a text."""
    if sign.counts is Counts.UNLESS_DENIED:
        return _DENIED.search(text, max(0, at - _BEFORE), at) is None
    if sign.counts is Counts.IN_TROUBLE:
        before = _END_OF_CLAUSE.split(text[max(0, at - _AROUND) : at])[-1]
        after = _END_OF_CLAUSE.split(text[at + length : at + length + _AROUND], 1)[0]
        return _TROUBLE.search(before) is not None or _TROUBLE.search(after) is not None
    return True


def intent_of(points: dict[Intent, int], subject: str, text: str) -> Intent:
    """What a post asks for, by the points of its words, which are changed, and by the form of its subject."""
    if Intent.THANKS in points and _thanks(subject, text):
        return Intent.THANKS
    if subject.endswith(_QUESTION_MARKS):
        points[Intent.QUESTION] = points.get(Intent.QUESTION, 0) + _QUESTION_BY_FORM
    if declared := _declared(subject):
        points[declared] = points.get(declared, 0) + _DECLARED_BY_FIRST_WORD
    best = max(points, key=lambda intent: (points[intent], -intent)) if points else Intent.NONE
    if points.get(best, 0) < _SURE and _SUBJECT_TROUBLE.search(subject):
        return Intent.COMPLAINT
    return best if points.get(best) else Intent.NONE


def other_words(intent: Intent, subject: str, text: str) -> list[str]:
    """What says so where no word of an intent does: the form of the subject, or the words of thanking."""
    if intent is Intent.THANKS:
        return _thanks(subject, text)
    if _declared(subject) is intent:
        return [subject[:2] if subject[:2] in _DECLARED else subject[:1]]
    if intent is Intent.QUESTION:
        return [subject[-1:]]
    found = _SUBJECT_TROUBLE.search(subject) if intent is Intent.COMPLAINT else None
    return [found[0]] if found else []


def _declared(subject: str) -> Intent | None:
    """The intent that the first word of a subject declares."""
    return _DECLARED.get(subject[:2]) or (Intent.HELP if subject.startswith("请") else None)


def _thanks(subject: str, text: str) -> list[str]:
    """The words by which a post thanks for what went well; politeness is no thanks."""
    if (found := _THANKS_FIRST.search(subject)) and not _ASKS.search(subject):
        return [found[1]]
    solved = _SOLVED.search(text)
    if solved and not _ASKS.search(subject) and not _UNSOLVED.search(text, solved.start()):
        return [solved[0], *_POLITE.findall(text)[:1]]
    return []
