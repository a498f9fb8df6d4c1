"""A client's connection: HTTP/1.1 on httptools, with a limit on everything that a client could make larger or slower.

What a client sends wrongly becomes a `fault` of its exchange, so that one place, the application, words every answer.
A request is read no further than its head before the application asks for its body.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from http import HTTPStatus
from math import inf
from typing import Any, Final

import httptools
from huiyin_chassis.errors import DomainError, InvalidArgument, Unavailable

Headers = list[tuple[bytes, bytes]]
Serve = Callable[["Exchange"], Coroutine[Any, Any, None]]

_HIGH_WATER: Final = 64 * 1024
"""Bytes of a body, or of answers, that wait for their reader before the other side is made to wait."""
_PIPELINE: Final = 16
"""Requests that wait behind one of the same connection."""
_LINGER_SECONDS: Final = 2.0
_ONCE: Final = frozenset(
    {"host", "authorization", "content-type", "content-length", "idempotency-key", "last-event-id"}
)
_NO_LENGTH: Final = frozenset({204, 304})
_LAST_CHUNK: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a connection may take. Seconds are kept to within one or two."""

    connections: int = 5000
    head_bytes: int = 32 * 1024
    head_lines: int = 100
    head_seconds: float = 10.0
    """From the first byte of a request to the end of its headers."""
    body_seconds: float = 20.0
    """That a body may stand still, or fall behind `body_bytes_per_s`."""
    body_bytes_per_s: int = 1024
    idle_seconds: float = 65.0
    """Between requests."""
    write_seconds: float = 30.0
    """That a client may take nothing of what waits for it."""


@dataclass(slots=True)
class Listening:
    """What the connections of a server share."""

    serve: Serve
    limits: Limits
    connections: set[Connection] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    now: float = 0.0
    """The loop's time, as of the last look."""
    date: bytes = b""
    """The line of the header Date."""
    stopping: bool = False


class Gone(Exception):
    """The client went away."""


class _Reading(Enum):
    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    NO_MORE = auto()
    """Whatever comes is thrown away until the client closes."""


class Exchange:
    """A request and its answer. Header names are in lower case; path and query are as they were sent."""

    __slots__ = (
        "_body",
        "_connection",
        "_continue",
        "_waiter",
        "answered",
        "complete",
        "fault",
        "headers",
        "keep_alive",
        "lost",
        "on_drained",
        "on_lost",
        "path",
        "query",
        "status",
        "verb",
        "version",
    )

    def __init__(self, connection: Connection, verb: str, version: str) -> None:
        self.verb = verb
        self.version = version
        self.path = ""
        self.query = b""
        self.headers: dict[str, str] = {}
        self.fault: DomainError | None = None
        """What is wrong with it: there is nothing to do but to say so."""
        self.keep_alive = version == "1.1"
        self.complete = False
        """The whole request is here."""
        self.status = 0
        """Of the answer, once it began."""
        self.answered = False
        self.lost = False
        self.on_lost: Callable[[], object] | None = None
        """Called when the client goes away before it was answered."""
        self.on_drained: Callable[[], object] | None = None
        """Called when the client has taken what waited for it."""
        self._connection = connection
        self._body = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._continue = False

    # The request's body

    async def read(self) -> bytes:
        """The next piece of the body, empty after the last. Raises its fault, or Gone."""
        if self._continue and not self.complete:
            self._continue = False
            self._connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while True:
            if self.fault is not None:
                raise self.fault
            if self.lost:
                raise Gone
            if self._body:
                piece = bytes(self._body)
                self._body.clear()
                self._connection.wants_more()
                return piece
            if self.complete:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def expect_continue(self) -> None:
        """The client waits for a word before it sends the body."""
        self._continue = True

    def feed(self, data: bytes) -> bool:
        """Takes a piece of the body; False when so much waits that no more should be read."""
        if self.answered:
            return True
        self._body += data
        self.wake()
        return len(self._body) <= _HIGH_WATER

    def finish_body(self) -> None:
        """The body is whole."""
        self.complete = True
        self.wake()

    def fail(self, fault: DomainError) -> None:
        """The rest of the body cannot be read."""
        self.fault = fault
        self.keep_alive = False
        self.wake()

    def wake(self) -> None:
        """There is news for whoever waits for the body or for the client to take what waits for it."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def lose(self) -> None:
        """The client went away."""
        self.lost = True
        self.wake()
        if self.on_lost is not None and not self.answered:
            self.on_lost()

    # The answer

    @property
    def blocked(self) -> bool:
        """So much of the answer waits that no more should be written."""
        return self._connection.blocked

    async def drained(self) -> None:
        """Returns when the client has taken most of what waits for it. Raises Gone."""
        while self._connection.blocked and not self.lost:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.lost:
            raise Gone

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """An answer in one piece; `head`: lines of headers other than Date, Content-Length and Connection."""
        self.status = status
        if status not in _NO_LENGTH:
            head = b"%bcontent-length: %d\r\n" % (head, len(body))
        keep = self._begin(status, head, b"" if self.verb == "HEAD" else body)
        self._finish(keep)

    def begin(self, status: int, head: bytes) -> None:
        """The beginning of an answer in pieces."""
        self.status = status
        if self.version == "1.1":
            head += b"transfer-encoding: chunked\r\n"
        else:
            self.keep_alive = False
        self._begin(status, head, b"")

    def piece(self, chunk: bytes) -> None:
        """A piece of the answer. It always fits; but look at `blocked` before the next one."""
        if self.verb != "HEAD" and chunk and not self.lost:
            framed = b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.version == "1.1" else chunk
            self._connection.transport.write(framed)

    def end(self) -> None:
        """The end of an answer in pieces."""
        if self.verb != "HEAD" and self.version == "1.1" and not self.lost:
            self._connection.transport.write(_LAST_CHUNK)
        self._finish(self._keeps)

    def break_off(self) -> None:
        """Ends the connection in the midst of an answer, so that the client sees that it is not whole."""
        self.answered = True
        self._connection.transport.abort()

    def _begin(self, status: int, head: bytes, body: bytes) -> bool:
        keep = self._keeps
        close = b"\r\n" if keep else b"connection: close\r\n\r\n"
        if not self.lost:
            self._connection.transport.write(
                b"".join((_STATUS_LINES[status], head, self._connection.listening.date, close, body))
            )
        return keep

    @property
    def _keeps(self) -> bool:
        """The connection goes on after this."""
        return self.keep_alive and self.complete and not self._connection.listening.stopping

    def _finish(self, keep: bool) -> None:
        self.answered = True
        self._connection.answered(keep)


class Connection(asyncio.Protocol):
    """Reads requests, lets one after another be served, and keeps their limits."""

    __slots__ = (
        "_current",
        "_due",
        "_head_size",
        "_lines",
        "_loop",
        "_parser",
        "_paused",
        "_reading",
        "_receiving",
        "_url",
        "_waiting",
        "_write_due",
        "blocked",
        "listening",
        "transport",
    )

    def __init__(self, listening: Listening, loop: asyncio.AbstractEventLoop) -> None:
        self.listening = listening
        self.transport: Any = None
        self.blocked = False
        """The client does not take what was written."""
        self._loop = loop
        self._parser: Any = httptools.HttpRequestParser(self)
        self._current: Exchange | None = None
        """The one that is being served."""
        self._receiving: Exchange | None = None
        """The one whose body is being received."""
        self._waiting: deque[Exchange] = deque()
        self._reading = _Reading.NOTHING
        self._paused = False
        self._due = self._write_due = inf
        self._url = b""
        self._lines: Headers = []
        self._head_size = 0

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        self.transport = transport
        shared = self.listening
        shared.connections.add(self)
        self._due = shared.now + shared.limits.head_seconds
        if len(shared.connections) > shared.limits.connections or shared.stopping:
            self._refuse(Unavailable("TOO_MANY_CONNECTIONS", "too many clients are connected; try again in a moment"))

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        reading = self._reading
        if reading is _Reading.NO_MORE:
            return
        if reading is _Reading.HEAD:
            self._head_size += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._reading = _Reading.NO_MORE  # served as if it asked for no other protocol; then it ends
        except httptools.HttpParserError:
            self._malformed()
        else:
            if self._reading is _Reading.HEAD and self._head_size > self.listening.limits.head_bytes:
                self._refuse(_head_too_large(self.listening.limits))

    def eof_received(self) -> None:
        """The client sends no more; the transport closes."""

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        self.listening.connections.discard(self)
        self._reading = _Reading.NO_MORE
        self._due = self._write_due = inf
        self._waiting.clear()
        self.blocked = False
        if self._current is not None:
            self._current.lose()
        self._parser = None

    def pause_writing(self) -> None:
        """The client does not take what was written."""
        self.blocked = True
        self._write_due = self.listening.now + self.listening.limits.write_seconds

    def resume_writing(self) -> None:
        """It takes it again."""
        self.blocked = False
        self._write_due = inf
        current = self._current
        if current is not None:
            current.wake()
            if current.on_drained is not None:
                current.on_drained()

    # What the server and the exchanges tell

    def look(self) -> None:
        """Ends what is overdue."""
        now = self.listening.now
        if now > self._write_due:
            self.transport.abort()
        elif now > self._due:
            self._due = inf
            if self._reading is _Reading.NOTHING:
                self.transport.close()
            elif self._reading is _Reading.HEAD:
                self._refuse(_slow("the headers did not come in time"))
            elif self._reading is _Reading.BODY and self._receiving is not None:
                self._reading = _Reading.NO_MORE
                self._receiving.fail(_slow("the body came too slowly or not at all"))
            else:
                self.transport.abort()

    def shut(self) -> None:
        """The server stops: ends now, or with the answer that is under way."""
        self._waiting.clear()
        if self._current is None:
            self.transport.close()

    def wants_more(self) -> None:
        """What waited was taken."""
        if self._paused:
            self._paused = False
            self.transport.resume_reading()
            if self._reading is _Reading.BODY:
                self._due = self.listening.now + self.listening.limits.body_seconds

    def answered(self, keep: bool) -> None:
        """The answer to the current exchange is written."""
        current, self._current = self._current, None
        if self.transport.is_closing():
            return
        if not keep:
            self._waiting.clear()
            if current is not None and current.complete and current.fault is None:
                self.transport.close()
            else:
                self._linger()
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        elif self._reading is _Reading.NOTHING:
            self._due = self.listening.now + self.listening.limits.idle_seconds
        self.wants_more()

    # What the parser tells

    def on_message_begin(self) -> None:
        """A request begins."""
        if len(self._waiting) >= _PIPELINE:
            raise ValueError("too many requests wait")
        self._reading = _Reading.HEAD
        self._due = self.listening.now + self.listening.limits.head_seconds
        self._url = b""
        self._lines = []
        self._head_size = 0

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        if self._reading is not _Reading.HEAD:
            raise ValueError("trailers are not taken")
        self._lines.append((name, value))

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        parser = self._parser
        exchange = Exchange(self, parser.get_method().decode("latin-1"), parser.get_http_version())
        self._reading = _Reading.BODY
        self._due = self.listening.now + self.listening.limits.body_seconds
        self._receiving = exchange
        exchange.fault = self._read_head(exchange)
        if exchange.fault is not None or parser.should_upgrade() or not parser.should_keep_alive():
            exchange.keep_alive = False
        if self._current is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._due = inf
            if not self._paused:
                self._paused = True
                self.transport.pause_reading()

    def on_body(self, data: bytes) -> None:
        """A piece of its body."""
        receiving, limits = self._receiving, self.listening.limits
        if receiving is None:
            return
        latest = self.listening.now + limits.body_seconds
        self._due = min(self._due + len(data) / limits.body_bytes_per_s, latest)
        if not receiving.feed(data) and not self._paused:
            self._paused = True
            self._due = inf  # it is us that are slow
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        """It is whole."""
        receiving, self._receiving = self._receiving, None
        self._due = inf
        if receiving is None:
            return
        receiving.finish_body()
        self._reading = _Reading.NOTHING if receiving.keep_alive else _Reading.NO_MORE

    # Own

    def _start(self, exchange: Exchange) -> None:
        self._current = exchange
        shared = self.listening
        task = self._loop.create_task(shared.serve(exchange))
        shared.tasks.add(task)
        task.add_done_callback(shared.tasks.discard)

    def _read_head(self, exchange: Exchange) -> DomainError | None:
        """Target and headers; what is wrong with them."""
        limits, lines = self.listening.limits, self._lines
        size = len(self._url) + sum([len(name) + len(value) for name, value in lines]) + 4 * len(lines)
        if size > limits.head_bytes or len(lines) > limits.head_lines:
            return _head_too_large(limits)
        headers = exchange.headers
        for name, value in lines:
            key = name.decode("latin-1").lower()
            if key in headers:
                if key in _ONCE:
                    return _bad(f"the header {key} is there twice")
                headers[key] += f", {value.decode('latin-1')}"
            else:
                headers[key] = value.decode("latin-1")
        if exchange.version not in ("1.0", "1.1"):
            return _bad("the version of HTTP is not taken here; use HTTP/1.1")
        if exchange.version == "1.1" and not headers.get("host"):
            return _bad("the header Host is missing")
        if exchange.version == "1.0" and "transfer-encoding" in headers:
            return _bad("HTTP/1.0 knows no Transfer-Encoding")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            return _bad("Transfer-Encoding may be chunked only")
        if "expect" in headers:
            if headers["expect"].lower() != "100-continue":
                return _bad("Expect may be 100-continue only")
            exchange.expect_continue()
        if self._url == b"*":
            exchange.path = "*"
            return None
        try:
            url = httptools.parse_url(self._url)
            exchange.path, exchange.query = (url.path or b"/").decode("ascii"), url.query or b""
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
            return _bad("the target of the request cannot be read; percent-encode what is not ASCII")
        return None

    def _malformed(self) -> None:
        if self._reading is _Reading.NO_MORE:
            return  # after the last request that this connection is to serve
        why = "the request is not HTTP/1.1"
        if len(self._waiting) >= _PIPELINE:
            why = f"more than {_PIPELINE} requests wait on one connection"
        if self._receiving is not None:
            self._reading = _Reading.NO_MORE
            self._due = inf
            self._receiving.fail(_bad(why))
        else:
            self._refuse(_bad(why))

    def _refuse(self, fault: DomainError) -> None:
        """Answers a request that cannot be read any further, after those before it."""
        self._reading = _Reading.NO_MORE
        self._due = inf
        exchange = Exchange(self, "", "1.1")
        exchange.fault = fault
        exchange.keep_alive = False
        if self._current is None:
            self._start(exchange)
        elif not self._current.complete:
            self._current.keep_alive = False
        else:
            self._waiting.append(exchange)

    def _linger(self) -> None:
        """Closes for writing and throws away what still comes: else the client might lose the answer."""
        self._reading = _Reading.NO_MORE
        self._receiving = None
        self._due = self.listening.now + _LINGER_SECONDS
        self.wants_more()
        try:
            self.transport.write_eof()
        except OSError:  # it is gone already, which the transport has yet to tell
            self.transport.abort()


def head_of(headers: Headers) -> bytes:
    """Headers as lines."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: Final = {status: _status_line(status) for status in range(200, 600)}


def _bad(why: str) -> DomainError:
    return InvalidArgument("", why, "REQUEST_MALFORMED")


def _slow(why: str) -> DomainError:
    return InvalidArgument("", f"{why}; send the request again", "REQUEST_TIMEOUT")


def _head_too_large(limits: Limits) -> DomainError:
    why = f"target and headers have more than {limits.head_bytes} bytes or {limits.head_lines} lines; send less"
    return InvalidArgument("", why, "HEADERS_TOO_LARGE")
