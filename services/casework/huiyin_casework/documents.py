"""Documents to print, in HTML complete in itself: what they say is made here, how it is laid out stands in data/."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp
from huiyin.casework.v1 import inquiry_pb2, order_pb2, unit_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis import clock
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from huiyin_casework.model.orders import order_number

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "data"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)

_GRADES: Final[Mapping[int, str]] = {
    grade_pb2.GRADE_ORDINARY: "一般",
    grade_pb2.GRADE_LARGE: "较大",
    grade_pb2.GRADE_SERIOUS: "重大",
    grade_pb2.GRADE_ESPECIALLY_SERIOUS: "特别重大",
}
_ROLES: Final[Mapping[int, str]] = {
    unit_pb2.ContactPerson.ROLE_DUTY_OFFICER: "值班人员",
    unit_pb2.ContactPerson.ROLE_APPROVING_LEADER: "审批领导",
    unit_pb2.ContactPerson.ROLE_LIAISON: "联络员",
    unit_pb2.ContactPerson.ROLE_INSPECTOR: "督查人员",
}
_STANDS: Final[Mapping[int, str]] = {
    inquiry_pb2.Inquiry.STATE_ANSWERED: "已答复",
    inquiry_pb2.Inquiry.STATE_WITHDRAWN: "已撤回",
}
"""Where an inquiry stands that waits no more."""


def order_document(order: order_pb2.Order, timezone: str) -> str:
    """An order (抄告单) as it is printed; times are those of the time zone."""
    zone = ZoneInfo(timezone)
    lead, *assisting = order.units
    return _TEMPLATES.get_template("order.html").render(
        office=order.office_display_name,
        number=order.number,
        drill=order.drill,
        standing=_standing(order),
        issued=_moment(order.issue_time, zone),
        lead=lead.display_name,
        assisting="、".join(unit.display_name for unit in assisting),
        title=order.title,
        topic=_path(order.topic),
        place=_path(order.place),
        grade=_GRADES.get(order.grade, ""),
        grade_reason=order.grade_reason,
        basis=order.basis,
        accept_by=_moment(order.accept_deadline, zone),
        answer_by=_moment(order.answer_deadline, zone) if order.HasField("answer_deadline") else "",
        contributions=[
            (unit.display_name, _moment(unit.contribute_deadline, zone))
            for unit in assisting
            if unit.HasField("contribute_deadline")
        ],
        note=order.note,
        inquiry_count=order.inquiry_count,
        inquiries=list(_inquiries(order, zone)),
        persons=list(_persons(order)),
        accepted=_moment(order.accept_time, zone) if order.HasField("accept_time") else "",
        case=order.case,
    )


def _standing(order: order_pb2.Order) -> str:
    """What is stamped on an order that does not hold any more."""
    if order.state == order_pb2.Order.STATE_REPLACED:
        return f"本单已由{order_number(order.replaced_by.removeprefix('orders/'))}代替"
    return "本单已收回" if order.state == order_pb2.Order.STATE_TAKEN_BACK else ""


def _inquiries(order: order_pb2.Order, zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    for number, inquiry in enumerate(order.inquiries, 1):
        yield {
            "number": number,
            "received": _moment(inquiry.receive_time, zone),
            "subject": inquiry.subject,
            "text": inquiry.text,
            "answer_by": _STANDS.get(inquiry.state) or _moment(inquiry.deadline, zone),
        }


def _persons(order: order_pb2.Order) -> Iterator[tuple[str, str, str, str]]:
    for unit in order.units:
        for person in unit.contact_persons:
            yield unit.display_name, _ROLES.get(person.role, ""), person.display_name, person.telephone


def _moment(time: Timestamp, zone: ZoneInfo) -> str:
    local = clock.from_micros(clock.timestamp_to_micros(time)).astimezone(zone)
    return f"{local.year}年{local.month}月{local.day}日{local:%H:%M}"


def _path(name: str) -> str:
    """A topic or a place by its path, from the widest to the narrowest."""
    return name.partition("/")[2].replace(".", " / ")
