"""Writes huiyin_client/resources.py, the types of what the API answers with, from the contracts: make client-types."""

from __future__ import annotations

import importlib
import importlib.resources
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet

TARGET: Final = Path(__file__).parent / "huiyin_client" / "resources.py"
_SERVICES: Final = ("collector", "analyzer", "casework", "notifier", "gateway")
_HEAD: Final = '''\
"""What the API answers with, as it is in JSON. Written from the contracts by `make client-types`; change those instead.

A field that is empty, zero or false is left out of an answer: read with `get` what may be. Numbers of 64 bits and times
are texts. A newer server may answer with fields and values that are not here.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict
'''
_LINE: Final = 120
_F: Final = FieldDescriptor
_SCALARS: Final = {
    _F.TYPE_STRING: "str",
    _F.TYPE_BYTES: "str",
    _F.TYPE_BOOL: "bool",
    _F.TYPE_DOUBLE: "float",
    _F.TYPE_FLOAT: "float",
    _F.TYPE_INT32: "int",
    _F.TYPE_UINT32: "int",
    _F.TYPE_INT64: "str",
    _F.TYPE_UINT64: "str",
}
_WELL_KNOWN: Final = {
    "google.protobuf.Timestamp": "str",
    "google.protobuf.Duration": "str",
    "google.protobuf.FieldMask": "str",
    "google.protobuf.Any": "dict[str, Any]",
    "google.protobuf.Struct": "dict[str, Any]",
    "google.protobuf.Empty": "dict[str, Any]",
    "google.protobuf.Value": "Any",
}
_NO_JSON: Final = "google.api.HttpBody"
_NAMES: Final = {"google.rpc.Status": "OperationError"}
"""Names that would be those of another message of ours."""


class Shapes:
    """The types of every message that a method over HTTP answers with, and of what is in them; of lists, their rows."""

    def __init__(self) -> None:
        self._comments = dict(_comments())
        self._messages: dict[str, Any] = {}
        self._enums: dict[str, Any] = {}
        for method in _methods():
            if method.name.startswith("List") or "next_page_token" in method.output_type.fields_by_name:
                for field in method.output_type.fields:
                    self._meet(field)
            elif method.output_type.full_name != _NO_JSON:
                self._add(method.output_type)

    def text(self) -> str:
        """The module."""
        names = [_name(each) for each in (*self._enums.values(), *self._messages.values())]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two messages would have one name: {', '.join(sorted(twice))}")
        enums = [self._enum(each) for _, each in sorted(self._enums.items())]
        messages = [self._message(each) for _, each in sorted(self._messages.items())]
        ruff = [str(Path(sys.executable).parent / "ruff"), "format", "--stdin-filename", str(TARGET), "-"]
        whole = "\n\n\n".join(["\n".join([_HEAD, *enums]), *messages])
        return subprocess.run(ruff, input=whole, capture_output=True, text=True, check=True).stdout

    def _add(self, message: Any) -> None:
        if message.full_name not in _WELL_KNOWN and message.full_name not in self._messages:
            self._messages[message.full_name] = message
            for field in message.fields:
                self._meet(field)

    def _meet(self, field: Any) -> None:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._meet(field.message_type.fields_by_name["value"])
        elif field.message_type is not None:
            self._add(field.message_type)
        elif field.enum_type is not None:
            self._enums[field.enum_type.full_name] = field.enum_type

    def _enum(self, enum: Any) -> str:
        values = ", ".join(f'"{value.name}"' for value in enum.values)
        return f"{_name(enum)} = Literal[{values}]"

    def _message(self, message: Any) -> str:
        text = self._comments.get(message.full_name, "").partition(". ")[0].rstrip(".")
        lines = [f"class {_name(message)}(TypedDict, total=False):", f'    """{text or _name(message)}."""']
        if len(lines[-1]) > _LINE:
            lines[-1:] = [*textwrap.wrap(f'    """{text}.', _LINE - 3, subsequent_indent="    "), '    """']
        return "\n".join([*lines, "", *(f"    {field.json_name}: {_type(field)}" for field in message.fields)])


def _methods() -> Iterator[Any]:
    for service in _SERVICES:
        module = importlib.import_module(f"huiyin.{service}.v1.{service}_service_pb2")
        for method in module.DESCRIPTOR.services_by_name[f"{service.capitalize()}Service"].methods:
            if method.GetOptions().HasExtension(annotations_pb2.http):
                yield method


def _type(field: Any) -> str:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return f"dict[str, {_type(field.message_type.fields_by_name['value'])}]"
    if field.message_type is not None:
        found = _WELL_KNOWN.get(field.message_type.full_name) or _name(field.message_type)
    else:
        found = _name(field.enum_type) if field.enum_type is not None else _SCALARS[field.type]
    return f"list[{found}]" if field.is_repeated else found


def _name(kind: Any) -> str:
    """Without its package; what stands in another message goes by both names."""
    name: str = kind.full_name
    return _NAMES.get(name) or name.removeprefix(kind.file.package).replace(".", "")


def _comments() -> Iterator[tuple[str, str]]:
    """Full name of a message → its comment."""
    contracts = (importlib.resources.files("huiyin") / "contracts.binpb").read_bytes()
    for file in FileDescriptorSet.FromString(contracts).file:
        for location in file.source_code_info.location:
            match list(location.path):
                case [4, at]:
                    name = file.message_type[at].name
                case [4, at, 3, inner]:
                    name = f"{file.message_type[at].name}.{file.message_type[at].nested_type[inner].name}"
                case _:
                    continue
            yield f"{file.package}.{name}", re.sub(r"\s*\n\s*", " ", location.leading_comments.strip())


if __name__ == "__main__":
    TARGET.write_text(Shapes().text(), "utf-8")
    print(f"{TARGET} has the types")
