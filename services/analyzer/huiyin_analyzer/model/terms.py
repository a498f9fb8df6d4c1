"""The terms by which a post is compared with others, and its marks, by which a copy of it is known.

Both are pure functions of the text, the same in every process.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from hashlib import blake2b
from operator import add
from typing import Final, NamedTuple

from huiyin_analyzer.model.folding import fold
from huiyin_analyzer.model.words import cut

_READ_CHARACTERS: Final = 200
"""How much of a text is read: what it is about stands at its beginning."""
_WORDED_CHARACTERS: Final = 120
_PAIRED_CHARACTERS: Final = 60
"""Of so many characters, those of the subject before those of the text, words and pairs are taken. More is no better:
further on people tell what is told of many matters."""
_SUBJECT_WORD: Final = 1.5
_SUBJECT_PAIR: Final = 2.0
_TEXT_PAIR: Final = 0.7
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
    """What a post is compared by, with the weight of each before its rarity is known."""

    words: dict[str, float]
    """As a dictionary cuts them: they tell what the matter is."""
    pairs: dict[str, float]
    """Pairs of neighbouring characters: they keep names of estates, roads and firms that no dictionary holds."""
    marks: tuple[int, ...]
    """Fingerprints of its longest sentences: who has one of them too is a copy, or quotes the same."""


NO_TERMS: Final = Terms({}, {}, ())
"""Those of a text that is kept no longer."""


def terms_of(subject: str, text: str) -> Terms:
    """The terms of a post, as `Reader.read` gives them."""
    return terms_of_tidy(*tidy(subject, text))


def tidy(subject: str, text: str) -> tuple[str, str]:
    """A post folded and without superfluous white space, as far as it is read."""
    return fold(" ".join(subject.split())), fold(" ".join(text[: 2 * _READ_CHARACTERS].split())[:_READ_CHARACTERS])


def terms_of_tidy(subject: str, text: str) -> Terms:
    """The terms of a post that was tidied: words of two characters or more that are not those of asking, and pairs.

    Those of the subject count for more.
    """
    marks = _marks(text)
    left = len(subject)
    text = text[: max(_WORDED_CHARACTERS - left, 0)]
    subject, text = _MASKED_NAME.sub(" ", subject), _MASKED_NAME.sub(" ", text)
    words = dict.fromkeys([word for word in cut(text) if len(word) > 1 and word not in _ASKING], 1.0)
    for word in cut(subject):
        if len(word) > 1 and word not in _ASKING:
            words[word] = words.get(word, 0.0) + _SUBJECT_WORD
    pairs = dict.fromkeys(_pairs(text[: max(_PAIRED_CHARACTERS - left, 0)]), _TEXT_PAIR)
    for pair in dict.fromkeys(_pairs(subject)):
        pairs[pair] = pairs.get(pair, 0.0) + _SUBJECT_PAIR
    return Terms(words, pairs, marks)


def dump(terms: Terms) -> str:
    """Terms as JSON, for `load`."""
    return json.dumps(terms, ensure_ascii=False, separators=(",", ":"))


def load(dumped: str) -> Terms:
    """What `dump` wrote."""
    words, pairs, marks = json.loads(dumped)
    return Terms(words, pairs, tuple(marks))


def _pairs(text: str) -> Iterator[str]:
    return filter(str.isalnum, map(add, text, text[1:]))


def _marks(text: str) -> tuple[int, ...]:
    sentences = [sentence for sentence in _BETWEEN_SENTENCES.split(text) if len(sentence) >= _MARKED_CHARACTERS]
    sentences.sort(key=len, reverse=True)
    written = [_NOT_A_WORD.sub("", sentence) for sentence in sentences[:_MARKS]]
    return tuple([_fingerprint(sentence) for sentence in written if len(sentence) >= _MARKED_CHARACTERS])


def _fingerprint(sentence: str) -> int:
    return int.from_bytes(blake2b(sentence.encode(), digest_size=7).digest(), "big")
