"""Examples of messages for the OpenAPI document: filled in from the contracts' own patterns and the names of fields."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from typing import Any, Final

from google.api import annotations_pb2, field_behavior_pb2, resource_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FieldDescriptor
from huiyin.type.v1 import options_pb2

ID: Final = "01936b5e-7c1a-7d3e-9f00-5f2a41c7d8e9"
_DEEPEST: Final = 3
_F = FieldDescriptor
_TIME: Final = "2026-03-02T01:30:00Z"
_UUID: Final = "8a9a3a52-2f0b-4c5e-9a64-3a1d7c8e1f10"
_TEXTS: Final = {
    "text": "荷塘路的路灯不亮，什么时候能修好？",
    "subject": "荷塘路路灯不亮",
    "title": "荷塘路路灯不亮",
    "note": "请尽快办理。",
    "reason": "读过全部帖文后的判断。",
    "display_name": "市政设施管理所",
    "request_id": _UUID,
    "etag": "5f2a",
    "page_token": "",
    "next_page_token": "",
    "cursor": "",
    "filter": "",
    "order_by": "",
    "receipt": "QMZJ-7K2P-9D4X-HVTA",
    "contact": "微信 lotus-1984",
    "source_id": "board",
    "partner_id": "hotline",
    "external_id": "2026-3107",
    "account_id": "li.min",
    "version": "0.1.0",
    "file_name": "路灯.jpg",
    "content_type": "image/jpeg",
    "time_zone": "Asia/Shanghai",
}
_CANDIDATES: Final = (
    "desk",
    "board",
    "officer",
    "admin",
    "units/desk",
    "accounts/li.min",
    "sources/board",
    "places/云溪市",
    "topics/城乡建设.市政设施",
    "08:30-17:30",
    f"cases/{ID}",
    f"publications/{ID}/attachments/1",
    "state=STATE_ASSIGNED",
)
"""Texts for fields with a pattern: the first that fits."""
_BLANK = re.compile(r"\{[a-z_]+\}")


def of(descriptor: Any, *, incoming: bool = False, without: Collection[str] = (), depth: int = 0) -> Any:
    """An example of a message as JSON has it."""
    name = descriptor.full_name
    if name in _WELL_KNOWN:
        return _WELL_KNOWN[name]
    found = {}
    for field in descriptor.fields:
        behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        hidden = field_behavior_pb2.OUTPUT_ONLY if incoming else field_behavior_pb2.INPUT_ONLY
        required = field_behavior_pb2.REQUIRED in behaviors
        if field.name in without or hidden in behaviors or (incoming and not required and _is_rare(field, depth)):
            continue
        value = of_field(field, incoming=incoming, depth=depth)
        if value not in (None, "", [], {}):
            found[field.json_name] = value
    return found


def of_field(field: Any, *, incoming: bool = False, depth: int = 0) -> Any:
    """An example of a field's value."""
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {}
    value = _value(field, incoming, depth)
    if field.is_repeated:
        return [value] if value not in (None, "", {}) else []
    return value


def _is_rare(field: Any, depth: int) -> bool:
    """What a first request does without: it reads better for it."""
    return field.containing_oneof is not None or depth > 1 or field.name in ("etag", "request_id", "update_mask")


def _value(field: Any, incoming: bool, depth: int) -> Any:
    if field.message_type is not None:
        return of(field.message_type, incoming=incoming, depth=depth + 1) if depth < _DEEPEST else None
    if field.enum_type is not None:
        values = field.enum_type.values
        return values[1 if len(values) > 1 else 0].name
    if field.type == _F.TYPE_STRING:
        return _text(field)
    if field.type == _F.TYPE_BYTES:
        return "5Zue6Z+z"
    if field.type == _F.TYPE_BOOL:
        return True
    if field.type in (_F.TYPE_DOUBLE, _F.TYPE_FLOAT):
        return 0.5
    limits = field.GetOptions().Extensions[options_pb2.limits]
    number = max(3, limits.min) if not limits.HasField("max") else min(max(3, limits.min), limits.max)
    return str(number) if field.type in (_F.TYPE_INT64, _F.TYPE_UINT64) and not incoming else number


def _text(field: Any) -> str:
    options = field.GetOptions()
    limits = options.Extensions[options_pb2.limits]
    if reference := options.Extensions[resource_pb2.resource_reference].type:
        text = _names().get(reference, "")
    elif field.name == "name" and field.containing_type.GetOptions().HasExtension(resource_pb2.resource):
        text = _named(field.containing_type.GetOptions().Extensions[resource_pb2.resource].pattern[0])
    else:
        text = _TEXTS.get(field.name, "…")
    if limits.max_length and len(text) > limits.max_length:
        text = text[: limits.max_length]
    if limits.pattern and not re.fullmatch(limits.pattern, text):
        fitting = (each for each in _CANDIDATES if re.fullmatch(limits.pattern, each))
        text = next(fitting, "")
    return text


def _named(pattern: str) -> str:
    return _BLANK.sub(ID, pattern)


@cache
def _names() -> dict[str, str]:
    """Type of a resource → a name of one."""
    found: dict[str, str] = {}
    pool: Any = descriptor_pool.Default()
    seen, waiting = set(), [pool.FindFileByName(annotations_pb2.DESCRIPTOR.name)]
    for part in ("collector", "analyzer", "casework", "notifier", "gateway"):
        waiting.append(pool.FindFileByName(f"huiyin/{part}/v1/{part}_service.proto"))
    while waiting:
        file = waiting.pop()
        if file.name in seen:
            continue
        seen.add(file.name)
        waiting += file.dependencies
        for message in file.message_types_by_name.values():
            resource = message.GetOptions().Extensions[resource_pb2.resource]
            if resource.type:
                found[resource.type] = _named(resource.pattern[0])
    return found


_WELL_KNOWN: Final[dict[str, Any]] = {
    "google.protobuf.Timestamp": _TIME,
    "google.protobuf.Duration": "90s",
    "google.protobuf.FieldMask": "displayName",
    "google.protobuf.Any": {},
    "google.protobuf.Empty": {},
    "google.protobuf.Struct": {},
    "google.protobuf.ListValue": [],
    "google.protobuf.Value": None,
    "google.api.HttpBody": {},
    "google.rpc.Status": {},
}
