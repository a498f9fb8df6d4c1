"""Inquiries: submitted, listed, and looked up by receipt."""

from __future__ import annotations

from typing import Any

from google.type import latlng_pb2
from huiyin.casework.v1 import inquiry_pb2
from huiyin.collector.v1 import post_pb2
from huiyin_chassis import clock
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    parse_order,
    text_field,
    time_field,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.ids import derived_id, uuid7
from huiyin_chassis.locations import checked_location
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page, total
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import ColumnElement, Connection, Row, Select, insert, select

from huiyin_casework import published, resources
from huiyin_casework.casefile import CREATE_POST, INBOX, SYSTEM, CaseFiles, new_inquiry
from huiyin_casework.handling import Handling
from huiyin_casework.handling.authors import feedback_until, receipt_unknown
from huiyin_casework.model import receipts
from huiyin_casework.model.steps import OPEN_STATES, State
from huiyin_casework.resources import SETTLED, state_of
from huiyin_casework.rules import Rules, compiled
from huiyin_casework.secrets import Secrets
from huiyin_casework.service.messages import receipt_messages
from huiyin_casework.service.scope import reach, scope
from huiyin_casework.store import CONTACTS, INQUIRIES, UNITS, CaseworkStore, Fields

_INQUIRY_FIELDS: dict[str, Compare] = {
    "case": name_field(INQUIRIES.c.case_id, "cases"),
    "state": enum_field(INQUIRIES.c.state, inquiry_pb2.Inquiry.State, "STATE_"),
    "source": text_field(INQUIRIES.c.source),
    "external_id": text_field(INQUIRIES.c.external_id),
    "channel": enum_field(INQUIRIES.c.channel, inquiry_pb2.Inquiry.Channel, "CHANNEL_"),
    "urgent": boolean_field(INQUIRIES.c.urgent),
    "receive_time": time_field(INQUIRIES.c.receive_time),
    "deadline": time_field(INQUIRIES.c.deadline),
    "drill": boolean_field(INQUIRIES.c.drill),
}
_INQUIRY_ORDERS: dict[str, ColumnElement[Any]] = {
    "receive_time": INQUIRIES.c.receive_time,
    "deadline": INQUIRIES.c.deadline,
}
_NOT_SUBMITTED = frozenset(
    {inquiry_pb2.Inquiry.CHANNEL_BOARD, inquiry_pb2.Inquiry.CHANNEL_MOVED_IN, inquiry_pb2.Inquiry.CHANNEL_PARTNER}
)
_TAKEN_DOWN = frozenset({inquiry_pb2.Inquiry.CHANNEL_TELEPHONE, inquiry_pb2.Inquiry.CHANNEL_COUNTER})


class InquiryMethods:
    """What the service does with inquiries."""

    _store: CaseworkStore
    _policies: Policies
    _rules: Rules
    _secrets: Secrets

    async def SubmitInquiry(
        self, request: inquiry_pb2.SubmitInquiryRequest, context: Any
    ) -> inquiry_pb2.SubmitInquiryResponse:
        """Stores the inquiry and what passes it on, in one transaction, and answers with the receipt."""
        principal = current_principal()
        channel = request.channel or inquiry_pb2.Inquiry.CHANNEL_ONLINE
        if channel in _NOT_SUBMITTED:
            why = (
                "boards are imported by the collector, running cases by ImportCases, and partners sign what they "
                "pass on; use ONLINE, TELEPHONE or COUNTER"
            )
            raise InvalidArgument("channel", why)
        if channel in _TAKEN_DOWN:
            _check_taker(principal)
        if not request.text.strip():
            raise InvalidArgument("text", "is empty; say what is asked", "REQUIRED")
        location = checked_location(request.location) if request.HasField("location") else None
        key = f"{principal.subject}/{request.request_id}"
        inquiry_id = derived_id("submitted", key) if request.request_id else uuid7()
        # What is remembered for a repetition holds no secret: masked texts, no contact, and no receipt, which is made
        # from the id each time.
        masked = inquiry_pb2.SubmitInquiryRequest(
            subject=mask_text(request.subject),
            text=mask_text(request.text),
            channel=channel,
            public_consent=request.public_consent,
            location=location,
        )
        if channel in _TAKEN_DOWN:
            problem = self._secrets.confirmation_problem(
                request.confirmation, _read_back(principal, masked), clock.now()
            )
            if problem:
                raise InvalidArgument("confirmation", problem, "NOT_READ_BACK")
        taker = principal.subject if channel in _TAKEN_DOWN else ""
        response = await self._store.write_once(
            request.request_id,
            "SubmitInquiry",
            masked,
            lambda tx: self._submit(tx, inquiry_id, masked, request.contact, taker),
            inquiry_pb2.SubmitInquiryResponse,
            subject=principal.subject,
        )
        response.receipt = self._secrets.receipt(inquiry_id)
        return response

    async def PrepareInquiry(
        self, request: inquiry_pb2.PrepareInquiryRequest, context: Any
    ) -> inquiry_pb2.PrepareInquiryResponse:
        """The text as it would be stored, and what confirms that it was read back; stores nothing."""
        principal = current_principal()
        if request.channel not in _TAKEN_DOWN:
            raise InvalidArgument("channel", "must be TELEPHONE or COUNTER; others submit their inquiries themselves")
        if not request.text.strip():
            raise InvalidArgument("text", "is empty; write down what is asked", "REQUIRED")
        masked = inquiry_pb2.SubmitInquiryRequest(
            subject=mask_text(request.subject), text=mask_text(request.text), channel=request.channel
        )
        confirmation, until = self._secrets.confirmation(_read_back(principal, masked), clock.now())
        return inquiry_pb2.PrepareInquiryResponse(
            subject=masked.subject,
            text=masked.text,
            confirmation=confirmation,
            expire_time=clock.to_timestamp(until),
        )

    def _submit(
        self,
        tx: Tx,
        inquiry_id: str,
        masked: inquiry_pb2.SubmitInquiryRequest,
        contact: str,
        taker: str,
    ) -> inquiry_pb2.SubmitInquiryResponse:
        files = CaseFiles(tx, self._rules)
        subject, text = masked.subject, masked.text
        known = files.inquiries.find(tx.connection, inquiry_id)
        if known is not None:  # repeated so late that the request is not remembered any more
            if (known["subject"], known["text"]) != (subject, text):
                why = "was used before for another request; take a new UUID for each request that is not repeated"
                raise InvalidArgument("request_id", why, "REQUEST_ID_REUSED")
            return self._submitted(known)
        row = take_in(
            files,
            self._secrets,
            inquiry_id,
            contact,
            masked.location if masked.HasField("location") else None,
            subject=subject,
            text=text,
            channel=masked.channel,
            source=f"sources/{INBOX}",
            external_id=inquiry_id,
            public_consent=masked.public_consent,
            taken_by=taker,
        )
        return self._submitted(row)

    def _submitted(self, row: Fields) -> inquiry_pb2.SubmitInquiryResponse:
        received, deadline = row["receive_time"], row["deadline"]
        return inquiry_pb2.SubmitInquiryResponse(
            receive_time=micros_to_timestamp(received),
            deadline=micros_to_timestamp(deadline),
            weekday_years=self._rules.calendar.by_weekdays(received, deadline),
        )

    async def LookupReceipt(
        self, request: inquiry_pb2.LookupReceiptRequest, context: Any
    ) -> inquiry_pb2.LookupReceiptResponse:
        """How an inquiry stands, by its receipt alone."""
        hashed = receipts.token_hash(request.receipt)

        def read(connection: Connection) -> inquiry_pb2.LookupReceiptResponse:
            row = connection.execute(select(INQUIRIES).where(INQUIRIES.c.receipt_hash == hashed)).one_or_none()
            if row is None:
                raise receipt_unknown()
            weekday_years: tuple[int, ...] = ()
            calendar = compiled(self._policies.active(connection, "clocks").body)
            until = 0
            if row.state not in SETTLED:
                weekday_years = calendar.by_weekdays(row.receive_time, row.deadline)
            elif row.reply_id and not row.feedback:
                until = feedback_until(row.answer_time, calendar.policy.feedback_calendar_days)
            return inquiry_pb2.LookupReceiptResponse(
                state=row.state,
                receive_time=micros_to_timestamp(row.receive_time),
                deadline=micros_to_timestamp(row.deadline),
                answers=published.answers(connection, row),
                weekday_years=weekday_years,
                messages=receipt_messages(connection, row),
                attachments=published.attachments(connection, row),
                feedback=row.feedback,
                feedback_until=resources.time(until),
            )

        return await self._store.read(read)

    async def FollowUpReceipt(
        self, request: inquiry_pb2.FollowUpReceiptRequest, context: Any
    ) -> inquiry_pb2.FollowUpReceiptResponse:
        """Stores what a citizen still has to say on an answer, and orders it to the unit that answered."""
        principal = current_principal()
        if not request.text.strip():
            raise InvalidArgument("text", "is empty; say what is still asked", "REQUIRED")
        hashed = receipts.token_hash(request.receipt)
        key = f"{hashed.hex()}/{request.request_id}"
        inquiry_id = derived_id("follow-up", key) if request.request_id else uuid7()
        # Remembered without the receipt, as a submitted inquiry is.
        masked = inquiry_pb2.FollowUpReceiptRequest(receipt=hashed.hex(), text=mask_text(request.text))
        response = await self._store.write_once(
            request.request_id,
            "FollowUpReceipt",
            masked,
            lambda tx: self._follow_up(tx, hashed, inquiry_id, masked.text),
            inquiry_pb2.FollowUpReceiptResponse,
            subject=principal.subject,
        )
        response.receipt = self._secrets.receipt(inquiry_id)
        return response

    def _follow_up(
        self, tx: Tx, receipt_hash: bytes, inquiry_id: str, text: str
    ) -> inquiry_pb2.FollowUpReceiptResponse:
        files = CaseFiles(tx, self._rules)
        answered = tx.execute(select(INQUIRIES).where(INQUIRIES.c.receipt_hash == receipt_hash)).one_or_none()
        if answered is None:
            raise receipt_unknown()
        known = files.inquiries.find(tx.connection, inquiry_id)
        if known is None:
            self._check_answered(tx, answered)
            known = self._open_follow_up(tx, files, answered, inquiry_id, text)
        return inquiry_pb2.FollowUpReceiptResponse(
            receive_time=micros_to_timestamp(known["receive_time"]), deadline=micros_to_timestamp(known["deadline"])
        )

    @staticmethod
    def _check_answered(tx: Tx, inquiry: Row[Any]) -> None:
        if inquiry.state != inquiry_pb2.Inquiry.STATE_ANSWERED:
            why = "this inquiry waits for its answer; follow up once it is published"
            raise FailedPrecondition("NOT_ANSWERED", why)
        waiting = select(INQUIRIES.c.id).where(INQUIRIES.c.follows == inquiry.id, INQUIRIES.c.state.not_in(SETTLED))
        if tx.execute(waiting.limit(1)).first() is not None:
            why = "what you added before waits for its answer; read it with the receipt that you got for it"
            raise FailedPrecondition("FOLLOW_UP_WAITS", why)

    def _open_follow_up(self, tx: Tx, files: CaseFiles, answered: Row[Any], inquiry_id: str, text: str) -> Fields:
        """The follow-up in a case of the same event: one in work, or a successor that the unit is ordered to take."""
        before = files.case(answered.case_id)
        event = files.event(before["event_id"])
        assert event is not None, "a case opens for an event that was told of"
        row = files.inquiries.add(
            new_inquiry(
                inquiry_id,
                subject=answered.subject,
                text=text,
                channel=inquiry_pb2.Inquiry.CHANNEL_ONLINE,
                received=tx.now_us,
                event_id=event["id"],
                source=f"sources/{INBOX}",
                external_id=inquiry_id,
                return_path=inquiry_pb2.Inquiry.RETURN_PATH_RECEIPT,
                receipt_hash=receipts.token_hash(self._secrets.receipt(inquiry_id)),
                follows=answered.id,
                drill=answered.drill,
            )
        )
        case, kind = files.case_of(event), "case.inquiry_joined"
        if case is None or state_of(case) not in OPEN_STATES:
            case, kind = files.open_case(event, predecessor=case or before), "case.opened"
        files.add_inquiry(case, row)
        files.tell(case, kind)
        files.write()
        unit = before["lead_unit"]
        # While a refusal waits for its review nobody is ordered; the desk assigns the case afterwards.
        waits = state_of(case) == State.REGISTERED and not case["open_refusal_count"]
        if waits and tx.execute(select(UNITS.c.id).where(UNITS.c.id == unit)).first():
            system = Principal(SYSTEM, everywhere=True)
            Handling(tx, self._rules, system, f"cases/{case['id']}", "").assign(f"units/{unit}", [], "")
        return row

    async def GetInquiry(self, request: inquiry_pb2.GetInquiryRequest, context: Any) -> inquiry_pb2.Inquiry:
        """One inquiry."""
        query = _inquiries(current_principal()).where(INQUIRIES.c.id == request.name.removeprefix("inquiries/"))
        row = await self._store.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(request.name)
        return resources.inquiry(row, with_text=True)

    async def ListInquiries(
        self, request: inquiry_pb2.ListInquiriesRequest, context: Any
    ) -> inquiry_pb2.ListInquiriesResponse:
        """Inquiries within the caller's reach."""
        principal = current_principal()
        query = _inquiries(principal).where(compile_filter(request.filter, _INQUIRY_FIELDS))
        order = [*parse_order(request.order_by, _INQUIRY_ORDERS, "deadline"), (INQUIRIES.c.id, False)]

        def read(connection: Connection) -> inquiry_pb2.ListInquiriesResponse:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("inquiries", request.filter, scope(principal)),
            )
            return inquiry_pb2.ListInquiriesResponse(
                inquiries=(resources.inquiry(row._mapping, with_text=True) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
            )

        return await self._store.read(read)


def take_in(
    files: CaseFiles,
    secrets: Secrets,
    inquiry_id: str,
    contact: str,
    location: latlng_pb2.LatLng | None,
    **fields: Any,
) -> Fields:
    """Stores an inquiry whose author gets a receipt: its clock, its contact, and what passes it on to the collector.

    The last thing that a work does; `fields` are those of `new_inquiry`, its texts masked.
    """
    tx = files.tx
    row = files.inquiries.add(
        new_inquiry(
            inquiry_id,
            received=tx.now_us,
            receipt_hash=receipts.token_hash(secrets.receipt(inquiry_id)),
            has_contact=bool(contact.strip()),
            latitude=location.latitude if location is not None else None,
            longitude=location.longitude if location is not None else None,
            **{"return_path": inquiry_pb2.Inquiry.RETURN_PATH_RECEIPT, **fields},
        )
    )
    files.inquiries.change(row, deadline=files.clocks.start_answer(row)["deadline"])
    files.tell_inquiry(row, "inquiry.received")
    files.write()
    if contact.strip():
        tx.execute(insert(CONTACTS), {"inquiry_id": inquiry_id, "sealed": secrets.seal(contact)})
    post = post_pb2.Post(
        external_id=inquiry_id,
        subject=row["subject"],
        text=row["text"],
        publish_time=micros_to_timestamp(row["publish_time"]),
        location=location,
    )
    tx.outbox.add(CREATE_POST, post.SerializeToString(), derived_id("passed-on", inquiry_id))
    return row


def _check_taker(principal: Principal) -> None:
    if principal.is_anonymous:
        raise PermissionDenied("SIGN_IN", "only officers take inquiries down by telephone or at the counter; sign in")
    if not principal.may("casework.inquiries.take"):
        raise PermissionDenied("MAY_NOT_TAKE", "taking inquiries down is for the desk and for officers")


def _read_back(principal: Principal, masked: inquiry_pb2.SubmitInquiryRequest) -> bytes:
    """What a confirmation is about: who took what down, and how it reached us."""
    parts = (principal.subject, str(masked.channel), masked.subject, masked.text)
    return "\x1f".join(parts).encode()


def _inquiries(principal: Principal) -> Select[Any]:
    return select(INQUIRIES).where(reach(principal, INQUIRIES.c.case_id))
