"""What reading and writing both ask of descriptors."""

from __future__ import annotations

import difflib
import functools
import re
from typing import Any, Final

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huiyin_chassis.errors import FieldViolation, InvalidArgument

_F = FieldDescriptor
LONG: Final = frozenset({_F.TYPE_INT64, _F.TYPE_UINT64, _F.TYPE_FIXED64, _F.TYPE_SFIXED64, _F.TYPE_SINT64})
SHORT: Final = frozenset({_F.TYPE_INT32, _F.TYPE_UINT32, _F.TYPE_FIXED32, _F.TYPE_SFIXED32, _F.TYPE_SINT32})
UNSIGNED: Final = frozenset({_F.TYPE_UINT32, _F.TYPE_UINT64, _F.TYPE_FIXED32, _F.TYPE_FIXED64})
WRAPPERS: Final = frozenset(
    f"google.protobuf.{kind}Value"
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
)
SELF_WRITTEN: Final = frozenset(f"google.protobuf.{kind}" for kind in ("Timestamp", "Duration", "FieldMask"))
"""Types that JSON has as one string, and whose messages know it: ToJsonString, FromJsonString."""
OWN_FORM: Final = (
    WRAPPERS | SELF_WRITTEN | {f"google.protobuf.{kind}" for kind in ("Any", "Struct", "ListValue", "Value")}
)
"""Types whose JSON is not an object of their fields."""
_ECHO: Final = 200
"""Characters of a wrong name that are repeated to who sent it."""


def message_class(name: str) -> type[Message]:
    """The generated class of a type. Raises KeyError."""
    found: Any = message_factory.GetMessageClass(descriptor_pool.Default().FindMessageTypeByName(name))
    return found  # type: ignore[no-any-return]


@functools.cache
def names_of(descriptor: Any) -> dict[str, FieldDescriptor]:
    """The fields by both of their names; where two claim one, it is the JSON name that counts."""
    return {
        **{field.name: field for field in descriptor.fields},
        **{field.json_name: field for field in descriptor.fields},
    }


def field_of(descriptor: Any, name: str, path: str) -> FieldDescriptor:
    """The field of a name, as in the contract or in JSON. Raises InvalidArgument, which names the nearest."""
    field = names_of(descriptor).get(name)
    if field is None:
        known = [each.json_name for each in descriptor.fields]
        near = difflib.get_close_matches(name[:_ECHO], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known) or 'none'}"
        raise wrong(path, f"is not a field here; {hint}", "FIELD_UNKNOWN")
    return field


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def camel(path: str) -> str:
    """A field's path as JSON names it: posts[0].external_id → posts[0].externalId."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), path)


def wrong(path: str, why: str, reason: str = "INVALID_ARGUMENT") -> InvalidArgument:
    """What is told of a field that cannot be used."""
    return InvalidArgument.of([FieldViolation(path[:_ECHO], why, reason)])
