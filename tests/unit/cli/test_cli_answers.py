"""`huiyin answers`: a file of questions with their answers, without who asked; what was found, with its source."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from huiyin_cli import answers
from huiyin_cli.answers import Columns, import_answers, lines_of, similar
from huiyin_cli.client import Access, Gateway, Problem

SHANGHAI = ZoneInfo("Asia/Shanghai")
COLUMNS = Columns("答复", "主题", "内容", "", "编号", "时间", "用户")
HEADER = ("编号", "用户", "主题", "内容", "答复", "时间")
LAMPS = ("17", "山里人", "路灯", "路灯坏了，山里人留", "网友山里人您好！已修好。", "2026/3/1 9:00")
UNANSWERED = ("18", "x", "水", "停水了", "", "")


class Asked:
    """A gateway that takes every answer as new, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.gateway = Gateway(Access("http://gateway", "key"))
        self.gateway.http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(body)
        return httpx.Response(200, json={"created": len(body.get("answers", ()))})


def _file(folder: Path, *rows: Sequence[str]) -> Path:
    path = folder / "answers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def test_the_author_is_left_out_before_anything_is_sent(tmp_path: Path) -> None:
    asked = Asked()
    counts = import_answers(asked.gateway, _file(tmp_path, LAMPS, UNANSWERED), "旧系统", COLUMNS, SHANGHAI)
    assert counts == {"read": 2, "created": 1, "updated": 0, "unchanged": 0, "empty": 1}
    assert asked.requests == [
        {
            "source": "旧系统",
            "answers": [
                {
                    "subject": "路灯",
                    "question": "路灯坏了，网友留",
                    "text": "网友网友您好！已修好。",
                    "externalId": "17",
                    "publishTime": "2026-03-01T09:00:00+08:00",
                }
            ],
        }
    ]


def test_batches_are_as_large_as_one_call_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_BATCH_ROWS", 2)
    rows = [(str(number), "", "", "停水", "已恢复", "") for number in range(5)]
    asked = Asked()
    import_answers(asked.gateway, _file(tmp_path, *rows), "x", COLUMNS, SHANGHAI)
    assert [len(request["answers"]) for request in asked.requests] == [2, 2, 1]
    monkeypatch.setattr(answers, "_BATCH_CHARACTERS", 10)
    asked = Asked()
    import_answers(asked.gateway, _file(tmp_path, *rows), "x", COLUMNS, SHANGHAI)
    assert [len(request["answers"]) for request in asked.requests] == [1] * 5


def test_a_column_that_is_not_there_is_told_with_its_option(tmp_path: Path) -> None:
    columns = Columns("回复", "", "", "", "", "", "")
    with pytest.raises(Problem, match=r"--answer: .*回复.*答复"):
        import_answers(Asked().gateway, _file(tmp_path, LAMPS), "x", columns, SHANGHAI)


def test_either_a_case_or_a_text_is_asked() -> None:
    asked = Asked()
    similar(asked.gateway, "", "路灯何时修", 3)
    assert asked.requests == [{"text": "路灯何时修", "limit": 3}]
    for case, text in (("", ""), ("cases/1", "x")):
        with pytest.raises(Problem, match="either"):
            similar(asked.gateway, case, text, 3)


def test_what_was_found_is_shown_with_its_source() -> None:
    answer = {"name": "answers/1", "subject": "路灯", "text": "已修好。", "source": "旧系统", "externalId": "17"}
    hit = {"answer": answer, "share": 0.5}
    assert list(lines_of({"hits": [hit], "searched": 2, "total": 2})) == [
        "50%  路灯  旧系统 17",
        "     已修好。",
        "     answers/1",
    ]
    assert "being built" in next(lines_of({"hits": [hit], "searched": 1, "total": 2}))
    assert list(lines_of({"total": 3, "searched": 3})) == ["Among 3 past answers none resembles this."]
