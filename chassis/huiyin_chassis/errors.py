"""Domain errors and their one form on the wire: google.rpc.Status with ErrorInfo and BadRequest.

A service raises a DomainError; the server's interceptor turns it into a status; a client turns that status back into
the same DomainError. A reason is stable and meant for programs, a message is one sentence that a person can act on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self, cast

import grpc
from google.rpc import error_details_pb2, status_pb2

DOMAIN: Final = "huiyin"
DETAILS_KEY: Final = "grpc-status-details-bin"
"""Metadata key under which gRPC carries a serialized google.rpc.Status (the contract of grpcio-status)."""

_LONGEST_TEXT: Final = 1000
_MOST_BYTES: Final = 5000
"""Of a status, so that there is room for what else stands in the trailers."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}
_TRANSIENT: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
        # A key made a moment ago may not be read by the neighbour yet; trying again is right, giving up is not.
        grpc.StatusCode.UNAUTHENTICATED,
    }
)


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """What is wrong with one field: its path (`posts[3].subject`), a sentence with the remedy, a stable reason."""

    field: str
    description: str
    reason: str = "INVALID_ARGUMENT"


class DomainError(Exception):
    """Anything that a caller is told: a gRPC code, a stable reason, one sentence, and figures as metadata."""

    code: grpc.StatusCode = grpc.StatusCode.INTERNAL
    reason: str
    message: str
    metadata: dict[str, str]
    violations: list[FieldViolation]

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        metadata: dict[str, str] | None = None,
        violations: Iterable[FieldViolation] = (),
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = list(violations)

    @property
    def transient(self) -> bool:
        """True when the same call may succeed later without being changed."""
        return self.code in _TRANSIENT

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.code.name}, {self.reason}, {self.message!r})"


class InvalidArgument(DomainError):
    """The request itself is wrong. Give one field, or many by `InvalidArgument.of(violations)`."""

    code = grpc.StatusCode.INVALID_ARGUMENT

    def __init__(self, field: str, description: str, reason: str = "INVALID_ARGUMENT", **metadata: str) -> None:
        super().__init__(
            reason,
            f"{field}: {description}" if field else description,
            metadata=metadata,
            violations=[FieldViolation(field, description, reason)],
        )

    @classmethod
    def of(cls, violations: Iterable[FieldViolation]) -> Self:
        """One error that carries every violation; its reason is the first one's."""
        found = list(violations)
        error = cls(found[0].field, found[0].description, found[0].reason)
        error.violations = found
        if len(found) > 1:
            error.message = "; ".join(f"{item.field}: {item.description}" for item in found[:5])
            if len(found) > 5:
                error.message += f"; and {len(found) - 5} more"
            error.args = (error.message,)
        return error


class NotFound(DomainError):
    """No such resource, or none that the caller may know of."""

    code = grpc.StatusCode.NOT_FOUND

    def __init__(self, name: str, message: str = "", reason: str = "NOT_FOUND") -> None:
        super().__init__(
            reason, message or f"{name} does not exist; list the collection to see what does", metadata={"name": name}
        )


class AlreadyExists(DomainError):
    """The resource is there already."""

    code = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, name: str, message: str = "", reason: str = "ALREADY_EXISTS") -> None:
        super().__init__(
            reason, message or f"{name} exists already; update it, or choose another id", metadata={"name": name}
        )


class _Reasoned(DomainError):
    """Errors made of a reason, a sentence and figures: `FailedPrecondition("CASE_SEALED", "…", state="SEALED")`."""

    def __init__(self, reason: str, message: str, **metadata: str) -> None:
        super().__init__(reason, message, metadata=metadata)


class FailedPrecondition(_Reasoned):
    """The resource is not in a state that allows this; `metadata` may name the state and what is allowed."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(_Reasoned):
    """Somebody else was faster (a stale etag): read again and repeat."""

    code = grpc.StatusCode.ABORTED


class OutOfRange(_Reasoned):
    """A place that the feed does not have: CURSOR_UNKNOWN or CURSOR_EXPIRED; list again."""

    code = grpc.StatusCode.OUT_OF_RANGE


class ResourceExhausted(_Reasoned):
    """Too much at once; slow down."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class DeadlineExceeded(_Reasoned):
    """The time that the caller gave is over."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class Unavailable(_Reasoned):
    """Not now; the same call may succeed in a moment."""

    code = grpc.StatusCode.UNAVAILABLE


class PermissionDenied(_Reasoned):
    """The caller is known and may not."""

    code = grpc.StatusCode.PERMISSION_DENIED


class Unauthenticated(_Reasoned):
    """The caller is not known."""

    code = grpc.StatusCode.UNAUTHENTICATED


def to_status(error: DomainError) -> status_pb2.Status:
    """The google.rpc.Status of an error: ErrorInfo always, BadRequest where fields are at fault.

    It travels in HTTP/2 trailers, of which a gRPC client takes 8 KiB and no more: long texts are cut, and of many
    violations those are told that have room.
    """
    status = status_pb2.Status(code=error.code.value[0], message=shortened(error.message))
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = shortened(value)
    status.details.add().Pack(info)
    if error.violations:
        bad, room = error_details_pb2.BadRequest(), _MOST_BYTES - status.ByteSize()
        for item in error.violations:
            told = error_details_pb2.BadRequest.FieldViolation(
                field=shortened(item.field),
                description=shortened(item.description),
                reason=item.reason,
            )
            room -= told.ByteSize() + 3
            if room < 0 and bad.field_violations:
                break
            bad.field_violations.append(told)
        status.details.add().Pack(bad)
    return status


def shortened(text: str, most: int = _LONGEST_TEXT) -> str:
    """A text of at most so many bytes in UTF-8, with an ellipsis where something is left out."""
    data = text.encode()
    return text if len(data) <= most else data[: most - 3].decode(errors="ignore") + "…"


def from_status(status: status_pb2.Status) -> DomainError:
    """The error that a google.rpc.Status stands for; without ErrorInfo the reason is the code's name."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    reason = code.name
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Is(info.DESCRIPTOR):
            detail.Unpack(info)
            reason, metadata = info.reason or reason, dict(info.metadata)
        elif detail.Is(bad.DESCRIPTOR):
            detail.Unpack(bad)
            violations = [FieldViolation(v.field, v.description, v.reason) for v in bad.field_violations]
    return _rebuild(code, reason, status.message, metadata, violations)


def from_rpc_error(error: grpc.RpcError) -> DomainError:
    """The DomainError that a failed call carries, of grpc or grpc.aio; without details the reason is the code."""
    call = cast("grpc.aio.AioRpcError", error)  # grpc.Call has the same three methods
    code = call.code()
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            status = status_pb2.Status.FromString(value)
            if _CODES.get(status.code) is code:
                return from_status(status)
    return _rebuild(code, code.name, call.details() or code.name, {}, [])


def internal(trace_id: str = "") -> DomainError:
    """What a caller is told of an unexpected exception: nothing of its inside, and where to find it."""
    return DomainError(
        "INTERNAL",
        "something unexpected happened inside; the service's log has it under this trace id",
        metadata={"trace_id": trace_id} if trace_id else None,
    )


_CLASSES: Final[dict[grpc.StatusCode, type[DomainError]]] = {
    kind.code: kind
    for kind in (
        InvalidArgument,
        NotFound,
        AlreadyExists,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        ResourceExhausted,
        DeadlineExceeded,
        Unavailable,
        PermissionDenied,
        Unauthenticated,
    )
}


def _rebuild(
    code: grpc.StatusCode, reason: str, message: str, metadata: dict[str, str], violations: list[FieldViolation]
) -> DomainError:
    kind = _CLASSES.get(code, DomainError)
    error = kind.__new__(kind)
    DomainError.__init__(error, reason, message, code=code, metadata=metadata, violations=violations)
    return error
