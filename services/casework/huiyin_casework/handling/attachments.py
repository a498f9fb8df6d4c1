"""Files put beside inquiries, and files that go with an answer: added, looked over, taken out."""

from __future__ import annotations

import os

from huiyin.casework.v1 import attachment_pb2
from huiyin_chassis.errors import FailedPrecondition, NotFound, ResourceExhausted
from huiyin_chassis.ids import derived_id
from sqlalchemy import delete, select

from huiyin_casework import blobs, resources
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.cleaning import CleanFile
from huiyin_casework.handling.dialogue import Dialogue, check_waiting
from huiyin_casework.handling.work import StepWork
from huiyin_casework.model import chain
from huiyin_casework.model.steps import Step
from huiyin_casework.store import ATTACHMENTS, Fields


def add_to_inquiry(files: CaseFiles, inquiry: Fields, file: CleanFile, name: str, *, account: str, most: int) -> Fields:
    """Adds a file to an inquiry, in the chain of its case; where no case holds it yet, once one does."""
    number = inquiry["attachment_count"] + 1
    if number > most:
        raise ResourceExhausted("TOO_MANY_ATTACHMENTS", f"an inquiry has at most {most} files; join pages into one PDF")
    if not inquiry["salt"]:
        raise FailedPrecondition("NOT_KEPT", "the text of this inquiry is not kept any more, and no file is beside it")
    row = _row(files, file, name, derived_id("attachment", f"{inquiry['id']}/{number}"), account)
    attachment = files.attachments.add(row | {"inquiry_id": inquiry["id"]})
    files.inquiries.change(inquiry, attachment_count=number)
    if inquiry["case_id"]:
        files.record_attachment(files.case(inquiry["case_id"]), attachment)
    return attachment


def _row(files: CaseFiles, file: CleanFile, name: str, attachment_id: str, account: str) -> Fields:
    return {
        "id": attachment_id,
        "inquiry_id": "",
        "case_id": "",
        "reply_id": "",
        "file_name": name,
        "media_type": file.kind.value,
        "size": len(file.data),
        "sha256": blobs.keep(files.tx, file.data),
        "salt": os.urandom(chain.SALT_BYTES),
        "account": account,
        "cleared_by": "",
        "clear_time": 0,
        "readable": file.readable,
        "personal_data_count": file.personal,
        "create_time": files.tx.now_us,
    }


class InquiryFiles(Dialogue):
    """Files of an inquiry in the hands of one person of an office."""

    def attach(self, file: CleanFile, name: str, most: int) -> attachment_pb2.Attachment:
        """Adds a file."""
        self._advance(Step.ATTACH)
        check_waiting(self._inquiry)
        attachment = add_to_inquiry(self._files, self._inquiry, file, name, account=self._actor, most=most)
        self._finish("case.attached")
        return resources.attachment(attachment)


class Enclosures(StepWork):
    """Files of the answer of a case in the hands of one person."""

    def enclose(self, file: CleanFile, name: str, most: int) -> attachment_pb2.Attachment:
        """Adds a file to the draft."""
        state = self._advance(Step.ENCLOSE)
        reply = self._reply()
        if reply["enclosure_count"] >= most:
            raise ResourceExhausted("TOO_MANY_ATTACHMENTS", f"an answer has at most {most} files; take one out first")
        attachment_id = derived_id("enclosure", f"{self._case['id']}/{self._case['entry_count']}")
        row = _row(self._files, file, name, attachment_id, self._actor)
        attachment = self._files.attachments.add(row | {"case_id": self._case["id"], "reply_id": reply["id"]})
        self._files.replies.change(reply, enclosure_count=reply["enclosure_count"] + 1)
        self._files.record_attachment(self._case, attachment)
        self._done(state, "case.enclosed")
        return resources.attachment(attachment)

    def clear(self, attachment_id: str) -> attachment_pb2.Attachment:
        """Says that a file was looked over and may go out."""
        self._check_there(attachment_id)
        state = self._advance(Step.CLEAR)
        attachment = self._enclosure(self._reply(), attachment_id)
        if attachment["account"] == self._actor:
            raise FailedPrecondition(
                "SAME_AUTHOR", "Whoever added a file does not look it over for others. Ask another reviewer."
            )
        values = {"cleared_by": self._actor, "clear_time": self._tx.now_us}
        self._files.attachments.change(attachment, **values)
        self._files.record(self._case, "case.attachment_cleared", self._actor, {"attachment": attachment_id})
        self._done(state, "case.attachment_cleared")
        return resources.attachment(attachment)

    def take_out(self, attachment_id: str) -> attachment_pb2.TakeOutAttachmentResponse:
        """Destroys a file of the draft."""
        self._check_there(attachment_id)
        state = self._advance(Step.TAKE_OUT)
        reply = self._reply()
        attachment = self._enclosure(reply, attachment_id)
        blobs.destroy(self._files, [attachment])
        self._tx.execute(delete(ATTACHMENTS).where(ATTACHMENTS.c.id == attachment_id))
        self._files.replies.change(reply, enclosure_count=reply["enclosure_count"] - 1)
        self._files.record(self._case, "case.attachment_taken_out", self._actor, {"attachment": attachment_id})
        self._done(state, "case.attachment_taken_out")
        return attachment_pb2.TakeOutAttachmentResponse()

    def _check_there(self, attachment_id: str) -> None:
        """Raises NotFound for what no answer of the case ever had, whatever may be done with the case now."""
        of_case = (ATTACHMENTS.c.id == attachment_id, ATTACHMENTS.c.case_id == self._case["id"])
        if self._tx.execute(select(ATTACHMENTS.c.id).where(*of_case)).first() is None:
            raise NotFound(f"cases/{self._case['id']}/attachments/{attachment_id}")

    def _reply(self) -> Fields:
        reply = self._files.replies.find(self._tx.connection, self._case["reply_id"])
        assert reply is not None, "the table lets nobody add to a draft that is not there"
        return reply

    def _enclosure(self, reply: Fields, attachment_id: str) -> Fields:
        for row in self._files.load_enclosures_of(reply["id"]):
            if row["id"] == attachment_id:
                return row
        raise NotFound(f"cases/{self._case['id']}/attachments/{attachment_id}")
