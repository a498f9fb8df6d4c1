"""What is sent back to a client: JSON, documents, streams and problem documents, each with its headers."""

from __future__ import annotations

import re
import zlib
from typing import Any, Final
from urllib.parse import quote

from huiyin.type.v1 import download_pb2
from huiyin_chassis.errors import Aborted, DomainError, InvalidArgument

from huiyin_gateway.connection import Exchange, head_of
from huiyin_gateway.problems import problem
from huiyin_gateway.routes import HTTP_BODY, Binding
from huiyin_gateway.texts import language_of
from huiyin_gateway.transcoding import Transcoder

_SAFE: Final = head_of(
    [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
)
ALWAYS: Final = _SAFE + head_of([(b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")])
"""Headers of every answer that is not a document."""
# A document brings its own styles; whatever else it brings, it runs nothing, fetches nothing and belongs to no origin.
_OF_DOCUMENTS: Final = b"default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
_WITH_DOCUMENT: Final = _SAFE + head_of([(b"content-security-policy", _OF_DOCUMENTS)])
# The page of the API runs the scripts that come with it, and calls the gateway that it came from.
_OF_PAGES: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
WITH_PAGE: Final = _SAFE + head_of([(b"content-security-policy", _OF_PAGES)])
"""Headers of the pages that are the gateway's own."""

JSON: Final = head_of([(b"content-type", b"application/json"), (b"cache-control", b"no-store")])
_TAG: Final = re.compile(r'(?:W/)?(?:"([^"]*)"|([^",\s]+))')
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+(; ?[\w-]+=[\w.+-]+)*", re.ASCII)
_NO_GZIP: Final = re.compile(r"gzip\s*;\s*q=0(\.0{0,3})?\s*(,|$)")
_VARY: Final = b"vary: Accept-Encoding\r\n"
_LEVEL: Final = 1
"""Of gzip: twice as fast as the usual 6, for a tenth more bytes."""
_WORTH: Final = 1400
"""Bytes below which an answer fits into one packet as it is."""


class Answer:
    """What is sent back to one request. `also`: further headers of every answer, as lines."""

    __slots__ = ("_also", "_exchange", "_trace", "binding", "method")

    def __init__(self, exchange: Exchange, trace: str, also: bytes) -> None:
        self._exchange = exchange
        self._trace = trace
        self._also = b"%bx-trace-id: %b\r\n" % (also, trace.encode())
        self.method = "unknown"
        """The method's name, for the metrics."""
        self.binding: Binding | None = None
        """The route, once it is found."""

    def message(self, message: Any, transcoder: Transcoder) -> None:
        """A resource or a response as JSON; a document as it is. Raises Aborted where If-Match asks for another."""
        if message.DESCRIPTOR.full_name == HTTP_BODY:
            kind = message.content_type if _MEDIA_TYPE.fullmatch(message.content_type) else "application/octet-stream"
            head = b"content-type: %b\r\ncache-control: no-store\r\n" % kind.encode()
            self._exchange.answer(200, head + _saved_as(message) + _WITH_DOCUMENT + self._also, message.data)
            return
        etag = getattr(message, "etag", "")
        if not etag:
            self.whole(200, JSON, transcoder.write(message))
            return
        if self._exchange.verb in ("GET", "HEAD"):
            headers = self._exchange.headers
            if (match := headers.get("if-match", "*")) != "*" and tag_of(match) != etag:
                raise Aborted("STALE_ETAG", "the resource was changed meanwhile; read it again", etag=etag)
            if (none := headers.get("if-none-match", "")) and _is_among(etag, none):
                self._exchange.answer(304, b'etag: "%b"\r\n' % etag.encode() + ALWAYS + self._also, b"")
                return
        self.whole(200, JSON, transcoder.write(message), etag)

    def whole(self, status: int, head: bytes, body: bytes, etag: str = "", safe: bytes = ALWAYS) -> None:
        """An answer in one piece, compressed where the client takes that and it is worth it."""
        weak = b""
        if len(body) >= _WORTH:
            head += _VARY
            if takes_gzip(self._exchange.headers):
                head += b"content-encoding: gzip\r\n"
                body, weak = compressed(body), b"W/"  # the same resource in other bytes
        if etag:
            head += b'etag: %b"%b"\r\n' % (weak, etag.encode())
        self._exchange.answer(status, head + safe + self._also, body)

    def page(self, page: Any) -> None:
        """One of the gateway's own pages, unless the client has it."""
        headers = self._exchange.headers
        head = b"content-type: %b\r\ncache-control: no-cache\r\n" % page.kind.encode() + _VARY
        body, etag = (page.squeezed, f'W/"{page.etag}"') if takes_gzip(headers) else (page.body, f'"{page.etag}"')
        head += f"etag: {etag}\r\n".encode() + page.safe + self._also
        if (none := headers.get("if-none-match", "")) and _is_among(page.etag, none):
            self._exchange.answer(304, head, b"")
        elif body is page.squeezed:
            self._exchange.answer(200, head + b"content-encoding: gzip\r\n", body)
        else:
            self._exchange.answer(200, head, body)

    def begin(self, status: int, head: bytes) -> None:
        """The beginning of a stream, which is never compressed: each piece must reach the client at once."""
        self._exchange.begin(status, head + ALWAYS + self._also)

    def refuse(self, error: DomainError) -> None:
        """A problem document; where an answer has begun it is too late for that, and the connection ends."""
        exchange = self._exchange
        if exchange.status:
            exchange.break_off()
            return
        headers = exchange.headers
        language = language_of(headers.get("accept-language", ""))
        status, told, body = problem(error, if_match="if-match" in headers, trace_id=self._trace, language=language)
        exchange.answer(status, head_of(told) + ALWAYS + self._also, body)


def takes_gzip(headers: dict[str, str]) -> bool:
    """Whether the client takes an answer that is compressed."""
    accepted = headers.get("accept-encoding", "").lower()
    return "gzip" in accepted and _NO_GZIP.search(accepted) is None


def compressed(body: bytes, level: int = _LEVEL) -> bytes:
    """A body in gzip."""
    return zlib.compress(body, level, zlib.MAX_WBITS | 16)


def tag_of(text: str) -> str:
    """The etag of an If-Match. Raises InvalidArgument for a list, which nothing here could keep."""
    found = _TAG.fullmatch(text.strip())
    if found is None:
        raise InvalidArgument("If-Match", 'must be one etag as it was given, such as "5f2a"')
    return found[1] or found[2] or ""


def _is_among(etag: str, texts: str) -> bool:
    return texts.strip() == "*" or any((found[1] or found[2]) == etag for found in _TAG.finditer(texts))


def _saved_as(body: Any) -> bytes:
    """Of a file the name under which it is saved, rather than shown (RFC 6266, RFC 8187)."""
    download = download_pb2.Download()
    for extension in body.extensions:
        if extension.Unpack(download):
            return f"content-disposition: attachment; filename*=UTF-8''{quote(download.file_name)}\r\n".encode()
    return b""
