"""Messages to JSON."""

from __future__ import annotations

import base64
import functools
import json
import math
import struct
from collections.abc import Callable, Mapping
from datetime import date
from json.encoder import encode_basestring
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from huiyin_gateway.codec.fields import LONG, OWN_FORM, SELF_WRITTEN, WRAPPERS, is_map, message_class

Write = Callable[[Any], str]

_F = FieldDescriptor
_quote: Callable[[str], str] = encode_basestring
_writers: dict[Any, Write] = {}


def to_json(message: Message) -> bytes:
    """A message as compact JSON, UTF-8."""
    return writer(message.DESCRIPTOR)(message).encode()


def dumps(value: Any) -> bytes:
    """Compact JSON, UTF-8; half of a surrogate pair, which a mistaken input may hold, is written as its escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def writer(descriptor: Any) -> Write:
    """What writes messages of a type."""
    found = _writers.get(descriptor)
    if found is None:
        name = descriptor.full_name
        if name in WRAPPERS:
            write = _value_writer(descriptor.fields_by_name["value"])
            found = lambda message: write(message.value)  # noqa: E731
        elif name in _OWN_FORM_OUT:
            found = _OWN_FORM_OUT[name]
        elif name in SELF_WRITTEN:
            found = lambda message: f'"{message.ToJsonString()}"'  # noqa: E731
        else:
            found = _message_writer(descriptor)
        _writers[descriptor] = found
    return found


def field_writer(field: FieldDescriptor) -> Write:
    """What writes the value of a field: a list where it is repeated, an object where it is a map."""
    if is_map(field):
        assert field.message_type is not None
        write_item = _value_writer(field.message_type.fields_by_name["value"])
        return lambda items: "{" + ",".join([f"{_key(key)}:{write_item(items[key])}" for key in items]) + "}"
    write = _value_writer(field)
    if field.is_repeated:
        return lambda values: "[" + ",".join([write(value) for value in values]) + "]"
    return write


def _message_writer(descriptor: Any) -> Write:
    # By descriptor, which is a key as cheap as an integer. Filled at the first message, not here, so that a message may
    # contain itself.
    writers: dict[FieldDescriptor, tuple[str, Write]] = {}

    def write(message: Any) -> str:
        if not writers:
            writers.update({field: (f'"{field.json_name}":', field_writer(field)) for field in descriptor.fields})
        members = []
        for field, value in message.ListFields():
            name, write_value = writers[field]
            members.append(name + write_value(value))
        return "{" + ",".join(members) + "}"

    return write


def _value_writer(field: FieldDescriptor) -> Write:
    """How one value is written."""
    if field.message_type is not None:
        return writer(field.message_type)
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return lambda _: "null"
        # The first name of a number that has several, as the runtime has it.
        known = field.enum_type.values_by_number
        names = {value.number: f'"{known[value.number].name}"' for value in field.enum_type.values}
        return lambda value: names.get(value) or str(value)
    if field.type in LONG:
        return lambda value: f'"{value}"'
    return _SCALARS.get(field.type, str)


def _key(key: Any) -> str:
    return _quote(str(key).lower() if isinstance(key, bool) else str(key))


def _bytes(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _double(value: float) -> str:
    if math.isfinite(value):
        # Whole numbers without ".0"; but minus zero keeps its sign.
        return str(int(value)) if value.is_integer() and 0 < abs(value) < 1e15 else repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


_FOUR_BYTES: Final = struct.Struct("<f")


def _float(value: float) -> str:
    """The shortest text that means the same four bytes."""
    if not math.isfinite(value):
        return _double(value)
    for digits in (6, 7, 8):
        short = float(f"{value:.{digits}g}")
        try:
            if _FOUR_BYTES.unpack(_FOUR_BYTES.pack(short))[0] == value:
                return _double(short)
        except OverflowError:  # rounded up beyond the greatest
            continue
    return _double(float(f"{value:.9g}"))


_SCALARS: Final[Mapping[int, Write]] = {
    _F.TYPE_STRING: _quote,
    _F.TYPE_BYTES: _bytes,
    _F.TYPE_BOOL: _bool,
    _F.TYPE_DOUBLE: _double,
    _F.TYPE_FLOAT: _float,
}

_EPOCH: Final = date(1970, 1, 1).toordinal()
_MINUTES: Final = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]


@functools.lru_cache(4096)
def _day(number: int) -> str:
    return date.fromordinal(_EPOCH + number).isoformat()


def _timestamp(message: Any) -> str:
    # A list holds several times a row; by tables this costs a third of what datetime does.
    days, rest = divmod(message.seconds, 86_400)
    minute, second = divmod(rest, 60)
    text, nanos = f'"{_day(days)}{_MINUTES[minute]}{second:02d}', message.nanos
    if nanos == 0:
        return f'{text}Z"'
    if nanos % 1_000_000 == 0:
        return f'{text}.{nanos // 1_000_000:03d}Z"'
    if nanos % 1_000 == 0:
        return f'{text}.{nanos // 1_000:06d}Z"'
    return f'{text}.{nanos:09d}Z"'


def _any(message: any_pb2.Any) -> str:
    if not message.type_url:
        return "{}"
    inner = message_class(message.TypeName()).FromString(message.value)
    content = writer(inner.DESCRIPTOR)(inner)
    head = f'{{"@type":{_quote(message.type_url)}'
    if inner.DESCRIPTOR.full_name in OWN_FORM:
        return f'{head},"value":{content}}}'
    return f"{head}}}" if content == "{}" else f"{head},{content[1:]}"


def _struct(message: Any) -> str:
    fields = message.fields
    return "{" + ",".join([f"{_quote(key)}:{_free(fields[key])}" for key in fields]) + "}"


def _list(message: Any) -> str:
    return "[" + ",".join([_free(value) for value in message.values]) + "]"


def _free(message: Any) -> str:
    """A google.protobuf.Value. Raises ValueError for a number that JSON does not have."""
    kind = message.WhichOneof("kind")
    if kind == "number_value" and not math.isfinite(message.number_value):
        raise ValueError("a Value holds a number that JSON does not have")
    return _FREE[kind](message)


_FREE: Final[Mapping[str | None, Write]] = {
    None: lambda _: "null",
    "null_value": lambda _: "null",
    "number_value": lambda message: _double(message.number_value),
    "string_value": lambda message: _quote(message.string_value),
    "bool_value": lambda message: _bool(message.bool_value),
    "struct_value": lambda message: _struct(message.struct_value),
    "list_value": lambda message: _list(message.list_value),
}

_OWN_FORM_OUT: Final[Mapping[str, Write]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Any": _any,
    "google.protobuf.Struct": _struct,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Value": _free,
}
