"""What the desk made public: questions with their answers, for everybody to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huiyin.casework.v1 import publication_pb2
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page
from sqlalchemy import Connection, Row, RowMapping, select

from huiyin_casework import resources
from huiyin_casework.store import ATTACHMENTS, INQUIRIES, PUBLICATIONS, REPLIES, UNITS, CaseworkStore


class PublicationMethods:
    """What the service does with publications."""

    _store: CaseworkStore

    async def ListPublications(
        self, request: publication_pb2.ListPublicationsRequest, context: Any
    ) -> publication_pb2.ListPublicationsResponse:
        """What is public, the newest first. An inquiry's text is that of now: what was purged is gone here too."""
        query = (
            select(
                PUBLICATIONS,
                REPLIES.c.text.label("answer"),
                REPLIES.c.unit,
                UNITS.c.display_name,
                UNITS.c.contact,
                INQUIRIES.c.subject,
                INQUIRIES.c.text.label("asked"),
            )
            .join(REPLIES, REPLIES.c.id == PUBLICATIONS.c.id)
            .join(UNITS, UNITS.c.id == REPLIES.c.unit, isouter=True)
            .join(INQUIRIES, INQUIRIES.c.id == PUBLICATIONS.c.inquiry_id, isouter=True)
        )

        def read(connection: Connection) -> publication_pb2.ListPublicationsResponse:
            found = page(
                connection,
                query,
                [(PUBLICATIONS.c.publish_time, True), (PUBLICATIONS.c.id, True)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="publications",
            )
            files: dict[str, list[RowMapping]] = {}
            for file in public_attachments(connection, [row.id for row in found.rows]):
                files.setdefault(file["reply_id"], []).append(file)
            return publication_pb2.ListPublicationsResponse(
                publications=(_publication(row, files.get(row.id, ())) for row in found.rows),
                next_page_token=found.next_page_token,
            )

        return await self._store.read(read)


def public_attachments(connection: Connection, publications: Sequence[str]) -> Sequence[RowMapping]:
    """The files of publications, each looked over by a person."""
    query = (
        select(ATTACHMENTS)
        .join(PUBLICATIONS, PUBLICATIONS.c.id == ATTACHMENTS.c.reply_id)
        .where(PUBLICATIONS.c.id.in_(publications), ATTACHMENTS.c.cleared_by != "", ATTACHMENTS.c.sha256 != "")
    )
    return connection.execute(query.order_by(ATTACHMENTS.c.create_time, ATTACHMENTS.c.id)).mappings().all()


def _publication(row: Row[Any], files: Sequence[RowMapping]) -> publication_pb2.Publication:
    # Masked again: the masks may have learnt since it was first written.
    return publication_pb2.Publication(
        name=f"publications/{row.id}",
        subject=mask_text(row.subject or ""),
        question=row.text or mask_text(row.asked or ""),
        answer=row.answer,
        unit_display_name=row.display_name or row.unit,
        unit_contact=row.contact or "",
        publish_time=micros_to_timestamp(row.publish_time),
        attachments=map(resources.shown_attachment, files),
    )
