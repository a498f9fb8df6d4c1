"""A document that a method returns is sent as it is, under its own media type, and may do nothing in a browser."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from google.api import httpbody_pb2
from huiyin.type.v1 import download_pb2
from huiyin_gateway.__main__ import SERVICES
from huiyin_gateway.app import Gateway
from huiyin_gateway.calls import Calls
from huiyin_gateway.connection import Connection, Limits, Listening
from huiyin_gateway.pages import Pages
from huiyin_gateway.routes import Binding, Router, bindings_of


class Nobody:
    """Nobody signs in."""

    def known(self, authorization: str) -> None:
        return None

    async def of(self, authorization: str) -> None:
        return None


def _binding() -> Binding:
    """A public method of the gateway's own, as if it returned a document."""
    (status,) = [each for each in bindings_of("gateway", SERVICES["gateway"]) if each.method.name == "GetStatus"]
    return replace(status, response_type=httpbody_pb2.HttpBody)


def _ask(verb: str, body: httpbody_pb2.HttpBody) -> httpx.Response:
    async def answer(*_: Any) -> httpbody_pb2.HttpBody:
        return body

    async def main() -> httpx.Response:
        binding = _binding()
        own: Any = {binding.method.name: answer}
        nobody: Any = Nobody()
        hub: Any = None
        gateway: Any = Gateway(Router([binding]), Calls([], {}), own, nobody, hub, Pages(b"{}"), largest_upload=1)
        listening, loop = Listening(gateway.serve, Limits()), asyncio.get_running_loop()
        async with await loop.create_server(lambda: Connection(listening, loop), "127.0.0.1", 0) as server:
            address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            async with httpx.AsyncClient(base_url=address) as http:
                return await http.request(verb, binding.template)

    return asyncio.run(main())


def test_a_document_is_sent_as_it_is() -> None:
    body = httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data="<p>抄告单</p>".encode())
    answer = _ask("GET", body)
    assert (answer.status_code, answer.text) == (200, "<p>抄告单</p>")
    assert answer.headers["content-type"] == body.content_type
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_a_document_brings_styles_and_nothing_that_runs_or_is_fetched() -> None:
    answer = _ask("GET", httpbody_pb2.HttpBody(content_type="text/html", data=b"<p></p>"))
    assert answer.headers.get_list("content-security-policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
    ]


@pytest.mark.parametrize("verb", ["GET", "HEAD"])
def test_what_names_no_media_type_is_bytes(verb: str) -> None:
    answer = _ask(verb, httpbody_pb2.HttpBody(data=b"\x00\x01"))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert (answer.headers["content-length"], answer.content) == ("2", b"\x00\x01" if verb == "GET" else b"")


def test_a_file_is_saved_under_its_name_and_not_shown() -> None:
    body = httpbody_pb2.HttpBody(content_type="application/pdf", data=b"%PDF-")
    body.extensions.add().Pack(download_pb2.Download(file_name='停水 "通知".pdf'))
    answer = _ask("GET", body)
    assert answer.headers["content-disposition"] == (
        "attachment; filename*=UTF-8''%E5%81%9C%E6%B0%B4%20%22%E9%80%9A%E7%9F%A5%22.pdf"
    )
    assert "content-disposition" not in _ask("GET", httpbody_pb2.HttpBody(data=b"1")).headers
