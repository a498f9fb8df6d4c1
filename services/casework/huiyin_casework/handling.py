"""The steps that people take with a case, each one transaction: look up the table, change the case, record, tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from huiyin_chassis.identity import Principal
from huiyin_chassis.ids import derived_id
from huiyin_chassis.store import Tx
from sqlalchemy import delete, func, insert, select

from huiyin_casework import resources
from huiyin_casework.casefile import CaseFiles, Rules
from huiyin_casework.model import chain
from huiyin_casework.model.steps import (
    AlreadyExtended,
    IllegalStep,
    SameAuthor,
    State,
    Step,
    advance,
    check_extension,
    check_reviewer,
    reaches_as_lead,
)
from huiyin_casework.resources import state_number, state_of
from huiyin_casework.store import ASSIGNMENTS, NO_DEADLINE, TASKS, UNITS, Fields


class Handling:
    """One step of one person with one case, within a transaction."""

    def __init__(self, tx: Tx, rules: Rules, principal: Principal, name: str, etag: str) -> None:
        self._tx = tx
        self._principal = principal
        self._files = CaseFiles(tx, rules)
        case_id = name.removeprefix("cases/")
        case = self._files.cases.find(tx.connection, case_id)
        if case is None or not _may_see(tx, principal, case_id):
            raise NotFound(name)
        if etag and etag != resources.etag(case):
            raise Aborted("STALE_ETAG", f"{name} was changed meanwhile; read it again and repeat the step")
        self._case = case

    def assign(self, lead: str, assisting: Sequence[str], note: str) -> case_pb2.Case:
        """Orders units to deal with the case."""
        state = self._advance(Step.ASSIGN)
        units = [name.removeprefix("units/") for name in (lead, *assisting)]
        known = set(self._tx.execute(select(UNITS.c.id).where(UNITS.c.id.in_(units))).scalars())
        for field, unit in zip(("lead_unit", *["assisting_units"] * len(assisting)), units, strict=True):
            if unit not in known:
                raise InvalidArgument(
                    field, f"units/{unit} does not exist; list /v1/units to see which do", "UNIT_UNKNOWN"
                )
        if len(set(units)) < len(units):
            raise InvalidArgument("assisting_units", "each unit is named once, and the lead unit does not assist")
        case_id = self._case["id"]
        self._tx.execute(delete(ASSIGNMENTS).where(ASSIGNMENTS.c.case_id == case_id))
        rows = [{"case_id": case_id, "unit_id": unit, "lead": unit == units[0]} for unit in units]
        self._tx.execute(insert(ASSIGNMENTS), rows)
        details: dict[str, object] = {"lead": units[0], "assisting": units[1:]}
        self._files.record_with_note(self._case, "case.assigned", self._actor, details, note)
        self._hold()
        return self._done(state, "case.assigned", lead_unit=units[0], assign_time=self._tx.now_us)

    def accept(self) -> case_pb2.Case:
        """The lead unit takes the case up."""
        state = self._advance(Step.ACCEPT)
        self._files.record(self._case, "case.accepted", self._actor, {"unit": self._case["lead_unit"]})
        return self._done(state, "case.accepted")

    def draft(self, text: str) -> case_pb2.Case:
        """The lead unit writes a reply."""
        if not text.strip():
            raise InvalidArgument("text", "is empty; write the answer", "REQUIRED")
        state = self._advance(Step.DRAFT)
        before = self._reply(optional=True)
        if before is not None and before["state"] != case_pb2.Reply.STATE_RETURNED:
            self._files.replies.change(before, state=case_pb2.Reply.STATE_RETURNED)
        salt = os.urandom(chain.SALT_BYTES)
        reply = self._files.replies.add(
            {
                "id": derived_id("reply", f"{self._case['id']}/{self._case['entry_count']}"),
                "case_id": self._case["id"],
                "state": case_pb2.Reply.STATE_DRAFTED,
                "text": text,
                "salt": salt,
                "unit": self._case["lead_unit"],
                "author": self._actor,
                "reviewer": "",
                "approver": "",
                "note": "",
                "create_time": self._tx.now_us,
                "review_time": 0,
                "approve_time": 0,
                "publish_time": 0,
            }
        )
        details: dict[str, object] = {"reply": reply["id"]}
        self._files.record(self._case, "case.drafted", self._actor, details, text=text, salt=salt)
        return self._done(state, "case.drafted", reply_id=reply["id"])

    def review(self, decision: case_pb2.Decision.ValueType, note: str) -> case_pb2.Case:
        """Someone other than its author passes the reply or sends it back."""
        passes = self._decided(decision, note)
        state = self._advance(Step.PASS_REVIEW if passes else Step.RETURN_REVIEW)
        reply = self._reply()
        try:
            check_reviewer(reply["author"], self._actor)
        except SameAuthor as error:
            raise FailedPrecondition("SAME_AUTHOR", str(error)) from error
        values = {"reviewer": self._actor, "review_time": self._tx.now_us, "note": note}
        return self._judged(state, reply, passes, "case.reviewed", case_pb2.Reply.STATE_REVIEWED, values, note)

    def approve(self, decision: case_pb2.Decision.ValueType, note: str) -> case_pb2.Case:
        """Approves the reply or sends it back."""
        passes = self._decided(decision, note)
        state = self._advance(Step.APPROVE if passes else Step.RETURN_APPROVAL)
        values = {"approver": self._actor, "approve_time": self._tx.now_us, "note": note}
        approved = case_pb2.Reply.STATE_APPROVED
        return self._judged(state, self._reply(), passes, "case.approved", approved, values, note)

    def publish(self) -> case_pb2.Case:
        """Publishes the approved reply to every inquiry that waits for it, along its return path."""
        state = self._advance(Step.PUBLISH)
        reply, now = self._reply(), self._tx.now_us
        self._files.replies.change(reply, state=case_pb2.Reply.STATE_PUBLISHED, publish_time=now)
        answered = 0
        for inquiry in self._files.load_inquiries_of(self._case["id"]):
            if inquiry["state"] == inquiry_pb2.Inquiry.STATE_ANSWERED:
                continue
            answered += 1
            self._files.inquiries.change(inquiry, state=inquiry_pb2.Inquiry.STATE_ANSWERED, answer_time=now)
            self._files.tell_inquiry(inquiry, "inquiry.updated")
            if inquiry["return_path"] == inquiry_pb2.Inquiry.RETURN_PATH_MANUAL:
                self._files.add_task(
                    f"deliver/{reply['id']}/{inquiry['id']}",
                    task_pb2.Task.KIND_DELIVER_REPLY,
                    self._case,
                    inquiry_id=inquiry["id"],
                    source=inquiry["source"],
                    external_id=inquiry["external_id"],
                    reply_id=f"cases/{self._case['id']}/replies/{reply['id']}",
                )
        details: dict[str, object] = {"reply": reply["id"], "unit": reply["unit"], "inquiries": answered}
        self._files.record(self._case, "case.published", self._actor, details, text=reply["text"], salt=reply["salt"])
        return self._done(state, "case.published", publish_time=now, deadline=NO_DEADLINE)

    def close(self) -> case_pb2.Case:
        """Seals the case."""
        state = self._advance(Step.CLOSE)
        waiting = select(func.count()).where(
            TASKS.c.case_id == self._case["id"],
            TASKS.c.state == task_pb2.Task.STATE_OPEN,
            TASKS.c.kind == task_pb2.Task.KIND_DELIVER_REPLY,
        )
        if count := self._tx.execute(waiting).scalar_one():
            raise FailedPrecondition(
                "TASKS_OPEN",
                f"{count} replies of this case still have to be posted where the question was asked; "
                "complete their tasks first (list /v1/tasks)",
                tasks=str(count),
            )
        self._files.record(self._case, "case.closed", self._actor, {"entries": self._case["entry_count"] + 1})
        self._hold()
        return self._done(state, "case.closed", close_time=self._tx.now_us)

    def extend(self, reason: str) -> case_pb2.Case:
        """Gives the case more time, once."""
        state = self._advance(Step.EXTEND)
        try:
            check_extension(self._case["extended"])
        except AlreadyExtended as error:
            raise FailedPrecondition("ALREADY_EXTENDED", str(error)) from error
        deadline = self._case["deadline"]
        waiting = [
            row
            for row in self._files.load_inquiries_of(self._case["id"])
            if row["state"] != inquiry_pb2.Inquiry.STATE_ANSWERED
        ]
        for inquiry in waiting:
            later = self._files.rules.answer_by(inquiry["receive_time"], urgent=False, extended=True)
            self._files.inquiries.change(inquiry, deadline=max(later, inquiry["deadline"]))
            self._files.tell_inquiry(inquiry, "inquiry.updated")
        if waiting:
            deadline = min(row["deadline"] for row in waiting)
        self._files.record_with_note(self._case, "case.extended", self._actor, {"inquiries": len(waiting)}, reason)
        return self._done(state, "case.extended", extended=True, deadline=deadline)

    @property
    def _actor(self) -> str:
        return self._principal.subject

    def _advance(self, step: Step) -> State:
        """The state after the step, once the table and the caller's units allow it."""
        try:
            state = advance(state_of(self._case), step)
        except IllegalStep as error:
            possible = ",".join(legal.step.value for legal in error.legal)
            raise FailedPrecondition(
                "STEP_NOT_POSSIBLE", str(error), state=error.state.value, possible=possible
            ) from error
        lead = self._case["lead_unit"]
        if not reaches_as_lead(step, desk=self._principal.everywhere, units=self._principal.units, lead=lead):
            raise PermissionDenied(
                "NOT_LEAD_UNIT", f"only units/{lead}, which leads this case, may do this", lead_unit=f"units/{lead}"
            )
        return state

    @staticmethod
    def _decided(decision: case_pb2.Decision.ValueType, note: str) -> bool:
        if decision == case_pb2.DECISION_PASS:
            return True
        if not note.strip():
            raise InvalidArgument("note", "is required when a reply goes back; say what should change", "REQUIRED")
        return False

    def _reply(self, *, optional: bool = False) -> Any:
        """The reply in work; with `optional`, None when there is none."""
        reply_id = self._case["reply_id"]
        if reply_id:
            return self._files.replies.find(self._tx.connection, reply_id)
        assert optional, "the table lets nobody judge or publish before a draft"
        return None

    def _judged(
        self,
        state: State,
        reply: Fields,
        passes: bool,
        kind: str,
        passed: case_pb2.Reply.State.ValueType,
        values: Fields,
        note: str,
    ) -> case_pb2.Case:
        kind = kind if passes else "case.returned"
        self._files.replies.change(reply, state=passed if passes else case_pb2.Reply.STATE_RETURNED, **values)
        self._files.record_with_note(self._case, kind, self._actor, {"reply": reply["id"]}, note)
        return self._done(state, kind)

    def _hold(self) -> None:
        event = self._files.event(self._case["event_id"])
        assert event is not None, "a case opens for an event that was told of"
        self._files.hold(event["id"])

    def _done(self, state: State, kind: str, **values: Any) -> case_pb2.Case:
        self._files.cases.change(self._case, state=state_number(state), **values)
        self._files.tell(self._case, kind)
        self._files.write()
        assisting = self._files.assisting(self._case["id"])
        return resources.case(self._case, assisting=assisting, with_steps=True)


def _may_see(tx: Tx, principal: Principal, case_id: str) -> bool:
    if principal.everywhere:
        return True
    query = select(ASSIGNMENTS.c.case_id).where(
        ASSIGNMENTS.c.case_id == case_id, ASSIGNMENTS.c.unit_id.in_(principal.units)
    )
    return tx.execute(query.limit(1)).first() is not None
