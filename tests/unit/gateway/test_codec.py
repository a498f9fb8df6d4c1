"""JSON by compiled functions equals json_format's, both ways; mistakes are told by path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.protobuf import json_format, struct_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huiyin.analyzer.v1 import assessment_pb2, event_pb2
from huiyin.casework.v1 import case_pb2, inquiry_pb2, unit_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.gateway.v1 import account_pb2, change_pb2
from huiyin.notifier.v1 import notification_pb2
from huiyin_chassis.errors import InvalidArgument
from huiyin_gateway import codec
from hypothesis import given, settings
from hypothesis import strategies as st

TYPES: list[type[Message]] = [
    event_pb2.ListEventsResponse,
    event_pb2.Membership,
    assessment_pb2.Assessment,
    case_pb2.Case,
    case_pb2.Entry,
    case_pb2.ListCasesResponse,
    inquiry_pb2.Inquiry,
    unit_pb2.Unit,
    post_pb2.Post,
    post_pb2.ImportPostsMetadata,
    source_pb2.UpdateSourceRequest,
    notification_pb2.Notification,
    account_pb2.ApiKey,
]
INTS = {FieldDescriptor.TYPE_INT32: 31, FieldDescriptor.TYPE_INT64: 63}


def values(draw: Any, message: Message, depth: int = 0) -> None:
    """Fills a message with drawn values."""
    for field in message.DESCRIPTOR.fields:
        if depth > 3 or not draw(st.booleans()):
            continue
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            for key in draw(st.lists(st.text(max_size=5), max_size=2)):
                getattr(message, field.name)[key] = draw(st.floats(allow_nan=False, width=64))
        elif inner is not None and inner.full_name == "google.protobuf.Timestamp":
            target = getattr(message, field.name)
            target.seconds, target.nanos = draw(st.integers(0, 4_000_000_000)), draw(st.integers(0, 999_999_999))
        elif inner is not None and inner.full_name == "google.protobuf.FieldMask":
            getattr(message, field.name).paths.extend(draw(st.lists(st.sampled_from(["a", "b_c", "d.e"]), max_size=2)))
        elif inner is not None and field.is_repeated:
            for _ in range(draw(st.integers(0, 2))):
                values(draw, getattr(message, field.name).add(), depth + 1)
        elif inner is not None:
            getattr(message, field.name).SetInParent()
            values(draw, getattr(message, field.name), depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(scalar(field), max_size=3)))
        else:
            setattr(message, field.name, draw(scalar(field)))


def scalar(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_STRING:
        return st.text(max_size=20)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=20)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return st.booleans()
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return st.floats(allow_nan=True, allow_infinity=True)
    bits = INTS[field.type]
    return st.integers(-(2**bits), 2**bits - 1)


@st.composite
def messages(draw: Any) -> Message:
    message = draw(st.sampled_from(TYPES))()
    values(draw, message)
    return message  # type: ignore[no-any-return]


@settings(max_examples=150)
@given(messages())
def test_what_is_written_is_what_json_format_writes(message: Message) -> None:
    assert json.loads(codec.to_json(message)) == json.loads(json_format.MessageToJson(message))


@settings(max_examples=150)
@given(messages(), st.booleans())
def test_what_json_format_wrote_reads_back(message: Message, original_names: bool) -> None:
    text = json_format.MessageToJson(message, preserving_proto_field_name=original_names)
    read = type(message)()
    codec.merge(read, codec.loads(text.encode()))
    assert json_format.MessageToDict(read) == json_format.MessageToDict(message)


def test_any_and_operations_are_written_with_their_type() -> None:
    operation = operations_pb2.Operation(name="sources/a/operations/b", done=True)
    operation.metadata.Pack(post_pb2.ImportPostsMetadata(file_name="一.csv"))
    operation.response.Pack(post_pb2.ImportPostsResponse(columns=["a"]))
    change = change_pb2.StreamChangesResponse(service="casework")
    change.change.resource.Pack(case_pb2.Case(name="cases/1", grade=2))  # type: ignore[arg-type]
    for message in (operation, change):
        assert json.loads(codec.to_json(message)) == json_format.MessageToDict(message)


def test_struct_is_left_to_json_format() -> None:
    struct = struct_pb2.Struct()
    struct.update({"a": [1, {"b": None}]})
    assert json.loads(codec.to_json(struct)) == json_format.MessageToDict(struct)


@pytest.mark.parametrize(
    ("target", "value", "field", "told"),
    [
        (case_pb2.AssignCaseRequest(), {"leadUnti": "x"}, "leadUnti", "did you mean leadUnit?"),
        (case_pb2.AssignCaseRequest(), {"leadUnit": 3}, "leadUnit", "must be a string"),
        (case_pb2.ReviewReplyRequest(), {"decision": "YES"}, "decision", "DECISION_PASS"),
        (case_pb2.ListCasesRequest(), {"pageSize": 1.5}, "pageSize", "whole number"),
        (case_pb2.ListCasesRequest(), {"pageSize": 2**40}, "pageSize", "must lie between"),
        (post_pb2.Post(), {"drill": "true"}, "drill", "true or false"),
        (post_pb2.Post(), {"publishTime": "gestern"}, "publishTime", "Timestamp"),
        (unit_pb2.BatchUpdateUnitsRequest(), {"units": [{}, {"members": {}}]}, "units[1].members", "must be a list"),
        (unit_pb2.BatchUpdateUnitsRequest(), [], "body", "must be a JSON object"),
    ],
)
def test_a_mistake_is_told_with_its_path(target: Message, value: Any, field: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        codec.merge(target, value)
    assert caught.value.violations[0].field == field
    assert told in caught.value.violations[0].description


def test_text_of_a_url_sets_nested_and_repeated_fields() -> None:
    request = source_pb2.UpdateSourceRequest()
    codec.set_text(request, "source.name", "sources/a")
    codec.set_text(request, "updateMask", "displayName,area")
    watch = change_pb2.StreamChangesRequest()
    codec.set_text(watch, "kinds", "case.*")
    codec.set_text(watch, "kinds", "event.*")
    assert request.source.name == "sources/a" and list(request.update_mask.paths) == ["display_name", "area"]
    assert list(watch.kinds) == ["case.*", "event.*"]
