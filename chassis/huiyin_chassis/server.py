"""The gRPC server of every process: identity, permission, validation, errors, traces, metrics, health, drain.

One interceptor does what every call needs, in this order: trace, principal, permission, validation, the call, errors.
Who may call a method stands in its contract (huiyin.type.v1.access); a method without it is refused at start.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from huiyin.type.v1 import options_pb2, process_pb2, process_pb2_grpc
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from huiyin_chassis import clock, reasons, telemetry
from huiyin_chassis.backoff import Backoff
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.consumer import standings
from huiyin_chassis.errors import (
    DETAILS_KEY,
    DeadlineExceeded,
    DomainError,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    internal,
    shortened,
    to_status,
)
from huiyin_chassis.identity import ANONYMOUS, Principal, Verifier, set_current_principal
from huiyin_chassis.store import Store
from huiyin_chassis.validation import validate

log = structlog.get_logger(__name__)

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
LONGEST_CALL: Final = 60.0
"""Seconds that a unary call may take whose caller gave no deadline."""
_SLOW: Final = 1.0
_LONGEST_MESSAGE: Final = 600
_BEARER: Final = "bearer "

Worker = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Service:
    """A service to be served: its descriptor, the generated add…ToServer, and the servicer."""

    descriptor: ServiceDescriptor
    add: Callable[[Any, Any], None]
    servicer: object


class _Process(process_pb2_grpc.ProcessServiceServicer):
    """How the process is, for the gateway's status."""

    async def GetProcess(
        self, request: process_pb2.GetProcessRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> process_pb2.GetProcessResponse:
        response = process_pb2.GetProcessResponse()
        for standing in await standings():
            feed = response.feeds.add(feed=standing.name, set_aside=standing.set_aside)
            feed.lag.FromMicroseconds(round(standing.lag * 1e6))
        return response


_PROCESS: Final = Service(
    process_pb2.DESCRIPTOR.services_by_name["ProcessService"],
    process_pb2_grpc.add_ProcessServiceServicer_to_server,
    _Process(),
)


class Server:
    """Serves services of one process until it is told to stop.

    `port` is the one that is bound, after start(). Background loops go to `run` as workers; one that fails is logged
    and started again after a pause.
    """

    def __init__(self, name: str, settings: ProcessSettings, services: Sequence[Service]) -> None:
        self._name = name
        self._settings = settings
        self._services = [*services, _PROCESS]
        self._health = health_aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._observed: asyncio.Server | None = None
        self._ready = False
        self.port = 0

    async def start(self) -> None:
        """Binds and serves; the health check says SERVING from now on. Raises Unavailable when the port is taken."""
        settings = self._settings
        gate = _Gate(Verifier(settings.public_keys), [service.descriptor for service in self._services])
        server = grpc.aio.server(
            interceptors=[gate],
            options=[
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ],
        )
        for service in self._services:
            service.add(service.servicer, server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = [service.descriptor.full_name for service in self._services]
        if settings.environment == "development":
            from grpc_reflection.v1alpha import reflection

            reflection.enable_server_reflection(
                (*names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME), server
            )
        try:
            self.port = server.add_insecure_port(f"{settings.host}:{settings.port}")
        except RuntimeError as error:
            raise _port_taken(settings.port, "HUIYIN_PORT") from error
        await server.start()
        self._server = server
        await self._observe()
        for name in ("", *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._ready = True
        log.info("server.started", port=self.port)

    async def stop(self, store: Store | None = None) -> None:
        """Says NOT_SERVING, ends the streams, lets calls under way finish within the drain time."""
        self._ready = False
        await self._health.enter_graceful_shutdown()
        if store is not None:
            store.stop_watches()
        if self._server is not None:
            await self._server.stop(self._settings.drain_seconds)
        if self._observed is not None:
            self._observed.close()
        log.info("server.stopped")

    async def run(self, workers: Mapping[str, Worker], store: Store | None = None) -> None:
        """Serves, with its workers, until SIGTERM or SIGINT; then drains, stops the workers and closes the store."""
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await self.start()
        tasks = [asyncio.create_task(supervise(name, worker), name=name) for name, worker in workers.items()]
        await stopping.wait()
        await self.stop(store)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if store is not None:
            await store.close()

    async def _observe(self) -> None:
        settings = self._settings
        if settings.metrics_port:
            self._observed = await serve_observation(settings.host, settings.metrics_port, lambda: self._ready)


async def supervise(name: str, worker: Worker) -> None:
    """Runs a background loop; one that raises is logged and started again after a pause that grows."""
    backoff, failures = Backoff(), 0
    while True:
        started = time.monotonic()
        try:
            await worker()
            return
        except Exception as error:
            failures = 1 if time.monotonic() - started > 60 else failures + 1
            telemetry.WORKER_CRASHES.labels(name).inc()
            log.exception("worker.failed", worker=name, error=type(error).__name__)
        await asyncio.sleep(backoff.delay(failures))


async def serve_observation(host: str, port: int, ready: Callable[[], bool]) -> asyncio.Server:
    """Serves /metrics (Prometheus), /healthz (the process lives) and /readyz (it serves) over plain HTTP."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(5):
                head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1].split(b"?")[0] if head.count(b" ") >= 2 else b""
            status, kind, body = b"200 OK", b"text/plain", b"ok\n"
            if path == b"/metrics":
                kind, body = CONTENT_TYPE_LATEST.encode(), generate_latest()
            elif path == b"/readyz" and not ready():
                status, body = b"503 Service Unavailable", b"not ready\n"
            elif path not in (b"/healthz", b"/readyz"):
                status, body = b"404 Not Found", b"try /metrics, /healthz or /readyz\n"
            writer.write(
                b"HTTP/1.1 %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
                % (status, kind, len(body), body)
            )
            await writer.drain()
        writer.close()

    try:
        return await asyncio.start_server(answer, host, port)
    except OSError as error:
        raise _port_taken(port, "HUIYIN_METRICS_PORT") from error


def _port_taken(port: int, variable: str) -> Unavailable:
    return Unavailable("PORT_TAKEN", f"port {port} is in use; stop what uses it, or set {variable} to another one")


class _Gate(grpc.aio.ServerInterceptor):
    """What every call of ours passes. Calls of other packages (health, reflection) pass untouched."""

    def __init__(self, verifier: Verifier, services: Sequence[ServiceDescriptor]) -> None:
        self._verifier = verifier
        self._methods: dict[str, MethodDescriptor] = {}
        self._handlers: dict[str, Any] = {}
        for service in services:
            for method in service.methods:
                if not _access(method).permission:
                    raise ValueError(f"{method.full_name} does not declare huiyin.type.v1.access")
                self._methods[f"/{service.full_name}/{method.name}"] = method

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        path = handler_call_details.method
        found = self._handlers.get(path)
        if found is not None:
            return found
        handler = await continuation(handler_call_details)
        method = self._methods.get(path)
        if method is None or handler is None:
            return handler
        self._handlers[path] = wrapped = self._wrap(method, handler)
        return wrapped

    def _wrap(self, method: MethodDescriptor, handler: Any) -> Any:
        codec = (handler.request_deserializer, handler.response_serializer)
        access, called = _access(method), _Called(method.name, method.full_name, reasons.declared(method))

        async def unary(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with _call(called, context):
                self._admit(access, context)
                validate(request)
                if context.time_remaining() is not None:
                    return await handler.unary_unary(request, context)
                return await _in_time(handler.unary_unary(request, context))

        async def collecting(requests: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            async with _call(called, context):
                self._admit(access, context)
                return await handler.stream_unary(_first_validated(requests), context)

        async def streaming(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            async with _call(called, context):
                principal = self._admit(access, context)
                validate(request)
                async with contextlib.aclosing(handler.unary_stream(request, context)) as responses:
                    with contextlib.suppress(StopAsyncIteration):
                        while True:
                            yield await _while_valid(principal, responses)
                _check_valid(principal)

        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(unary, *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(collecting, *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(streaming, *codec)
        raise ValueError(f"{method.full_name} streams both ways, which no part does")

    def _admit(self, access: options_pb2.Access, context: grpc.aio.ServicerContext[Any, Any]) -> Principal:
        """The caller's principal, once it may call the method. Raises Unauthenticated or PermissionDenied."""
        principal = ANONYMOUS
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                text = value.decode() if isinstance(value, bytes) else value
                if not text[: len(_BEARER)].lower() == _BEARER:
                    raise Unauthenticated("TOKEN_INVALID", "the authorization metadata must be: Bearer TOKEN")
                principal = self._verifier.verify(text[len(_BEARER) :])
        set_current_principal(principal)
        if access.public or principal.may(access.permission):
            return principal
        if principal.is_anonymous:
            raise Unauthenticated("TOKEN_MISSING", "sign in to call this; only some methods are public")
        raise PermissionDenied(
            "PERMISSION_MISSING",
            f"{principal.subject} may not do this; it needs the permission {access.permission}",
            permission=access.permission,
        )


@dataclass(frozen=True, slots=True)
class _Called:
    """A method as its calls are told of, and the reasons that they may end with."""

    label: str
    full_name: str
    reasons: frozenset[str]


def _access(method: MethodDescriptor) -> options_pb2.Access:
    found: options_pb2.Access = method.GetOptions().Extensions[options_pb2.access]
    return found


async def _first_validated(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    """The first message carries every field, those after it only the next piece."""
    first = True
    async for request in requests:
        if first:
            validate(request)
            first = False
        yield request


async def _in_time(reply: Awaitable[Any]) -> Any:
    """The reply to a caller who gave no deadline. Raises DeadlineExceeded after LONGEST_CALL."""
    try:
        async with asyncio.timeout(LONGEST_CALL) as limit:
            return await reply
    except TimeoutError:
        if not limit.expired():
            raise
        text = f"this took longer than {LONGEST_CALL:.0f} seconds; ask for less, or give a deadline of your own"
        raise DeadlineExceeded("CALL_TOO_LONG", text) from None


async def _while_valid(principal: Principal, responses: AsyncIterator[Any]) -> Any:
    """The next response of a stream. Raises Unauthenticated as soon as the caller's token expires."""
    _check_valid(principal)
    try:
        async with asyncio.timeout((principal.expires - clock.now()).total_seconds()) as limit:
            return await anext(responses)
    except TimeoutError:
        if not limit.expired():
            raise
        raise _expired() from None


def _check_valid(principal: Principal) -> None:
    if clock.now() >= principal.expires:
        raise _expired()


def _expired() -> Unauthenticated:
    return Unauthenticated("TOKEN_EXPIRED", "the token has expired; open the stream again from the last cursor")


@contextlib.asynccontextmanager
async def _call(called: _Called, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    """Trace, metrics and errors of one call."""
    started = time.perf_counter()
    parent = ""
    for key, value in context.invocation_metadata() or ():
        if key == telemetry.TRACEPARENT:
            parent = value.decode() if isinstance(value, bytes) else value
    code, reason, label = "OK", "", called.label
    with telemetry.span(label, parent) as trace:
        try:
            yield
        except DomainError as error:
            code, reason = error.code.name, error.reason
            reasons.compare(called.full_name, called.reasons, error)
            await _abort(context, error)
        except grpc.aio.AbortError:
            code = "ABORTED"
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except GeneratorExit:
            raise
        except Exception:
            code = "INTERNAL"
            log.exception("rpc.failed", method=label)
            await _abort(context, internal(trace))
        finally:
            seconds = time.perf_counter() - started
            telemetry.RPC_SECONDS.labels(label, code).observe(seconds)
            tell = log.debug if code == "OK" and seconds < _SLOW else log.info
            tell("rpc.served", method=label, code=code, reason=reason, seconds=round(seconds, 6))


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: DomainError) -> None:
    context.set_trailing_metadata(((DETAILS_KEY, to_status(error).SerializeToString()),))
    # A character may need nine bytes here; the whole sentence stands in the status.
    await context.abort(error.code, shortened(error.message, _LONGEST_MESSAGE))
