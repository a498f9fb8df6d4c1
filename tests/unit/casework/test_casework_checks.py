"""What a reply is looked over for. Each check has texts that it tells of, and like ones that it passes over."""

from __future__ import annotations

from pathlib import Path

import huiyin_casework
import pytest
import yaml
from huiyin_casework.model.checks import (
    CheckPolicyError,
    Checks,
    Draft,
    Finding,
    Kind,
    Place,
    Severity,
    name_addressed,
    parse_checks,
    says_nothing,
    without_name,
)
from huiyin_casework.model.points import Asked, points
from hypothesis import given
from hypothesis import strategies as st

BODY = (Path(huiyin_casework.__file__).parent / "data" / "replies.yaml").read_text("utf-8")
CHECKS = Checks(parse_checks(BODY))
WHOLE = "您好！经城管局3月2日核实，东街路灯的线缆已更换，当晚恢复照明。咨询电话0731-5550123。"


def _found(text: str, *asked: Asked, **fields: str) -> list[Finding]:
    return CHECKS.check(Draft(text, {}, **fields), asked, {})


def _kinds(text: str, *asked: Asked, **fields: str) -> set[Kind]:
    return {finding.kind for finding in _found(text, *asked, **fields)}


def test_a_reply_that_says_what_was_done_by_whom_and_when_has_no_findings() -> None:
    assert _found(WHOLE, Asked("i", "东街路灯不亮", "东街路灯坏了半个月，请问什么时候能修好？")) == []


@pytest.mark.parametrize(
    ("kind", "told", "passed"),
    [
        (Kind.EMPTY_PHRASE, "对此我们高度重视。", "我们高度重视，当天安排人员到场。"),
        (Kind.EMPTY_PHRASE, "下一步加强管理。", "加强管理，每周巡查2次。"),
        (Kind.EMPTY_PHRASE, "该事项正在研究。", "该事项正在研究，6月底前有结论。"),
        (Kind.PROMISE_WITHOUT_DATE, "我们将尽快修复路灯。", "我们将于4月10日前修复路灯。"),
        (Kind.PROMISE_WITHOUT_DATE, "我局将组织清理。", "我局将组织清理。清理预计5月完成。"),
        (Kind.PROMISE_WITHOUT_DATE, "抓紧修复路面。", "请您尽快补交材料。"),
        (Kind.PROMISE_WITHOUT_DATE, "我局将依法查处。", "如再次发现，我局将依法查处。"),
        (Kind.UNNAMED_OFFICE, "已转有关部门。", "公安、城管等相关部门一同到场。"),
        (Kind.NO_OFFICE, "我局已处理。", "城管局已处理。"),
        (Kind.NO_CONTACT, "路灯2018年已经装好。", "有疑问请致电0731-5550123。"),
        (Kind.SAYS_NOTHING, "您好！您的来信已收悉，已转城管局办理。感谢您的支持！", "您好！来信收悉。路灯昨天修好了。"),
        (Kind.ADDRESSED_BY_NAME, "网友“山里人”您好！", "网友您好！"),
        (Kind.OPEN_SLOT, "预计〔待填：完成日期〕完成。", "预计〔2026年〕完成。"),
    ],
)
def test_each_check_tells_of_what_is_thin_and_passes_over_what_is_not(kind: Kind, told: str, passed: str) -> None:
    assert kind in _kinds(told)
    assert kind not in _kinds(passed)


def test_a_finding_says_where_it_is_why_and_what_to_do_instead() -> None:
    text = "您好！对此我们高度重视。"
    (finding,) = [each for each in _found(text) if each.kind == Kind.EMPTY_PHRASE]
    assert text[finding.start : finding.end] == "高度重视"
    assert (finding.severity, finding.place, finding.inquiry) == (Severity.REMARK, Place.REPLY, "")
    assert "做了什么" in finding.why
    assert finding.instead.startswith("写明")


def test_the_date_beneath_a_letter_is_no_date_of_its_promise() -> None:
    assert Kind.PROMISE_WITHOUT_DATE in _kinds("我们将尽快修复路灯。2026年3月5日")


def test_the_office_that_signs_and_the_contact_beneath_count() -> None:
    assert {Kind.NO_OFFICE, Kind.NO_CONTACT} <= _kinds("已修好。")
    assert not {Kind.NO_OFFICE, Kind.NO_CONTACT} & _kinds("已修好。", office="城管局", contact="12345")


def test_what_identifies_people_blocks_wherever_it_stands() -> None:
    draft = Draft("请联系13800138000。", {"i1": "您的身份证号已登记。"})
    found = CHECKS.check(draft, [], {"": [(3, 14)], "i1": [(1, 5)]})
    personal = [
        (each.place, each.inquiry, each.start, each.severity) for each in found if each.kind == Kind.PERSONAL_DATA
    ]
    assert personal == [
        (Place.PARAGRAPH, "i1", 1, Severity.BLOCKING),
        (Place.REPLY, "", 3, Severity.BLOCKING),
    ]


TEXTS = st.text(alphabet="您好“网友”将尽快1年月日一二，。？！〔待填：〕请问高度重视转有关部门局0731-（ \n", max_size=80)


@given(text=TEXTS, paragraph=TEXTS, asks=TEXTS)
def test_findings_of_any_text_point_into_it(text: str, paragraph: str, asks: str) -> None:
    texts = {(Place.REPLY, ""): text, (Place.PARAGRAPH, "i"): paragraph, (Place.INQUIRY, "i"): asks}
    for finding in CHECKS.check(Draft(text, {"i": paragraph}), [Asked("i", "主题", asks)], {}):
        whole = texts[finding.place, finding.inquiry]
        assert 0 <= finding.start <= finding.end <= len(whole)
        assert finding.why
        assert finding.instead


# Points


def test_points_are_sentences_that_ask_or_demand_something_of_their_own() -> None:
    text = "你好！小区去年停水两次。请问二次供水设备什么时候更换？希望物业公示水箱清洗记录。难道没人管吗？望领导重视！"
    assert [point.text for point in points(Asked("i", "停水", text))] == [
        "请问二次供水设备什么时候更换？",
        "希望物业公示水箱清洗记录。",
    ]


def test_a_point_that_the_reply_does_not_speak_of_is_told_with_its_place_in_the_inquiry() -> None:
    asked = Asked("i1", "小区停水", "请问二次供水设备什么时候更换？希望物业公示水箱清洗记录。")
    (finding,) = [each for each in _found("供水设备将于5月更换。", asked) if each.kind == Kind.UNANSWERED_POINT]
    assert (finding.place, finding.inquiry) == (Place.INQUIRY, "i1")
    assert asked.text[finding.start : finding.end] == "希望物业公示水箱清洗记录。"
    assert Kind.UNANSWERED_POINT not in _kinds("供水设备将于5月更换，水箱清洗记录已张贴。", asked)


def test_a_paragraph_answers_the_inquiry_that_it_is_for_and_no_other() -> None:
    asks = "请问三号楼的电梯何时年检？"
    both = [Asked("i1", "电梯", asks), Asked("i2", "电梯", asks)]
    draft = Draft("噪声超标的水泵已更换。", {"i1": "三号楼电梯的年检在6月3日完成。"})
    missing = [each.inquiry for each in CHECKS.check(draft, both, {}) if each.kind == Kind.UNANSWERED_POINT]
    assert missing == ["i2"]


def test_a_point_that_many_raise_is_told_once() -> None:
    asks = [Asked(f"i{number}", "电梯", "请问三号楼的电梯何时年检？") for number in range(30)]
    found = CHECKS.check(Draft("噪声超标的水泵已更换。", {}), asks, {})
    assert [each.inquiry for each in found if each.kind == Kind.UNANSWERED_POINT] == ["i0"]


# Whom a reply addresses


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("网友“山里人”您好！", "山里人"),
        ("“UU123” 你好：", "UU123"),
        ("尊敬的网友张三同志：您好", "张三"),
        ("网友：您好！", ""),
        ("尊敬的各位业主，你们好！", ""),
        ("您好，来信收悉。", ""),
        ("经查，路灯已修好。", ""),
    ],
)
def test_the_name_that_a_reply_begins_with(text: str, name: str) -> None:
    found = name_addressed(text)
    assert (text[slice(*found)] if found else "") == name
    assert not name or name not in without_name(text)


def test_without_the_name_nothing_else_is_lost() -> None:
    assert without_name("网友“山里人”您好！已修好。") == "网友您好！已修好。"
    assert without_name("网友您好！“山里人”饭店已整改。") == "网友您好！“山里人”饭店已整改。"


def test_nothing_but_courtesies_and_passing_on_says_nothing() -> None:
    assert says_nothing("")
    assert says_nothing("网友您好！您反映的问题已收悉，已转交通局调查核处，谢谢！2026年3月1日")
    assert not says_nothing("您好！已转交通局。交通局说明：12路9月恢复。")


# The rule book


def test_severities_are_the_rule_books() -> None:
    document = yaml.safe_load(BODY)
    document["checks"]["empty_phrase"]["severity"] = "blocking"
    document["checks"]["no_contact"]["severity"] = "off"
    found = Checks(parse_checks(yaml.safe_dump(document, allow_unicode=True))).check(
        Draft("对此我们高度重视。", {}), [], {}
    )
    by_kind = {each.kind: each.severity for each in found}
    assert by_kind[Kind.EMPTY_PHRASE] == Severity.BLOCKING
    assert Kind.NO_CONTACT not in by_kind
    assert found[0].severity == Severity.BLOCKING


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"checks": None}, "checks: must be a mapping"),
        ({"colour": 1}, "colour: not a field"),
        ({"empty_phrases": [{"words": ["x"]}]}, "empty_phrases[0]: must have"),
        ({"promises": "soon"}, "promises: must be a list"),
    ],
)
def test_each_mistake_of_the_rule_book_is_told(change: dict[str, object], told: str) -> None:
    with pytest.raises(CheckPolicyError) as caught:
        parse_checks(yaml.safe_dump(yaml.safe_load(BODY) | change, allow_unicode=True))
    assert told in str(caught.value)


def test_a_check_that_is_missing_or_has_no_known_severity_is_told() -> None:
    document = yaml.safe_load(BODY)
    del document["checks"]["no_office"]
    document["checks"]["no_contact"]["severity"] = "fatal"
    document["checks"]["colour"] = {}
    with pytest.raises(CheckPolicyError) as caught:
        parse_checks(yaml.safe_dump(document, allow_unicode=True))
    assert len(caught.value.problems) == 3
