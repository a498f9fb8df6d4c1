"""Steps of the author of an inquiry, with the receipt: adding, answering a question, withdrawing, judging."""

from __future__ import annotations

from huiyin.casework.v1 import inquiry_pb2, message_pb2, task_pb2
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from huiyin_chassis.store import Tx
from sqlalchemy import select

from huiyin_casework.casefile import AUTHOR, CaseFiles
from huiyin_casework.cleaning import CleanFile
from huiyin_casework.handling.attachments import add_to_inquiry
from huiyin_casework.handling.dialogue import check_waiting, settle_question
from huiyin_casework.handling.work import step_not_possible
from huiyin_casework.model import receipts
from huiyin_casework.model.steps import IllegalStep, Step, advance
from huiyin_casework.resources import facts_of, state_of
from huiyin_casework.rules import Rules
from huiyin_casework.store import INQUIRIES, Fields
from huiyin_casework.timekeeping import DROPPED

MOST_MESSAGES = 50
"""That an inquiry may hold; a receipt is no way to fill a store."""

_ANSWERED = inquiry_pb2.Inquiry.STATE_ANSWERED
_DAY = 24 * 60 * 60 * 1_000_000


class AuthorWork:
    """An inquiry in the hands of whoever holds its receipt."""

    def __init__(self, tx: Tx, rules: Rules, receipt: str) -> None:
        self._tx = tx
        self._files = CaseFiles(tx, rules)
        by_receipt = INQUIRIES.c.receipt_hash == receipts.token_hash(receipt)
        found = tx.execute(select(INQUIRIES.c.id, INQUIRIES.c.case_id).where(by_receipt)).one_or_none()
        if found is None:
            raise receipt_unknown()
        # Cases are locked before their inquiries, as by every other work.
        self._case = self._files.case(found.case_id) if found.case_id else None
        inquiry = self._files.inquiries.find(tx.connection, found.id)
        assert inquiry is not None, "it was seen in this transaction"
        self._inquiry = inquiry

    def write(self, text: str) -> message_pb2.WriteByReceiptResponse:
        """Answers the open question, or adds to the inquiry; `text` is masked."""
        if not text.strip():
            raise InvalidArgument("text", "is empty; write what is to be added", "REQUIRED")
        check_waiting(self._inquiry)
        self._advance(Step.WRITE)
        if self._inquiry["message_count"] >= MOST_MESSAGES:
            raise ResourceExhausted(
                "TOO_MANY_MESSAGES", f"an inquiry holds at most {MOST_MESSAGES} messages; send a new inquiry"
            )
        question = self._inquiry["question_id"]
        kind = message_pb2.Message.KIND_ANSWER if question else message_pb2.Message.KIND_ADDITION
        self._files.add_message(self._inquiry, kind, text, answers=question)
        if question:
            settle_question(self._files, self._inquiry, AUTHOR)
        self._finish("case.author_wrote")
        deadline = micros_to_timestamp(self._inquiry["deadline"])
        return message_pb2.WriteByReceiptResponse(kind=kind, deadline=deadline)

    def attach(self, file: CleanFile, name: str, most: int) -> Fields:
        """Adds a file to the inquiry."""
        check_waiting(self._inquiry)
        self._advance(Step.WRITE)
        attachment = add_to_inquiry(self._files, self._inquiry, file, name, account="", most=most)
        self._finish("case.attached")
        return attachment

    def withdraw(self, reason: str) -> inquiry_pb2.WithdrawByReceiptResponse:
        """Waits for no answer any more; `reason` is masked."""
        check_waiting(self._inquiry)
        self._advance(Step.WITHDRAW)
        inquiry, case = self._inquiry, self._case
        self._files.clocks.end(self._files.clocks.of_inquiry(inquiry), DROPPED)
        self._files.inquiries.change(inquiry, state=inquiry_pb2.Inquiry.STATE_WITHDRAWN, question_id="")
        if case is not None:
            self._files.drop_proposal(case, inquiry)
            self._files.renew_deadline(case)
            details: dict[str, object] = {"inquiry": inquiry["id"]}
            self._files.record_with_note(case, "case.inquiry_withdrawn", AUTHOR, details, reason)
        self._finish("case.inquiry_withdrawn")
        return inquiry_pb2.WithdrawByReceiptResponse()

    def give_feedback(self, *, satisfied: bool, reason: str) -> message_pb2.GiveFeedbackResponse:
        """Says once whether the answer satisfies; `reason` is masked."""
        if not satisfied and not reason.strip():
            raise InvalidArgument("reason", "is required where the answer does not satisfy; say why", "REQUIRED")
        if self._case is None or self._inquiry["state"] != _ANSWERED:
            raise FailedPrecondition("NOT_ANSWERED", "this inquiry has no answer yet; its receipt says by when")
        if not self._inquiry["reply_id"]:
            raise FailedPrecondition(
                "NO_REPLY", "what you were shown is a lawful route, not an answer of ours; follow up if it does not fit"
            )
        self._advance(Step.FEEDBACK)
        if self._inquiry["feedback"]:
            raise FailedPrecondition("FEEDBACK_GIVEN", "an answer is judged once, and this one was judged before")
        if self._tx.now_us > feedback_until(
            self._inquiry["answer_time"], self._files.rules.policy.feedback_calendar_days
        ):
            raise FailedPrecondition(
                "FEEDBACK_OVER", "the days in which the answer could be judged are over; send a new inquiry"
            )
        inquiry, case = self._inquiry, self._case
        feedback = inquiry_pb2.Inquiry.FEEDBACK_SATISFIED if satisfied else inquiry_pb2.Inquiry.FEEDBACK_DISSATISFIED
        self._files.inquiries.change(inquiry, feedback=feedback, feedback_time=self._tx.now_us)
        details: dict[str, object] = {"inquiry": inquiry["id"], "satisfied": satisfied}
        self._files.record_with_note(case, "case.feedback", AUTHOR, details, reason)
        if not satisfied:
            self._files.cases.change(case, dissatisfied_count=case["dissatisfied_count"] + 1)
            key, kind = f"feedback/{inquiry['id']}", task_pb2.Task.KIND_DISSATISFIED
            self._files.add_task(key, kind, case, inquiry_id=inquiry["id"])
        self._finish("case.feedback")
        return message_pb2.GiveFeedbackResponse()

    def _advance(self, step: Step) -> None:
        """By the table; before a case holds the inquiry, its author may write."""
        if self._case is None:
            return
        try:
            advance(state_of(self._case), step, facts_of(self._case))
        except IllegalStep as error:
            raise step_not_possible(error) from error

    def _finish(self, kind: str) -> None:
        self._files.tell_inquiry(self._inquiry, "inquiry.updated")
        if self._case is not None:
            self._files.tell(self._case, kind)
        self._files.write()


def feedback_until(answered: int, days: int) -> int:
    """Until when the author may say whether the answer satisfies."""
    return answered + days * _DAY


def receipt_unknown() -> NotFound:
    """No inquiry has this receipt."""
    return NotFound("receipt", "no inquiry has this receipt; check it letter by letter", "RECEIPT_UNKNOWN")
