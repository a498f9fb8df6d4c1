"""`huiyin answers`: answers of the past brought along from a file, and those that resemble a case or a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.tables import find, heading, moment, open_file, plain, rows_of
from huiyin_cli.uploading import check_table

_BATCH_ROWS = 500
_BATCH_CHARACTERS = 300_000
_LONGEST = {"subject": 500, "question": 20_000, "text": 20_000, "unitDisplayName": 100, "externalId": 200}
_SOMEBODY = "网友"
_SHOWN = 200
# Halves of characters, which UTF-8 does not have, and characters that no text holds.
_UNWANTED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a file, "" where it has none. The author's is read to leave the author out."""

    answer: str
    subject: str
    question: str
    unit: str
    identity: str
    time: str
    author: str


def import_answers(gateway: Gateway, path: Path, source: str, columns: Columns, zone: tzinfo) -> Json:
    """Imports a file of questions with their answers; returns the counts read, created, updated, unchanged, empty.

    Rows without an answer are passed over. Again changes nothing, so a broken import is just begun again.
    """
    check_table(path)
    counts = dict.fromkeys(("read", "created", "updated", "unchanged", "empty"), 0)
    with path.open("rb") as file:
        table = open_file(file, path)
        header = [heading(cell, index) for index, cell in enumerate(table.header)]
        found = _positions(header, columns, path)
        rows = (_answer(row, found, zone) for row in rows_of(table, len(header), path))
        for batch in _batches(rows):
            kept = [answer for answer in batch if answer["text"]]
            counts["read"] += len(batch)
            counts["empty"] += len(batch) - len(kept)
            if not kept:
                continue
            body: Json = {"source": source, "answers": kept}
            done = patiently(lambda body=body: gateway.post("/v1/answers:batchCreate", body))  # type: ignore[misc]
            for name in ("created", "updated", "unchanged"):
                counts[name] += int(done.get(name, 0))
    return counts


def similar(gateway: Gateway, case: str, text: str, limit: int) -> Json:
    """Past answers for a case, or for a text."""
    if bool(case) == bool(text):
        raise Problem("Give either a case or --text, and not both.")
    asked: Json = {"case": case} if case else {"text": text}
    return patiently(lambda: gateway.post("/v1/answers:search", {**asked, "limit": limit}))


def lines_of(result: Json) -> Iterator[str]:
    """What was found, in lines for a person."""
    searched, total = int(result.get("searched", 0)), int(result.get("total", 0))
    if searched < total:
        yield f"{searched:,} of {total:,} answers were looked through; the index is being built. Ask again in a moment."
    for hit in result.get("hits", []):
        answer = hit["answer"]
        where = answer.get("reply") or " ".join(filter(None, (answer.get("source"), answer.get("externalId"))))
        office, time = answer.get("unitDisplayName", ""), answer.get("publishTime", "")[:10]
        yield f"{hit.get('share', 0):.0%}  {'  '.join(filter(None, (answer.get('subject'), office, time, where)))}"
        yield f"     {_short(answer.get('text', ''))}"
        yield f"     {answer['name']}"
    if not result.get("hits"):
        yield f"Among {total:,} past answers none resembles this."


def _positions(header: Sequence[str], columns: Columns, path: Path) -> dict[str, int]:
    named = {
        "text": (columns.answer, "--answer"),
        "subject": (columns.subject, "--subject"),
        "question": (columns.question, "--text"),
        "unitDisplayName": (columns.unit, "--unit"),
        "externalId": (columns.identity, "--id"),
        "publishTime": (columns.time, "--time"),
        "author": (columns.author, "--author"),
    }
    return {field: find(header, name, option, path) for field, (name, option) in named.items() if name}


def _answer(row: Sequence[object], positions: dict[str, int], zone: tzinfo) -> Json:
    author = plain(row[positions["author"]]).strip() if "author" in positions else ""
    answer: Json = {}
    for field, longest in _LONGEST.items():
        if field in positions:
            cell = _UNWANTED.sub(" ", plain(row[positions[field]])).strip()
            # Who asked is nobody's business: the name is left out here already, wherever it stands in a text.
            answer[field] = (cell.replace(author, _SOMEBODY) if len(author) > 1 else cell)[:longest]
    if "publishTime" in positions and (published := moment(row[positions["publishTime"]], zone)):
        answer["publishTime"] = published.isoformat()
    return answer


def _batches(answers: Iterator[Json]) -> Iterator[list[Json]]:
    """Batches that one call takes: few enough rows, and few enough characters."""
    waiting: list[Json] = []
    characters = 0
    for answer in answers:
        size = sum(len(value) for value in answer.values())
        if waiting and (len(waiting) == _BATCH_ROWS or characters + size > _BATCH_CHARACTERS):
            yield waiting
            waiting, characters = [], 0
        waiting.append(answer)
        characters += size
    if waiting:
        yield waiting


def _short(text: Any) -> str:
    told = " ".join(str(text).split())
    return told[:_SHOWN] + ("…" if len(told) > _SHOWN else "")
