"""What a reply is looked over for before its review. The rule book is data (`policies/replies`); findings never judge
whether an answer is right, they say where it is thin: what, where, why, and what to do instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, Final

import yaml

from huiyin_casework.model.points import Asked, unanswered
from huiyin_casework.model.sentences import Sentence, sentences, without_date_beneath

MOST_POINTS: Final = 20
"""Points that are told of as unanswered, at most."""


class Kind(StrEnum):
    """What is found."""

    PERSONAL_DATA = "personal_data"
    ADDRESSED_BY_NAME = "addressed_by_name"
    OPEN_SLOT = "open_slot"
    SAYS_NOTHING = "says_nothing"
    UNANSWERED_POINT = "unanswered_point"
    NO_OFFICE = "no_office"
    UNNAMED_OFFICE = "unnamed_office"
    NO_CONTACT = "no_contact"
    EMPTY_PHRASE = "empty_phrase"
    PROMISE_WITHOUT_DATE = "promise_without_date"
    UNCLEARED_ATTACHMENT = "uncleared_attachment"


class Severity(StrEnum):
    """What a finding does to the reply."""

    BLOCKING = "blocking"
    REMARK = "remark"
    OFF = "off"


class Place(StrEnum):
    """Which text a finding points into."""

    REPLY = "reply"
    PARAGRAPH = "paragraph"
    INQUIRY = "inquiry"
    ATTACHMENT = "attachment"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a reply is told of. `start` and `end` count characters of the text that `place` names."""

    kind: Kind
    severity: Severity
    place: Place
    inquiry: str
    """The inquiry of a paragraph or a point; "" for the reply itself."""
    start: int
    end: int
    why: str
    instead: str
    attachment: str = ""
    """The file that it is about; of a text ""."""


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that goes with a reply."""

    name: str
    cleared: bool
    """Whether a person looked it over."""
    personal: int
    """How much of what could be read identifies people."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What a kind of finding does, and what its author reads."""

    severity: Severity
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that say nothing, and why."""

    words: tuple[str, ...]
    why: str
    instead: str


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """The rule book: a rule for each kind, empty phrases, and words that promise."""

    rules: Mapping[Kind, Rule]
    phrases: tuple[Phrase, ...]
    promises: tuple[str, ...]


class CheckPolicyError(ValueError):
    """A rule book of checks cannot be used. `problems` has one sentence a mistake, each naming its field."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(" ".join(problems))


@dataclass(frozen=True, slots=True)
class Draft:
    """What is looked over: the text, paragraphs by inquiry, and what will stand beneath it."""

    text: str
    paragraphs: Mapping[str, str]
    office: str = ""
    """The name that signs it, "" where none does."""
    contact: str = ""
    """How the public reaches that office, "" where nothing is printed beneath."""


Spans = Sequence[tuple[int, int]]
"""Where something stands in a text."""

_SLOT: Final = re.compile(r"〔待填[^〕]{0,60}〕")
_GREETING: Final = re.compile(
    r"^\W*(?:尊敬的|亲爱的)?(?:[《〈]?问政[^\W\d]{0,6}[》〉]?)?(?:网友|网民|市民|居民|群众|村民|业主|写信人|来信人|留言人|投诉人|同志|朋友|先生|女士)*"
    r"\s*[“\"‘'「『:：]?(?P<name>[^”\"’'」』:：，,。！!\s]{1,24}?)?[”\"’'」』]?\s*(?:同志|先生|女士|网友|网民|朋友|老师)?\s*[:：,，]?\s*[您你]们?好"
)
_NOBODY: Final = re.compile(
    r"^(?:尊敬的?|亲爱的?|各位|广大|这位|该|网友|网民|市民|居民|群众|村民|业主|家长|同学|朋友|同志|先生|女士|写信人|来信人|留言人|投诉人|反映人|问政|[您你])*们?$"
)
_COURTESY: Final = re.compile(
    r"[您你]们?好[！!。,，]?$|^(?:再次|衷心|非常|十分)?(?:感谢|谢谢|欢迎|祝|致敬|此致|敬礼|特此|专此)|感谢您?的?|谢谢"
    r"|收悉|已阅|知悉|已收到|获悉|回复如下|答复如下|回复[:：]?$"
)
_PASSED_ON: Final = re.compile(
    r"转(?:交|办|至|给|送|到|达|往|呈|有关|相关)|已转|交由|交办|批转|转[^，。]{2,20}(?:处理|办理|核处|调查|核实|阅处|研究)"
    r"|(?:责成|要求|请)[^，。]{2,24}(?:处理|办理|核处|调查|核实|阅处)"
)
_FACT: Final = re.compile(
    r"\d|已|了(?!解)|《|经(?:查|核|调查|过|现场)|[一二三四五六七八九十两百千]{1,6}(?:月|日|年|处|次|个|家|起|米|吨|万|亿|名|人|辆|台)"
    r"|因为|由于|系|属|安排|组织|派|成立|召开|约谈|下发|牵头|迅速|责成|展开|要求.{1,12}(?:调查|核实)|进行.{0,4}(?:调查|核实|核查)"
)
_DATE: Final = re.compile(
    r"\d{2,4}\s*年|\d{1,2}\s*月|\d{1,2}\s*[日号]|[一二三四五六七八九十两\d]{1,6}\s{0,2}个?\s{0,2}(?:工作日|天|小时|周|星期|月|季度)|季度|上旬|中旬|下旬"
    r"|年底|年内|年前|月底|月内|本周|下周|本月|下个?月|今年|明年|今明|上半年|下半年|[春国中端]\w节[前后]?|今日|明日|即日|当天|次日"
)
_ASKS_OF_CITIZEN: Final = re.compile(r"[您你]|敬请|希望|建议|欢迎|承诺人")
_CONDITION: Final = re.compile(r"如(?![下何今])|若|一旦|凡")
_NO_PROMISE: Final = re.compile(r"已|曾|了|将[《“]|要求.{0,12}尽快|督促|责令")
_OFFICE: Final = re.compile(
    r"[^\W_]{2,14}?(?:局|协会|委员会|管委会|居委会|村委会|业委会|发改委|住建委|教委|卫健委|纪委|政法委|办事处|办公室|[^\W\d有关相主]{2}办|政府|街道|社区|大队|支队|中队|中心|公司"
    r"|法院|检察院|医院|学校|大学|图书馆|博物馆|体育馆|小学|中学|集团|派出所|司法所|国土所|信访办|网信办|扶贫办|城管办|党委|工委|残联|妇联|气象台|指挥部|服务站|分局|开发区|[镇乡])"
)
_NO_NAME: Final = re.compile(
    r"^(?:我|本|贵|该|各|有关|相关|职能|上级|下属|当地|所属|主管|其他|一家|开发|物业|由|请|向|到|与|和|对|经|据|按|在|已|将|是|为|为了|关于|根据|反映|通过){1,3}"
    r"(?:局|委|办|政府|街道|社区|中心|公司|学校|医院|单位|部门|[镇乡])"
)
_UNNAMED: Final = re.compile(
    r"(?:转|交|由|向|请|到|报|与|给|至|送|联系|督促|建议|要求|责成|去)(?:了|往|由|给|至|送|办|呈)?(?:市|县|区|镇|乡|街道|我市|我县)?"
    r"(?P<office>(?:有关|相关|职能|主管|上级)(?:职能|主管|行政|业务)?(?:部门|单位|科室|机构))"
)
_CONTACT: Final = re.compile(
    r"(?<![\d-])[（(]?0\d{2,3}[)）]?\s*[-—–－]{1,2}\s*\d|(?<!\d)12\d{3}(?![\d,.元平公米人户亩吨个名套万])|(?<!\d)[48]00[-—]?\d{3}|〔电话〕"
    r"|(?:电话|热线|致电|拨打|联系方式|传真|来电|咨询)[^。；，\d]{0,20}\d{3}|https?://|www\.|\.(?:gov|com|cn)\b|邮箱"
    r"|(?:地址|窗口|大厅)[:：在为]|公众号|官网|网站|登[录陆]|到[^，。]{2,20}(?:窗口|大厅|服务中心)"
)


def parse_checks(text: str) -> CheckPolicy:
    """Reads the rule book of checks from YAML. Raises CheckPolicyError with every mistake."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CheckPolicyError([f"The policy is not YAML: {error}."]) from error
    known = ("checks", "empty_phrases", "promises")
    if not isinstance(document, dict):
        raise CheckPolicyError([f"The policy must be a mapping of {', '.join(known)}."])
    problems = [
        f"{name}: not a field of this policy; known are {', '.join(known)}." for name in document if name not in known
    ]
    rules = _parse_rules(document.get("checks"), problems)
    phrases = _parse_phrases(document.get("empty_phrases") or [], problems)
    promises = _words(document.get("promises") or [], "promises", problems)
    if problems:
        raise CheckPolicyError(problems)
    return CheckPolicy(rules, phrases, promises)


def _parse_rules(value: object, problems: list[str]) -> dict[Kind, Rule]:
    if not isinstance(value, dict):
        problems.append(f"checks: must be a mapping of {', '.join(Kind)}.")
        return {}
    rules: dict[Kind, Rule] = {}
    problems += [f"checks.{name}: not a check; known are {', '.join(Kind)}." for name in value if name not in set(Kind)]
    for kind in Kind:
        rule = value.get(kind.value)
        if not isinstance(rule, dict):
            problems.append(f"checks.{kind}: must be there, with severity, why and instead.")
            continue
        severity = rule.get("severity")
        if severity is False:  # YAML 1.1 reads off as a truth value
            severity = Severity.OFF.value
        if severity not in set(Severity):
            problems.append(f"checks.{kind}.severity: must be one of {', '.join(Severity)}, not {severity!r}.")
            continue
        problems += [
            f"checks.{kind}.{name}: must be a text." for name in ("why", "instead") if not _is_text(rule.get(name))
        ]
        rules[kind] = Rule(Severity(severity), str(rule.get("why")), str(rule.get("instead")))
    return rules


def _parse_phrases(value: object, problems: list[str]) -> tuple[Phrase, ...]:
    if not isinstance(value, list):
        problems.append("empty_phrases: must be a list of words, why and instead.")
        return ()
    phrases = []
    for index, item in enumerate(value):
        where = f"empty_phrases[{index}]"
        if not isinstance(item, dict) or not _is_text(item.get("why")) or not _is_text(item.get("instead")):
            problems.append(f"{where}: must have words, why and instead.")
            continue
        words = _words(item.get("words") or [], f"{where}.words", problems)
        phrases.append(Phrase(words, item["why"], item["instead"]))
    return tuple(phrases)


def _words(value: object, where: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_text(word) for word in value):
        problems.append(f"{where}: must be a list of words.")
        return ()
    return tuple(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


class Checks:
    """The checks of one rule book, compiled."""

    def __init__(self, policy: CheckPolicy) -> None:
        self._rules = policy.rules
        self._phrases = [(_any_of(phrase.words), phrase) for phrase in policy.phrases if phrase.words]
        self._promises = _any_of(policy.promises) if policy.promises else None

    def check(self, draft: Draft, inquiries: Sequence[Asked], personal: Mapping[str, Spans]) -> list[Finding]:
        """What there is to say of a draft, what blocks first, then in the order of the text.

        `personal` says where the text ("" as the key) and the paragraphs (by inquiry) hold what identifies people.
        """
        found = [*self._whole(draft), *self._points(draft, inquiries)]
        for inquiry, text in (("", draft.text), *draft.paragraphs.items()):
            place = Place.PARAGRAPH if inquiry else Place.REPLY
            for kind, start, end, phrase in (*_personal(personal.get(inquiry, ())), *self._in_text(text)):
                rule = self._rules[kind]
                why, instead = (phrase.why, phrase.instead) if phrase else (rule.why, rule.instead)
                found.append(Finding(kind, rule.severity, place, inquiry, start, end, why, instead))
        kept = [finding for finding in found if finding.severity != Severity.OFF]
        return sorted(kept, key=lambda each: (each.severity != Severity.BLOCKING, each.place, each.inquiry, each.start))

    def check_enclosed(self, files: Iterable[Enclosed]) -> list[Finding]:
        """What there is to say of the files that go with a reply."""
        found = []
        for each in files:
            kinds = (Kind.PERSONAL_DATA, each.personal > 0), (Kind.UNCLEARED_ATTACHMENT, not each.cleared)
            for kind in (kind for kind, holds in kinds if holds):
                rule = self._rules[kind]
                why, instead = rule.why, rule.instead
                found.append(Finding(kind, rule.severity, Place.ATTACHMENT, "", 0, 0, why, instead, each.name))
        return [finding for finding in found if finding.severity != Severity.OFF]

    def _whole(self, draft: Draft) -> Iterator[Finding]:
        whole = (draft.text, *draft.paragraphs.values())
        if says_nothing("\n".join(whole)):
            yield self._of_all(Kind.SAYS_NOTHING, draft.text)
        if not draft.office and not any(_names_office(text) for text in whole):
            yield self._of_all(Kind.NO_OFFICE, draft.text)
        if not draft.contact and not any(_CONTACT.search(text) for text in whole):
            yield self._of_all(Kind.NO_CONTACT, draft.text)

    def _of_all(self, kind: Kind, text: str) -> Finding:
        rule = self._rules[kind]
        return Finding(kind, rule.severity, Place.REPLY, "", 0, len(text), rule.why, rule.instead)

    def _points(self, draft: Draft, inquiries: Sequence[Asked]) -> Iterator[Finding]:
        rule = self._rules[Kind.UNANSWERED_POINT]
        if rule.severity == Severity.OFF:
            return
        read = [f"{draft.text}\n{draft.paragraphs.get(asked.inquiry, '')}" for asked in inquiries]
        for point in unanswered(inquiries, read, MOST_POINTS):
            yield Finding(
                Kind.UNANSWERED_POINT,
                rule.severity,
                Place.INQUIRY,
                point.inquiry,
                point.start,
                point.end,
                rule.why,
                rule.instead,
            )

    def _in_text(self, text: str) -> Iterator[tuple[Kind, int, int, Phrase | None]]:
        if name := name_addressed(text):
            yield Kind.ADDRESSED_BY_NAME, *name, None
        for match in _SLOT.finditer(text):
            yield Kind.OPEN_SLOT, match.start(), match.end(), None
        for match in _UNNAMED.finditer(text):
            yield Kind.UNNAMED_OFFICE, *match.span("office"), None
        told = sentences(without_date_beneath(text))
        for sentence in told:
            yield from self._empty(sentence)
        for sentence, following in pairwise([*told, Sentence(len(text), "")]):
            yield from self._promised(sentence, following)

    def _empty(self, sentence: Sentence) -> Iterator[tuple[Kind, int, int, Phrase]]:
        if _FACT.search(sentence.text):
            return
        for pattern, phrase in self._phrases:
            if match := pattern.search(sentence.text):
                yield Kind.EMPTY_PHRASE, sentence.start + match.start(), sentence.start + match.end(), phrase

    def _promised(self, sentence: Sentence, following: Sentence) -> Iterator[tuple[Kind, int, int, None]]:
        match = self._promises.search(sentence.text) if self._promises else None
        if match is None or _DATE.search(sentence.text) or _DATE.search(following.text):
            return
        clause_from = max(sentence.text.rfind(mark, 0, match.start()) for mark in "，,：:、") + 1
        clause = re.split(r"[，,：:]", sentence.text[clause_from:], maxsplit=1)[0]
        before = sentence.text[: match.start()]
        if not (_ASKS_OF_CITIZEN.search(clause) or _NO_PROMISE.search(clause) or _CONDITION.search(before)):
            yield Kind.PROMISE_WITHOUT_DATE, sentence.start + match.start(), sentence.start + match.end(), None


def name_addressed(text: str) -> tuple[int, int] | None:
    """Where a text begins by addressing somebody by a name; None where it addresses nobody in particular."""
    match = _GREETING.match(text)
    if match is None or not match["name"] or _NOBODY.match(match["name"]):
        return None
    return match.span("name")


def without_name(text: str) -> str:
    """A text without the name that it begins by addressing, and without the quotation marks around it."""
    span = name_addressed(text)
    if span is None:
        return text
    return text[: span[0]].rstrip("“\"‘'「『") + text[span[1] :].lstrip("”\"’'」』")


def says_nothing(text: str) -> bool:
    """Whether a text holds nothing but greetings, thanks, and that it was received or passed on."""
    return all(
        _COURTESY.search(clause) or _PASSED_ON.search(clause) or len(clause) < 4
        for sentence in sentences(without_date_beneath(text))
        for clause in _clauses(sentence.text)
    )


def _clauses(sentence: str) -> Iterable[str]:
    """A sentence whole where it is short; of a longer one its clauses, for a letter may be one sentence."""
    return (clause.strip(" \u3000。！!") for clause in re.split(r"[，,：:]", sentence))


def _names_office(text: str) -> bool:
    return any(not _NO_NAME.match(match.group()) for match in _OFFICE.finditer(text))


def _personal(spans: Spans) -> Iterator[tuple[Kind, int, int, None]]:
    for start, end in spans:
        yield Kind.PERSONAL_DATA, start, end, None


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """Any of some words, the longest first."""
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))
