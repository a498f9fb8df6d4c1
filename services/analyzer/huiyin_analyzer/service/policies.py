"""The grading policy."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from huiyin.analyzer.v1 import policy_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies

from huiyin_analyzer import resources
from huiyin_analyzer.model.assessment import FIGURES, GRADES, Grading, PolicyError, parse_grading
from huiyin_analyzer.store import AnalyzerStore


def check_grading(body: str) -> None:
    """Raises InvalidArgument with every mistake of a grading policy, each with its place in the document."""
    _grading(body, "policy.body")


def _grading(body: str, field: str) -> Grading:
    try:
        return parse_grading(body)
    except PolicyError as error:
        raise InvalidArgument.of(
            FieldViolation(
                f"{field}.{mistake.place}",
                f"line {mistake.line}, column {mistake.column}: {mistake.problem}",
                "POLICY_INVALID",
            )
            for mistake in error.mistakes
        ) from error


class PolicyMethods:
    """What the service does with its policy."""

    _store: AnalyzerStore
    _policies: Policies

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policies_pb2.Policy:
        """The grading policy, or a version of it."""
        return await self._store.read(lambda connection: self._policies.by_name(connection, request.name))

    async def ListPolicyVersions(
        self, request: policy_pb2.ListPolicyVersionsRequest, context: Any
    ) -> policy_pb2.ListPolicyVersionsResponse:
        """Every version, the newest first."""
        kind = _kind(request.parent)
        versions = await self._store.read(lambda connection: self._policies.versions(connection, kind))
        return policy_pb2.ListPolicyVersionsResponse(policies=versions)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Any) -> policies_pb2.Policy:
        """A new version, unless the body is the one in force. Events are regraded by it soon after."""
        kind, policy = _kind(request.policy.name), request.policy
        subject = current_principal().subject
        return await self._store.write(lambda tx: self._policies.put(tx, kind, policy.body, subject, etag=policy.etag))

    async def TestPolicy(self, request: policy_pb2.TestPolicyRequest, context: Any) -> policy_pb2.TestPolicyResponse:
        """What a policy would make of these events; nothing is stored."""
        kind = _kind(request.name)
        _check_figures(request)
        body = request.body
        if not body:
            body = (await self._store.read(lambda connection: self._policies.active(connection, kind))).body
        # A thousand events by a hundred rules take a while, in which the loop serves others.
        return await asyncio.to_thread(_test, _grading(body, "body"), request)


def _test(grading: Grading, request: policy_pb2.TestPolicyRequest) -> policy_pb2.TestPolicyResponse:
    response = policy_pb2.TestPolicyResponse()
    before: Counter[int] = Counter()
    after: Counter[int] = Counter()
    for event in request.events:
        was = event.grade or GRADES["ORDINARY"]
        verdict = grading.assess(dict(event.figures))
        before[was] += 1
        after[verdict.grade] += 1
        if verdict.grade != was:
            response.changes.add(
                event=event.name,
                previous_grade=resources.grade(was),
                grade=resources.grade(verdict.grade),
                fired_rules=[rule.id for rule in verdict.fired],
                unjudged_rules=[rule.id for rule in verdict.unjudged],
            )
    for grade in sorted(GRADES.values()):
        response.before.add(grade=resources.grade(grade), count=before[grade])
        response.after.add(grade=resources.grade(grade), count=after[grade])
    return response


def _check_figures(request: policy_pb2.TestPolicyRequest) -> None:
    wrong = [
        FieldViolation(
            f"events[{index}].figures",
            f"there is no figure {name}; figures are {', '.join(FIGURES)}",
            "FIGURE_UNKNOWN",
        )
        for index, event in enumerate(request.events)
        for name in sorted(set(event.figures) - set(FIGURES))
    ]
    if wrong:
        raise InvalidArgument.of(wrong[:100])


def _kind(name: str) -> str:
    if name != "policies/grading":
        raise NotFound(name, f"{name} is not policies/grading, the one policy that the analyzer applies")
    return "grading"
