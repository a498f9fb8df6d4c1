"""Partners: created, changed, given a new secret; and the inquiries that they pass on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from huiyin.casework.v1 import partner_pb2
from huiyin.casework.v1.inquiry_pb2 import Inquiry
from huiyin_chassis import clock, webhooks
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import Aborted, AlreadyExists, InvalidArgument, NotFound
from huiyin_chassis.field_masks import masked_fields
from huiyin_chassis.ids import derived_id
from huiyin_chassis.locations import checked_location
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from huiyin_chassis.validation import validate
from sqlalchemy import Connection, insert, select, update

from huiyin_casework import partners
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.resources import etag
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.service.inquiries import take_in
from huiyin_casework.store import PARTNERS, CaseworkStore, Fields

_CHANGEABLE: Final = ("display_name", "callback_url", "disabled")
_MOST_BYTES: Final = 256 * 1024
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
"""Before it no post is taken by the collector."""
_AHEAD: Final = timedelta(seconds=webhooks.TOLERANCE)


class PartnerMethods:
    """What the service does with partners."""

    _store: CaseworkStore
    _rules: Rules
    _secrets: Secrets
    _callbacks: partners.CallbackRules

    async def CreatePartner(
        self, request: partner_pb2.CreatePartnerRequest, context: Any
    ) -> partner_pb2.CreatePartnerResponse:
        """Creates a partner with a secret."""
        asked, secret = request.partner, webhooks.fresh_secret()
        values = {name: getattr(asked, name) for name in _CHANGEABLE}
        self._check(values)

        def create(tx: Tx) -> partner_pb2.Partner:
            name = f"partners/{request.partner_id}"
            if partners.find(tx.connection, name) is not None:
                raise AlreadyExists(name)
            row = {
                "id": request.partner_id,
                **values,
                **webhooks.first(self._secrets, secret, tx.now_us),
                "create_time": tx.now_us,
                "update_time": tx.now_us,
                "revision": 1,
            }
            tx.execute(insert(PARTNERS), row)
            return partners.resource(row)

        return partner_pb2.CreatePartnerResponse(partner=await self._store.write(create), secret=secret)

    async def GetPartner(self, request: partner_pb2.GetPartnerRequest, context: Any) -> partner_pb2.Partner:
        """One partner."""
        row = await self._store.read(lambda connection: partners.find(connection, request.name))
        if row is None:
            raise NotFound(request.name)
        return partners.resource(row)

    async def ListPartners(
        self, request: partner_pb2.ListPartnersRequest, context: Any
    ) -> partner_pb2.ListPartnersResponse:
        """The partners."""

        def read(connection: Connection) -> partner_pb2.ListPartnersResponse:
            found = page(
                connection,
                select(PARTNERS),
                [(PARTNERS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="partners",
            )
            return partner_pb2.ListPartnersResponse(
                partners=(partners.resource(dict(row._mapping)) for row in found.rows),
                next_page_token=found.next_page_token,
            )

        return await self._store.read(read)

    async def UpdatePartner(self, request: partner_pb2.UpdatePartnerRequest, context: Any) -> partner_pb2.Partner:
        """Changes a partner."""
        asked = request.partner
        values = {name: getattr(asked, name) for name in masked_fields(request.update_mask, _CHANGEABLE)}
        self._check(values)

        def change(tx: Tx) -> partner_pb2.Partner:
            row = _row(tx, asked.name)
            if asked.etag and asked.etag != etag(row):
                raise Aborted("STALE_ETAG", f"{asked.name} was changed meanwhile; read it again and repeat the change")
            return _changed(tx, row, values)

        return await self._store.write(change)

    async def RotatePartnerSecret(
        self, request: partner_pb2.RotatePartnerSecretRequest, context: Any
    ) -> partner_pb2.RotatePartnerSecretResponse:
        """Gives a partner a new secret."""
        secret = webhooks.fresh_secret()

        def rotate(tx: Tx) -> partner_pb2.Partner:
            row = _row(tx, request.name)
            return _changed(
                tx, row, webhooks.replaced(row, self._secrets, secret, tx.now_us, revoke=request.revoke_previous)
            )

        return partner_pb2.RotatePartnerSecretResponse(partner=await self._store.write(rotate), secret=secret)

    def _check(self, values: dict[str, Any]) -> None:
        """Raises InvalidArgument for a partner that is called nothing, or whose answers may not be posted there."""
        if not values.get("display_name", "-").strip():
            raise InvalidArgument("partner.display_name", "is empty; say what the partner is called", "REQUIRED")
        url = values.get("callback_url", "")
        if url and (fault := self._callbacks.fault(url)):
            raise InvalidArgument("partner.callback_url", fault, "CALLBACK_REFUSED")

    async def SubmitPartnerInquiry(
        self, request: partner_pb2.SubmitPartnerInquiryRequest, context: Any
    ) -> partner_pb2.SubmitPartnerInquiryResponse:
        """Stores the inquiry once its signature holds, and answers with the receipt."""
        now = clock.now()
        partner = await self._store.read(lambda connection: partners.find(connection, request.parent))
        enabled = partner is not None and not partner["disabled"]
        secrets = partners.secrets_of(partner, self._secrets, clock.micros(now)) if partner and enabled else []
        body = webhooks.signed_body(request, secrets, now, most_bytes=_MOST_BYTES)
        given = _read(body, now)
        inquiry_id = derived_id("partner", f"{request.parent}\x1f{given.external_id}")
        # Remembered without the contact, as a submitted inquiry is.
        masked = partner_pb2.PartnerInquiry()
        masked.CopyFrom(given)
        masked.subject, masked.text, masked.contact = mask_text(given.subject), mask_text(given.text), ""
        with webhooks.numbered_by_webhook_id():
            response = await self._store.write_once(
                request.webhook_id,
                "SubmitPartnerInquiry",
                masked,
                lambda tx: self._pass_in(tx, request.parent, inquiry_id, masked, given.contact),
                partner_pb2.SubmitPartnerInquiryResponse,
                subject=request.parent,
            )
        response.receipt = self._secrets.receipt(inquiry_id)
        return response

    def _pass_in(
        self, tx: Tx, partner: str, inquiry_id: str, masked: partner_pb2.PartnerInquiry, contact: str
    ) -> partner_pb2.SubmitPartnerInquiryResponse:
        files = CaseFiles(tx, self._rules)
        row = files.inquiries.find(tx.connection, inquiry_id)
        if row is None:
            sender = _row(tx, partner)
            published = clock.timestamp_to_micros(masked.publish_time) if masked.HasField("publish_time") else tx.now_us
            row = take_in(
                files,
                self._secrets,
                inquiry_id,
                contact,
                masked.location if masked.HasField("location") else None,
                subject=masked.subject,
                text=masked.text,
                channel=Inquiry.CHANNEL_PARTNER,
                source=partner,
                external_id=masked.external_id,
                public_consent=masked.public_consent,
                return_path=Inquiry.RETURN_PATH_WEBHOOK if sender["callback_url"] else Inquiry.RETURN_PATH_RECEIPT,
                publish_time=min(published, tx.now_us),
            )
        elif (row["subject"], row["text"]) != (masked.subject, masked.text):
            why = (
                "external_id: an inquiry came before under this number with another text; give each a number of its own"
            )
            raise AlreadyExists(f"inquiries/{inquiry_id}", why, "EXTERNAL_ID_KNOWN")
        return partner_pb2.SubmitPartnerInquiryResponse(
            receive_time=micros_to_timestamp(row["receive_time"]),
            deadline=micros_to_timestamp(row["deadline"]),
            weekday_years=self._rules.calendar.by_weekdays(row["receive_time"], row["deadline"]),
        )


def _row(tx: Tx, name: str) -> Fields:
    row = partners.find(tx.connection, name, locked=True)
    if row is None:
        raise NotFound(name)
    return row


def _changed(tx: Tx, row: Fields, values: dict[str, Any]) -> partner_pb2.Partner:
    after = {**row, **values, "update_time": tx.now_us, "revision": row["revision"] + 1}
    tx.execute(update(PARTNERS).where(PARTNERS.c.id == row["id"]).values(after))
    return partners.resource(after)


def _read(body: bytes, now: datetime) -> partner_pb2.PartnerInquiry:
    """The inquiry in a body. Raises InvalidArgument."""
    given = webhooks.read_json(body, partner_pb2.PartnerInquiry())
    given.external_id = given.external_id.strip()
    validate(given)
    if not given.text.strip():
        raise InvalidArgument("text", "is empty; say what is asked", "REQUIRED")
    if given.HasField("publish_time"):
        published = clock.from_timestamp(given.publish_time)
        if not _EARLIEST <= published <= now + _AHEAD:
            why = "must be from 1990 on and not later than now; leave it out where it is not known"
            raise InvalidArgument("publish_time", why, "OUT_OF_RANGE")
    if given.HasField("location"):
        given.location.CopyFrom(checked_location(given.location))
    return given
