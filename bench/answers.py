"""How well past answers are found: a question's title alone is asked, its detail and its answer are indexed.

Keys: recall_1, the own answer comes first; recall_10, it is among the first ten. `folds` has recall_1 of five parts of
the questions, to tell how far chance goes. EVAL_DATA= names a folder with replies.csv.
"""

from __future__ import annotations

import csv
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from huiyin_casework.model.similar import AnswerIndex

from bench import texts

_FOLDS = 5
_FIRST = 10


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
        "folds": [round(_share(fold, 1), 4) for fold in folds],
        "index_us": round((built - started) / len(rows) * 1e6),
        "search_us": round((searched - built) / len(rows) * 1e6),
    }
    print(json.dumps(result, ensure_ascii=False))


def _rank(index: AnswerIndex, title: str, number: int) -> int:
    """From 1; beyond what is looked at where it is not among the first ten."""
    found = [match.number for match in index.search(title, _FIRST)]
    return found.index(number) + 1 if number in found else _FIRST + 1


def _share(ranks: list[int], within: int) -> float:
    return sum(rank <= within for rank in ranks) / len(ranks)


if __name__ == "__main__":
    main()
