"""The application: routes requests to methods, and answers with JSON, streams or problem documents."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Collection, Mapping
from typing import Any, Final

import structlog
from google.protobuf.message import Message
from huiyin.gateway.v1 import change_pb2
from huiyin_chassis import client, reasons, telemetry
from huiyin_chassis.errors import (
    DomainError,
    InvalidArgument,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    internal,
)
from huiyin_chassis.identity import Principal
from huiyin_chassis.validation import validate

from huiyin_gateway import refusals
from huiyin_gateway.accounts import Handler
from huiyin_gateway.answers import Answer, tag_of
from huiyin_gateway.audience import Selection
from huiyin_gateway.calls import Calls
from huiyin_gateway.changes import LINES, SERVER_SENT_EVENTS, Hub, parse_position
from huiyin_gateway.connection import Exchange, Gone, head_of
from huiyin_gateway.pages import Pages
from huiyin_gateway.principals import Principals, SignedIn, principal_of
from huiyin_gateway.routes import Binding, Kind, Router
from huiyin_gateway.transcoding import Transcoder

log = structlog.get_logger(__name__)

_LARGEST_BODY: Final = 8 * 1024 * 1024
_BODIES: Final = 256 * 1024 * 1024
"""Bytes of all bodies that are being received to be read as a whole."""
_SLOW: Final = 1.0
"""Seconds from which on an answer is told in the log, though nothing was wrong."""
_PAGE_METHODS: Final = ("GET", "HEAD", "OPTIONS")
_PIECE: Final = 256 * 1024
_CORS_TOLD: Final = (
    b"access-control-expose-headers",
    b"ETag, Allow, Retry-After, X-Trace-Id, Content-Disposition, Content-Language",
)
_CORS_ASKED: Final = [
    (
        b"access-control-allow-headers",
        b"Accept-Language, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, "
        b"Prefer, traceparent",
    ),
    (b"access-control-max-age", b"600"),
]
_WAIT: Final = re.compile(r"(?:^|[,;\s])wait=(\d{1,6}(?:\.\d{1,3})?)(?:[,;\s]|$)", re.IGNORECASE)


class Gateway:
    """Serves every route of the contracts, and the pages that tell of them."""

    def __init__(
        self,
        router: Router,
        calls: Calls,
        own: Mapping[str, Handler],
        principals: Principals,
        hub: Hub,
        pages: Pages,
        *,
        largest_upload: int,
        cors_origins: Collection[str] = (),
    ) -> None:
        self._router = router
        self._calls = calls
        self._own = own
        self._principals = principals
        self._hub = hub
        self._pages = pages
        self._largest_upload = largest_upload
        self._cors_origins = frozenset(cors_origins)
        self._observed: dict[tuple[str, int], Any] = {}
        self._transcoders = {id(binding): Transcoder(binding) for binding in router.bindings}
        self._bodies = 0
        self._reasons: dict[int, frozenset[str]] = {}

    async def serve(self, exchange: Exchange) -> None:
        """Answers one request."""
        started = time.perf_counter()
        headers = exchange.headers
        with telemetry.span("http", headers.get(telemetry.TRACEPARENT, "")) as trace:
            answer = Answer(exchange, trace, self._cors(headers.get("origin", "")) if self._cors_origins else b"")
            try:
                if exchange.fault is not None:
                    raise exchange.fault
                await self._serve(exchange, answer)
            except DomainError as error:
                if answer.binding is not None:
                    self._compare(answer.binding, error)
                answer.refuse(error)
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

    def _compare(self, binding: Binding, error: DomainError) -> None:
        known = self._reasons.get(id(binding))
        if known is None:
            known = self._reasons[id(binding)] = refusals.reasons_of(binding)
        reasons.compare(binding.method.full_name, known, error)

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

    async def _serve(self, exchange: Exchange, answer: Answer) -> None:
        verb = "GET" if exchange.verb == "HEAD" else exchange.verb
        path, headers = exchange.path, exchange.headers
        if verb == "GET" and (page := self._pages.find(path)) is not None:
            answer.method = "Page"
            answer.page(page)
            return
        if verb == "OPTIONS":
            self._options(path, headers, answer)
            return
        binding, captured = self._router.match(verb, path)
        answer.binding, answer.method = binding, binding.method.name
        authorization = headers.get("authorization", "")
        signed_in = self._principals.known(authorization) or await self._signed_in(binding, authorization)
        transcoder = self._transcoders[id(binding)]
        request = transcoder.request(captured, exchange.query)
        if binding.kind is Kind.STREAM:
            await self._stream(request, exchange, answer, signed_in)
        elif binding.part == "gateway":
            await self._read(binding, transcoder, request, exchange, captured)
            answer.message(await self._answer_itself(binding, request, signed_in), transcoder)
        elif binding.kind is Kind.UPLOAD:
            with self._calls.place(binding.part):
                _take_headers(transcoder, request, exchange)
                answer.message(await self._upload(binding, request, exchange, signed_in), transcoder)
        else:
            self._calls.check(binding.part)
            await self._read(binding, transcoder, request, exchange, captured)
            with self._calls.place(binding.part):
                reply = await self._calls.unary(binding, request, exchange, signed_in, _seconds(headers))
                answer.message(reply, transcoder)
                if exchange.blocked:  # its bytes wait in memory: the place is free when the client has taken them
                    await exchange.drained()

    def _options(self, path: str, headers: Mapping[str, str], answer: Answer) -> None:
        known = path == "*" or self._pages.find(path) is not None
        allowed = ", ".join(_PAGE_METHODS if known else self._router.allowed(path)).encode()
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

    async def _read(
        self, binding: Binding, transcoder: Transcoder, request: Any, exchange: Exchange, captured: list[str]
    ) -> None:
        """What body and headers give of a request."""
        if transcoder.takes_document:
            document = transcoder.document(request)
            document.data = await self._whole(exchange)
            document.content_type = exchange.headers.get("content-type", "application/octet-stream")
        elif binding.body:
            kind = exchange.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
            body = await self._whole(exchange)
            if kind != "application/json" and body:
                why = f"{kind[:60]} is not taken here; send application/json"
                raise InvalidArgument("Content-Type", why, "CONTENT_TYPE")
            transcoder.read_body(request, body, captured)
        _take_headers(transcoder, request, exchange)

    async def _answer_itself(self, binding: Binding, request: Message, signed_in: SignedIn | None) -> Message:
        principal = principal_of(signed_in)
        # Everybody may read their own account.
        if not (binding.public or binding.method.name == "GetAccount"):
            _require(principal, binding.permission)
        validate(request)
        return await self._own[binding.method.name](request, principal)

    async def _upload(
        self, binding: Binding, request: Message, exchange: Exchange, signed_in: SignedIn | None
    ) -> Message:
        # What the service would refuse is refused here: it would end the call while the file is still on its way, and
        # what it said of it might be lost.
        if not binding.public:
            _require(principal_of(signed_in), binding.permission)
        validate(request)
        most = self._largest_upload
        if int(exchange.headers.get("content-length") or 0) > most:
            raise _too_large(most)
        kind = exchange.headers.get("content-type", "application/octet-stream")
        return await self._calls.upload(binding, request, kind, _pieces(exchange, most), signed_in)

    async def _whole(self, exchange: Exchange) -> bytes:
        """The body. Raises InvalidArgument where it is too large, Unavailable where all bodies together are."""
        if int(exchange.headers.get("content-length") or 0) > _LARGEST_BODY:
            raise _too_large(_LARGEST_BODY)
        taken = 0
        pieces = []
        try:
            async for piece in _pieces(exchange, _LARGEST_BODY):
                pieces.append(piece)
                taken += len(piece)
                self._bodies += len(piece)
                if self._bodies > _BODIES:
                    why = "too much is being sent at once; try again in a moment"
                    raise Unavailable("TOO_MANY_REQUESTS", why, retry_after="1")
        finally:
            self._bodies -= taken
        return b"".join(pieces)

    async def _stream(self, request: Message, exchange: Exchange, answer: Answer, signed_in: SignedIn | None) -> None:
        assert isinstance(request, change_pb2.StreamChangesRequest), "the one stream that has a route"
        request.cursor = exchange.headers.get("last-event-id") or request.cursor
        validate(request)
        principal = principal_of(signed_in)
        _require(principal, "gateway.changes.watch")
        position = parse_position(request.cursor) if request.cursor else {}
        as_lines = "application/x-ndjson" in exchange.headers.get("accept", "").lower()
        form = LINES if as_lines else SERVER_SENT_EVENTS
        selection = Selection(principal, request.kinds, request.units, request.least_grade)
        stream = await self._hub.subscribe(selection, position, form)
        exchange.on_lost = lambda: stream.finish("gone")

        async def seen_again() -> Selection:
            found = await self._seen_again(stream.selection.principal, exchange.headers)
            return Selection(found, request.kinds, request.units, request.least_grade)

        try:
            answer.begin(200, form.head)
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


def _require(principal: Principal, permission: str) -> None:
    if not principal.may(permission):
        why = f"{principal.subject} may not do this; it needs the permission {permission}"
        raise PermissionDenied("PERMISSION_MISSING", why, permission=permission)


def _seconds(headers: Mapping[str, str]) -> float:
    """How long a call may take: what the client would wait (Prefer: wait=…, RFC 7240), but no longer than ever."""
    prefer = headers.get("prefer")
    found = _WAIT.search(prefer) if prefer else None
    return min(float(found[1]), client.DEADLINE) if found else client.DEADLINE


def _take_headers(transcoder: Transcoder, request: Any, exchange: Exchange) -> None:
    """Idempotency-Key goes into request_id, If-Match into the etag, and what the contract says into other fields.

    Raises InvalidArgument where that cannot be.
    """
    headers = exchange.headers
    for field, header in transcoder.headers.items():
        setattr(request, field, headers.get(header, ""))
    if transcoder.request_id and (key := headers.get("idempotency-key", "").strip('" ')):
        if request.request_id not in ("", key):
            raise InvalidArgument("Idempotency-Key", "differs from requestId in the body; send one of them")
        request.request_id = key
    match = headers.get("if-match", "*").strip()
    if match in ("", "*") or exchange.verb in ("GET", "HEAD"):
        return
    if transcoder.etag is None:
        why = "cannot be kept here, for the method takes no etag; leave it out"
        raise InvalidArgument("If-Match", why, "PRECONDITION_UNSUPPORTED")
    target = getattr(request, transcoder.etag) if transcoder.etag else request
    target.etag = tag_of(match)


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
