"""Files as the commands send and save them."""

from __future__ import annotations

import base64
from pathlib import Path

import httpx
import pytest
from huiyin_cli.attaching import attachment_lines, file_of, save
from huiyin_cli.client import Access, Gateway, Problem


def test_a_file_is_sent_with_its_name_its_type_and_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "井盖.JPG"
    path.write_bytes(b"\xff\xd8\xff")
    sent = file_of(path)
    assert (sent["fileName"], sent["contentType"]) == ("井盖.JPG", "image/jpeg")
    assert base64.b64decode(sent["data"]) == b"\xff\xd8\xff"


@pytest.mark.parametrize(("name", "told"), [("a.docx", "is not taken"), ("none.png", "cannot be read")])
def test_what_cannot_be_sent_is_told_before_anything_is(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(Problem, match=told):
        file_of(tmp_path / name)


def test_a_file_is_saved_under_its_last_name_and_over_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert save(b"1", "../说明.pdf", None) == Path("说明.pdf")
    with pytest.raises(Problem, match="is there already"):
        save(b"2", "说明.pdf", None)
    assert (tmp_path / "说明.pdf").read_bytes() == b"1"


def test_a_file_is_read_with_the_name_that_stands_beside_it() -> None:
    gateway = Gateway(Access("http://gateway", ""))
    headers = {"content-disposition": "attachment; filename*=UTF-8''%E8%AF%B4%20%E6%98%8E.pdf"}
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=b"%PDF-", headers=headers))
    gateway.http = httpx.Client(base_url="http://gateway", transport=transport)
    assert gateway.file("GET", "/v1/cases/1/attachments/2:download") == (b"%PDF-", "说 明.pdf")


def test_a_line_tells_who_looked_over_what_goes_with_an_answer() -> None:
    own = {"id": "a", "fileName": "井盖.jpg", "size": "120"}
    enclosed = {"name": "cases/c/attachments/b", "fileName": "表.pdf", "size": "2500000", "reply": "cases/c/replies/r"}
    assert list(attachment_lines([own, enclosed | {"personalDataCount": 2}])) == [
        "a  井盖.jpg  0.1 KB",
        "cases/c/attachments/b  表.pdf  2.5 MB  2 numbers or addresses of people found  not looked over",
    ]
