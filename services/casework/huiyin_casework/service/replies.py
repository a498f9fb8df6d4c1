"""Replies: drafted, reviewed, approved, published, listed."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import case_pb2
from huiyin_chassis.identity import current_principal
from sqlalchemy import Connection, select

from huiyin_casework import resources
from huiyin_casework.handling import Handling
from huiyin_casework.service.scope import visible_case
from huiyin_casework.service.steps import StepMethods
from huiyin_casework.store import REPLIES


class ReplyMethods(StepMethods):
    """What the service does with replies."""

    async def DraftReply(self, request: case_pb2.DraftReplyRequest, context: Any) -> case_pb2.Case:
        """The lead unit writes a reply."""
        return await self._step(request, "DraftReply", lambda case: case.draft(request.text))

    async def ReviewReply(self, request: case_pb2.ReviewReplyRequest, context: Any) -> case_pb2.Case:
        """Someone other than its author reviews the reply."""
        return await self._step(request, "ReviewReply", lambda case: case.review(request.decision, request.note))

    async def ApproveReply(self, request: case_pb2.ApproveReplyRequest, context: Any) -> case_pb2.Case:
        """Approves the reply."""
        return await self._step(request, "ApproveReply", lambda case: case.approve(request.decision, request.note))

    async def PublishReply(self, request: case_pb2.PublishReplyRequest, context: Any) -> case_pb2.Case:
        """Publishes the approved reply."""
        return await self._step(request, "PublishReply", Handling.publish)

    async def ListReplies(self, request: case_pb2.ListRepliesRequest, context: Any) -> case_pb2.ListRepliesResponse:
        """Every reply of a case."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.ListRepliesResponse:
            case = visible_case(connection, principal, request.parent)
            query = select(REPLIES).where(REPLIES.c.case_id == case["id"])
            rows = connection.execute(query.order_by(REPLIES.c.create_time.desc(), REPLIES.c.id.desc())).mappings()
            return case_pb2.ListRepliesResponse(replies=map(resources.reply, rows))

        return await self._store.read(read)
