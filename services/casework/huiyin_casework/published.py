"""What the author of an inquiry reads of it: answers, refusals that are in force, and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huiyin.casework.v1 import admission_pb2, attachment_pb2, inquiry_pb2
from huiyin_chassis.clock import micros_to_timestamp
from sqlalchemy import ColumnElement, Connection, Row, RowMapping, select

from huiyin_casework import resources, store
from huiyin_casework.rules import desk_of
from huiyin_casework.store import ADMISSIONS, ATTACHMENTS, PARAGRAPHS, REPLIES, UNITS


def answers(connection: Connection, inquiry: Row[Any]) -> list[inquiry_pb2.PublishedAnswer]:
    """What answers an inquiry; nothing while it waits."""
    if inquiry.state != inquiry_pb2.Inquiry.STATE_ANSWERED:
        return []
    own = (PARAGRAPHS.c.reply_id == REPLIES.c.id) & (PARAGRAPHS.c.inquiry_id == inquiry.id)
    query = (
        select(REPLIES, UNITS.c.display_name, UNITS.c.contact, PARAGRAPHS.c.text.label("paragraph"))
        .join(UNITS, UNITS.c.id == REPLIES.c.unit, isouter=True)
        .join(PARAGRAPHS, own, isouter=True)
        .where(REPLIES.c.id == inquiry.reply_id)
    )
    return [
        inquiry_pb2.PublishedAnswer(
            text=reply.text,
            unit_display_name=reply.display_name or reply.unit,
            publish_time=micros_to_timestamp(reply.publish_time),
            paragraph=reply.paragraph or "",
            unit_contact=reply.contact or "",
            attachments=_enclosures(connection, reply),
        )
        for reply in connection.execute(query)
    ] or _refusal(connection, inquiry)


def _refusal(connection: Connection, inquiry: Row[Any]) -> list[inquiry_pb2.PublishedAnswer]:
    """Of a refused inquiry the lawful route, from the desk."""
    query = select(ADMISSIONS).where(
        ADMISSIONS.c.id == inquiry.id, ADMISSIONS.c.state == admission_pb2.Admission.STATE_IN_FORCE
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return []
    units = store.units(connection)
    names = {unit.id: unit.display_name for unit in units}
    return [
        inquiry_pb2.PublishedAnswer(
            text=row.text,
            unit_display_name=names.get(desk_of(units), ""),
            publish_time=micros_to_timestamp(row.decide_time),
        )
    ]


def attachments(connection: Connection, inquiry: Row[Any]) -> list[attachment_pb2.ShownAttachment]:
    """The files of an inquiry as its author sees them."""
    if not inquiry.attachment_count:
        return []
    rows = kept_files(connection, ATTACHMENTS.c.inquiry_id == inquiry.id)
    return [resources.shown_attachment(row) for row in rows]


def _enclosures(connection: Connection, reply: Row[Any]) -> list[attachment_pb2.ShownAttachment]:
    if not reply.enclosure_count:
        return []
    rows = kept_files(connection, ATTACHMENTS.c.reply_id == reply.id)
    return [resources.shown_attachment(row) for row in rows]


def kept_files(connection: Connection, which: ColumnElement[bool]) -> Sequence[RowMapping]:
    """Files that were not destroyed, the oldest first."""
    query = select(ATTACHMENTS).where(which, ATTACHMENTS.c.sha256 != "")
    return connection.execute(query.order_by(ATTACHMENTS.c.create_time, ATTACHMENTS.c.id)).mappings().all()
