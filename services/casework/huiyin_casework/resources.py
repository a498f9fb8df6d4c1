"""Rows of the store as the resources of the contract. A row is a mapping by column name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from google.type import latlng_pb2
from huiyin.casework.v1 import (
    admission_pb2,
    attachment_pb2,
    case_pb2,
    clock_pb2,
    inquiry_pb2,
    message_pb2,
    reply_pb2,
    task_pb2,
    unit_pb2,
)
from huiyin.type.v1 import grade_pb2
from huiyin_chassis.clock import micros_to_timestamp
from sqlalchemy import RowMapping

from huiyin_casework.model import parts
from huiyin_casework.model.orders import order_number
from huiyin_casework.model.steps import Fact, State, legal_steps
from huiyin_casework.model.story import Names, sentence
from huiyin_casework.store import NO_DEADLINE

Fields = Mapping[str, Any] | RowMapping

SETTLED = frozenset({inquiry_pb2.Inquiry.STATE_ANSWERED, inquiry_pb2.Inquiry.STATE_WITHDRAWN})
"""States of an inquiry that waits for no answer any more."""


def case(row: Fields) -> case_pb2.Case:
    """A case."""
    assisting = row["assisting_units"]
    return case_pb2.Case(
        name=f"cases/{row['id']}",
        event=named("events", row["event_id"]),
        state=row["state"],
        grade=row["grade"],
        title=row["title"],
        topic=named("topics", row["topic"]),
        place=named("places", row["place"]),
        lead_unit=named("units", row["lead_unit"]),
        assisting_units=() if assisting == "[]" else (f"units/{unit}" for unit in json.loads(assisting)),
        suggested_unit=named("units", row["suggested_unit"]),
        inquiry_count=row["inquiry_count"],
        deadline=None if row["deadline"] == NO_DEADLINE else time(row["deadline"]),
        extended=row["extended"],
        urgent=row["urgent"],
        create_time=time(row["create_time"]),
        update_time=time(row["update_time"]),
        assign_time=time(row["assign_time"]),
        publish_time=time(row["publish_time"]),
        close_time=time(row["close_time"]),
        predecessor=named("cases", row["predecessor"]),
        merged_into=named("cases", row["merged_into"]),
        reply=f"cases/{row['id']}/replies/{row['reply_id']}" if row["reply_id"] else "",
        standing_reply=row["standing_reply"],
        drill=row["drill"],
        etag=etag(row),
        revision=row["revision"],
        extension=row["extension"],
        objected=row["objected"],
        dissatisfied_count=row["dissatisfied_count"],
        open_refusal_count=row["open_refusal_count"],
        parts=() if row["parts"] == "[]" else map(_part, parts.parse(row["parts"])),
        order=named("orders", row["order_id"]),
        order_number=order_number(row["order_id"]) if row["order_id"] else "",
    )


def with_steps(message: case_pb2.Case, row: Fields) -> case_pb2.Case:
    """The same case with the steps that are possible."""
    message.next_steps.extend(_next_steps(state_of(row), facts_of(row)))
    return message


def _part(part: parts.Part) -> case_pb2.Part:
    return case_pb2.Part(
        unit=f"units/{part.unit}",
        state=case_pb2.Part.State.Value(f"STATE_{part.standing}"),
        objected=bool(part.objector),
    )


@lru_cache(maxsize=512)
def _next_steps(state: State, facts: frozenset[Fact]) -> list[case_pb2.NextStep]:
    """Shared: copy them, do not change them."""
    verbs: dict[str, list[str]] = {}
    for legal in legal_steps(state, facts):
        roles = verbs.setdefault(legal.step.value.partition(".")[0], [])
        roles += [role for role in legal.roles if role not in roles]
    return [case_pb2.NextStep(step=verb, roles=roles) for verb, roles in verbs.items()]


_STATES = {number: State(name.removeprefix("STATE_")) for name, number in case_pb2.Case.State.items() if number}
_STATE_NUMBERS = {state: number for number, state in _STATES.items()}


def state_of(row: Fields) -> State:
    """The state of a case's row as the domain names it."""
    return state_named(row["state"])


def state_named(number: case_pb2.Case.State.ValueType) -> State:
    """The state that is stored under a number."""
    return _STATES[number]


def facts_of(row: Fields) -> frozenset[Fact]:
    """What is true of a case beside its state."""
    true = {
        Fact.EXTENDED: row["extended"],
        Fact.EXTENSION_REQUESTED: row["extension"] == case_pb2.Case.EXTENSION_REQUESTED,
        Fact.OBJECTED: row["objected"],
        Fact.DISSATISFIED: row["dissatisfied_count"] > 0,
        Fact.REFUSAL_OPEN: row["open_refusal_count"] > 0,
        Fact.NOTHING_WAITS: row["deadline"] == NO_DEADLINE,
    }
    found = frozenset(fact for fact, holds in true.items() if holds)
    return found if row["parts"] == "[]" else found | parts.facts(parts.parse(row["parts"]))


def state_number(state: State) -> int:
    """The number under which a state is stored."""
    return _STATE_NUMBERS[state]


def etag(row: Fields) -> str:
    """Changes with each change of the row."""
    return f"{row['revision']:x}"


def inquiry(row: Fields, *, with_text: bool) -> inquiry_pb2.Inquiry:
    """An inquiry."""
    return inquiry_pb2.Inquiry(
        name=f"inquiries/{row['id']}",
        case=named("cases", row["case_id"]),
        post=row["post"] or "",
        source=row["source"],
        external_id=row["external_id"],
        subject=row["subject"] if with_text else "",
        text=row["text"] if with_text else "",
        channel=row["channel"],
        state=row["state"],
        return_path=row["return_path"],
        publish_time=time(row["publish_time"]),
        receive_time=time(row["receive_time"]),
        deadline=time(row["deadline"]),
        urgent=row["urgent"],
        answer_time=time(row["answer_time"]),
        drill=row["drill"],
        revision=row["revision"],
        public_consent=row["public_consent"],
        follows=named("inquiries", row["follows"]),
        reply=f"cases/{row['case_id']}/replies/{row['reply_id']}" if row["reply_id"] else "",
        message_count=row["message_count"],
        question=f"inquiries/{row['id']}/messages/{row['question_id']}" if row["question_id"] else "",
        feedback=row["feedback"],
        has_receipt=row["receipt_hash"] is not None,
        admission=row["admission"],
        admission_state=row["admission_state"],
        taken_by=row["taken_by"],
        has_contact=row["has_contact"],
        attachment_count=row["attachment_count"],
        location=_location(row) if with_text else None,
        deliver_time=time(row["deliver_time"]),
    )


def _location(inquiry: Fields) -> latlng_pb2.LatLng | None:
    if inquiry["latitude"] is None:
        return None
    return latlng_pb2.LatLng(latitude=inquiry["latitude"], longitude=inquiry["longitude"])


def admission(row: Fields) -> admission_pb2.Admission:
    """What was decided, or is proposed, on the admission of an inquiry."""
    return admission_pb2.Admission(
        name=f"inquiries/{row['id']}/admission",
        outcome=row["outcome"],
        state=row["state"],
        ground=row["ground"],
        body=row["body"],
        text=row["text"],
        proposer=row["proposer"],
        reviewer=row["reviewer"],
        propose_time=time(row["propose_time"]),
        decide_time=time(row["decide_time"]),
        joined_case=named("cases", row["joined_case"]),
    )


def message(row: Fields, inquiry: Fields) -> message_pb2.Message:
    """A message of an inquiry."""
    named_by = f"inquiries/{row['inquiry_id']}/messages"
    return message_pb2.Message(
        name=f"{named_by}/{row['id']}",
        kind=row["kind"],
        text=row["text"],
        unit=named("units", row["unit"]),
        account=row["account"],
        create_time=time(row["create_time"]),
        open=row["id"] == inquiry["question_id"],
        answers=named(named_by, row["answers"]),
        clock_paused=row["paused"],
    )


def attachment(row: Fields) -> attachment_pb2.Attachment:
    """A file of an inquiry or of an answer."""
    return attachment_pb2.Attachment(
        name=f"{_holder(row)}/attachments/{row['id']}",
        file_name=row["file_name"],
        media_type=row["media_type"],
        size=row["size"],
        sha256=row["sha256"],
        account=row["account"],
        create_time=time(row["create_time"]),
        cleared_by=row["cleared_by"],
        clear_time=time(row["clear_time"]),
        readable=row["readable"],
        personal_data_count=row["personal_data_count"],
        reply=f"cases/{row['case_id']}/replies/{row['reply_id']}" if row["reply_id"] else "",
    )


def _holder(attachment: Fields) -> str:
    return f"inquiries/{attachment['inquiry_id']}" if attachment["inquiry_id"] else f"cases/{attachment['case_id']}"


def shown_attachment(row: Fields) -> attachment_pb2.ShownAttachment:
    """A file as the author of an inquiry or the public sees it."""
    return attachment_pb2.ShownAttachment(
        id=row["id"], file_name=row["file_name"], media_type=row["media_type"], size=row["size"]
    )


def reply(
    row: Fields,
    paragraphs: Sequence[Fields],
    findings: Sequence[reply_pb2.Finding],
    enclosures: Sequence[Fields] = (),
) -> case_pb2.Reply:
    """A reply, with what it says to single authors, what it was told of, and the files that go with it."""
    return case_pb2.Reply(
        name=f"cases/{row['case_id']}/replies/{row['id']}",
        state=row["state"],
        text=row["text"],
        unit=named("units", row["unit"]),
        author=row["author"],
        reviewer=row["reviewer"],
        approver=row["approver"],
        note=row["note"],
        create_time=time(row["create_time"]),
        review_time=time(row["review_time"]),
        approve_time=time(row["approve_time"]),
        publish_time=time(row["publish_time"]),
        version=row["version"],
        findings=findings,
        paragraphs=(
            reply_pb2.ReplyParagraph(inquiry=f"inquiries/{each['inquiry_id']}", text=each["text"])
            for each in paragraphs
        ),
        overridden=row["overridden"],
        attachments=map(attachment, enclosures),
    )


def entry(row: Fields, names: Names) -> case_pb2.Entry:
    """An entry of a chain, with the note beside it; the note is None where there is none."""
    return case_pb2.Entry(
        name=f"cases/{row['case_id']}/entries/{row['number']}",
        number=row["number"],
        step=row["step"],
        actor=row["actor"],
        time=time(row["time"]),
        details=row["details"],
        text_digest=row["text_digest"],
        previous_hash=row["previous"],
        hash=row["hash"],
        note=row["note"] or "",
        sentence=sentence(row["step"], row["details"], names),
    )


def task(row: Fields, case: Fields) -> task_pb2.Task:
    """A task of a case."""
    return task_pb2.Task(
        name=f"tasks/{row['id']}",
        kind=row["kind"],
        state=row["state"],
        case=named("cases", row["case_id"]),
        other_case=named("cases", row["other_case"]),
        inquiry=named("inquiries", row["inquiry_id"]),
        source=row["source"],
        external_id=row["external_id"],
        reply=row["reply_id"],
        note=row["note"],
        create_time=time(row["create_time"]),
        complete_time=time(row["complete_time"]),
        completer=row["completer"],
        drill=row["drill"],
        revision=row["revision"],
        event=named("events", row["event_id"]),
        title=case["title"],
        grade=case["grade"],
        unit=named("units", case["lead_unit"] or case["suggested_unit"]),
        regrouping=named("regroupings", row["regrouping"]),
    )


def clock(row: Fields, case: Fields | None, *, unit: str, supervising: str) -> clock_pb2.Clock:
    """A clock; `case` is None where no case holds its inquiry yet."""
    pauses = [] if row["pauses"] == "[]" else json.loads(row["pauses"])
    return clock_pb2.Clock(
        name=f"clocks/{row['id']}",
        kind=row["kind"],
        state=row["state"],
        case=named("cases", row["case_id"]),
        inquiry=named("inquiries", row["inquiry_id"]),
        unit=named("units", unit),
        supervising_unit=named("units", supervising),
        rule=row["rule"],
        start_time=time(row["start_time"]),
        deadline=time(row["deadline"]),
        counted_time=time(row["counted_time"]),
        pauses=(clock_pb2.Clock.Pause(start_time=time(begin), end_time=time(end or 0)) for begin, end in pauses),
        stage=row["stage"],
        stage_time=time(row["stage_time"]),
        next_time=time(row["next_time"] or 0),
        end_time=time(row["end_time"]),
        speed=row["speed"],
        title=case["title"] if case is not None else "",
        grade=case["grade"] if case is not None else grade_pb2.GRADE_UNSPECIFIED,
        topic=named("topics", case["topic"]) if case is not None else "",
        drill=row["drill"],
        revision=row["revision"],
    )


def unit(row: Fields, members: Sequence[Fields]) -> unit_pb2.Unit:
    """A unit with its members."""
    return unit_pb2.Unit(
        name=f"units/{row['id']}",
        display_name=row["display_name"],
        parent=named("units", row["parent"]),
        kind=row["kind"],
        desk=row["desk"],
        contact=row["contact"],
        contact_persons=(
            unit_pb2.ContactPerson(
                role=role, display_name=name, telephone=telephone, account=named("accounts", account)
            )
            for role, name, telephone, account in json.loads(row["contact_persons"])
        ),
        places=(f"places/{path}" for path in json.loads(row["places"])),
        topics=(f"topics/{path}" for path in json.loads(row["topics"])),
        members=(
            unit_pb2.UnitMember(account=f"accounts/{member['account']}", roles=json.loads(member["roles"]))
            for member in members
        ),
        working_hours=json.loads(row["working_hours"]),
        time_zone=row["time_zone"],
        stand_ins=(f"accounts/{account}" for account in json.loads(row["stand_ins"])),
        absences=(
            unit_pb2.Absence(account=f"accounts/{account}", start_time=time(begin), end_time=time(end))
            for account, begin, end in json.loads(row["absences"])
        ),
    )


def named(collection: str, value: str) -> str:
    """collection/value, or nothing of nothing."""
    return f"{collection}/{value}" if value else ""


@lru_cache(maxsize=4096)
def time(micros: int) -> Timestamp | None:
    """A timestamp of microseconds since the epoch; none of 0. It is shared: copy it into messages, do not change it."""
    return micros_to_timestamp(micros) if micros else None
