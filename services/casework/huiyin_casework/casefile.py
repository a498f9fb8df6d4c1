"""Cases as a work handles them: loaded once, changed in memory with their chains and changes, written in bulk.

The feed's worker and the people's steps both go through here, so a case is opened, joined and recorded in one way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from huiyin.analyzer.v1 import event_pb2
from huiyin.casework.v1 import admission_pb2, case_pb2, clock_pb2, inquiry_pb2, message_pb2, task_pb2
from huiyin_chassis.bulk import fetch, together
from huiyin_chassis.ids import derived_id, uuid7
from huiyin_chassis.store import Tx
from sqlalchemy import bindparam, or_, select

from huiyin_casework import resources
from huiyin_casework.model import chain, parts
from huiyin_casework.model.clocks.counting import Owes, owes
from huiyin_casework.model.clocks.policy import WALL_KINDS, Kind
from huiyin_casework.model.steps import OPEN_STATES, State
from huiyin_casework.resources import SETTLED, state_named, state_number, state_of
from huiyin_casework.rules import GRADE_NAMES, Rules
from huiyin_casework.store import (
    ADMISSIONS,
    ATTACHMENTS,
    CASES,
    ENTRIES,
    EVENTS,
    INQUIRIES,
    MESSAGES,
    NO_DEADLINE,
    NOTES,
    REPLIES,
    TASKS,
    Fields,
    Rows,
)
from huiyin_casework.timekeeping import DROPPED, KINDS, Timekeeping

SYSTEM = "services/casework"
"""The actor of what follows from a change."""

AUTHOR = "author"
"""The actor of what the author of an inquiry did with the receipt; who that is, nobody knows."""

INBOX = "inquiries"
"""Id of the collector's source that inquiries submitted to us are passed on to."""

CREATE_POST = "BatchCreatePosts"
SET_HOLD = "SetEventHold"
ANSWER_PARTNER = "AnswerPartner"
"""Methods of the outbox: what casework tells the collector, the analyzer and partners."""


_HOLDS: dict[State, event_pb2.EventHold.ValueType] = {
    State.REGISTERED: event_pb2.EVENT_HOLD_OPEN,
    State.CLOSED: event_pb2.EVENT_HOLD_UNSPECIFIED,
    State.MERGED: event_pb2.EVENT_HOLD_UNSPECIFIED,
}
"""What a case asks of its event; in every other state, that a unit works on it."""


_MESSAGE_STEPS = {
    message_pb2.Message.KIND_QUESTION: "case.asked",
    message_pb2.Message.KIND_EXPLANATION: "case.told",
}
"""What a message of an office is called in the chain; one of the author is case.author_wrote."""


_STATES_OF_EVENT = (
    select(CASES.c.state)
    .join(EVENTS, EVENTS.c.id == CASES.c.event_id)
    .where(or_(EVENTS.c.id == bindparam("event"), EVENTS.c.merged_into == bindparam("event")))
)
"""Of the cases of an event and of those that were merged into it."""


class CaseFiles:
    """The cases, inquiries and events of one work."""

    def __init__(self, tx: Tx, rules: Rules) -> None:
        rules.consult(tx.connection)
        self.tx = tx
        self.rules = rules
        self.events = Rows(EVENTS)
        self.cases = Rows(CASES)
        self.inquiries = Rows(INQUIRIES)
        self.messages = Rows(MESSAGES)
        self.attachments = Rows(ATTACHMENTS)
        self.admissions = Rows(ADMISSIONS)
        self.replies = Rows(REPLIES)
        self.tasks = Rows(TASKS)
        self.clocks = Timekeeping(tx, rules)
        self._entries: list[Fields] = []
        self._notes: list[Fields] = []
        self._opened: dict[str, None] = {}
        self._held: dict[str, None] = {}

    # Loading

    def load_events(self, ids: Iterable[str]) -> None:
        """Loads events and the latest case of each."""
        wanted = list(ids)
        self.events.load(self.tx.connection, EVENTS.c.id, wanted)
        rows = filter(None, map(self.events.get, wanted))
        self.cases.load(self.tx.connection, CASES.c.id, [row["case_id"] for row in rows if row["case_id"]])

    def load_inquiries_of(self, case_id: str) -> list[Fields]:
        """The inquiries of a case, by id: an order that does not depend on when they were handled."""
        self.inquiries.load(self.tx.connection, INQUIRIES.c.case_id, [case_id])
        return sorted((row for row in self.inquiries if row["case_id"] == case_id), key=lambda row: row["id"])

    def load_messages_of(self, inquiry: Fields) -> list[Fields]:
        """The messages of an inquiry, the oldest first."""
        self.messages.load(self.tx.connection, MESSAGES.c.inquiry_id, [inquiry["id"]])
        return in_order(row for row in self.messages if row["inquiry_id"] == inquiry["id"])

    def load_attachments_of(self, inquiry: Fields) -> list[Fields]:
        """The files of an inquiry, the oldest first."""
        self.attachments.load(self.tx.connection, ATTACHMENTS.c.inquiry_id, [inquiry["id"]])
        return in_order(row for row in self.attachments if row["inquiry_id"] == inquiry["id"])

    def load_enclosures_of(self, reply_id: str) -> list[Fields]:
        """The files of a reply, the oldest first."""
        self.attachments.load(self.tx.connection, ATTACHMENTS.c.reply_id, [reply_id])
        return in_order(row for row in self.attachments if row["reply_id"] == reply_id)

    def event(self, event_id: str) -> Fields | None:
        """An event; of one that was merged away, the one that has its posts now."""
        row = self.events.find(self.tx.connection, event_id)
        if row is not None and row["merged_into"]:
            row = self.events.find(self.tx.connection, row["merged_into"])
        return row

    def case(self, case_id: str) -> Fields:
        """A case that is known to be there."""
        row = self.cases.find(self.tx.connection, case_id)
        assert row is not None, f"cases/{case_id} is named by another row, and cases are never deleted"
        return row

    def case_of(self, event: Fields) -> Fields | None:
        """The latest case of an event."""
        return self.case(event["case_id"]) if event["case_id"] else None

    # Recording and telling

    def record(
        self, case: Fields, step: str, actor: str, details: dict[str, object], *, text: str = "", salt: bytes = b""
    ) -> int:
        """Adds an entry to a case's chain; returns its number."""
        number = int(case["entry_count"]) + 1
        told, digest = chain.canonical(details), chain.text_digest(salt, text) if salt else b""
        previous, now = case["head_hash"], self.tx.now_us
        head = chain.entry_hash(case["id"], number, step, actor, now, told, digest, previous)
        self._entries.append(
            {
                "case_id": case["id"],
                "number": number,
                "step": step,
                "actor": actor,
                "time": now,
                "details": told,
                "text_digest": digest,
                "previous": previous,
                "hash": head,
            }
        )
        self.cases.change(case, entry_count=number, head_hash=head)
        return number

    def record_with_note(self, case: Fields, step: str, actor: str, details: dict[str, object], note: str) -> int:
        """The same with what somebody wrote beside it: the note is kept apart, its digest in the chain."""
        salt = os.urandom(chain.SALT_BYTES) if note else b""
        number = self.record(case, step, actor, details, text=note, salt=salt)
        if note:
            self._notes.append({"case_id": case["id"], "number": number, "text": note, "salt": salt})
        return number

    def add_message(
        self, inquiry: Fields, kind: message_pb2.Message.Kind.ValueType, text: str, **fields: Any
    ) -> Fields:
        """A message of an inquiry, in the chain of its case; where no case holds it yet, once one does."""
        number = inquiry["message_count"] + 1
        empty = {"unit": "", "account": "", "answers": "", "paused": False}
        message = self.messages.add(
            {
                "id": derived_id("message", f"{inquiry['id']}/{number}"),
                "inquiry_id": inquiry["id"],
                "case_id": "",
                "kind": kind,
                "text": text,
                "salt": os.urandom(chain.SALT_BYTES),
                "create_time": self.tx.now_us,
                **empty,
                **fields,
            }
        )
        self.inquiries.change(inquiry, message_count=number)
        if inquiry["case_id"]:
            self.record_message(self.case(inquiry["case_id"]), message)
        return message

    def record_message(self, case: Fields, message: Fields) -> None:
        """Adds a message to a case's chain."""
        self.messages.change(message, case_id=case["id"])
        step = _MESSAGE_STEPS.get(message["kind"], "case.author_wrote")
        details: dict[str, object] = {"message": message["id"], "inquiry": message["inquiry_id"]}
        if message["unit"]:
            details["unit"] = message["unit"]
        actor = message["account"] or AUTHOR
        self.record(case, step, actor, details, text=message["text"], salt=message["salt"])

    def record_attachment(self, case: Fields, attachment: Fields) -> None:
        """Adds a file to a case's chain, by a digest of the hash of its bytes."""
        self.attachments.change(attachment, case_id=case["id"])
        about = {"inquiry": attachment["inquiry_id"]} if attachment["inquiry_id"] else {"reply": attachment["reply_id"]}
        details: dict[str, object] = {"attachment": attachment["id"], "type": attachment["media_type"], **about}
        step = "case.attached" if attachment["inquiry_id"] else "case.enclosed"
        actor = attachment["account"] or AUTHOR
        self.record(case, step, actor, details, text=attachment["sha256"], salt=attachment["salt"])

    def tell(self, case: Fields, kind: str) -> case_pb2.Case:
        """Adds a change of a case to the feed; returns the case as it is told."""
        self.cases.change(case, revision=case["revision"] + 1, update_time=self.tx.now_us)
        message = resources.case(case)
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)
        return message

    def tell_inquiry(self, inquiry: Fields, kind: str) -> None:
        """Adds a change of an inquiry to the feed, without its text."""
        self.inquiries.change(inquiry, revision=inquiry["revision"] + 1)
        message = resources.inquiry(inquiry, with_text=False)
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)

    def tell_clock(self, clock: Fields, kind: str) -> clock_pb2.Clock:
        """Adds a change of a clock to the feed; returns the clock as it is told."""
        case = self.case(clock["case_id"]) if clock["case_id"] else None
        unit = self.awaited(case, clock)
        message = resources.clock(clock, case, unit=unit, supervising=self.supervisor(unit))
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)
        return message

    def awaited(self, case: Fields | None, clock: Fields) -> str:
        """The unit that a clock of a case waits for; of what no case holds yet, the desk."""
        if case is not None and clock["kind"] == KINDS[Kind.CONTRIBUTION]:
            unit = str(clock["unit_id"])
            return self.rules.desk if parts.waits_for_desk(parts.parse(case["parts"]), unit) else unit
        waits_for_lead = case is not None and owes(state_of(case)) == Owes.LEAD
        return str(case["lead_unit"]) if case is not None and waits_for_lead else self.rules.desk

    def supervisor(self, unit: str) -> str:
        """The unit above a unit; of a root, the desk."""
        row = self.rules.unit(unit)
        above = str(row.parent) if row is not None else ""
        return above or (self.rules.desk if unit != self.rules.desk else "")

    def hold(self, event_id: str) -> None:
        """The analyzer is told at the end of the work what the cases of an event ask of it then."""
        self._held[event_id] = None

    # What happens to cases

    def open_case(self, event: Fields, predecessor: Fields | None = None) -> Fields:
        """Opens a case for an event; after a published one, a successor that is offered its reply.

        It is left to the caller to tell of it, once it is as it begins: with the inquiry that it was opened for.
        """
        number = event["case_count"] + 1
        now = self.tx.now_us
        case = self.cases.add(
            {
                "id": derived_id("case", f"{event['id']}/{number}"),
                "event_id": event["id"],
                "state": state_number(State.REGISTERED),
                "grade": event["grade"],
                "title": event["title"],
                "topic": event["topic"],
                "place": event["place"],
                "lead_unit": "",
                "assisting_units": "[]",
                "parts": "[]",
                "suggested_unit": self.rules.suggested_unit(event["topic"], event["place"]),
                "inquiry_count": 0,
                "deadline": NO_DEADLINE,
                "extended": False,
                "extension": case_pb2.Case.EXTENSION_UNSPECIFIED,
                "extension_requester": "",
                "objected": False,
                "objecting_unit": "",
                "objector": "",
                "dissatisfied_count": 0,
                "open_refusal_count": 0,
                "order_id": "",
                "urgent": self.rules.is_urgent(event["grade"]),
                "create_time": now,
                "update_time": now,
                "assign_time": 0,
                "publish_time": 0,
                "close_time": 0,
                "predecessor": "",
                "merged_into": "",
                "reply_id": "",
                "standing_reply": "",
                "drill": event["drill"],
                "contacts_destroyed": False,
                "entry_count": 0,
                "head_hash": chain.GENESIS,
                "revision": 0,
            }
        )
        self.events.change(event, case_id=case["id"], case_count=number)
        details: dict[str, object] = {"event": event["id"], "grade": GRADE_NAMES[event["grade"]]}
        if predecessor is None:
            self._opened[event["id"]] = None
        else:
            details["predecessor"] = predecessor["id"]
            self._succeed(case, predecessor)
            self.hold(event["id"])
        self.record(case, "case.opened", SYSTEM, details)
        self.clocks.start_case(case)
        return case

    def _succeed(self, case: Fields, predecessor: Fields) -> None:
        """Links a case to the answered one before it, whose reply it is offered."""
        reply = predecessor["reply_id"]
        standing = f"cases/{predecessor['id']}/replies/{reply}" if reply else ""
        self.cases.change(case, predecessor=predecessor["id"], standing_reply=standing)
        self.record(predecessor, "case.linked", SYSTEM, {"successor": case["id"]})

    def add_inquiry(self, case: Fields, inquiry: Fields) -> None:
        """Puts an inquiry into a case."""
        urgent, extended = case["urgent"], case["extended"]
        if inquiry["deadline"]:
            clock = self.clocks.of_inquiry(inquiry)
            self.clocks.set_answer_rule(clock, urgent=urgent, extended=extended)
        else:
            clock = self.clocks.start_answer(inquiry, urgent=urgent, extended=extended)
        self.clocks.rows.change(clock, case_id=case["id"])
        deadline, earliest, state = clock["deadline"], case["deadline"], inquiry["state"]
        # One that was refused keeps its answer wherever it comes.
        if state not in SETTLED:
            state, earliest = inquiry_pb2.Inquiry.STATE_IN_PROGRESS, min(earliest, deadline)
        self.inquiries.change(inquiry, case_id=case["id"], urgent=urgent, deadline=deadline, state=state)
        self.cases.change(case, inquiry_count=case["inquiry_count"] + 1, deadline=earliest)
        self.record(
            case, "case.inquiry_joined", SYSTEM, {"inquiry": inquiry["id"]}, text=inquiry["text"], salt=inquiry["salt"]
        )
        if inquiry["message_count"]:
            for message in self.load_messages_of(inquiry):
                if not message["case_id"]:
                    self.record_message(case, message)
        if inquiry["attachment_count"]:
            for attachment in self.load_attachments_of(inquiry):
                if not attachment["case_id"]:
                    self.record_attachment(case, attachment)
        self.tell_inquiry(inquiry, "inquiry.updated" if inquiry["revision"] else "inquiry.received")

    def take_inquiry(self, case: Fields, inquiry: Fields) -> None:
        """Takes an inquiry out of a case that nobody works on yet, because its post moved to another event."""
        self.record(case, "case.inquiry_moved", SYSTEM, {"inquiry": inquiry["id"]})
        self.drop_proposal(case, inquiry)
        self.inquiries.change(inquiry, case_id="")
        self.clocks.rows.change(self.clocks.of_inquiry(inquiry), case_id="")
        rest = self.load_inquiries_of(case["id"])
        self.cases.change(case, inquiry_count=case["inquiry_count"] - 1, deadline=_earliest(rest))
        self.tell(case, "case.updated")

    def drop_proposal(self, case: Fields, inquiry: Fields) -> None:
        """A refusal that is proposed for an inquiry falls with its being in this case, or with its being withdrawn."""
        if inquiry["admission_state"] != admission_pb2.Admission.STATE_PROPOSED:
            return
        returned = admission_pb2.Admission.STATE_RETURNED
        proposed = self.admissions.find(self.tx.connection, inquiry["id"])
        assert proposed is not None, "an inquiry says so of what stands there"
        self.admissions.change(proposed, state=returned, decide_time=self.tx.now_us)
        self.inquiries.change(inquiry, admission_state=returned)
        self.cases.change(case, open_refusal_count=case["open_refusal_count"] - 1)

    def merge(self, case: Fields, into: Fields) -> None:
        """Merges a case that nobody works on yet into another."""
        for inquiry in self.load_inquiries_of(case["id"]):
            self.add_inquiry(into, inquiry)
        refusals = case["open_refusal_count"]
        self.cases.change(into, open_refusal_count=into["open_refusal_count"] + refusals)
        self.cases.change(case, open_refusal_count=0)
        self.clocks.end_kinds(case["id"], WALL_KINDS, DROPPED)
        self.record(case, "case.merged", SYSTEM, {"into": into["id"]})
        self.record(into, "case.took_over", SYSTEM, {"case": case["id"]})
        self.cases.change(
            case, state=state_number(State.MERGED), merged_into=into["id"], inquiry_count=0, deadline=NO_DEADLINE
        )
        self.tell(case, "case.merged")
        self.tell(into, "case.updated")

    def follow_on(self, case: Fields, into: Fields, predecessor: Fields | None = None) -> None:
        """The open case of an event that was merged away follows the event that has its posts now."""
        details: dict[str, object] = {"from": case["event_id"], "into": into["id"]}
        if predecessor is not None and not case["predecessor"]:
            details["predecessor"] = predecessor["id"]
            self._succeed(case, predecessor)
        self.cases.change(case, event_id=into["id"])
        self.events.change(into, case_id=case["id"])
        self.record(case, "case.event_merged", SYSTEM, details)
        self.tell(case, "case.updated")

    def link(self, case: Fields, details: dict[str, object]) -> None:
        """Notes in an answered case what became of its event since; the case itself never moves."""
        self.record(case, "case.linked", SYSTEM, details)
        self.tell(case, "case.updated")

    def regrade(self, case: Fields, grade: int) -> None:
        """Takes over an event's grade: clocks are computed anew from the original start, no promise is moved later."""
        before = case["grade"]
        urgent = self.rules.is_urgent(grade)
        self.cases.change(case, grade=grade)
        if state_of(case) in OPEN_STATES:
            self.clocks.regrade(case)
            if urgent != case["urgent"]:
                self._change_urgency(case, urgent)
        step = "case.grade_rose" if grade > before else "case.grade_fell"
        self.record(case, step, SYSTEM, {"from": GRADE_NAMES[before], "to": GRADE_NAMES[grade]})
        self.tell(case, "case.grade_changed")

    def _change_urgency(self, case: Fields, urgent: bool) -> None:
        self.cases.change(case, urgent=urgent)
        for inquiry in self.waiting_inquiries(case["id"]):
            clock = self.clocks.of_inquiry(inquiry)
            self.clocks.set_answer_rule(clock, urgent=urgent, extended=case["extended"])
            self.inquiries.change(inquiry, urgent=urgent, deadline=clock["deadline"])
            self.tell_inquiry(inquiry, "inquiry.updated")
        self.renew_deadline(case)

    def waiting_inquiries(self, case_id: str) -> list[Fields]:
        """The inquiries of a case that wait for an answer, with their clocks in memory."""
        self.clocks.of_case(case_id)
        return [row for row in self.load_inquiries_of(case_id) if row["state"] not in SETTLED]

    def renew_deadline(self, case: Fields) -> None:
        """The deadline of a case is the earliest of those of its inquiries that wait for an answer."""
        self.cases.change(case, deadline=_earliest(self.load_inquiries_of(case["id"])))

    # Tasks

    def add_task(self, key: str, kind: task_pb2.Task.Kind.ValueType, case: Fields, **fields: str) -> None:
        """A task for the desk. Its id is derived from `key`, which is new."""
        empty = dict.fromkeys(
            (
                "other_case",
                "event_id",
                "inquiry_id",
                "source",
                "external_id",
                "reply_id",
                "regrouping",
                "note",
                "completer",
            ),
            "",
        )
        task = self.tasks.add(
            {
                **empty,
                "id": derived_id("task", key),
                "kind": kind,
                "state": task_pb2.Task.STATE_OPEN,
                "case_id": case["id"],
                "create_time": self.tx.now_us,
                "complete_time": 0,
                "drill": case["drill"],
                "revision": 1,
                **fields,
            }
        )
        self.tell_task(task, case, "task.created")

    def task(self, key: str) -> Fields | None:
        """The task of a key."""
        return self.tasks.find(self.tx.connection, derived_id("task", key))

    def complete_task(self, task: Fields, completer: str, note: str) -> task_pb2.Task:
        """A task is done; the chain of its case records it, unless that is sealed."""
        self.tasks.change(
            task,
            state=task_pb2.Task.STATE_DONE,
            note=note,
            complete_time=self.tx.now_us,
            completer=completer,
            revision=task["revision"] + 1,
        )
        case = self.case(task["case_id"])
        if case["state"] != state_number(State.CLOSED):
            kind = task_pb2.Task.Kind.Name(task["kind"]).removeprefix("KIND_").lower()
            details: dict[str, object] = {"task": task["id"], "kind": kind, "inquiry": task["inquiry_id"]}
            self.record_with_note(case, "task.completed", completer, details, note)
        return self.tell_task(task, case, "task.completed")

    def tell_task(self, task: Fields, case: Fields, kind: str) -> task_pb2.Task:
        """Adds a change of a task to the feed; returns the task as it is told."""
        message = resources.task(task, case)
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)
        return message

    # Partners

    def answer_partner(self, inquiry: Fields) -> None:
        """The partner who passed an inquiry on is posted its answer, once this work is committed."""
        told = resources.inquiry(inquiry, with_text=False)
        answer = inquiry_pb2.Inquiry(name=told.name, reply=told.reply)
        request_id = derived_id("answered", f"{inquiry['id']}/{inquiry['reply_id']}")
        self.tx.outbox.add(ANSWER_PARTNER, answer.SerializeToString(), request_id)

    # The end

    def write(self, request_id: Callable[[str], str] = lambda effect: uuid7()) -> None:
        """Writes everything; the last thing that a work does. `request_id` names what goes to the analyzer."""
        connection = self.tx.connection
        with together(connection):
            for rows in (
                self.events,
                self.cases,
                self.inquiries,
                self.messages,
                self.attachments,
                self.admissions,
                self.clocks.rows,
                self.replies,
                self.tasks,
            ):
                rows.write(connection)
        self.tx.append(ENTRIES, self._entries)
        self.tx.append(NOTES, self._notes)
        self._entries, self._notes = [], []
        self._send_holds(request_id)

    def _send_holds(self, request_id: Callable[[str], str]) -> None:
        levels = dict.fromkeys(self._opened, event_pb2.EVENT_HOLD_OPEN)
        for event in self._held:
            states = fetch(self.tx.connection, _STATES_OF_EVENT, event=event)
            held = (_HOLDS.get(state_named(state), event_pb2.EVENT_HOLD_ASSIGNED) for (state,) in states)
            levels[event] = max(held, default=event_pb2.EVENT_HOLD_UNSPECIFIED)
        by_level: dict[event_pb2.EventHold.ValueType, list[str]] = {}
        for event, level in levels.items():
            by_level.setdefault(level, []).append(f"events/{event}")
        for level, events in sorted(by_level.items()):
            request = event_pb2.SetEventHoldRequest(events=events, hold=level)
            request.request_id = request_id(f"hold-{level}")
            self.tx.outbox.add(SET_HOLD, request.SerializeToString(), request.request_id, key="holds")
        self._opened, self._held = {}, {}


def new_inquiry(
    inquiry_id: str,
    *,
    subject: str,
    text: str,
    channel: inquiry_pb2.Inquiry.Channel.ValueType,
    received: int,
    **fields: Any,
) -> Fields:
    """The row of an inquiry that no case holds yet."""
    return {
        "id": inquiry_id,
        "case_id": "",
        "event_id": "",
        "post": None,
        "source": "",
        "external_id": "",
        "subject": subject,
        "text": text,
        "salt": os.urandom(chain.SALT_BYTES),
        "channel": channel,
        "state": inquiry_pb2.Inquiry.STATE_RECEIVED,
        "return_path": inquiry_pb2.Inquiry.RETURN_PATH_MANUAL,
        "publish_time": received,
        "receive_time": received,
        "deadline": 0,
        "urgent": False,
        "answer_time": 0,
        "drill": False,
        "receipt_hash": None,
        "public_consent": False,
        "follows": "",
        "reply_id": "",
        "message_count": 0,
        "attachment_count": 0,
        "question_id": "",
        "feedback": inquiry_pb2.Inquiry.FEEDBACK_UNSPECIFIED,
        "feedback_time": 0,
        "admission": admission_pb2.Admission.OUTCOME_UNSPECIFIED,
        "admission_state": admission_pb2.Admission.STATE_UNSPECIFIED,
        "taken_by": "",
        "latitude": None,
        "longitude": None,
        "has_contact": False,
        "deliver_time": 0,
        "revision": 0,
        **fields,
    }


def in_order(rows: Iterable[Fields]) -> list[Fields]:
    """Rows as they were written."""
    return sorted(rows, key=lambda row: (row["create_time"], row["id"]))


def _earliest(inquiries: Iterable[Fields]) -> int:
    """The earliest deadline of those that wait for an answer."""
    return min((row["deadline"] for row in inquiries if row["state"] not in SETTLED), default=NO_DEADLINE)
