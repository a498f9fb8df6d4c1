"""How a request of a route may be refused: the reasons of its method and those of the gateway, by HTTP status."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from functools import cache

import grpc
from google.rpc import code_pb2
from huiyin.type.v1 import error_reason_pb2
from huiyin_chassis import reasons
from huiyin_chassis.errors import DomainError

from huiyin_gateway.problems import status_of
from huiyin_gateway.routes import Binding

_OF_ROUTES = reasons.of_scope(error_reason_pb2.REASON_SCOPE_HTTP)
_OF_BODIES = reasons.of_scope(error_reason_pb2.REASON_SCOPE_HTTP_BODIES)


def reasons_of(binding: Binding) -> frozenset[str]:
    """Every reason that an answer of a route may give."""
    found = reasons.declared(binding.method) | _OF_ROUTES
    if binding.body:
        found |= _OF_BODIES
    if shows_etag(binding):
        found |= {"STALE_ETAG"}  # by If-Match
    return found


def shows_etag(binding: Binding) -> bool:
    """Whether it reads a resource that has an etag, which conditions of HTTP are held against."""
    return binding.verb == "GET" and has_etag(binding)


def has_etag(binding: Binding) -> bool:
    """Whether it answers with a resource that has an etag."""
    return not binding.response_body and "etag" in binding.method.output_type.fields_by_name


def by_status(binding: Binding) -> Mapping[int, list[str]]:
    """The reasons of a route, each under the statuses that it comes with."""
    found: dict[int, list[str]] = defaultdict(list)
    for reason in sorted(reasons_of(binding)):
        for status in _statuses(reason):
            found[status].append(reason)
    if binding.verb == "GET":
        found.pop(409, None)  # what only reads is stale by If-Match alone
    return dict(sorted(found.items()))


@cache
def _statuses(reason: str) -> frozenset[int]:
    names = map(code_pb2.Code.Name, reasons.TERMS[reason].codes)
    told = [DomainError(reason, "", code=grpc.StatusCode[name]) for name in names]
    return frozenset(status_of(error, if_match=if_match) for error in told for if_match in (False, True))
