"""Requests that pass what their contracts declare, made from the descriptors; and what spoils them, field by field."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from tests.conformance.world import EVERY, World, new
from tests.contract.walking import is_map, is_output, is_required, limits, referred
from tests.files import png

POLICIES = {"analyzer": "policies/grading", "casework": "policies/clocks", "notifier": "policies/routes"}
_TEXTS = {
    "source_id": "another",
    "partner_id": "another",
    "account_id": "another",
    "webhook_timestamp": "1",
    "webhook_id": "one",
    "columns": "text=内容",
    "account": "accounts/somebody",
    "roles": "officer",
    "name": "events/one",
    "working_hours": "08:00-12:00",
    "stand_ins": "accounts/somebody",
    "places": "places/西郊",
    "topics": "topics/环境保护",
}
"""Texts that match the patterns of the fields of these names."""


def valid(world: World, key: str) -> Any:
    """A request of a method with everything that is required and nothing else."""
    request = new(key)
    _fill(world, key, request)
    return request


def name_of(world: World, key: str, field: FieldDescriptor) -> str:
    """The name of something that is there, as a field wants it; "" where it names nothing."""
    service, kind = key.partition(".")[0], referred(field)
    if (named := world.names.get(f"{key}.{field.name}")) is not None:
        return named
    if field.full_name.endswith("DownloadPublicAttachmentRequest.name"):
        return world.names["casework.PublicAttachment"]
    if field.full_name.endswith("ExplainClockRequest.name"):
        return world.names["Clock"]
    if field.full_name.endswith("ListAttachmentsRequest.parent"):
        return world.names["Inquiry"]
    if kind == "*":
        return world.names[f"{service}.Operation"]
    if kind == "Policy":
        return POLICIES[service]
    return world.names.get(kind, "") if kind else ""


def unknown(key: str, name: str) -> str:
    """A name of the same kind that nothing has."""
    head, _, last = name.rpartition("/")
    if key.endswith(("Policy", "PolicyVersions")):
        return "policies/nothing"
    if last in ("admission", "health", "series"):
        return f"{head.partition('/')[0]}/nothing/{last}"
    return f"{head}/nothing"


def _fill(world: World, key: str, message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if is_required(field) and not is_output(field):
            put(world, key, message, field)
    if message.DESCRIPTOR.name == "Policy":
        message.name = POLICIES[key.partition(".")[0]]  # type: ignore[attr-defined]
    if message.DESCRIPTOR.name == "Post":
        message.text = "路灯不亮"  # type: ignore[attr-defined]
    if message.DESCRIPTOR.name in ("Unit", "CaseFilter", "Source", "Topic", "Place", "Partner"):
        message.name = world.names[message.DESCRIPTOR.name]  # type: ignore[attr-defined]


def put(world: World, key: str, message: Message, field: FieldDescriptor) -> None:
    """Sets a field to something that it accepts."""
    if field.message_type is not None:
        inner = getattr(message, field.name)
        if is_map(field):
            inner["figure"] = 1
        elif field.is_repeated:
            _fill(world, key, inner.add())
        elif field.message_type.full_name == "google.protobuf.Timestamp":
            inner.seconds = int(time.time())
        else:
            inner.SetInParent()
            _fill(world, key, inner)
        return
    value = _scalar(world, key, field)
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def _scalar(world: World, key: str, field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[1].number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return png()
    if field.type == FieldDescriptor.TYPE_BOOL:
        return True
    if field.type != FieldDescriptor.TYPE_STRING:
        return 1
    if field.name == "receipt":
        return world.receipts[0]
    return name_of(world, key, field) or _TEXTS.get(field.name, "文字")


@dataclass(frozen=True)
class Spoilt:
    """A request with one fault, and how it is to be refused."""

    request: Message
    field: str
    reason: str


Make = Callable[[], tuple[Message, Message]]
"""Makes a valid request, and the message in it that holds a field."""


def spoilt(world: World, key: str) -> Iterator[Spoilt]:
    """Every way to break what the contract of a method declares."""

    def whole() -> tuple[Message, Message]:
        request = valid(world, key)
        return request, request

    yield from _within(world, key, EVERY[key][1].input_type, whole, "", ())


def _within(
    world: World, key: str, descriptor: Descriptor, make: Make, path: str, above: tuple[str, ...]
) -> Iterator[Spoilt]:
    for field in descriptor.fields:
        if is_output(field) and not limits(field).ByteSize():
            continue
        yield from _of_field(world, key, field, make, path)
        inner = field.message_type
        if inner is None or not inner.full_name.startswith("huiyin.") or inner.full_name in above or is_map(field):
            continue

        def deeper(field: FieldDescriptor = field) -> tuple[Message, Message]:
            request, holder = make()
            if field.is_repeated:
                del getattr(holder, field.name)[:]
            put(world, key, holder, field)
            there = getattr(holder, field.name)
            return request, there[0] if field.is_repeated else there

        place = f"{path}{field.name}[0]." if field.is_repeated else f"{path}{field.name}."
        yield from _within(world, key, inner, deeper, place, (*above, inner.full_name))


def _of_field(world: World, key: str, field: FieldDescriptor, make: Make, path: str) -> Iterator[Spoilt]:
    def broken(change: Callable[[Message], None], reason: str, suffix: str = "") -> Spoilt:
        request, holder = make()
        change(holder)
        return Spoilt(request, f"{path}{field.name}{suffix}", reason)

    def with_value(value: Any) -> Callable[[Message], None]:
        def change(holder: Message) -> None:
            if field.is_repeated:
                del getattr(holder, field.name)[:]
                getattr(holder, field.name).append(value)
            else:
                setattr(holder, field.name, value)

        return change

    limit, at = limits(field), "[0]" if field.is_repeated else ""
    if is_required(field):
        yield broken(lambda holder: holder.ClearField(field.name), "REQUIRED")
    if limit.max_items and not is_map(field):
        yield broken(lambda holder: _fill_up(world, key, holder, field, limit.max_items + 1), "TOO_MANY")
    if field.message_type is not None:
        return
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        is_text = field.type == FieldDescriptor.TYPE_STRING
        most = limit.max_length or (1000 if referred(field) else 0)
        if most:
            yield broken(with_value("字" * (most + 1) if is_text else b"0" * (most + 1)), "TOO_LONG", at)
        if limit.min_length:
            yield broken(with_value(""), "TOO_SHORT", at)
        if limit.pattern:
            other = next(text for text in ("?", "-", " ") if not re.fullmatch(limit.pattern, text))
            yield broken(with_value(other), "PATTERN", at)
        elif is_text and most:
            yield broken(with_value("a\x00b"), "NUL", at)
    elif field.enum_type is not None:
        yield broken(with_value(9999), "UNKNOWN_VALUE", at)
    if limit.HasField("min") and limit.min > -(2**31):
        yield broken(with_value(limit.min - 1), "TOO_SMALL", at)
    if limit.HasField("max") and limit.max < 2**31 - 1:
        yield broken(with_value(limit.max + 1), "TOO_LARGE", at)


def _fill_up(world: World, key: str, holder: Message, field: FieldDescriptor, count: int) -> None:
    holder.ClearField(field.name)
    for _ in range(count):
        put(world, key, holder, field)
