"""Templates of replies, filled with what a case knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from huiyin.casework.v1 import reply_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection, RowMapping, func, select

from huiyin_casework.model.templates import Template, fill, parse_templates, suited
from huiyin_casework.resources import SETTLED
from huiyin_casework.rules import compiled
from huiyin_casework.service.scope import visible_case
from huiyin_casework.store import INQUIRIES, NO_DEADLINE, UNITS, CaseworkStore


class TemplateMethods:
    """What the service does with templates. They are one policy; here each is read by its own name."""

    _store: CaseworkStore
    _policies: Policies

    async def ListReplyTemplates(
        self, request: reply_pb2.ListReplyTemplatesRequest, context: Any
    ) -> reply_pb2.ListReplyTemplatesResponse:
        """Every template, or those that suit a case."""
        principal = current_principal()

        def read(connection: Connection) -> reply_pb2.ListReplyTemplatesResponse:
            policy = self._policies.active(connection, "templates")
            templates = parse_templates(policy.body)
            if request.case:
                templates = suited(templates, visible_case(connection, principal, request.case)["topic"])
            return reply_pb2.ListReplyTemplatesResponse(
                reply_templates=map(_template, templates), version=policy.version
            )

        return await self._store.read(read)

    async def FillReplyTemplate(
        self, request: reply_pb2.FillReplyTemplateRequest, context: Any
    ) -> reply_pb2.FillReplyTemplateResponse:
        """A text to go on with."""
        principal = current_principal()

        def read(connection: Connection) -> reply_pb2.FillReplyTemplateResponse:
            case = visible_case(connection, principal, request.case)
            templates = parse_templates(self._policies.active(connection, "templates").body)
            found = [each for each in templates if f"replyTemplates/{each.id}" == request.name]
            if not found:
                raise NotFound(request.name)
            text, left = fill(found[0], self._known(connection, case))
            return reply_pb2.FillReplyTemplateResponse(text=text, open_slots=left)

        return await self._store.read(read)

    def _known(self, connection: Connection, case: RowMapping) -> dict[str, str]:
        """What a case knows, by slot."""
        zone = ZoneInfo(compiled(self._policies.active(connection, "clocks").body).policy.timezone)
        waiting = INQUIRIES.c.state.not_in(SETTLED)
        first = select(func.min(INQUIRIES.c.receive_time)).where(INQUIRIES.c.case_id == case["id"], waiting)
        unit = connection.execute(select(UNITS).where(UNITS.c.id == case["lead_unit"])).one_or_none()
        received = connection.scalar(first)
        deadline = case["deadline"] if case["deadline"] != NO_DEADLINE else 0
        return {
            "subject": case["title"],
            "unit": unit.display_name if unit is not None else "",
            "contact": unit.contact if unit is not None else "",
            "received": _day(clock.from_micros(received), zone) if received else "",
            "deadline": _day(clock.from_micros(deadline), zone) if deadline else "",
            "today": _day(clock.now(), zone),
        }


def _day(time: datetime, zone: ZoneInfo) -> str:
    local = time.astimezone(zone)
    return f"{local.year}年{local.month}月{local.day}日"


def _template(template: Template) -> reply_pb2.ReplyTemplate:
    return reply_pb2.ReplyTemplate(
        name=f"replyTemplates/{template.id}",
        display_name=template.name,
        topics=(f"topics/{topic}" for topic in template.topics),
        intents=template.intents,
        text=template.text,
        slots=template.slots,
    )
