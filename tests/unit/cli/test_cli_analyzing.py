"""`huiyin analyze`: rows in order, their own columns kept, and what was read beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from huiyin_cli import analyzing
from huiyin_cli.analyzing import ADDED, Outcome, analyze, values
from huiyin_cli.client import Access, Gateway, Problem
from openpyxl import Workbook
from rich.console import Console

SHANGHAI = ZoneInfo("Asia/Shanghai")
READING: dict[str, Any] = {
    "places": ["places/云溪市.东湖区", "places/云溪市.西岭区"],
    "times": [
        {"text": "昨天晚上", "startTime": "2026-03-09T10:00:00Z", "endTime": "2026-03-09T16:00:00Z"},
        {"text": "每天早上6点", "recurring": True},
    ],
    "intent": "INTENT_COMPLAINT",
    "harms": [{"harm": "HARM_LIFE"}, {"harm": "HARM_PROPERTY"}],
    "urgency": "URGENCY_URGENT",
    "topic": {
        "topic": "topics/环境保护.噪声污染",
        "label": "环境保护",
        "levels": ["环境保护", "噪声污染"],
        "confidence": 0.87654,
    },
}


class Asked:
    """A gateway that reads nothing of a text but its length, and remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.gateway = Gateway(Access("http://gateway", "key"))
        self.gateway.http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/texts:analyze"
        body = json.loads(request.content)
        self.requests.append(body)
        readings = [{"topic": {"label": f"{len(text['text'])}", "levels": ["x"]}} for text in body["texts"]]
        return httpx.Response(200, json={"readings": readings})

    @property
    def texts(self) -> list[dict[str, str]]:
        return [text for request in self.requests for text in request["texts"]]


def run(asked: Asked, source: Path, target: Path, *, subject: str = "", time: str = "") -> Outcome:
    return analyze(
        asked.gateway,
        source,
        target,
        text="内容",
        subject=subject,
        time=time,
        zone=SHANGHAI,
        console=Console(file=io.StringIO()),
    )


def written(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def csv_file(path: Path, *rows: Sequence[str], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def test_what_is_read_becomes_columns() -> None:
    assert dict(zip(ADDED, values(READING, SHANGHAI), strict=True)) == {
        "topic_1": "环境保护",
        "topic_2": "噪声污染",
        "topic_3": "",
        "confidence": 0.8765,
        "places": ["云溪市.东湖区", "云溪市.西岭区"],
        "intent": "complaint",
        "harm": ["life", "property"],
        "urgency": "urgent",
        "times": ["2026-03-09T18:00+08:00/2026-03-10T00:00+08:00", "每天早上6点"],
    }


def test_of_nothing_nothing_is_told() -> None:
    assert values({}, SHANGHAI) == ["", "", "", "", [], "", ["none"], "", []]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_rows_stay_in_order_with_their_own_columns(tmp_path: Path, encoding: str) -> None:
    rows = [("编号", "标题", "内容"), ("1", "甲", "路灯，\n坏了"), ("2", "", ""), ("", "", ""), ("3", "丙", '说"修"')]
    source = csv_file(tmp_path / "in.csv", *rows, encoding=encoding)
    asked = Asked()
    done = run(asked, source, tmp_path / "out.csv", subject="标题")
    assert done == Outcome(4, {}, 0)
    found = written(tmp_path / "out.csv")
    assert list(found[0]) == ["编号", "标题", "内容", *ADDED]
    assert [(row["编号"], row["内容"], row["topic_1"]) for row in found] == [
        ("1", "路灯，\n坏了", "6"),
        ("2", "", "0"),
        ("", "", "0"),
        ("3", '说"修"', "4"),
    ]
    assert [text["subject"] for text in asked.texts] == ["甲", "", "", "丙"]


def test_a_workbook_becomes_json_lines_with_its_values(tmp_path: Path) -> None:
    book = Workbook()
    for row in (("编号", "内容", "时间"), (1, "停水", datetime(2026, 3, 1, 8)), (2.5, None, "2026/3/2")):
        book.worksheets[0].append(row)
    book.save(tmp_path / "in.xlsx")
    asked = Asked()
    done = run(asked, tmp_path / "in.xlsx", tmp_path / "out.jsonl", time="时间")
    assert done.unread_times == 0
    first, second = (json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines())
    assert first["编号"] == 1 and first["时间"] == "2026-03-01T08:00:00" and first["harm"] == ["none"]
    assert second["编号"] == 2.5 and not second["内容"]
    assert [text["publishTime"] for text in asked.texts] == ["2026-03-01T08:00:00+08:00", "2026-03-02T00:00:00+08:00"]


def test_a_name_that_the_file_has_stays_the_files(tmp_path: Path) -> None:
    source = csv_file(tmp_path / "in.csv", ("内容", "topic_1", "harm"), ("停水", "我的", "x"))
    done = run(Asked(), source, tmp_path / "out.csv")
    assert done.renamed == {"topic_1": "huiyin_topic_1", "harm": "huiyin_harm"}
    (row,) = written(tmp_path / "out.csv")
    assert (row["topic_1"], row["huiyin_topic_1"], row["harm"], row["huiyin_harm"]) == ("我的", "2", "x", "none")


def test_texts_are_sent_in_batches_no_longer_than_accepted_and_without_what_no_text_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyzing, "_BATCH_CHARACTERS", 50_000)
    lines = [{"内容": "长" * 30_000}] * 4 + [{"内容": "坏\ud800\x00了"}] + [{"内容": "短"}] * 600
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(json.dumps(line) for line in lines), "utf-8")
    asked = Asked()
    assert run(asked, source, tmp_path / "out.csv").rows == 605
    assert max(len(text["text"]) for text in asked.texts) == 20_000 and asked.texts[4]["text"] == "坏  了"
    assert [len(request["texts"]) for request in asked.requests] == [3, 500, 102]
    assert [row["topic_1"] for row in written(tmp_path / "out.csv")] == ["20000"] * 4 + ["4"] + ["1"] * 600


def test_times_that_cannot_be_read_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = [("内容", "时间"), ("停水", "昨天"), ("停水", ""), ("停水", "2026-03-01T08:00:00Z"), ("停水", "2026-02-30")]
    source = csv_file(tmp_path / "in.csv", *rows)
    asked = Asked()
    assert run(asked, source, tmp_path / "out.csv", time="时间").unread_times == 2
    times = [text.get("publishTime") for text in asked.texts]
    assert [time and datetime.fromisoformat(time) for time in times] == [
        None,
        None,
        datetime(2026, 3, 1, 8, tzinfo=UTC),
        None,
    ]


def refused(tmp_path: Path, prepare: Callable[[Path], tuple[Path, Path]]) -> str:
    source, target = prepare(tmp_path)
    with pytest.raises(Problem) as problem:
        run(Asked(), source, target)
    assert not list(tmp_path.glob(".*")) and (target == source or not target.exists())
    return str(problem.value)


def test_what_cannot_be_done_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    good = csv_file(tmp_path / "good.csv", ("内容",), ("停水",))
    other = csv_file(tmp_path / "other.csv", ("正文", "标题"), ("停水", ""))
    wide = csv_file(tmp_path / "wide.csv", ("内容",), ("停水",), ("停水", "又"))
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"内容": "停水"}\nno json\n', "utf-8")
    assert "is the file that is read" in refused(tmp_path, lambda folder: (good, good))
    assert "must end in .csv or .jsonl" in refused(tmp_path, lambda folder: (good, folder / "out.xlsx"))
    assert "it has: 正文, 标题" in refused(tmp_path, lambda folder: (other, folder / "out.csv"))
    assert "row 3: has more cells" in refused(tmp_path, lambda folder: (wide, folder / "out.csv"))
    assert "row 2: no JSON object" in refused(tmp_path, lambda folder: (lines, folder / "out.csv"))
    assert "is not a file" in refused(tmp_path, lambda folder: (folder / "none.csv", folder / "out.csv"))
    assert "cannot be written" in refused(tmp_path, lambda folder: (good, folder / "none" / "out.csv"))
