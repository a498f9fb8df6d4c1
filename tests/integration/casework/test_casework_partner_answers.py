"""Answers go back to the partner who passed the inquiry on: signed, once, and to a person where nobody takes them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from huiyin.casework.v1 import admission_pb2, case_pb2, inquiry_pb2, message_pb2, partner_pb2, reply_pb2, task_pb2
from huiyin_casework.casefile import ANSWER_PARTNER
from huiyin_casework.store import INQUIRIES
from huiyin_chassis import clock
from huiyin_chassis.identity import Principal
from huiyin_chassis.webhooks import is_signed
from huiyin_local.ports import free_port
from sqlalchemy import select

from tests.guides import program
from tests.integration.casework.conftest import ORDER, Office, Run, joined, opened
from tests.integration.casework.test_casework_partners import create, message, passed

Inquiry, Task = inquiry_pb2.Inquiry, task_pb2.Task
SECOND = Principal("accounts/second", roles=("desk",), everywhere=True)
LOOPBACK: dict[str, Any] = {
    "allow_private_receivers": True,
    "allow_plain_http": True,
    "callback_first_pause": 0.01,
    "callback_timeout": 5.0,
}


@dataclass
class Partner:
    """A partner's server: it answers with the statuses in their order, and with the last one from then on."""

    statuses: list[int] = field(default_factory=lambda: [204])
    silent: bool = False
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.received.append(({"": first, **headers}, body))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if self.silent:
            await asyncio.sleep(3600)
        location = f"location: {self.url}elsewhere\r\n" if status == 302 else ""
        writer.write(f"HTTP/1.1 {status} So\r\n{location}content-length: 1000000\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(*statuses: int, silent: bool = False) -> AsyncIterator[Partner]:
    partner = Partner(list(statuses) or [204], silent)
    server = await asyncio.start_server(partner.serve, "127.0.0.1", 0)
    partner.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/answers"
    async with server:
        yield partner


async def case_of(office: Office, event: str = "e1") -> case_pb2.Case:
    """The case of the inquiry that was passed on last."""
    await office.sent()
    external_id = next(reversed(office.collector.posts))
    source = "sources/inquiries"
    await office.tell(opened(event), joined(event, f"p-{event}", source=source, external_id=external_id))
    return await office.case(event)


async def inquiry_of(office: Office, case: case_pb2.Case) -> inquiry_pb2.Inquiry:
    (inquiry,) = await office.inquiries(case)
    return inquiry


def test_a_published_answer_is_posted_signed_and_its_delivery_recorded(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            first = await create(office, callback_url=partner.url)
            rotated = await office.call(
                "RotatePartnerSecret", partner_pb2.RotatePartnerSecretRequest(name="partners/hotline")
            )
            answer = await passed(office, message(first))
            case = await case_of(office)
            inquiry = await inquiry_of(office, case)
            assert (inquiry.return_path, inquiry.HasField("deliver_time")) == (Inquiry.RETURN_PATH_WEBHOOK, False)
            case = await office.take(case, "assign", "accept")
            paragraph = reply_pb2.ReplyParagraph(inquiry=inquiry.name, text="您反映的第二盏灯已列入更换。")
            draft = case_pb2.DraftReplyRequest(name=case.name, text="柳荫巷两盏路灯已修复。", paragraphs=[paragraph])
            await office.call("DraftReply", draft, "officer")
            case = await office.take(case, "review", "approve", "publish")
            await office.sent()

            ((headers, body),) = partner.received
            assert (headers[""], headers["content-type"]) == ("POST /answers HTTP/1.1", "application/json")
            for secret in (first, rotated.secret):
                sent, signed = int(headers["webhook-timestamp"]), headers["webhook-signature"]
                assert is_signed([secret], headers["webhook-id"], sent, signed, body, now=sent)
            notice = json.loads(body)
            published = (await office.lookup(answer.receipt)).answers[0]
            assert notice == {
                "type": "inquiry.answered",
                "timestamp": published.publish_time.ToJsonString(),
                "data": {
                    "externalId": "A-1",
                    "answer": {
                        "text": "柳荫巷两盏路灯已修复。",
                        "paragraph": "您反映的第二盏灯已列入更换。",
                        "unitDisplayName": published.unit_display_name,
                        "publishTime": published.publish_time.ToJsonString(),
                    },
                },
            }
            assert answer.receipt not in body.decode()
            assert (await inquiry_of(office, case)).HasField("deliver_time")
            assert (await office.steps(case))[-2:] == ["case.published", "case.delivered"]
            assert await office.tasks() == []

    run(test, **LOOPBACK)


def test_an_answer_is_posted_again_under_the_same_id_until_it_is_taken(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening(500, 302, 429, 200) as partner:
            await passed(office, message(await create(office, callback_url=partner.url)))
            case = await office.take(await case_of(office), *ORDER)
            await office.sent()
            assert [headers[""] for headers, _ in partner.received] == ["POST /answers HTTP/1.1"] * 4
            assert len({(headers["webhook-id"], body) for headers, body in partner.received}) == 1
            assert (await office.steps(case)).count("case.delivered") == 1

    run(test, **LOOPBACK)


def test_an_answer_is_not_posted_again_where_a_process_died_before_it_noted_that(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            await passed(office, message(await create(office, callback_url=partner.url)))
            case = await office.take(await case_of(office), *ORDER)
            await office.sent()
            inquiry = await inquiry_of(office, case)
            told = Inquiry(name=inquiry.name, reply=inquiry.reply).SerializeToString()
            await office.store.write(lambda tx: tx.outbox.add(ANSWER_PARTNER, told, "again"))
            await office.sent()
            assert len(partner.received) == 1
            assert (await office.steps(case)).count("case.delivered") == 1

    run(test, **LOOPBACK)


def test_the_answer_of_a_case_that_was_reopened_is_posted_anew(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            receipt = (await passed(office, message(await create(office, callback_url=partner.url)))).receipt
            case = await office.take(await case_of(office), *ORDER)
            await office.sent()
            feedback = message_pb2.GiveFeedbackRequest(receipt=receipt, satisfied=False, reason="还是不亮")
            await office.call("GiveFeedback", feedback, "public")
            case = await office.call("ReopenCase", case_pb2.ReopenCaseRequest(name=case.name, reason="再查"))
            assert not (await inquiry_of(office, case)).HasField("deliver_time")
            await office.take(case, "draft", "review", "approve", "publish")
            await office.sent()
            assert len({headers["webhook-id"] for headers, _ in partner.received}) == 2
            assert (await office.steps(case)).count("case.delivered") == 2

    run(test, **LOOPBACK)


def test_a_refusal_in_force_is_posted_as_the_answer(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            answer = await passed(office, message(await create(office, callback_url=partner.url)))
            case = await case_of(office)
            inquiry = await inquiry_of(office, case)
            refuse = admission_pb2.RefuseInquiryRequest(name=inquiry.name, ground="court")
            await office.call("RefuseInquiry", refuse)
            review = admission_pb2.ReviewRefusalRequest(name=inquiry.name, decision=case_pb2.DECISION_PASS)
            await office.call("ReviewRefusal", review, SECOND)
            await office.sent()
            ((_, body),) = partner.received
            data = json.loads(body)["data"]
            (shown,) = (await office.lookup(answer.receipt)).answers
            assert (data["externalId"], data["refused"], data["answer"]["text"]) == ("A-1", True, shown.text)
            assert (await inquiry_of(office, case)).HasField("deliver_time")

    run(test, **LOOPBACK)


async def _is_gone(office: Office, partner: Partner) -> None:
    partner.statuses = [410]


async def _is_disabled(office: Office, partner: Partner) -> None:
    asked = partner_pb2.Partner(name="partners/hotline", disabled=True)
    update = partner_pb2.UpdatePartnerRequest(partner=asked, update_mask=FieldMask(paths=["disabled"]))
    await office.call("UpdatePartner", update)


async def _wants_none(office: Office, partner: Partner) -> None:
    asked = partner_pb2.Partner(name="partners/hotline")
    update = partner_pb2.UpdatePartnerRequest(partner=asked, update_mask=FieldMask(paths=["callback_url"]))
    await office.call("UpdatePartner", update)


async def _fails_for_too_long(office: Office, partner: Partner) -> None:
    partner.statuses = [503]


@pytest.mark.parametrize(
    ("trouble", "hours", "posted"),
    [(_is_gone, 48, 1), (_is_disabled, 48, 0), (_wants_none, 48, 0), (_fails_for_too_long, 0, 1)],
)
def test_what_nobody_takes_is_a_task_for_the_desk(
    run: Run, trouble: Callable[[Office, Partner], Awaitable[None]], hours: int, posted: int
) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            await passed(office, message(await create(office, callback_url=partner.url)))
            case = await case_of(office)
            await trouble(office, partner)
            case = await office.take(case, *ORDER)
            await office.sent()
            assert len(partner.received) == posted
            (task,) = await office.tasks()
            assert (task.kind, task.source, task.external_id) == (Task.KIND_DELIVER_REPLY, "partners/hotline", "A-1")
            assert task.reply == case.reply
            assert not (await inquiry_of(office, case)).HasField("deliver_time")

    run(test, **{**LOOPBACK, "callback_hours": hours})


def test_it_is_tried_for_as_long_as_the_operator_says(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening(503) as partner:
            await passed(office, message(await create(office, callback_url=partner.url)))
            await office.take(await case_of(office), *ORDER)
            async with asyncio.timeout(30):
                while len(partner.received) < 3:
                    await asyncio.sleep(0.005)
            assert await office.tasks() == []
            with clock.stopped(clock.now() + timedelta(hours=49)):
                await office.sent()
            assert [task.kind for task in await office.tasks()] == [Task.KIND_DELIVER_REPLY]

    run(test, **LOOPBACK)


def test_a_partner_who_does_not_answer_holds_up_no_other(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening(silent=True) as slow, listening() as quick:
            await passed(office, message(await create(office, "slow", callback_url=slow.url), partner="slow"))
            one = await case_of(office)
            await passed(office, message(await create(office, callback_url=quick.url)))
            other = await case_of(office, "e2")
            await office.take(one, *ORDER)
            async with asyncio.timeout(30):
                while not slow.received:
                    await asyncio.sleep(0.005)
            await office.take(other, *ORDER)
            async with asyncio.timeout(30):
                while not quick.received:
                    await asyncio.sleep(0.005)
            delivered = select(INQUIRIES.c.source).where(INQUIRIES.c.deliver_time > 0)
            async with asyncio.timeout(30):
                while await office.store.read(lambda connection: connection.scalar(delivered)) != "partners/hotline":
                    await asyncio.sleep(0.005)

    run(test, **{**LOOPBACK, "callback_timeout": 0.3})


def test_the_guides_program_takes_an_answer(run: Run, tmp_path: Path) -> None:
    receiver, port = program("integrate/partner.md", 1, tmp_path), free_port()

    async def test(office: Office) -> None:
        secret = await create(office, callback_url=f"http://127.0.0.1:{port}/")
        command = (sys.executable, str(receiver), str(port))
        environment = {"HUIYIN_PARTNER_SECRET": secret}
        taking = await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        try:
            receipt = (await passed(office, message(secret))).receipt
            case = await office.take(await case_of(office), *ORDER)
            assert taking.stdout is not None
            async with asyncio.timeout(30):
                printed = (await taking.stdout.readline()).decode()
            await office.sent()
        finally:
            taking.kill()
            await taking.wait()
        (answer,) = (await office.lookup(receipt)).answers
        assert printed == f"A-1 {answer.text}\n"
        assert (await inquiry_of(office, case)).HasField("deliver_time")

    run(test, **LOOPBACK)


def test_an_address_that_may_not_be_posted_to_is_refused(run: Run) -> None:
    async def test(office: Office) -> None:
        asked = partner_pb2.Partner(display_name="市民热线", callback_url="http://partner.example/answers")
        error = await office.refusal(
            "CreatePartner", partner_pb2.CreatePartnerRequest(partner_id="hotline", partner=asked)
        )
        assert (error.reason, error.violations[0].field) == ("CALLBACK_REFUSED", "partner.callback_url")
        await create(office, callback_url="https://partner.example/answers")
        asked.name, asked.callback_url = "partners/hotline", "https://127.0.0.1/answers"
        error = await office.refusal("UpdatePartner", partner_pb2.UpdatePartnerRequest(partner=asked))
        assert (error.reason, error.violations[0].field) == ("CALLBACK_REFUSED", "partner.callback_url")

    run(test)


def test_a_name_that_leads_to_this_machine_is_not_called(run: Run) -> None:
    async def test(office: Office) -> None:
        async with listening() as partner:
            port = partner.url.rpartition(":")[2].partition("/")[0]
            asked = {"callback_url": f"http://2130706433:{port}/answers"}
            await passed(office, message(await create(office, **asked)))
            await office.take(await case_of(office), *ORDER)
            await office.sent()
            assert partner.received == []
            assert len(await office.tasks()) == 1

    run(test, **{**LOOPBACK, "allow_private_receivers": False, "callback_hours": 0})
