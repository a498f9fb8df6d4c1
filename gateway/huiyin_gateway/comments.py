"""The comments of the contracts, which come with them as a set of descriptors with source information."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

_LINE = re.compile(r" *\n *")


def read() -> Mapping[str, str]:
    """Full name of a message, field, enum, value (below its enum), service or method → its comment, in one line."""
    files = FileDescriptorSet.FromString((importlib.resources.files("huiyin") / "contracts.binpb").read_bytes())
    return {name: text for file in files.file for name, text in _comments(file)}


def _comments(file: FileDescriptorProto) -> Iterator[tuple[str, str]]:
    for location in file.source_code_info.location:
        text = _LINE.sub(" ", location.leading_comments.strip())
        name = _name(file, list(location.path)) if text else ""
        if name:
            yield f"{file.package}.{name}", text


def _name(file: Any, path: list[int]) -> str:
    """What a path of field numbers and indices leads to; empty where that has no name of its own."""
    names, at = [], file
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = at.DESCRIPTOR.fields_by_number.get(number)
        if field is None or not field.is_repeated or field.message_type is None:
            return ""
        at = getattr(at, field.name)[index]
        if not getattr(at, "name", ""):
            return ""
        names.append(at.name)
    return ".".join(names) if len(path) % 2 == 0 else ""
