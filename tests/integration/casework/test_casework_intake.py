"""An inquiry comes in: masked, receipted at once, passed on, found again in its event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import grpc
from google.type import latlng_pb2
from huiyin.casework.v1 import inquiry_pb2
from huiyin_casework.store import CONTACTS, INQUIRIES
from huiyin_chassis import clock
from huiyin_chassis.tables import CHANGES
from sqlalchemy import select

from tests.integration.casework.conftest import Office, Run, joined, opened

Inquiry = inquiry_pb2.Inquiry
Submit = inquiry_pb2.SubmitInquiryRequest

MONDAY = datetime(2026, 3, 2, 10, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)
PHONE, CARD = "13812345678", "11010519491231002X"


def test_a_receipt_answers_at_once_before_any_analysis(run: Run) -> None:
    async def test(office: Office) -> None:
        with clock.stopped(MONDAY):
            submitted = await office.submit("我们小区停水三天了。")
            found = await office.lookup(submitted.receipt.lower().replace("-", " "))
        assert (found.state, list(found.answers)) == (Inquiry.STATE_RECEIVED, [])
        assert found.receive_time == submitted.receive_time == clock.to_timestamp(MONDAY)
        assert found.deadline == submitted.deadline == clock.to_timestamp(MONDAY + timedelta(days=3))

    run(test)


def test_an_unknown_receipt_is_told_as_such(run: Run) -> None:
    async def test(office: Office) -> None:
        request = inquiry_pb2.LookupReceiptRequest(receipt="AAAA-BBBB")
        error = await office.refusal("LookupReceipt", request, "public")
        assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "RECEIPT_UNKNOWN")

    run(test)


def test_a_repeated_request_returns_the_same_receipt_and_stores_nothing_more(run: Run) -> None:
    async def test(office: Office) -> None:
        first = await office.submit("停水了", request_id="a-uuid", contact=PHONE)
        assert await office.submit("停水了", request_id="a-uuid", contact=PHONE) == first
        assert await office.submit("停水了") != first
        listed = await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())
        assert listed.total_size == 2
        error = await office.refusal("SubmitInquiry", Submit(text="停电了", request_id="a-uuid"), "public")
        assert error.reason == "REQUEST_ID_REUSED"

    run(test)


def test_a_request_repeated_after_it_was_forgotten_returns_the_same_receipt(run: Run) -> None:
    async def test(office: Office) -> None:
        first = await office.submit("停水了", request_id="a-uuid", contact=PHONE)
        assert await office.store.sweep(timedelta(0)) == 1
        assert await office.submit("停水了", request_id="a-uuid", contact=PHONE) == first
        assert await office.store.sweep(timedelta(0)) == 1
        error = await office.refusal("SubmitInquiry", Submit(text="停电了", request_id="a-uuid"), "public")
        assert error.reason == "REQUEST_ID_REUSED"

    run(test)


def test_numbers_are_masked_and_contacts_sealed_before_the_first_write(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.submit(f"请回电{PHONE}", subject=f"身份证{CARD}", contact=f"电话 {PHONE}")
        await office.sent()
        row = await office.store.read(lambda connection: connection.execute(select(INQUIRIES)).one())
        (post,) = office.collector.posts.values()
        for text in (row.subject, row.text, post.subject, post.text):
            assert PHONE not in text
            assert CARD not in text
        sealed = await office.store.read(lambda connection: connection.scalar(select(CONTACTS.c.sealed)))
        assert PHONE.encode() not in sealed
        if office.store.dialect == "sqlite":
            for file in office.folder.parent.glob("*.db*"):
                assert PHONE.encode() not in file.read_bytes()

    run(test)


def test_an_inquiry_is_passed_on_to_the_inbox_and_found_again_in_its_event(run: Run) -> None:
    async def test(office: Office) -> None:
        submitted = await office.submit("停水三天", subject="停水")
        await office.sent()
        assert set(office.collector.sources) == {"sources/inquiries"}
        ((external_id, post),) = office.collector.posts.items()
        assert (post.subject, post.text) == ("停水", "停水三天")
        await office.tell(
            opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id, text="停水三天")
        )
        (inquiry,) = await office.inquiries(await office.case("e1"))
        assert (inquiry.name, inquiry.post) == (f"inquiries/{external_id}", "posts/p1")
        assert inquiry.return_path == Inquiry.RETURN_PATH_RECEIPT
        found = await office.lookup(submitted.receipt)
        assert (found.state, found.deadline) == (Inquiry.STATE_IN_PROGRESS, submitted.deadline)

    run(test)


def test_only_officers_take_inquiries_down(run: Run) -> None:
    async def test(office: Office) -> None:
        request = Submit(text="来电反映停水", channel=Inquiry.CHANNEL_TELEPHONE)
        assert (await office.refusal("SubmitInquiry", request, "public")).reason == "SIGN_IN"
        assert (await office.refusal("SubmitInquiry", request, "reviewer")).reason == "MAY_NOT_TAKE"
        blank = await office.refusal("SubmitInquiry", Submit(text=" \n"), "public")
        assert [violation.field for violation in blank.violations] == ["text"]

    run(test)


def test_what_an_officer_takes_down_is_read_back_before_it_is_stored(run: Run) -> None:
    async def test(office: Office) -> None:
        heard = inquiry_pb2.PrepareInquiryRequest(
            subject="停水", text=f"三号楼停水，回电{PHONE}", channel=Inquiry.CHANNEL_TELEPHONE
        )
        prepared = await office.call("PrepareInquiry", heard, "officer")
        assert PHONE not in prepared.text
        assert (await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())).total_size == 0

        submit = Submit(subject=heard.subject, text=heard.text, channel=heard.channel)
        for confirmation in ("", "made-up", "1.made-up"):
            submit.confirmation = confirmation
            assert (await office.refusal("SubmitInquiry", submit, "officer")).reason == "NOT_READ_BACK"
        submit.confirmation = prepared.confirmation
        assert (await office.refusal("SubmitInquiry", submit, "desk")).reason == "NOT_READ_BACK"
        other = Submit(text="停电", channel=heard.channel, confirmation=prepared.confirmation)
        assert (await office.refusal("SubmitInquiry", other, "officer")).reason == "NOT_READ_BACK"
        with clock.stopped(clock.from_timestamp(prepared.expire_time) + timedelta(seconds=1)):
            assert (await office.refusal("SubmitInquiry", submit, "officer")).reason == "NOT_READ_BACK"
        stored = await office.call("SubmitInquiry", submit, "officer")
        assert (await office.lookup(stored.receipt)).state == Inquiry.STATE_RECEIVED
        (inquiry,) = (await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())).inquiries
        assert (inquiry.text, inquiry.taken_by) == (prepared.text, "accounts/officer")
        online = inquiry_pb2.PrepareInquiryRequest(text="停水", channel=Inquiry.CHANNEL_ONLINE)
        assert (await office.refusal("PrepareInquiry", online, "officer")).violations[0].field == "channel"

    run(test)


def test_an_author_withdraws_an_inquiry_and_nobody_answers_it(run: Run) -> None:
    async def test(office: Office) -> None:
        submitted = await office.submit("三号楼停水")
        await office.sent()
        (external_id,) = office.collector.posts
        await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
        case = await office.take(await office.case("e1"), "assign", "accept")
        withdraw = inquiry_pb2.WithdrawByReceiptRequest(receipt=submitted.receipt, reason="已经来水了", request_id="w")
        await office.call("WithdrawByReceipt", withdraw, "public")
        await office.call("WithdrawByReceipt", withdraw, "public")
        assert (await office.lookup(submitted.receipt)).state == Inquiry.STATE_WITHDRAWN
        withdraw.request_id = ""
        assert (await office.refusal("WithdrawByReceipt", withdraw, "public")).reason == "INQUIRY_WITHDRAWN"
        case = await office.case("e1")
        assert not case.HasField("deadline")
        assert "dismiss" in {step.step for step in case.next_steps}
        await office.tell(joined("e1", "p2"))
        case = await office.take(case, "draft", "review", "approve", "publish")
        assert {each.post: each.state for each in await office.inquiries(case)} == {
            "posts/p1": Inquiry.STATE_WITHDRAWN,
            "posts/p2": Inquiry.STATE_ANSWERED,
        }
        assert "case.inquiry_withdrawn" in await office.steps(case)

    run(test)


def test_what_is_withdrawn_before_it_was_read_opens_no_case(run: Run) -> None:
    async def test(office: Office) -> None:
        submitted = await office.submit("三号楼停水")
        await office.sent()
        (external_id,) = office.collector.posts
        await office.call(
            "WithdrawByReceipt", inquiry_pb2.WithdrawByReceiptRequest(receipt=submitted.receipt), "public"
        )
        await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
        assert await office.cases() == []

    run(test)


def test_a_point_on_the_map_is_for_those_who_deal_with_it_and_goes_with_the_text(run: Run) -> None:
    async def test(office: Office) -> None:
        point = latlng_pb2.LatLng(latitude=28.2036123, longitude=112.9671987)
        submitted = await office.submit("路口的井盖松动", location=point)
        await office.sent()
        (external_id,) = office.collector.posts
        told = {"source": "sources/inquiries", "external_id": external_id}
        await office.tell(opened("e1"), joined("e1", "p1", **told))
        (inquiry,) = await office.inquiries(await office.case("e1"))
        assert (inquiry.location.latitude, inquiry.location.longitude) == (28.20361, 112.9672)
        query = select(CHANGES.c.resource).where(CHANGES.c.name == inquiry.name)
        changes = await office.store.read(lambda connection: list(connection.execute(query)))
        assert changes
        assert not any(Inquiry.FromString(row.resource).HasField("location") for row in changes)
        assert not (await office.lookup(submitted.receipt)).messages
        await office.tell(joined("e1", "p1", "membership.purged", text="", **told))
        (purged,) = await office.inquiries(await office.case("e1"))
        assert not purged.HasField("location")

    run(test)


def test_a_point_that_is_not_on_the_earth_is_refused_with_the_coordinate(run: Run) -> None:
    async def test(office: Office) -> None:
        exchanged = Submit(text="井盖松动", location=latlng_pb2.LatLng(latitude=112.9, longitude=28.2))
        error = await office.refusal("SubmitInquiry", exchanged, "public")
        assert [(each.field, each.reason) for each in error.violations] == [("location.latitude", "OUT_OF_RANGE")]

    run(test)
