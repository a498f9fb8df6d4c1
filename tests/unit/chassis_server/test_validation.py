"""Requests are checked against what their contract declares."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message
from huiyin.casework.v1 import case_pb2, inquiry_pb2, unit_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.validation import validate


def violations(message: Message) -> dict[str, str]:
    try:
        validate(message)
    except InvalidArgument as error:
        return {violation.field: violation.reason for violation in error.violations}
    return {}


def test_a_good_request_passes() -> None:
    request = post_pb2.BatchCreatePostsRequest(source="sources/inbox", posts=[post_pb2.Post(text="路灯不亮")])
    assert violations(request) == {}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (case_pb2.GetCaseRequest(), {"name": "REQUIRED"}),
        (inquiry_pb2.SubmitInquiryRequest(text="字" * 10_001), {"text": "TOO_LONG"}),
        (case_pb2.ReviewReplyRequest(name="cases/1"), {"decision": "REQUIRED"}),
        (case_pb2.ListCasesRequest(page_size=-1), {"page_size": "TOO_SMALL"}),
        (case_pb2.ListCasesRequest(page_size=1001), {"page_size": "TOO_LARGE"}),
        (case_pb2.GetCaseRequest(name="cases/" + "1" * 2000), {"name": "TOO_LONG"}),
        (source_pb2.CreateSourceRequest(source_id="A b", source=source_pb2.Source(kind=1)), {"source_id": "PATTERN"}),
        (source_pb2.CreateSourceRequest(source_id="a"), {"source": "REQUIRED"}),
        (inquiry_pb2.SubmitInquiryRequest(text="?", channel=99), {"channel": "UNKNOWN_VALUE"}),
        (
            post_pb2.BatchCreatePostsRequest(source="sources/a", posts=[post_pb2.Post()] * 1001),
            {"posts": "TOO_MANY"},
        ),
    ],
    ids=lambda value: value.DESCRIPTOR.name if isinstance(value, Message) else "",
)
def test_each_limit_is_told_by_field_and_reason(message: Message, expected: dict[str, str]) -> None:
    assert violations(message) == expected


def test_every_violation_is_told_with_its_path() -> None:
    request = unit_pb2.BatchUpdateUnitsRequest(
        units=[
            unit_pb2.Unit(name="units/a", display_name="甲"),
            unit_pb2.Unit(name="units/B", members=[unit_pb2.UnitMember(account="accounts/x", roles=["king"])]),
        ]
    )
    assert violations(request) == {
        "units[1].name": "PATTERN",
        "units[1].display_name": "REQUIRED",
        "units[1].members[0].roles[0]": "PATTERN",
    }
