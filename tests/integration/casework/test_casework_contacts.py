"""Contacts: opened for one named step at a time, each time with an entry of the chain, and destroyed in time."""

from __future__ import annotations

import json
from datetime import timedelta

import grpc
import pytest
from huiyin.casework.v1 import case_pb2, contact_pb2, inquiry_pb2, unit_pb2
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import CONTACTS
from huiyin_casework.worker.following import Following
from huiyin_casework.worker.forgetting import Forgetting
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.tables import CHANGES, REQUESTS
from sqlalchemy import Connection, func, select

from tests.integration.casework.conftest import ORDER, Office, Run, joined, opened

Case, Inquiry = case_pb2.Case, inquiry_pb2.Inquiry
ASK_BACK = contact_pb2.CONTACT_PURPOSE_ASK_BACK
VERIFY = contact_pb2.CONTACT_PURPOSE_VERIFY_ON_SITE
DELIVER = contact_pb2.CONTACT_PURPOSE_DELIVER_REPLY

PHONE = "13812345678"
CONTACT = f"老王 {PHONE}"
WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
ROADS = Principal("accounts/li", roles=("officer",), units=("roads",))


async def _case(office: Office, contact: str = CONTACT) -> tuple[Case, Inquiry, str]:
    """A case with one inquiry that was submitted to us, and its receipt."""
    submitted = await office.submit("路口的井盖松动", contact=contact)
    await office.sent()
    (external_id,) = office.collector.posts
    await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
    case = await office.case("e1")
    (inquiry,) = await office.inquiries(case)
    return case, inquiry, submitted.receipt


def _read(inquiry: Inquiry, purpose: contact_pb2.ContactPurpose.ValueType) -> contact_pb2.ReadContactRequest:
    return contact_pb2.ReadContactRequest(name=inquiry.name, purpose=purpose)


async def _forget(office: Office) -> None:
    rules = Rules(Policies({"clocks": check_clocks}))
    await Forgetting(office.store, Feed(office.store), rules, Following(rules), feed_days=90, answer_days=90).forget()


async def _kept(office: Office) -> int:
    count = select(func.count()).select_from(CONTACTS)
    return int(await office.store.read(lambda connection: connection.scalar(count)) or 0)


def test_each_reading_is_an_entry_that_names_who_and_what_for_and_never_the_contact(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office)
        assert inquiry.has_contact
        assert (await office.call("ReadContact", _read(inquiry, ASK_BACK))).contact == CONTACT
        case = await office.take(case, "assign", "accept")
        assert (await office.call("ReadContact", _read(inquiry, VERIFY), "officer")).contact == CONTACT
        assert (await office.call("ReadContact", _read(inquiry, VERIFY), "officer")).contact == CONTACT
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        readings = [entry for entry in entries if entry.step == "case.contact_read"]
        assert [(entry.actor, json.loads(entry.details)["purpose"]) for entry in readings] == [
            ("accounts/desk", "ASK_BACK"),
            ("accounts/officer", "VERIFY_ON_SITE"),
            ("accounts/officer", "VERIFY_ON_SITE"),
        ]
        assert readings[1].sentence == "为现场核实查看了一件诉求的联系方式"
        assert not any(PHONE in entry.details for entry in entries)
        await office.steps(case)

    run(test)


def test_a_reading_leaves_no_contact_in_the_feed_or_among_remembered_requests(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office)
        before = await office.store.read(Feed(office.store).head)
        await office.call("ReadContact", _read(inquiry, ASK_BACK))
        assert await office.store.read(Feed(office.store).head) == before
        assert (await office.call("GetCase", case_pb2.GetCaseRequest(name=case.name))).etag == case.etag

        def kept(connection: Connection) -> list[bytes]:
            told = connection.execute(select(CHANGES.c.resource)).scalars().all()
            return [*told, *connection.execute(select(REQUESTS.c.response)).scalars().all()]

        assert not any(PHONE.encode() in body for body in await office.store.read(kept))

    run(test)


def test_only_the_desk_and_officers_of_the_lead_unit_read_a_contact(run: Run) -> None:
    async def test(office: Office) -> None:
        units = [unit_pb2.Unit(name=f"units/{name}", display_name=name) for name in ("water", "roads")]
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
        case, inquiry, _ = await _case(office)
        assert (await office.refusal("ReadContact", _read(inquiry, ASK_BACK), WATER)).code == grpc.StatusCode.NOT_FOUND
        await office.call(
            "AssignCase",
            case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water", assisting_units=["units/roads"]),
        )
        early = await office.refusal("ReadContact", _read(inquiry, ASK_BACK), WATER)
        assert early.reason == "STEP_NOT_POSSIBLE"
        await office.call("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), WATER)
        assert (await office.call("ReadContact", _read(inquiry, ASK_BACK), WATER)).contact == CONTACT
        assert (await office.refusal("ReadContact", _read(inquiry, ASK_BACK), ROADS)).reason == "NOT_LEAD_UNIT"
        for who in ("reviewer", "approver", "admin"):
            error = await office.refusal("ReadContact", _read(inquiry, ASK_BACK), who)
            assert error.code == grpc.StatusCode.PERMISSION_DENIED

    run(test)


def test_a_purpose_is_named_and_fits_what_the_case_stands_at(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office)
        unnamed = await office.refusal("ReadContact", contact_pb2.ReadContactRequest(name=inquiry.name))
        assert [violation.field for violation in unnamed.violations] == ["purpose"]
        assert (await office.refusal("ReadContact", _read(inquiry, DELIVER))).reason == "STEP_NOT_POSSIBLE"
        case = await office.take(case, *ORDER)
        assert (await office.call("ReadContact", _read(inquiry, DELIVER), "officer")).contact == CONTACT
        assert (await office.refusal("ReadContact", _read(inquiry, ASK_BACK))).reason == "STEP_NOT_POSSIBLE"
        published = clock.from_timestamp(case.publish_time)
        with clock.stopped(published + timedelta(days=8)):
            assert (await office.refusal("ReadContact", _read(inquiry, DELIVER))).reason == "FEEDBACK_OVER"
        await office.take(case, "close")
        assert (await office.refusal("ReadContact", _read(inquiry, DELIVER))).reason == "STEP_NOT_POSSIBLE"

    run(test)


def test_where_nothing_was_left_nothing_is_read(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office, contact=" ")
        assert not inquiry.has_contact
        assert (await office.refusal("ReadContact", _read(inquiry, ASK_BACK))).reason == "NO_CONTACT"
        assert "case.contact_read" not in await office.steps(case)

    run(test)


@pytest.mark.parametrize("read", [True, False], ids=["in a case", "before it came to a case"])
def test_the_contact_of_a_withdrawn_inquiry_is_destroyed(run: Run, read: bool) -> None:
    async def test(office: Office) -> None:
        if read:
            case, inquiry, receipt = await _case(office)
        else:
            receipt = (await office.submit("路口的井盖松动", contact=CONTACT)).receipt
        await office.call("WithdrawByReceipt", inquiry_pb2.WithdrawByReceiptRequest(receipt=receipt), "public")
        if read:
            assert (await office.refusal("ReadContact", _read(inquiry, ASK_BACK))).reason == "INQUIRY_WITHDRAWN"
        assert await _kept(office) == 1
        await _forget(office)
        assert await _kept(office) == 0
        listed = await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())
        assert [each.has_contact for each in listed.inquiries] == [False]
        if read:
            assert (await office.steps(case))[-1] == "contacts.destroyed"

    run(test)


def test_a_destroyed_contact_is_told_of_as_gone(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office)
        case = await office.take(case, *ORDER, "close")
        with clock.stopped(clock.from_timestamp(case.close_time) + timedelta(days=8)):
            await _forget(office)
        (now,) = await office.inquiries(case)
        assert (await _kept(office), now.has_contact, now.revision) == (0, False, inquiry.revision + 2)

    run(test)
