"""The terms by which a post is compared with others, and its marks, by which a copy of it is known.

Both are pure functions of the text, the same in every process.
"""

from __future__ import annotations

import json
import re
from hashlib import blake2b
from typing import Final, NamedTuple

from huiyin_analyzer.model.folding import fold
from huiyin_analyzer.model.words import cut

_READ_CHARACTERS: Final = 200
"""How much of a text is read: what it is about stands at its beginning."""
_SUBJECT_WEIGHT: Final = 1.5
_MARKS: Final = 3
_MARKED_CHARACTERS: Final = 14
"""A shorter sentence may be anybody's."""

_ASKING_WORDS: Final = """
请问 咨询 询问 反映 投诉 举报 建议 希望 请求 恳请 恳求 呼吁 强烈 要求 答复 回复 反馈 解决 处理 问题 情况
有关 相关 关于 领导 书记 市长 市委 市政府 市委书记 政府 部门 市民 群众 公民 居民 百姓 老百姓 尊敬 你好
您好 谢谢 感谢 加快 加强 加大 推进 力度 步伐 措施 行动 具体 有何 全覆盖 刻不容缓 何时 什么 时候 什么时候
多久 能否 是否 怎么 怎样 如何 为何 为什么 到底 至今 再次 多次 严重 非常 影响 现在 目前 已经 没有 可以
不能 不是 就是 还是 都是 还有 一个 进行 因为 所以 但是 如果 以及 这个 这样 这种 我们 他们 你们 自己 大家
应该 需要 不知
"""
_ASKING: Final = frozenset(_ASKING_WORDS.split())
"""Words by which one asks an office for something, whatever it is: they tell nothing of the matter."""

_MASKED_NAME = re.compile(r"[A-Z]\d{0,2}[区县市]")
"""A place that a publisher masked. It is read as a place; as a term it would tear the name beside it apart."""
_BETWEEN_SENTENCES = re.compile(r"[。！？!?；;…]+")
_NOT_A_WORD = re.compile(r"\W+")


class Terms(NamedTuple):
    """What a post is compared by."""

    weights: dict[str, float]
    """Weight of each term before its rarity is known."""
    marks: tuple[int, ...]
    """Fingerprints of its longest sentences: who has one of them too is a copy, or quotes the same."""


def terms_of(subject: str, text: str) -> Terms:
    """The terms of a post, as `Reader.read` gives them."""
    return terms_of_tidy(*tidy(subject, text))


def tidy(subject: str, text: str) -> tuple[str, str]:
    """A post folded and without superfluous white space, as far as it is read."""
    return fold(" ".join(subject.split())), fold(" ".join(text[: 2 * _READ_CHARACTERS].split())[:_READ_CHARACTERS])


def terms_of_tidy(subject: str, text: str) -> Terms:
    """The terms of a post that was tidied: words of two characters or more that are not those of asking.

    Words of the subject count for more.
    """
    marks = _marks(text)
    subject, text = _MASKED_NAME.sub(" ", subject), _MASKED_NAME.sub(" ", text)
    weights = dict.fromkeys([word for word in cut(text) if len(word) > 1 and word not in _ASKING], 1.0)
    for word in cut(subject):
        if len(word) > 1 and word not in _ASKING:
            weights[word] = weights.get(word, 0.0) + _SUBJECT_WEIGHT
    return Terms(weights, marks)


def dump(terms: Terms) -> str:
    """Terms as JSON, for `load`."""
    return json.dumps([terms.weights, terms.marks], ensure_ascii=False, separators=(",", ":"))


def load(dumped: str) -> Terms:
    """What `dump` wrote."""
    weights, marks = json.loads(dumped)
    return Terms(weights, tuple(marks))


NO_TERMS: Final = Terms({}, ())
"""Those of a text that is kept no longer."""


def _marks(text: str) -> tuple[int, ...]:
    sentences = [_NOT_A_WORD.sub("", sentence) for sentence in _BETWEEN_SENTENCES.split(text)]
    long = sorted([sentence for sentence in sentences if len(sentence) >= _MARKED_CHARACTERS], key=len, reverse=True)
    return tuple([_fingerprint(sentence) for sentence in long[:_MARKS]])


def _fingerprint(sentence: str) -> int:
    return int.from_bytes(blake2b(sentence.encode(), digest_size=7).digest(), "big")
