"""Grades stored events anew: their figures are what they were, the policy or a decision on them is another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace

from huiyin.analyzer.v1 import assessment_pb2
from huiyin_chassis.bulk import update_many
from huiyin_chassis.store import Tx

from huiyin_analyzer import resources, store
from huiyin_analyzer.model.assessment import Grading, Override, Verdict, grade_that_holds, parse_grading
from huiyin_analyzer.model.events import Event
from huiyin_analyzer.store import EVENTS, assessments


@lru_cache(maxsize=4)
def compiled(body: str) -> Grading:
    """A grading policy; the last few are kept, since checking one takes milliseconds."""
    return parse_grading(body)


def judge(
    event: Event, grading: Grading, policy_version: int, decision: Override | None
) -> tuple[Verdict, dict[str, object]]:
    """What a policy, and a decision of people, make of an event's figures; and the columns that follow from them."""
    verdict = grading.assess(grading.figures(event.figures(), event.sources))
    columns: dict[str, object] = {
        "topic": event.topic,
        "place": event.place,
        "grade": grade_that_holds(verdict, decision),
        "policy_version": policy_version,
        "override_number": decision.number if decision else 0,
        "post_count": event.posts,
        "inquiry_count": event.inquiries,
        "first_publish_time": event.times[0],
        "last_publish_time": event.times[-1],
    }
    return verdict, columns


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
