"""The list of running cases as the command reads it and sends it, row by row."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from huiyin_cli.client import Access, Gateway, Problem
from huiyin_cli.moving import import_cases, lines_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
HEADER = ("工单编号", "标题", "诉求内容", "留言人", "受理时间", "办结期限", "办理状态", "主办单位")
LAMPS = ("G1", "路灯", "路灯不亮，王小明留", "王小明", "2026-03-02 09:30", "2026/3/9", "办理中", "水务局")


class Asked:
    """A gateway that takes every row but those without a lead unit."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.gateway = Gateway(Access("http://gateway", "key"))
        self.gateway.http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(body)
        fault = {"kind": "KIND_REFUSED", "field": "lead_unit", "reason": "REQUIRED", "description": "is missing"}
        outcomes = [
            {"row": row["row"], **({"kind": "KIND_CREATED"} if row["leadUnit"] else fault)} for row in body["rows"]
        ]
        return httpx.Response(200, json={"outcomes": outcomes})


def _file(folder: Path, *rows: Sequence[str], header: Sequence[str] = HEADER) -> Path:
    path = folder / "台账.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def _import(asked: Asked, path: Path, *columns: str, validate_only: bool = False) -> Any:
    return import_cases(asked.gateway, path, "台账", columns, SHANGHAI, validate_only=validate_only)


def test_columns_are_known_by_what_they_are_usually_called_and_the_author_is_left_out(tmp_path: Path) -> None:
    asked = Asked()
    result = _import(asked, _file(tmp_path, LAMPS), validate_only=True)
    assert asked.requests == [
        {
            "source": "台账",
            "fileName": "台账.csv",
            "validateOnly": True,
            "rows": [
                {
                    "row": 2,
                    "externalId": "G1",
                    "subject": "路灯",
                    "text": "路灯不亮，网友留",
                    "receiveTime": "2026-03-02T09:30:00+08:00",
                    "deadline": "2026-03-09T00:00:00+08:00",
                    "state": "STATE_ACCEPTED",
                    "leadUnit": "水务局",
                }
            ],
        }
    ]
    assert (result["created"], result["refused"]) == (1, [])
    assert result["columns"]["leadUnit"] == "主办单位"


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [("受理时间", "上周", "TIME_INVALID"), ("办理状态", "随缘", "STATE_UNKNOWN"), ("标题", "长" * 201, "TOO_LONG")],
)
def test_a_cell_that_cannot_be_read_refuses_its_row_and_no_other(
    tmp_path: Path, column: str, cell: str, reason: str
) -> None:
    asked = Asked()
    wrong = [cell if name == column else value for name, value in zip(HEADER, LAMPS, strict=True)]
    result = _import(asked, _file(tmp_path, LAMPS, wrong))
    assert [(each["row"], each["column"], each["reason"]) for each in result["refused"]] == [(3, column, reason)]
    assert [row["row"] for row in asked.requests[0]["rows"]] == [2]


def test_a_row_that_the_service_refuses_is_told_by_the_files_own_name_of_the_column(tmp_path: Path) -> None:
    result = _import(Asked(), _file(tmp_path, (*LAMPS[:-1], ""), ("",) * len(HEADER), LAMPS))
    assert [line for line in lines_of(result, validate_only=False) if line.startswith("row")] == [
        "row 2, 主办单位: is missing [REQUIRED]"
    ]
    assert result["created"] == 1


def test_a_file_whose_columns_are_called_otherwise_says_which_is_which(tmp_path: Path) -> None:
    path = _file(tmp_path, LAMPS, header=("流水", *HEADER[1:]))
    with pytest.raises(Problem, match="externalId"):
        _import(Asked(), path)
    assert _import(Asked(), path, "externalId=流水")["created"] == 1
    with pytest.raises(Problem, match="field=column"):
        _import(Asked(), path, "author")
