"""Attachments: files of inquiries and of answers, cleaned before anything is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.api import httpbody_pb2
from huiyin.casework.v1 import attachment_pb2, inquiry_pb2
from huiyin.type.v1 import download_pb2
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.masking import mask_text
from huiyin_chassis.store import Tx
from sqlalchemy import ColumnElement, Connection, Row, RowMapping, and_, or_, select

from huiyin_casework import blobs, resources
from huiyin_casework.cleaning import CleanFile, Cleaning
from huiyin_casework.handling.attachments import Enclosures, InquiryFiles
from huiyin_casework.handling.authors import AuthorWork, receipt_unknown
from huiyin_casework.model import receipts
from huiyin_casework.model.attachments import Unusable, checked_type, file_name
from huiyin_casework.published import kept_files
from huiyin_casework.rules import Rules
from huiyin_casework.service.publications import public_attachments
from huiyin_casework.service.scope import reach, visible_case
from huiyin_casework.store import ATTACHMENTS, INQUIRIES, CaseworkStore


@dataclass(frozen=True)
class Attaching:
    """How files are cleaned, and how large and how many they may be."""

    cleaning: Cleaning
    most_bytes: int
    most_files: int

    async def taken(self, given: attachment_pb2.AttachmentFile) -> tuple[CleanFile, str]:
        """A file as it may be stored, and what it is called. Raises InvalidArgument, ResourceExhausted."""
        if len(given.data) > self.most_bytes:
            why = f"has {len(given.data)} bytes; a file has at most {self.most_bytes}, make it smaller"
            raise InvalidArgument("file.data", why, "FILE_TOO_LARGE")
        try:
            kind = checked_type(given.content_type, given.data)
        except Unusable as error:
            raise InvalidArgument(f"file.{error.field}", str(error), error.reason) from error
        return await self.cleaning.clean(given.data, kind), file_name(mask_text(given.file_name), kind)


class AttachmentMethods:
    """What the service does with attachments."""

    _store: CaseworkStore
    _rules: Rules
    _attaching: Attaching

    async def AttachByReceipt(
        self, request: attachment_pb2.AttachByReceiptRequest, context: Any
    ) -> attachment_pb2.ShownAttachment:
        """An author adds a file."""
        # Who holds no receipt makes nobody decode anything.
        await self._store.read(lambda connection: _by_receipt(connection, request.receipt))
        file, name = await self._attaching.taken(request.file)

        def attach(tx: Tx) -> attachment_pb2.ShownAttachment:
            work = AuthorWork(tx, self._rules, request.receipt)
            return resources.shown_attachment(work.attach(file, name, self._attaching.most_files))

        # What is remembered for a repetition holds neither the receipt nor the file.
        kept = attachment_pb2.AttachByReceiptRequest(
            receipt=receipts.token_hash(request.receipt).hex(), file=_remembered(request.file, name)
        )
        return await self._store.write_once(
            request.request_id,
            "AttachByReceipt",
            kept,
            attach,
            attachment_pb2.ShownAttachment,
            subject=current_principal().subject,
        )

    async def AttachToInquiry(
        self, request: attachment_pb2.AttachToInquiryRequest, context: Any
    ) -> attachment_pb2.Attachment:
        """An officer adds a file to an inquiry."""
        principal = current_principal()
        await self._store.read(lambda connection: _visible_inquiry(connection, principal, request.name))
        file, name = await self._attaching.taken(request.file)
        kept = attachment_pb2.AttachToInquiryRequest(name=request.name, file=_remembered(request.file, name))
        return await self._store.write_once(
            request.request_id,
            "AttachToInquiry",
            kept,
            lambda tx: InquiryFiles(tx, self._rules, principal, request.name).attach(
                file, name, self._attaching.most_files
            ),
            attachment_pb2.Attachment,
            subject=principal.subject,
        )

    async def EncloseFile(self, request: attachment_pb2.EncloseFileRequest, context: Any) -> attachment_pb2.Attachment:
        """The lead unit adds a file to its draft."""
        principal = current_principal()
        await self._store.read(lambda connection: visible_case(connection, principal, request.name))
        file, name = await self._attaching.taken(request.file)
        kept = attachment_pb2.EncloseFileRequest(name=request.name, file=_remembered(request.file, name))
        return await self._store.write_once(
            request.request_id,
            "EncloseFile",
            kept,
            lambda tx: Enclosures(tx, self._rules, principal, request.name, "").enclose(
                file, name, self._attaching.most_files
            ),
            attachment_pb2.Attachment,
            subject=principal.subject,
        )

    async def ClearAttachment(
        self, request: attachment_pb2.ClearAttachmentRequest, context: Any
    ) -> attachment_pb2.Attachment:
        """A reviewer has looked a file over."""
        take = self._enclosure(request.name, lambda work, attachment: work.clear(attachment))
        return await self._store.write_once(
            request.request_id,
            "ClearAttachment",
            request,
            take,
            attachment_pb2.Attachment,
            subject=current_principal().subject,
        )

    async def TakeOutAttachment(
        self, request: attachment_pb2.TakeOutAttachmentRequest, context: Any
    ) -> attachment_pb2.TakeOutAttachmentResponse:
        """Destroys a file of a draft, in the files of the store too."""
        take = self._enclosure(request.name, lambda work, attachment: work.take_out(attachment))
        response = await self._store.write_once(
            request.request_id,
            "TakeOutAttachment",
            request,
            take,
            attachment_pb2.TakeOutAttachmentResponse,
            subject=current_principal().subject,
        )
        await self._store.destroy_bytes()
        return response

    async def ListAttachments(
        self, request: attachment_pb2.ListAttachmentsRequest, context: Any
    ) -> attachment_pb2.ListAttachmentsResponse:
        """Those of an inquiry, or of the answers of a case."""
        principal = current_principal()

        def read(connection: Connection) -> attachment_pb2.ListAttachmentsResponse:
            rows = kept_files(connection, _held_by(connection, principal, request.parent))
            return attachment_pb2.ListAttachmentsResponse(attachments=map(resources.attachment, rows))

        return await self._store.read(read)

    async def DownloadAttachment(
        self, request: attachment_pb2.DownloadAttachmentRequest, context: Any
    ) -> httpbody_pb2.HttpBody:
        """A file within reach."""
        principal = current_principal()
        parent, _, attachment = request.name.partition("/attachments/")

        def read(connection: Connection) -> httpbody_pb2.HttpBody:
            held = _held_by(connection, principal, parent)
            return _file(connection, kept_files(connection, and_(held, ATTACHMENTS.c.id == attachment)), request.name)

        return await self._store.read(read)

    async def DownloadByReceipt(
        self, request: attachment_pb2.DownloadByReceiptRequest, context: Any
    ) -> httpbody_pb2.HttpBody:
        """A file of one's own, or of the answer."""

        def read(connection: Connection) -> httpbody_pb2.HttpBody:
            inquiry = _by_receipt(connection, request.receipt)
            own = ATTACHMENTS.c.inquiry_id == inquiry.id
            if inquiry.state == inquiry_pb2.Inquiry.STATE_ANSWERED and inquiry.reply_id:
                own = or_(own, ATTACHMENTS.c.reply_id == inquiry.reply_id)
            rows = kept_files(connection, and_(own, ATTACHMENTS.c.id == request.attachment))
            return _file(connection, rows, f"attachments/{request.attachment}")

        return await self._store.read(read)

    async def DownloadPublicAttachment(
        self, request: attachment_pb2.DownloadPublicAttachmentRequest, context: Any
    ) -> httpbody_pb2.HttpBody:
        """A file that everybody may read."""
        publication, _, attachment = request.name.removeprefix("publications/").partition("/attachments/")

        def read(connection: Connection) -> httpbody_pb2.HttpBody:
            rows = [row for row in public_attachments(connection, [publication]) if row["id"] == attachment]
            return _file(connection, rows, request.name)

        return await self._store.read(read)

    def _enclosure(self, name: str, take: Callable[[Enclosures, str], Any]) -> Callable[[Tx], Any]:
        principal = current_principal()
        case, _, attachment = name.partition("/attachments/")
        return lambda tx: take(Enclosures(tx, self._rules, principal, case, ""), attachment)


def _remembered(file: attachment_pb2.AttachmentFile, name: str) -> attachment_pb2.AttachmentFile:
    return attachment_pb2.AttachmentFile(file_name=name, data=hashlib.sha256(file.data).digest())


def _file(connection: Connection, rows: Sequence[RowMapping], name: str) -> httpbody_pb2.HttpBody:
    """The one file that was found. Raises NotFound."""
    data = blobs.read(connection, rows[0]["sha256"]) if rows else None
    if data is None:
        raise NotFound(name)
    body = httpbody_pb2.HttpBody(content_type=rows[0]["media_type"], data=data)
    body.extensions.add().Pack(download_pb2.Download(file_name=rows[0]["file_name"]))
    return body


def _by_receipt(connection: Connection, receipt: str) -> Row[Any]:
    query = select(INQUIRIES).where(INQUIRIES.c.receipt_hash == receipts.token_hash(receipt))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise receipt_unknown()
    return row


def _visible_inquiry(connection: Connection, principal: Principal, name: str) -> str:
    """The id of an inquiry within reach. Raises NotFound."""
    query = select(INQUIRIES.c.id).where(
        INQUIRIES.c.id == name.removeprefix("inquiries/"), reach(principal, INQUIRIES.c.case_id)
    )
    found = connection.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound(name)
    return str(found)


def _held_by(connection: Connection, principal: Principal, parent: str) -> ColumnElement[bool]:
    """The attachments of an inquiry, or of the answers of a case, within reach. Raises NotFound."""
    if parent.startswith("inquiries/"):
        return ATTACHMENTS.c.inquiry_id == _visible_inquiry(connection, principal, parent)
    case = visible_case(connection, principal, parent)
    return and_(ATTACHMENTS.c.case_id == case["id"], ATTACHMENTS.c.reply_id != "")
