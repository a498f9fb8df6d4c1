"""Attachments: cleaned before they are stored, kept once, looked over before they go out, destroyed in time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.api import httpbody_pb2
from huiyin.casework.v1 import attachment_pb2, case_pb2, inquiry_pb2, publication_pb2, reply_pb2, unit_pb2
from huiyin.type.v1 import download_pb2
from huiyin_casework import blobs
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.rules import Rules
from huiyin_casework.store import ATTACHMENTS, BLOBS, MIGRATIONS, CaseworkStore
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.identity import Principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from huiyin_chassis.tables import CHANGES, REQUESTS
from sqlalchemy import func, select, update

from tests import files
from tests.databases import migrate
from tests.integration.casework.conftest import Office, Run, joined, opened

Case, Inquiry, File = case_pb2.Case, inquiry_pb2.Inquiry, attachment_pb2.AttachmentFile
WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
ROADS = Principal("accounts/li", roles=("officer",), units=("roads",))


async def _submit(office: Office) -> str:
    return str((await office.submit("路口的井盖松动", public_consent=True)).receipt)


async def _case(office: Office) -> tuple[Case, Inquiry, str]:
    """A case with one inquiry that was submitted to us, and its receipt."""
    receipt = await _submit(office)
    return (*(await _read(office)), receipt)


async def _read(office: Office) -> tuple[Case, Inquiry]:
    """The inquiry once the analyzer has read it."""
    await office.sent()
    (external_id,) = office.collector.posts
    await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
    case = await office.case("e1")
    (inquiry,) = await office.inquiries(case)
    return case, inquiry


def _by_receipt(receipt: str, data: bytes, **fields: Any) -> attachment_pb2.AttachByReceiptRequest:
    file = File(data=data, file_name=fields.pop("file_name", "井盖.jpg"), content_type=fields.pop("content_type", ""))
    return attachment_pb2.AttachByReceiptRequest(receipt=receipt, file=file, **fields)


async def _download(office: Office, method: str, request: Any, who: str | Principal = "desk") -> tuple[bytes, str]:
    body: httpbody_pb2.HttpBody = await office.call(method, request, who)
    named = download_pb2.Download()
    assert body.extensions[0].Unpack(named)
    return body.data, named.file_name


async def _enclose(office: Office, case: Case, data: bytes) -> attachment_pb2.Attachment:
    request = attachment_pb2.EncloseFileRequest(name=case.name, file=File(data=data, file_name="说明.pdf"))
    enclosed: attachment_pb2.Attachment = await office.call("EncloseFile", request, "officer")
    return enclosed


def _clear(file: attachment_pb2.Attachment) -> attachment_pb2.ClearAttachmentRequest:
    return attachment_pb2.ClearAttachmentRequest(name=file.name)


def _review(case: Case, **fields: Any) -> case_pb2.ReviewReplyRequest:
    return case_pb2.ReviewReplyRequest(name=case.name, decision=case_pb2.DECISION_PASS, **fields)


async def _count(office: Office, table: Any) -> int:
    count = select(func.count()).select_from(table)
    return int(await office.store.read(lambda connection: connection.scalar(count)) or 0)


def test_an_author_adds_files_by_receipt_before_and_after_a_case_holds_the_inquiry(run: Run) -> None:
    async def test(office: Office) -> None:
        receipt = await _submit(office)
        early = await office.call("AttachByReceipt", _by_receipt(receipt, files.jpeg()), "public")
        assert (early.file_name, early.media_type) == ("井盖.jpg", "image/jpeg")
        case, inquiry = await _read(office)
        await office.call("AttachByReceipt", _by_receipt(receipt, files.pdf()), "public")
        assert (await office.steps(case)).count("case.attached") == 2
        found = await office.lookup(receipt)
        assert [each.media_type for each in found.attachments] == ["image/jpeg", "application/pdf"]
        listed = await office.call("ListAttachments", attachment_pb2.ListAttachmentsRequest(parent=inquiry.name))
        assert [each.name for each in listed.attachments] == [
            f"{inquiry.name}/attachments/{each.id}" for each in found.attachments
        ]
        (now,) = await office.inquiries(case)
        assert now.attachment_count == 2
        own = attachment_pb2.DownloadByReceiptRequest(receipt=receipt, attachment=early.id)
        data, name = await _download(office, "DownloadByReceipt", own, "public")
        assert (len(data), name) == (early.size, "井盖.jpg")
        assert files.UNSEEN.encode() not in data
        within = attachment_pb2.DownloadAttachmentRequest(name=listed.attachments[0].name)
        assert (await _download(office, "DownloadAttachment", within))[0] == data
        assert hashlib.sha256(data).hexdigest() == listed.attachments[0].sha256

    run(test)


def test_a_repeated_request_adds_a_file_once_and_remembers_neither_receipt_nor_file(run: Run) -> None:
    async def test(office: Office) -> None:
        receipt = await _submit(office)
        request = _by_receipt(receipt, files.png(), request_id="a", file_name="门牌13812345678.png")
        first = await office.call("AttachByReceipt", request, "public")
        assert await office.call("AttachByReceipt", request, "public") == first
        assert "13812345678" not in first.file_name
        other = _by_receipt(receipt, files.png(7), request_id="a", file_name="门牌13812345678.png")
        assert (await office.refusal("AttachByReceipt", other, "public")).reason == "REQUEST_ID_REUSED"
        assert (await _count(office, ATTACHMENTS), await _count(office, BLOBS)) == (1, 1)
        rows = await office.store.read(lambda connection: list(connection.execute(select(REQUESTS.c.response))))
        told = await office.store.read(lambda connection: list(connection.execute(select(CHANGES.c.resource))))
        assert not any(receipt.encode() in row[0] or b"PNG" in row[0] for row in [*rows, *told])

    run(test)


def test_the_same_bytes_are_kept_once_and_as_long_as_somebody_has_them(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        await office.call("AttachByReceipt", _by_receipt(receipt, files.png()), "public")
        case = await office.take(case, "assign", "accept", "draft")
        enclosed = await _enclose(office, case, files.png())
        assert (await _count(office, ATTACHMENTS), await _count(office, BLOBS)) == (2, 1)
        await office.tell(
            joined("e1", "p1", "membership.purged", source="sources/inquiries", external_id=inquiry.name[10:], text="")
        )
        assert await _count(office, BLOBS) == 1
        await office.call("TakeOutAttachment", attachment_pb2.TakeOutAttachmentRequest(name=enclosed.name), "officer")
        assert await _count(office, BLOBS) == 0
        listed = await office.call("ListAttachments", attachment_pb2.ListAttachmentsRequest(parent=inquiry.name))
        assert not listed.attachments
        assert not (await office.lookup(receipt)).attachments
        assert "case.attachment_taken_out" in await office.steps(case)

    run(test)


@pytest.mark.parametrize(
    ("data", "fields", "field", "reason"),
    [
        (files.jpeg, {"content_type": "image/png"}, "file.content_type", "TYPE_DIFFERS"),
        (lambda: b"MZ\x90", {}, "file.data", "TYPE_NOT_TAKEN"),
        (files.locked_pdf, {}, "data", "ENCRYPTED"),
        (lambda: b"\xff\xd8\xff\xe0" * 1_300_000, {}, "file.data", "FILE_TOO_LARGE"),
        (lambda: b"\xff\xd8\xff\xe0" * 1000, {}, "data", "UNREADABLE"),
    ],
    ids=["said to be another", "not taken", "locked", "too large", "broken"],
)
def test_a_file_that_is_not_taken_is_refused_with_the_field_and_stores_nothing(
    run: Run, data: Callable[[], bytes], fields: dict[str, str], field: str, reason: str
) -> None:
    async def test(office: Office) -> None:
        receipt = await _submit(office)
        error = await office.refusal("AttachByReceipt", _by_receipt(receipt, data(), **fields), "public")
        assert [(each.field, each.reason) for each in error.violations] == [(field, reason)]
        assert await _count(office, BLOBS) == 0

    run(test)


def test_an_inquiry_has_so_many_files_at_most_and_none_once_it_is_answered_or_unknown(run: Run) -> None:
    async def test(office: Office) -> None:
        receipt = await _submit(office)
        for colour in range(6):
            await office.call("AttachByReceipt", _by_receipt(receipt, files.png(colour)), "public")
        error = await office.refusal("AttachByReceipt", _by_receipt(receipt, files.png(99)), "public")
        assert (error.code, error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_ATTACHMENTS")
        await office.call("WithdrawByReceipt", inquiry_pb2.WithdrawByReceiptRequest(receipt=receipt), "public")
        error = await office.refusal("AttachByReceipt", _by_receipt(receipt, files.png(99)), "public")
        assert error.reason == "INQUIRY_WITHDRAWN"
        error = await office.refusal("AttachByReceipt", _by_receipt("AAAA-BBBB", files.png(99)), "public")
        assert error.reason == "RECEIPT_UNKNOWN"

    run(test)


def test_files_are_for_the_author_the_desk_and_the_units_of_the_case(run: Run) -> None:
    async def test(office: Office) -> None:
        units = [unit_pb2.Unit(name=f"units/{name}", display_name=name) for name in ("water", "roads")]
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
        case, inquiry, _ = await _case(office)
        file = File(data=files.jpeg(), file_name="现场.jpg")
        request = attachment_pb2.AttachToInquiryRequest(name=inquiry.name, file=file)
        assert (await office.refusal("AttachToInquiry", request, WATER)).code == grpc.StatusCode.NOT_FOUND
        assign = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water")
        await office.call("AssignCase", assign)
        await office.call("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), WATER)
        added = await office.call("AttachToInquiry", request, WATER)
        assert added.account == WATER.subject
        download = attachment_pb2.DownloadAttachmentRequest(name=added.name)
        assert (await _download(office, "DownloadAttachment", download, WATER))[1] == "现场.jpg"
        assert (await office.refusal("DownloadAttachment", download, ROADS)).code == grpc.StatusCode.NOT_FOUND
        listing = attachment_pb2.ListAttachmentsRequest(parent=inquiry.name)
        assert (await office.refusal("ListAttachments", listing, ROADS)).code == grpc.StatusCode.NOT_FOUND
        another = (await office.submit("别的事")).receipt
        other = attachment_pb2.DownloadByReceiptRequest(receipt=another, attachment=added.name.rpartition("/")[2])
        assert (await office.refusal("DownloadByReceipt", other, "public")).code == grpc.StatusCode.NOT_FOUND

    run(test)


def test_a_reply_does_not_pass_review_before_each_of_its_files_was_looked_over_by_another(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _, receipt = await _case(office)
        case = await office.take(case, "assign", "accept", "draft")
        enclosed = await _enclose(office, case, files.jpeg())
        told = await office.call("CheckReply", reply_pb2.CheckReplyRequest(name=case.name), "officer")
        (finding,) = [each for each in told.findings if each.place == reply_pb2.Finding.PLACE_ATTACHMENT]
        assert (finding.kind, finding.attachment) == (reply_pb2.Finding.KIND_UNCLEARED_ATTACHMENT, enclosed.name)
        for fields in ({}, {"override_findings": True, "note": "急"}):
            refused = await office.refusal("ReviewReply", _review(case, **fields), "reviewer")
            assert refused.reason == "ATTACHMENT_UNCLEARED"
            assert enclosed.name in refused.message
        both = Principal("accounts/officer", roles=("officer", "reviewer"), everywhere=True)
        assert (await office.refusal("ClearAttachment", _clear(enclosed), both)).reason == "SAME_AUTHOR"
        cleared = await office.call("ClearAttachment", _clear(enclosed), "reviewer")
        assert (cleared.cleared_by, cleared.readable) == ("accounts/reviewer", False)
        case = await office.take(case, "review", "approve", "publish")
        (answer,) = (await office.lookup(receipt)).answers
        (shown,) = answer.attachments
        own = attachment_pb2.DownloadByReceiptRequest(receipt=receipt, attachment=shown.id)
        assert (await _download(office, "DownloadByReceipt", own, "public"))[1] == "说明.jpg"
        assert not (
            await office.call("ListPublications", publication_pb2.ListPublicationsRequest(), "public")
        ).publications
        steps = await office.steps(case)
        assert [step for step in steps if "attach" in step or "enclos" in step] == [
            "case.enclosed",
            "case.attachment_cleared",
        ]

    run(test)


def test_files_of_a_draft_go_on_to_the_next_one(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _, _ = await _case(office)
        case = await office.take(case, "assign", "accept", "draft")
        enclosed = await _enclose(office, case, files.pdf())
        await office.call("ClearAttachment", _clear(enclosed), "reviewer")
        back = case_pb2.ReviewReplyRequest(name=case.name, decision=case_pb2.DECISION_RETURN, note="请补充日期")
        await office.call("ReviewReply", back, "reviewer")
        case = await office.take(case, "draft", "review")
        listed = await office.call("ListReplies", case_pb2.ListRepliesRequest(parent=case.name))
        assert [[file.name for file in reply.attachments] for reply in listed.replies] == [[enclosed.name], []]
        early = attachment_pb2.TakeOutAttachmentRequest(name=enclosed.name)
        assert (await office.refusal("TakeOutAttachment", early, "officer")).reason == "STEP_NOT_POSSIBLE"

    run(test)


def test_a_number_in_a_file_blocks_its_reply_and_keeps_it_from_becoming_public(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _case(office)
        case = await office.take(case, "assign", "accept", "draft")
        enclosed = await _enclose(office, case, files.pdf("Call 13812345678"))
        assert (enclosed.readable, enclosed.personal_data_count) == (True, 1)
        await office.call("ClearAttachment", _clear(enclosed), "reviewer")
        assert (await office.refusal("ReviewReply", _review(case), "reviewer")).reason == "REPLY_BLOCKED"
        await office.call("ReviewReply", _review(case, override_findings=True, note="本人的号码"), "reviewer")
        case = await office.take(case, "approve")
        public = case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry.name)
        assert (await office.refusal("PublishReply", public)).reason == "ATTACHMENT_NOT_PUBLIC"
        await office.call("PublishReply", case_pb2.PublishReplyRequest(name=case.name))

    run(test)


def test_what_was_looked_over_is_public_with_its_answer_and_nothing_else_is(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        own = await office.call("AttachByReceipt", _by_receipt(receipt, files.png()), "public")
        case = await office.take(case, "assign", "accept", "draft")
        enclosed = await _enclose(office, case, files.pdf())
        await office.call("ClearAttachment", _clear(enclosed), "reviewer")
        case = await office.take(case, "review", "approve")
        await office.call("PublishReply", case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry.name))
        listed = await office.call("ListPublications", publication_pb2.ListPublicationsRequest(), "public")
        (publication,) = listed.publications
        assert [file.file_name for file in publication.attachments] == ["说明.pdf"]
        name = f"{publication.name}/attachments/{publication.attachments[0].id}"
        public = attachment_pb2.DownloadPublicAttachmentRequest(name=name)
        data, _ = await _download(office, "DownloadPublicAttachment", public, "public")
        assert data.startswith(b"%PDF-")
        public.name = f"{publication.name}/attachments/{own.id}"
        error = await office.refusal("DownloadPublicAttachment", public, "public")
        assert error.code == grpc.StatusCode.NOT_FOUND

    run(test)


def test_a_purged_inquiry_leaves_no_name_and_no_byte_of_its_files_and_its_chain_verifies(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _case(office)
        await office.call("AttachByReceipt", _by_receipt(receipt, files.jpeg()), "public")
        purge = {"source": "sources/inquiries", "external_id": inquiry.name[10:], "text": "", "subject": ""}
        await office.tell(joined("e1", "p1", "membership.purged", **purge))
        (row,) = await office.store.read(lambda connection: list(connection.execute(select(ATTACHMENTS))))
        assert (row.file_name, row.sha256, row.salt, await _count(office, BLOBS)) == ("", "", b"", 0)
        assert (await office.steps(case))[-1] == "texts.destroyed"
        error = await office.refusal("AttachByReceipt", _by_receipt(receipt, files.jpeg()), "public")
        assert error.reason == "NOT_KEPT"

    run(test)


def test_a_file_that_was_altered_in_the_store_shows(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _, receipt = await _case(office)
        await office.call("AttachByReceipt", _by_receipt(receipt, files.jpeg()), "public")
        await office.store.write(lambda tx: tx.execute(update(BLOBS).values(data=b"other")))
        whole = await office.call("VerifyCase", case_pb2.VerifyCaseRequest(name=case.name))
        assert not whole.intact

    run(test)


def test_bytes_that_one_process_destroys_and_another_keeps_are_there_as_long_as_somebody_has_them(
    database_url: str,
) -> None:
    async def main() -> None:
        migrate(database_url, MIGRATIONS)
        stores = [CaseworkStore(database_url) for _ in range(2)]
        for store in stores:
            await store.open()
        rules = Rules(Policies({}))

        def add(number: int) -> Callable[[Tx], None]:
            def work(tx: Tx) -> None:
                row = {column.name: None for column in ATTACHMENTS.c} | {"id": str(number), "inquiry_id": "i"}
                empty = dict.fromkeys(("case_id", "reply_id", "file_name", "media_type", "account", "cleared_by"), "")
                counts = dict.fromkeys(("size", "clear_time", "readable", "personal_data_count", "create_time"), 0)
                row |= {**empty, **counts, "readable": False, "salt": b"", "sha256": blobs.keep(tx, b"the same")}
                insert_many(tx.connection, ATTACHMENTS, [row])

            return work

        def destroy(number: int) -> Callable[[Tx], None]:
            def work(tx: Tx) -> None:
                files = CaseFiles(tx, rules)
                row = files.attachments.find(tx.connection, str(number))
                assert row is not None
                blobs.destroy(files, [row])

            return work

        try:
            await stores[0].write(add(0))
            for number in range(40):
                await asyncio.gather(stores[0].write(add(number + 1)), stores[1].write(destroy(number)))
                count = select(func.count()).select_from(BLOBS)
                assert await stores[0].read(lambda connection: connection.scalar(count)) == 1  # noqa: B023
            await stores[1].write(destroy(40))
            assert await stores[0].read(lambda connection: connection.scalar(count)) == 0
        finally:
            for store in stores:
                await store.close()

    asyncio.run(main())
