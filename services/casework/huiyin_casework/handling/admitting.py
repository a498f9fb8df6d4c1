"""Steps of admission: an inquiry is admitted, refused with a ground and a review, or joined to another case."""

from __future__ import annotations

import os

from huiyin.casework.v1 import admission_pb2, case_pb2, inquiry_pb2, message_pb2, task_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from sqlalchemy import select

from huiyin_casework import resources
from huiyin_casework.handling.dialogue import Dialogue, check_waiting
from huiyin_casework.model import chain
from huiyin_casework.model.admission import Ground, Kind
from huiyin_casework.model.steps import OPEN_STATES, SamePerson, Step, check_proposer
from huiyin_casework.personal import mask_personal
from huiyin_casework.resources import state_of
from huiyin_casework.store import CASES, Fields
from huiyin_casework.timekeeping import MET

_ANSWERED = inquiry_pb2.Inquiry.STATE_ANSWERED
_OUTCOMES = {
    Kind.ROUTE: admission_pb2.Admission.OUTCOME_ROUTED,
    Kind.PASS_ON: admission_pb2.Admission.OUTCOME_PASSED_ON,
}


class Admitting(Dialogue):
    """One step of one person of the desk with one inquiry of a case that is not assigned."""

    def admit(self, ground: Ground | None) -> admission_pb2.Admission:
        """Admits the inquiry; with a ground it tells the author at once whom to call."""
        self._advance(Step.ADMIT)
        self._check_undecided()
        told = ground.told() if ground is not None else ""
        details: dict[str, object] = {"inquiry": self._inquiry["id"], "ground": ground.id if ground is not None else ""}
        self._files.record(self._case, "case.inquiry_admitted", self._actor, details)
        row = self._decide(
            admission_pb2.Admission.OUTCOME_ADMITTED, admission_pb2.Admission.STATE_IN_FORCE, ground, text=told
        )
        if told and self._inquiry["receipt_hash"] is not None:
            self._say(message_pb2.Message.KIND_EXPLANATION, told)
        if told and self._inquiry["return_path"] != inquiry_pb2.Inquiry.RETURN_PATH_RECEIPT:
            self._deliver()  # nobody waits with a receipt in hand
        return self._decided_on(row, "case.inquiry_admitted")

    def refuse(self, ground: Ground, body: str, text: str) -> admission_pb2.Admission:
        """Proposes to refuse it; another person reviews that."""
        self._advance(Step.REFUSE)
        self._check_undecided()
        body = body.strip()
        if bool(body) != (ground.kind == Kind.PASS_ON):
            remedy = "name the body" if not body else "leave it out"
            raise InvalidArgument("body", f"goes with grounds of kind {Kind.PASS_ON} alone; {remedy}", "BODY_MISPLACED")
        told = mask_personal(ground.told(body, text))
        outcome = _OUTCOMES[ground.kind]
        row = self._decide(outcome, admission_pb2.Admission.STATE_PROPOSED, ground, text=told, body=body)
        self._record("case.refusal_proposed", row)
        count = self._case["open_refusal_count"] + 1
        self._files.cases.change(self._case, open_refusal_count=count)
        return self._decided_on(row, "case.refusal_proposed")

    def review(self, decision: case_pb2.Decision.ValueType, note: str) -> admission_pb2.Admission:
        """Another person puts a refusal in force, as the answer to the inquiry, or sends it back."""
        passes = self._decided(decision, note, "is required when a refusal is sent back; say why")
        self._advance(Step.PASS_REFUSAL if passes else Step.RETURN_REFUSAL)
        row = self._files.admissions.find(self._tx.connection, self._inquiry["id"])
        if row is None or self._inquiry["admission_state"] != admission_pb2.Admission.STATE_PROPOSED:
            raise FailedPrecondition("NO_REFUSAL", "no refusal of this inquiry waits for a review")
        try:
            check_proposer(row["proposer"], self._actor)
        except SamePerson as error:
            raise FailedPrecondition(error.reason, str(error)) from error
        now = self._tx.now_us
        stage = admission_pb2.Admission.STATE_IN_FORCE if passes else admission_pb2.Admission.STATE_RETURNED
        self._files.admissions.change(row, state=stage, reviewer=self._actor, decide_time=now)
        self._files.inquiries.change(self._inquiry, admission_state=stage)
        self._files.cases.change(self._case, open_refusal_count=self._case["open_refusal_count"] - 1)
        if not passes:
            details: dict[str, object] = {"inquiry": self._inquiry["id"], "ground": row["ground"]}
            self._files.record_with_note(self._case, "case.refusal_returned", self._actor, details, note)
            return self._decided_on(row, "case.refusal_returned")
        self._files.clocks.end(self._files.clocks.of_inquiry(self._inquiry), MET)
        self._files.inquiries.change(self._inquiry, state=_ANSWERED, answer_time=now, question_id="")
        self._record("case.inquiry_refused", row)
        self._files.renew_deadline(self._case)
        if self._inquiry["return_path"] == inquiry_pb2.Inquiry.RETURN_PATH_WEBHOOK:
            self._files.answer_partner(self._inquiry)
        elif self._inquiry["return_path"] == inquiry_pb2.Inquiry.RETURN_PATH_MANUAL:
            self._deliver()
        return self._decided_on(row, "case.inquiry_refused")

    def join(self, name: str) -> admission_pb2.Admission:
        """Joins it to the case that deals with the matter already."""
        self._advance(Step.JOIN)
        self._check_undecided()
        case_id = name.removeprefix("cases/")
        if self._tx.execute(select(CASES.c.id).where(CASES.c.id == case_id)).first() is None:
            raise NotFound(name)
        into, case = self._files.case(case_id), self._case
        if into is case or state_of(into) not in OPEN_STATES or into["drill"] != case["drill"]:
            raise InvalidArgument(
                "case",
                "must be another case that is open, and no rehearsal",
                "CASE_UNSUITABLE",
            )
        row = self._decide(
            admission_pb2.Admission.OUTCOME_JOINED, admission_pb2.Admission.STATE_IN_FORCE, None, joined_case=case_id
        )
        self._files.take_inquiry(case, self._inquiry)
        self._files.add_inquiry(into, self._inquiry)
        self._files.tell(into, "case.inquiry_joined")
        return self._decided_on(row, "case.inquiry_moved")

    def _check_undecided(self) -> None:
        if self._inquiry["admission_state"] == admission_pb2.Admission.STATE_PROPOSED:
            raise FailedPrecondition("REFUSAL_OPEN", "a refusal of this inquiry waits for its review; review it first")
        check_waiting(self._inquiry)

    def _decide(
        self,
        outcome: admission_pb2.Admission.Outcome.ValueType,
        stage: admission_pb2.Admission.State.ValueType,
        ground: Ground | None,
        *,
        text: str = "",
        body: str = "",
        joined_case: str = "",
    ) -> Fields:
        in_force = stage == admission_pb2.Admission.STATE_IN_FORCE
        row = {
            "id": self._inquiry["id"],
            "case_id": self._case["id"],
            "outcome": outcome,
            "state": stage,
            "ground": ground.id if ground is not None else "",
            "body": body,
            "text": text,
            "salt": os.urandom(chain.SALT_BYTES) if text else b"",
            "joined_case": joined_case,
            "proposer": self._actor,
            "reviewer": "",
            "propose_time": self._tx.now_us,
            "decide_time": self._tx.now_us if in_force else 0,
        }
        known = self._files.admissions.find(self._tx.connection, row["id"])
        if known is None:
            known = self._files.admissions.add(row)
        else:
            self._files.admissions.change(known, **{name: value for name, value in row.items() if name != "id"})
        self._files.inquiries.change(self._inquiry, admission=outcome, admission_state=stage)
        return known

    def _record(self, step: str, row: Fields) -> None:
        details: dict[str, object] = {"admission": row["id"], "ground": row["ground"]}
        self._files.record(self._case, step, self._actor, details, text=row["text"], salt=row["salt"])

    def _deliver(self) -> None:
        """A task to tell the author where the question was asked."""
        fields = {name: self._inquiry[name] for name in ("source", "external_id")}
        key = f"admission/{self._inquiry['id']}/{self._case['entry_count']}"
        kind = task_pb2.Task.KIND_DELIVER_ADMISSION
        self._files.add_task(key, kind, self._case, inquiry_id=self._inquiry["id"], **fields)

    def _decided_on(self, row: Fields, kind: str) -> admission_pb2.Admission:
        self._finish(kind)
        return resources.admission(row)
