"""Reading and joining alone: how well events are found, and how fast, against `jieba.cut` over the same texts.

F1: for each labelled event the best F1 among the events found, averaged.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from pathlib import Path

import jieba
from huiyin_analyzer.model.joining import Joiner
from huiyin_analyzer.model.text import Reader

from bench import texts


def main() -> None:
    """Prints one JSON line last."""
    found = texts.find()
    labelled = _labelled(found)
    reader, joiner = Reader(), Joiner()
    groups: dict[str, set[str]] = defaultdict(set)
    started = time.perf_counter()
    for identity, (subject, detail) in zip(found.ids, found.rows, strict=True):
        reading = reader.read(subject, detail)
        groups[joiner.join(reading.terms, identity, reading.place).event].add(identity)
    posts_per_s = len(found.rows) / (time.perf_counter() - started)
    jieba.setLogLevel("ERROR")
    jieba.initialize()
    started = time.perf_counter()
    for subject, detail in found.rows:
        list(jieba.cut(subject + detail))
    jieba_per_s = len(found.rows) / (time.perf_counter() - started)
    scores = {name: max(_f1(group, members) for group in groups.values()) for name, members in labelled.items()}
    titles = {identity: subject for identity, (subject, _) in zip(found.ids, found.rows, strict=True)}
    for event, members in sorted(groups.items(), key=lambda item: -len(item[1]))[:20]:
        print(len(members), titles[event].strip())
    result = {
        "posts": len(found.rows),
        "events": len(groups),
        "f1": round(sum(scores.values()) / len(scores), 3),
        "f1_by_event": {name: round(score, 2) for name, score in scores.items()},
        "posts_per_s": round(posts_per_s, 1),
        "jieba_cut_per_s": round(jieba_per_s, 1),
        "ratio": round(posts_per_s / jieba_per_s, 2),
        "texts": found.origin,
    }
    print(json.dumps(result, ensure_ascii=False))


def _labelled(found: texts.Texts) -> dict[str, set[str]]:
    name = "matters.json" if found.origin.startswith("samples") else "events-dev.json"
    folder = texts.SAMPLES if name == "matters.json" else Path(os.environ.get("EVAL_DATA") or texts.REAL)
    content = json.loads((folder / name).read_text("utf-8"))
    # Repeated samples have the number of their copy behind a hyphen.
    return {
        title: {identity for identity in found.ids if identity.partition("-")[0] in set(map(str, members))}
        for title, members in content.items()
    }


def _f1(found: set[str], labelled: set[str]) -> float:
    both = len(found & labelled)
    return 2 * both / (len(found) + len(labelled)) if both else 0.0


if __name__ == "__main__":
    main()
