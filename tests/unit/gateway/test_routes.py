"""Routes come from the contracts, and every one of them is found."""

from __future__ import annotations

import json

import pytest
from huiyin_gateway.__main__ import SERVICES
from huiyin_gateway.openapi import document
from huiyin_gateway.routes import Kind, NoRoute, Router, bindings_of


@pytest.fixture(scope="module")
def router() -> Router:
    return Router(binding for part, service in SERVICES.items() for binding in bindings_of(part, service))


@pytest.mark.parametrize(
    ("verb", "path", "method", "captures"),
    [
        ("GET", "/v1/cases/1", "GetCase", [("name", "cases/1")]),
        ("GET", "/v1/cases", "ListCases", []),
        ("POST", "/v1/cases/1:assign", "AssignCase", [("name", "cases/1")]),
        ("GET", "/v1/cases/1:verify", "VerifyCase", [("name", "cases/1")]),
        ("GET", "/v1/cases/1/entries", "ListEntries", [("parent", "cases/1")]),
        ("PATCH", "/v1/sources/a", "UpdateSource", [("source.name", "sources/a")]),
        ("POST", "/v1/sources/a:importPosts", "ImportPosts", [("source", "sources/a")]),
        ("GET", "/v1/sources/a/operations/b", "GetOperation", [("name", "sources/a/operations/b")]),
        ("GET", "/v1/events/-/memberships", "ListMemberships", [("parent", "events/-")]),
        ("GET", "/v1/policies/clocks", "GetPolicy", [("name", "policies/clocks")]),
        ("GET", "/v1/policies/routes/versions/2", "GetPolicy", [("name", "policies/routes/versions/2")]),
        ("GET", "/v1/places/云溪市.东湖区", "GetPlace", [("name", "places/云溪市.东湖区")]),
        ("POST", "/v1/inquiries:submit", "SubmitInquiry", []),
        ("GET", "/v1/changes", "StreamChanges", []),
    ],
)
def test_a_path_finds_its_method(
    router: Router, verb: str, path: str, method: str, captures: list[tuple[str, str]]
) -> None:
    binding, texts = router.match(verb, path)
    found = [(capture.field, text) for capture, text in zip(binding.captures, texts, strict=True)]
    assert (binding.method.name, found) == (method, captures)


def test_policies_go_to_the_service_that_applies_them(router: Router) -> None:
    parts = {kind: router.match("GET", f"/v1/policies/{kind}")[0].part for kind in ("grading", "clocks", "routes")}
    assert parts == {"grading": "analyzer", "clocks": "casework", "routes": "notifier"}


def test_an_unknown_path_and_a_wrong_method_are_told_apart(router: Router) -> None:
    for path in ("/v1/authors", "/v1/cases/", "/v2/cases", "/", "/v1/cases/1:ban"):
        with pytest.raises(NoRoute) as caught:
            router.match("GET", path)
        assert caught.value.allowed == ()
    with pytest.raises(NoRoute) as caught:
        router.match("DELETE", "/v1/cases/1")
    assert caught.value.allowed == ("GET", "HEAD", "OPTIONS")


def test_kinds_follow_the_streaming_of_the_method(router: Router) -> None:
    kinds = {binding.method.name: binding.kind for binding in router.bindings}
    assert kinds["ImportPosts"] is Kind.UPLOAD and kinds["StreamChanges"] is Kind.STREAM
    assert kinds["GetCase"] is Kind.UNARY


def test_no_watch_of_a_service_and_no_hold_is_served(router: Router) -> None:
    names = {binding.method.name for binding in router.bindings}
    assert not names & {"WatchPosts", "WatchEvents", "WatchCases", "WatchNotifications", "SetPostHold", "LookupReach"}


def test_the_openapi_document_says_of_documents_what_they_are(router: Router) -> None:
    paths = json.loads(document(router.bindings))["paths"]
    assert paths["/v1/orders/{order}:print"]["get"]["responses"]["200"]["content"] == {"text/html": {}}
