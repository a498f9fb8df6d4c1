"""The gateway's own methods keep to their contracts as they are served: over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from google.protobuf.message import Message
from huiyin_gateway import codec, refusals
from huiyin_gateway.routes import bindings_of

from tests.conformance.requests import name_of, spoilt, unknown, valid
from tests.conformance.serving import ALL, all_but, key_file
from tests.conformance.world import EVERY, World, new
from tests.contract.walking import SERVICES, access

KEYS = [key for key, (service, _) in EVERY.items() if service == "gateway"]
BINDINGS = {f"gateway.{binding.method.name}": binding for binding in bindings_of("gateway", SERVICES["gateway"])}
CLOSED = [key for key in KEYS if not access(EVERY[key][1]).public]
NAMED = {key: field for key in KEYS for field in EVERY[key][1].input_type.fields if field.name in ("name", "parent")}
"""The methods that are about something, and the fields that name it."""

every_method = pytest.mark.parametrize("key", KEYS)


@dataclass
class Http:
    """Asks the gateway in the name of its accounts, by their roles."""

    client: httpx.Client
    keys: dict[str, str]

    def ask(self, key: str, request: Message, role: str = ALL, authorization: str = "") -> httpx.Response | None:
        """Sends a request; None where no path could carry it. Whatever is refused is refused as it is declared."""
        binding = BINDINGS[key]
        fields: dict[str, Any] = json_format.MessageToDict(request, preserving_proto_field_name=True)
        segments = list(binding.segments)
        for capture in binding.captures:
            given = str(fields.pop(capture.field, "")).split("/")
            pattern = segments[capture.start : capture.end]
            fits = len(given) == len(pattern) and all(
                each in ("*", part) for each, part in zip(pattern, given, strict=True)
            )
            if not fits or not all(given) or any("\x00" in each for each in given):
                return None
            segments[capture.start : capture.end] = given
        body = fields.pop(binding.body, None) if binding.body else None
        answer = self.client.request(
            binding.verb,
            f"/{'/'.join(segments)}",
            params=fields,
            json=body,
            headers={"authorization": authorization or f"Bearer {self.keys[role]}"} if role else {},
        )
        if answer.status_code >= 400:
            assert answer.json()["reason"] in refusals.by_status(binding)[answer.status_code], answer.text
        return answer

    def refused(self, key: str, request: Message, role: str = ALL, authorization: str = "") -> dict[str, Any]:
        """The problem that a request is answered with."""
        answer = self.ask(key, request, role, authorization)
        assert answer is not None and answer.status_code >= 400, answer
        problem: dict[str, Any] = answer.json()
        return problem

    def done(self, key: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request that is right."""
        answer = self.ask(key, new(key, **fields))
        assert answer is not None and answer.status_code == 200, answer and answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def http(world: World) -> Iterator[Http]:
    """The gateway, with an account that has a key."""
    with httpx.Client(base_url=world.layout.address, timeout=60) as client:
        found = Http(client, json.loads(key_file(world.layout).read_text("utf-8")))
        account = found.done("gateway.CreateAccount", account_id="somebody", account={"display_name": "某人"})
        api_key = found.done("gateway.CreateApiKey", parent=account["name"])
        world.names |= {"Account": account["name"], "ApiKey": api_key["name"]}
        yield found


def test_every_method_of_the_gateway_has_a_route() -> None:
    assert set(KEYS) == BINDINGS.keys() and len(KEYS) > 5


@pytest.mark.parametrize("key", CLOSED)
def test_a_caller_without_its_permission_is_refused(world: World, http: Http, key: str) -> None:
    permission = access(EVERY[key][1]).permission
    problem = http.refused(key, valid(world, key), all_but(permission))
    assert (problem["status"], problem["reason"]) == (403, "PERMISSION_MISSING")
    assert problem["metadata"] == {"permission": permission}
    problem = http.refused(key, valid(world, key), role="")
    assert (problem["status"], problem["reason"]) == (401, "KEY_MISSING")


@every_method
def test_a_key_that_proves_nothing_is_refused(world: World, http: Http, key: str) -> None:
    for authorization, reason in (
        ("Bearer hy_nothing", "KEY_UNKNOWN"),
        (f"Bearer {http.keys['expired']}", "KEY_UNKNOWN"),
        ("Basic YTpi", "KEY_INVALID"),
    ):
        problem = http.refused(key, valid(world, key), authorization=authorization)
        assert (problem["status"], problem["reason"]) == (401, reason)


@every_method
def test_each_limit_of_each_field_is_refused_by_its_name(world: World, http: Http, key: str) -> None:
    sent = 0
    for case in spoilt(world, key):
        answer = http.ask(key, case.request)
        if answer is None:
            continue
        sent += 1
        problem = answer.json()
        assert answer.status_code == 400, (case.field, problem)
        told = {(each["field"], each["reason"]) for each in problem["violations"]}
        assert (codec.camel(case.field), case.reason) in told, problem
    # What the path alone gives cannot be spoilt without asking for another path.
    assert sent or set(new(key).DESCRIPTOR.fields_by_name) <= {"name", "parent"}


@pytest.mark.parametrize("key", NAMED)
def test_a_name_that_nothing_has_is_not_found(world: World, http: Http, key: str) -> None:
    request, field = valid(world, key), NAMED[key]
    setattr(request, field.name, unknown(key, name_of(world, key, field)))
    problem = http.refused(key, request)
    assert (problem["status"], problem["reason"]) == (404, "NOT_FOUND")


def test_accounts_page_through_without_a_gap_or_a_repeat_while_others_are_made(http: Http) -> None:
    before = {each["name"] for each in http.done("gateway.ListAccounts", page_size=1000)["accounts"]}
    found: list[str] = []
    page: dict[str, Any] = {"nextPageToken": ""}
    while "nextPageToken" in page:
        page = http.done("gateway.ListAccounts", page_size=2, page_token=page["nextPageToken"])
        found += [each["name"] for each in page["accounts"]]
        http.done("gateway.CreateAccount", account_id=f"z{len(found)}", account={})
        assert len(found) < 1000
    assert len(found) == len(set(found)) and before <= set(found)
    problem = http.refused("gateway.ListAccounts", new("gateway.ListAccounts", page_token="nothing"))
    assert problem["reason"] == "PAGE_TOKEN_INVALID"


def test_what_is_made_again_is_refused_or_another_and_what_is_deleted_stays_deleted(http: Http) -> None:
    create = {"account_id": "twice", "account": {"display_name": "两次"}}
    name = http.done("gateway.CreateAccount", **create)["name"]
    problem = http.refused("gateway.CreateAccount", new("gateway.CreateAccount", **create))
    assert (problem["status"], problem["reason"]) == (409, "ALREADY_EXISTS")
    one, other = (http.done("gateway.CreateApiKey", parent=name) for _ in range(2))
    assert one["name"] != other["name"] and one["secret"] != other["secret"]
    listed = http.done("gateway.ListApiKeys", parent=name)["apiKeys"]
    assert [each["name"] for each in listed] == [other["name"], one["name"]]
    assert not any("secret" in each for each in listed)

    own = http.ask(
        "gateway.GetAccount", new("gateway.GetAccount", name="accounts/me"), authorization=f"Bearer {one['secret']}"
    )
    assert own is not None and own.json()["name"] == name
    http.done("gateway.DeleteApiKey", name=one["name"])
    delete = new("gateway.DeleteApiKey", name=one["name"])
    assert http.refused("gateway.DeleteApiKey", delete)["reason"] == "NOT_FOUND"
    problem = http.refused(
        "gateway.GetAccount", new("gateway.GetAccount", name=name), authorization=f"Bearer {one['secret']}"
    )
    assert problem["reason"] == "KEY_UNKNOWN"
