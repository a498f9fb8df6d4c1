"""JSON, and text of URLs, into messages."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, NoReturn

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from huiyin_chassis.errors import InvalidArgument

from huiyin_gateway.codec.fields import (
    LONG,
    OWN_FORM,
    SELF_WRITTEN,
    SHORT,
    UNSIGNED,
    WRAPPERS,
    field_of,
    is_map,
    message_class,
    wrong,
)

Read = Callable[[Any, str], Any]
"""(JSON, path) → a scalar. Raises InvalidArgument."""
Merge = Callable[[Any, Any, str, int], None]
"""(message, JSON, path, depth): sets the message. Raises InvalidArgument."""
SetText = Callable[[Any, str], None]
"""(message, text of a URL): sets a field, or adds to it where it is repeated. Raises InvalidArgument."""

_F = FieldDescriptor
_DEEPEST: Final = 90
"""Messages within messages; the protobuf runtime itself reads no more than 100."""
_WHOLE: Final = re.compile(r"-?[0-9]+")
_DECIMAL: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,6})?")
_NUMBER: Final = re.compile(rf"{_DECIMAL.pattern}|NaN|-?Infinity")
_LONGEST_NUMBER: Final = 400
_GREATEST_FLOAT: Final = float.fromhex("0x1.fffffep+127")
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NULL: Final = "google.protobuf.NullValue"
_FREE: Final = "google.protobuf.Value"

_mergers: dict[Any, Merge] = {}
_setters: dict[tuple[Any, str], SetText] = {}


def loads(text: bytes) -> Any:
    """JSON. Raises InvalidArgument on `body`, naming line and column."""
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        why = f"is not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        raise InvalidArgument("body", why, "JSON_INVALID") from None
    except _Twice as error:
        raise InvalidArgument("body", f"holds the name {error} twice in one object", "JSON_INVALID") from None
    except (ValueError, RecursionError):  # other bytes than UTF-8, NaN, an integer of thousands of digits, too deep
        why = "is not JSON in UTF-8 of reasonable depth, with numbers of reasonable length"
        raise InvalidArgument("body", why, "JSON_INVALID") from None


def merge(message: Message, value: Any, path: str = "") -> None:
    """Sets a message's fields from JSON. Raises InvalidArgument naming the field, the reason and the remedy."""
    _merger(message.DESCRIPTOR)(message, value, path, 0)


def body_setter(descriptor: Any, name: str) -> Callable[[Any, Any], None]:
    """What sets one field of a message, of whatever type, from the JSON of a body. Raises InvalidArgument."""
    field = descriptor.fields_by_name[name]
    merge_field, path = _field_merger(field), field.json_name
    return lambda message, content: merge_field(message, content, path, 0)


def set_text(message: Message, path: str, text: str) -> None:
    """Sets a field, named by a dotted path, from text of a URL; a repeated field gets one element more."""
    text_setter(message.DESCRIPTOR, path)(message, text)


def text_setter(descriptor: Any, path: str) -> SetText:
    """What sets the field of a dotted path from text of a URL. Raises InvalidArgument where there is none."""
    found = _setters.get((descriptor, path))
    if found is None:
        found = _setters[descriptor, path] = _text_setter(descriptor, path)
    return found


# Messages


def _merger(descriptor: Any) -> Merge:
    found = _mergers.get(descriptor)
    if found is None:
        name = descriptor.full_name
        if name in WRAPPERS:
            found = _wrapper_merger(descriptor)
        elif name in SELF_WRITTEN:
            found = _text_merger(descriptor)
        else:
            found = _OWN_FORM_IN.get(name) or _object_merger(descriptor)
        _mergers[descriptor] = found
    return found


def _object_merger(descriptor: Descriptor) -> Merge:
    # Filled at the first message, not here, so that a message may contain itself.
    mergers: dict[FieldDescriptor, Merge] = {}

    def merge_object(message: Any, content: Any, path: str, depth: int) -> None:
        if not isinstance(content, dict):
            raise wrong(path or "body", "must be a JSON object")
        if depth > _DEEPEST:
            raise wrong(path, "is nested too deep")
        if not mergers:
            mergers.update({field: _field_merger(field) for field in descriptor.fields})
        seen: set[object] = set()
        for name, value in content.items():
            at = f"{path}.{name}" if path else name
            field = field_of(descriptor, name, at)
            if field in seen:
                raise wrong(at, f"is there twice, by both of its names; keep {field.json_name}")
            seen.add(field)
            if value is None and not _takes_null(field):
                message.ClearField(field.name)
                continue
            if field.containing_oneof is not None and value is not None:
                if field.containing_oneof in seen:
                    others = ", ".join(each.json_name for each in field.containing_oneof.fields)
                    raise wrong(at, f"excludes the others of its choice; give one of {others}", "ONEOF")
                seen.add(field.containing_oneof)
            mergers[field](message, value, at, depth + 1)

    return merge_object


def _takes_null(field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return False
    if field.message_type is not None:
        return field.message_type.full_name == _FREE
    return field.enum_type is not None and field.enum_type.full_name == _NULL


def _field_merger(field: FieldDescriptor) -> Merge:
    if is_map(field):
        return _map_merger(field)
    name = field.name
    if field.message_type is not None:
        merge_value = _merger(field.message_type)
        null = field.message_type.full_name == _FREE

        def merge_message(message: Any, content: Any, path: str, depth: int) -> None:
            target = getattr(message, name)
            target.SetInParent()
            merge_value(target, content, path, depth)

        def merge_messages(message: Any, content: Any, path: str, depth: int) -> None:
            target = _emptied(message, name, content, path)
            for index, item in enumerate(content):
                at = f"{path}[{index}]"
                if item is None and not null:
                    raise wrong(at, "must not be null")
                merge_value(target.add(), item, at, depth)

        return merge_messages if field.is_repeated else merge_message

    read = _scalar_reader(field)

    def set_scalar(message: Any, content: Any, path: str, depth: int) -> None:
        setattr(message, name, read(content, path))

    def set_scalars(message: Any, content: Any, path: str, depth: int) -> None:
        target = _emptied(message, name, content, path)
        for index, item in enumerate(content):
            at = f"{path}[{index}]"
            if item is None:
                raise wrong(at, "must not be null")
            target.append(read(item, at))

    return set_scalars if field.is_repeated else set_scalar


def _emptied(message: Any, name: str, content: Any, path: str) -> Any:
    if not isinstance(content, list):
        raise wrong(path, "must be a list")
    message.ClearField(name)
    return getattr(message, name)


def _map_merger(field: FieldDescriptor) -> Merge:
    assert field.message_type is not None
    name = field.name
    key_field, value_field = (field.message_type.fields_by_name[each] for each in ("key", "value"))
    read_key = _text_reader(key_field)
    merge_value = None if value_field.message_type is None else _merger(value_field.message_type)
    read = None if value_field.message_type is not None else _scalar_reader(value_field)

    def merge_map(message: Any, content: Any, path: str, depth: int) -> None:
        if not isinstance(content, dict):
            raise wrong(path, "must be a JSON object")
        message.ClearField(name)
        target = getattr(message, name)
        for key, item in content.items():
            at = f"{path}.{key}"
            found = read_key(key, at)
            if merge_value is not None:
                merge_value(target[found], item, at, depth + 1)
            elif read is not None:
                target[found] = read(item, at)

    return merge_map


def _wrapper_merger(descriptor: Any) -> Merge:
    read = _scalar_reader(descriptor.fields_by_name["value"])

    def merge_wrapper(message: Any, content: Any, path: str, depth: int) -> None:
        message.value = read(content, path)

    return merge_wrapper


def _text_merger(descriptor: Any) -> Merge:
    name = descriptor.name

    def merge_text(message: Any, content: Any, path: str, depth: int) -> None:
        try:
            if not isinstance(content, str):
                raise ValueError
            message.FromJsonString(content)
        except (ValueError, OverflowError):
            raise wrong(path, f"is not a {name} as JSON has it: {_FORMS[name]}") from None

    return merge_text


_FORMS: Final = {
    "Timestamp": "2026-03-01T09:00:00Z",
    "Duration": "1.5s",
    "FieldMask": "names of fields, separated by commas",
}


def _merge_any(message: Any, content: Any, path: str, depth: int) -> None:
    if not isinstance(content, dict):
        raise wrong(path, "must be a JSON object")
    if not content:
        return
    url = content.get("@type")
    if not isinstance(url, str):
        raise wrong(path, 'must say its type as "@type"')
    try:
        inner = message_class(url.rpartition("/")[2])()
    except (KeyError, UnicodeEncodeError):
        raise wrong(f"{path}.@type", "names no type that is known here") from None
    rest = {name: value for name, value in content.items() if name != "@type"}
    if inner.DESCRIPTOR.full_name in OWN_FORM:
        if rest.keys() != {"value"}:
            raise wrong(path, 'must have "@type" and "value" only')
        _merger(inner.DESCRIPTOR)(inner, rest["value"], f"{path}.value", depth + 1)
    else:
        _merger(inner.DESCRIPTOR)(inner, rest, path, depth + 1)
    message.type_url, message.value = url, inner.SerializeToString()


def _merge_struct(message: Any, content: Any, path: str, depth: int) -> None:
    if not isinstance(content, dict):
        raise wrong(path, "must be a JSON object")
    message.Clear()
    for key, item in content.items():
        at = f"{path}.{key}"
        _merge_free(message.fields[_string(key, at)], item, at, depth + 2)  # an entry of a map is a message too


def _merge_list(message: Any, content: Any, path: str, depth: int) -> None:
    if not isinstance(content, list):
        raise wrong(path, "must be a list")
    message.ClearField("values")
    for index, item in enumerate(content):
        _merge_free(message.values.add(), item, f"{path}[{index}]", depth + 1)


def _merge_free(message: Any, content: Any, path: str, depth: int) -> None:
    """Any JSON into a google.protobuf.Value."""
    if depth > _DEEPEST:
        raise wrong(path, "is nested too deep")
    if content is None:
        message.null_value = 0
    elif isinstance(content, bool):
        message.bool_value = content
    elif isinstance(content, str):
        message.string_value = _string(content, path)
    elif isinstance(content, dict):
        message.struct_value.SetInParent()
        _merge_struct(message.struct_value, content, path, depth + 1)
    elif isinstance(content, list):
        message.list_value.SetInParent()
        _merge_list(message.list_value, content, path, depth + 1)
    else:
        message.number_value = _double(content, path)


_OWN_FORM_IN: Final[Mapping[str, Merge]] = {
    "google.protobuf.Any": _merge_any,
    "google.protobuf.Struct": _merge_struct,
    "google.protobuf.ListValue": _merge_list,
    "google.protobuf.Value": _merge_free,
}


# Scalars


def _scalar_reader(field: FieldDescriptor) -> Read:
    kind = field.type
    if field.enum_type is not None:
        return _enum_reader(field.enum_type)
    if kind in LONG or kind in SHORT:
        bits = 64 if kind in LONG else 32
        least, most = (0, 2**bits - 1) if kind in UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return lambda content, path: _integer(content, path, least, most)
    return _SCALARS[kind]


def _string(content: Any, path: str) -> str:
    if not isinstance(content, str):
        raise wrong(path, "must be a string")
    if not content.isprintable() and _SURROGATE.search(content):
        raise wrong(path, "holds half of a surrogate pair; send whole characters")
    return content


def _bool(content: Any, path: str) -> bool:
    if not isinstance(content, bool):
        raise wrong(path, "must be true or false")
    return content


def _double(content: Any, path: str, greatest: float = sys.float_info.max) -> float:
    if isinstance(content, str):
        if len(content) > _LONGEST_NUMBER or not _NUMBER.fullmatch(content):
            raise wrong(path, "must be a number")
        number = float(content)
        if content[-1] in "Ny":  # NaN and the infinities, which JSON has as texts only
            return number
    elif isinstance(content, bool) or not isinstance(content, int | float):
        raise wrong(path, "must be a number")
    elif isinstance(content, int) and abs(content) > sys.float_info.max:
        raise wrong(path, "is too large")
    else:
        number = float(content)
    if not abs(number) <= greatest:
        raise wrong(path, "is too large")
    return number


def _float(content: Any, path: str) -> float:
    return _double(content, path, _GREATEST_FLOAT)


def _bytes(content: Any, path: str) -> bytes:
    try:
        if not isinstance(content, str) or not _BASE64.fullmatch(content):
            raise ValueError
        letters = content.rstrip("=").translate(_URL_SAFE)
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (ValueError, binascii.Error):
        raise wrong(path, "must be base64") from None


_URL_SAFE: Final = str.maketrans("-_", "+/")


def _integer(content: Any, path: str, least: int, most: int) -> int:
    found: Any = content
    if isinstance(content, str):
        if len(content) > _LONGEST_NUMBER or not _DECIMAL.fullmatch(content):
            raise wrong(path, "must be a whole number")
        found = int(content) if _WHOLE.fullmatch(content) else Decimal(content)
    elif isinstance(content, bool) or not isinstance(content, int | float):
        raise wrong(path, "must be a whole number")
    if not least <= found <= most:
        raise wrong(path, f"must lie between {least} and {most}")
    if int(found) != found:
        raise wrong(path, "must be a whole number")
    return int(found)


def _enum_reader(enum: EnumDescriptor) -> Read:
    numbers = {name: value.number for name, value in enum.values_by_name.items()}
    names = ", ".join(value.name for value in enum.values if value.number)

    def read(content: Any, path: str) -> int:
        if content is None and enum.full_name == _NULL:
            return 0
        if isinstance(content, str):
            number = numbers.get(content)
            if number is not None:
                return number
            if not _WHOLE.fullmatch(content):
                raise wrong(path, f"must be one of {names}")
        # A number without a name is kept, as enums of proto3 are open; whoever takes it refuses it by its contract.
        try:
            return _integer(content, path, -(2**31), 2**31 - 1)
        except InvalidArgument:
            raise wrong(path, f"must be one of {names}") from None

    return read


_SCALARS: Final[Mapping[int, Read]] = {
    _F.TYPE_STRING: _string,
    _F.TYPE_BYTES: _bytes,
    _F.TYPE_BOOL: _bool,
    _F.TYPE_DOUBLE: _double,
    _F.TYPE_FLOAT: _float,
}


# Text of URLs


def _text_setter(descriptor: Any, path: str) -> SetText:
    *above, last = path.split(".")
    if len(above) > _DEEPEST:
        raise wrong(path, "is nested too deep")
    names: list[str] = []
    for name in above:
        field = field_of(descriptor, name, path)
        if field.message_type is None or field.is_repeated or field.message_type.full_name in OWN_FORM:
            raise _not_in_url(path)
        names.append(field.name)
        descriptor = field.message_type
    field = field_of(descriptor, last, path)
    if is_map(field) or (field.message_type is not None and (field.is_repeated or not _is_text(field.message_type))):
        raise _not_in_url(path)
    set_field = _text_field_setter(field, path)
    if not names:
        return set_field

    def set_inner(message: Any, text: str) -> None:
        for name in names:
            message = getattr(message, name)
        set_field(message, text)

    return set_inner


def _text_field_setter(field: FieldDescriptor, path: str) -> SetText:
    name = field.name
    if field.message_type is not None:
        inner = field.message_type
        if inner.full_name in WRAPPERS:
            read_value = _text_reader(inner.fields_by_name["value"])

            def set_wrapper(message: Any, text: str) -> None:
                getattr(message, name).value = read_value(text, path)

            return set_wrapper
        merge_value = _merger(inner)

        def set_message(message: Any, text: str) -> None:
            target = getattr(message, name)
            target.SetInParent()
            merge_value(target, text, path, 0)

        return set_message
    read = _text_reader(field)
    if field.is_repeated:
        return lambda message, text: getattr(message, name).append(read(text, path))
    return lambda message, text: setattr(message, name, read(text, path))


def _text_reader(field: FieldDescriptor) -> Read:
    """Of keys of maps and parameters of URLs, where everything is text."""
    if field.type != _F.TYPE_BOOL:
        return _scalar_reader(field)

    def read_bool(text: Any, path: str) -> bool:
        if text not in ("true", "false"):
            raise wrong(path, "must be true or false")
        return bool(text == "true")

    return read_bool


def _is_text(descriptor: Any) -> bool:
    return descriptor.full_name in WRAPPERS or descriptor.full_name in SELF_WRITTEN


def _not_in_url(path: str) -> InvalidArgument:
    return wrong(path, "cannot be given in a URL; send it in the body")


class _Twice(ValueError):
    """A name that stands twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for name in names if names.count(name) > 1)[:100])
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
