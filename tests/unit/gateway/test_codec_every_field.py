"""Every kind of field, both ways, against json_format: drawn messages out, drawn JSON in."""

from __future__ import annotations

import base64
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from huiyin_chassis.errors import InvalidArgument
from huiyin_gateway import codec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PER_TEST = settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
F = FieldDescriptor
SIGNED = {
    F.TYPE_INT32: 31,
    F.TYPE_SINT32: 31,
    F.TYPE_SFIXED32: 31,
    F.TYPE_INT64: 63,
    F.TYPE_SINT64: 63,
    F.TYPE_SFIXED64: 63,
}
UNSIGNED = {F.TYPE_UINT32: 32, F.TYPE_FIXED32: 32, F.TYPE_UINT64: 64, F.TYPE_FIXED64: 64}
INNER = ["transcoding.Everything", "google.protobuf.Timestamp", "google.protobuf.Int64Value", "google.protobuf.Struct"]
TEXT = st.text(max_size=12)
FREE = st.recursive(
    st.none() | st.booleans() | TEXT | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def scalar(field: Any) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        if field.enum_type.name == "NullValue":
            return st.just(0)
        return st.integers(-(2**31), 2**31 - 1) | st.sampled_from([0, 1, -2])
    if field.type in SIGNED:
        bits = SIGNED[field.type]
        return st.integers(-(2**bits), 2**bits - 1)
    if field.type in UNSIGNED:
        return st.integers(0, 2 ** UNSIGNED[field.type] - 1)
    return {
        F.TYPE_STRING: TEXT,
        F.TYPE_BYTES: st.binary(max_size=12),
        F.TYPE_BOOL: st.booleans(),
        F.TYPE_DOUBLE: st.floats() | st.just(-0.0),
        F.TYPE_FLOAT: st.floats(width=32) | st.just(-0.0),
    }[field.type]


def fill(draw: Any, message: Any, depth: int = 0) -> None:
    """Sets some of a message's fields."""
    name = message.DESCRIPTOR.full_name
    if name == "google.protobuf.Timestamp":
        message.seconds = draw(st.integers(-62_135_596_800, 253_402_300_799))
        message.nanos = draw(st.integers(0, 999_999_999) | st.integers(0, 999).map(lambda n: n * 1_000_000))
    elif name == "google.protobuf.Duration":
        message.seconds = draw(st.integers(-315_576_000_000, 315_576_000_000))
        nanos = draw(st.integers(0, 999_999_999) | st.integers(0, 999).map(lambda n: n * 1_000_000))
        message.nanos = -nanos if message.seconds < 0 else nanos
    elif name == "google.protobuf.FieldMask":
        message.paths.extend(draw(st.lists(st.sampled_from(["a", "b_c", "d.e_f.g"]), max_size=3)))
    elif name == "google.protobuf.Any":
        if depth < 3 and draw(st.booleans()):
            inner = codec.message_class(draw(st.sampled_from(INNER)))()
            fill(draw, inner, depth + 1)
            message.Pack(inner, deterministic=True)
    elif name in ("google.protobuf.Struct", "google.protobuf.ListValue", "google.protobuf.Value"):
        free = {
            "Struct": st.dictionaries(TEXT, FREE, max_size=3),
            "ListValue": st.lists(FREE, max_size=3),
            "Value": FREE,
        }
        json_format.ParseDict(draw(free[message.DESCRIPTOR.name]), message)
    elif depth < 4:
        fields = list(message.DESCRIPTOR.fields)
        chosen = draw(st.lists(st.sampled_from(fields), max_size=6 if depth else 12)) if fields else []
        for field in chosen:
            fill_field(draw, message, field, depth)


def fill_field(draw: Any, message: Any, field: Any, depth: int) -> None:
    target = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key_field, value_field = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for key in draw(st.lists(scalar(key_field), max_size=2)):
            if value_field.message_type is not None:
                fill(draw, target[key], depth + 1)
            else:
                target[key] = draw(scalar(value_field))
    elif field.message_type is not None and field.is_repeated:
        for _ in range(draw(st.integers(0, 2))):
            fill(draw, target.add(), depth + 1)
    elif field.message_type is not None:
        target.SetInParent()
        fill(draw, target, depth + 1)
    elif field.is_repeated:
        target.extend(draw(st.lists(scalar(field), max_size=3)))
    else:
        setattr(message, field.name, draw(scalar(field)))


def same(one: Any, other: Any) -> bool:
    """Equal as JSON values, minus zero and zero told apart."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float) and not isinstance(other, bool):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return type(one) is type(other) and bool(one == other) if not isinstance(other, float) else same(other, one)


@PER_TEST
@given(data=st.data())
def test_what_is_written_is_what_json_format_writes(everything: Any, data: st.DataObject) -> None:
    message = everything()
    fill(data.draw, message)
    assert same(json.loads(codec.to_json(message)), json.loads(json_format.MessageToJson(message)))


@PER_TEST
@given(data=st.data(), original_names=st.booleans())
def test_what_is_written_reads_back_as_the_same_message(
    everything: Any, data: st.DataObject, original_names: bool
) -> None:
    message, read, oracle = everything(), everything(), everything()
    fill(data.draw, message)
    text = json_format.MessageToJson(message, preserving_proto_field_name=original_names)
    codec.merge(read, codec.loads(text.encode()))
    json_format.Parse(text, oracle)
    assert read.SerializeToString(deterministic=True) == oracle.SerializeToString(deterministic=True)
    again = everything()
    codec.merge(again, codec.loads(codec.to_json(message)))
    assert again.SerializeToString(deterministic=True) == oracle.SerializeToString(deterministic=True)


NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.sampled_from([0, -1, 1.0, -0.0, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 1e3, 1.5, 1e-7]),
)
# Not of floats: json_format rounds their texts, while 3.6e+16 in quotes is a whole number, exactly.
TEXTS_OF_NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["", " ", "1 ", "1e3", "1.0", "1.5", "0x1", "NaN", "Infinity", "-Infinity", "nope"]),
)
TIMES = st.one_of(
    st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda t: t.replace(tzinfo=UTC).isoformat()),
    st.datetimes(datetime(1900, 1, 1)).map(lambda t: f"{t.isoformat()}Z"),
    st.sampled_from(["2026-03-01T09:00:00+08:00", "2026-03-01", "2026-03-01T09:00:00", "0000-01-01T00:00:00Z", "x"]),
)
DURATIONS = st.one_of(
    st.timedeltas(-timedelta(days=9999), timedelta(days=9999)).map(lambda d: f"{d.total_seconds():.6f}s"),
    st.sampled_from(["1s", "-1.5s", "0.000000001s", "1", "s", "1m", "315576000001s"]),
)
KNOWN = st.sampled_from(["COLOUR_RED", "COLOUR_CRIMSON", "COLOUR_BLUE", "COLOUR_GREEN", "NULL_VALUE", 0, 1, 2, -2, "1"])


def json_of(field: Any, depth: int) -> st.SearchStrategy[Any]:
    """JSON that may or may not be right for a field, without what json_format takes against the specification."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key = field.message_type.fields_by_name["key"]
        keys = TEXT if key.type == F.TYPE_STRING else st.sampled_from(["1", "-1", "true", "false", "x", "2"])
        return st.dictionaries(keys, value_of(field.message_type.fields_by_name["value"], depth), max_size=2)
    if field.is_repeated:
        # Of null for a list of Values json_format makes an error of its own; the specification, an empty list.
        null = st.just([]) if field.name == "values" else st.none()
        return st.lists(value_of(field, depth), max_size=3) | null | st.just({}) | st.just("x")
    return value_of(field, depth) | st.none()


def value_of(field: Any, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None:
        return message_json(field.message_type, depth + 1)
    if field.enum_type is not None:
        return KNOWN
    if field.type == F.TYPE_STRING:
        return TEXT | st.just(3)
    if field.type == F.TYPE_BYTES:
        return st.binary(max_size=9).flatmap(
            lambda raw: st.sampled_from(
                [base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("=")]
            )
        )
    if field.type == F.TYPE_BOOL:
        return st.booleans() | st.sampled_from(["true", 1, 0])
    if field.type in (F.TYPE_DOUBLE, F.TYPE_FLOAT):
        return st.one_of(
            st.floats(allow_nan=False, allow_infinity=False, width=32),
            st.integers(-(2**60), 2**60),
            st.sampled_from(["1.5", "1e3", "NaN", "Infinity", "-Infinity", "", "x"]),
        )
    return NUMBERS | TEXTS_OF_NUMBERS


def message_json(descriptor: Any, depth: int) -> st.SearchStrategy[Any]:
    name = descriptor.full_name
    if name.startswith("google.protobuf."):
        if name.endswith("Value") and name not in ("google.protobuf.Value", "google.protobuf.ListValue"):
            return value_of(descriptor.fields_by_name["value"], depth)
        return {
            "Timestamp": TIMES,
            "Duration": DURATIONS,
            "FieldMask": st.sampled_from(["", "a", "aB,c.dE", "a_b"]),
            "Any": st.sampled_from(
                [
                    {},
                    {"@type": "type.googleapis.com/transcoding.Message", "text": "x"},
                    {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s"},
                    {"@type": "type.googleapis.com/transcoding.None"},
                    {"text": "x"},
                ]
            ),
            "Struct": st.dictionaries(TEXT, FREE, max_size=2) | st.just([]),
            "ListValue": st.lists(FREE, max_size=2) | st.just({}),
            "Value": FREE,
            "Empty": st.just({}) | st.just({"x": 1}),
        }[descriptor.name]
    if depth > 2:
        return st.just({})
    return st.lists(st.sampled_from(list(descriptor.fields)), max_size=4, unique_by=lambda field: field.number).flatmap(
        lambda fields: st.fixed_dictionaries({field.json_name: json_of(field, depth) for field in fields})
    )


@settings(PER_TEST, max_examples=400)
@given(data=st.data())
def test_what_json_format_reads_and_refuses_is_read_and_refused(everything: Any, data: st.DataObject) -> None:
    value = data.draw(message_json(everything.DESCRIPTOR, 0))
    text = json.dumps(value)
    oracle, read = everything(), everything()
    try:
        json_format.Parse(text, oracle)
    except json_format.ParseError:
        oracle = None
    try:
        codec.merge(read, codec.loads(text.encode()))
    except InvalidArgument as error:
        assert oracle is None, f"json_format reads it: {error}"
        return
    assert oracle is not None, "json_format refuses it"
    assert read.SerializeToString(deterministic=True) == oracle.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("value", "field", "told"),
    [
        ({"aDouble": True}, "aDouble", "number"),
        ({"aDouble": 10**400}, "aDouble", "too large"),
        ({"aFloat": 1e39}, "aFloat", "too large"),
        ({"aFloat": "1e39"}, "aFloat", "too large"),
        ({"colour": 1.5}, "colour", "COLOUR_RED"),
        ({"colour": True}, "colour", "COLOUR_RED"),
        ({"someBytes": "a?b"}, "someBytes", "base64"),
        ({"someBytes": "a"}, "someBytes", "base64"),
        ({"anInt64": "9" * 5000}, "anInt64", "whole number"),
        ({"anInt64": "1e999999"}, "anInt64", "must lie between"),
        ({"anInt32": 1e300}, "anInt32", "must lie between"),
        ({"oneText": "x", "oneNumber": 1}, "oneNumber", "excludes"),
        ({"aString": "x", "a_string": "y"}, "a_string", "twice"),
        ({"aString": "\ud800"}, "aString", "surrogate"),
        ({"texts": {"a": "\ud800"}}, "texts.a", "surrogate"),
        ({"byBool": {"yes": 1}}, "byBool.yes", "true or false"),
        ({"strings": ["a", None]}, "strings[1]", "null"),
        ({"more": [{}, None]}, "more[1]", "null"),
        ({"more": [{"more": [{"anInt32": "x"}]}]}, "more[0].more[0].anInt32", "whole number"),
        ({"aTime": 3}, "aTime", "2026-03-01T09:00:00Z"),
        ({"anything": {"@type": "x/none.Such"}}, "anything.@type", "no type"),
        ({"anything": {"@type": "x/google.protobuf.Duration"}}, "anything", '"value"'),
        ({"aStruct": {"a": 10**400}}, "aStruct.a", "too large"),
    ],
)
def test_a_mistake_is_told_with_its_path(everything: Any, value: Any, field: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        codec.merge(everything(), value)
    assert caught.value.violations[0].field == field
    assert told in caught.value.violations[0].description


def test_what_is_nested_deeper_than_the_runtime_reads_is_refused(everything: Any) -> None:
    for name, opening, closing in (("inner", '{"inner":', "}"), ("a_value", "[", "]"), ("a_struct", '{"a":', "}")):
        for depth in (25, 200, 900, 100_000):
            nested = opening * depth + ("{}" if name == "inner" else "1") + closing * depth
            text = f'{{"{name}":{nested}}}'.encode()
            message = everything()
            try:
                codec.merge(message, codec.loads(text))
            except InvalidArgument:
                assert depth > 25
            else:
                assert depth == 25 and everything.FromString(message.SerializeToString()) == message


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "{", "[1,]", '{"a":NaN}', "\ufeff{}", '{"a":' + "9" * 5000 + "}"])
def test_what_is_not_json_is_refused_on_the_body(text: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        codec.loads(text.encode())
    assert (caught.value.violations[0].field, caught.value.reason) == ("body", "JSON_INVALID")


def test_a_field_goes_by_the_json_name_of_its_contract_and_by_its_own(everything: Any) -> None:
    message = everything(renamed="x", alias_of_it_too="y")
    assert json.loads(codec.to_json(message)) == {"aliasOfIt": "x", "renamed_too": "y"}
    for name in ("aliasOfIt", "renamed"):
        read = everything()
        codec.merge(read, {name: "x"})
        assert read.renamed == "x"
