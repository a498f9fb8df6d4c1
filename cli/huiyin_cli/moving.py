"""`huiyin cases import`: the list of running cases that an office brings along, row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from pathlib import Path
from typing import Final

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.tables import find, heading, moment, open_file, plain, rows_of
from huiyin_cli.uploading import check_table

NAMES: Final = {
    "externalId": "工单编号 诉求编号 留言编号 信件编号 办件编号 编号 id external_id",
    "subject": "诉求标题 留言主题 留言标题 信件标题 主题 标题 subject title",
    "text": "诉求内容 留言详情 留言内容 信件内容 内容 详情 正文 text content",
    "contact": "联系方式 联系电话 手机 电话 contact phone",
    "author": "诉求人 留言人 留言用户 来信人 姓名 author name",
    "receiveTime": "受理时间 收到时间 接收时间 登记时间 留言时间 来信时间 receive_time received",
    "deadline": "办结期限 答复期限 承诺时限 办理时限 截止时间 期限 deadline due",
    "state": "办理状态 状态 进度 state status",
    "leadUnit": "主办单位 承办单位 牵头单位 责任单位 办理单位 lead_unit unit",
    "topic": "诉求分类 分类 类别 topic category",
    "place": "所属区域 地点 区域 属地 place area",
    "urgent": "是否紧急 紧急程度 紧急 urgent",
    "replyText": "答复内容 答复意见 回复内容 办理结果 答复 reply reply_text",
    "answerTime": "答复时间 回复时间 办结时间 answer_time answered",
}
"""What the columns of such lists are usually called, in order of preference."""

_STATES: Final = {
    "STATE_REGISTERED": "已登记 已受理 待交办 待派单 待转办 新收 registered",
    "STATE_ASSIGNED": "已交办 已派单 已转办 待签收 待接收 assigned",
    "STATE_ACCEPTED": "已签收 已接收 办理中 在办 处理中 核查中 accepted",
    "STATE_ANSWERED": "已答复 已回复 已办结 办结 已完成 answered closed",
}
_STATE_OF: Final = {word: state for state, words in _STATES.items() for word in words.split()}
_YES: Final = frozenset({"是", "紧急", "特急", "加急", "1", "true", "yes", "y"})
_LONGEST: Final = {
    "externalId": 200,
    "subject": 200,
    "text": 10_000,
    "contact": 200,
    "leadUnit": 200,
    "topic": 300,
    "place": 300,
    "replyText": 20_000,
}
_TIMES: Final = ("receiveTime", "deadline", "answerTime")
_SOMEBODY: Final = "网友"
_BATCH_ROWS = 200
_BATCH_CHARACTERS = 300_000
_UNWANTED: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def import_cases(
    gateway: Gateway, path: Path, source: str, overrides: Sequence[str], zone: tzinfo, *, validate_only: bool
) -> Json:
    """Imports a list of running cases; returns which column was read as what, counts, and the rows that were refused.

    Again changes nothing, so an import that broke off is just begun again.
    """
    check_table(path)
    counts = dict.fromkeys(("created", "known", "answers"), 0)
    refused: list[Json] = []
    with path.open("rb") as file:
        table = open_file(file, path)
        header = [heading(cell, index) for index, cell in enumerate(table.header)]
        columns = _columns(header, overrides, path)
        numbered = enumerate(rows_of(table, len(header), path), 2)
        rows = (_row(number, row, columns, header, zone) for number, row in numbered)
        for batch in _batches(row for row in rows if row is not None):
            refused += [row["fault"] for row in batch if "fault" in row]
            taken = [row for row in batch if "fault" not in row]
            if not taken:
                continue
            body: Json = {"source": source, "fileName": path.name, "rows": taken, "validateOnly": validate_only}
            done = patiently(lambda body=body: gateway.post("/v1/cases:import", body))  # type: ignore[misc]
            for outcome in done["outcomes"]:
                kind = outcome["kind"].removeprefix("KIND_")
                if kind == "REFUSED":
                    refused.append(_told(outcome, columns, header))
                else:
                    counts[{"CREATED": "created", "KNOWN": "known", "ANSWER": "answers"}[kind]] += 1
    named = {field: header[index] for field, index in columns.items()}
    return {"columns": named, **counts, "refused": sorted(refused, key=lambda each: int(each["row"]))}


def lines_of(result: Json, *, validate_only: bool) -> Iterator[str]:
    """What became of a list, in lines for a person."""
    yield "read: " + ", ".join(f"{field}={column}" for field, column in result["columns"].items())
    would = "would be " if validate_only else ""
    yield (
        f"{result['created']:,} rows {would}taken in, {result['known']:,} known already, "
        f"{result['answers']:,} {would}kept as answers of the past, {len(result['refused']):,} refused."
    )
    for each in result["refused"]:
        yield f"row {each['row']}, {each['column']}: {each['description']} [{each['reason']}]"


def _columns(header: Sequence[str], overrides: Sequence[str], path: Path) -> dict[str, int]:
    """Where each field stands: by what the caller says ("field=column"), else by what columns are usually called."""
    found: dict[str, int] = {}
    for override in overrides:
        field, _, name = override.partition("=")
        if field not in NAMES or not name:
            raise Problem(f"--column {override}: write field=column; the fields are {', '.join(NAMES)}.")
        found[field] = find(header, name, f"--column {field}", path)
    titles = [title.strip().lower() for title in header]
    for field, names in NAMES.items():
        index = next((titles.index(name) for name in names.split() if name in titles), None)
        if field not in found and index is not None and index not in found.values():
            found[field] = index
    missing = [field for field in ("externalId", "text", "receiveTime") if field not in found]
    if "subject" in found and "text" in missing:
        missing.remove("text")
    if missing:
        raise Problem(
            f"{path.name} has no column known as {', '.join(missing)} among {', '.join(header)}; "
            "say which it is: --column field=column."
        )
    return found


def _row(
    number: int, cells: Sequence[object], columns: dict[str, int], header: Sequence[str], zone: tzinfo
) -> Json | None:
    """A row as the call takes it, or with the fault for which it is not sent; None of one that is empty."""
    texts = {field: _UNWANTED.sub(" ", plain(cells[index])).strip() for field, index in columns.items()}
    if not any(texts.values()):
        return None
    row: Json = {"row": number}

    def fault(field: str, reason: str, description: str) -> Json:
        told = {"row": number, "column": header[columns[field]], "reason": reason, "description": description}
        return {"row": number, "fault": told}

    author = texts.pop("author", "")
    for field, text in texts.items():
        if field in _TIMES:
            time = moment(cells[columns[field]], zone)
            if time is None and text:
                return fault(field, "TIME_INVALID", "is no time that can be read; write it as 2026-03-02 09:30")
            if time is not None:
                row[field] = time.isoformat()
        elif field == "state":
            if text and text.lower() not in _STATE_OF:
                return fault(field, "STATE_UNKNOWN", f"is none of {', '.join(_STATE_OF)}; write one of them")
            row[field] = _STATE_OF.get(text.lower(), "STATE_UNSPECIFIED")
        elif field == "urgent":
            row[field] = text.lower() in _YES
        elif len(text) > _LONGEST[field]:
            return fault(field, "TOO_LONG", f"has {len(text)} characters; {_LONGEST[field]} are taken, shorten it")
        else:
            # Who asked is nobody's business: the name is left out here already, wherever it stands in a text.
            of_text = len(author) > 1 and field in ("subject", "text", "replyText")
            row[field] = text.replace(author, _SOMEBODY) if of_text else text
    return row


def _told(outcome: Json, columns: dict[str, int], header: Sequence[str]) -> Json:
    """A row that the service refused, with the file's own name of the column at fault."""
    field = re.sub(r"_(\w)", lambda match: match[1].upper(), outcome.get("field", ""))
    column = header[columns[field]] if field in columns else field
    return {
        "row": outcome.get("row", 0),
        "column": column,
        "reason": outcome.get("reason", ""),
        "description": outcome.get("description", ""),
    }


def _batches(rows: Iterator[Json]) -> Iterator[list[Json]]:
    """Batches that one call takes: few enough rows, and few enough characters."""
    waiting: list[Json] = []
    characters = 0
    for row in rows:
        size = sum(len(value) for value in row.values() if isinstance(value, str))
        if waiting and (len(waiting) == _BATCH_ROWS or characters + size > _BATCH_CHARACTERS):
            yield waiting
            waiting, characters = [], 0
        waiting.append(row)
        characters += size
    if waiting:
        yield waiting
