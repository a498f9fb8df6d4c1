"""Steps of the reply: drafted, reviewed, approved, published."""

from __future__ import annotations

import os
from typing import Any

from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from huiyin_chassis.ids import derived_id

from huiyin_casework.handling.work import StepWork
from huiyin_casework.model import chain
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.model.steps import (
    SameAuthor,
    State,
    Step,
    check_reviewer,
)
from huiyin_casework.store import NO_DEADLINE, Fields
from huiyin_casework.timekeeping import MET


class ReplySteps(StepWork):
    """What is done with the reply of a case."""

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
        reply = self._reply()
        absent = self._standing_in_for(since=reply["review_time"])
        if absent is not None and reply["author"] == self._actor:
            raise FailedPrecondition("SAME_AUTHOR", "A stand-in does not approve a reply that they wrote themselves.")
        values = {"approver": self._actor, "approve_time": self._tx.now_us, "note": note}
        approved = case_pb2.Reply.STATE_APPROVED
        details: dict[str, object] = {} if absent is None else {"standing_in_for": absent}
        return self._judged(state, reply, passes, "case.approved", approved, values, note, details)

    def publish(self) -> case_pb2.Case:
        """Publishes the approved reply to every inquiry that waits for it, along its return path."""
        state = self._advance(Step.PUBLISH)
        reply, now = self._reply(), self._tx.now_us
        self._files.replies.change(reply, state=case_pb2.Reply.STATE_PUBLISHED, publish_time=now)
        answered = 0
        self._files.clocks.end_kinds(self._case["id"], [Kind.ANSWER, Kind.FIRST_INFORMATION], MET)
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
        details: dict[str, object] | None = None,
    ) -> case_pb2.Case:
        kind = kind if passes else "case.returned"
        self._files.replies.change(reply, state=passed if passes else case_pb2.Reply.STATE_RETURNED, **values)
        self._files.record_with_note(self._case, kind, self._actor, {"reply": reply["id"], **(details or {})}, note)
        return self._done(state, kind)
