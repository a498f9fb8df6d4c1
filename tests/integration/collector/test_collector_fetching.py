"""Hosts that are odd, broken or hostile: each ends in an answer, or in a named fault within the limits."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import ssl
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from huiyin_chassis import clock
from huiyin_chassis.addresses import is_public
from huiyin_chassis.connecting import look_up
from huiyin_collector.fetching import Agent, Answer, Fetcher, Limits
from huiyin_collector.model.faults import Fault

from tests.integration.collector.site import Page, Request, Site, feed, response, serve

MOST = 100_000
TLS = ssl.create_default_context()
LIMITS = Limits(connect_seconds=10, silent_seconds=10, seconds=20, octets=MOST)
IMPATIENT = Limits(connect_seconds=0.5, silent_seconds=0.5, seconds=1.5, octets=MOST)
GOOD = response(feed(("/1", "停水")), content_type="application/rss+xml; charset=utf-8")
Test = Callable[[Site, Fetcher], Coroutine[Any, Any, None]]


def run(test: Test, limits: Limits = LIMITS, **options: Any) -> None:
    """Runs a test with a site on loopback, which stands for the open internet: 127.0.0.2 and all else do not."""

    async def main() -> None:
        async with serve() as site, fetching(limits, **options) as fetcher:
            await test(site, fetcher)

    asyncio.run(main())


@contextlib.asynccontextmanager
async def fetching(limits: Limits, **options: Any) -> AsyncIterator[Fetcher]:
    settings: dict[str, Any] = {"permitted": lambda address: address == "127.0.0.1", "tls": TLS} | options
    fetcher = Fetcher(Agent("Huiyin", "Huiyin/0.1 (operator: tests; contact: none)"), limits, **settings)
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def fault_of(fetcher: Fetcher, url: str, **conditions: str) -> str:
    with pytest.raises(Fault) as refused:
        await fetcher.fetch(url, **conditions)
    assert refused.value.message
    return refused.value.reason


# Endless and slow ones write until they are cut off.


async def endless_body(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b"<a/>" * 5_000)
        await writer.drain()


async def endless_head(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"a" * 5_000 + b"\r\n")
        await writer.drain()


async def endless_header_line(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-More: ")
    while True:
        writer.write(b"a" * 50_000)
        await writer.drain()


async def endless_padding(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b"<rss/>"))
    while True:
        writer.write(b"\0" * 20_000)
        await writer.drain()


async def endless_chunks(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"a" * 0x1000 + b"\r\n")
        await writer.drain()


async def slow_body(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        writer.write(b"<")
        await writer.drain()
        await asyncio.sleep(0.05)


async def slow_head(request: Request, writer: asyncio.StreamWriter) -> None:
    for octet in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n" * 100:
        writer.write(bytes([octet]))
        await writer.drain()
        await asyncio.sleep(0.05)


async def silence(request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def silence_after_head(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<rss>")
    await writer.drain()
    await asyncio.sleep(60)


async def nothing(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n<rss>")
    await writer.drain()
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def endless_interim(request: Request, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)
        await writer.drain()


def chunked(*pieces: bytes) -> bytes:
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + body


BOMB = gzip.compress(b"\0" * 50_000_000)
REDIRECT = "302 Found"

HOSTILE: dict[str, tuple[Page, str]] = {
    "a body without end": (endless_body, "TOO_LARGE"),
    "chunks without end": (endless_chunks, "TOO_LARGE"),
    "padding without end after a packed body": (endless_padding, "TOO_LARGE"),
    "a head without end": (endless_head, "PROTOCOL_BROKEN"),
    "a header line without end": (endless_header_line, "PROTOCOL_BROKEN"),
    "interim answers without end": (endless_interim, "TOO_SLOW"),
    "a body larger than the limit": (response(b"a" * (MOST + 1)), "TOO_LARGE"),
    "a length of petabytes": (response(b"a" * 200_000, length=10**15), "TOO_LARGE"),
    "a body drop by drop": (slow_body, "TOO_SLOW"),
    "a head drop by drop": (slow_head, "TOO_SLOW"),
    "silence": (silence, "TOO_SLOW"),
    "silence after the head": (silence_after_head, "TOO_SLOW"),
    "a connection closed without a word": (nothing, "PROTOCOL_BROKEN"),
    "a connection reset amid the body": (reset, "CONNECTION_LOST"),
    "a body shorter than its length": (response(b"<rss>", length=1000), "BODY_INCOMPLETE"),
    "chunks that break off": (chunked(b"<rss>") + b"ff\r\nab", "BODY_INCOMPLETE"),
    "chunks without their end": (chunked(b"<rss>"), "BODY_INCOMPLETE"),
    "a chunk of a broken length": (chunked(b"a") + b"zz\r\n", "PROTOCOL_BROKEN"),
    "two lengths that differ": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n<rss>",
        "PROTOCOL_BROKEN",
    ),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n<rss>", "PROTOCOL_BROKEN"),
    "no HTTP at all": (b"220 mail.town.example ESMTP\r\n", "PROTOCOL_BROKEN"),
    "a status that is none": (b"HTTP/1.1 abc OK\r\n\r\n", "PROTOCOL_BROKEN"),
    "binary noise": (bytes(range(256)) * 20, "PROTOCOL_BROKEN"),
    "a gzip bomb": (response(BOMB, content_encoding="gzip"), "TOO_LARGE"),
    "gzip that is none": (response(b"<rss/>", content_encoding="gzip"), "ENCODING_BROKEN"),
    "deflate that is none": (response(b"\x08zzzzzz", content_encoding="deflate"), "ENCODING_BROKEN"),
    "a packing nobody asked for": (response(b"\x8b\x00", content_encoding="br"), "ENCODING_UNKNOWN"),
    "a packing within a packing": (response(gzip.compress(BOMB), content_encoding="gzip, gzip"), "ENCODING_UNKNOWN"),
    "a redirect to itself": (response(b"", REDIRECT, location="/feed"), "REDIRECT_LOOP"),
    "a redirect that leads nowhere": (response(b"", REDIRECT), "REDIRECT_BROKEN"),
    "a redirect to a broken address": (response(b"", REDIRECT, location="http://[::1"), "REDIRECT_BROKEN"),
    "a redirect to a file": (response(b"", REDIRECT, location="file:///etc/passwd"), "SCHEME_REFUSED"),
    "a redirect to a script": (response(b"", REDIRECT, location="javascript:alert(1)"), "SCHEME_REFUSED"),
    "a redirect to gopher": (response(b"", REDIRECT, location="gopher://127.0.0.1/x"), "SCHEME_REFUSED"),
    "a redirect with a password": (response(b"", REDIRECT, location="http://a:b@127.0.0.1/"), "ADDRESS_INVALID"),
    "a redirect to this machine": (response(b"", REDIRECT, location="http://127.0.0.2/"), "ADDRESS_REFUSED"),
    "the same in decimal": (response(b"", REDIRECT, location="http://2130706434/"), "ADDRESS_REFUSED"),
    "the same in hexadecimal": (response(b"", REDIRECT, location="http://0x7f.2/"), "ADDRESS_REFUSED"),
    "the same in octal": (response(b"", REDIRECT, location="http://0177.0.0.2/"), "ADDRESS_INVALID"),
    "the same as IPv6": (response(b"", REDIRECT, location="http://[::1]/"), "ADDRESS_REFUSED"),
    "the same mapped into IPv6": (response(b"", REDIRECT, location="http://[::ffff:127.0.0.2]/"), "ADDRESS_REFUSED"),
    "the same by name": (response(b"", REDIRECT, location="http://localhost.localdomain.invalid/"), "HOST_UNKNOWN"),
    "a cloud's own address": (response(b"", REDIRECT, location="http://169.254.169.254/"), "ADDRESS_REFUSED"),
    "the unspecified address": (response(b"", REDIRECT, location="http://0.0.0.0/"), "ADDRESS_REFUSED"),
    "a picture": (response(b"\x89PNG", content_type="image/png"), "CONTENT_TYPE_REFUSED"),
    "a film": (response(b"", content_type="video/mp4"), "CONTENT_TYPE_REFUSED"),
    "a document to print": (response(b"%PDF-", content_type="application/pdf"), "CONTENT_TYPE_REFUSED"),
    "an archive": (response(b"PK", content_type="application/zip"), "CONTENT_TYPE_REFUSED"),
    "not modified, unasked": (response(b"", "304 Not Modified"), "NOT_MODIFIED_UNASKED"),
    "gone": (response(b"", "410 Gone"), "GONE"),
    "not found": (response(b"", "404 Not Found"), "NOT_FOUND"),
    "forbidden": (response(b"", "403 Forbidden"), "FORBIDDEN"),
    "a password wanted": (response(b"", "401 Unauthorized", www_authenticate="Basic"), "FORBIDDEN"),
    "too many visits": (response(b"", "429 Too Many Requests"), "THROTTLED"),
    "unavailable for a while": (response(b"", "503 Service Unavailable", retry_after="60"), "THROTTLED"),
    "trouble": (response(b"", "500 Internal Server Error"), "SERVER_FAILED"),
    "a status nobody knows": (response(b"", "599 What"), "SERVER_FAILED"),
    "a part": (response(b"<rss", "206 Partial Content"), "STATUS_UNEXPECTED"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "STATUS_UNEXPECTED"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_no_feed_reader_expects_ends_in_a_named_fault_while_others_go_on(kind: str) -> None:
    page, reason = HOSTILE[kind]

    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {"/feed": page, "/good": GOOD}
        async with fetching(LIMITS) as patient:
            found, good = await asyncio.gather(
                fault_of(fetcher, site.url("/feed")), patient.fetch(site.url("/good")), return_exceptions=True
            )
        assert found == reason
        assert isinstance(good, Answer) and "停水".encode() in good.content

    run(test, IMPATIENT if reason == "TOO_SLOW" else LIMITS)


def test_a_packed_body_of_several_members_is_read_whole() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        members = gzip.compress(b"<rss>" * 100) + gzip.compress(b"</rss>") + b"\0" * 16
        site.pages["/feed"] = response(members, content_encoding="gzip")
        assert (await fetcher.fetch(site.url("/feed"))).content == b"<rss>" * 100 + b"</rss>"

    run(test)


def test_a_bomb_within_the_limit_of_size_is_known_by_its_ratio() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages["/feed"] = response(gzip.compress(b"\0" * 5_000_000), content_encoding="gzip")
        assert await fault_of(fetcher, site.url("/feed")) == "DECOMPRESSION_BOMB"

    async def main() -> None:
        limits = Limits(octets=10_000_000)
        async with serve() as site:
            fetcher = Fetcher(Agent("Huiyin", "Huiyin"), limits, permitted=lambda _: True)
            await test(site, fetcher)
            await fetcher.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://town.example/feed", "SCHEME_REFUSED"),
        ("file:///etc/passwd", "SCHEME_REFUSED"),
        ("town.example/feed", "SCHEME_REFUSED"),
        ("http://", "ADDRESS_INVALID"),
        ("http://user:word@town.example/", "ADDRESS_INVALID"),
        ("http://town.example:99999/", "ADDRESS_INVALID"),
        ("http://\x00/", "ADDRESS_INVALID"),
        ("http://[", "HOST_UNKNOWN"),
        ("", "SCHEME_REFUSED"),
        ("http://no-such-host.invalid/", "HOST_UNKNOWN"),
        ("http://127.0.0.1:1/", "CONNECT_FAILED"),
    ],
)
def test_addresses_that_lead_nowhere_are_told_by_name(url: str, reason: str) -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        assert await fault_of(fetcher, url) == reason
        with pytest.raises(Fault) as refused:
            await fetcher.robots(url)
        assert refused.value.reason == reason

    run(test)


def test_of_this_machine_and_its_network_nothing_is_read_by_default() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "2130706433", "[fd00::1]"):
            assert await fault_of(fetcher, site.url("/feed", host)) == "ADDRESS_REFUSED"
        assert site.requests == []

    run(test, permitted=is_public)


def test_a_name_that_means_another_address_a_moment_later_gains_nothing() -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"]])

    async def rebinding(host: str, port: int) -> list[str]:
        return next(answers) if host == "turning.example" else await look_up(host, port)

    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages["/feed"] = GOOD
        # The first answer serves robots.txt; then the name means this machine, then both.
        assert await fault_of(fetcher, site.url("/feed", "turning.example")) == "ADDRESS_REFUSED"
        assert await fault_of(fetcher, site.url("/feed", "turning.example")) == "ADDRESS_REFUSED"
        assert site.asked("/feed") == []

    run(test, resolve=rebinding)


def test_a_name_that_is_looked_up_for_ever_is_given_up() -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(60)
        return []

    async def test(site: Site, fetcher: Fetcher) -> None:
        assert await fault_of(fetcher, "http://slow.example/") == "CONNECT_TIMEOUT"

    run(test, IMPATIENT, resolve=never)


def test_a_chain_of_redirects_ends() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {f"/{n}": response(b"", REDIRECT, location=f"/{n + 1}") for n in range(20)}
        assert await fault_of(fetcher, site.url("/0")) == "TOO_MANY_REDIRECTS"
        assert len([each for each in site.requests if each.path != "/robots.txt"]) == LIMITS.redirects + 1

    run(test)


@pytest.mark.parametrize(
    ("first", "second", "moved"),
    [("301 Moved", "308 Moved", True), ("301 Moved", "302 Found", False), ("307 See", "301 Moved", False)],
)
def test_only_a_chain_of_permanent_redirects_moves_a_source(first: str, second: str, moved: bool) -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {
            "/feed": response(b"", first, location="/b#x"),
            "/b": response(b"", second, location="c"),
            "/c": GOOD,
        }
        answer = await fetcher.fetch(site.url("/feed"))
        assert answer.url == site.url("/c")
        assert (answer.moved_to == site.url("/c")) is moved

    run(test)


def test_a_chinese_location_is_followed_as_utf_8() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {"/feed": response(b"", REDIRECT, location="/新闻"), "/%E6%96%B0%E9%97%BB": GOOD}
        assert (await fetcher.fetch(site.url("/feed"))).content_type == "application/rss+xml"

    run(test)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda octets: zlib.compressobj(wbits=-15).compress(octets) + b""),
        ("identity", lambda octets: octets),
    ],
)
def test_packed_answers_are_unpacked(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    content = feed(("/1", "停水")).encode() * 100

    def packed() -> bytes:
        if encoding == "deflate" and pack is not zlib.compress:
            packer = zlib.compressobj(wbits=-15)
            return packer.compress(content) + packer.flush()
        return pack(content)

    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages["/feed"] = response(packed(), content_encoding=encoding)
        assert (await fetcher.fetch(site.url("/feed"))).content == content

    run(test)


def test_we_say_who_we_are_and_ask_for_what_is_new_only() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages["/feed"] = response(b"", "304 Not Modified", etag='"b"')
        answer = await fetcher.fetch(site.url("/feed"), etag='"a"', last_modified="Thu, 26 Nov 2026 08:00:00 GMT")
        assert answer.not_modified
        (request,) = site.asked("/feed")
        assert request.headers["user-agent"].startswith("Huiyin/0.1 (operator: tests; contact:")
        assert request.headers["if-none-match"] == '"a"'
        assert request.headers["if-modified-since"] == "Thu, 26 Nov 2026 08:00:00 GMT"
        assert "cookie" not in request.headers and "referer" not in request.headers

    run(test)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Thu, 26 Nov 2026 08:10:00 GMT", 600),
        ("Thu, 26 Nov 2026 07:00:00 GMT", 0),
        ("soon", 0),
        ("-5", 0),
    ],
)
def test_how_long_to_stay_away_is_read_as_seconds_or_as_a_date(value: str, seconds: float) -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages["/feed"] = response(b"", "429 Too Many Requests", retry_after=value)
        with clock.stopped(datetime(2026, 11, 26, 8, tzinfo=UTC)), pytest.raises(Fault) as refused:
            await fetcher.fetch(site.url("/feed"))
        assert refused.value.retry_after == seconds

    run(test)


# robots.txt


def test_what_robots_forbids_is_not_asked_for() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {
            "/robots.txt": response("User-agent: huiyin\nDisallow: /feed\n"),
            "/feed": GOOD,
            "/open": response(b"", REDIRECT, location="/feed"),
        }
        assert await fault_of(fetcher, site.url("/feed")) == "ROBOTS_DISALLOWED"
        assert await fault_of(fetcher, site.url("/open")) == "ROBOTS_DISALLOWED"
        assert site.asked("/feed") == []
        assert len(site.asked("/robots.txt")) == 1

    run(test)


@pytest.mark.parametrize(
    ("robots", "reason"),
    [
        (response(b"", "404 Not Found"), ""),
        (response(b"", "403 Forbidden"), ""),
        (response(b"", "500 Trouble"), "ROBOTS_UNREACHABLE"),
        (response(b"", "429 Too Many"), "ROBOTS_UNREACHABLE"),
        (response(b"", REDIRECT, location="/other.txt"), "ROBOTS_DISALLOWED"),
        (response(b"", REDIRECT, location="/robots.txt"), ""),
        (response(b"User-agent: *\nDisallow: /\n" + b"#" * 2_000_000), "ROBOTS_DISALLOWED"),
        (response(gzip.compress(b"User-agent: *\nDisallow: /\n"), content_encoding="gzip"), "ROBOTS_DISALLOWED"),
        (response(b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /\r\n"), "ROBOTS_DISALLOWED"),
        (response(b"<html>welcome</html>", content_type="text/html"), ""),
        (silence, "TOO_SLOW"),
        (endless_body, ""),
    ],
)
def test_robots_is_followed_as_the_rfc_has_it(robots: Page, reason: str) -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        site.pages |= {
            "/robots.txt": robots,
            "/other.txt": response("User-agent: *\nDisallow: /feed\n"),
            "/feed": GOOD,
        }
        if reason:
            assert await fault_of(fetcher, site.url("/feed")) == reason
            assert site.asked("/feed") == []
        else:
            assert (await fetcher.fetch(site.url("/feed"))).content

    run(test, IMPATIENT if reason == "TOO_SLOW" else LIMITS)


# TLS


def certificate(folder: Path, name: str, *, days: int = 1) -> tuple[ssl.SSLContext, Path]:
    """A certificate that signs itself, and the context of a server that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    host = x509.IPAddress(ipaddress.ip_address(name))
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=3))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "site.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, path


@pytest.mark.parametrize(
    ("name", "days", "trusted", "reason"),
    [
        ("127.0.0.1", 1, True, ""),
        ("127.0.0.1", 1, False, "TLS_FAILED"),
        ("127.0.0.1", -1, True, "TLS_FAILED"),
        ("127.0.0.9", 1, True, "TLS_FAILED"),
    ],
)
def test_certificates_are_checked(tmp_path: Path, name: str, days: int, trusted: bool, reason: str) -> None:
    server, path = certificate(tmp_path, name, days=days)
    client = ssl.create_default_context()
    if trusted:
        client.load_verify_locations(path)

    async def test(site: Site, fetcher: Fetcher) -> None:
        async with serve(tls=server) as secure:
            secure.pages["/feed"] = GOOD
            url = secure.url("/feed", scheme="https")
            assert (await fault_of(fetcher, url) if reason else (await fetcher.fetch(url)).charset) == (
                reason or "utf-8"
            )

    run(test, tls=client)


def test_a_port_that_speaks_no_tls_is_told_by_name() -> None:
    async def test(site: Site, fetcher: Fetcher) -> None:
        assert await fault_of(fetcher, site.url("/feed", scheme="https")) in ("TLS_FAILED", "CONNECT_TIMEOUT")

    run(test, IMPATIENT)
