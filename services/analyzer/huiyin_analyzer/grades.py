"""Grades stored events anew: their figures are what they were, the policy or a decision on them is another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace

from huiyin.analyzer.v1 import assessment_pb2
from huiyin_chassis.bulk import update_many
from huiyin_chassis.store import Tx

from huiyin_analyzer import resources, store
from huiyin_analyzer.model.assessment import Grading, grade_that_holds, parse_grading
from huiyin_analyzer.store import EVENTS, assessments


@lru_cache(maxsize=4)
def compiled(body: str) -> Grading:
    """A grading policy; the last few are kept, since checking one takes milliseconds."""
    return parse_grading(body)


def regrade(tx: Tx, event_ids: Sequence[str], grading: Grading, policy_version: int) -> None:
    """Grades events by a policy and the newest decisions on them, and tells of each as of an ordinary change."""
    connection = tx.connection
    decisions = assessments.decisions(connection, event_ids)
    # Which sources are media is the policy's word; without any, the posts need not be read.
    sources = assessments.sources_of(connection, event_ids) if grading.media else {}
    rows = []
    for event_id, row in store.events_by_id(connection, event_ids).items():
        figures = dict(assessment_pb2.Assessment.FromString(row.assessment).figures)
        figures.pop("media", None)
        verdict = grading.assess(grading.figures(figures, sources.get(event_id, frozenset())))
        decision = decisions.get(event_id)
        judged = resources.assessment(verdict, policy_version, decision)
        changed = {
            "id": event_id,
            "grade": grade_that_holds(verdict, decision),
            "assessment": judged.SerializeToString(),
            "policy_version": policy_version,
            "override_number": decision.number if decision else 0,
            "update_time": tx.now_us,
            "revision": row.revision + 1,
        }
        rows.append(changed)
        message = resources.event(SimpleNamespace(**{**row._mapping, **changed}), judged, with_title=False)
        tx.changes.add("event.updated", message.name, message.revision, message, drill=row.drill)
    update_many(connection, EVENTS, rows)
