"""Steps between an office and the author of an inquiry: asked, told, asked no longer."""

from __future__ import annotations

from huiyin.casework.v1 import inquiry_pb2, message_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.identity import Principal
from huiyin_chassis.store import Tx
from sqlalchemy import select

from huiyin_casework import resources, supervision
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.handling.work import StepWork
from huiyin_casework.model.steps import Step
from huiyin_casework.personal import mask_personal
from huiyin_casework.rules import Rules
from huiyin_casework.store import INQUIRIES, Fields
from huiyin_casework.timekeeping import PAUSED


class Dialogue(StepWork):
    """One step of one person of an office with one inquiry of a case."""

    def __init__(self, tx: Tx, rules: Rules, principal: Principal, name: str) -> None:
        inquiry_id = name.removeprefix("inquiries/")
        case_id = tx.execute(select(INQUIRIES.c.case_id).where(INQUIRIES.c.id == inquiry_id)).scalar()
        if case_id is None or (not case_id and not principal.everywhere):
            raise NotFound(name)
        if not case_id:
            raise FailedPrecondition("NO_CASE", f"{name} is not in a case yet; it comes to one once it was read")
        try:
            super().__init__(tx, rules, principal, f"cases/{case_id}", "")
        except NotFound as error:
            raise NotFound(name) from error
        inquiry = self._files.inquiries.find(tx.connection, inquiry_id)
        assert inquiry is not None, "it was seen in this transaction"
        self._inquiry = inquiry

    def ask(self, text: str) -> message_pb2.Message:
        """Asks the author; the clock stands still where the policy still allows it."""
        self._check(text, Step.ASK)
        if self._inquiry["question_id"]:
            raise FailedPrecondition(
                "QUESTION_OPEN",
                "the author was asked before and has not answered yet; wait, or close that question first",
            )
        clock = self._files.clocks.of_inquiry(self._inquiry)
        paused = supervision.pause_if_allowed(self._files, clock, self._actor)
        message = self._say(message_pb2.Message.KIND_QUESTION, text, paused=paused)
        self._files.inquiries.change(self._inquiry, question_id=message["id"])
        return self._told(message, "case.asked")

    def tell(self, text: str) -> message_pb2.Message:
        """Tells the author something."""
        self._check(text, Step.TELL)
        return self._told(self._say(message_pb2.Message.KIND_EXPLANATION, text), "case.told")

    def close_question(self) -> inquiry_pb2.Inquiry:
        """Waits for the answer no longer."""
        self._advance(Step.CLOSE_QUESTION)
        question = self._inquiry["question_id"]
        if not question:
            raise FailedPrecondition("NO_QUESTION", f"no question is open on inquiries/{self._inquiry['id']}")
        details: dict[str, object] = {"inquiry": self._inquiry["id"], "message": question}
        self._files.record(self._case, "case.question_closed", self._actor, details)
        settle_question(self._files, self._inquiry, self._actor)
        self._finish("case.question_closed")
        return resources.inquiry(self._inquiry, with_text=True)

    def _check(self, text: str, step: Step) -> None:
        if not text.strip():
            raise InvalidArgument("text", "is empty; write what the author is to read", "REQUIRED")
        self._advance(step)
        if self._inquiry["receipt_hash"] is None:
            raise FailedPrecondition(
                "NO_RECEIPT",
                "the author of this inquiry holds no receipt and would not read it; ask where the inquiry was posted",
            )
        check_waiting(self._inquiry)

    def _say(self, kind: message_pb2.Message.Kind.ValueType, text: str, *, paused: bool = False) -> Fields:
        unit = self._case["lead_unit"] or self._files.rules.desk
        values = {"unit": unit, "account": self._actor, "paused": paused}
        return self._files.add_message(self._inquiry, kind, mask_personal(text), **values)

    def _told(self, message: Fields, kind: str) -> message_pb2.Message:
        self._finish(kind)
        return resources.message(message, self._inquiry)

    def _finish(self, kind: str) -> None:
        self._files.tell_inquiry(self._inquiry, "inquiry.updated")
        self._files.tell(self._case, kind)
        self._files.write()


def check_waiting(inquiry: Fields) -> None:
    """Raises FailedPrecondition where an inquiry waits for no answer any more."""
    if inquiry["state"] == inquiry_pb2.Inquiry.STATE_ANSWERED:
        raise FailedPrecondition("INQUIRY_ANSWERED", "this inquiry is answered; its author may follow up on it")
    if inquiry["state"] == inquiry_pb2.Inquiry.STATE_WITHDRAWN:
        raise FailedPrecondition("INQUIRY_WITHDRAWN", "this inquiry was withdrawn by its author; nobody answers it")


def settle_question(files: CaseFiles, inquiry: Fields, actor: str) -> None:
    """A question is open no longer, and its clock goes on where it stood still."""
    files.inquiries.change(inquiry, question_id="")
    clock = files.clocks.of_inquiry(inquiry)
    if clock["state"] == PAUSED:
        supervision.resume(files, clock, actor)
