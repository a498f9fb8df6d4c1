"""Fetching from hosts that nobody vouches for: within limits of size, time, redirects and addresses, and with manners.

Built on httpcore, the transport of httpx: what httpx adds (redirects, decompression, cookies, proxies) is left out or
done here, since each step has to be looked at before the next is taken.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

import httpcore
import httpx
from huiyin_chassis import clock
from huiyin_chassis.addresses import is_public
from huiyin_chassis.connecting import AddressRefused, GuardedNetwork, HostUnknown, LookUp, look_up

from huiyin_collector.model.faults import Fault
from huiyin_collector.model.robots import ALLOWED, MOST_OCTETS, Robots, read_robots

REDIRECTS: Final = 5
"""Redirects that are followed, as RFC 9309 (2.3.1.2) has it for robots.txt."""
ROBOTS_SECONDS: Final = 86_400.0
"""How long a robots.txt holds (RFC 9309, 2.4)."""
_ROBOTS_RETRY: Final = 600.0
_HOSTS_REMEMBERED: Final = 20_000
_RATIO: Final = 200
_GZIP: Final = b"\x1f\x8b"
_RATIO_FROM: Final = 2**20
_REDIRECT: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
_REFUSED_TYPES: Final = re.compile(
    r"(image|audio|video|font)/.*|application/(pdf|zip|gzip|x-tar|x-7z-compressed|msword|vnd\..*)", re.IGNORECASE
)
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE)
_ACCEPT: Final = (
    "application/rss+xml, application/atom+xml, application/feed+json, application/json;q=0.9, application/xml;q=0.9, "
    "text/html;q=0.9, */*;q=0.5"
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one fetch may take: seconds to connect, without a byte, and in all; octets of the body, unpacked."""

    connect_seconds: float = 10.0
    silent_seconds: float = 20.0
    seconds: float = 60.0
    octets: int = 10 * 2**20
    redirects: int = REDIRECTS


@dataclass(frozen=True, slots=True)
class Agent:
    """Who asks: the product token that robots.txt speaks of, and the whole User-Agent."""

    product: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a host answered. `moved_to`: the address that it asks us to use from now on; empty when that is the same."""

    url: str
    not_modified: bool = False
    content: bytes = b""
    content_type: str = ""
    charset: str = ""
    etag: str = ""
    last_modified: str = ""
    moved_to: str = ""


@dataclass(slots=True)
class _Response:
    status: int
    headers: dict[str, str]
    content: bytes = b""


@dataclass(slots=True)
class _Known:
    """What is known of a host's robots.txt until then, by the monotonic clock of the loop."""

    until: float = 0.0
    robots: Robots | None = None
    fault: Fault | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fetcher:
    """Fetches over HTTP. Everything that goes wrong is a Fault.

    `permitted`: which addresses may be called; `resolve`: how names are looked up; `connections`: at most so many.
    """

    def __init__(
        self,
        agent: Agent,
        limits: Limits,
        *,
        permitted: Callable[[str], bool] = is_public,
        resolve: LookUp = look_up,
        connections: int = 64,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._agent = agent
        self._limits = limits
        self._hosts: OrderedDict[str, _Known] = OrderedDict()
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections // 2,
            keepalive_expiry=15.0,
            network_backend=GuardedNetwork(permitted, resolve),
        )
        seconds = limits.silent_seconds
        self._timeouts = {"connect": limits.connect_seconds, "read": seconds, "write": seconds, "pool": limits.seconds}
        self._headers = [
            (b"User-Agent", agent.user_agent.encode()),
            (b"Accept", _ACCEPT.encode()),
            (b"Accept-Encoding", b"gzip, deflate"),
        ]

    async def close(self) -> None:
        """Closes every connection."""
        await self._pool.aclose()

    async def fetch(
        self,
        url: str,
        *,
        etag: str = "",
        last_modified: str = "",
        headers: Mapping[str, str] | None = None,
        home: str = "",
        most: int = 0,
    ) -> Answer:
        """Fetches a document that robots.txt allows, unless it is the one with that etag or time. Raises Fault.

        `headers` go to the origin of the address `home` only, and not on to where that redirects; `most`: octets,
        where fewer are accepted than by the limits.
        """
        conditions = [(b"If-None-Match", etag.encode())] if etag else []
        conditions += [(b"If-Modified-Since", last_modified.encode())] if last_modified else []
        own = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        at_home = _origin(_checked(home)) if own else ""
        octets = min(most or self._limits.octets, self._limits.octets)
        current, moved_to, permanent = _checked(url), "", True
        seen = {current}
        for _ in range(self._limits.redirects + 1):
            robots = await self.robots(current)
            if not robots.allows(current):
                raise Fault(
                    "ROBOTS_DISALLOWED",
                    f"the robots.txt of {_origin(current)} does not let {self._agent.product} read this address; "
                    "ask its operator, or take another feed of the site",
                )
            sent = [*conditions, *own] if _origin(current) == at_home else conditions
            response = await self._get(current, sent, octets)
            if response.status not in _REDIRECT:
                return _answer(current, response, moved_to if permanent else "", conditional=bool(conditions))
            current = _target(current, response)
            permanent = permanent and response.status in _PERMANENT
            if permanent:
                moved_to = current
            if current in seen:
                raise Fault("REDIRECT_LOOP", f"{url} leads back to itself; check the address in a browser")
            seen.add(current)
        raise Fault("TOO_MANY_REDIRECTS", f"{url} leads on more than {self._limits.redirects} times")

    async def robots(self, url: str) -> Robots:
        """What the robots.txt of an address's host says to us; kept for a day. Raises Fault when it is not known."""
        origin = _origin(_checked(url))
        known = self._hosts.setdefault(origin, _Known())
        self._hosts.move_to_end(origin)
        if len(self._hosts) > _HOSTS_REMEMBERED:
            self._hosts.popitem(last=False)
        async with known.lock:
            now = asyncio.get_running_loop().time()
            if known.until <= now:
                try:
                    known.robots, known.fault = await self._read_robots(origin), None
                    known.until = now + ROBOTS_SECONDS
                except Fault as fault:
                    known.fault = fault
                    known.until = now + _ROBOTS_RETRY if fault.reason == "ROBOTS_UNREACHABLE" else now
        if known.fault is not None:
            raise Fault(known.fault.reason, known.fault.message, retry_after=known.fault.retry_after)
        return known.robots or ALLOWED

    async def _read_robots(self, origin: str) -> Robots:
        current = f"{origin}/robots.txt"
        for _ in range(REDIRECTS + 1):
            response = await self._get(current, [], MOST_OCTETS + 1, cut=True)
            if response.status in _REDIRECT:
                current = _target(current, response)
            elif response.status == 429 or response.status >= 500:
                raise Fault(
                    "ROBOTS_UNREACHABLE",
                    f"{current} answers with status {response.status}, so nothing may be read there for a while",
                    retry_after=_retry_after(response.headers, clock.now()),
                )
            elif 200 <= response.status < 300:
                return await asyncio.to_thread(read_robots, response.content, self._agent.product)
            else:
                break
        return ALLOWED

    async def _get(self, url: str, conditions: list[tuple[bytes, bytes]], most: int, *, cut: bool = False) -> _Response:
        try:
            async with asyncio.timeout(self._limits.seconds), self._request(url, conditions) as response:
                headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
                found = _Response(response.status, headers)
                if 200 <= response.status < 300:
                    found.content = await _body(response, headers, most, cut=cut)
                return found
        except TimeoutError as error:
            seconds = self._limits.seconds
            raise Fault("TOO_SLOW", f"{url} did not answer in full within {seconds:g} s") from error

    @asynccontextmanager
    async def _request(self, url: str, conditions: list[tuple[bytes, bytes]]) -> AsyncIterator[httpcore.Response]:
        try:
            async with self._pool.stream(
                "GET", url, headers=[*self._headers, *conditions], extensions={"timeout": self._timeouts}
            ) as response:
                yield response
        except AddressRefused:
            raise Fault(
                "ADDRESS_REFUSED",
                f"{_origin(url)} is in a private network or on this machine; where that is meant, set "
                "HUIYIN_ALLOW_PRIVATE_SOURCES=true",
            ) from None
        except HostUnknown:
            raise Fault("HOST_UNKNOWN", f"the host of {_origin(url)} has no address; check its name") from None
        except httpcore.ConnectTimeout:
            raise Fault("CONNECT_TIMEOUT", f"{_origin(url)} did not take a connection in time") from None
        except httpcore.ConnectError as error:
            cause = error.__cause__
            if url.startswith("https:") and (isinstance(cause, ssl.SSLError) or not isinstance(cause, OSError)):
                raise Fault(
                    "TLS_FAILED",
                    f"no secure connection to {_origin(url)}: its certificate or protocol is not accepted; check it in "
                    "a browser",
                ) from None
            raise Fault("CONNECT_FAILED", f"{_origin(url)} takes no connection on that port") from None
        except httpcore.TimeoutException:
            seconds = self._limits.silent_seconds
            raise Fault("TOO_SLOW", f"{url} sent nothing for {seconds:g} s") from None
        except httpcore.RemoteProtocolError as error:
            if "without sending complete message" in str(error):
                raise Fault("BODY_INCOMPLETE", f"{url} ended before the length that it announced") from None
            raise Fault("PROTOCOL_BROKEN", f"{url} does not answer in HTTP") from None
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, OSError):
            raise Fault("CONNECTION_LOST", f"the connection to {_origin(url)} broke") from None


async def _body(response: httpcore.Response, headers: dict[str, str], most: int, *, cut: bool) -> bytes:
    """The body, unpacked. With `cut` what is beyond `most` is left, otherwise it is a Fault."""
    unpack = _unpacking(headers.get("content-encoding", ""))
    received, pieces, size = 0, list[bytes](), 0
    async for chunk in response.aiter_stream():
        received += len(chunk)
        piece = unpack(chunk, most - size + 1)
        pieces.append(piece)
        size += len(piece)
        if size > _RATIO_FROM and size > _RATIO * received:
            raise Fault("DECOMPRESSION_BOMB", f"the answer unpacks to more than {_RATIO} times its size")
        # What follows the end of a packed body unpacks to nothing, however much of it there is.
        if max(size, received) > most:
            if cut:
                break
            raise Fault("TOO_LARGE", f"the answer is larger than {most} bytes, more than is read (HUIYIN_FETCH_BYTES)")
    return b"".join(pieces)[: most if cut else None]


def _unpacking(encoding: str) -> Callable[[bytes, int], bytes]:
    """What unpacks the pieces of a body, each to so many octets at most. Raises Fault."""
    names = [name.strip().lower() for name in encoding.split(",") if name.strip().lower() not in ("", "identity")]
    if not names:
        return lambda chunk, most: chunk
    if len(names) > 1 or names[0] not in ("gzip", "x-gzip", "deflate"):
        raise Fault("ENCODING_UNKNOWN", "the answer is packed in a way that was not asked for")
    state: list[Any] = [None]

    def unpack(chunk: bytes, most: int) -> bytes:
        unpacked = b""
        while chunk and len(unpacked) < most:
            if state[0] is None:
                # "deflate" means zlib's format, and some send the bare stream (RFC 9110, 8.4.1.2).
                bare = names[0] == "deflate" and (chunk[0] & 0x0F) != 8
                state[0] = zlib.decompressobj(-15 if bare else 47)
            try:
                unpacked += state[0].decompress(chunk, most - len(unpacked))
            except zlib.error:
                raise Fault("ENCODING_BROKEN", "the answer says that it is packed and cannot be unpacked") from None
            # What follows a member of gzip is the next (RFC 1952, 2.2), or padding that nobody reads.
            chunk = state[0].unused_data
            if chunk.startswith(_GZIP):
                state[0] = None
            elif chunk:
                break
        return unpacked

    return unpack


def _answer(url: str, response: _Response, moved_to: str, *, conditional: bool) -> Answer:
    status, headers = response.status, response.headers
    if status == 304:
        if not conditional:
            raise Fault("NOT_MODIFIED_UNASKED", f"{url} says that nothing changed, though nobody asked")
        return Answer(
            url, True, etag=headers.get("etag", ""), last_modified=headers.get("last-modified", ""), moved_to=moved_to
        )
    retry_after = _retry_after(headers, clock.now())
    if status == 410:
        raise Fault("GONE", f"{url} was removed for good (status 410); the source is not visited any more")
    if status == 429 or (status == 503 and retry_after):
        raise Fault("THROTTLED", f"{url} asks for fewer visits (status {status})", retry_after=retry_after)
    if status >= 500:
        raise Fault("SERVER_FAILED", f"{url} has trouble of its own (status {status})", retry_after=retry_after)
    if status in (401, 403):
        raise Fault("FORBIDDEN", f"{url} is not shown to us (status {status})", retry_after=retry_after)
    if status >= 400:
        raise Fault("NOT_FOUND", f"{url} is not there (status {status}); check the address", retry_after=retry_after)
    if status not in (200, 203):
        raise Fault("STATUS_UNEXPECTED", f"{url} answers with status {status}, which has no document")
    content_type = headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip()
    if _REFUSED_TYPES.fullmatch(kind):
        raise Fault("CONTENT_TYPE_REFUSED", f"{url} is of type {kind[:60]}, which is no feed and no page")
    charset = _CHARSET.search(content_type)
    return Answer(
        url,
        content=response.content,
        content_type=kind,
        charset=charset[1] if charset else "",
        etag=_storable(headers.get("etag", "")),
        last_modified=_storable(headers.get("last-modified", "")),
        moved_to=moved_to,
    )


def _storable(value: str) -> str:
    """A validator as it may be kept and sent back."""
    return value if len(value) <= 500 and value.isascii() and value.isprintable() else ""


def _retry_after(headers: dict[str, str], now: datetime) -> float:
    """Seconds that a host asks us to stay away: a number or a date (RFC 9110, 10.2.3); 0 where it asks for none."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(min(int(value[:9]), 10**9))
    try:
        moment = parsedate_to_datetime(value)
        return max((moment - now).total_seconds(), 0.0) if moment.tzinfo else 0.0
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0


def _target(url: str, response: _Response) -> str:
    location = response.headers.get("location", "").strip()
    if not location:
        raise Fault("REDIRECT_BROKEN", f"{url} leads on without saying where")
    try:
        # Octets as they came; a location should be ASCII and often is UTF-8.
        target = urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
    except ValueError:
        raise Fault("REDIRECT_BROKEN", f"{url} leads to what is no address") from None
    return _checked(target)


@lru_cache(maxsize=1024)  # of one visit it is asked for each step
def _checked(url: str) -> str:
    """An address as it goes over the wire, without its fragment. Raises Fault."""
    try:
        found = httpx.URL(url.strip())
        port = urlsplit(str(found)).port
    except (httpx.InvalidURL, ValueError, TypeError):
        raise Fault("ADDRESS_INVALID", "the address cannot be read; write it like https://example.org/feed") from None
    if found.scheme not in ("http", "https"):
        raise Fault("SCHEME_REFUSED", "only addresses that begin with http:// or https:// are read")
    if not found.host or found.userinfo or port == 0:
        raise Fault("ADDRESS_INVALID", "the address must name a host, and no user or password")
    return str(found.copy_with(fragment=None))


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses are of the same scheme, host and port. Raises Fault."""
    return _origin(_checked(one)) == _origin(_checked(other))


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
