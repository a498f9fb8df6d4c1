"""A site on loopback that answers as its pages say: with what is right, odd or hostile, down to the octet."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

Page = bytes | Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What a client asked for: path with query, and headers by their names in small letters."""

    path: str
    headers: dict[str, str]


@dataclass
class Site:
    """A running site. `pages`: what each path is answered with, whole; everything else is a 404."""

    port: int = 0
    pages: dict[str, Page] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def url(self, path: str = "/feed", host: str = "127.0.0.1", scheme: str = "http") -> str:
        """The address of a page."""
        return f"{scheme}://{host}:{self.port}{path}"

    def asked(self, path: str) -> list[Request]:
        """The requests for a page so far."""
        return [request for request in self.requests if request.path == path]


def response(body: bytes | str = b"", status: str = "200 OK", length: int | None = None, **headers: str) -> bytes:
    """An answer in HTTP/1.1; `content_type="x"` becomes a header."""
    octets = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(octets) if length is None else length}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + octets


def feed(*items: tuple[str, str], extra: str = "", host: str = "https://town.example") -> str:
    """An RSS document of items (path, title)."""
    inner = "".join(f"<item><title>{title}</title><link>{host}{path}</link></item>" for path, title in items)
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>镇讯</title>{extra}{inner}</channel></rss>'


@contextlib.asynccontextmanager
async def serve(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serves while the block runs."""
    site = Site()
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                original = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if ": " in line}
                request = Request(head[0].split(" ")[1], headers | original)
                site.requests.append(request)
                page = site.pages.get(request.path, response("not here", "404 Not Found"))
                if callable(page):
                    await page(request, writer)
                else:
                    writer.write(page)
                await writer.drain()
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(answer, host, 0, ssl=tls)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
