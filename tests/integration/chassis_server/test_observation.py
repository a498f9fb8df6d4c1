"""What a process tells of itself: its log lines, and its spans where an endpoint is set."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

TRACE = "a" * 32

LOGGING = f"""
import logging, sys, structlog
from huiyin_chassis import telemetry
from huiyin_chassis.logs import configure_logging
configure_logging("collector", "info")
log = structlog.get_logger()
with telemetry.span("call", "00-{TRACE}-{"b" * 16}-01"):
    log.info("post.created", post="posts/1", place="A市")
    log.debug("post.read")
logging.getLogger("library").warning("careful")
try:
    text = "what somebody wrote"
    raise RuntimeError("broken")
except RuntimeError:
    log.exception("work.failed")
print("opentelemetry" in sys.modules)
"""

TRACING = """
import sys
from huiyin_chassis import telemetry
telemetry.configure_tracing("collector", sys.argv[1])
with telemetry.span("GetPost", sys.argv[2]) as trace:
    print(trace, telemetry.traceparent())
"""


def ran(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done


def test_a_log_line_is_an_event_with_process_level_time_and_trace() -> None:
    done = ran(LOGGING)
    event, warning, failure = (json.loads(line) for line in done.stderr.splitlines())
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "post.created",
        "post": "posts/1",
        "place": "A市",
        "level": "info",
        "process": "collector",
        "trace": TRACE,
    }
    assert (warning["event"], warning["level"], "trace" in warning) == ("careful", "warning", False)
    assert "RuntimeError: broken" in failure["exception"] and "what somebody wrote\n" not in failure["exception"]
    assert done.stdout == "False\n", "without an endpoint OpenTelemetry is not even imported"


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """An OTLP endpoint that keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.received = threading.Event()

    def Export(self, request: Any, context: Any) -> Any:
        for resource in request.resource_spans:
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        self.received.set()
        return trace_service_pb2.ExportTraceServiceResponse()


def test_spans_go_to_the_endpoint_in_the_trace_of_the_caller() -> None:
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        done = ran(TRACING, f"http://127.0.0.1:{port}", f"00-{TRACE}-{'b' * 16}-01")
        assert collector.received.wait(10)
    finally:
        server.stop(0)
    (span,) = collector.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("GetPost", TRACE, "b" * 16)
    assert done.stdout.split() == [TRACE, f"00-{TRACE}-{span.span_id.hex()}-01"]
