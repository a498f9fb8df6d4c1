"""JSON of protobuf messages by functions compiled from their descriptors at start.

The form is proto3 JSON as `google.protobuf.json_format` has it by default (which is the oracle in the tests): names in
lowerCamelCase, fields at their default left out, 64-bit integers as strings, bytes in base64, times in RFC 3339, enums
by name. On the way in, a field may be named either way, and a mistake is told with its path.
"""

from __future__ import annotations

import base64
import binascii
import difflib
import functools
import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import date
from json.encoder import encode_basestring
from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from huiyin_chassis.errors import FieldViolation, InvalidArgument

Json = dict[str, Any]
Encode = Callable[[Any], str]

_F = FieldDescriptor
_LONG: Final = frozenset({_F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64, _F.TYPE_SINT64})
_SHORT: Final = frozenset({_F.TYPE_INT32, _F.TYPE_UINT32, _F.TYPE_FIXED32, _F.TYPE_SFIXED32, _F.TYPE_SINT32})
_UNSIGNED: Final = frozenset({_F.TYPE_UINT32, _F.TYPE_UINT64, _F.TYPE_FIXED32, _F.TYPE_FIXED64})
_DEEPEST: Final = 50
_ECHO: Final = 200
"""Characters of a wrong name that are repeated to who sent it."""
_WHOLE: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|NaN|-?Infinity")

_quote: Callable[[str], str] = encode_basestring

_encoders: dict[str, Encode] = {}
_decoders: dict[str, Callable[[Message, Json, str], None]] = {}


def to_json(message: Message) -> bytes:
    """A message as compact JSON, UTF-8."""
    return _encoder(message.DESCRIPTOR)(message).encode()


def dumps(value: Any) -> bytes:
    """Compact JSON, UTF-8; half of a surrogate pair, which a mistaken input may hold, is written as its escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def loads(text: bytes) -> Any:
    """JSON. Raises InvalidArgument on `body`, naming line and column."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        why = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise InvalidArgument("body", why, "JSON_INVALID") from None
    except (ValueError, RecursionError):  # other bytes than UTF-8, NaN, an integer of thousands of digits, too deep
        why = "is not JSON in UTF-8 of reasonable depth, with numbers of reasonable length"
        raise InvalidArgument("body", why, "JSON_INVALID") from None


def merge(message: Message, value: Any, path: str = "") -> None:
    """Sets a message's fields from JSON. Raises InvalidArgument naming the field, the reason and the remedy."""
    if not isinstance(value, dict):
        raise _wrong(path or "body", "must be a JSON object")
    if path.count(".") > _DEEPEST:
        raise _wrong(path, "is nested too deep")
    _decoder(message.DESCRIPTOR)(message, value, path)


def set_text(message: Message, path: str, text: str) -> None:
    """Sets a field, named by a dotted path, from text of a URL; a repeated field gets one element more."""
    *above, last = path.split(".")
    target: Any = message
    for name in above:
        field = field_of(target.DESCRIPTOR, name, path)
        if field.message_type is None or field.is_repeated:
            raise _wrong(path, "cannot be given in a URL; send it in the body")
        target = getattr(target, field.name)
    field = field_of(target.DESCRIPTOR, last, path)
    value = _text_value(field, text, path)
    if field.message_type is not None:
        getattr(target, field.name).CopyFrom(value)
    elif field.is_repeated:
        getattr(target, field.name).append(value)
    else:
        setattr(target, field.name, value)


def field_of(descriptor: Any, name: str, path: str) -> FieldDescriptor:
    """The field of a name, as in the contract or in JSON. Raises InvalidArgument, which names the nearest."""
    field: FieldDescriptor | None = None
    if name.isascii():  # the tables of descriptors fail on half a surrogate pair
        field = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
    if field is None:
        known = [each.json_name for each in descriptor.fields]
        near = difflib.get_close_matches(name[:_ECHO], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
        raise _wrong(path, f"is not a field here; {hint}", "FIELD_UNKNOWN")
    return field


def camel(path: str) -> str:
    """A field's path as JSON names it: posts[0].external_id → posts[0].externalId."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), path)


# Out


def _encoder(descriptor: Any) -> Encode:
    found = _encoders.get(descriptor.full_name)
    if found is None:
        if descriptor.full_name in _WELL_KNOWN_OUT:
            found = _WELL_KNOWN_OUT[descriptor.full_name]
        elif descriptor.full_name.startswith("google.protobuf."):
            found = _as_json_format_does
        else:
            found = _message_encoder(descriptor)
        _encoders[descriptor.full_name] = found
    return found


def _message_encoder(descriptor: Any) -> Encode:
    # By descriptor, which is a key as cheap as an integer. Filled at the first message, not here, so that a message may
    # contain itself.
    writers: dict[FieldDescriptor, tuple[str, Encode]] = {}

    def encode(message: Any) -> str:
        if not writers:
            writers.update({field: (f'"{field.json_name}":', _field_encoder(field)) for field in descriptor.fields})
        members = []
        for field, value in message.ListFields():
            name, write = writers[field]
            members.append(name + write(value))
        return "{" + ",".join(members) + "}"

    return encode


def _field_encoder(field: FieldDescriptor) -> Encode:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        write_item = _value_encoder(field.message_type.fields_by_name["value"])
        return lambda items: "{" + ",".join([f"{_key(key)}:{write_item(items[key])}" for key in items]) + "}"
    write = _value_encoder(field)
    if field.is_repeated:
        return lambda values: "[" + ",".join([write(value) for value in values]) + "]"
    return write


def _value_encoder(field: FieldDescriptor) -> Encode:
    """How one value is written."""
    if field.message_type is not None:
        return _encoder(field.message_type)
    if field.enum_type is not None:
        names = {value.number: f'"{value.name}"' for value in field.enum_type.values}
        return lambda value: names.get(value) or str(value)
    if field.type in _LONG:
        return lambda value: f'"{value}"'
    return _SCALARS_OUT.get(field.type, str)


def _key(key: Any) -> str:
    return _quote(str(key).lower() if isinstance(key, bool) else str(key))


def _bytes_out(value: bytes) -> str:
    return f'"{base64.b64encode(value).decode()}"'


def _bool_out(value: bool) -> str:
    return "true" if value else "false"


def _double_out(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return '"NaN"' if math.isnan(value) else '"Infinity"' if value > 0 else '"-Infinity"'


def _float_out(value: float) -> str:
    return _double_out(float(f"{value:.8g}"))


_SCALARS_OUT: Final[Mapping[int, Encode]] = {
    _F.TYPE_STRING: _quote,
    _F.TYPE_BYTES: _bytes_out,
    _F.TYPE_BOOL: _bool_out,
    _F.TYPE_DOUBLE: _double_out,
    _F.TYPE_FLOAT: _float_out,
}

_EPOCH: Final = date(1970, 1, 1).toordinal()
_MINUTES: Final = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(1440)]


@functools.lru_cache(4096)
def _day(number: int) -> str:
    return date.fromordinal(_EPOCH + number).isoformat()


def _timestamp_out(message: Any) -> str:
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


def _any_out(message: any_pb2.Any) -> str:
    if not message.type_url:
        return "{}"
    inner = message_class(message.TypeName()).FromString(message.value)
    content = _encoder(inner.DESCRIPTOR)(inner)
    head = f'{{"@type":{_quote(message.type_url)}'
    if inner.DESCRIPTOR.full_name.startswith("google.protobuf."):
        return f'{head},"value":{content}}}'
    return f"{head}}}" if content == "{}" else f"{head},{content[1:]}"


def _as_json_format_does(message: Message) -> str:
    return dumps(json_format.MessageToDict(message)).decode()


_WELL_KNOWN_OUT: Final[Mapping[str, Encode]] = {
    "google.protobuf.Timestamp": _timestamp_out,
    "google.protobuf.Any": _any_out,
}


def message_class(name: str) -> type[Message]:
    """The generated class of a type."""
    found: Any = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    return found  # type: ignore[no-any-return]


# In


def _decoder(descriptor: Any) -> Callable[[Message, Json, str], None]:
    found = _decoders.get(descriptor.full_name)
    if found is None:
        found = _decoders[descriptor.full_name] = _message_decoder(descriptor)
    return found


def _message_decoder(descriptor: Descriptor) -> Callable[[Message, Json, str], None]:
    def decode(message: Message, value: Json, path: str) -> None:
        seen = set()
        for name, content in value.items():
            at = f"{path}.{name}" if path else str(name)
            field = field_of(descriptor, name, at)
            if field in seen:
                raise _wrong(at, f"is there twice, by both of its names; keep {field.json_name}")
            seen.add(field)
            if content is not None:
                _set(message, field, content, at)

    return decode


def _set(message: Any, field: FieldDescriptor, content: Any, path: str) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _set_map(message, field, content, path)
    elif field.is_repeated:
        if not isinstance(content, list):
            raise _wrong(path, "must be a list")
        target = getattr(message, field.name)
        if field.message_type is None:
            target.extend(_value(field, item, f"{path}[{index}]") for index, item in enumerate(content))
        else:
            for index, item in enumerate(content):
                _merge_field(target.add(), field, item, f"{path}[{index}]")
    elif field.message_type is not None:
        target = getattr(message, field.name)
        target.SetInParent()
        _merge_field(target, field, content, path)
    else:
        setattr(message, field.name, _value(field, content, path))


def _merge_field(target: Message, field: FieldDescriptor, content: Any, path: str) -> None:
    assert field.message_type is not None
    if field.message_type.full_name.startswith("google.protobuf."):
        try:
            json_format.ParseDict(content, target)
        except (json_format.ParseError, ValueError, TypeError, AttributeError):
            raise _wrong(path, f"is not a {field.message_type.name} as JSON has it") from None
        return
    merge(target, content, path)


def _set_map(message: Any, field: FieldDescriptor, content: Any, path: str) -> None:
    assert field.message_type is not None
    if not isinstance(content, dict):
        raise _wrong(path, "must be a JSON object")
    key_field, value_field = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    target = getattr(message, field.name)
    for key, item in content.items():
        found = _text_value(key_field, key, f"{path}.{key}")
        if value_field.message_type is not None:
            _merge_field(target[found], value_field, item, f"{path}.{key}")
        else:
            target[found] = _value(value_field, item, f"{path}.{key}")


def _value(field: FieldDescriptor, content: Any, path: str) -> Any:
    """A scalar from its JSON."""
    kind = field.type
    if kind == _F.TYPE_STRING:
        if not isinstance(content, str):
            raise _wrong(path, "must be a string")
        if not content.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in content):
            raise _wrong(path, "holds half of a surrogate pair; send whole characters")
        return content
    if kind == _F.TYPE_BOOL:
        if not isinstance(content, bool):
            raise _wrong(path, "must be true or false")
        return content
    if field.enum_type is not None:
        return _enum(field, content, path)
    if kind in _LONG or kind in _SHORT:
        return _integer(field, content, path)
    if kind == _F.TYPE_BYTES:
        return _bytes(content, path)
    if isinstance(content, str) and _NUMBER.fullmatch(content):
        return float(content)
    if isinstance(content, bool) or not isinstance(content, int | float) or abs(content) > sys.float_info.max:
        raise _wrong(path, "must be a number")
    return float(content)


def _text_value(field: FieldDescriptor, text: str, path: str) -> Any:
    """A value from the text of a URL."""
    if field.message_type is not None:
        target = message_class(field.message_type.full_name)()
        if field.is_repeated or not field.message_type.full_name.startswith("google.protobuf."):
            raise _wrong(path, "cannot be given in a URL; send it in the body")
        _merge_field(target, field, text, path)
        return target
    if field.type == _F.TYPE_BOOL:
        if text not in ("true", "false"):
            raise _wrong(path, "must be true or false")
        return text == "true"
    return _value(field, text, path)


def _enum(field: FieldDescriptor, content: Any, path: str) -> int:
    assert field.enum_type is not None
    if isinstance(content, str):
        value = field.enum_type.values_by_name.get(content) if content.isascii() else None
        if value is not None:
            return int(value.number)
        content = int(content) if _WHOLE.fullmatch(content) and len(content) < 12 else None
    # json_format takes numbers without a name as well; no service could do anything with them.
    if type(content) is int and abs(content) < 2**31 and content in field.enum_type.values_by_number:
        return content
    names = ", ".join(value.name for value in field.enum_type.values if value.number)
    raise _wrong(path, f"must be one of {names}")


def _integer(field: FieldDescriptor, content: Any, path: str) -> int:
    if (isinstance(content, float) and content.is_integer()) or (
        isinstance(content, str) and len(content) < 25 and _WHOLE.fullmatch(content)
    ):
        content = int(content)
    if type(content) is not int:
        raise _wrong(path, "must be a whole number")
    number: int = content
    bits = 64 if field.type in _LONG else 32
    least, most = (0, 2**bits - 1) if field.type in _UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if not least <= number <= most:
        raise _wrong(path, f"must lie between {least} and {most}")
    return number


def _bytes(content: Any, path: str) -> bytes:
    try:
        if not isinstance(content, str):
            raise ValueError
        padded = content + "=" * (-len(content) % 4)
        return base64.b64decode(padded, altchars=b"-_" if "-" in content or "_" in content else None, validate=True)
    except (ValueError, binascii.Error):
        raise _wrong(path, "must be base64") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _wrong(path: str, why: str, reason: str = "INVALID_ARGUMENT") -> InvalidArgument:
    return InvalidArgument.of([FieldViolation(path[:_ECHO], why, reason)])
