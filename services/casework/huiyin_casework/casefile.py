"""Cases as a work handles them: loaded once, changed in memory with their chains and changes, written in bulk.

The feed's worker and the people's steps both go through here, so a case is opened, joined and recorded in one way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from huiyin.casework.v1 import inquiry_pb2, task_pb2
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.ids import derived_id
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, and_, select

from huiyin_casework import resources, store
from huiyin_casework.model import chain
from huiyin_casework.model.clocks import WorkingCalendar, is_urgent, parse_policy, promised
from huiyin_casework.model.routing import Competence, propose
from huiyin_casework.model.steps import OPEN_STATES, State
from huiyin_casework.resources import state_number, state_of
from huiyin_casework.store import (
    ASSIGNMENTS,
    CASES,
    ENTRIES,
    EVENTS,
    INQUIRIES,
    NO_DEADLINE,
    NOTES,
    REPLIES,
    TASKS,
    Rows,
)

SYSTEM = "services/casework"
"""The actor of what follows from a change."""

INBOX = "inquiries"
"""Id of the collector's source that inquiries submitted to us are passed on to."""

CREATE_POST = "BatchCreatePosts"
SET_HOLD = "SetEventHold"
"""Methods of the outbox: what casework tells the collector and the analyzer."""

GRADE_NAMES = ("", "ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")

_ANSWERED = inquiry_pb2.Inquiry.STATE_ANSWERED


class Rules:
    """The clock policy and the units in force, compiled; kept from work to work while they stay the same."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._version = -1
        self._units: list[Any] = []
        self._proposals: dict[tuple[str, str], str] = {}
        self.calendar = WorkingCalendar(parse_policy(""))

    def refresh(self, connection: Connection) -> None:
        """Reads what is in force; one small query each."""
        policy = self._policies.active(connection, "clocks")
        if policy.version != self._version:
            self.calendar = WorkingCalendar(parse_policy(policy.body))
            self._version = policy.version
        units = store.units(connection)
        if units != self._units:
            self._units = units
            self._proposals.clear()

    def answer_by(self, received: int, *, urgent: bool, extended: bool) -> int:
        """The deadline of an inquiry received then."""
        policy = self.calendar.policy
        days = policy.urgent_working_days if urgent else policy.answer_working_days
        return self.calendar.deadline_micros(received, policy.extended_working_days if extended else days)

    def is_urgent(self, grade: int) -> bool:
        """Whether inquiries of an event of this grade are urgent."""
        return is_urgent(self.calendar.policy, GRADE_NAMES[grade])

    def suggested_unit(self, topic: str, place: str) -> str:
        """The unit that topic and place suggest, "" for none."""
        found = self._proposals.get((topic, place))
        if found is None:
            units = [
                Competence(row.id, tuple(json.loads(row.topics)), tuple(json.loads(row.places))) for row in self._units
            ]
            found = propose([topic] if topic else [], [place] if place else [], units).lead
            self._proposals[topic, place] = found
        return found


class CaseFiles:
    """The cases, inquiries and events of one work."""

    def __init__(self, tx: Tx, rules: Rules) -> None:
        rules.refresh(tx.connection)
        self.tx = tx
        self.rules = rules
        self.events = Rows(EVENTS)
        self.cases = Rows(CASES)
        self.inquiries = Rows(INQUIRIES)
        self.replies = Rows(REPLIES)
        self.tasks = Rows(TASKS)
        self.opened: list[str] = []
        """Events whose case was opened in this work."""
        self._entries: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._assisting: dict[str, list[str]] = {}

    # Loading

    def load_events(self, ids: Iterable[str]) -> None:
        """Loads events and the latest case of each."""
        wanted = list(ids)
        self.events.load(self.tx.connection, EVENTS.c.id, wanted)
        self.cases.load(
            self.tx.connection,
            CASES.c.id,
            [row["case_id"] for event in wanted if (row := self.events.get(event)) and row["case_id"]],
        )

    def load_inquiries_of(self, case_id: str) -> list[dict[str, Any]]:
        """The inquiries of a case, in the order in which they were received."""
        self.inquiries.load(self.tx.connection, INQUIRIES.c.case_id, [case_id])
        found = [row for row in self.inquiries if row["case_id"] == case_id]
        return sorted(found, key=lambda row: (row["receive_time"], row["id"]))

    def case_of(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The latest case of an event."""
        return self.cases.get(event["case_id"]) if event["case_id"] else None

    def assisting(self, case_id: str) -> list[str]:
        """Units that assist in a case."""
        if case_id not in self._assisting:
            query = select(ASSIGNMENTS.c.unit_id).where(
                and_(ASSIGNMENTS.c.case_id == case_id, ASSIGNMENTS.c.lead.is_(False))
            )
            self._assisting[case_id] = list(self.tx.execute(query.order_by(ASSIGNMENTS.c.unit_id)).scalars())
        return self._assisting[case_id]

    # Recording and telling

    def record(
        self,
        case: dict[str, Any],
        step: str,
        actor: str,
        details: dict[str, object],
        *,
        text: str = "",
        salt: bytes = b"",
    ) -> int:
        """Adds an entry to a case's chain; returns its number."""
        number = int(case["entry_count"]) + 1
        entry = chain.link(
            case["id"],
            number,
            step,
            actor,
            self.tx.now_us,
            chain.canonical(details),
            case["head_hash"],
            chain.text_digest(salt, text) if salt else b"",
        )
        self._entries.append(
            {
                "case_id": entry.case,
                "number": entry.number,
                "step": entry.step,
                "actor": entry.actor,
                "time": entry.time,
                "details": entry.details,
                "text_digest": entry.text_digest,
                "previous": entry.previous,
                "hash": entry.hash,
            }
        )
        self.cases.change(case, entry_count=number, head_hash=entry.hash)
        return number

    def record_with_note(
        self, case: dict[str, Any], step: str, actor: str, details: dict[str, object], note: str
    ) -> None:
        """The same with what somebody wrote beside it: the note is kept apart, its digest in the chain."""
        salt = os.urandom(chain.SALT_BYTES) if note else b""
        number = self.record(case, step, actor, details, text=note, salt=salt)
        if note:
            self._notes.append({"case_id": case["id"], "number": number, "text": note, "salt": salt})

    def tell(self, case: dict[str, Any], kind: str) -> None:
        """Adds a change of a case to the feed."""
        self.cases.change(case, revision=case["revision"] + 1, update_time=self.tx.now_us)
        assisting = self.assisting(case["id"]) if case["lead_unit"] else ()
        message = resources.case(case, assisting=assisting)
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)

    def tell_inquiry(self, inquiry: dict[str, Any], kind: str) -> None:
        """Adds a change of an inquiry to the feed, without its text."""
        self.inquiries.change(inquiry, revision=inquiry["revision"] + 1)
        message = resources.inquiry(inquiry, with_text=False)
        self.tx.changes.add(kind, message.name, message.revision, message, drill=message.drill)

    # What happens to cases

    def open_case(self, event: dict[str, Any], predecessor: dict[str, Any] | None = None) -> dict[str, Any]:
        """Opens a case for an event; after a published one, a successor that is offered its reply. Tell of it then."""
        number = event["case_count"] + 1
        now = self.tx.now_us
        standing = predecessor["reply_id"] if predecessor else ""
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
                "suggested_unit": self.rules.suggested_unit(event["topic"], event["place"]),
                "inquiry_count": 0,
                "deadline": NO_DEADLINE,
                "extended": False,
                "urgent": self.rules.is_urgent(event["grade"]),
                "create_time": now,
                "update_time": now,
                "assign_time": 0,
                "publish_time": 0,
                "close_time": 0,
                "predecessor": predecessor["id"] if predecessor else "",
                "merged_into": "",
                "reply_id": "",
                "standing_reply": f"cases/{predecessor['id']}/replies/{standing}" if predecessor and standing else "",
                "drill": event["drill"],
                "contacts_destroyed": False,
                "entry_count": 0,
                "head_hash": chain.GENESIS,
                "revision": 0,
            }
        )
        self.events.change(event, case_id=case["id"], case_count=number)
        details: dict[str, object] = {"event": event["id"], "grade": GRADE_NAMES[event["grade"]]}
        if predecessor:
            details["predecessor"] = predecessor["id"]
            self.record(predecessor, "case.linked", SYSTEM, {"successor": case["id"]})
        self.record(case, "case.opened", SYSTEM, details)
        self.opened.append(event["id"])
        return case

    def add_inquiry(self, case: dict[str, Any], inquiry: dict[str, Any]) -> None:
        """Puts an inquiry into a case."""
        urgent = case["urgent"]
        deadline = self.rules.answer_by(inquiry["receive_time"], urgent=urgent, extended=case["extended"])
        if inquiry["deadline"]:
            deadline = promised(inquiry["deadline"], deadline)
        self.inquiries.change(
            inquiry,
            case_id=case["id"],
            state=inquiry_pb2.Inquiry.STATE_IN_PROGRESS,
            urgent=urgent,
            deadline=deadline,
        )
        self.cases.change(case, inquiry_count=case["inquiry_count"] + 1, deadline=min(case["deadline"], deadline))
        self.record(
            case, "case.inquiry_joined", SYSTEM, {"inquiry": inquiry["id"]}, text=inquiry["text"], salt=inquiry["salt"]
        )
        self.tell_inquiry(inquiry, "inquiry.updated" if inquiry["revision"] else "inquiry.received")

    def take_inquiry(self, case: dict[str, Any], inquiry: dict[str, Any]) -> None:
        """Takes an inquiry out of a case that nobody works on yet, because its post moved to another event."""
        self.record(case, "case.inquiry_moved", SYSTEM, {"inquiry": inquiry["id"]})
        self.inquiries.change(inquiry, case_id="")
        rest = self.load_inquiries_of(case["id"])
        self.cases.change(case, inquiry_count=case["inquiry_count"] - 1, deadline=_earliest(rest))
        self.tell(case, "case.updated")

    def merge(self, case: dict[str, Any], into: dict[str, Any]) -> None:
        """Merges a case that nobody works on yet into another."""
        for inquiry in self.load_inquiries_of(case["id"]):
            self.add_inquiry(into, inquiry)
        self.record(case, "case.merged", SYSTEM, {"into": into["id"]})
        self.record(into, "case.took_over", SYSTEM, {"case": case["id"]})
        self.cases.change(
            case, state=state_number(State.MERGED), merged_into=into["id"], inquiry_count=0, deadline=NO_DEADLINE
        )
        self.tell(case, "case.merged")
        self.tell(into, "case.updated")

    def regrade(self, case: dict[str, Any], grade: int) -> None:
        """Takes over an event's grade: clocks are computed anew from the original start, no promise is moved later."""
        before = case["grade"]
        urgent = self.rules.is_urgent(grade)
        self.cases.change(case, grade=grade)
        if urgent != case["urgent"] and state_of(case) in OPEN_STATES:
            self.cases.change(case, urgent=urgent)
            inquiries = self.load_inquiries_of(case["id"])
            for inquiry in inquiries:
                if inquiry["state"] != _ANSWERED:
                    anew = self.rules.answer_by(inquiry["receive_time"], urgent=urgent, extended=case["extended"])
                    self.inquiries.change(inquiry, urgent=urgent, deadline=promised(inquiry["deadline"], anew))
                    self.tell_inquiry(inquiry, "inquiry.updated")
            self.cases.change(case, deadline=_earliest(inquiries))
        step = "case.grade_rose" if grade > before else "case.grade_fell"
        self.record(case, step, SYSTEM, {"from": GRADE_NAMES[before], "to": GRADE_NAMES[grade]})
        self.tell(case, "case.grade_changed")

    def add_task(self, key: str, kind: task_pb2.Task.Kind.ValueType, case: dict[str, Any], **fields: str) -> None:
        """A task for the desk. `key` makes it the same task whenever it is asked for again."""
        task_id = derived_id("task", key)
        self.tasks.load(self.tx.connection, TASKS.c.id, [task_id])
        if self.tasks.get(task_id) is not None:
            return
        empty = dict.fromkeys(
            ("other_case", "inquiry_id", "source", "external_id", "reply_id", "note", "completer"), ""
        )
        task = self.tasks.add(
            {
                **empty,
                "id": task_id,
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
        message = resources.task(task)
        self.tx.changes.add("task.created", message.name, message.revision, message, drill=message.drill)

    def write(self) -> None:
        """Writes everything; the last thing that a work does."""
        for rows in (self.events, self.cases, self.inquiries, self.replies, self.tasks):
            rows.write(self.tx)
        insert_many(self.tx.connection, ENTRIES, self._entries)
        insert_many(self.tx.connection, NOTES, self._notes)
        self._entries, self._notes = [], []


def new_inquiry(
    inquiry_id: str,
    *,
    subject: str,
    text: str,
    channel: inquiry_pb2.Inquiry.Channel.ValueType,
    received: int,
    **fields: Any,
) -> dict[str, Any]:
    """The row of an inquiry that no case holds yet."""
    return {
        "id": inquiry_id,
        "case_id": "",
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
        "revision": 0,
        **fields,
    }


def _earliest(inquiries: Iterable[dict[str, Any]]) -> int:
    """The earliest deadline of those that wait for an answer."""
    return min((row["deadline"] for row in inquiries if row["state"] != _ANSWERED), default=NO_DEADLINE)
