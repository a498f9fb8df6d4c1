"""JSON of protobuf messages by functions compiled from their descriptors.

The form is proto3 JSON as `google.protobuf.json_format` has it by default (which is the oracle in the tests): names in
lowerCamelCase, fields at their default left out, 64-bit integers as strings, bytes in base64, times in RFC 3339, enums
by name. On the way in, a field may be named either way, and a mistake is told with its path.

Where json_format takes what the specification does not, this refuses it: true for a number, 1.5 for an enum, letters
that are not base64.
"""

from __future__ import annotations

from huiyin_gateway.codec.fields import camel, field_of, message_class
from huiyin_gateway.codec.reading import SetText, body_setter, loads, merge, set_text, text_setter
from huiyin_gateway.codec.writing import dumps, field_writer, to_json

__all__ = [
    "SetText",
    "body_setter",
    "camel",
    "dumps",
    "field_of",
    "field_writer",
    "loads",
    "merge",
    "message_class",
    "set_text",
    "text_setter",
    "to_json",
]
