"""What nobody should send: shapes that smuggle, break off, are far too large or no HTTP at all, drawn from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Attempt:
    """Bytes to send, in pieces. `end`: how it ends: wait for the answers, close, or reset."""

    pieces: list[bytes]
    end: str = "wait"
    pauses: list[float] = field(default_factory=list)
    """Seconds before each piece."""


ROUTES = [
    ("GET", "/v1/status"),
    ("GET", "/v1/openapi.json"),
    ("GET", "/v1/sources"),
    ("GET", "/v1/sources/board"),
    ("GET", "/v1/cases?pageSize=5"),
    ("POST", "/v1/inquiries:submit"),
    ("POST", "/v1/receipts:lookup"),
    ("POST", "/v1/sources?sourceId=board"),
    ("POST", "/v1/sources/board:importPosts?fileName=a.csv"),
    ("PATCH", "/v1/sources/board?updateMask=displayName"),
    ("OPTIONS", "/v1/sources"),
    ("HEAD", "/v1/status"),
]
SMUGGLING = [
    b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"Content-Length: 5, 5\r\n\r\nabcde",
    b"Content-Length: 0x5\r\n\r\nabcde",
    b"Content-Length: +5\r\n\r\nabcde",
    b"Content-Length: 5 \r\n 6\r\n\r\nabcde",
    b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    b"Content-Length: -1\r\n\r\n",
    b"Content_Length: 5\r\n\r\nabcde",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
    b'Transfer-Encoding: chunked\r\n\r\n2;ext="\r\n"\r\nab\r\n0\r\n\r\n',
    b"Transfer-Encoding: chunked\r\n\r\n0\r\nHost: elsewhere\r\n\r\n",
    b"Connection: close, content-length\r\nContent-Length: 3\r\n\r\nabc",
    b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    b"Expect: 100-continue\r\nExpect: 200-ok\r\n\r\n",
    b"Host: elsewhere\r\n\r\n",
    b": empty\r\n\r\n",
    b"\x00: nul\r\n\r\n",
    b"X: \x00\r\n\r\n",
]
TARGETS = [
    b"/v1/%ff%fe",
    b"/v1/\xff\xfe",
    b"/v1/\xe4\xb8\xad",
    b"/v1/%00",
    b"/v1/%u1234",
    b"/v1/%",
    b"/v1/%e4%b8",
    b"//v1//status",
    b"/v1/../../etc/passwd",
    b"/v1/sources/%2e%2e%2f",
    b"/v1/sources/a%2fb:c",
    b"http://elsewhere/v1/status",
    b"*",
    b"",
    b"/v1/sources?filter=%ff",
    b"/v1/sources?" + b"a=b&" * 500,
    b"/v1/sources?pageSize=" + b"9" * 5000,
    b"?",
    b"#",
    b"/v1/cases:",
    b"/v1/sources?pageToken=" + b"%F0%9F%92%A9" * 100,
    b"/" + b"a/" * 10_000,
    b"/v1/changes?cursor=~~~",
    b"elsewhere:443",
]
BODIES = [
    b"{",
    b"[]",
    b"null",
    b'""',
    b"{}" * 100,
    b'{"text":"\xff"}',
    b'{"text":"\\ud800"}',
    b'{"text":"\\u0000"}',
    b"\xef\xbb\xbf{}",
    b'{"text":' + b"[" * 50_000,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b'{"text":1e999}',
    b'{"text":NaN}',
    b"9" * 100_000,
    b'{"text":"x","text":"y"}',
    b'{"requestId":"' + b"a" * 5000 + b'","text":"x"}',
    b'{"kind":"NONE"}',
    b'{"kind":1.5}',
    b'{"contact":{"@type":"x"}}',
    b"\x00" * 1000,
    b"\x1f\x8b\x08\x00",
    b'{"text":"' + b"x" * 200_000 + b'"}',
]


def attempts(seed: int, count: int, key: str) -> list[Attempt]:
    """So many attempts, the same for the same seed."""
    draw = random.Random(seed)
    return [draw.choice(_KINDS)(draw, key.encode()) for _ in range(count)]


def _head(draw: random.Random, key: bytes, more: bytes = b"", target: bytes | None = None) -> bytes:
    verb, path = draw.choice(ROUTES)
    signed = b"Authorization: Bearer " + key + b"\r\n" if draw.random() < 0.7 else b""
    return b"%b %b HTTP/1.1\r\nHost: x\r\n%b%b" % (
        verb.encode(),
        path.encode() if target is None else target,
        signed,
        more,
    )


def _smuggling(draw: random.Random, key: bytes) -> Attempt:
    return Attempt([_head(draw, key, draw.choice(SMUGGLING)) + _head(draw, key, b"\r\n") * draw.randrange(2)])


def _target(draw: random.Random, key: bytes) -> Attempt:
    return Attempt([_head(draw, key, b"\r\n", draw.choice(TARGETS))])


def _body(draw: random.Random, key: bytes) -> Attempt:
    body = draw.choice(BODIES) if draw.random() < 0.7 else json.dumps(_value(draw, 0)).encode()
    kind = draw.choice([b"application/json", b"application/json; charset=gb18030", b"text/html", b"", b"\xff/\xff"])
    return Attempt([_head(draw, key, b"Content-Type: %b\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))) + body])


def _value(draw: random.Random, depth: int) -> object:
    if depth > 3 or draw.random() < 0.5:
        return draw.choice([None, True, -1, 2**70, 1.5, "", "中" * 20, "\ud800", "2026-13-01T00:00:00Z", "1e3"])
    names = [
        "text",
        "displayName",
        "kind",
        "etag",
        "name",
        "requestId",
        "contact",
        "updateMask",
        "channel",
        "",
        "@type",
        "receipt",
    ]
    if draw.random() < 0.8:
        return {draw.choice(names): _value(draw, depth + 1) for _ in range(draw.randrange(5))}
    return [_value(draw, depth + 1) for _ in range(draw.randrange(5))]


def _large_head(draw: random.Random, key: bytes) -> Attempt:
    size = draw.choice([20_000, 40_000, 300_000])
    more = draw.choice([b"X: " + b"x" * size + b"\r\n\r\n", b"X: y\r\n" * (size // 6), b"x" * size])
    return Attempt([_head(draw, key, more)])


def _half_body(draw: random.Random, key: bytes) -> Attempt:
    more = draw.choice([b"Content-Length: 1000\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\nff\r\n{"])
    return Attempt([_head(draw, key, more)], draw.choice(["close", "reset"]))


def _half_head(draw: random.Random, key: bytes) -> Attempt:
    whole = _head(draw, key, b"\r\n")
    return Attempt([whole[: draw.randrange(len(whole))]], draw.choice(["close", "reset"]))


def _slow(draw: random.Random, key: bytes) -> Attempt:
    whole = _head(draw, key, b"Content-Length: 50\r\n\r\n" + b" " * 50)
    pieces = [whole[start : start + 40] for start in range(0, len(whole), 40)]
    return Attempt(pieces, draw.choice(["wait", "close"]), [draw.random() * 0.2 for _ in pieces])


def _noise(draw: random.Random, key: bytes) -> Attempt:
    return Attempt([draw.randbytes(draw.randrange(1, 3000))])


def _bent(draw: random.Random, key: bytes) -> Attempt:
    """A request that is right but for some bytes."""
    body = b'{"text": "x"}'
    whole = bytearray(
        _head(draw, key, b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body
    )
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(whole))
        change = draw.randrange(3)
        if change == 0:
            whole[at] = draw.randrange(256)
        elif change == 1:
            del whole[at : at + draw.randrange(1, 5)]
        else:
            whole[at:at] = draw.choice([b"\r", b"\n", b"\r\n", b"\x00", b" ", b":", b"%", b"\xff"])
        if not whole:
            break
    return Attempt([bytes(whole) or b"x"])


def _many(draw: random.Random, key: bytes) -> Attempt:
    return Attempt([_head(draw, key, b"\r\n") * draw.randrange(2, 60)])


_KINDS: list[Callable[[random.Random, bytes], Attempt]] = [
    _smuggling,
    _smuggling,
    _target,
    _target,
    _body,
    _body,
    _body,
    _bent,
    _bent,
    _bent,
    _large_head,
    _half_body,
    _half_head,
    _slow,
    _noise,
    _many,
]
