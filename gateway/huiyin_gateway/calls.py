"""Calls of the services: each with the caller's token, a deadline, a place among those under way, and a circuit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import Message
from huiyin_chassis import client, telemetry
from huiyin_chassis.errors import Aborted, DeadlineExceeded, DomainError, Unavailable, from_rpc_error

from huiyin_gateway.connection import Exchange, Gone
from huiyin_gateway.principals import SignedIn
from huiyin_gateway.routes import Binding, Kind

AT_ONCE: Final = 256
"""Calls under way at most, of all services together; what comes beyond is refused at once."""
_OF_ONE: Final = 0.6
"""The share of them that one service may take, so that one that hangs leaves room for the others."""
_ENDED_EARLY: Final = "Internal error from Core"
"""What gRPC says where a call ended while a message was being written; the status that it ended with is lost."""
_FAILURES: Final = 5
_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 8.0


class Circuit:
    """Whether a service is called at all: not while one call after another has run out of time. `now` is given, in
    seconds that only grow. A service that cannot be reached is no matter of this: gRPC says so at once.
    """

    __slots__ = ("_failures", "_name", "_pause", "_trying", "_until")

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0
        self._pause = _PAUSE
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Calls are refused."""
        return self._failures >= _FAILURES

    def admit(self, now: float) -> None:
        """Lets a call through, or after a pause one to try. Raises Unavailable."""
        if self._failures < _FAILURES:
            return
        if now < self._until or self._trying:
            rest = max(1, round(self._until - now))
            why = f"the {self._name} has not answered for some time; try again in {rest} s"
            raise Unavailable("SERVICE_DOWN", why, part=self._name, retry_after=str(rest))
        self._trying = True

    def answered(self) -> None:
        """A call was answered, be it with an error."""
        self._failures, self._pause, self._trying = 0, _PAUSE, False

    def ran_out(self, now: float) -> None:
        """A call ran out of time."""
        self._failures += 1
        if self._failures >= _FAILURES:
            self._until = now + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        self._trying = False

    def given_up(self) -> None:
        """A call ended without telling anything of the service."""
        self._trying = False


class Calls:
    """The methods of the services, called by the binding of a route."""

    def __init__(
        self, bindings: Iterable[Binding], channels: Mapping[str, grpc.aio.Channel], *, at_once: int = AT_ONCE
    ) -> None:
        self._at_once = at_once
        self._of_one = max(1, int(at_once * _OF_ONE))
        self._under_way = dict.fromkeys(channels, 0)
        self.circuits = {part: Circuit(part) for part in channels}
        self._methods: dict[str, Any] = {}
        for binding in bindings:
            if binding.part in channels:
                channel: Any = channels[binding.part]
                make = channel.stream_unary if binding.kind is Kind.UPLOAD else channel.unary_unary
                self._methods[binding.path] = make(
                    binding.path,
                    request_serializer=binding.request_type.SerializeToString,
                    response_deserializer=binding.response_type.FromString,
                )

    def check(self, part: str) -> None:
        """Refuses early what could not be called now: before a body is read. Raises Unavailable."""
        if sum(self._under_way.values()) >= self._at_once:
            raise _too_many("all services")
        if self._under_way.get(part, 0) >= self._of_one:
            raise _too_many(f"the {part}")

    @contextmanager
    def place(self, part: str) -> Iterator[None]:
        """A place among the calls under way, kept until the client has taken the answer. Raises Unavailable."""
        self.check(part)
        self._under_way[part] += 1
        try:
            yield
        finally:
            self._under_way[part] -= 1

    async def unary(
        self, binding: Binding, request: Message, exchange: Exchange, signed_in: SignedIn | None, seconds: float
    ) -> Message:
        """One call, at most so long, and no longer than the client is there. Raises DomainError or Gone."""
        circuit = self.circuits[binding.part]
        circuit.admit(time.monotonic())
        call = self._methods[binding.path](request, metadata=_metadata(signed_in), timeout=seconds)
        exchange.on_lost = call.cancel
        try:
            reply: Message = await call
        except grpc.RpcError as error:
            found = from_rpc_error(error)
            if found.reason == "DEADLINE_EXCEEDED" and seconds > client.DEADLINE / 2:
                circuit.ran_out(time.monotonic())
            else:
                circuit.answered()
            raise _told(binding.part, found, seconds) from error
        except asyncio.CancelledError:
            circuit.given_up()
            if exchange.lost:
                raise Gone from None
            raise
        circuit.answered()
        return reply

    async def upload(
        self, binding: Binding, request: Any, kind: str, pieces: AsyncIterator[bytes], signed_in: SignedIn | None
    ) -> Message:
        """Passes a body on piece by piece; the first message carries the other fields."""
        message = request
        call = self._methods[binding.path](metadata=_metadata(signed_in))
        try:
            try:
                async for piece in pieces:
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
            found = from_rpc_error(error)
            if found.message == _ENDED_EARLY:
                why = f"the {binding.part} ended it before the file was whole; see that what the path names exists"
                raise Aborted("UPLOAD_REFUSED", why, part=binding.part) from error
            raise _told(binding.part, found, client.DEADLINE) from error
        return reply


def _told(part: str, found: DomainError, seconds: float) -> DomainError:
    """Words for a service that did not answer: what gRPC says names addresses, and no remedy."""
    if found.reason == "UNAVAILABLE":
        return Unavailable("UNAVAILABLE", f"the {part} cannot be reached now; try again", part=part)
    if found.reason == "DEADLINE_EXCEEDED":
        why = f"the {part} did not answer within {seconds:.3g} s; try again, or ask for less at once"
        return DeadlineExceeded("DEADLINE_EXCEEDED", why, part=part)
    return found


def _too_many(what: str) -> Unavailable:
    why = f"{what} have as many calls under way as they take; try again in a moment"
    return Unavailable("TOO_MANY_REQUESTS", why, retry_after="1")


def _metadata(signed_in: SignedIn | None) -> tuple[tuple[str, str], ...]:
    if signed_in is not None:
        return client.metadata(signed_in.token)
    parent = telemetry.traceparent()
    return ((telemetry.TRACEPARENT, parent),) if parent else ()
