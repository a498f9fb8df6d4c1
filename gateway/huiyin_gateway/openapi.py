"""The OpenAPI 3.1 document of every route, derived from the contracts and their comments.

What comes in and what goes out are described apart: an answer has the one form that is written; a request may have
every form that is taken (numbers as texts, null for what is left out), so that a tool can tell right from wrong by
the document alone.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from google.api import field_behavior_pb2
from google.protobuf.descriptor import FieldDescriptor
from huiyin.type.v1 import error_reason_pb2, options_pb2
from huiyin.type.v1.error_reason_pb2 import ErrorReason
from huiyin_chassis import reasons

from huiyin_gateway import comments, examples, refusals
from huiyin_gateway.codec import dumps, message_class
from huiyin_gateway.problems import TITLES
from huiyin_gateway.routes import HTTP_BODY, Binding, Kind
from huiyin_gateway.transcoding import Transcoder

Json = dict[str, Any]

_F = FieldDescriptor
_WHOLE: Final = r"^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,6})?$"
_NUMBER: Final = r"^(-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,6})?|NaN|-?Infinity)$"
_BASE64: Final = r"^[A-Za-z0-9+/_-]*={0,2}$"
_INT32: Final[Json] = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}
_UINT32: Final[Json] = {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1}
_OUT: Final[dict[int, Json]] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": "number"},
    _F.TYPE_FLOAT: {"type": "number"},
    _F.TYPE_INT32: _INT32,
    _F.TYPE_UINT32: _UINT32,
    _F.TYPE_INT64: {"type": "string", "format": "int64"},
    _F.TYPE_UINT64: {"type": "string", "format": "uint64"},
}
_IN: Final[dict[int, Json]] = {
    _F.TYPE_STRING: {"type": "string"},
    _F.TYPE_BYTES: {"type": "string", "pattern": _BASE64},
    _F.TYPE_BOOL: {"type": "boolean"},
    _F.TYPE_DOUBLE: {"type": ["number", "string"], "pattern": _NUMBER},
    _F.TYPE_FLOAT: {"type": ["number", "string"], "pattern": _NUMBER},
    _F.TYPE_INT32: _INT32 | {"type": ["integer", "string"], "pattern": _WHOLE},
    _F.TYPE_UINT32: _UINT32 | {"type": ["integer", "string"], "pattern": _WHOLE},
    _F.TYPE_INT64: {"type": ["integer", "string"], "format": "int64", "pattern": _WHOLE},
    _F.TYPE_UINT64: {"type": ["integer", "string"], "format": "uint64", "pattern": _WHOLE},
}
_WELL_KNOWN: Final[dict[str, Json]] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, separated by commas."},
    "google.protobuf.Any": {
        "type": "object",
        "description": "A message with its type as @type.",
        "properties": {"@type": {"type": "string"}},
        "additionalProperties": True,
    },
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
}
_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "RFC 9457: `reason` is stable and for programs, `detail` a sentence for people.",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"type": "string", "description": "urn:huiyin:problem:REASON"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "reason": {"$ref": "#/components/schemas/type.ErrorReason"},
        "original": {"type": "string", "description": "The service's own sentence, where `detail` is a translation."},
        "metadata": {
            "type": "object",
            "description": "Names and figures of the reason.",
            "additionalProperties": {"type": "string"},
        },
        "violations": {
            "type": "array",
            "description": "The fields at fault.",
            "items": {
                "type": "object",
                "required": ["field", "description", "reason"],
                "properties": {
                    "field": {"type": "string"},
                    "description": {"type": "string"},
                    "reason": {"$ref": "#/components/schemas/type.ErrorReason"},
                },
            },
        },
        "traceId": {"type": "string", "description": "Under this the logs have it."},
    },
}
_EXAMPLES: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "KEY_MISSING",
    403: "PERMISSION_MISSING",
    404: "NOT_FOUND",
    408: "REQUEST_TIMEOUT",
    409: "STALE_ETAG",
    410: "CURSOR_EXPIRED",
    412: "STALE_ETAG",
    413: "BODY_TOO_LARGE",
    415: "CONTENT_TYPE",
    429: "STORE_BUSY",
    431: "HEADERS_TOO_LARGE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""The statuses of problems, each with a reason. What is a fault of ours (500, 501) is promised of no method."""
_HEADERS: Final[Json] = {
    "TraceId": {"description": "The trace of this request.", "schema": {"type": "string"}},
    "ETag": {"description": "Changes with each change of the resource.", "schema": {"type": "string"}},
    "RetryAfter": {"description": "Seconds after which to repeat.", "schema": {"type": "string"}},
}
_PARAMETERS: Final[Json] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A UUID that makes a repetition of this request harmless; the same as `requestId`.",
        "schema": {"type": "string", "maxLength": 64},
        "example": "8a9a3a52-2f0b-4c5e-9a64-3a1d7c8e1f10",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The etag as last read. When the resource has another by now: 412.",
        "schema": {"type": "string"},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "description": "The etag that the client has. When it is still the resource's: 304.",
        "schema": {"type": "string"},
    },
    "LastEventId": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "Where to go on: the id of the last event received.",
        "schema": {"type": "string", "maxLength": 2000},
    },
}
_SINGULAR: Final = {"inquiries": "inquiry", "replies": "reply", "entries": "entry", "policies": "policy"}


def document(bindings: Sequence[Binding]) -> bytes:
    """The document as JSON."""
    return dumps(_Document().whole(bindings))


class _Document:
    def __init__(self) -> None:
        self._comments = comments.read()
        self._schemas: dict[str, Json] = {"Problem": _PROBLEM, "type.ErrorReason": self._reasons()}
        self._names: set[str] = set()

    def whole(self, bindings: Sequence[Binding]) -> Json:
        paths: dict[str, Json] = {}
        services: dict[str, Any] = {}
        for binding in sorted(bindings, key=lambda each: (each.template, each.verb)):
            services[binding.part] = binding.method.containing_service
            paths.setdefault(_path(binding), {})[binding.verb.lower()] = self._operation(binding)
        tags = [
            {"name": part, "description": self._comments.get(service.full_name, "")}
            for part, service in sorted(services.items())
        ]
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "Huiyin 回音",
                "version": importlib.metadata.version("huiyin-gateway"),
                "description": "Hears what people say to and about a public body, and answers it in time. "
                "Every answer that is no success is a problem document (RFC 9457).",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "security": [{"apiKey": []}],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": dict(sorted(self._schemas.items())),
                "securitySchemes": {
                    "apiKey": {"type": "http", "scheme": "bearer", "description": "The API key of an account."}
                },
                "headers": _HEADERS,
                "parameters": _PARAMETERS,
                "responses": {f"Problem{status}": _problem(status) for status in _EXAMPLES},
            },
        }

    def _operation(self, binding: Binding) -> Json:
        method, transcoder = binding.method, Transcoder(binding)
        text = self._comments.get(method.full_name, "")
        needs = "Everybody may call it." if binding.public else f"Needs the permission `{binding.permission}`."
        operation: Json = {
            "operationId": self._identity(binding),
            "tags": [binding.part],
            "summary": text.partition(". ")[0].rstrip("."),
            "description": f"{text} {needs}".strip(),
            "parameters": self._parameters(binding, transcoder),
        }
        if binding.public:
            operation["security"] = [{}, {"apiKey": []}]
        if binding.body:
            operation["requestBody"] = self._body(binding, transcoder)
        problems = {status: told for status, told in refusals.by_status(binding).items() if status in _EXAMPLES}
        operation["responses"] = self._responses(binding, problems)
        operation["x-reasons"] = {str(status): told for status, told in problems.items()}
        if parts := reasons.of_parts(method):
            operation["x-reasons-of-parts"] = sorted(parts)
        return operation

    def _reasons(self) -> Json:
        """The reasons that a caller may meet, each with its comment."""
        enum = ErrorReason.DESCRIPTOR.full_name
        met = reasons.TERMS.keys() - reasons.of_scope(error_reason_pb2.REASON_SCOPE_INSIDE)
        told = [reason for reason in reasons.TERMS if reason in met]
        lines = [f"- `{reason}`: {self._comments[f'{enum}.{reasons.PREFIX}{reason}']}" for reason in told]
        text = "\n".join([self._comments[enum], "", *lines])
        return {"type": "string", "enum": told, "description": text}

    def _identity(self, binding: Binding) -> str:
        name = binding.method.name
        identity = name if name not in self._names else f"{binding.part.title()}{name}"
        while identity in self._names:
            identity += "2"
        self._names.add(identity)
        return identity

    def _body(self, binding: Binding, transcoder: Transcoder) -> Json:
        if held := _held_json(binding):
            content = {"schema": self._message(held, incoming=True), "example": examples.of(held, incoming=True)}
            return {"required": True, "content": {"application/json": content}}
        if transcoder.takes_document or binding.kind is Kind.UPLOAD:
            binary = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
            return {"required": True, "content": {"application/octet-stream": binary}}
        descriptor: Any = binding.method.input_type
        bound = {capture.field for capture in binding.captures}
        if binding.body == "*":
            schema = self._message(descriptor, incoming=True, without=bound)
            sample = examples.of(descriptor, incoming=True, without=bound)
            needed = any(_required(each) for each in descriptor.fields if each.name not in bound)
        else:
            field = descriptor.fields_by_name[binding.body]
            schema, sample = self._field(field, incoming=True), examples.of_field(field, incoming=True)
            needed = _required(field)
        return {"required": needed, "content": {"application/json": {"schema": schema, "example": sample}}}

    def _parameters(self, binding: Binding, transcoder: Transcoder) -> list[Json]:
        descriptor: Any = binding.method.input_type
        wildcards = [index for index, part in enumerate(binding.segments) if part in ("*", "**")]
        parameters = [self._path_parameter(binding, index) for index in wildcards]
        if binding.body != "*":
            taken = {capture.field.partition(".")[0] for capture in binding.captures} | {binding.body}
            taken |= set(transcoder.headers)
            for field in descriptor.fields:
                if field.name not in taken and self._fits_query(field):
                    parameters.append(self._plain_parameter(field, "query", field.json_name))
        for name, header in transcoder.headers.items():
            parameters.append(self._plain_parameter(descriptor.fields_by_name[name], "header", header))
        reads = binding.verb == "GET"
        if transcoder.request_id:
            parameters.append(_parameter("IdempotencyKey"))
        if binding.kind is Kind.STREAM:
            parameters.append(_parameter("LastEventId"))
        elif refusals.shows_etag(binding):
            parameters += [_parameter("IfMatch"), _parameter("IfNoneMatch")]
        elif not reads and transcoder.etag is not None:
            parameters.append(_parameter("IfMatch"))
        return parameters

    @staticmethod
    def _fits_query(field: Any) -> bool:
        return field.message_type is None or (not field.is_repeated and field.message_type.full_name in _WELL_KNOWN)

    def _path_parameter(self, binding: Binding, index: int) -> Json:
        name = _parameter_name(binding, index)
        schema: Json = {"type": "string", "minLength": 1, "pattern": "^[^/:]+$"}
        return {"name": name, "in": "path", "required": True, "schema": schema, "example": examples.ID}

    def _plain_parameter(self, field: Any, place: str, name: str) -> Json:
        found: Json = {"name": name, "in": place, "required": _required(field)}
        schema = self._field(field, incoming=True, plain=True)
        description = schema.pop("description", "")
        return found | ({"description": description} if description else {}) | {"schema": schema}

    def _responses(self, binding: Binding, problems: Collection[int]) -> Json:
        headers: Json = {"X-Trace-Id": {"$ref": "#/components/headers/TraceId"}}
        if refusals.has_etag(binding):
            headers["ETag"] = {"$ref": "#/components/headers/ETag"}
        text = self._comments.get(binding.method.output_type.full_name, "") or binding.method.output_type.name
        responses: Json = {"200": {"description": text, "headers": headers, "content": self._content(binding)}}
        if refusals.shows_etag(binding):
            responses["304"] = {"description": "The client has it.", "headers": headers}
        for status in problems:
            responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
        return dict(sorted(responses.items()))

    def _content(self, binding: Binding) -> Json:
        """What a method answers with, by media type; of a document, which is sent as it is, there is no schema."""
        output: Any = binding.method.output_type
        if output.full_name == HTTP_BODY:
            return {binding.method.GetOptions().Extensions[options_pb2.media_type] or "*/*": {}}
        if binding.response_body:
            field = output.fields_by_name[binding.response_body]
            return {"application/json": {"schema": self._field(field), "example": examples.of_field(field)}}
        schema, sample = self._message(output), examples.of(output)
        if binding.kind is Kind.STREAM:
            return {"text/event-stream": {"schema": schema}, "application/x-ndjson": {"schema": schema}}
        return {"application/json": {"schema": schema, "example": sample}}

    def _message(self, descriptor: Any, *, incoming: bool = False, without: Collection[str] = ()) -> Json:
        """`without`: fields that the path gives."""
        known = _WELL_KNOWN.get(descriptor.full_name)
        if known is not None:
            return dict(known)
        name = descriptor.full_name.removeprefix("huiyin.").replace(".v1.", ".")
        if incoming and not name.endswith("Request"):
            name += ".Input"
        if name not in self._schemas:
            self._schemas[name] = {}  # a message that contains itself refers to this entry
            hidden = field_behavior_pb2.OUTPUT_ONLY if incoming else field_behavior_pb2.INPUT_ONLY
            fields = [each for each in descriptor.fields if each.name not in without and not _is(each, hidden)]
            schema: Json = {"type": "object"}
            if text := self._comments.get(descriptor.full_name):
                schema["description"] = text
            schema["properties"] = {field.json_name: self._field(field, incoming=incoming) for field in fields}
            if incoming and (required := [field.json_name for field in fields if _required(field)]):
                schema["required"] = required
            self._schemas[name] = schema
        return _ref(name)

    def _field(self, field: Any, *, incoming: bool = False, plain: bool = False) -> Json:
        """`plain`: a parameter, which cannot be null."""
        limits = field.GetOptions().Extensions[options_pb2.limits]
        required = _required(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = self._value(field.message_type.fields_by_name["value"], incoming)
            schema: Json = {"type": "object", "additionalProperties": _limited(value, limits, incoming)}
            if incoming and limits.max_items:
                schema["maxProperties"] = limits.max_items
        else:
            schema = self._value(field, incoming)
            # Of the name of a resource the path or the server decides, whatever comes in.
            if "$ref" not in schema and not _is(field, field_behavior_pb2.IDENTIFIER):
                schema = _limited(schema, limits, incoming)
            if field.is_repeated:
                schema = {"type": "array", "items": schema}
                if incoming and limits.max_items:
                    schema["maxItems"] = limits.max_items
                if incoming and required:
                    schema["minItems"] = 1
            elif incoming and required and schema.get("type") == "string" and not schema.get("format"):
                schema["minLength"] = max(1, schema.get("minLength", 0))
        if incoming and not plain and not required:
            schema = _or_null(schema)
        if text := self._comments.get(field.full_name):
            schema = {**schema, "description": text}
        if not incoming and _is(field, field_behavior_pb2.OUTPUT_ONLY):
            schema = {**schema, "readOnly": True}
        return schema

    def _value(self, field: Any, incoming: bool) -> Json:
        if field.message_type is not None:
            return self._message(field.message_type, incoming=incoming)
        if field.enum_type is not None:
            return self._enum(field.enum_type, incoming)
        return dict((_IN if incoming else _OUT)[field.type])

    def _enum(self, enum: Any, incoming: bool) -> Json:
        name = enum.full_name.removeprefix("huiyin.").replace(".v1.", ".") + (".Input" if incoming else "")
        if name not in self._schemas:
            told = [(value.name, self._comments.get(f"{enum.full_name}.{value.name}", "")) for value in enum.values]
            text = self._comments.get(enum.full_name, "")
            listed = "\n".join(f"- `{value}`: {why}" for value, why in told)
            schema: Json = {"type": "string", "enum": [value for value, _ in told]}
            if incoming:
                number = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
                schema = {"anyOf": [schema, number, {"type": "string", "pattern": "^-?[0-9]+$"}]}
            self._schemas[name] = {**schema, "description": f"{text}\n\n{listed}".strip()}
        return _ref(name)


def _held_json(binding: Binding) -> Any:
    """The message whose JSON a body holds that is taken as it was sent; None where the contract names none."""
    field = binding.method.input_type.fields_by_name.get(binding.body)
    held = field.GetOptions().Extensions[options_pb2.holds_json_of] if field is not None else ""
    return message_class(held).DESCRIPTOR if held else None


def _path(binding: Binding) -> str:
    """The template with one parameter for each wildcard: /v1/cases/{case}:assign."""
    parts = [
        "{" + _parameter_name(binding, index) + "}" if part in ("*", "**") else part
        for index, part in enumerate(binding.segments)
    ]
    return "/" + "/".join(parts) + (f":{binding.suffix}" if binding.suffix else "")


def _parameter_name(binding: Binding, index: int) -> str:
    collection = binding.segments[index - 1]
    return _SINGULAR.get(collection, collection.removesuffix("s"))


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _problem(status: int) -> Json:
    reason = _EXAMPLES[status]
    sample = {
        "type": f"urn:huiyin:problem:{reason}",
        "title": TITLES[status],
        "status": status,
        "detail": "A sentence that says what is wrong, and what to do.",
        "reason": reason,
        "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    headers: Json = {"X-Trace-Id": {"$ref": "#/components/headers/TraceId"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    content = {"application/problem+json": {"schema": _ref("Problem"), "example": sample}}
    return {"description": TITLES[status], "headers": headers, "content": content}


def _limited(schema: Json, limits: options_pb2.Limits, incoming: bool) -> Json:
    if not incoming:
        return schema
    found: Json = {}
    if schema.get("type") == "string" and "format" not in schema:
        if limits.max_length:
            is_base64 = schema.get("pattern") == _BASE64
            found["maxLength"] = -(-limits.max_length // 3) * 4 if is_base64 else limits.max_length
        if limits.pattern:
            found["pattern"] = f"^(?:{limits.pattern})?$"  # an empty text is one that is not given
    elif "integer" in schema.get("type", ()):
        if limits.HasField("min"):
            found["minimum"] = min(limits.min, 0)
        if limits.HasField("max"):
            found["maximum"] = limits.max
    return schema | found


def _or_null(schema: Json) -> Json:
    """What may be null too, which means that it is left out."""
    kind = schema.get("type")
    if kind is None:
        return {"anyOf": [schema, {"type": "null"}]} if schema else schema
    return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}


def _required(field: Any) -> bool:
    return _is(field, field_behavior_pb2.REQUIRED)


def _is(field: Any, behavior: int) -> bool:
    return behavior in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
