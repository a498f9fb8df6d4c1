"""Whom a case might be assigned to: the dispatch catalogue, what units answer for, what desks decided in like cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from huiyin.casework.v1 import dispatch_pb2
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection, Row, select, text

from huiyin_casework import resources
from huiyin_casework.model.routing import holds
from huiyin_casework.rules import Rules
from huiyin_casework.service.scope import cases, visible_case
from huiyin_casework.store import CASES, CaseworkStore

_LIKE = 200
"""Like cases that are looked at, the newest."""
_NAMED = 3


class DispatchMethods:
    """What the service does to propose."""

    _store: CaseworkStore
    _policies: Policies

    async def ProposeAssignment(
        self, request: dispatch_pb2.ProposeAssignmentRequest, context: Any
    ) -> dispatch_pb2.ProposeAssignmentResponse:
        """Proposals with their reasons, beside what was decided before."""
        principal = current_principal()

        def read(connection: Connection) -> dispatch_pb2.ProposeAssignmentResponse:
            case = visible_case(connection, principal, request.name)
            # Rules of its own: those of the service belong to its writer.
            rules = Rules(self._policies)
            rules.consult(connection)
            like = _like_cases(connection, case)
            return dispatch_pb2.ProposeAssignmentResponse(
                proposals=_proposals(rules, case["topic"], case["place"]),
                like_decisions=_decisions(like, case["place"], _visible(connection, principal, like)),
                like_case_count=len(like),
                version=self._policies.active(connection, "dispatch").version,
            )

        return await self._store.read(read)


def _proposals(rules: Rules, topic: str, place: str) -> Iterator[dispatch_pb2.AssignmentProposal]:
    proposed: set[str] = set()
    for fit in rules.dispatched(topic, place):
        if fit.entry.lead not in proposed:
            proposed.add(fit.entry.lead)
            yield dispatch_pb2.AssignmentProposal(
                lead_unit=f"units/{fit.entry.lead}",
                assisting_units=(f"units/{unit}" for unit in fit.entry.assisting if rules.unit(unit) is not None),
                reason=fit.reason,
                entry=fit.entry.id,
                reserved=fit.entry.reserved,
            )
    competent = rules.competent(topic, place)
    if competent.lead and competent.lead not in proposed:
        yield dispatch_pb2.AssignmentProposal(
            lead_unit=f"units/{competent.lead}",
            assisting_units=(f"units/{unit}" for unit in competent.assisting),
            reason=competent.reason,
        )


def _like_cases(connection: Connection, case: Any) -> Sequence[Row[Any]]:
    """Cases of the same topic that were assigned, the newest first; none where the topic is not known."""
    if not case["topic"]:
        return []
    columns = (CASES.c.id, CASES.c.place, CASES.c.lead_unit, CASES.c.objecting_unit, CASES.c.assign_time)
    query = select(*columns).where(
        CASES.c.topic == case["topic"],
        text("assign_time > 0"),  # written out: an index of those alone serves only who asks in its own words
        CASES.c.id != case["id"],
        CASES.c.drill == case["drill"],
    )
    return list(connection.execute(query.order_by(CASES.c.assign_time.desc(), CASES.c.id).limit(_LIKE)))


def _visible(connection: Connection, principal: Principal, like: Sequence[Row[Any]]) -> set[str]:
    if principal.everywhere:
        return {row.id for row in like}
    query = cases(principal).with_only_columns(CASES.c.id).where(CASES.c.id.in_([row.id for row in like]))
    return set(connection.scalars(query))


def _decisions(like: Sequence[Row[Any]], place: str, visible: set[str]) -> list[dispatch_pb2.LikeDecision]:
    """What was decided, by lead unit; who objected and did not lead in the end is counted too."""
    found: dict[str, dispatch_pb2.LikeDecision] = {}

    def of(unit: str) -> dispatch_pb2.LikeDecision:
        return found.setdefault(unit, dispatch_pb2.LikeDecision(lead_unit=f"units/{unit}"))

    for row in like:
        decision = of(row.lead_unit)
        decision.case_count += 1
        decision.same_place_count += bool(place and row.place) and (holds(place, row.place) or holds(row.place, place))
        if row.id in visible and len(decision.cases) < _NAMED:
            decision.cases.append(f"cases/{row.id}")
        if decision.case_count == 1:
            time = resources.time(row.assign_time)
            assert time is not None, "only cases that were assigned are looked at"
            decision.last_assign_time.CopyFrom(time)
        if row.objecting_unit and row.objecting_unit != row.lead_unit:
            of(row.objecting_unit).objection_count += 1
    return sorted(found.values(), key=lambda each: (-each.case_count, -each.same_place_count, each.lead_unit))
