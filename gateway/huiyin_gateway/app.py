"""The ASGI application: routes requests to methods, and answers with JSON, server-sent events or problem documents."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import grpc
import grpc.aio
import structlog
from google.protobuf.message import Message
from huiyin.gateway.v1 import change_pb2
from huiyin_chassis import client, telemetry
from huiyin_chassis.errors import (
    DomainError,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
    from_rpc_error,
    internal,
)
from huiyin_chassis.validation import validate

from huiyin_gateway import codec
from huiyin_gateway.accounts import Handler
from huiyin_gateway.changes import Hub, Selection, parse_position
from huiyin_gateway.principals import Principals, SignedIn, principal_of
from huiyin_gateway.problems import Headers, problem
from huiyin_gateway.routes import Binding, Kind, Router

log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_LARGEST_BODY: Final = 8 * 1024 * 1024
_PIECE: Final = 256 * 1024
_JSON: Final = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
_EVENT_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_ALWAYS: Final = [(b"x-content-type-options", b"nosniff")]


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
    ) -> None:
        self._router = router
        self._own = own
        self._principals = principals
        self._hub = hub
        self._openapi = openapi
        self._largest_upload = largest_upload
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
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        answer = _Answer(send, head=scope["method"] == "HEAD")
        label = "unknown"
        with telemetry.span("http", headers.get(telemetry.TRACEPARENT, "")) as trace:
            answer.trace = trace
            try:
                label = await self._serve(scope, headers, receive, answer)
            except DomainError as error:
                await self._refuse(answer, error, headers)
            except grpc.RpcError as error:
                await self._refuse(answer, from_rpc_error(error), headers)
            except (asyncio.CancelledError, _Gone):
                pass
            except Exception:
                log.exception("http.failed", path=scope["path"], trace=trace)
                await self._refuse(answer, internal(trace), headers)
            seconds = time.perf_counter() - started
            telemetry.RPC_SECONDS.labels(label, str(answer.status)).observe(seconds)
            log.debug(
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

    async def _serve(self, scope: Scope, headers: Mapping[str, str], receive: Receive, answer: _Answer) -> str:
        """Answers a request; returns the method's name for the metrics."""
        verb, path = scope["method"], scope["path"]
        if path == "/v1/openapi.json" and verb in ("GET", "HEAD"):
            await answer.whole(200, _JSON, self._openapi)
            return "OpenApi"
        binding, captures = self._router.match("GET" if verb == "HEAD" else verb, path)
        signed_in = await self._principals.of(headers.get("authorization", ""))
        if signed_in is None and not binding.public:
            raise Unauthenticated("KEY_MISSING", "sign in to call this: send Authorization: Bearer and your API key")
        request = binding.request_type()
        query = scope["query_string"].decode("latin-1")
        for name, text in parse_qsl(query, keep_blank_values=True):
            codec.set_text(request, name, text)
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
        return str(binding.method.name)

    async def _call(self, binding: Binding, request: Message, signed_in: SignedIn | None) -> Message:
        if binding.part == "gateway":
            principal = principal_of(signed_in)
            # Everybody may read their own account.
            if not (binding.public or binding.method.name == "GetAccount" or principal.may(binding.permission)):
                raise PermissionDenied("PERMISSION_MISSING", f"this needs the permission {binding.permission}")
            validate(request)
            return await self._own[binding.method.name](request, principal)
        metadata = _metadata(signed_in)
        reply: Message = await self._calls[binding.path](request, metadata=metadata, timeout=client.DEADLINE)
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
        if int(headers.get("content-length") or 0) > self._largest_upload:
            raise _too_large(self._largest_upload)
        kind = headers.get("content-type", "application/octet-stream")

        async def messages() -> AsyncIterator[Message]:
            message, sent = request, 0
            async for piece in _pieces(receive):
                sent += len(piece)
                if sent > self._largest_upload:
                    raise _too_large(self._largest_upload)
                body = getattr(message, binding.body)
                body.content_type, body.data = kind, piece
                yield message
                message = binding.request_type()
            if not sent:
                yield message

        reply: Message = await self._calls[binding.path](messages(), metadata=_metadata(signed_in))
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
        principal = principal_of(signed_in)
        if not principal.may("gateway.changes.watch"):
            raise PermissionDenied("PERMISSION_MISSING", "this needs the permission gateway.changes.watch")
        validate(request)
        resume = headers.get("last-event-id") or request.cursor
        chunks = self._hub.stream(Selection(principal, request.kinds), parse_position(resume) if resume else {})
        gone = asyncio.create_task(_disconnected(receive))
        try:
            begun = False
            while True:
                following = asyncio.ensure_future(anext(chunks, None))
                await asyncio.wait({following, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                    return
                chunk = following.result()
                if chunk is None:
                    break
                if not begun:
                    await answer.begin(200, _EVENT_STREAM)
                    begun = True
                await answer.piece(chunk)
                if await self._signed_out(headers):
                    break
            await answer.end()
        finally:
            gone.cancel()
            await chunks.aclose()

    async def _signed_out(self, headers: Mapping[str, str]) -> bool:
        """Whether the key was taken away meanwhile; looked up again each minute, while the account can be looked up."""
        try:
            await self._principals.of(headers.get("authorization", ""))
        except Unauthenticated:
            return True
        except DomainError:
            return False
        return False


class _Gone(Exception):
    """The client went away."""


class _Answer:
    """What is sent back; `status` is 0 until it begins."""

    def __init__(self, send: Send, *, head: bool) -> None:
        self._send = send
        self._head = head
        self.status = 0
        self.trace = ""

    async def message(self, message: Message) -> None:
        """A resource or a response as JSON."""
        etag = getattr(message, "etag", "")
        headers = [*_JSON, (b"etag", f'"{etag}"'.encode())] if etag else _JSON
        await self.whole(200, headers, codec.to_json(message))

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        """An answer in one piece."""
        await self.begin(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self._send({"type": "http.response.body", "body": b"" if self._head else body})

    async def begin(self, status: int, headers: Headers) -> None:
        """Status and headers."""
        self.status = status
        trace = [(b"x-trace-id", self.trace.encode())] if self.trace else []
        await self._send({"type": "http.response.start", "status": status, "headers": [*headers, *_ALWAYS, *trace]})

    async def piece(self, chunk: bytes) -> None:
        """A piece of a stream."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        await self._send({"type": "http.response.body", "body": b""})


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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return
