"""`huiyin cases order`: an order on a screen."""

from __future__ import annotations

from typing import Any

from huiyin_cli.ordering import order_lines

ORDER: dict[str, Any] = {
    "name": "orders/2026-12",
    "number": "抄告〔2026〕12号",
    "state": "STATE_IN_FORCE",
    "issueTime": "09:05",
    "officeDisplayName": "诉求受理中心",
    "acceptDeadline": "13:00",
    "title": "多户反映停水",
    "grade": "GRADE_LARGE",
    "units": [
        {"displayName": "水务局", "contactPersons": [{"role": "ROLE_DUTY_OFFICER", "displayName": "值班席"}]},
        {"displayName": "东湖街道", "contributeDeadline": "17:00"},
    ],
}


def test_an_order_is_told_line_by_line_and_what_it_does_not_state_is_left_out() -> None:
    assert list(order_lines(ORDER, str)) == [
        "抄告〔2026〕12号  orders/2026-12  in force",
        "given 09:05 by 诉求受理中心",
        "to 水务局, assisted by 东湖街道",
        "  水务局 duty officer: 值班席",
        "多户反映停水",
        "large",
        "accept by 13:00, answer by —",
        "  东湖街道 contributes by 17:00",
    ]


def test_what_became_of_it_and_what_it_covers_is_told_too() -> None:
    order = {
        **ORDER,
        "state": "STATE_REPLACED",
        "replacedBy": "orders/2026-13",
        "drill": True,
        "gradeReason": "十户以上反映",
        "basis": "供水职责清单",
        "note": "请先送水",
        "acceptTime": "10:00",
        "answerDeadline": "次日",
        "inquiryCount": 3,
        "inquiries": [{"inquiry": "inquiries/1", "subject": "停水", "text": "三号楼\n停水", "deadline": "次日"}],
    }
    lines = list(order_lines(order, str))
    assert lines[0].endswith("replaced by orders/2026-13  (drill)")
    assert lines[5:] == [
        "large: 十户以上反映",
        "basis: 供水职责清单",
        "accept by 13:00 (accepted 10:00), answer by 次日",
        "  东湖街道 contributes by 17:00",
        "请先送水",
        "  inquiries/1  by 次日  停水 三号楼 停水",
        "  and 2 more",
    ]
