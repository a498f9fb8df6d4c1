"""Routes of HTTP to methods, read from the google.api.http options of the contracts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from huiyin.type.v1 import options_pb2
from huiyin_chassis.errors import DomainError

from huiyin_gateway.codec import message_class

_VERBS: Final = ("get", "put", "post", "delete", "patch")
_ECHO: Final = 200
HTTP_BODY: Final = "google.api.HttpBody"
"""What a method returns that answers with a document, which is sent as it is, under its own media type."""
_PART = re.compile(r"\{(?P<field>[a-z_.]+)(?:=(?P<pattern>[^}]+))?\}|(?P<literal>[^/{}]+)")


class Kind(Enum):
    """How a method's messages flow."""

    UNARY = "unary"
    UPLOAD = "upload"
    STREAM = "stream"


@dataclass(frozen=True)
class Binding:
    """One route to one method."""

    part: str
    """Which process serves it: collector, analyzer, casework, notifier or gateway."""
    method: MethodDescriptor
    verb: str
    """The HTTP method, in capitals."""
    template: str
    segments: tuple[str, ...]
    """Literals and "*"."""
    suffix: str
    """The custom verb after ":", "" for none."""
    captures: tuple[tuple[str, int, int], ...]
    """Field path, and the segments from and to which it takes."""
    body: str
    kind: Kind
    permission: str
    public: bool
    request_type: type[Message] = field(repr=False)
    response_type: type[Message] = field(repr=False)

    @property
    def path(self) -> str:
        """The full gRPC name of the method, as a path."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


class NoRoute(DomainError):
    """No method is served there; `allowed` are the HTTP methods that are, for an answer of 405."""

    code = grpc.StatusCode.UNIMPLEMENTED

    def __init__(self, path: str, allowed: tuple[str, ...]) -> None:
        path = path[:_ECHO]
        if allowed:
            why = f"{path} takes {', '.join(allowed)} only"
            super().__init__("METHOD_NOT_ALLOWED", why)
        else:
            super().__init__("ROUTE_UNKNOWN", f"nothing is served at {path}; /v1/openapi.json lists what is")
        self.allowed = allowed


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    bindings: dict[tuple[str, str], Binding] = field(default_factory=dict)


class Router:
    """Finds the binding of a request."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.bindings = list(bindings)
        self._root = _Node()
        for binding in self.bindings:
            node = self._root
            for segment in binding.segments:
                node = node.children.setdefault(segment, _Node())
            node.bindings[binding.verb, binding.suffix] = binding

    def match(self, verb: str, path: str) -> tuple[Binding, list[tuple[str, str]]]:
        """The binding, and the fields that the path gives; `path` as it was sent, percent-encoded. Raises NoRoute."""
        segments, suffix = _parts(path)
        for node in _walk(self._root, segments, 0):
            found = node.bindings.get((verb, suffix))
            if found is not None:
                return found, [(name, "/".join(segments[start:end])) for name, start, end in found.captures]
        raise NoRoute(path, self._verbs(segments, suffix))

    def allowed(self, path: str) -> tuple[str, ...]:
        """The HTTP methods that a path takes. Raises NoRoute where it takes none."""
        found = self._verbs(*_parts(path))
        if not found:
            raise NoRoute(path, ())
        return found

    def _verbs(self, segments: list[str], suffix: str) -> tuple[str, ...]:
        nodes = _walk(self._root, segments, 0)
        found = {verb for node in nodes for verb, custom in node.bindings if custom == suffix}
        if not found:
            return ()
        return tuple(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))


def _parts(path: str) -> tuple[list[str], str]:
    """The segments and the custom verb. Decoded after splitting: in a name, %3A is no verb and %2F no separator."""
    segments = path.removeprefix("/").split("/")
    ending, colon, suffix = segments[-1].rpartition(":")
    if colon:
        segments[-1] = ending
    if "%" in path:
        try:
            segments = [each if "%2f" in each.lower() else unquote(each, errors="strict") for each in segments]
        except UnicodeDecodeError:
            raise NoRoute(path, ()) from None
    return segments, suffix if colon else ""


def _walk(node: _Node, segments: list[str], at: int) -> Iterator[_Node]:
    """Nodes that the segments lead to, literals before wildcards."""
    if at == len(segments):
        yield node
        return
    literal = node.children.get(segments[at])
    if literal is not None:
        yield from _walk(literal, segments, at + 1)
    wildcard = node.children.get("*")
    if wildcard is not None and segments[at]:
        yield from _walk(wildcard, segments, at + 1)


def bindings_of(part: str, service: ServiceDescriptor) -> Iterator[Binding]:
    """Every route that a service's contract declares."""
    for method in service.methods:
        options = method.GetOptions()
        rule = options.Extensions[annotations_pb2.http]
        access = options.Extensions[options_pb2.access]
        for each in (rule, *rule.additional_bindings):
            verb = each.WhichOneof("pattern")
            if verb in _VERBS:
                yield _binding(part, method, verb, getattr(each, verb), each.body, access)


def _binding(
    part: str, method: MethodDescriptor, verb: str, template: str, body: str, access: options_pb2.Access
) -> Binding:
    path, suffix = template, ""
    if ":" in template.rpartition("}")[2]:
        path, _, suffix = template.rpartition(":")
    segments: list[str] = []
    captures: list[tuple[str, int, int]] = []
    for match in _PART.finditer(path):
        if match["literal"]:
            segments.append(match["literal"])
            continue
        pattern = (match["pattern"] or "*").split("/")
        captures.append((match["field"], len(segments), len(segments) + len(pattern)))
        segments += pattern
    return Binding(
        part,
        method,
        verb.upper(),
        template,
        tuple(segments),
        suffix,
        tuple(captures),
        body,
        _kind(method),
        access.permission,
        access.public,
        message_class(method.input_type.full_name),
        message_class(method.output_type.full_name),
    )


def _kind(method: Any) -> Kind:
    if method.client_streaming:
        return Kind.UPLOAD
    return Kind.STREAM if method.server_streaming else Kind.UNARY
