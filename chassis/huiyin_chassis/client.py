"""Calling another process: a channel that finds it again soon after a restart, and what goes with each call."""

from __future__ import annotations

from typing import Final

import grpc.aio

from huiyin_chassis import telemetry

DEADLINE: Final = 10.0
"""Seconds that a unary call between processes may take; give it as `timeout=`."""

_OPTIONS: Final = [
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
    ("grpc.max_send_message_length", 32 * 1024 * 1024),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


def connect(address: str) -> grpc.aio.Channel:
    """A channel to host:port. It connects when first used and again, within a second or so, when it broke."""
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


def metadata(token: str) -> tuple[tuple[str, str], ...]:
    """What goes with a call: the caller's token, and the trace of the call being served if there is one."""
    authorization = ("authorization", f"Bearer {token}")
    parent = telemetry.traceparent()
    return (authorization, (telemetry.TRACEPARENT, parent)) if parent else (authorization,)
