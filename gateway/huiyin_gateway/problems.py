"""Problem documents (RFC 9457) of domain errors."""

from __future__ import annotations

from typing import Any, Final

import grpc
from huiyin_chassis import reasons
from huiyin_chassis.errors import DomainError, FieldViolation

from huiyin_gateway import codec, texts
from huiyin_gateway.connection import Headers
from huiyin_gateway.routes import NoRoute

_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.UNIMPLEMENTED: 501,
}
_BY_REASON: Final = {reason: terms.http_status for reason, terms in reasons.TERMS.items() if terms.http_status}
TITLES: Final = {
    400: "The request cannot be used",
    401: "Sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "The request came too slowly",
    409: "Conflict",
    410: "Gone",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Content type not taken",
    429: "Too many requests",
    431: "Headers too large",
    499: "Cancelled",
    500: "Internal error",
    501: "Not implemented",
    503: "Not available now",
    504: "Took too long",
}


def status_of(error: DomainError, *, if_match: bool = False) -> int:
    """The HTTP status of an error. `if_match`: the client sent If-Match, so that a stale etag is 412."""
    if error.reason == "STALE_ETAG" and if_match:
        return 412
    return _BY_REASON.get(error.reason) or _STATUS.get(error.code, 500)


def problem(
    error: DomainError, *, if_match: bool = False, trace_id: str = "", language: str = texts.ENGLISH
) -> tuple[int, Headers, bytes]:
    """Status, headers and body of the answer to an error."""
    status = status_of(error, if_match=if_match)
    chinese = texts.in_chinese(error.reason, error.message) if language == texts.CHINESE else None
    document: dict[str, Any] = {
        "type": f"urn:huiyin:problem:{error.reason}",
        "title": texts.TITLES.get(status, "错误") if chinese else TITLES.get(status, "Error"),
        "status": status,
        "detail": chinese or error.message,
        "reason": error.reason,
    }
    if chinese:
        document["original"] = error.message
    if error.metadata:
        document["metadata"] = error.metadata
    if error.violations:
        document["violations"] = [_violation(item, bool(chinese)) for item in error.violations]
        if chinese:
            document["detail"] = "；".join(
                f"{item['field']}：{item['description']}" if item["field"] else item["description"]
                for item in document["violations"][:5]
            )
    if trace_id:
        document["traceId"] = trace_id
    told = texts.CHINESE if chinese else texts.ENGLISH
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-language", told.encode()),
        (b"cache-control", b"no-store"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="huiyin"'))
    if status in (429, 503):
        headers.append((b"retry-after", error.metadata.get("retry_after", "1").encode()))
    if isinstance(error, NoRoute) and error.allowed:
        headers.append((b"allow", ", ".join(error.allowed).encode()))
    return status, headers, codec.dumps(document)


def _violation(item: FieldViolation, in_chinese: bool) -> dict[str, str]:
    told = texts.in_chinese(item.reason, item.description) if in_chinese else None
    return {"field": codec.camel(item.field), "description": told or item.description, "reason": item.reason}
