"""The policies: clocks, checks of replies, templates of replies, grounds of admission, dispatch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from huiyin.casework.v1 import policy_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies

from huiyin_casework.model.admission import GroundsError, parse_grounds
from huiyin_casework.model.checks import CheckPolicyError, parse_checks
from huiyin_casework.model.clocks.policy import PolicyError, parse_policy
from huiyin_casework.model.dispatch import CatalogueError, parse_catalogue
from huiyin_casework.model.templates import TemplateError, parse_templates
from huiyin_casework.store import CaseworkStore


def check_clocks(body: str) -> None:
    """Raises InvalidArgument with every mistake of a clock policy."""
    try:
        parse_policy(body)
    except PolicyError as error:
        raise _invalid(error.problems) from error


def check_replies(body: str) -> None:
    """The same for the checks of replies."""
    try:
        parse_checks(body)
    except CheckPolicyError as error:
        raise _invalid(error.problems) from error


def check_templates(body: str) -> None:
    """The same for the templates of replies."""
    try:
        parse_templates(body)
    except TemplateError as error:
        raise _invalid(error.problems) from error


def check_admission(body: str) -> None:
    """The same for the grounds of admission, dispatch."""
    try:
        parse_grounds(body)
    except GroundsError as error:
        raise _invalid(error.problems) from error


def check_dispatch(body: str) -> None:
    """The same for the dispatch catalogue."""
    try:
        parse_catalogue(body)
    except CatalogueError as error:
        raise _invalid(error.problems) from error


CHECKS = {
    "clocks": check_clocks,
    "replies": check_replies,
    "templates": check_templates,
    "admission": check_admission,
    "dispatch": check_dispatch,
}
"""The policies of casework, each with what finds its mistakes."""


def _invalid(problems: Iterable[str]) -> InvalidArgument:
    return InvalidArgument.of(FieldViolation("policy.body", problem, "POLICY_INVALID") for problem in problems)


class PolicyMethods:
    """What the service does with its policies."""

    _store: CaseworkStore
    _policies: Policies

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policies_pb2.Policy:
        """A policy in force, or a version of it."""
        return await self._store.read(lambda connection: self._policies.by_name(connection, request.name))

    async def ListPolicyVersions(
        self, request: policy_pb2.ListPolicyVersionsRequest, context: Any
    ) -> policy_pb2.ListPolicyVersionsResponse:
        """Every version, the newest first."""
        kind = _kind(request.parent)
        versions = await self._store.read(lambda connection: self._policies.versions(connection, kind))
        return policy_pb2.ListPolicyVersionsResponse(policies=versions)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Any) -> policies_pb2.Policy:
        """A new version, unless the body is the one in force."""
        kind, policy = _kind(request.policy.name), request.policy
        subject = current_principal().subject
        return await self._store.write(lambda tx: self._policies.put(tx, kind, policy.body, subject, etag=policy.etag))


def _kind(name: str) -> str:
    kind = name.removeprefix("policies/")
    if kind not in CHECKS:
        known = ", ".join(f"policies/{each}" for each in CHECKS)
        raise NotFound(name, f"{name} is none of casework's policies, which are {known}")
    return kind
