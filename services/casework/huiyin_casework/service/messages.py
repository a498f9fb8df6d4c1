"""What offices and authors of inquiries say to one another, and what authors say of the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import Message
from huiyin.casework.v1 import inquiry_pb2, message_pb2
from huiyin_chassis.errors import NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.masking import mask_text
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Row, Select, select

from huiyin_casework import resources
from huiyin_casework.handling.authors import AuthorWork
from huiyin_casework.handling.dialogue import Dialogue
from huiyin_casework.model import receipts
from huiyin_casework.rules import Rules
from huiyin_casework.service.scope import reach
from huiyin_casework.store import INQUIRIES, MESSAGES, UNITS, CaseworkStore

M = TypeVar("M", bound=Message)


class MessageMethods:
    """What the service does with messages and feedback."""

    _store: CaseworkStore
    _rules: Rules

    async def AskAuthor(self, request: message_pb2.AskAuthorRequest, context: Any) -> message_pb2.Message:
        """Asks the author of an inquiry."""
        take = self._dialogue(request.name, lambda dialogue: dialogue.ask(request.text))
        return await self._once(request, "AskAuthor", take, message_pb2.Message)

    async def TellAuthor(self, request: message_pb2.TellAuthorRequest, context: Any) -> message_pb2.Message:
        """Tells the author of an inquiry something."""
        take = self._dialogue(request.name, lambda dialogue: dialogue.tell(request.text))
        return await self._once(request, "TellAuthor", take, message_pb2.Message)

    async def CloseQuestion(self, request: message_pb2.CloseQuestionRequest, context: Any) -> inquiry_pb2.Inquiry:
        """Waits no longer for an answer."""
        take = self._dialogue(request.name, Dialogue.close_question)
        return await self._once(request, "CloseQuestion", take, inquiry_pb2.Inquiry)

    async def ListMessages(
        self, request: message_pb2.ListMessagesRequest, context: Any
    ) -> message_pb2.ListMessagesResponse:
        """Every message of an inquiry."""
        principal = current_principal()
        inquiry_id = request.parent.removeprefix("inquiries/")

        def read(connection: Connection) -> message_pb2.ListMessagesResponse:
            visible = select(INQUIRIES).where(INQUIRIES.c.id == inquiry_id, reach(principal, INQUIRIES.c.case_id))
            inquiry = connection.execute(visible).mappings().one_or_none()
            if inquiry is None:
                raise NotFound(request.parent)
            rows = connection.execute(_messages(inquiry_id)).mappings()
            return message_pb2.ListMessagesResponse(messages=(resources.message(row, inquiry) for row in rows))

        return await self._store.read(read)

    async def WriteByReceipt(
        self, request: message_pb2.WriteByReceiptRequest, context: Any
    ) -> message_pb2.WriteByReceiptResponse:
        """An author answers or adds."""
        # What is remembered for a repetition holds neither the receipt nor what was masked.
        masked = message_pb2.WriteByReceiptRequest(receipt=_hashed(request.receipt), text=mask_text(request.text))
        masked.request_id = request.request_id

        def write(tx: Tx) -> message_pb2.WriteByReceiptResponse:
            return AuthorWork(tx, self._rules, request.receipt).write(masked.text)

        return await self._once(masked, "WriteByReceipt", write, message_pb2.WriteByReceiptResponse)

    async def WithdrawByReceipt(
        self, request: inquiry_pb2.WithdrawByReceiptRequest, context: Any
    ) -> inquiry_pb2.WithdrawByReceiptResponse:
        """An author withdraws an inquiry."""
        masked = inquiry_pb2.WithdrawByReceiptRequest(
            receipt=_hashed(request.receipt), reason=mask_text(request.reason), request_id=request.request_id
        )

        def withdraw(tx: Tx) -> inquiry_pb2.WithdrawByReceiptResponse:
            return AuthorWork(tx, self._rules, request.receipt).withdraw(masked.reason)

        return await self._once(masked, "WithdrawByReceipt", withdraw, inquiry_pb2.WithdrawByReceiptResponse)

    async def GiveFeedback(
        self, request: message_pb2.GiveFeedbackRequest, context: Any
    ) -> message_pb2.GiveFeedbackResponse:
        """An author says whether the answer satisfies."""
        masked = message_pb2.GiveFeedbackRequest(
            receipt=_hashed(request.receipt),
            satisfied=request.satisfied,
            reason=mask_text(request.reason),
            request_id=request.request_id,
        )

        def give(tx: Tx) -> message_pb2.GiveFeedbackResponse:
            work = AuthorWork(tx, self._rules, request.receipt)
            return work.give_feedback(satisfied=masked.satisfied, reason=masked.reason)

        return await self._once(masked, "GiveFeedback", give, message_pb2.GiveFeedbackResponse)

    def _dialogue(self, name: str, take: Callable[[Dialogue], M]) -> Callable[[Tx], M]:
        principal = current_principal()
        return lambda tx: take(Dialogue(tx, self._rules, principal, name))

    async def _once(self, request: Any, method: str, work: Callable[[Tx], M], response: type[M]) -> M:
        subject = current_principal().subject
        return await self._store.write_once(request.request_id, method, request, work, response, subject=subject)


def receipt_messages(connection: Connection, inquiry: Row[Any]) -> list[message_pb2.ReceiptMessage]:
    """The messages of an inquiry as its author reads them."""
    if not inquiry.message_count:
        return []
    query = _messages(inquiry.id).add_columns(UNITS.c.display_name)
    rows = connection.execute(query.join(UNITS, UNITS.c.id == MESSAGES.c.unit, isouter=True))
    return [
        message_pb2.ReceiptMessage(
            kind=row.kind,
            text=row.text,
            unit_display_name=row.display_name or row.unit,
            create_time=resources.time(row.create_time),
            open=row.id == inquiry.question_id,
        )
        for row in rows
    ]


def _messages(inquiry_id: str) -> Select[Any]:
    query = select(MESSAGES).where(MESSAGES.c.inquiry_id == inquiry_id)
    return query.order_by(MESSAGES.c.create_time, MESSAGES.c.id)


def _hashed(receipt: str) -> str:
    return receipts.token_hash(receipt).hex()
