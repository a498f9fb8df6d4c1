"""Traces and metrics. A trace id goes with every call; spans are made only when an OTLP endpoint is set.

Trace context is that of W3C (traceparent). OpenTelemetry is imported only with an endpoint, so that a process without
one neither waits nor pays for it.
"""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Final

from prometheus_client import Counter, Histogram

TRACEPARENT: Final = "traceparent"
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_current: ContextVar[tuple[str, str]] = ContextVar("trace", default=("", ""))
_tracer: Any = None

RPC_SECONDS = Histogram(
    "huiyin_rpc_seconds",
    "Duration of calls served, by method and status code; of streams until their end.",
    ("method", "code"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
WORKER_CRASHES = Counter("huiyin_worker_crashes_total", "Background loops that ended by an error.", ("worker",))


def configure_tracing(process: str, endpoint: str) -> None:
    """Sends spans to an OTLP endpoint over gRPC; does nothing without one."""
    global _tracer
    if not endpoint:
        return
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": f"huiyin-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _tracer = trace.get_tracer("huiyin")


def trace_id() -> str:
    """The trace of the call being served, 32 hexadecimal digits; empty outside of one."""
    return _current.get()[0]


def traceparent() -> str:
    """The header that carries the trace on to the next call; empty outside of one."""
    trace, span = _current.get()
    return f"00-{trace}-{span}-01" if trace else ""


@contextlib.contextmanager
def span(name: str, parent: str = "") -> Iterator[str]:
    """Serves a call in the trace that `parent` names, or a new one; gives its trace id."""
    found = _TRACEPARENT.fullmatch(parent)
    trace = found[1] if found else _random_hex(16)
    if _tracer is None:
        token = _current.set((trace, _random_hex(8)))
        try:
            yield trace
        finally:
            with contextlib.suppress(ValueError):  # a stream may be closed in another context than it was opened in
                _current.reset(token)
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if found else None
    with _tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER) as current:
        ids = current.get_span_context()
        token = _current.set((f"{ids.trace_id:032x}", f"{ids.span_id:016x}"))
        try:
            yield f"{ids.trace_id:032x}"
        finally:
            with contextlib.suppress(ValueError):
                _current.reset(token)


def _random_hex(count: int) -> str:
    """No secret: the system's own source would let go of the interpreter's lock, which costs more than the digits."""
    return random.randbytes(count).hex()  # noqa: S311
