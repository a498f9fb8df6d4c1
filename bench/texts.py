"""The texts that benches work on: real messages where a folder of them is at hand, otherwise the sample town's."""

from __future__ import annotations

import csv
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from huiyin_collector.model.times import HOME_ZONE, load_zone, read_time
from python_calamine import CalamineWorkbook

_ROOT = Path(__file__).parents[1]
SAMPLES = _ROOT / "samples"
REAL = _ROOT.parent / "shared" / "data"
_LEAST = 4000


@dataclass(frozen=True)
class Texts:
    """A file to import, and what is in it: the id of each row, its subject and its detail, and when it was published.

    Times are microseconds since the epoch; 0 where none is told.
    """

    file: Path
    ids: list[str]
    rows: list[tuple[str, str]]
    times: list[int]
    origin: str


def find() -> Texts:
    """messages.xlsx of the folder EVAL_DATA (default: ../shared/data), else the samples, repeated to 4,000 rows."""
    folder = Path(os.environ.get("EVAL_DATA") or REAL)
    workbook = folder / "messages.xlsx"
    if workbook.is_file():
        header, *rows = CalamineWorkbook.from_path(str(workbook)).get_sheet_by_index(0).to_python()
        columns = ("留言编号", "留言主题", "留言详情", "留言时间")
        identity, subject, detail, published = (header.index(name) for name in columns)
        ids = [str(row[identity]).removesuffix(".0") for row in rows]
        texts = [(str(row[subject]), str(row[detail])) for row in rows]
        return Texts(workbook, ids, texts, [_time(row[published]) for row in rows], workbook.name)
    return _repeated_samples()


def _repeated_samples() -> Texts:
    with (SAMPLES / "messages.csv").open(encoding="utf-8", newline="") as file:
        samples = list(csv.DictReader(file))
    rows = []
    for copy in range(-(-_LEAST // len(samples))):
        rows += [{**row, "编号": f"{row['编号']}-{copy}"} for row in samples]
    target = Path(tempfile.mkdtemp(prefix="huiyin-bench-")) / "samples.csv"
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, samples[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    ids = [row["编号"] for row in rows]
    texts = [(row["主题"], row["内容"]) for row in rows]
    return Texts(target, ids, texts, [_time(row["时间"]) for row in rows], "samples, repeated")


def _time(value: object) -> int:
    moment = read_time(value, load_zone(HOME_ZONE))
    return int(moment.timestamp() * 1_000_000) if moment else 0
