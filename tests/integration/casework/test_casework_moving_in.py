"""Running cases that an office brings along: taken in row by row, and brought to where they stood."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from huiyin.casework.v1 import answer_pb2, case_pb2, inquiry_pb2, running_case_pb2, task_pb2, unit_pb2
from huiyin_casework.store import CLOCKS, CONTACTS, INQUIRIES, MOVING_IN
from huiyin_chassis import clock
from sqlalchemy import func, select

from tests.integration.casework.conftest import Office, Run, joined, opened

Case, Inquiry, Row, Outcome = (
    case_pb2.Case,
    inquiry_pb2.Inquiry,
    running_case_pb2.RunningCase,
    running_case_pb2.RunningCaseOutcome,
)
RECEIVED = datetime(2026, 3, 2, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
PROMISED = RECEIVED + timedelta(days=21)
PHONE = "13812345678"


def _row(number: int, **fields: Any) -> Row:
    values = {"external_id": f"G{number}", "text": f"第{number}条：路灯不亮", "receive_time": RECEIVED, **fields}
    return Row(row=number, **values)


async def _units(office: Office) -> None:
    units = [unit_pb2.Unit(name="units/water", display_name="水务局"), unit_pb2.Unit(name="units/roads")]
    units[1].display_name = "交通局"
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")


async def _import(office: Office, *rows: Row, **fields: Any) -> list[Outcome]:
    request = running_case_pb2.ImportCasesRequest(source="留言台账", file_name="台账.xlsx", rows=rows, **fields)
    return list((await office.call("ImportCases", request)).outcomes)


async def _read(office: Office, inquiry: str, event: str) -> Case:
    """The case once the analyzer has read an inquiry."""
    await office.sent()
    external_id = inquiry.removeprefix("inquiries/")
    post = office.collector.posts[external_id]
    told = joined(event, f"p-{external_id}", source="sources/inquiries", external_id=external_id, text=post.text)
    await office.tell(opened(event), told)
    return await office.case(event)


async def _count(office: Office, table: Any) -> int:
    count = select(func.count()).select_from(table)
    return int(await office.store.read(lambda connection: connection.scalar(count)) or 0)


@pytest.mark.parametrize(
    ("fields", "state", "steps"),
    [
        ({}, Case.STATE_REGISTERED, []),
        ({"state": Row.STATE_ASSIGNED, "lead_unit": "units/water"}, Case.STATE_ASSIGNED, ["case.assigned"]),
        ({"lead_unit": "水务局"}, Case.STATE_ACCEPTED, ["case.assigned", "case.accepted"]),
    ],
    ids=["registered", "assigned", "accepted"],
)
def test_a_row_becomes_an_inquiry_whose_case_is_brought_to_where_it_stood(
    run: Run, fields: dict[str, Any], state: case_pb2.Case.State.ValueType, steps: list[str]
) -> None:
    async def test(office: Office) -> None:
        await _units(office)
        (outcome,) = await _import(office, _row(2, deadline=PROMISED, **fields))
        assert (outcome.row, outcome.kind) == (2, Outcome.KIND_CREATED)
        case = await _read(office, outcome.inquiry, "e1")
        assert (case.state, case.lead_unit) == (state, "units/water" if steps else "")
        expected = ["case.opened", "case.inquiry_joined", "case.imported", *steps]
        # What was promised long ago is supervised at once, whenever the clocks are looked at.
        assert (await office.steps(case))[: len(expected)] == expected
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        assert entries[2].actor == "accounts/desk"
        assert json.loads(entries[2].details)["file"] == "台账.xlsx"
        assert entries[2].sentence == "一件诉求由原台账转入（留言台账第2行）"
        (inquiry,) = await office.inquiries(case)
        assert (inquiry.channel, inquiry.external_id) == (Inquiry.CHANNEL_MOVED_IN, "G2")
        assert clock.from_timestamp(inquiry.receive_time) == RECEIVED
        assert clock.from_timestamp(inquiry.deadline) == PROMISED
        assert case.deadline == inquiry.deadline
        assert await _count(office, MOVING_IN) == 0

    run(test)


def test_a_promised_date_is_kept_and_one_that_nobody_promised_is_counted(run: Run) -> None:
    async def test(office: Office) -> None:
        early = RECEIVED + timedelta(hours=5)
        outcomes = await _import(
            office, _row(2, deadline=PROMISED), _row(3, deadline=early), _row(4), _row(5, urgent=True)
        )
        names = [outcome.inquiry.removeprefix("inquiries/") for outcome in outcomes]
        query = select(INQUIRIES.c.id, INQUIRIES.c.deadline, CLOCKS.c.deadline.label("clock")).join(
            CLOCKS, CLOCKS.c.id == INQUIRIES.c.id
        )
        rows = {row.id: row for row in await office.store.read(lambda connection: list(connection.execute(query)))}
        told = [rows[name].deadline for name in names]
        assert told == [rows[name].clock for name in names]
        assert told[:2] == [clock.micros(PROMISED), clock.micros(early)]
        assert [told[2], told[3]] == [clock.micros(RECEIVED + timedelta(days=days)) for days in (3, 2)]

    run(test)


def test_the_same_rows_again_change_nothing(run: Run) -> None:
    async def test(office: Office) -> None:
        rows = [_row(2, contact=f"老王 {PHONE}"), _row(3, reply_text="已于3月5日修好。")]
        first = await _import(office, *rows)
        assert [outcome.kind for outcome in first] == [Outcome.KIND_CREATED, Outcome.KIND_ANSWER]
        await office.sent()
        posts = dict(office.collector.posts)
        again = await _import(office, *rows)
        assert [outcome.kind for outcome in again] == [Outcome.KIND_KNOWN, Outcome.KIND_KNOWN]
        assert again[0].inquiry == first[0].inquiry
        await office.sent()
        assert office.collector.posts == posts
        assert (await _count(office, INQUIRIES), await _count(office, CONTACTS)) == (1, 1)

    run(test)


def test_a_refused_row_is_told_with_its_field_and_the_others_are_taken(run: Run) -> None:
    async def test(office: Office) -> None:
        await _units(office)
        outcomes = await _import(
            office,
            _row(2, external_id=""),
            _row(3, lead_unit="住建局"),
            _row(4, receive_time=clock.now() + timedelta(days=1)),
            _row(5),
            _row(6, external_id="G5"),
            _row(7, state=Row.STATE_ANSWERED),
        )
        assert [(each.row, each.field, each.reason) for each in outcomes] == [
            (2, "external_id", "REQUIRED"),
            (3, "lead_unit", "UNIT_UNKNOWN"),
            (4, "receive_time", "IN_FUTURE"),
            (5, "", ""),
            (6, "external_id", "DUPLICATE"),
            (7, "reply_text", "REQUIRED"),
        ]
        assert "row 5" in outcomes[4].description
        assert await _count(office, INQUIRIES) == 1

    run(test)


def test_a_trial_says_what_would_become_of_each_row_and_writes_nothing(run: Run) -> None:
    async def test(office: Office) -> None:
        rows = [_row(2), _row(3, external_id=""), _row(4, reply_text="已修好。")]
        tried = await _import(office, *rows, validate_only=True)
        assert (await _count(office, INQUIRIES), await _count(office, MOVING_IN)) == (0, 0)
        await office.sent()
        assert not office.collector.posts
        assert await _import(office, *rows) == tried

    run(test)


def test_numbers_are_masked_contacts_sealed_and_the_analyzer_reads_what_is_stored(run: Run) -> None:
    async def test(office: Office) -> None:
        (outcome,) = await _import(office, _row(2, text=f"请回电{PHONE}", contact=f"老王 {PHONE}"))
        await office.sent()
        (post,) = office.collector.posts.values()
        inquiry = await office.call("GetInquiry", inquiry_pb2.GetInquiryRequest(name=outcome.inquiry))
        assert inquiry.has_contact
        assert post.text == inquiry.text
        assert PHONE not in inquiry.text
        sealed = await office.store.read(lambda connection: connection.scalar(select(CONTACTS.c.sealed)))
        assert PHONE.encode() not in sealed

    run(test)


def test_rows_of_one_matter_share_a_case_whose_first_order_stands(run: Run) -> None:
    async def test(office: Office) -> None:
        await _units(office)
        outcomes = await _import(office, _row(2, lead_unit="水务局"), _row(3, lead_unit="交通局"))
        await _read(office, outcomes[0].inquiry, "e1")
        case = await _read(office, outcomes[1].inquiry, "e1")
        assert (case.inquiry_count, case.lead_unit, case.state) == (2, "units/water", Case.STATE_ACCEPTED)
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        units = [json.loads(entry.details).get("unit") for entry in entries if entry.step == "case.imported"]
        assert units == ["water", "roads"]

    run(test)


def test_what_was_answered_is_an_answer_of_the_past_and_no_case(run: Run) -> None:
    async def test(office: Office) -> None:
        (outcome,) = await _import(office, _row(2, reply_text="阀门已更换。", answer_time=RECEIVED + timedelta(days=1)))
        assert (outcome.kind, outcome.inquiry) == (Outcome.KIND_ANSWER, "")
        await office.sent()
        assert not office.collector.posts
        request = answer_pb2.SearchAnswersRequest(text="路灯不亮")
        (hit,) = (await office.call("SearchAnswers", request)).hits
        assert (hit.answer.text, hit.answer.source) == ("阀门已更换。", "留言台账")

    run(test)


def test_an_answer_to_what_was_brought_along_is_posted_by_a_person_where_it_was_asked(run: Run) -> None:
    async def test(office: Office) -> None:
        await _units(office)
        (outcome,) = await _import(office, _row(2, lead_unit="水务局", topic="topics/lamps", place="A市"))
        case = await _read(office, outcome.inquiry, "e1")
        assert (case.topic, case.place) == ("topics/lamps", "places/A市")
        await office.take(case, "draft", "review", "approve", "publish")
        (task,) = [each for each in await office.tasks() if each.kind == task_pb2.Task.KIND_DELIVER_REPLY]
        assert task.external_id == "G2"

    run(test)


def test_nobody_submits_as_if_it_had_been_brought_along(run: Run) -> None:
    async def test(office: Office) -> None:
        request = inquiry_pb2.SubmitInquiryRequest(text="路灯不亮", channel=Inquiry.CHANNEL_MOVED_IN)
        assert (await office.refusal("SubmitInquiry", request, "public")).violations[0].field == "channel"
        mine = running_case_pb2.ImportCasesRequest(source="台账", rows=[_row(2)])
        assert (await office.refusal("ImportCases", mine, "officer")).reason == "PERMISSION_MISSING"

    run(test)
