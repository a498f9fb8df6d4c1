"""Rows of the store as the resources of the contract."""

from __future__ import annotations

import json
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp
from huiyin.analyzer.v1 import assessment_pb2, event_pb2, regrouping_pb2, topic_model_pb2, topic_pb2
from huiyin.type.v1 import grade_pb2, harm_pb2, intent_pb2
from huiyin_chassis.clock import micros_to_timestamp
from sqlalchemy import Row

from huiyin_analyzer.model.assessment import FIGURES, Override, Verdict, grade_that_holds
from huiyin_analyzer.model.regrouping import Kind
from huiyin_analyzer.model.signs import Harm


def assessment(verdict: Verdict, policy_version: int, decision: Override | None = None) -> assessment_pb2.Assessment:
    """An assessment that tells every rule that fired and the figures that it read, and who decided otherwise."""
    message = assessment_pb2.Assessment(
        grade=grade(grade_that_holds(verdict, decision)),
        figures=verdict.figures,
        policy_version=policy_version,
        computed_grade=grade(verdict.grade),
        insufficient_figures=[name for name in FIGURES if name not in verdict.figures],
        unjudged_rules=[rule.id for rule in verdict.unjudged],
    )
    if decision is not None and decision.grade:
        message.grade_override.CopyFrom(override(decision))
    for rule in verdict.fired:
        message.fired_rules.add(
            rule=rule.id,
            grade=grade(rule.grade),
            explanation=rule.why,
            condition=rule.when,
            figures={name: verdict.figures[name] for name in rule.reads},
        )
    return message


def override(decision: Override) -> assessment_pb2.GradeOverride:
    """A decision on a grade."""
    return assessment_pb2.GradeOverride(
        grade=grade(decision.grade),
        reason=decision.reason,
        author=decision.author,
        create_time=time(decision.create_time),
        expire_time=time(decision.expire_time) if decision.expire_time is not None else None,
    )


def event(
    row: Row[Any] | Any, judged: assessment_pb2.Assessment | None = None, *, with_title: bool = True
) -> event_pb2.Event:
    """An event from its row, or from anything with the same attributes; `judged` saves reading its assessment."""
    message = event_pb2.Event(
        name=f"events/{row.id}",
        title=row.title if with_title else "",
        topic=topic_name(row.topic),
        place=place_name(row.place),
        post_count=row.post_count,
        inquiry_count=row.inquiry_count,
        first_publish_time=time(row.first_publish_time),
        last_publish_time=time(row.last_publish_time),
        create_time=time(row.create_time),
        update_time=time(row.update_time),
        drill=row.drill,
        hold=row.hold,
        merged_into=event_name(row.merged_into),
        split_from=event_name(row.split_from),
        echo_of=event_name(row.echo_of),
        revision=row.revision,
        assessment=judged,
    )
    if judged is None:
        message.assessment.MergeFromString(row.assessment)
    return message


def membership(row: Row[Any] | Any, *, with_text: bool) -> event_pb2.Membership:
    """A post's membership from the post's row."""
    return event_pb2.Membership(
        name=f"memberships/{row.id}",
        event=f"events/{row.event_id}",
        previous_event=event_name(row.previous_event_id),
        post=f"posts/{row.id}",
        source=row.source,
        external_id=row.external_id,
        publish_time=time(row.publish_time),
        expects_answer=row.expects_answer,
        drill=row.drill,
        subject=row.subject if with_text else "",
        text=row.text if with_text else "",
        revision=row.revision,
        topic=topic_name(row.topic),
        topic_model=topic_model_name(row.topic_model),
        topic_confidence=row.topic_confidence,
        topic_low=row.topic_low,
        topic_corrected=row.topic_correction > 0,
    )


def topic_correction(row: Row[Any]) -> topic_pb2.TopicCorrection:
    """A correction of a post's topic from its row."""
    return topic_pb2.TopicCorrection(
        name=f"topicCorrections/{row.number}",
        membership=f"memberships/{row.post_id}",
        event=f"events/{row.event_id}" if row.event_id else "",
        topic=topic_name(row.topic),
        reason=row.reason,
        author=row.author,
        create_time=time(row.create_time),
    )


def topic_model(row: Row[Any], active: int) -> topic_model_pb2.TopicModel:
    """A topic model from its row; `active`: the number of the one in force."""
    state = topic_model_pb2.TopicModel.STATE_DISCARDED if row.discarded else topic_model_pb2.TopicModel.STATE_KEPT
    if row.number == active:
        state = topic_model_pb2.TopicModel.STATE_ACTIVE
    return topic_model_pb2.TopicModel(
        name=topic_model_name(row.number),
        state=state,
        create_time=time(row.create_time),
        author=row.author,
        report=topic_model_pb2.TopicModelReport.FromString(row.report),
    )


def regrouping(row: Row[Any]) -> regrouping_pb2.Regrouping:
    """A regrouping from its row."""
    return regrouping_pb2.Regrouping(
        name=f"regroupings/{row.number}",
        kind=row.kind,
        state=row.state,
        event=f"events/{row.event_id}",
        target_event=f"events/{row.target_id}",
        posts=[] if row.kind == Kind.MERGE else [f"posts/{post_id}" for post_id in json.loads(row.posts)],
        reason=row.reason,
        author=row.author,
        create_time=time(row.create_time),
        drill=row.drill,
    )


def time(micros: int) -> Timestamp:
    """A timestamp of microseconds since the epoch."""
    return micros_to_timestamp(micros)


def event_name(event_id: str) -> str:
    """events/… of an id, "" of none."""
    return f"events/{event_id}" if event_id else ""


def topic_name(path: str) -> str:
    """topics/… of a path, "" of none."""
    return f"topics/{path}" if path else ""


def topic_model_name(number: int) -> str:
    """topicModels/… of a number, "" of 0."""
    return f"topicModels/{number}" if number else ""


def place_name(path: str) -> str:
    """places/… of a path, "" of none."""
    return f"places/{path}" if path else ""


def grade(number: int) -> grade_pb2.Grade.ValueType:
    """A grade of the contract from its number."""
    return cast("grade_pb2.Grade.ValueType", number)


def intent(number: int) -> intent_pb2.Intent.ValueType:
    """An intent of the contract from its number."""
    return cast("intent_pb2.Intent.ValueType", number)


def harm(single: Harm) -> harm_pb2.Harm.ValueType:
    """A single harm of the contract; ours are powers of two, so that they can be added up."""
    return cast("harm_pb2.Harm.ValueType", int(single).bit_length())
