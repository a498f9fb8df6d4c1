"""Grades: why an event has its grade, and people's decisions on it."""

from __future__ import annotations

from typing import Any

from huiyin.analyzer.v1 import assessment_pb2, event_pb2
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection

from huiyin_analyzer import resources, store
from huiyin_analyzer.grades import compiled, regrade
from huiyin_analyzer.model.assessment import MINIMUMS, Grading, Verdict, evidence, nearest
from huiyin_analyzer.service.events import EventMethods, as_of_now, reason_of
from huiyin_analyzer.store import assessments

_MOST_DECISIONS = 100
_EVENTS = "events/"


class AssessmentMethods(EventMethods):
    """What the service does with grades."""

    _policies: Policies

    async def OverrideGrade(self, request: assessment_pb2.OverrideGradeRequest, context: Any) -> event_pb2.Event:
        """Keeps a decision, and grades the event by it at once."""
        # Whether the caller may know of the event is decided where events are read.
        event = await self.GetEvent(event_pb2.GetEventRequest(name=request.name), context)
        if event.merged_into:
            text = f"{event.name} was merged into {event.merged_into}; decide on that"
            raise FailedPrecondition("EVENT_MERGED", text, event=event.merged_into)
        name = event.name
        event_id = name.removeprefix(_EVENTS)
        subject = current_principal().subject
        reason = reason_of(request.reason)
        expire_time = timestamp_to_micros(request.expire_time) if request.HasField("expire_time") else None

        def write(tx: Tx) -> event_pb2.Event:
            row = store.events_by_id(tx.connection, [event_id]).get(event_id)
            if row is None:
                raise NotFound(name)
            if request.revision and request.revision != row.revision:
                text = f"{name} is at revision {row.revision} now; read it again, and decide again"
                raise Aborted("STALE_REVISION", text, revision=str(row.revision))
            if expire_time is not None and expire_time <= tx.now_us:
                raise InvalidArgument("expire_time", "lies in the past; give a later time or none", "IN_THE_PAST")
            assessments.decide(
                tx, event_id, grade=request.grade, reason=reason, author=subject, expire_time=expire_time
            )
            policy = self._policies.active(tx.connection, "grading")
            regrade(tx, [event_id], compiled(policy.body), policy.version)
            return as_of_now(store.events_by_id(tx.connection, [event_id])[event_id])

        return await self._store.write_once(
            request.request_id, "OverrideGrade", request, write, event_pb2.Event, subject=subject
        )

    async def ExplainAssessment(
        self, request: assessment_pb2.ExplainAssessmentRequest, context: Any
    ) -> assessment_pb2.ExplainAssessmentResponse:
        """Why an event has its grade: by the policy that graded it, whatever is in force by now."""
        event = await self.GetEvent(event_pb2.GetEventRequest(name=request.name), context)
        event_id = event.name.removeprefix(_EVENTS)

        def read(connection: Connection) -> assessment_pb2.ExplainAssessmentResponse:
            policy = self._policies.version(connection, "grading", event.assessment.policy_version)
            grading = compiled(policy.body)
            verdict = grading.assess(dict(event.assessment.figures))
            response = assessment_pb2.ExplainAssessmentResponse(
                assessment=event.assessment,
                missing=_missing(verdict),
                overrides=map(resources.override, assessments.history(connection, event_id, _MOST_DECISIONS)),
            )
            _add_evidence(connection, event_id, grading, verdict, response.assessment)
            _add_changes(grading, verdict, response)
            return response

        return await self._store.read(read)


def _missing(verdict: Verdict) -> list[assessment_pb2.MissingEvidence]:
    return [
        assessment_pb2.MissingEvidence(
            figure=figure,
            requirement=f"{figure} {requirement}",
            rules=[rule.id for rule in verdict.unjudged if figure in rule.reads],
        )
        for figure, requirement in MINIMUMS.items()
        if figure not in verdict.figures
    ]


def _add_evidence(
    connection: Connection,
    event_id: str,
    grading: Grading,
    verdict: Verdict,
    message: assessment_pb2.Assessment,
) -> None:
    if not verdict.fired:
        return
    posts = assessments.spoken(connection, event_id)
    for fired, rule in zip(message.fired_rules, verdict.fired, strict=True):
        fired.evidence.extend(f"posts/{post_id}" for post_id in evidence(rule, posts, grading.media))


def _add_changes(grading: Grading, verdict: Verdict, response: assessment_pb2.ExplainAssessmentResponse) -> None:
    for change in nearest(grading, verdict.figures):
        side = response.raising if change.grade > verdict.grade else response.lowering
        side.append(
            assessment_pb2.GradeChange(
                grade=resources.grade(change.grade),
                figures=[
                    assessment_pb2.FigureChange(figure=move.figure, value=move.before, required_value=move.after)
                    for move in change.moves
                ],
            )
        )
