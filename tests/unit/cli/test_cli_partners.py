"""`huiyin partners`: what is sent, and what is shown once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from huiyin_cli.client import Access, Gateway
from huiyin_cli.commands import partners
from huiyin_cli.console import caller
from typer.testing import CliRunner

PARTNER = {"name": "partners/hotline", "displayName": "市民热线", "rotateTime": "2026-03-02T02:00:00Z"}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What the gateway was sent: verb, path with query, body."""
    seen: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        seen.append((request.method, request.url.raw_path.decode(), body))
        if request.method == "GET":
            return httpx.Response(200, json={"partners": [PARTNER]})
        if request.method == "PATCH":
            return httpx.Response(200, json=PARTNER)
        partner = {**PARTNER, "previousExpireTime": "2026-03-03T02:00:00Z"} if "rotate" in request.url.path else PARTNER
        return httpx.Response(200, json={"partner": partner, "secret": "whsec_abc"})

    gateway = Gateway(Access("http://gateway", "key"))
    gateway.http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://gateway")
    monkeypatch.setattr(caller, "account", "")
    monkeypatch.setattr(caller, "_gateways", {"desk": gateway})
    return seen


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(partners.app, arguments)
    assert result.exit_code == 0, result.output
    return str(result.output)


def test_a_new_partner_is_told_its_secret_and_where_it_posts_to(sent: list[tuple[str, str, Any]]) -> None:
    shown = invoke("create", "hotline", "市民热线")
    assert sent == [("POST", "/v1/partners?partnerId=hotline", {"displayName": "市民热线", "callbackUrl": ""})]
    assert "secret: whsec_abc" in shown
    assert "http://gateway/v1/partners/hotline/inquiries" in shown


def test_only_what_is_given_is_changed(sent: list[tuple[str, str, Any]]) -> None:
    invoke("update", "hotline", "--disable")
    invoke("update", "hotline", "--callback", "", "--name", "热线")
    assert sent == [
        ("PATCH", "/v1/partners/hotline?updateMask=disabled", {"disabled": True}),
        (
            "PATCH",
            "/v1/partners/hotline?updateMask=displayName%2CcallbackUrl",
            {"displayName": "热线", "callbackUrl": ""},
        ),
    ]
    assert CliRunner().invoke(partners.app, ["update", "hotline"]).exit_code == 2


def test_a_new_secret_says_until_when_the_one_before_is_accepted(sent: list[tuple[str, str, Any]]) -> None:
    assert "accepted until 2026-03-0" in invoke("rotate-secret", "partners/hotline")
    invoke("rotate-secret", "hotline", "--revoke")
    path = "/v1/partners/hotline:rotateSecret"
    assert sent == [("POST", path, {"revokePrevious": False}), ("POST", path, {"revokePrevious": True})]


def test_partners_are_listed_without_their_secrets(sent: list[tuple[str, str, Any]]) -> None:
    shown = invoke("list")
    assert "partners/hotline" in shown and "市民热线" in shown
    assert json.loads(invoke("list", "--json")) == [PARTNER]
