"""The ASGI application: routes requests to methods, and answers with JSON, server-sent events or problem documents."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message
from huiyin.gateway.v1 import change_pb2
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

from huiyin_gateway import codec
from huiyin_gateway.accounts import Handler
from huiyin_gateway.audience import Selection
from huiyin_gateway.changes import Hub, parse_position
from huiyin_gateway.openapi import OPENAPI_PATH
from huiyin_gateway.principals import Principals, SignedIn, principal_of
from huiyin_gateway.problems import Headers, problem
from huiyin_gateway.routes import HTTP_BODY, Binding, Kind, Router

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_LARGEST_BODY: Final = 8 * 1024 * 1024
_OPENAPI_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_PIECE: Final = 256 * 1024
_MOST_PARAMETERS: Final = 200
_JSON: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_EVENT_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_ALWAYS: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
# A document brings its own styles; whatever else it brings, it runs nothing, fetches nothing and belongs to no origin.
_WITH_DOCUMENT: Final = [
    _ALWAYS[0],
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"),
    _ALWAYS[2],
]
_CORS_TOLD: Final = (b"access-control-expose-headers", b"ETag, Allow, Retry-After, X-Trace-Id")
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection's request."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = _Answer(send, head=scope["method"] == "HEAD", also=self._cors(headers.get("origin", "")))
        with telemetry.span("http", headers.get(telemetry.TRACEPARENT, "")) as trace:
            answer.trace = trace
            try:
                await self._serve(scope, headers, receive, answer)
            except DomainError as error:
                await self._refuse(answer, error, headers)
            except grpc.RpcError as error:
                await self._refuse(answer, from_rpc_error(error), headers)
            except _Gone:
                pass
            except Exception:
                log.exception("http.failed", path=scope["path"], trace=trace)
                await self._refuse(answer, internal(trace), headers)
            seconds = time.perf_counter() - started
            telemetry.RPC_SECONDS.labels(answer.method, str(answer.status)).observe(seconds)
            # Never the query, which may hold words that somebody searched for, and never a body.
            log.info(
                "http.served",
                verb=scope["method"],
                path=scope["path"],
                status=answer.status,
                ms=round(seconds * 1e3, 1),
            )

    @staticmethod
    async def _refuse(answer: _Answer, error: DomainError, headers: Mapping[str, str]) -> None:
        if answer.status:
            return  # too late for another status; the connection ends here
        await answer.whole(*problem(error, if_match="if-match" in headers, trace_id=answer.trace))

    def _cors(self, origin: str) -> Headers:
        if not self._cors_origins:
            return []
        if origin not in self._cors_origins and "*" not in self._cors_origins:
            return [(b"vary", b"Origin")]
        return [(b"vary", b"Origin"), (b"access-control-allow-origin", origin.encode("latin-1") or b"*"), _CORS_TOLD]

    async def _serve(self, scope: Scope, headers: Mapping[str, str], receive: Receive, answer: _Answer) -> None:
        verb = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = scope["raw_path"].decode("latin-1")
        if path == OPENAPI_PATH and verb == "GET":
            answer.method = "OpenApi"
            await answer.whole(200, _JSON, self._openapi)
            return
        if verb == "OPTIONS":
            await self._options(path, headers, answer)
            return
        binding, captures = self._router.match(verb, path)
        answer.method = binding.method.name
        signed_in = await self._signed_in(binding, headers)
        request = binding.request_type()
        _read_query(binding, request, scope["query_string"])
        for name, text in captures:
            codec.set_text(request, name, text)
        if binding.kind is Kind.UPLOAD:
            await answer.message(await self._upload(binding, request, headers, receive, signed_in))
        elif binding.kind is Kind.STREAM:
            await self._stream(request, headers, receive, answer, signed_in)
        else:
            if binding.body:
                await _read_body(binding, request, headers, receive)
                # The path names the resource, whatever the body says.
                for name, text in captures:
                    codec.set_text(request, name, text)
            _take_etag(request, headers)
            await answer.message(await self._call(binding, request, signed_in))

    async def _options(self, path: str, headers: Mapping[str, str], answer: _Answer) -> None:
        allowed = ", ".join(_OPENAPI_METHODS if path == OPENAPI_PATH else self._router.allowed(path)).encode()
        answer.method = "Options"
        told = [(b"allow", allowed)]
        if "access-control-request-method" in headers and self._cors_origins:
            told += [(b"access-control-allow-methods", allowed), *_CORS_ASKED]
        await answer.begin(204, told)
        await answer.end()

    async def _signed_in(self, binding: Binding, headers: Mapping[str, str]) -> SignedIn | None:
        try:
            signed_in = await self._principals.of(headers.get("authorization", ""))
        except Unavailable:
            # Who it is cannot be looked up now; what everybody may call needs no answer to that.
            if not binding.public:
                raise
            return None
        if signed_in is None and not binding.public:
            raise Unauthenticated("KEY_MISSING", "sign in to call this: send Authorization: Bearer and your API key")
        return signed_in

    async def _call(self, binding: Binding, request: Message, signed_in: SignedIn | None) -> Message:
        if binding.part == "gateway":
            principal = principal_of(signed_in)
            # Everybody may read their own account.
            if not (binding.public or binding.method.name == "GetAccount"):
                _require(principal, binding.permission)
            validate(request)
            return await self._own[binding.method.name](request, principal)
        with _answered_by(binding.part):
            reply: Message = await self._calls[binding.path](
                request, metadata=_metadata(signed_in), timeout=client.DEADLINE
            )
        return reply

    async def _upload(
        self,
        binding: Binding,
        request: Message,
        headers: Mapping[str, str],
        receive: Receive,
        signed_in: SignedIn | None,
    ) -> Message:
        """Passes the body on piece by piece; the first message carries the other fields."""
        most = self._largest_upload
        if int(headers.get("content-length") or 0) > most:
            raise _too_large(most)
        kind = headers.get("content-type", "application/octet-stream")
        message = request
        call = self._calls[binding.path](metadata=_metadata(signed_in))
        with _answered_by(binding.part):
            try:
                async for piece in _pieces(receive, most):
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
        return reply

    async def _stream(
        self,
        request: Message,
        headers: Mapping[str, str],
        receive: Receive,
        answer: _Answer,
        signed_in: SignedIn | None,
    ) -> None:
        assert isinstance(request, change_pb2.StreamChangesRequest), "the one stream that has a route"
        request.cursor = headers.get("last-event-id") or request.cursor
        validate(request)
        principal = principal_of(signed_in)
        _require(principal, "gateway.changes.watch")
        position = parse_position(request.cursor) if request.cursor else {}
        stream = await self._hub.subscribe(Selection(principal, request.kinds), position)
        gone = asyncio.create_task(_when_gone(receive, lambda: stream.finish("gone")))
        try:
            await answer.begin(200, _EVENT_STREAM)
            if not answer.head:
                async for chunk in stream.chunks():
                    await answer.piece(chunk)
                    principal = await self._seen_again(principal, headers)
                    stream.selection = Selection(principal, request.kinds)
            await answer.end()
        except (PermissionDenied, Unauthenticated):
            await answer.end()
        finally:
            gone.cancel()
            self._hub.leave(stream)

    async def _seen_again(self, principal: Principal, headers: Mapping[str, str]) -> Principal:
        """The principal as it is now, so that a key taken away or a reach that changed ends or narrows a stream."""
        try:
            found = principal_of(await self._principals.of(headers.get("authorization", "")))
        except Unavailable:
            return principal
        _require(found, "gateway.changes.watch")
        return found


class _Gone(Exception):
    """The client went away."""


class _Answer:
    """What is sent back; `status` is 0 until it begins. `head`: without a body. `also`: headers of every answer."""

    def __init__(self, send: Send, *, head: bool, also: Headers) -> None:
        self._send = send
        self._also = also
        self._always = _ALWAYS
        self.head = head
        self.status = 0
        self.trace = ""
        self.method = "unknown"
        """The method's name, for the metrics."""

    async def message(self, message: Message) -> None:
        """A resource or a response as JSON; a document as it is."""
        if message.DESCRIPTOR.full_name == HTTP_BODY:
            await self._document(message)
            return
        etag = getattr(message, "etag", "")
        headers = [*_JSON, (b"etag", f'"{etag}"'.encode())] if etag else _JSON
        await self.whole(200, headers, codec.to_json(message))

    async def _document(self, body: Any) -> None:
        kind = body.content_type or "application/octet-stream"
        self._always = _WITH_DOCUMENT
        await self.whole(200, [(b"content-type", kind.encode("latin-1")), (b"cache-control", b"no-store")], body.data)

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """An answer in one piece."""
        await self.begin(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": b"" if self.head else body})

    async def begin(self, status: int, headers: Headers) -> None:
        """Status and headers."""
        self.status = status
        trace = (b"x-trace-id", self.trace.encode())
        told = [*headers, *self._also, *self._always, trace]
        await self._send({"type": "http.response.start", "status": status, "headers": told})

    async def piece(self, chunk: bytes) -> None:
        """A piece of a stream."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        await self._send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def _answered_by(part: str) -> Iterator[None]:
    """Words for a service that did not answer: what gRPC says names addresses, and no remedy."""
    try:
        yield
    except grpc.RpcError as error:
        found = from_rpc_error(error)
        if found.reason == "UNAVAILABLE":
            raise Unavailable("UNAVAILABLE", f"the {part} cannot be reached now; try again", part=part) from error
        if found.reason == "DEADLINE_EXCEEDED":
            why = f"the {part} did not answer within {client.DEADLINE:.0f} s; try again, or ask for less at once"
            raise DeadlineExceeded("DEADLINE_EXCEEDED", why, part=part) from error
        raise found from error


def _require(principal: Principal, permission: str) -> None:
    if not principal.may(permission):
        why = f"{principal.subject} may not do this; it needs the permission {permission}"
        raise PermissionDenied("PERMISSION_MISSING", why, permission=permission)


def _metadata(signed_in: SignedIn | None) -> tuple[tuple[str, str], ...]:
    if signed_in is not None:
        return client.metadata(signed_in.token)
    parent = telemetry.traceparent()
    return ((telemetry.TRACEPARENT, parent),) if parent else ()


def _read_query(binding: Binding, request: Message, query: bytes) -> None:
    """Parameters of the URL into fields of the request. Raises InvalidArgument."""
    if not query:
        return
    try:
        pairs = parse_qsl(
            query.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        why = f"is not percent-encoded UTF-8 with at most {_MOST_PARAMETERS} parameters"
        raise InvalidArgument("query", why, "QUERY_INVALID") from None
    for name, text in pairs:
        if binding.body == "*":
            # URLs end up in logs and histories: what may be secret or personal must not travel in them.
            raise InvalidArgument(name[:200], "is not taken from the URL here; send it in the body", "QUERY_INVALID")
        codec.set_text(request, name, text)


def _take_etag(request: Message, headers: Mapping[str, str]) -> None:
    """If-Match goes into the request's etag, where it has one."""
    text = headers.get("if-match", "").removeprefix("W/").strip('"')
    if text and text != "*" and "etag" in request.DESCRIPTOR.fields_by_name:
        setattr(request, "etag", text)  # noqa: B010 - which message it is, the contract says


async def _read_body(binding: Binding, request: Message, headers: Mapping[str, str], receive: Receive) -> None:
    kind = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    body = b"".join([piece async for piece in _pieces(receive, _LARGEST_BODY)])
    if kind != "application/json" and body:
        raise InvalidArgument("Content-Type", f"{kind[:60]} is not taken here; send application/json", "CONTENT_TYPE")
    value = codec.loads(body) if body else {}
    if binding.body == "*":
        codec.merge(request, value)
    else:
        target = getattr(request, binding.body)
        target.SetInParent()
        codec.merge(target, value, codec.camel(binding.body))


async def _pieces(receive: Receive, most: int | None = None) -> AsyncIterator[bytes]:
    """The body in pieces of some size. Raises InvalidArgument BODY_TOO_LARGE beyond `most` bytes."""
    waiting = bytearray()
    total, more = 0, True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise _Gone
        chunk = event.get("body", b"")
        total += len(chunk)
        if most is not None and total > most:
            raise _too_large(most)
        waiting += chunk
        more = event.get("more_body", False)
        if len(waiting) >= _PIECE or (waiting and not more):
            yield bytes(waiting)
            waiting.clear()


def _too_large(most: int) -> InvalidArgument:
    return InvalidArgument("body", f"is larger than {most} bytes; send it in parts", "BODY_TOO_LARGE")


async def _when_gone(receive: Receive, then: Callable[[], None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    then()
