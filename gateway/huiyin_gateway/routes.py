"""Routes of HTTP to methods, read from the google.api.http options of the contracts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import grpc
from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from huiyin.type.v1 import options_pb2
from huiyin_chassis.errors import DomainError

from huiyin_gateway.codec import message_class

ANY_VERB: Final = "*"
HTTP_BODY: Final = "google.api.HttpBody"
"""What a method returns that answers with a document, which is sent as it is, under its own media type."""
_VERBS: Final = ("get", "put", "post", "delete", "patch")
_ECHO: Final = 200
_TEMPLATE = re.compile(r"/(?P<path>[^{}:]*(\{[^{}]+\}[^{}:]*)*)(:(?P<verb>[^/:{}]+))?")
_PART = re.compile(r"\{(?P<field>[A-Za-z_][\w.]*)(=(?P<pattern>[^{}]+))?\}|(?P<plain>[^/{}]+)")
_ENCODED_SLASH = re.compile("(%2[Ff])")


class Kind(Enum):
    """How a method's messages flow."""

    UNARY = "unary"
    UPLOAD = "upload"
    STREAM = "stream"


class Capture(NamedTuple):
    """A field that the path gives: the segments from `start` up to `end`, or to the last one."""

    field: str
    start: int
    end: int | None
    single: bool
    """It takes exactly one segment, in which %2F stands for a slash; elsewhere that is left as it is."""


@dataclass(frozen=True)
class Binding:
    """One route to one method."""

    part: str
    """Which process serves it: collector, analyzer, casework, notifier or gateway."""
    method: MethodDescriptor
    verb: str
    """The HTTP method, in capitals, or ANY_VERB."""
    template: str
    segments: tuple[str, ...]
    """Literals, "*", and "**" as the last."""
    suffix: str
    """The custom verb after ":", "" for none."""
    captures: tuple[Capture, ...]
    body: str
    response_body: str
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
            super().__init__("METHOD_NOT_ALLOWED", why, metadata={"path": path, "allowed": ", ".join(allowed)})
        else:
            why = f"nothing is served at {path}; /v1/openapi.json lists what is"
            super().__init__("ROUTE_UNKNOWN", why, metadata={"path": path})
        self.allowed = allowed


@dataclass
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    bindings: dict[tuple[str, str], Binding] = field(default_factory=dict)


class Router:
    """Finds the binding of a request. Raises ValueError for templates that cannot be told apart."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.bindings = list(bindings)
        self._root = _Node()
        for binding in self.bindings:
            node = self._root
            for segment in binding.segments:
                node = node.children.setdefault(segment, _Node())
            other = node.bindings.setdefault((binding.verb, binding.suffix), binding)
            if other is not binding:
                raise ValueError(f"{binding.template} of {binding.path} is that of {other.path} as well")

    def match(self, verb: str, path: str) -> tuple[Binding, list[str]]:
        """The binding, and the text of each of its captures; `path` as it was sent, percent-encoded. Raises NoRoute."""
        sent, segments, suffix = _parts(path)
        found = _find(self._root, segments, 0, verb, suffix)
        if found is None:
            raise NoRoute(path, self._verbs(segments, suffix))
        encoded = "%" in path
        return found, [_captured(capture, sent, encoded) for capture in found.captures]

    def allowed(self, path: str) -> tuple[str, ...]:
        """The HTTP methods that a path takes. Raises NoRoute where it takes none."""
        _, segments, suffix = _parts(path)
        found = self._verbs(segments, suffix)
        if not found:
            raise NoRoute(path, ())
        return found

    def _verbs(self, segments: list[str], suffix: str) -> tuple[str, ...]:
        nodes = _walk(self._root, segments, 0)
        found = {verb for node in nodes for verb, custom in node.bindings if custom == suffix}
        if not found:
            return ()
        if ANY_VERB in found:
            found = (found - {ANY_VERB}) | {verb.upper() for verb in _VERBS}
        return tuple(sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())))


def _parts(path: str) -> tuple[list[str], list[str], str]:
    """The segments as sent and decoded, and the custom verb. Decoded after splitting: in a name, %3A is no verb."""
    sent = path.removeprefix("/").split("/")
    ending, colon, suffix = sent[-1].rpartition(":")
    if colon:
        sent[-1] = ending
    decoded = sent
    if "%" in path:
        try:
            decoded = [unquote(each, errors="strict") for each in sent]
        except UnicodeDecodeError:
            raise NoRoute(path, ()) from None
    return sent, decoded, suffix if colon else ""


def _captured(capture: Capture, sent: list[str], encoded: bool) -> str:
    text = "/".join(sent[capture.start : capture.end])
    if not encoded or "%" not in text:
        return text
    if capture.single:
        return unquote(text)
    return "".join(part if part in ("%2F", "%2f") else unquote(part) for part in _ENCODED_SLASH.split(text))


def _find(node: _Node, segments: list[str], at: int, verb: str, suffix: str) -> Binding | None:
    """The binding that the segments lead to, literals before "*" before "**"."""
    if at == len(segments):
        found = node.bindings.get((verb, suffix)) or node.bindings.get((ANY_VERB, suffix))
        if found is not None:
            return found
    else:
        segment = segments[at]
        literal = node.children.get(segment) if segment not in ("*", "**") else None
        if literal is not None and (found := _find(literal, segments, at + 1, verb, suffix)) is not None:
            return found
        one = node.children.get("*")
        if one is not None and segment and (found := _find(one, segments, at + 1, verb, suffix)) is not None:
            return found
    rest = node.children.get("**")
    return None if rest is None else rest.bindings.get((verb, suffix)) or rest.bindings.get((ANY_VERB, suffix))


def _walk(node: _Node, segments: list[str], at: int) -> Iterator[_Node]:
    """Every node that the segments lead to."""
    if at == len(segments):
        yield node
    else:
        segment = segments[at]
        if segment in node.children and segment not in ("*", "**"):
            yield from _walk(node.children[segment], segments, at + 1)
        if "*" in node.children and segment:
            yield from _walk(node.children["*"], segments, at + 1)
    if "**" in node.children:
        yield node.children["**"]


def bindings_of(part: str, service: ServiceDescriptor) -> Iterator[Binding]:
    """Every route that a service's contract declares. Raises ValueError for what google.api.http does not allow."""
    for method in service.methods:
        options = method.GetOptions()
        rule = options.Extensions[annotations_pb2.http]
        access = options.Extensions[options_pb2.access]
        for each in (rule, *rule.additional_bindings):
            pattern = each.WhichOneof("pattern")
            if pattern == "custom":
                yield _binding(part, method, each.custom.kind.upper(), each.custom.path, each, access)
            elif pattern in _VERBS:
                yield _binding(part, method, pattern.upper(), getattr(each, pattern), each, access)


def _binding(
    part: str, method: MethodDescriptor, verb: str, template: str, rule: Any, access: options_pb2.Access
) -> Binding:
    segments, captures, suffix = parse(template)
    return Binding(
        part,
        method,
        verb,
        template,
        segments,
        suffix,
        captures,
        rule.body,
        rule.response_body,
        _kind(method),
        access.permission,
        access.public,
        message_class(method.input_type.full_name),
        message_class(method.output_type.full_name),
    )


def parse(template: str) -> tuple[tuple[str, ...], tuple[Capture, ...], str]:
    """Segments, captures and custom verb of a path template. Raises ValueError."""
    whole = _TEMPLATE.fullmatch(template)
    if whole is None:
        raise ValueError(f"{template} is not a path template of google.api.http")
    segments: list[str] = []
    captures: list[Capture] = []
    at, path = 0, whole["path"]
    while at < len(path):
        part = _PART.match(path, at)
        if part is None or (part.end() < len(path) and path[part.end()] != "/"):
            raise ValueError(f"{template} is not a path template of google.api.http")
        at = part.end() + 1
        if part["plain"]:
            segments.append(part["plain"] if part["plain"] in ("*", "**") else unquote(part["plain"]))
            continue
        pattern = (part["pattern"] or "*").split("/")
        end = None if pattern[-1] == "**" else len(segments) + len(pattern)
        captures.append(Capture(part["field"], len(segments), end, pattern == ["*"]))
        segments += [each if each in ("*", "**") else unquote(each) for each in pattern]
    if "**" in segments[:-1] or "" in segments:
        raise ValueError(f"{template}: ** must be the last segment, and no segment empty")
    return tuple(segments), tuple(captures), whole["verb"] or ""


def _kind(method: Any) -> Kind:
    if method.client_streaming:
        return Kind.UPLOAD
    return Kind.STREAM if method.server_streaming else Kind.UNARY
