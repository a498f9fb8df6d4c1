"""What a method may refuse with follows from what it takes, from who may call it, and from what it names."""

from __future__ import annotations

import pytest
from huiyin_chassis import reasons
from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound

from tests.contract.walking import SERVICES

ANY = {"INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "STORE_BUSY", "TOKEN_EXPIRED"}


def of(service: str, method: str) -> frozenset[str]:
    return reasons.declared(SERVICES[service].methods_by_name[method])


@pytest.mark.parametrize(
    ("service", "method", "there", "not_there"),
    [
        ("process", "GetProcess", set(), {"TOKEN_MISSING", "PERMISSION_MISSING", "REQUIRED", "NOT_FOUND"}),
        ("collector", "GetSource", {"TOKEN_MISSING", "NOT_FOUND", "NAME_INVALID", "REQUIRED"}, {"PAGE_TOKEN_INVALID"}),
        (
            "collector",
            "ListPosts",
            {"PAGE_TOKEN_INVALID", "FILTER_INVALID", "ORDER_INVALID", "REACH_MISSING"},
            {"CURSOR_UNKNOWN"},
        ),
        ("collector", "WatchPosts", {"CURSOR_UNKNOWN", "CURSOR_EXPIRED"}, {"REQUEST_ID_REUSED"}),
        ("collector", "CreateSource", {"REQUEST_ID_REUSED", "PATTERN", "UNKNOWN_VALUE"}, {"STALE_ETAG"}),
        ("collector", "UpdateSource", {"STALE_ETAG", "FIELD_NOT_UPDATABLE"}, {"REQUEST_ID_REUSED"}),
        ("analyzer", "SearchEvents", {"QUERY_INVALID", "TOO_LARGE"}, {"FILTER_INVALID"}),
        ("casework", "AssignCase", {"STALE_ETAG", "BUREAU_WORK", "TOO_MANY"}, {"QUERY_INVALID"}),
        ("casework", "SubmitPartnerInquiry", {"SIGNATURE_REFUSED", "REQUIRED", "PATTERN"}, {"TOKEN_MISSING"}),
    ],
)
def test_what_a_method_may_refuse_with(service: str, method: str, there: set[str], not_there: set[str]) -> None:
    found = of(service, method)
    assert (ANY | there) - found == set() and not_there & found == set()


def test_what_is_not_declared_is_noted_once_with_the_reasons_of_fields() -> None:
    known = frozenset({"REQUIRED", "NOT_FOUND"})
    reasons.compare("a.Method", known, NotFound("cases/1"))
    reasons.compare("a.Method", known, InvalidArgument.of([FieldViolation("a", "is missing", "REQUIRED")]))
    assert reasons.undeclared == set()
    for _ in range(2):
        wrong = [FieldViolation("a", "is missing", "REQUIRED"), FieldViolation("b", "is odd", "ODD")]
        reasons.compare("a.Method", known, InvalidArgument.of(wrong))
    assert reasons.undeclared == {("a.Method", "ODD")}
    reasons.undeclared.clear()
