"""The OpenAPI 3.1 document of every route, derived from the contracts."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from typing import Any, Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from huiyin.type.v1 import options_pb2

from huiyin_gateway.codec import dumps
from huiyin_gateway.routes import HTTP_BODY, Binding, Kind

Json = dict[str, Any]

_F = FieldDescriptor
_SCALARS: Final[dict[int, Json]] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": "number"},
    _F.TYPE_FLOAT: {"type": "number"},
    _F.TYPE_INT32: {"type": "integer", "format": "int32"},
    _F.TYPE_UINT32: {"type": "integer", "format": "uint32"},
    # proto3 JSON writes these as strings and reads both.
    _F.TYPE_INT64: {"type": ["string", "integer"], "format": "int64"},
    _F.TYPE_UINT64: {"type": ["string", "integer"], "format": "uint64"},
}
_WELL_KNOWN: Final[dict[str, Json]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, separated by commas."},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Empty": {"type": "object"},
}
_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "RFC 9457: `reason` is stable and for programs, `detail` a sentence for people.",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string"},
        "metadata": {"type": "object", "additionalProperties": {"type": "string"}},
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "description": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
        "traceId": {"type": "string"},
    },
}


def document(bindings: Sequence[Binding]) -> bytes:
    """The document as JSON."""
    schemas: dict[str, Json] = {"Problem": _PROBLEM}
    paths: dict[str, Json] = {}
    names: set[str] = set()
    for binding in sorted(bindings, key=lambda each: (each.template, each.verb)):
        operation = _operation(binding, schemas, names)
        paths.setdefault(_path(binding), {})[binding.verb.lower()] = operation
    return dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Huiyin",
                "version": importlib.metadata.version("huiyin-gateway"),
                "description": "Hears what people say to a public body and answers it in time.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "security": [{"apiKey": []}],
            "paths": paths,
            "components": {
                "schemas": dict(sorted(schemas.items())),
                "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer"}},
                "responses": {
                    "Problem": {
                        "description": "What went wrong.",
                        "content": {"application/problem+json": {"schema": _ref("Problem")}},
                    }
                },
            },
        }
    )


def _path(binding: Binding) -> str:
    """The template with one parameter for each wildcard: /v1/cases/{case}:assign."""
    parts = [_parameter(binding, index) if part == "*" else part for index, part in enumerate(binding.segments)]
    return "/" + "/".join(parts) + (f":{binding.suffix}" if binding.suffix else "")


def _parameter(binding: Binding, index: int) -> str:
    return "{" + _parameter_name(binding, index) + "}"


def _parameter_name(binding: Binding, index: int) -> str:
    collection = binding.segments[index - 1]
    return {"inquiries": "inquiry", "replies": "reply", "entries": "entry"}.get(
        collection, collection.removesuffix("s")
    )


def _operation(binding: Binding, schemas: dict[str, Json], names: set[str]) -> Json:
    method = binding.method
    identity = method.name if method.name not in names else f"{binding.part.title()}{method.name}"
    while identity in names:
        identity += "2"
    names.add(identity)
    operation: Json = {"operationId": identity, "tags": [binding.part], "parameters": _parameters(binding, schemas)}
    if binding.public:
        operation["security"] = []
    else:
        operation["description"] = f"Needs the permission `{binding.permission}`."
    if binding.kind is Kind.UPLOAD:
        operation["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    elif binding.body:
        descriptor: Any = method.input_type
        if binding.body != "*":
            descriptor = descriptor.fields_by_name[binding.body].message_type
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _message(descriptor, schemas)}},
        }
    operation["responses"] = {
        "200": {"description": method.output_type.name, "content": _content(binding, schemas)},
        "default": {"$ref": "#/components/responses/Problem"},
    }
    return operation


def _content(binding: Binding, schemas: dict[str, Json]) -> Json:
    """What a method answers with, by media type; of a document, which is sent as it is, there is no schema."""
    method = binding.method
    if method.output_type.full_name == HTTP_BODY:
        return {method.GetOptions().Extensions[options_pb2.media_type] or "*/*": {}}
    kind = "text/event-stream" if binding.kind is Kind.STREAM else "application/json"
    return {kind: {"schema": _message(method.output_type, schemas)}}


def _parameters(binding: Binding, schemas: dict[str, Json]) -> list[Json]:
    parameters: list[Json] = [
        {"name": _parameter_name(binding, index), "in": "path", "required": True, "schema": {"type": "string"}}
        for index, part in enumerate(binding.segments)
        if part == "*"
    ]
    if binding.body == "*":
        return parameters
    taken = {capture.field.partition(".")[0] for capture in binding.captures} | {binding.body}
    for field in binding.method.input_type.fields:
        if field.name in taken or (field.message_type is not None and field.message_type.full_name not in _WELL_KNOWN):
            continue
        parameters.append(
            {"name": field.json_name, "in": "query", "required": _required(field), "schema": _field(field, schemas)}
        )
    return parameters


def _message(descriptor: Any, schemas: dict[str, Json]) -> Json:
    known = _WELL_KNOWN.get(descriptor.full_name)
    if known is not None:
        return known
    name = descriptor.full_name.removeprefix("huiyin.").replace(".v1.", ".")
    if name not in schemas:
        schemas[name] = {}  # a message that contains itself refers to this entry
        properties = {field.json_name: _field(field, schemas) for field in descriptor.fields}
        required = [field.json_name for field in descriptor.fields if _required(field)]
        schemas[name] = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    return _ref(name)


def _field(field: Any, schemas: dict[str, Json]) -> Json:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _value(field.message_type.fields_by_name["value"], schemas),
        }
    limits = field.GetOptions().Extensions[options_pb2.limits]
    schema = _value(field, schemas)
    if "$ref" not in schema:
        schema = schema | _limited(schema, limits)
    if field.is_repeated:
        schema = {"type": "array", "items": schema} | ({"maxItems": limits.max_items} if limits.max_items else {})
    behaviors = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    if field_behavior_pb2.OUTPUT_ONLY in behaviors:
        schema = schema | {"readOnly": True}
    if field_behavior_pb2.INPUT_ONLY in behaviors:
        schema = schema | {"writeOnly": True}
    return schema


def _value(field: Any, schemas: dict[str, Json]) -> Json:
    if field.message_type is not None:
        return _message(field.message_type, schemas)
    if field.enum_type is not None:
        return {"type": "string", "enum": [value.name for value in field.enum_type.values]}
    return dict(_SCALARS[field.type])


def _limited(schema: Json, limits: options_pb2.Limits) -> Json:
    found: Json = {}
    if schema.get("type") == "string" and "enum" not in schema:
        if limits.max_length:
            found["maxLength"] = limits.max_length
        if limits.min_length:
            found["minLength"] = limits.min_length
        if limits.pattern:
            found["pattern"] = f"^(?:{limits.pattern})$"
    elif schema.get("type") == "integer":
        if limits.HasField("min"):
            found["minimum"] = limits.min
        if limits.HasField("max"):
            found["maximum"] = limits.max
    return found


def _required(field: Any) -> bool:
    return field_behavior_pb2.REQUIRED in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
