"""The application: routes requests to methods, and answers with JSON, server-sent events or problem documents."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final
from urllib.parse import quote

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message
from huiyin.gateway.v1 import change_pb2
from huiyin.type.v1 import download_pb2
from huiyin_chassis import client, telemetry
from huiyin_chassis.errors import (
    DeadlineExceeded,
    DomainError,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    from_rpc_error,
    internal,
)
from huiyin_chassis.identity import Principal
from huiyin_chassis.validation import validate

from huiyin_gateway.accounts import Handler
from huiyin_gateway.audience import Selection
from huiyin_gateway.changes import Hub, parse_position
from huiyin_gateway.connection import Exchange, Gone, head_of
from huiyin_gateway.openapi import OPENAPI_PATH
from huiyin_gateway.principals import Principals, SignedIn, principal_of
from huiyin_gateway.problems import problem
from huiyin_gateway.routes import HTTP_BODY, Binding, Kind, Router
from huiyin_gateway.transcoding import Transcoder

log = structlog.get_logger(__name__)

_LARGEST_BODY: Final = 8 * 1024 * 1024
_SLOW: Final = 1.0
"""Seconds from which on an answer is told in the log, though nothing was wrong."""
_OPENAPI_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_PIECE: Final = 256 * 1024
_SAFE: Final = head_of(
    [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
)
_ALWAYS: Final = _SAFE + head_of([(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")])
# A document brings its own styles; whatever else it brings, it runs nothing, fetches nothing and belongs to no origin.
_OF_DOCUMENTS: Final = b"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_WITH_DOCUMENT: Final = _SAFE + head_of([(b"content-security-policy", _OF_DOCUMENTS)])
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_JSON: Final = head_of([(b"content-type", b"application/json"), (b"cache-control", b"no-store")])
_EVENT_STREAM: Final = head_of(
    [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
)
_CORS_TOLD: Final = (b"access-control-expose-headers", b"ETag, Allow, Retry-After, X-Trace-Id, Content-Disposition")
_CORS_ASKED: Final = [
    (b"access-control-allow-headers", b"Authorization, Content-Type, If-Match, Last-Event-ID, traceparent"),
    (b"access-control-max-age", b"600"),
]


class Gateway:
    """Serves every route of the contracts."""

    def __init__(
        self,
        router: Router,
        channels: Mapping[str, grpc.aio.Channel],
        own: Mapping[str, Handler],
        principals: Principals,
        hub: Hub,
        openapi: bytes,
        *,
        largest_upload: int,
        cors_origins: Collection[str] = (),
    ) -> None:
        self._router = router
        self._own = own
        self._principals = principals
        self._hub = hub
        self._openapi = openapi
        self._largest_upload = largest_upload
        self._cors_origins = frozenset(cors_origins)
        self._observed: dict[tuple[str, int], Any] = {}
        self._transcoders = {id(binding): Transcoder(binding) for binding in router.bindings}
        self._calls: dict[str, Any] = {}
        for binding in router.bindings:
            if binding.part != "gateway":
                make = (
                    channels[binding.part].stream_unary
                    if binding.kind is Kind.UPLOAD
                    else channels[binding.part].unary_unary
                )
                self._calls[binding.path] = make(
                    binding.path,
                    request_serializer=binding.request_type.SerializeToString,
                    response_deserializer=binding.response_type.FromString,
                )

    async def serve(self, exchange: Exchange) -> None:
        """Answers one request."""
        started = time.perf_counter()
        headers = exchange.headers
        with telemetry.span("http", headers.get(telemetry.TRACEPARENT, "")) as trace:
            answer = _Answer(exchange, trace, self._cors(headers.get("origin", "")) if self._cors_origins else b"")
            try:
                if exchange.fault is not None:
                    raise exchange.fault
                await self._serve(exchange, answer)
            except DomainError as error:
                answer.refuse(error)
            except grpc.RpcError as error:
                answer.refuse(from_rpc_error(error))
            except Gone:
                pass
            except Exception:
                log.exception("http.failed", path=exchange.path, trace=trace)
                answer.refuse(internal(trace))
            seconds = time.perf_counter() - started
            self._count(answer.method, exchange.status, seconds)
            tell = log.debug if exchange.status < 400 and seconds < _SLOW else log.info
            # Never the query, which may hold words that somebody searched for, and never a body.
            tell(
                "http.served",
                verb=exchange.verb,
                path=exchange.path,
                status=exchange.status,
                ms=round(seconds * 1e3, 1),
            )

    def _count(self, method: str, status: int, seconds: float) -> None:
        observed = self._observed.get((method, status))
        if observed is None:
            observed = self._observed[method, status] = telemetry.RPC_SECONDS.labels(method, str(status))
        observed.observe(seconds)

    def _cors(self, origin: str) -> bytes:
        if origin not in self._cors_origins and "*" not in self._cors_origins:
            return head_of([(b"vary", b"Origin")])
        allowed = (b"access-control-allow-origin", origin.encode("latin-1") or b"*")
        return head_of([(b"vary", b"Origin"), allowed, _CORS_TOLD])

    async def _serve(self, exchange: Exchange, answer: _Answer) -> None:
        verb = "GET" if exchange.verb == "HEAD" else exchange.verb
        path, headers = exchange.path, exchange.headers
        if path == OPENAPI_PATH and verb == "GET":
            answer.method = "OpenApi"
            answer.whole(200, _JSON, self._openapi)
            return
        if verb == "OPTIONS":
            self._options(path, headers, answer)
            return
        binding, captured = self._router.match(verb, path)
        answer.method = binding.method.name
        authorization = headers.get("authorization", "")
        signed_in = self._principals.known(authorization) or await self._signed_in(binding, authorization)
        transcoder = self._transcoders[id(binding)]
        request = transcoder.request(captured, exchange.query)
        if binding.kind is Kind.UPLOAD:
            answer.message(await self._upload(binding, request, exchange, signed_in), transcoder)
        elif binding.kind is Kind.STREAM:
            await self._stream(request, exchange, answer, signed_in)
        else:
            if transcoder.takes_document:
                document = transcoder.document(request)
                document.data = await _whole(exchange, _LARGEST_BODY)
                document.content_type = headers.get("content-type", "application/octet-stream")
            elif binding.body:
                transcoder.read_body(request, await _read_json(exchange), captured)
            _take_etag(request, headers)
            answer.message(await self._call(binding, request, exchange, signed_in), transcoder)

    def _options(self, path: str, headers: Mapping[str, str], answer: _Answer) -> None:
        allowed = ", ".join(_OPENAPI_METHODS if path == OPENAPI_PATH else self._router.allowed(path)).encode()
        answer.method = "Options"
        told = [(b"allow", allowed)]
        if "access-control-request-method" in headers and self._cors_origins:
            told += [(b"access-control-allow-methods", allowed), *_CORS_ASKED]
        answer.whole(204, head_of(told), b"")

    async def _signed_in(self, binding: Binding, authorization: str) -> SignedIn | None:
        try:
            signed_in = await self._principals.of(authorization)
        except Unavailable:
            # Who it is cannot be looked up now; what everybody may call needs no answer to that.
            if not binding.public:
                raise
            return None
        if signed_in is None and not binding.public:
            raise Unauthenticated("KEY_MISSING", "sign in to call this: send Authorization: Bearer and your API key")
        return signed_in

    async def _call(
        self, binding: Binding, request: Message, exchange: Exchange, signed_in: SignedIn | None
    ) -> Message:
        if binding.part == "gateway":
            principal = principal_of(signed_in)
            # Everybody may read their own account.
            if not (binding.public or binding.method.name == "GetAccount"):
                _require(principal, binding.permission)
            validate(request)
            return await self._own[binding.method.name](request, principal)
        call = self._calls[binding.path](request, metadata=_metadata(signed_in), timeout=client.DEADLINE)
        exchange.on_lost = call.cancel
        try:
            reply: Message = await call
        except grpc.RpcError as error:
            raise _answered_by(binding.part, error) from error
        except asyncio.CancelledError:
            if exchange.lost:
                raise Gone from None
            raise
        return reply

    async def _upload(
        self, binding: Binding, request: Message, exchange: Exchange, signed_in: SignedIn | None
    ) -> Message:
        """Passes the body on piece by piece; the first message carries the other fields."""
        most = self._largest_upload
        if int(exchange.headers.get("content-length") or 0) > most:
            raise _too_large(most)
        kind = exchange.headers.get("content-type", "application/octet-stream")
        message = request
        call = self._calls[binding.path](metadata=_metadata(signed_in))
        try:
            try:
                async for piece in _pieces(exchange, most):
                    body = getattr(message, binding.body)
                    body.content_type, body.data = kind, piece
                    # Returns when there is room for more, so that a slow service slows the client down.
                    await call.write(message)
                    message = binding.request_type()
                if message is request:
                    await call.write(message)
                await call.done_writing()
            except asyncio.InvalidStateError:
                pass  # the service has answered already; its answer says why
            except BaseException:
                call.cancel()
                raise
            reply: Message = await call
        except grpc.RpcError as error:
            raise _answered_by(binding.part, error) from error
        return reply

    async def _stream(self, request: Message, exchange: Exchange, answer: _Answer, signed_in: SignedIn | None) -> None:
        assert isinstance(request, change_pb2.StreamChangesRequest), "the one stream that has a route"
        request.cursor = exchange.headers.get("last-event-id") or request.cursor
        validate(request)
        principal = principal_of(signed_in)
        _require(principal, "gateway.changes.watch")
        position = parse_position(request.cursor) if request.cursor else {}
        stream = await self._hub.subscribe(Selection(principal, request.kinds), position)
        exchange.on_lost = lambda: stream.finish("gone")

        async def seen_again() -> Selection:
            found = await self._seen_again(stream.selection.principal, exchange.headers)
            return Selection(found, request.kinds)

        try:
            answer.begin(200, _EVENT_STREAM)
            if exchange.verb != "HEAD":
                await stream.write_to(exchange, seen_again)
        except (PermissionDenied, Unauthenticated):
            pass  # the key was taken away, or what it may do
        finally:
            self._hub.leave(stream)
        if exchange.blocked:
            exchange.break_off()
        else:
            exchange.end()

    async def _seen_again(self, principal: Principal, headers: Mapping[str, str]) -> Principal:
        """The principal as it is now, so that a key taken away or a reach that changed ends or narrows a stream."""
        try:
            found = principal_of(await self._principals.of(headers.get("authorization", "")))
        except Unavailable:
            return principal
        _require(found, "gateway.changes.watch")
        return found


class _Answer:
    """What is sent back."""

    __slots__ = ("_also", "_exchange", "_trace", "method")

    def __init__(self, exchange: Exchange, trace: str, also: bytes) -> None:
        self._exchange = exchange
        self._trace = trace
        self._also = b"%bx-trace-id: %b\r\n" % (also, trace.encode())
        self.method = "unknown"
        """The method's name, for the metrics."""

    def message(self, message: Any, transcoder: Transcoder) -> None:
        """A resource or a response as JSON; a document as it is."""
        if message.DESCRIPTOR.full_name == HTTP_BODY:
            kind = message.content_type if _MEDIA_TYPE.fullmatch(message.content_type) else "application/octet-stream"
            head = b"content-type: %b\r\ncache-control: no-store\r\n" % kind.encode()
            self._exchange.answer(200, head + _saved_as(message) + _WITH_DOCUMENT + self._also, message.data)
            return
        etag = getattr(message, "etag", "")
        head = b'%betag: "%b"\r\n' % (_JSON, etag.encode()) if etag else _JSON
        self.whole(200, head, transcoder.write(message))

    def whole(self, status: int, head: bytes, body: bytes) -> None:
        """An answer in one piece."""
        self._exchange.answer(status, head + _ALWAYS + self._also, body)

    def begin(self, status: int, head: bytes) -> None:
        """The beginning of a stream."""
        self._exchange.begin(status, head + _ALWAYS + self._also)

    def refuse(self, error: DomainError) -> None:
        """A problem document; where an answer has begun it is too late for that, and the connection ends."""
        if self._exchange.status:
            self._exchange.break_off()
            return
        if_match = "if-match" in self._exchange.headers
        status, headers, body = problem(error, if_match=if_match, trace_id=self._trace)
        self.whole(status, head_of(headers), body)


def _answered_by(part: str, error: grpc.RpcError) -> DomainError:
    """Words for a service that did not answer: what gRPC says names addresses, and no remedy."""
    found = from_rpc_error(error)
    if found.reason == "UNAVAILABLE":
        return Unavailable("UNAVAILABLE", f"the {part} cannot be reached now; try again", part=part)
    if found.reason == "DEADLINE_EXCEEDED":
        why = f"the {part} did not answer within {client.DEADLINE:.0f} s; try again, or ask for less at once"
        return DeadlineExceeded("DEADLINE_EXCEEDED", why, part=part)
    return found


def _saved_as(body: Any) -> bytes:
    """Of a file the name under which it is saved, rather than shown (RFC 6266, RFC 8187)."""
    download = download_pb2.Download()
    for extension in body.extensions:
        if extension.Unpack(download):
            return f"content-disposition: attachment; filename*=UTF-8''{quote(download.file_name)}\r\n".encode()
    return b""


def _require(principal: Principal, permission: str) -> None:
    if not principal.may(permission):
        why = f"{principal.subject} may not do this; it needs the permission {permission}"
        raise PermissionDenied("PERMISSION_MISSING", why, permission=permission)


def _metadata(signed_in: SignedIn | None) -> tuple[tuple[str, str], ...]:
    if signed_in is not None:
        return client.metadata(signed_in.token)
    parent = telemetry.traceparent()
    return ((telemetry.TRACEPARENT, parent),) if parent else ()


def _take_etag(request: Message, headers: Mapping[str, str]) -> None:
    """If-Match goes into the request's etag, where it has one."""
    text = headers.get("if-match", "").removeprefix("W/").strip('"')
    if text and text != "*" and "etag" in request.DESCRIPTOR.fields_by_name:
        setattr(request, "etag", text)  # noqa: B010 - which message it is, the contract says


async def _read_json(exchange: Exchange) -> bytes:
    kind = exchange.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    body = await _whole(exchange, _LARGEST_BODY)
    if kind != "application/json" and body:
        raise InvalidArgument("Content-Type", f"{kind[:60]} is not taken here; send application/json", "CONTENT_TYPE")
    return body


async def _whole(exchange: Exchange, most: int) -> bytes:
    return b"".join([piece async for piece in _pieces(exchange, most)])


async def _pieces(exchange: Exchange, most: int) -> AsyncIterator[bytes]:
    """The body in pieces of some size. Raises InvalidArgument BODY_TOO_LARGE beyond `most` bytes."""
    waiting = bytearray()
    total = 0
    while piece := await exchange.read():
        total += len(piece)
        if total > most:
            raise _too_large(most)
        waiting += piece
        if len(waiting) >= _PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _too_large(most: int) -> InvalidArgument:
    return InvalidArgument("body", f"is larger than {most} bytes; send it in parts", "BODY_TOO_LARGE")
