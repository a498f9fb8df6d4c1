"""Checks a request against what its contract declares: REQUIRED, lengths, counts, patterns, ranges.

A check is compiled from the descriptor when a type is first seen; fields without a rule cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from google.api import field_behavior_pb2, resource_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huiyin.type.v1 import options_pb2

from huiyin_chassis.errors import FieldViolation, InvalidArgument

_DEFAULT_NAME_LENGTH: Final = 1000
"""Longest resource name where the field declares no limit of its own."""
_MOST_VIOLATIONS: Final = 100

Found = list[FieldViolation]
_Check = Callable[[Any, str, Found], None]
_PENDING: Final = object()

_checks: dict[Any, _Check | object | None] = {}


def validate(message: Message) -> None:
    """Raises InvalidArgument with every violation in the message, each with its path such as posts[3].subject."""
    check = _check_of(message.DESCRIPTOR)
    if check is None:
        return
    found: Found = []
    check(message, "", found)
    if found:
        raise InvalidArgument.of(found[:_MOST_VIOLATIONS])


def reasons_of(descriptor: Any) -> frozenset[str]:
    """The reasons that `validate` may give of messages of a type."""
    return frozenset(_reasons(descriptor, set()))


def _reasons(descriptor: Any, seen: set[Any]) -> Iterator[str]:
    seen.add(descriptor)
    for field in descriptor.fields:
        options = field.GetOptions()
        limits = options.Extensions[options_pb2.limits]
        if field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior]:
            yield "REQUIRED"
        if limits.max_items:
            yield "TOO_MANY"
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        value = field.message_type.fields_by_name["value"] if is_map else field
        if value.message_type is not None:
            if value.message_type not in seen:
                yield from _reasons(value.message_type, seen)
        elif value.enum_type is not None:
            yield "UNKNOWN_VALUE"
        elif value.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
            is_reference = options.HasExtension(resource_pb2.resource_reference)
            is_long = bool(limits.max_length or is_reference)
            rules = {"TOO_LONG": is_long, "TOO_SHORT": bool(limits.min_length), "PATTERN": bool(limits.pattern)}
            yield from (reason for reason, holds in rules.items() if holds)
            if any(rules.values()) and value.type == FieldDescriptor.TYPE_STRING:
                yield "NUL"
        else:
            yield from (reason for reason, at in (("TOO_SMALL", "min"), ("TOO_LARGE", "max")) if limits.HasField(at))


class _Rules(NamedTuple):
    name: str
    required: bool
    limits: options_pb2.Limits
    pattern: re.Pattern[str] | None
    is_reference: bool


def _check_of(descriptor: Any) -> _Check | None:
    known = _checks.get(descriptor, _PENDING)
    if known is _PENDING:
        # A message that contains itself meets this entry and checks its inner ones through it.
        _checks[descriptor] = lambda message, path, found: _run(descriptor, message, path, found)
        fields = [check for field in descriptor.fields if (check := _field_check(field)) is not None]
        _checks[descriptor] = known = _all_of(fields) if fields else None
    return known  # type: ignore[return-value]


def _run(descriptor: Any, message: Any, path: str, found: Found) -> None:
    check = _checks[descriptor]
    if callable(check):
        check(message, path, found)


def _all_of(checks: list[_Check]) -> _Check:
    def check(message: Any, path: str, found: Found) -> None:
        for each in checks:
            each(message, path, found)

    return check


def _field_check(field: FieldDescriptor) -> _Check | None:
    options = field.GetOptions()
    limits = options.Extensions[options_pb2.limits]
    rules = _Rules(
        field.name,
        field_behavior_pb2.REQUIRED in options.Extensions[field_behavior_pb2.field_behavior],
        limits,
        re.compile(limits.pattern) if limits.pattern else None,
        options.HasExtension(resource_pb2.resource_reference),
    )
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map_check(field.message_type.fields_by_name["value"], rules)
    if field.is_repeated:
        return _repeated_check(field, rules)
    if field.message_type is not None:
        return _message_check(field, rules)
    value = _value_check(field, rules)
    if rules.required:
        return _required(field, rules, value)
    if value is None:
        return None
    return _present(field, value)


def _required(field: FieldDescriptor, rules: _Rules, value: _Check | None) -> _Check:
    name = rules.name

    def check(message: Any, path: str, found: Found) -> None:
        # A required scalar without presence must differ from its default: that is how AIP-203 reads it.
        given = getattr(message, name)
        if not given and not (field.has_presence and message.HasField(name)):
            found.append(FieldViolation(path + name, "is required; set it", "REQUIRED"))
        elif value is not None:
            value(given, path + name, found)

    return check


def _present(field: FieldDescriptor, value: _Check) -> _Check:
    name = field.name

    def check(message: Any, path: str, found: Found) -> None:
        given = getattr(message, name)
        if given:
            value(given, path + name, found)

    def check_presence(message: Any, path: str, found: Found) -> None:
        if message.HasField(name):
            value(getattr(message, name), path + name, found)

    return check_presence if field.has_presence else check


def _message_check(field: FieldDescriptor, rules: _Rules) -> _Check | None:
    name, inner = rules.name, _check_of(field.message_type)
    if inner is None and not rules.required:
        return None

    def check(message: Any, path: str, found: Found) -> None:
        if message.HasField(name):
            if inner is not None:
                inner(getattr(message, name), f"{path}{name}.", found)
        elif rules.required:
            found.append(FieldViolation(path + name, "is required; set it", "REQUIRED"))

    return check


def _repeated_check(field: FieldDescriptor, rules: _Rules) -> _Check | None:
    name, most = rules.name, rules.limits.max_items
    inner = _check_of(field.message_type) if field.message_type is not None else None
    value = _value_check(field, rules) if field.message_type is None else None
    if not (rules.required or most or inner or value):
        return None

    def check(message: Any, path: str, found: Found) -> None:
        items = getattr(message, name)
        if not items:
            if rules.required:
                found.append(FieldViolation(path + name, "needs at least one element", "REQUIRED"))
            return
        if most and len(items) > most:
            text = f"has {len(items)} elements, at most {most} are accepted; send the rest in another call"
            found.append(FieldViolation(path + name, text, "TOO_MANY"))
            return
        if inner is not None:
            for index, item in enumerate(items):
                inner(item, f"{path}{name}[{index}].", found)
        elif value is not None:
            for index, item in enumerate(items):
                value(item, f"{path}{name}[{index}]", found)

    return check


def _map_check(entry: FieldDescriptor, rules: _Rules) -> _Check | None:
    """Of a map: how many entries, and each value by the limits of the field; `entry` describes the values."""
    name, most = rules.name, rules.limits.max_items
    inner = _check_of(entry.message_type) if entry.message_type is not None else None
    value = _value_check(entry, rules) if entry.message_type is None else None
    if not (rules.required or most or inner or value):
        return None

    def check(message: Any, path: str, found: Found) -> None:
        items = getattr(message, name)
        if not items and rules.required:
            found.append(FieldViolation(path + name, "needs at least one entry", "REQUIRED"))
        elif most and len(items) > most:
            text = f"has {len(items)} entries, at most {most} are accepted"
            found.append(FieldViolation(path + name, text, "TOO_MANY"))
        elif inner is not None:
            for key in items:
                inner(items[key], f"{path}{name}[{key!r}].", found)
        elif value is not None:
            for key in items:
                value(items[key], f"{path}{name}[{key!r}]", found)

    return check


def _value_check(field: FieldDescriptor, rules: _Rules) -> _Check | None:
    limits = rules.limits
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        most = limits.max_length or (_DEFAULT_NAME_LENGTH if rules.is_reference else 0)
        is_text = field.type == FieldDescriptor.TYPE_STRING
        return _text_check(limits.min_length, most, rules.pattern, is_text)
    if field.enum_type is not None:
        return _enum_check(field)
    if limits.HasField("min") or limits.HasField("max"):
        least = limits.min if limits.HasField("min") else None
        return _number_check(least, limits.max if limits.HasField("max") else None)
    return None


def _text_check(least: int, most: int, pattern: re.Pattern[str] | None, is_text: bool) -> _Check | None:
    if not (least or most or pattern):
        return None
    unit = "characters" if is_text else "bytes"

    def check(value: Any, path: str, found: Found) -> None:
        if most and len(value) > most:
            text = f"has {len(value)} {unit}, at most {most} are accepted; shorten it"
            found.append(FieldViolation(path, text, "TOO_LONG"))
        elif len(value) < least:
            found.append(FieldViolation(path, f"has {len(value)} {unit}, at least {least} are needed", "TOO_SHORT"))
        elif value and pattern is not None and pattern.fullmatch(value) is None:
            found.append(FieldViolation(path, f"must match {pattern.pattern}", "PATTERN"))
        elif is_text and "\x00" in value:  # PostgreSQL takes none in a text
            found.append(FieldViolation(path, "holds a NUL character; remove it", "NUL"))

    return check


def _enum_check(field: FieldDescriptor) -> _Check:
    assert field.enum_type is not None
    known = field.enum_type.values_by_number
    names = ", ".join(value.name for value in field.enum_type.values if value.number)

    def check(value: Any, path: str, found: Found) -> None:
        if value not in known:
            found.append(FieldViolation(path, f"{value} is not known; choose one of {names}", "UNKNOWN_VALUE"))

    return check


def _number_check(least: int | None, most: int | None) -> _Check:
    def check(value: Any, path: str, found: Found) -> None:
        if least is not None and value < least:
            found.append(FieldViolation(path, f"is {value}, the least that is accepted is {least}", "TOO_SMALL"))
        elif most is not None and value > most:
            found.append(FieldViolation(path, f"is {value}, the greatest that is accepted is {most}", "TOO_LARGE"))

    return check
