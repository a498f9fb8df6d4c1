"""Who wrote, and numbers that identify people, are found in no byte that a run leaves behind, by whatever way in."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
from huiyin_chassis.webhooks import signature
from huiyin_local.layout import Layout

from tests.e2e.conftest import Start, System
from tests.e2e.outcome import Reader

AUTHOR = "南山渔翁甲乙丙"
MOBILE = "13912345678"
IDENTITY_CARD = "11010519491231002X"
BANK_CARD = "6222020200112230336"
MAIL = "nanshan.yuweng@example.org"
CONTACT = "微信 nanshan-8848"
SPOKEN = f"请联系{MOBILE}，身份证{IDENTITY_CARD}，卡号{BANK_CARD}，邮箱{MAIL}。"


def write_file(path: Path) -> None:
    """A file of fifty messages, and one that cannot be read."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("编号", "网友", "主题", "时间", "内容"))
        for number in range(50):
            text = f"第{number}号井盖坏了，{SPOKEN}"
            writer.writerow((number, AUTHOR, f"井盖 {MOBILE}", f"2026/3/5 9:{number:02}:00", text))
        writer.writerow((51, AUTHOR, MOBILE, f"昨天 {MOBILE}", f"{AUTHOR}：{SPOKEN}"))


@contextmanager
def feed() -> Iterator[str]:
    """The address of a feed of one item."""
    item = (
        f"<title>公园长椅断了 {MOBILE}</title><author>{AUTHOR}</author><guid>1</guid>"
        f"<link>https://town.example/1</link><description>{SPOKEN}</description>"
    )
    body = f'<?xml version="1.0"?><rss version="2.0"><channel><item>{item}</item></channel></rss>'.encode()

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path == "/feed"
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/rss+xml")
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Site)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/feed"
    finally:
        server.shutdown()
        server.server_close()


def deliver(system: System) -> None:
    """A post that another body's system delivers, signed."""
    secret = system.huiyin("sources", "add-inbox", "daily").split()[1]
    post = {"externalId": "1", "author": AUTHOR, "subject": MAIL, "text": f"河堤塌了一角，{SPOKEN}"}
    body, now = json.dumps({"posts": [post]}).encode(), int(time.time())
    headers = {
        "content-type": "application/json",
        "webhook-id": "m1",
        "webhook-timestamp": f"{now}",
        "webhook-signature": signature(secret, "m1", now, body),
    }
    answer = httpx.post(f"{system.layout.address}/v1/sources/daily/posts:deliver", content=body, headers=headers)
    assert answer.json()["created"] == 1, answer.text


def test_planted_authors_and_numbers_are_found_in_no_file(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = Layout.environment

    def with_loopback(layout: Layout, process: str, database_url: str) -> dict[str, str]:
        given = environment(layout, process, database_url)
        return {**given, "HUIYIN_ALLOW_PRIVATE_SOURCES": "true"} if process == "collector" else given

    monkeypatch.setattr(Layout, "environment", with_loopback)
    source, report = tmp_path / "planted.csv", tmp_path / "refused.csv"
    write_file(source)
    with feed() as address, start("sqlite") as system:
        system.huiyin("import", str(source), "--report", str(report))
        system.huiyin("sources", "add", "news", address, "--expects-answer")
        deliver(system)
        system.huiyin("inquire", f"路灯不亮，我的电话是{MOBILE}。", "--contact", CONTACT)
        system.settle(53, unasked=1)
        told = str(list(Reader(system.layout).all("/v1/inquiries", "inquiries")))
        told += str(list(Reader(system.layout).all("/v1/posts", "posts")))
        assert all(word in told for word in ("井盖", "公园长椅", "河堤"))
        told += report.read_text("utf-8-sig")
        assert "52,publish_time" in told
        layout = system.layout
    planted = [AUTHOR, MOBILE, IDENTITY_CARD, BANK_CARD, MAIL, CONTACT]
    needles = [value.encode(coding) for value in planted for coding in ("utf-8", "utf-16-le", "gb18030")]
    needles += [f"{value!a}".strip("'").encode() for value in (AUTHOR, CONTACT)]
    files = [path for path in layout.var.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        for needle in needles:
            assert needle not in content, f"{needle!r} stands in {path.name}"
    for planted_value in (AUTHOR, MOBILE, IDENTITY_CARD, BANK_CARD, MAIL):
        assert planted_value not in told
