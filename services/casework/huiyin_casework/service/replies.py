"""Replies: drafted, reviewed, approved, published, listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from huiyin.casework.v1 import case_pb2, reply_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection, RowMapping, select

from huiyin_casework import examining, resources
from huiyin_casework.model.checks import Finding, Place
from huiyin_casework.model.differences import Piece, differences
from huiyin_casework.personal import mask_personal
from huiyin_casework.service.scope import visible_case
from huiyin_casework.service.steps import StepMethods
from huiyin_casework.store import ATTACHMENTS, PARAGRAPHS, REPLIES


class ReplyMethods(StepMethods):
    """What the service does with replies."""

    _policies: Policies

    async def DraftReply(self, request: case_pb2.DraftReplyRequest, context: Any) -> case_pb2.Case:
        """The lead unit writes a reply. It is looked over before the transaction, which others wait for."""
        if not request.text.strip():
            raise InvalidArgument("text", "is empty; write the answer", "REQUIRED")
        paragraphs = _paragraphs(request.paragraphs)

        def examine(connection: Connection) -> list[Finding]:
            # Whether there is such a case, and for the caller, the step finds; nothing is told of it before.
            case = request.name.removeprefix("cases/")
            return examining.examine(connection, self._policies, case, request.text, paragraphs)

        findings = await self._store.read(examine)
        return await self._step(request, "DraftReply", lambda case: case.draft(request.text, paragraphs, findings))

    async def CheckReply(self, request: reply_pb2.CheckReplyRequest, context: Any) -> reply_pb2.CheckReplyResponse:
        """Looks a reply over without storing it."""
        principal = current_principal()
        given = _paragraphs(request.paragraphs)

        def check(connection: Connection) -> reply_pb2.CheckReplyResponse:
            case = visible_case(connection, principal, request.name)
            text, paragraphs = request.text, given
            if not text.strip():
                if not case["reply_id"]:
                    raise FailedPrecondition("NO_REPLY", f"{request.name} has no reply yet; give the text to check")
                reply = connection.execute(select(REPLIES).where(REPLIES.c.id == case["reply_id"])).one()
                text = reply.text
                paragraphs = paragraphs or {
                    row["inquiry_id"]: row["text"] for row in _paragraphs_of(connection, [reply.id])
                }
            findings = examining.examine(connection, self._policies, case["id"], text, paragraphs)
            texts = {
                (Place.REPLY, ""): text,
                **{(Place.PARAGRAPH, inquiry): told for inquiry, told in paragraphs.items()},
                **examining.inquiry_texts(connection, findings),
            }
            checks = examining.checks_of(connection, self._policies)
            findings += checks.check_enclosed(examining.enclosed(_enclosures(connection, [case["reply_id"]])))
            return reply_pb2.CheckReplyResponse(findings=examining.shown(findings, texts))

        return await self._store.read(check)

    async def ReviewReply(self, request: case_pb2.ReviewReplyRequest, context: Any) -> case_pb2.Case:
        """Someone other than its author reviews the reply."""
        return await self._step(
            request,
            "ReviewReply",
            lambda case: case.review(request.decision, request.note, override=request.override_findings),
        )

    async def ApproveReply(self, request: case_pb2.ApproveReplyRequest, context: Any) -> case_pb2.Case:
        """Approves the reply."""
        return await self._step(request, "ApproveReply", lambda case: case.approve(request.decision, request.note))

    async def PublishReply(self, request: case_pb2.PublishReplyRequest, context: Any) -> case_pb2.Case:
        """Publishes the approved reply."""
        return await self._step(
            request, "PublishReply", lambda case: case.publish(request.public_inquiry, request.public_summary)
        )

    async def ListReplies(self, request: case_pb2.ListRepliesRequest, context: Any) -> case_pb2.ListRepliesResponse:
        """Every reply of a case."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.ListRepliesResponse:
            case = visible_case(connection, principal, request.parent)
            query = select(REPLIES).where(REPLIES.c.case_id == case["id"])
            rows = connection.execute(query.order_by(REPLIES.c.version.desc())).mappings().all()
            return case_pb2.ListRepliesResponse(replies=_read(connection, rows))

        return await self._store.read(read)

    async def CompareReplies(
        self, request: reply_pb2.CompareRepliesRequest, context: Any
    ) -> reply_pb2.CompareRepliesResponse:
        """What changed between two versions."""
        principal = current_principal()

        def read(connection: Connection) -> reply_pb2.CompareRepliesResponse:
            after = _visible_reply(connection, principal, request.name)
            before = _base(connection, principal, after, request.base)
            told = {"": before["text"] if before else ""}, {"": after["text"]}
            ids = [before["id"] if before else "", after["id"]]
            for row in _paragraphs_of(connection, ids):
                told[ids.index(row["reply_id"])][row["inquiry_id"]] = row["text"]
            one, other = told
            return reply_pb2.CompareRepliesResponse(
                base_version=before["version"] if before else 0,
                version=after["version"],
                pieces=_pieces(differences(one.pop(""), other.pop(""))),
                paragraphs=(
                    reply_pb2.ParagraphChange(
                        inquiry=f"inquiries/{inquiry}",
                        pieces=_pieces(differences(one.get(inquiry, ""), other.get(inquiry, ""))),
                    )
                    for inquiry in sorted(one.keys() | other.keys())
                    if one.get(inquiry) != other.get(inquiry)
                ),
            )

        return await self._store.read(read)


def _paragraphs(given: Iterable[reply_pb2.ReplyParagraph]) -> dict[str, str]:
    """Paragraphs by the id of their inquiry, masked. Raises InvalidArgument where two are for one."""
    paragraphs: dict[str, str] = {}
    for index, each in enumerate(given):
        inquiry = each.inquiry.removeprefix("inquiries/")
        if inquiry in paragraphs:
            field = f"paragraphs[{index}].inquiry"
            raise InvalidArgument(field, f"{each.inquiry} is there twice; write one paragraph for each", "DUPLICATE")
        paragraphs[inquiry] = mask_personal(each.text)
    return paragraphs


def _paragraphs_of(connection: Connection, replies: Sequence[str]) -> Sequence[RowMapping]:
    query = select(PARAGRAPHS).where(PARAGRAPHS.c.reply_id.in_(replies))
    return connection.execute(query.order_by(PARAGRAPHS.c.inquiry_id)).mappings().all()


def _enclosures(connection: Connection, replies: Sequence[str]) -> Sequence[RowMapping]:
    query = select(ATTACHMENTS).where(ATTACHMENTS.c.reply_id.in_([reply for reply in replies if reply]))
    return connection.execute(query.order_by(ATTACHMENTS.c.create_time, ATTACHMENTS.c.id)).mappings().all()


def _read(connection: Connection, rows: Sequence[RowMapping]) -> list[case_pb2.Reply]:
    """Replies with their paragraphs and findings."""
    paragraphs: dict[str, list[RowMapping]] = {}
    for row in _paragraphs_of(connection, [row["id"] for row in rows]):
        paragraphs.setdefault(row["reply_id"], []).append(row)
    enclosures: dict[str, list[RowMapping]] = {}
    for row in _enclosures(connection, [row["id"] for row in rows if row["enclosure_count"]]):
        enclosures.setdefault(row["reply_id"], []).append(row)
    findings = {row["id"]: examining.unpacked(row["findings"]) for row in rows}
    inquiries = examining.inquiry_texts(connection, (each for found in findings.values() for each in found))
    replies = []
    for row in rows:
        own = paragraphs.get(row["id"], [])
        texts = {(Place.REPLY, ""): row["text"], **inquiries}
        texts |= {(Place.PARAGRAPH, each["inquiry_id"]): each["text"] for each in own}
        shown = examining.shown(findings[row["id"]], texts)
        replies.append(resources.reply(row, own, shown, enclosures.get(row["id"], ())))
    return replies


def _visible_reply(connection: Connection, principal: Principal, name: str) -> RowMapping:
    """A reply by its name, cases/{case}/replies/{reply}, of a case within reach. Raises NotFound."""
    case_name, _, reply_id = name.partition("/replies/")
    case = visible_case(connection, principal, case_name)
    query = select(REPLIES).where(REPLIES.c.id == reply_id, REPLIES.c.case_id == case["id"])
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(name)
    return row


def _base(connection: Connection, principal: Principal, after: RowMapping, name: str) -> RowMapping | None:
    """The version to compare with: the one named, or the one before; None of a first one."""
    if name:
        before = _visible_reply(connection, principal, name)
        if before["case_id"] != after["case_id"]:
            raise InvalidArgument("base", "is a reply of another case; name one of the same", "NAME_INVALID")
        return before
    earlier = (REPLIES.c.case_id == after["case_id"]) & (REPLIES.c.version == after["version"] - 1)
    return connection.execute(select(REPLIES).where(earlier)).mappings().one_or_none()


def _pieces(pieces: Iterable[Piece]) -> list[reply_pb2.TextPiece]:
    change = reply_pb2.TextPiece.Change
    return [
        reply_pb2.TextPiece(change=change.Value(f"CHANGE_{piece.change.name}"), text=piece.text) for piece in pieces
    ]
