"""Partners pass inquiries on, signed; what they are answered, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf.field_mask_pb2 import FieldMask
from huiyin.casework.v1 import contact_pb2, inquiry_pb2, partner_pb2
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import PARTNERS
from huiyin_casework.worker.following import Following
from huiyin_casework.worker.forgetting import Forgetting
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed
from huiyin_chassis.policies import Policies
from huiyin_chassis.webhooks import signature
from sqlalchemy import select

from tests.integration.casework.conftest import ORDER, Office, Run, joined, opened

Inquiry = inquiry_pb2.Inquiry
PHONE, MAIL = "13812345678", "someone@example.org"
TEXT = "柳荫巷的路灯坏了两盏，晚上看不清路。"


async def create(office: Office, partner: str = "hotline", **fields: Any) -> str:
    """A new partner; its secret."""
    fields = {"display_name": "市民热线", **fields}
    request = partner_pb2.CreatePartnerRequest(partner_id=partner, partner=partner_pb2.Partner(**fields))
    return str((await office.call("CreatePartner", request)).secret)


def message(
    secret: str,
    number: str = "A-1",
    *,
    partner: str = "hotline",
    message_id: str = "",
    body: bytes | None = None,
    sent: int | None = None,
    **fields: Any,
) -> partner_pb2.SubmitPartnerInquiryRequest:
    """A signed message; `sent` is its time in seconds."""
    content = json.dumps({"external_id": number, "text": TEXT, **fields}).encode() if body is None else body
    timestamp = int(clock.now().timestamp()) if sent is None else sent
    message_id = message_id or f"msg_{number}"
    return partner_pb2.SubmitPartnerInquiryRequest(
        parent=f"partners/{partner}",
        body=httpbody_pb2.HttpBody(content_type="application/json", data=content),
        webhook_id=message_id,
        webhook_timestamp=str(timestamp),
        webhook_signature=signature(secret, message_id, timestamp, content),
    )


async def passed(office: Office, request: partner_pb2.SubmitPartnerInquiryRequest) -> Any:
    return await office.call("SubmitPartnerInquiry", request, "public")


async def refused(office: Office, request: partner_pb2.SubmitPartnerInquiryRequest) -> Any:
    return await office.refusal("SubmitPartnerInquiry", request, "public")


async def listed(office: Office) -> list[inquiry_pb2.Inquiry]:
    return list((await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())).inquiries)


def test_an_inquiry_of_a_partner_is_masked_receipted_and_comes_to_a_case_like_any_other(run: Run) -> None:
    async def test(office: Office) -> None:
        secret = await create(office)
        written = "2026-01-05T01:30:00Z"
        request = message(
            secret,
            subject=f"路灯 {MAIL}",
            text=f"{TEXT}电话{PHONE}",
            contact=PHONE,
            publishTime=written,
            publicConsent=True,
            location={"latitude": 28.2036111, "longitude": 112.9672222},
        )
        answer = await passed(office, request)
        found = await office.lookup(answer.receipt)
        assert (found.receive_time, found.deadline) == (answer.receive_time, answer.deadline)
        await office.sent()
        ((post_id, post),) = office.collector.posts.items()
        assert post.publish_time.ToJsonString() == written
        assert (post.location.latitude, post.location.longitude) == (28.20361, 112.96722)
        assert PHONE not in post.text and MAIL not in post.subject

        source = "sources/inquiries"
        await office.tell(opened("e1"), joined("e1", "p1", source=source, external_id=post_id, text=post.text))
        case = await office.case("e1")
        (inquiry,) = await office.inquiries(case)
        assert (inquiry.channel, inquiry.source, inquiry.external_id) == (
            Inquiry.CHANNEL_PARTNER,
            "partners/hotline",
            "A-1",
        )
        assert (inquiry.public_consent, inquiry.has_receipt, inquiry.has_contact) == (True, True, True)
        assert inquiry.publish_time.ToJsonString() == written
        assert (inquiry.location.latitude, inquiry.location.longitude) == (28.20361, 112.96722)
        await office.take(case, *ORDER)
        assert (await office.lookup(answer.receipt)).state == Inquiry.STATE_ANSWERED
        reading = contact_pb2.ReadContactRequest(name=inquiry.name, purpose=contact_pb2.CONTACT_PURPOSE_DELIVER_REPLY)
        assert (await office.call("ReadContact", reading)).contact == PHONE

    run(test)


def test_what_comes_again_gets_the_same_answer_and_is_one_inquiry(run: Run) -> None:
    async def test(office: Office) -> None:
        secret = await create(office)
        first = await passed(office, message(secret, contact=PHONE))
        assert await passed(office, message(secret, contact=PHONE)) == first
        assert await passed(office, message(secret, message_id="msg_other")) == first
        await office.store.sweep(timedelta(0))
        assert await passed(office, message(secret)) == first
        assert len(await listed(office)) == 1

        reused = await refused(office, message(secret, text="另一件事。"))
        assert (reused.reason, reused.violations[0].field) == ("REQUEST_ID_REUSED", "webhook_id")
        known = await refused(office, message(secret, message_id="msg_3", text="另一件事。"))
        assert (known.code, known.reason) == (grpc.StatusCode.ALREADY_EXISTS, "EXTERNAL_ID_KNOWN")

        other = await create(office, "daily")
        elsewhere = await passed(office, message(other, partner="daily"))
        assert elsewhere.receipt != first.receipt
        assert len(await listed(office)) == 2

    run(test)


def test_whoever_is_not_the_partner_is_refused_without_saying_why(run: Run) -> None:
    async def test(office: Office) -> None:
        secret = await create(office)
        gone = await create(office, "gone")
        disabled = partner_pb2.Partner(name="partners/gone", disabled=True)
        update = partner_pb2.UpdatePartnerRequest(partner=disabled, update_mask=FieldMask(paths=["disabled"]))
        assert (await office.call("UpdatePartner", update)).disabled
        now = int(clock.now().timestamp())
        forged = message(secret)
        forged.body.data += b" "
        attempts = [
            message(gone),
            message(gone, partner="gone"),
            message(secret, partner="nobody"),
            message(secret, sent=now - 400),
            message(secret, sent=now + 400),
            forged,
        ]
        errors = [await refused(office, each) for each in attempts]
        assert {(error.code, error.reason, error.message) for error in errors} == {
            (grpc.StatusCode.UNAUTHENTICATED, "SIGNATURE_REFUSED", errors[0].message)
        }
        assert await listed(office) == []

        update.partner.disabled = False
        await office.call("UpdatePartner", update)
        assert (await passed(office, message(gone, partner="gone"))).receipt

    run(test)


FAULTS = [
    (b"{", "body", "BODY_INVALID"),
    (b"[1]", "body", "BODY_INVALID"),
    (b"\xff", "body", "BODY_INVALID"),
    (b'{"externalId": "1", "text": "a", "colour": "red"}', "body", "BODY_INVALID"),
    (b"[" * 20_000, "body", "BODY_INVALID"),
    (b'{"text": "a"}', "external_id", "REQUIRED"),
    (b'{"externalId": "  ", "text": "a"}', "external_id", "REQUIRED"),
    (b'{"externalId": "1"}', "text", "REQUIRED"),
    (b'{"externalId": "1", "text": " "}', "text", "REQUIRED"),
    (b'{"externalId": "1", "text": "' + b"a" * 10_001 + b'"}', "text", "TOO_LONG"),
    (b'{"externalId": "1", "text": "a", "publishTime": "2999-01-01T00:00:00Z"}', "publish_time", "OUT_OF_RANGE"),
    (b'{"externalId": "1", "text": "a", "publishTime": "1900-01-01T00:00:00Z"}', "publish_time", "OUT_OF_RANGE"),
    (b'{"externalId": "1", "text": "a", "location": {"latitude": 99}}', "location.latitude", "OUT_OF_RANGE"),
    (b" " * (256 * 1024 + 1), "body", "BODY_TOO_LARGE"),
]
"""A body, and the field and the reason with which it is refused."""


def test_a_body_that_cannot_be_taken_is_told_with_its_field(run: Run) -> None:
    async def test(office: Office) -> None:
        secret = await create(office)
        for number, (body, field, reason) in enumerate(FAULTS):
            error = await refused(office, message(secret, message_id=str(number), body=body))
            assert (error.reason, error.violations[0].field) == (reason, field), body[:80]
        assert await listed(office) == []

    run(test)


def test_a_replaced_secret_is_accepted_for_a_day_unless_it_is_revoked(run: Run) -> None:
    async def test(office: Office) -> None:
        first = await create(office)
        rotate = partner_pb2.RotatePartnerSecretRequest(name="partners/hotline")
        rotated = await office.call("RotatePartnerSecret", rotate)
        assert len({first, rotated.secret}) == 2
        until = clock.from_timestamp(rotated.partner.previous_expire_time)
        assert until - clock.from_timestamp(rotated.partner.rotate_time) == timedelta(days=1)
        again = await office.call("RotatePartnerSecret", rotate)
        for number, secret in enumerate([first, rotated.secret, again.secret]):
            assert (await passed(office, message(secret, str(number)))).receipt
        with clock.stopped(until + timedelta(minutes=1)):
            assert (await refused(office, message(first))).reason == "SIGNATURE_REFUSED"
            assert (await passed(office, message(again.secret))).receipt

        rotate.revoke_previous = True
        revoked = await office.call("RotatePartnerSecret", rotate)
        assert not revoked.partner.HasField("previous_expire_time")
        assert (await refused(office, message(again.secret, "8"))).reason == "SIGNATURE_REFUSED"
        assert (await passed(office, message(revoked.secret, "9"))).receipt

    run(test)


def test_secrets_are_kept_sealed_and_destroyed_once_they_are_accepted_no_longer(run: Run) -> None:
    async def test(office: Office) -> None:
        secret = await create(office)
        new = await office.call("RotatePartnerSecret", partner_pb2.RotatePartnerSecretRequest(name="partners/hotline"))
        row = await office.store.read(lambda connection: connection.execute(select(PARTNERS)).one())
        assert not any(part in f"{row}" for part in (secret[6:], new.secret[6:]))
        sealed = json.loads(row.old_secrets)
        assert len(sealed) == 1
        rules = Rules(Policies({"clocks": check_clocks}))
        feed, following = Feed(office.store), Following(rules)
        forgetting = Forgetting(office.store, feed, rules, following, feed_days=90, answer_days=90)
        await forgetting.forget()
        kept = select(PARTNERS.c.old_secrets)
        assert json.loads(await office.store.read(lambda connection: connection.scalar(kept))) == sealed
        with clock.stopped(clock.now() + timedelta(days=1, minutes=1)):
            await forgetting.forget()
        assert await office.store.read(lambda connection: connection.scalar(kept)) == "[]"
        assert (await passed(office, message(new.secret))).receipt

    run(test)


def test_partners_are_for_the_desk_and_administrators(run: Run) -> None:
    async def test(office: Office) -> None:
        request = partner_pb2.CreatePartnerRequest(
            partner_id="hotline", partner=partner_pb2.Partner(display_name="市民热线")
        )
        assert (await office.refusal("CreatePartner", request, "officer")).reason == "PERMISSION_MISSING"
        assert (await office.call("CreatePartner", request, "admin")).secret.startswith("whsec_")
        assert (await office.refusal("CreatePartner", request)).reason == "ALREADY_EXISTS"
        blank = partner_pb2.CreatePartnerRequest(partner_id="daily", partner=partner_pb2.Partner(display_name=" "))
        assert (await office.refusal("CreatePartner", blank)).violations[0].field == "partner.display_name"
        get = partner_pb2.GetPartnerRequest(name="partners/hotline")
        partner = await office.call("GetPartner", get)
        update = partner_pb2.UpdatePartnerRequest(partner=partner, update_mask=FieldMask(paths=["display_name"]))
        update.partner.display_name = "政务热线"
        changed = await office.call("UpdatePartner", update)
        assert (changed.display_name, changed.etag != partner.etag) == ("政务热线", True)
        assert (await office.refusal("UpdatePartner", update)).reason == "STALE_ETAG"
        assert (
            await office.refusal("GetPartner", partner_pb2.GetPartnerRequest(name="partners/no"))
        ).reason == "NOT_FOUND"
        await create(office, "daily")
        page = await office.call("ListPartners", partner_pb2.ListPartnersRequest(page_size=1))
        rest = partner_pb2.ListPartnersRequest(page_token=page.next_page_token)
        names = [each.name for each in (*page.partners, *(await office.call("ListPartners", rest)).partners)]
        assert names == ["partners/daily", "partners/hotline"]

    run(test)
