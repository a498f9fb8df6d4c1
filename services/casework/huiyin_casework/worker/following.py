"""Following the analyzer's events: inquiries and cases, and what becomes of them when events change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from huiyin.analyzer.v1 import assessment_pb2, event_pb2, regrouping_pb2
from huiyin.casework.v1 import admission_pb2, inquiry_pb2, task_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.feed import unpack
from huiyin_chassis.ids import derived_id
from huiyin_chassis.store import Tx

from huiyin_casework import blobs, pastanswers
from huiyin_casework.casefile import INBOX, SYSTEM, CaseFiles, new_inquiry
from huiyin_casework.handling.moving import bring_to_where_they_stood
from huiyin_casework.model.following import (
    Consequence,
    Happening,
    consequence,
    consequence_of_merge,
    opens_case,
)
from huiyin_casework.model.orders import grade_reason
from huiyin_casework.model.steps import OPEN_STATES, UNDER_ORDER, State
from huiyin_casework.resources import state_of
from huiyin_casework.rules import GRADE_NAMES, Rules
from huiyin_casework.store import EVENTS, INQUIRIES, Fields

Told = tuple[str, event_pb2.Event | event_pb2.Membership | regrouping_pb2.Regrouping]
"""A kind of change, and the resource after it."""

_MOVED_IN = inquiry_pb2.Inquiry.CHANNEL_MOVED_IN
_PROPOSED = regrouping_pb2.Regrouping.STATE_PROPOSED


class Following:
    """Applies the analyzer's changes, each by the table of `model.following`.

    An event is told of before its memberships, and a merge before the moves that it causes; moves told before their
    merge are taken for those of a split.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.destroyed_texts = False
        """True once a text was purged; whoever empties the files of it sets it back."""

    def apply(self, tx: Tx, changes: Sequence[feed_pb2.Change], position: FeedPosition) -> None:
        """Applies changes of the feed in their order."""
        told: list[Told] = []
        for change in changes:
            family = change.kind.partition(".")[0]
            if family == "membership":
                told.append((change.kind, unpack(change, event_pb2.Membership)))
            elif family == "event":
                told.append((change.kind, unpack(change, event_pb2.Event)))
            elif family == "regrouping":
                told.append((change.kind, unpack(change, regrouping_pb2.Regrouping)))
        self.follow(tx, told, lambda effect: position.request_id(changes[-1].sequence, effect))

    def follow(self, tx: Tx, told: Sequence[Told], request_id: Callable[[str], str]) -> None:
        """The same for resources; everything is loaded at the beginning and written at the end, in bulk."""
        files = CaseFiles(tx, self._rules)
        _load(files, told)
        for kind, resource in told:
            if isinstance(resource, event_pb2.Membership):
                if resource.expects_answer:
                    self._membership(files, kind, resource)
            elif isinstance(resource, regrouping_pb2.Regrouping):
                self._regrouping(files, resource)
            else:
                self._event(files, kind, resource)
        files.write(request_id)
        brought = [row["id"] for row in files.inquiries if row["channel"] == _MOVED_IN and row["case_id"]]
        if brought:
            bring_to_where_they_stood(tx, self._rules, brought)

    # Events

    def _event(self, files: CaseFiles, kind: str, event: event_pb2.Event) -> None:
        known = files.events.get(_id(event.name))
        row = files.events.add(_event_row(event)) if known is None else known
        if row["merged_into"]:
            return
        if event.merged_into:
            self._merged(files, row, _id(event.merged_into))
        elif known is not None:
            self._changed(files, row, event)
        elif _is_large(row):
            files.tell(files.open_case(row), "case.opened")

    def _changed(self, files: CaseFiles, row: Fields, event: event_pb2.Event) -> None:
        """An event's grade, title, topic or place may be new."""
        before, values = row["grade"], _event_row(event)
        new = {name: values[name] for name in ("title", "topic", "place") if values[name] != row[name]}
        graded = {name: values[name] for name in ("grade", "grade_reason")}
        if not new and all(row[name] == value for name, value in graded.items()):
            return
        files.events.change(row, **graded, **new)
        case = files.case_of(row)
        if new and case is not None and state_of(case) == State.REGISTERED:
            unit = files.rules.suggested_unit(row["topic"], row["place"])
            files.cases.change(case, **new, suggested_unit=unit)
            files.tell(case, "case.updated")
        elif "title" in new and case is not None:
            # Where the text was purged that the title came from, the title goes with it.
            files.cases.change(case, title=row["title"])
            files.tell(case, "case.updated")
        if values["grade"] != before:
            self._regraded(files, row, case, before)

    @staticmethod
    def _regraded(files: CaseFiles, row: Fields, case: Fields | None, before: int) -> None:
        if case is None:
            if _is_large(row):
                files.tell(files.open_case(row), "case.opened")
            return
        happening = Happening.GRADE_RISES if row["grade"] > before else Happening.GRADE_FALLS
        todo = consequence(happening, state_of(case))
        if todo == Consequence.OPEN_SUCCESSOR:
            if _is_large(row):
                files.tell(files.open_case(row, predecessor=case), "case.opened")
        elif todo != Consequence.NOTHING:
            files.regrade(case, row["grade"])

    @staticmethod
    def _merged(files: CaseFiles, row: Fields, into_id: str) -> None:
        """An event was merged into another: what becomes of their cases depends on how far they have come."""
        into = files.event(into_id)
        if into is None:
            raise ValueError(f"events/{row['id']} was merged into events/{into_id}, which was never told of")
        if into is row:
            raise ValueError(f"events/{row['id']} was merged into itself")
        _redirect(files, row, into)
        case, other = files.case_of(row), files.case_of(into)
        if case is None:
            return
        state = state_of(case)
        if other is None:
            if state in OPEN_STATES:
                files.follow_on(case, into)
            else:
                files.events.change(into, case_id=case["id"])
                files.link(case, {"event": into["id"]})
        else:
            todo = consequence_of_merge(state, state_of(other))
            if todo == Consequence.MERGE_CASES:
                files.merge(case, other)
            elif todo == Consequence.ASK_DESK_TO_MERGE:
                key = f"merge/{case['id']}/{other['id']}"
                files.add_task(key, task_pb2.Task.KIND_EVENTS_MERGED, other, other_case=case["id"], event_id=row["id"])
            elif state in OPEN_STATES:
                files.follow_on(case, into, predecessor=other)
            else:
                files.link(case, {"case": other["id"]})
        files.hold(into["id"])

    @staticmethod
    def _regrouping(files: CaseFiles, regrouping: regrouping_pb2.Regrouping) -> None:
        """What the analyzer proposes for the event of an assigned case is a task, until it is decided on."""
        task = files.task(f"repair/{regrouping.name}")
        if task is not None:
            if regrouping.state != _PROPOSED and task["state"] == task_pb2.Task.STATE_OPEN:
                files.complete_task(task, regrouping.author, regrouping.reason)
        elif regrouping.state == _PROPOSED:
            pair = [files.event(_id(name)) for name in (regrouping.event, regrouping.target_event)]
            for event, other in (pair, pair[::-1]):
                case = files.case_of(event) if event is not None else None
                if case is not None and state_of(case) in UNDER_ORDER:
                    fields = {"event_id": other["id"] if other else "", "regrouping": _id(regrouping.name)}
                    key = f"repair/{regrouping.name}"
                    files.add_task(key, task_pb2.Task.KIND_REPAIR_PROPOSED, case, **fields)
                    return

    # Memberships

    def _membership(self, files: CaseFiles, kind: str, membership: event_pb2.Membership) -> None:
        event = files.event(_id(membership.event))
        if event is None:
            raise ValueError(f"{membership.name} belongs to {membership.event}, which was never told of")
        inquiry = _inquiry_of(files, membership)
        if not inquiry["case_id"]:
            # One that was withdrawn before it was read opens no case.
            if inquiry["state"] != inquiry_pb2.Inquiry.STATE_WITHDRAWN:
                self._joined(files, inquiry, event)
        elif inquiry["event_id"] != event["id"]:
            self._moved(files, inquiry, event)
        if kind == "membership.updated":
            self._edit(files, inquiry, membership)
        elif kind == "membership.purged":
            self._purge(files, inquiry)

    @staticmethod
    def _joined(files: CaseFiles, inquiry: Fields, event: Fields) -> None:
        """An inquiry without a case came to an event."""
        case, kind = files.case_of(event), "case.opened"
        if case is None:
            case = files.open_case(event)
        elif consequence(Happening.INQUIRY_JOINS, state_of(case)) == Consequence.OPEN_SUCCESSOR:
            case = files.open_case(event, predecessor=case)
        else:
            kind = "case.inquiry_joined"
        files.inquiries.change(inquiry, event_id=event["id"])
        files.add_inquiry(case, inquiry)
        files.tell(case, kind)

    def _moved(self, files: CaseFiles, inquiry: Fields, event: Fields) -> None:
        """The post of an inquiry that has a case belongs to another event now."""
        files.inquiries.change(inquiry, event_id=event["id"])
        case = files.case(inquiry["case_id"])
        home = files.event(case["event_id"])
        if home is event or case["id"] == event["case_id"]:
            return  # by the merge of its event, which was dealt with, or back to where it was
        if inquiry["admission"] == admission_pb2.Admission.OUTCOME_JOINED:
            return  # the desk put it into this case, whatever becomes of its event
        todo = consequence(Happening.EVENT_SPLITS, state_of(case))
        if todo == Consequence.SPLIT_CASE:
            files.take_inquiry(case, inquiry)
            self._joined(files, inquiry, event)
        elif todo == Consequence.ASK_DESK_TO_SPLIT:
            _ask_desk_to_split(files, case, inquiry, event)
        else:
            files.link(case, {"event": event["id"], "inquiry": inquiry["id"]})

    @staticmethod
    def _edit(files: CaseFiles, inquiry: Fields, membership: event_pb2.Membership) -> None:
        """Takes over an edited text, unless its case is sealed with the text that was answered."""
        new = {"subject": membership.subject, "text": membership.text}
        case = files.case(inquiry["case_id"]) if inquiry["case_id"] else None
        if new == {name: inquiry[name] for name in new} or (case is not None and state_of(case) == State.CLOSED):
            return
        files.inquiries.change(inquiry, **new)
        if case is not None:
            details: dict[str, object] = {"inquiry": inquiry["id"]}
            files.record(case, "case.inquiry_edited", SYSTEM, details, text=inquiry["text"], salt=inquiry["salt"])
        files.tell_inquiry(inquiry, "inquiry.updated")

    def _purge(self, files: CaseFiles, inquiry: Fields) -> None:
        """Destroys a text, and with its salt the way to try texts against the digest in the chain."""
        if not inquiry["salt"]:
            return
        files.inquiries.change(inquiry, subject="", text="", salt=b"", latitude=None, longitude=None)
        if inquiry["message_count"]:
            for message in files.load_messages_of(inquiry):
                files.messages.change(message, text="", salt=b"")
        if inquiry["attachment_count"]:
            blobs.destroy(files, files.load_attachments_of(inquiry))
        if inquiry["case_id"]:
            files.record(files.case(inquiry["case_id"]), "texts.destroyed", SYSTEM, {"inquiry": inquiry["id"]})
        files.tell_inquiry(inquiry, "inquiry.updated")
        if inquiry["state"] == inquiry_pb2.Inquiry.STATE_ANSWERED:
            pastanswers.renew(files.tx, inquiry["case_id"])
        self.destroyed_texts = True


def _is_large(event: Fields) -> bool:
    """Whether an event has a case for its grade alone."""
    return opens_case(GRADE_NAMES[event["grade"]], expects_answer=False)


def _redirect(files: CaseFiles, row: Fields, into: Fields) -> None:
    """From here on the event is known as the other one, and so are those that were merged into it before."""
    files.events.load(files.tx.connection, EVENTS.c.merged_into, [row["id"]])
    for event in files.events:
        if event is row or event["merged_into"] == row["id"]:
            files.events.change(event, merged_into=into["id"])


def _ask_desk_to_split(files: CaseFiles, case: Fields, inquiry: Fields, event: Fields) -> None:
    """One task for all that moves from a case to an event; a further one for what moves after it was done."""
    first = f"split/{case['id']}/{event['id']}"
    for key in (first, f"{first}/{inquiry['id']}"):
        task = files.task(key)
        if task is None:
            fields = {"event_id": event["id"], "inquiry_id": inquiry["id"], "other_case": event["case_id"]}
            files.add_task(key, task_pb2.Task.KIND_EVENT_SPLIT, case, **fields)
        elif task["state"] == task_pb2.Task.STATE_DONE:
            continue
        return


def _inquiry_of(files: CaseFiles, membership: event_pb2.Membership) -> Fields:
    """The inquiry of a post: one that was submitted to us, one that is known, or a new one."""
    if membership.source == f"sources/{INBOX}":
        own = files.inquiries.get(membership.external_id)
        if own is not None:
            if own["post"] is None:
                files.inquiries.change(own, post=membership.post)
            return own
    inquiry_id = derived_id("inquiry", membership.post)
    return files.inquiries.get(inquiry_id) or files.inquiries.add(
        new_inquiry(
            inquiry_id,
            subject=membership.subject,
            text=membership.text,
            channel=inquiry_pb2.Inquiry.CHANNEL_BOARD,
            received=files.tx.now_us,
            post=membership.post,
            source=membership.source,
            external_id=membership.external_id,
            publish_time=timestamp_to_micros(membership.publish_time),
            drill=membership.drill,
        )
    )


def _load(files: CaseFiles, told: Iterable[Told]) -> None:
    """Everything that the changes touch as a rule, in a handful of queries."""
    events: dict[str, None] = {}
    inquiries: list[str] = []
    merged: list[str] = []
    for _, resource in told:
        if isinstance(resource, event_pb2.Membership):
            if resource.expects_answer:
                events[_id(resource.event)] = None
                inquiries.append(derived_id("inquiry", resource.post))
                if resource.source == f"sources/{INBOX}":
                    inquiries.append(resource.external_id)
        elif isinstance(resource, regrouping_pb2.Regrouping):
            events |= dict.fromkeys([_id(resource.event), _id(resource.target_event)])
        else:
            events[_id(resource.name)] = None
            if resource.merged_into:
                events[_id(resource.merged_into)] = None
                merged.append(_id(resource.name))
    files.load_events(events)
    # What was merged before into an event that is merged away now goes on with it.
    files.events.load(files.tx.connection, EVENTS.c.merged_into, merged)
    merging = [row["case_id"] for row in map(files.events.get, merged) if row is not None and row["case_id"]]
    files.inquiries.load(files.tx.connection, INQUIRIES.c.case_id, merging)
    files.inquiries.load(files.tx.connection, INQUIRIES.c.id, inquiries)
    files.clocks.load_of_cases(merging)
    # Those that were submitted to us have a clock before they come to a case.
    files.clocks.load(row["id"] for row in files.inquiries if not row["case_id"])


def _id(name: str) -> str:
    return name.partition("/")[2]


def _event_row(event: event_pb2.Event) -> Fields:
    return {
        "id": _id(event.name),
        "grade": int(event.assessment.grade),
        "title": event.title,
        "topic": _id(event.topic),
        "place": _id(event.place),
        "drill": event.drill,
        "case_id": "",
        "case_count": 0,
        "merged_into": "",
        "grade_reason": _grade_reason(event.assessment),
    }


def _grade_reason(assessment: assessment_pb2.Assessment) -> str:
    fired = [rule.explanation for rule in assessment.fired_rules if rule.grade == assessment.grade]
    return grade_reason(fired, assessment.grade_override.reason)
