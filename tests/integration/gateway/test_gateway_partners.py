"""What a partner sends over HTTP arrives as it was signed, and docs/integrate/partner.md does what it says."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from huiyin_chassis.webhooks import signature

from tests.guides import program
from tests.integration.gateway.conftest import Answer, Setting, Start

TEXT = "白鹭桥的栏杆松了，请派人看看。"


async def create(setting: Setting) -> str:
    """A partner; its secret."""
    made = await setting.ask("POST", "/v1/partners?partnerId=hotline", {"displayName": "市民热线"})
    assert made.status == 200, made.body
    return str(made.json["secret"])


async def post(setting: Setting, secret: str, body: bytes, path: str = "/v1/partners/hotline/inquiries") -> Answer:
    sent = int(time.time())
    return await setting.ask(
        "POST",
        path,
        body,
        "",
        webhook_id="msg-1",
        webhook_timestamp=str(sent),
        webhook_signature=signature(secret, "msg-1", sent, body),
    )


async def run(file: Path, *arguments: str, text: str = "", **environment: str) -> tuple[int, str]:
    """Exit code and what was printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        file,
        *arguments,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate(text.encode())
    return process.returncode or 0, out.decode()


def test_the_very_bytes_that_were_signed_arrive_and_headers_are_fields(start: Start) -> None:
    async def main() -> None:
        async with start() as setting:
            secret = await create(setting)
            body = f'{{ "text":"{TEXT}",\r\n\t"external_id" : "7" }}'.encode()
            taken = await post(setting, secret, body)
            assert taken.status == 200, taken.body
            assert (await post(setting, secret, body)).json == taken.json
            found = await setting.ask("POST", "/v1/receipts:lookup", {"receipt": taken.json["receipt"]}, "")
            assert found.json["deadline"] == taken.json["deadline"]

            wrong = await post(setting, secret.replace("whsec_", "whsec_AAAA"), body)
            assert (wrong.status, wrong.json["reason"]) == (401, "SIGNATURE_REFUSED")
            unsigned = await setting.ask("POST", "/v1/partners/hotline/inquiries", body, "")
            fields = {violation["field"] for violation in unsigned.json["violations"]}
            assert (unsigned.status, fields) == (400, {"webhookId", "webhookTimestamp", "webhookSignature"})
            queried = await post(setting, secret, body, "/v1/partners/hotline/inquiries?webhookId=msg-1")
            assert (queried.status, queried.json["reason"]) == (400, "QUERY_INVALID")
            unknown = await post(setting, secret, b'{"externalId": "8", "text": "a", "texts": "b"}')
            assert (unknown.status, unknown.json["violations"][0]["field"]) == (400, "body")

    asyncio.run(main())


def test_the_openapi_document_tells_headers_and_body_of_a_partner(start: Start) -> None:
    async def main() -> None:
        async with start() as setting:
            document = (await setting.ask("GET", "/v1/openapi.json", account="")).json
            operation = document["paths"]["/v1/partners/{partner}/inquiries"]["post"]
            headers = {each["name"]: each["required"] for each in operation["parameters"] if each["in"] == "header"}
            assert headers == dict.fromkeys(("webhook-id", "webhook-timestamp", "webhook-signature"), True)
            assert not [each for each in operation["parameters"] if each["in"] == "query"]
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/casework.PartnerInquiry.Input"}
            assert document["components"]["schemas"]["casework.PartnerInquiry.Input"]["required"] == [
                "externalId",
                "text",
            ]

    asyncio.run(main())


def test_the_guides_program_passes_an_inquiry_on_and_is_told_what_was_wrong(start: Start, tmp_path: Path) -> None:
    passing_on = program("integrate/partner.md", 0, tmp_path)

    async def main() -> None:
        async with start() as setting:
            environment = {
                "HUIYIN_PARTNER": f"http://127.0.0.1:{setting.server.port}/v1/partners/hotline",
                "HUIYIN_PARTNER_SECRET": await create(setting),
            }
            code, printed = await run(passing_on, "2026-11", text=TEXT, **environment)
            assert code == 0, printed
            receipt, deadline = printed.split()
            found = await setting.ask("POST", "/v1/receipts:lookup", {"receipt": receipt}, "")
            assert found.json["deadline"] == deadline
            assert (await run(passing_on, "2026-11", text=TEXT, **environment)) == (0, printed)
            code, printed = await run(passing_on, "2026-12", text=" ", **environment)
            assert (code, printed.strip()) == (1, "400: text: is empty; say what is asked")

    asyncio.run(main())


def test_the_guides_program_delivers_posts_that_expect_no_answer(start: Start, tmp_path: Path) -> None:
    delivering = program("integrate/partner.md", 2, tmp_path)

    async def main() -> None:
        async with start() as setting:
            made = await setting.ask("POST", "/v1/sources?sourceId=daily", {"kind": "KIND_INBOX"})
            assert made.status == 200, made.body
            rotated = await setting.ask("POST", "/v1/sources/daily:rotateSecret", {})
            environment = {
                "HUIYIN_INBOX": f"http://127.0.0.1:{setting.server.port}/v1/sources/daily",
                "HUIYIN_INBOX_SECRET": str(rotated.json["secret"]),
            }
            lines = "\n".join(json.dumps({"externalId": f"{number}", "text": TEXT}) for number in range(2))
            for _ in range(2):
                code, printed = await run(delivering, "m1", text=lines, **environment)
                assert (code, printed) == (0, "2 new, 0 edited\n")
            edited = json.dumps({"externalId": "1", "text": "栏杆修好了。"})
            assert await run(delivering, "m2", text=edited, **environment) == (0, "0 new, 1 edited\n")
            code, printed = await run(delivering, "m3", text='{"externalId": "2"}', **environment)
            assert (code, printed.partition(";")[0]) == (1, "400: posts[0].text: neither subject nor text")

    asyncio.run(main())
