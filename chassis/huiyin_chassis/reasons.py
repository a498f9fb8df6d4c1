"""Which reasons of errors a method may give: those that its contract names, and those that follow from its shape.

The vocabulary and the rules stand in the contracts (huiyin.type.v1.ErrorReason and its terms). What a method gives
beside them is a fault of its contract: it is logged, once, and a test in whose course it happens fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import structlog
from google.api import resource_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from huiyin.type.v1 import error_reason_pb2, options_pb2
from huiyin.type.v1.error_reason_pb2 import ErrorReason, ReasonScope, ReasonTerms

from huiyin_chassis.errors import DomainError
from huiyin_chassis.validation import reasons_of

log = structlog.get_logger(__name__)

PREFIX: Final = "ERROR_REASON_"
"""Of the values of the enum; the wire goes without."""
_MASK: Final = "google.protobuf.FieldMask"

undeclared: Final[set[tuple[str, str]]] = set()
"""What methods gave and do not declare, since this process began: the name of the method, and the reason."""


def spelled(value: ErrorReason.ValueType) -> str:
    """A reason as it stands on the wire."""
    return ErrorReason.Name(value).removeprefix(PREFIX)


TERMS: Final[Mapping[str, ReasonTerms]] = {
    value.name.removeprefix(PREFIX): value.GetOptions().Extensions[error_reason_pb2.terms]
    for value in ErrorReason.DESCRIPTOR.values
    if value.number
}
"""Every reason, and what is known of it."""


_BY_FIELD: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(reason for reason, terms in TERMS.items() if name in terms.fields)
    for name in {name for terms in TERMS.values() for name in terms.fields}
}


@cache
def of_scope(scope: ReasonScope.ValueType) -> frozenset[str]:
    """The reasons of a scope."""
    return frozenset(reason for reason, terms in TERMS.items() if terms.scope == scope)


def named(method: MethodDescriptor) -> frozenset[str]:
    """The reasons that a method names as its own."""
    return frozenset(map(spelled, method.GetOptions().Extensions[options_pb2.errors].reasons))


def of_parts(method: MethodDescriptor) -> frozenset[str]:
    """The reasons that an answer of a method may tell of a part of what was asked."""
    return frozenset(map(spelled, method.GetOptions().Extensions[options_pb2.errors].of_parts))


def following(method: MethodDescriptor) -> frozenset[str]:
    """The reasons that follow from what a method takes, and from who may call it."""
    found = of_scope(error_reason_pb2.REASON_SCOPE_ALL) | reasons_of(method.input_type)
    if not method.GetOptions().Extensions[options_pb2.access].public:
        found |= of_scope(error_reason_pb2.REASON_SCOPE_SIGNED_IN)
    if _names_a_resource(method.input_type, set()):
        found |= of_scope(error_reason_pb2.REASON_SCOPE_NAMES)
    for name in _plain_fields(method):
        found |= _BY_FIELD.get(name, frozenset())
    for field in method.input_type.fields:
        if held := field.GetOptions().Extensions[options_pb2.holds_json_of]:
            found |= reasons_of(method.input_type.file.pool.FindMessageTypeByName(held))
    return found


def declared(method: MethodDescriptor) -> frozenset[str]:
    """The reasons that a call of a method may end with."""
    return named(method) | following(method)


def compare(method: str, known: frozenset[str], error: DomainError) -> None:
    """Notes where a method gives what it does not declare."""
    for reason in (error.reason, *(each.reason for each in error.violations)):
        if reason not in known and (method, reason) not in undeclared:
            undeclared.add((method, reason))
            log.warning("rpc.reason_undeclared", method=method, reason=reason)


def _names_a_resource(descriptor: Any, seen: set[Any]) -> bool:
    seen.add(descriptor)
    return any(
        field.GetOptions().HasExtension(resource_pb2.resource_reference)
        or (field.message_type not in (None, *seen) and _names_a_resource(field.message_type, seen))
        for field in descriptor.fields
    )


def _plain_fields(method: MethodDescriptor) -> Iterator[str]:
    """The names of fields that are no messages but masks; for an Update those of its resource that guard it too."""
    for field in method.input_type.fields:
        inner = field.message_type
        if inner is None or inner.full_name == _MASK:
            yield field.name
        elif method.name.startswith("Update") and _is_text(inner.fields_by_name.get("etag")):
            yield "etag"


def _is_text(field: FieldDescriptor | None) -> bool:
    return field is not None and field.type == FieldDescriptor.TYPE_STRING
