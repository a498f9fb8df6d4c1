"""Steps of the reply: drafted, reviewed, approved, published."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_chassis.bulk import fetch, insert_many
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from huiyin_chassis.ids import derived_id
from sqlalchemy import bindparam, func, select

from huiyin_casework import examining, pastanswers
from huiyin_casework.handling.parts import lapse_parts, missing_parts
from huiyin_casework.handling.work import StepWork
from huiyin_casework.model import chain
from huiyin_casework.model.checks import Finding, Severity, name_addressed
from huiyin_casework.model.checks import Kind as FindingKind
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.model.steps import (
    SameAuthor,
    State,
    Step,
    check_reviewer,
)
from huiyin_casework.personal import personal_spans
from huiyin_casework.resources import SETTLED
from huiyin_casework.store import NO_DEADLINE, PARAGRAPHS, PUBLICATIONS, REPLIES, Fields
from huiyin_casework.timekeeping import MET

_NO_PARAGRAPHS: Final[Mapping[str, str]] = MappingProxyType({})

_IN_WORK: Final = frozenset(
    {case_pb2.Reply.STATE_DRAFTED, case_pb2.Reply.STATE_REVIEWED, case_pb2.Reply.STATE_APPROVED}
)


_DRAFTS: Final = select(func.count()).where(REPLIES.c.case_id == bindparam("case"))


class ReplySteps(StepWork):
    """What is done with the reply of a case."""

    def draft(
        self, text: str, paragraphs: Mapping[str, str] = _NO_PARAGRAPHS, findings: Sequence[Finding] = ()
    ) -> case_pb2.Case:
        """The lead unit writes a reply, with paragraphs for single inquiries (by id, masked), as it was looked over."""
        state = self._advance(Step.DRAFT)
        self._check_paragraphs(paragraphs)
        before = self._reply(optional=True)
        # One that is published stays in force until another is: the case may have been reopened.
        if before is not None and before["state"] in _IN_WORK:
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
                "version": self._next_version(),
                "findings": examining.packed(findings),
                "overridden": False,
                "enclosure_count": 0,
            }
        )
        if before is not None and before["enclosure_count"] and before["state"] != case_pb2.Reply.STATE_PUBLISHED:
            self._take_over_enclosures(before, reply)
        details: dict[str, object] = {"reply": reply["id"], "version": reply["version"], "findings": len(findings)}
        self._files.record(self._case, "case.drafted", self._actor, details, text=text, salt=salt)
        self._add_paragraphs(reply, paragraphs)
        return self._done(state, "case.drafted", reply_id=reply["id"])

    def review(self, decision: case_pb2.Decision.ValueType, note: str, *, override: bool = False) -> case_pb2.Case:
        """Someone other than its author passes the reply or sends it back. What blocks it is overridden with a note."""
        passes = self._decided(decision, note)
        state = self._advance(Step.PASS_REVIEW if passes else Step.RETURN_REVIEW)
        reply = self._reply()
        try:
            check_reviewer(reply["author"], self._actor)
        except SameAuthor as error:
            raise FailedPrecondition("SAME_AUTHOR", str(error)) from error
        values = {"reviewer": self._actor, "review_time": self._tx.now_us, "note": note}
        details: dict[str, object] = {}
        if passes and (blocking := _blocking(reply, self._examined_enclosures(reply), override, note)):
            values["overridden"] = True
            details["overridden"] = blocking
        passed = case_pb2.Reply.STATE_REVIEWED
        return self._judged(state, reply, passes, "case.reviewed", passed, values, note, details)

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

    def publish(self, public_inquiry: str = "", public_summary: str = "") -> case_pb2.Case:
        """Publishes the approved reply to every inquiry that waits for it, along its return path.

        With an inquiry or a summary it becomes public too, once it has passed the gate.
        """
        state = self._advance(Step.PUBLISH)
        reply, now = self._reply(), self._tx.now_us
        public = self._pass_gate(reply, public_inquiry, public_summary)
        self._files.replies.change(reply, state=case_pb2.Reply.STATE_PUBLISHED, publish_time=now)
        answered = 0
        self._files.clocks.end_kinds(self._case["id"], [Kind.ANSWER, Kind.FIRST_INFORMATION], MET)
        for inquiry in self._files.load_inquiries_of(self._case["id"]):
            if inquiry["state"] in SETTLED:
                continue
            answered += 1
            values = {"state": inquiry_pb2.Inquiry.STATE_ANSWERED, "answer_time": now, "reply_id": reply["id"]}
            self._files.inquiries.change(inquiry, **values, question_id="")
            self._files.tell_inquiry(inquiry, "inquiry.updated")
            if inquiry["return_path"] == inquiry_pb2.Inquiry.RETURN_PATH_WEBHOOK:
                self._files.answer_partner(inquiry)
            elif inquiry["return_path"] == inquiry_pb2.Inquiry.RETURN_PATH_MANUAL:
                self._files.add_task(
                    f"deliver/{reply['id']}/{inquiry['id']}",
                    task_pb2.Task.KIND_DELIVER_REPLY,
                    self._case,
                    inquiry_id=inquiry["id"],
                    source=inquiry["source"],
                    external_id=inquiry["external_id"],
                    reply_id=f"cases/{self._case['id']}/replies/{reply['id']}",
                )
        lapse_parts(self._files, self._case)
        details: dict[str, object] = {"reply": reply["id"], "unit": reply["unit"], "inquiries": answered}
        details |= missing_parts(self._case)
        if public is not None:
            details["public"] = public["inquiry_id"] or "summary"
        self._files.record(self._case, "case.published", self._actor, details, text=reply["text"], salt=reply["salt"])
        if public is not None:
            self._make_public(public)
        if not self._case["drill"]:
            pastanswers.remember(self._tx, reply)
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
        details: dict[str, object],
    ) -> case_pb2.Case:
        kind = kind if passes else "case.returned"
        self._files.replies.change(reply, state=passed if passes else case_pb2.Reply.STATE_RETURNED, **values)
        self._files.record_with_note(self._case, kind, self._actor, {"reply": reply["id"], **details}, note)
        return self._done(state, kind)

    # Drafts

    def _next_version(self) -> int:
        ((count,),) = fetch(self._tx.connection, _DRAFTS, case=self._case["id"])
        return int(count) + 1

    def _check_paragraphs(self, paragraphs: Mapping[str, str]) -> None:
        if not paragraphs:
            return
        waiting = {row["id"] for row in self._files.load_inquiries_of(self._case["id"]) if row["state"] not in SETTLED}
        for index, inquiry in enumerate(paragraphs):
            if inquiry not in waiting:
                raise InvalidArgument(
                    f"paragraphs[{index}].inquiry",
                    f"inquiries/{inquiry} is none that waits for the answer of this case; leave its paragraph out",
                    "INQUIRY_UNKNOWN",
                )

    def _add_paragraphs(self, reply: Fields, paragraphs: Mapping[str, str]) -> None:
        rows = [
            {
                "reply_id": reply["id"],
                "inquiry_id": inquiry,
                "case_id": self._case["id"],
                "text": text,
                "salt": os.urandom(chain.SALT_BYTES),
            }
            for inquiry, text in paragraphs.items()
        ]
        insert_many(self._tx.connection, PARAGRAPHS, rows)
        for row in rows:
            details: dict[str, object] = {"paragraph": f"{row['reply_id']}/{row['inquiry_id']}"}
            self._files.record(
                self._case, "case.paragraph_drafted", self._actor, details, text=row["text"], salt=row["salt"]
            )

    def _take_over_enclosures(self, before: Fields, reply: Fields) -> None:
        """The files of a draft go on to the next one; whoever looked them over looked at the files, not at the text."""
        for row in self._files.load_enclosures_of(before["id"]):
            self._files.attachments.change(row, reply_id=reply["id"])
        self._files.replies.change(reply, enclosure_count=before["enclosure_count"])
        self._files.replies.change(before, enclosure_count=0)

    def _examined_enclosures(self, reply: Fields) -> list[Finding]:
        if not reply["enclosure_count"]:
            return []
        checks = examining.checks_of(self._tx.connection, self._files.rules.policies)
        return checks.check_enclosed(examining.enclosed(self._files.load_enclosures_of(reply["id"])))

    # The public

    def _pass_gate(self, reply: Fields, inquiry_name: str, summary: str) -> Fields | None:
        """What becomes public beside the answer: an inquiry whose author consented, or a summary; or nothing."""
        summary = summary.strip()
        if not inquiry_name and not summary:
            return None
        if inquiry_name and summary:
            raise InvalidArgument("public_summary", "is not given together with public_inquiry; choose one")
        if self._case["drill"]:
            raise FailedPrecondition("DRILL", "the answer of a rehearsal never becomes public; publish it without")
        if personal_spans(reply["text"]) or name_addressed(reply["text"]):
            raise FailedPrecondition(
                "PERSONAL_DATA",
                "the answer holds what identifies somebody, so it may not become public; draft it anew without, "
                "or publish it to its authors alone",
            )
        for row in self._files.load_enclosures_of(reply["id"]) if reply["enclosure_count"] else ():
            if row["personal_data_count"] or not row["cleared_by"]:
                raise FailedPrecondition(
                    "ATTACHMENT_NOT_PUBLIC",
                    f"{row['file_name']} holds what identifies somebody, or nobody looked it over, so it may not "
                    "become public; draft the answer anew without, or publish it to its authors alone",
                )
        if summary and personal_spans(summary):
            raise InvalidArgument("public_summary", "holds what identifies somebody; leave it out", "PERSONAL_DATA")
        inquiry = inquiry_name.removeprefix("inquiries/")
        if inquiry:
            self._check_consent(inquiry)
        return {
            "id": reply["id"],
            "case_id": self._case["id"],
            "inquiry_id": inquiry,
            "text": summary,
            "salt": os.urandom(chain.SALT_BYTES) if summary else b"",
            "publish_time": self._tx.now_us,
        }

    def _check_consent(self, inquiry_id: str) -> None:
        inquiry = self._files.inquiries.find(self._tx.connection, inquiry_id)
        if inquiry is None or inquiry["case_id"] != self._case["id"] or not inquiry["text"]:
            raise InvalidArgument(
                "public_inquiry",
                "is no inquiry of this case whose text is kept; name one, or write a public_summary",
                "INQUIRY_UNKNOWN",
            )
        if not inquiry["public_consent"] and inquiry["channel"] != inquiry_pb2.Inquiry.CHANNEL_BOARD:
            raise FailedPrecondition(
                "NO_CONSENT",
                f"the author of inquiries/{inquiry_id} has not agreed that the text becomes public; "
                "write a public_summary instead",
            )

    def _make_public(self, row: Fields) -> None:
        insert_many(self._tx.connection, PUBLICATIONS, [row])
        if row["text"]:
            details: dict[str, object] = {"publication": row["id"]}
            self._files.record(
                self._case, "case.summary_published", self._actor, details, text=row["text"], salt=row["salt"]
            )


def _blocking(reply: Fields, of_enclosures: Sequence[Finding], override: bool, note: str) -> list[str]:
    """The kinds of findings that block a reply and are overridden. Raises FailedPrecondition where they are not."""
    findings = [*examining.unpacked(reply["findings"]), *of_enclosures]
    blocking = [each for each in findings if each.severity == Severity.BLOCKING]
    uncleared = [each.attachment for each in blocking if each.kind == FindingKind.UNCLEARED_ATTACHMENT]
    if uncleared:
        raise FailedPrecondition(
            "ATTACHMENT_UNCLEARED",
            f"nobody has looked over {', '.join(uncleared)}; open it, and clear it or have it taken out",
            attachments=",".join(uncleared),
        )
    kinds = sorted({each.kind.value for each in blocking})
    if not kinds:
        return []
    if not override:
        told = "; ".join(dict.fromkeys(f"{each.kind} ({each.why})" for each in blocking))
        raise FailedPrecondition(
            "REPLY_BLOCKED",
            f"this reply does not pass review: {told}. Return it, or pass it with override_findings and a note",
            findings=",".join(kinds),
        )
    if not note.strip():
        raise InvalidArgument(
            "note", "is required when findings are overridden; say why the reply may pass", "REQUIRED"
        )
    return kinds
