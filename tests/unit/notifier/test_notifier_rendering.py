"""The words of a message."""

from __future__ import annotations

from dataclasses import replace

from huiyin.casework.v1 import case_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_notifier.model.happenings import CASE_STATES, GRADES, KINDS
from huiyin_notifier.model.rendering import Item, render

LAMP = Item("case.opened", "cases/1", "cases/1", "units/lamps", "LARGE", "路灯坏了一个月")


def test_one_notification_is_told_by_its_case() -> None:
    message = render([LAMP])
    assert message.title == "【回音】新开办件（较大）：路灯坏了一个月"
    assert message.body == "新开办件｜较大｜路灯坏了一个月｜units/lamps｜cases/1"


def test_many_are_counted_and_the_gravest_comes_first() -> None:
    water = replace(LAMP, case="cases/2", name="cases/2", grade="SERIOUS", title="停水三天")
    message = render([LAMP, water])
    assert message.title == "【回音】新开办件 2 件（重大 1、较大 1）"
    assert message.body.splitlines()[0].startswith("新开办件｜重大｜停水三天")


def test_the_same_thing_said_again_is_one_line() -> None:
    joined = replace(LAMP, kind="case.inquiry_joined")
    assert render([joined, joined, joined]).body.splitlines() == [
        "新增诉求 ×3｜较大｜路灯坏了一个月｜units/lamps｜cases/1"
    ]


def test_a_long_message_says_how_many_it_leaves_out() -> None:
    lines = render([replace(LAMP, case=f"cases/{n}", name=f"cases/{n}") for n in range(25)]).body.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "……另有 5 件，请到系统中查看。"


def test_every_word_of_the_contract_has_its_words_in_a_message() -> None:
    assert [f"GRADE_{name}" for name in GRADES] == grade_pb2.Grade.keys()[1:]
    assert [f"STATE_{name}" for name in CASE_STATES] == case_pb2.Case.State.keys()[1:]
    assert all(KINDS.values())
