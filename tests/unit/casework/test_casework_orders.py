"""How orders are numbered, why a case has its grade, and the document that an order is printed as."""

from __future__ import annotations

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from huiyin.casework.v1 import inquiry_pb2, order_pb2, unit_pb2
from huiyin_casework.documents import order_document
from huiyin_casework.model.orders import grade_reason, order_id, order_number, series_of

Order = order_pb2.Order
ZONE = "Asia/Shanghai"


@pytest.mark.parametrize(
    ("drill", "identity", "written"),
    [(False, "2026-12", "抄告〔2026〕12号"), (True, "2026-drill-12", "抄告（演练）〔2026〕12号")],
)
def test_an_order_is_named_and_written_by_its_year_and_number(drill: bool, identity: str, written: str) -> None:
    assert order_id(series_of(2026, drill=drill), 12) == identity
    assert order_number(identity) == written


def test_a_grade_is_explained_by_the_rules_that_give_it_or_by_who_decided() -> None:
    assert grade_reason(["两地以上反映。", "影响供水", "影响供水"], "") == "两地以上反映；影响供水"
    assert grade_reason(["两地以上反映"], "现场已处置") == "人工研判：现场已处置"
    assert grade_reason([], "") == ""


class Page(HTMLParser):
    """What a document consists of: its elements, their attributes, its text and its styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = self.style = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "style":
            self.style += data
        else:
            self.text += data


def sample() -> Order:
    """An order with everything that it may state."""
    order = Order(
        name="orders/2026-12",
        number="抄告〔2026〕12号",
        case="cases/1",
        office_display_name="诉求受理中心",
        lead_unit="units/water",
        state=Order.STATE_IN_FORCE,
        title="多户反映停水",
        topic="topics/城乡建设.供水",
        place="places/云溪市.东湖区",
        grade=2,  # type: ignore[arg-type]
        grade_reason="一日内十户以上反映",
        basis="供水条例职责清单（派单目录 supply）",
        note="请先送水",
        inquiry_count=1,
    )
    order.issue_time.FromDatetime(datetime(2026, 11, 26, 1, 5, tzinfo=UTC))
    order.accept_deadline.FromDatetime(datetime(2026, 11, 26, 5, tzinfo=UTC))
    order.answer_deadline.FromDatetime(datetime(2026, 12, 1, 1, tzinfo=UTC))
    inquiry = order.inquiries.add(subject="停水", text="三号楼停水两天", state=inquiry_pb2.Inquiry.STATE_IN_PROGRESS)
    inquiry.receive_time.FromDatetime(datetime(2026, 11, 25, 23, tzinfo=UTC))
    inquiry.deadline.FromDatetime(datetime(2026, 12, 1, 1, tzinfo=UTC))
    person = unit_pb2.ContactPerson(
        role=unit_pb2.ContactPerson.ROLE_LIAISON, display_name="联络员席", telephone="0700-8000110"
    )
    order.units.add(unit="units/water", display_name="水务局", contact_persons=[person])
    town = order.units.add(unit="units/town", display_name="东湖街道")
    town.contribute_deadline.FromDatetime(datetime(2026, 11, 28, 1, tzinfo=UTC))
    return order


def test_the_document_states_what_the_order_does_in_local_time() -> None:
    text = Page(order_document(sample(), ZONE)).text
    for stated in (
        *("诉求受理中心", "抄告〔2026〕12号", "2026年11月26日09:05", "水务局", "东湖街道", "多户反映停水"),
        *("城乡建设 / 供水", "云溪市 / 东湖区", "较大（一日内十户以上反映）", "供水条例职责清单（派单目录 supply）"),
        *(
            "2026年11月26日13:00前签收",
            "2026年12月1日09:00前办结",
            "东湖街道于2026年11月28日09:00前向主办单位提交协办意见",
            "请先送水",
            "诉求（共1件）",
        ),
        *("2026年11月26日07:00", "三号楼停水两天", "联络员", "0700-8000110", "签收单位", "cases/1"),
    ):
        assert stated in text, stated
    assert "演练" not in text and "代替" not in text and "系统签收" not in text


def test_the_document_is_complete_in_itself_and_runs_nothing() -> None:
    page = Page(order_document(sample(), ZONE))
    assert not page.open
    assert {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "base", "form"} == set()
    assert not {name for _, attributes in page.elements for name in attributes} & {"src", "href", "style", "onload"}
    assert "url(" not in page.style and "@import" not in page.style
    assert "A4" in page.style


def test_what_people_wrote_stays_text() -> None:
    order = sample()
    evil = "</td><script>alert(1)</script>&<b>"
    order.title = order.note = order.inquiries[0].text = order.grade_reason = order.units[0].display_name = evil
    page = Page(order_document(order, ZONE))
    assert not page.open
    assert page.text.count(evil) == 6  # the unit stands in the head and beside its contact person
    assert not {tag for tag, _ in page.elements} & {"script", "b"}


@pytest.mark.parametrize(
    ("values", "stamp"),
    [
        ({"drill": True}, "本单仅供演练"),
        ({"state": Order.STATE_REPLACED, "replaced_by": "orders/2026-13"}, "本单已由抄告〔2026〕13号代替"),
        ({"state": Order.STATE_TAKEN_BACK}, "本单已收回"),
    ],
)
def test_an_order_that_is_none_says_so(values: dict[str, object], stamp: str) -> None:
    order = sample()
    order.MergeFrom(Order(**values))  # type: ignore[arg-type]
    assert stamp in Page(order_document(order, ZONE)).text


def test_what_is_missing_is_left_out_or_said() -> None:
    order = sample()
    order.ClearField("answer_deadline")
    del order.units[1]
    order.basis = order.topic = order.note = ""
    order.inquiry_count = 102
    order.inquiries[0].text = ""
    order.inquiries[0].state = inquiry_pb2.Inquiry.STATE_WITHDRAWN
    text = Page(order_document(order, ZONE)).text
    assert "前办结" not in text and "附言" not in text
    for stated in ("由签发单位研究决定", "未分类", "其余101件", "原文已销毁", "已撤回"):
        assert stated in text, stated
