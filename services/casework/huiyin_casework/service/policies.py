"""The clock policy."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import policy_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_chassis.errors import FieldViolation, InvalidArgument
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies

from huiyin_casework.model.clocks.policy import PolicyError, parse_policy
from huiyin_casework.store import CaseworkStore


def check_clocks(body: str) -> None:
    """Raises InvalidArgument with every mistake of a clock policy."""
    try:
        parse_policy(body)
    except PolicyError as error:
        raise InvalidArgument.of(
            FieldViolation("policy.body", problem, "POLICY_INVALID") for problem in error.problems
        ) from error


class PolicyMethods:
    """What the service does with its policy."""

    _store: CaseworkStore
    _policies: Policies

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policies_pb2.Policy:
        """The clock policy, or a version of it."""
        return await self._store.read(lambda connection: self._policies.by_name(connection, request.name))

    async def ListPolicyVersions(
        self, request: policy_pb2.ListPolicyVersionsRequest, context: Any
    ) -> policy_pb2.ListPolicyVersionsResponse:
        """Every version, the newest first."""
        kind = _kind(request.parent, "parent")
        versions = await self._store.read(lambda connection: self._policies.versions(connection, kind))
        return policy_pb2.ListPolicyVersionsResponse(policies=versions)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Any) -> policies_pb2.Policy:
        """A new version, unless the body is the one in force."""
        kind, policy = _kind(request.policy.name, "policy.name"), request.policy
        subject = current_principal().subject
        return await self._store.write(lambda tx: self._policies.put(tx, kind, policy.body, subject, etag=policy.etag))


def _kind(name: str, field: str) -> str:
    if name != "policies/clocks":
        raise InvalidArgument(field, "must be policies/clocks, casework's one policy", "NAME_INVALID")
    return "clocks"
