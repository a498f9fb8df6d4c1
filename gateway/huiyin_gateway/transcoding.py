"""One route's requests and answers, by functions made once from its binding: HTTP to message, message to JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import unquote_plus

from google.protobuf.message import Message
from huiyin.type.v1 import options_pb2
from huiyin_chassis.errors import InvalidArgument

from huiyin_gateway import codec
from huiyin_gateway.codec import SetText
from huiyin_gateway.routes import HTTP_BODY, Binding

_MOST_PARAMETERS: Final = 200
_ECHO: Final = 200


class Transcoder:
    """What google.api.http says of one binding. Raises ValueError where that cannot be."""

    def __init__(self, binding: Binding) -> None:
        self._type: Any = binding.request_type
        descriptor: Any = binding.method.input_type
        self._body = binding.body
        self.takes_document = _is_document(descriptor, binding.body)
        """The body is a document of any type rather than JSON."""
        try:
            self._captures = [codec.text_setter(descriptor, capture.field) for capture in binding.captures]
            if binding.body not in ("", "*") and not self.takes_document:
                self._set_body = codec.body_setter(descriptor, binding.body)
        except (InvalidArgument, KeyError) as error:
            raise ValueError(f"{binding.template} of {binding.path}: {error}") from error
        self.etag = _etag_of(descriptor, binding.body)
        """Where the etag of the request stands: in the request itself (""), in a field of it, or nowhere (None)."""
        self.request_id = "request_id" in descriptor.fields_by_name
        """The request has an id by which a repetition of it is known."""
        self.headers = _headers_of(descriptor)
        """The HTTP headers that give fields of the request, by field."""
        self._bound = {capture.field for capture in binding.captures}
        self._parameters: dict[str, tuple[SetText, str]] = {}
        self._write = _writer_of(binding)

    def request(self, captured: Sequence[str], query: bytes) -> Any:
        """The request as far as path and query give it. Raises InvalidArgument."""
        request = self._type()
        if query:
            self._read_query(request, query)
        for set_field, text in zip(self._captures, captured, strict=True):
            set_field(request, text)
        return request

    def read_body(self, request: Any, body: bytes, captured: Sequence[str]) -> None:
        """Sets what the JSON of a body gives; the path names the resource, whatever the body says."""
        if self._body == "*":
            codec.merge(request, codec.loads(body) if body else {})
        elif body:
            self._set_body(request, codec.loads(body))
        else:
            getattr(request, self._body)  # a body that is empty leaves its field at the default
        for set_field, text in zip(self._captures, captured, strict=True):
            set_field(request, text)

    def document(self, request: Any) -> Any:
        """Where a body that is a document goes: the HttpBody of the request."""
        return request if self._body == "*" else getattr(request, self._body)

    def write(self, reply: Message) -> bytes:
        """The JSON of a reply, or of the field of it that is the answer."""
        return self._write(reply)

    def _read_query(self, request: Any, query: bytes) -> None:
        try:
            text = query.decode("ascii")
            pairs = [each.partition("=") for each in text.split("&") if each]
            if len(pairs) > _MOST_PARAMETERS:
                raise ValueError
            found = [(_plain(name), _plain(value)) for name, _, value in pairs]
        except ValueError:
            why = f"is not percent-encoded UTF-8 with at most {_MOST_PARAMETERS} parameters"
            raise InvalidArgument("query", why, "QUERY_INVALID") from None
        seen: set[str] = set()
        for name, value in found:
            set_field, once = self._parameters.get(name) or self._parameter(name)
            if once in seen:
                why = "is there twice, or with another of its choice; give one"
                raise InvalidArgument(name[:_ECHO], why, "QUERY_INVALID")
            if once:
                seen.add(once)
            set_field(request, value)

    def _parameter(self, name: str) -> tuple[SetText, str]:
        """What sets a parameter's field, and what may be given once only: that field, or the choice that it is of."""
        if self._body == "*":
            # URLs end up in logs and histories: what may be secret or personal must not travel in them.
            raise InvalidArgument(name[:_ECHO], "is not taken from the URL here; send it in the body", "QUERY_INVALID")
        names, descriptor = [], self._type.DESCRIPTOR
        set_field = codec.text_setter(descriptor, name)
        for part in name.split("."):
            field = codec.field_of(descriptor, part, name)
            names.append(field.name)
            descriptor = field.message_type
        path = ".".join(names)
        if path in self._bound:
            raise InvalidArgument(name[:_ECHO], "is given by the path; leave it out of the query", "QUERY_INVALID")
        if self._body and names[0] == self._body:
            raise InvalidArgument(name[:_ECHO], "is not taken from the URL here; send it in the body", "QUERY_INVALID")
        if path in self.headers:
            why = f"is given by the header {self.headers[path]}; leave it out of the query"
            raise InvalidArgument(name[:_ECHO], why, "QUERY_INVALID")
        once = "" if field.is_repeated else path
        if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1:
            once = ".".join([*names[:-1], field.containing_oneof.full_name])
        found = self._parameters[name] = (set_field, once)
        return found


def _headers_of(descriptor: Any) -> dict[str, str]:
    """The HTTP headers that a contract reads text fields of a request from, by field."""
    named = ((field.name, field.GetOptions().Extensions[options_pb2.header]) for field in descriptor.fields)
    return {field: header for field, header in named if header}


def _plain(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def _etag_of(descriptor: Any, body: str) -> str | None:
    if "etag" in descriptor.fields_by_name:
        return ""
    inner = descriptor.fields_by_name[body].message_type if body not in ("", "*") else None
    return body if inner is not None and "etag" in inner.fields_by_name else None


def _is_document(descriptor: Any, body: str) -> bool:
    if body == "*":
        return bool(descriptor.full_name == HTTP_BODY)
    field = descriptor.fields_by_name.get(body)
    return field is not None and field.message_type is not None and field.message_type.full_name == HTTP_BODY


def _writer_of(binding: Binding) -> Callable[[Any], bytes]:
    if not binding.response_body:
        return codec.to_json
    field: Any = binding.response_type.DESCRIPTOR.fields_by_name.get(binding.response_body)
    if field is None:
        raise ValueError(f"{binding.path}: response_body {binding.response_body} is no field of its response")
    write, name = codec.field_writer(field), field.name
    if field.has_presence:
        return lambda reply: (write(getattr(reply, name)) if reply.HasField(name) else "null").encode()
    return lambda reply: write(getattr(reply, name)).encode()
