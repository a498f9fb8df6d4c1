"""How well past answers are found, and how often each check of replies fires on them.

A question's title alone is asked, its detail and its answer are indexed. Keys: recall_1, the own answer comes first;
recall_10, it is among the first ten. `folds` has recall_1 of five parts of the questions, to tell how far chance goes;
`baseline` the same two figures for tf-idf of characters and pairs of characters with cosine similarity.

`checks` has for each check the share of answers that it tells of; `unanswered` the share of points that are told as
unanswered: of the answer that the message got, of those answers that are longer than 150 characters, and of the answer
to another message. SHOW=empty_phrase prints what a check told of, beside the line. EVAL_DATA= names a folder with
replies.csv.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import huiyin_casework
from huiyin_casework.model.checks import Checks, Draft, Finding, Place, parse_checks
from huiyin_casework.model.points import Asked, points, unanswered
from huiyin_casework.model.similar import AnswerIndex
from huiyin_casework.personal import personal_spans
from sklearn.feature_extraction.text import TfidfVectorizer

from bench import texts

_FOLDS = 5
_FIRST = 10
_LONG = 150
_MOST = 1_000
_POLICY = Path(huiyin_casework.__file__).parent / "data" / "replies.yaml"


@dataclass(frozen=True)
class Replied:
    """A message and the answer it got."""

    title: str
    detail: str
    answer: str


def find() -> list[Replied]:
    """The rows of replies.csv in the folder EVAL_DATA (default: ../shared/data); none where there is no such file."""
    file = Path(os.environ.get("EVAL_DATA") or texts.REAL) / "replies.csv"
    if not file.is_file():
        return []
    with file.open(encoding="utf-8-sig", newline="") as opened:
        return [Replied(row["留言主题"], row["留言详情"], row["答复意见"]) for row in csv.DictReader(opened)]


def main() -> None:
    """Prints one JSON line last."""
    rows = find()
    if not rows:
        print("There are no answered messages (replies.csv in the folder that EVAL_DATA names); nothing is measured.")
        print(json.dumps({"skipped": "no replies.csv"}))
        return
    index = AnswerIndex()
    started = time.perf_counter()
    index.add((number, row.detail, row.answer) for number, row in enumerate(rows))
    built = time.perf_counter()
    ranks = [_rank(index, row.title, number) for number, row in enumerate(rows)]
    searched = time.perf_counter()
    folds = [ranks[fold::_FOLDS] for fold in range(_FOLDS)]
    result = {
        "answers": len(rows),
        "recall_1": round(_share(ranks, 1), 4),
        "recall_10": round(_share(ranks, _FIRST), 4),
        "baseline": [round(share, 4) for share in _baseline(rows)],
        "folds": [round(_share(fold, 1), 4) for fold in folds],
        "index_us": round((built - started) / len(rows) * 1e6),
        "search_us": round((searched - built) / len(rows) * 1e6),
        "checks": _checks(rows),
        "unanswered": _unanswered(rows),
    }
    print(json.dumps(result, ensure_ascii=False))


def _rank(index: AnswerIndex, title: str, number: int) -> int:
    """From 1; beyond what is looked at where it is not among the first ten."""
    found = [match.number for match in index.search(title, _FIRST)]
    return found.index(number) + 1 if number in found else _FIRST + 1


def _share(ranks: list[int], within: int) -> float:
    return sum(rank <= within for rank in ranks) / len(ranks)


def _baseline(rows: list[Replied]) -> tuple[float, float]:
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 2))
    indexed = vectorizer.fit_transform([f"{row.detail}\n{row.answer}" for row in rows])
    likeness = (vectorizer.transform([row.title for row in rows]) @ indexed.T).toarray()
    ranks = [int((line > line[number]).sum()) + 1 for number, line in enumerate(likeness)]
    return _share(ranks, 1), _share(ranks, _FIRST)


def _checks(rows: list[Replied]) -> dict[str, float]:
    checks = Checks(parse_checks(_POLICY.read_text("utf-8")))
    told: Counter[str] = Counter()
    shown = os.environ.get("SHOW", "")
    for row in rows:
        found = checks.check(Draft(row.answer, {}), [_asked(row)], {"": personal_spans(row.answer)})
        told.update({finding.kind.value for finding in found})
        for finding in found:
            if finding.kind == shown:
                print(_shown(row, finding), file=sys.stderr)
    return {kind: round(count / len(rows), 4) for kind, count in sorted(told.items())}


def _shown(row: Replied, finding: Finding) -> str:
    text = row.detail if finding.place == Place.INQUIRY else row.answer
    return f"…{text[max(0, finding.start - 40) : finding.start]}【{text[finding.start : finding.end]}】".replace(
        "\n", " "
    )


def _unanswered(rows: list[Replied]) -> dict[str, float]:
    asked = [_asked(row) for row in rows]
    counts = [len(points(each)) for each in asked]
    own = [len(unanswered([each], [row.answer], _MOST)) for each, row in zip(asked, rows, strict=True)]
    turned = [*rows[len(rows) // 2 :], *rows[: len(rows) // 2]]
    other = [len(unanswered([each], [row.answer], _MOST)) for each, row in zip(asked, turned, strict=True)]
    long = [at for at, row in enumerate(rows) if len(row.answer) > _LONG]
    return {
        "own": round(sum(own) / sum(counts), 4),
        "own_long": round(sum(own[at] for at in long) / sum(counts[at] for at in long), 4),
        "other": round(sum(other) / sum(counts), 4),
    }


def _asked(row: Replied) -> Asked:
    return Asked("", row.title, row.detail)


if __name__ == "__main__":
    main()
