"""The event stage alone, in the order of publication: how well events are found, and how fast.

Posts are read, joined, and what has grown is reviewed and repaired, in the order in which the service does so. For each
labelled event the best F1 among the events found, averaged; beside it the same of an offline clustering of all texts at
once, agglomerative by average linkage of tf-idf, at the threshold that is best for these labels. The speed is that of
one core, tokenisation included, against `jieba.cut` alone over the same texts: the median of ROUNDS= rounds.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

import jieba
import numpy as np
from huiyin_analyzer.model.joining import Joiner
from huiyin_analyzer.model.repair import is_due_for_splitting, split
from huiyin_analyzer.model.terms import Terms
from huiyin_analyzer.model.text import Reader
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.feature_extraction.text import TfidfVectorizer

from bench import texts

_MOST_CLUSTERED = 6000
"""Memory and time of the offline clustering grow with the square."""
_THRESHOLDS = np.arange(0.6, 0.951, 0.01)
_SHOWN = 20


class Stage:
    """Reads, joins and repairs as the service does, without its store."""

    def __init__(self) -> None:
        self.groups: dict[str, list[str]] = {}
        self.merges = self.splits = self.echoes = 0
        self._reader = Reader()
        self._joiner = Joiner()
        self._placed: dict[str, tuple[str, Terms, str, int]] = {}
        self._order: dict[str, int] = {}

    def take(self, identity: str, subject: str, text: str, published: int) -> None:
        """Takes the next post."""
        reading = self._reader.read(subject, text)
        self._placed[identity] = identity, reading.terms, reading.place, published
        self._order[identity] = len(self._order)
        joined = self._joiner.join(reading.terms, identity, reading.place, published)
        self.groups.setdefault(joined.event, []).append(identity)
        self.echoes += bool(joined.echo_of)
        if joined.review:
            self._review(joined.event)

    def _review(self, event: str) -> None:
        for other in self._joiner.neighbours(event):
            first, second = sorted(
                (event, other), key=lambda each: min(map(self._order.__getitem__, self.groups[each]))
            )
            self._joiner.merge(second, first)
            self.groups[first] += self.groups.pop(second)
            self.merges += 1
            event = first
        if is_due_for_splitting(len(self.groups[event])):
            posts = sorted(self.groups[event], key=self._order.__getitem__)
            groups = sorted(split([self._placed[post] for post in posts], self._joiner.weigh), key=len, reverse=True)
            if len(groups) > 1:
                self.splits += 1
                for group in groups[1:]:
                    self._replace(f"{group[0]}/{len(self._order)}", group)
                self._replace(event, groups[0])

    def _replace(self, event: str, posts: list[str]) -> None:
        self.groups[event] = posts
        self._joiner.replace(event, [self._placed[post][1:] for post in posts])


def main() -> None:
    """Prints one JSON line last."""
    found = _once(texts.find())
    in_time = sorted(zip(found.ids, found.rows, found.times, strict=True), key=lambda row: row[2])
    labelled = _labelled(found)
    jieba.setLogLevel("ERROR")
    jieba.initialize()
    speeds = []
    for _ in range(int(os.environ.get("ROUNDS") or 3)):
        started = time.perf_counter()
        stage = Stage()
        for identity, (subject, text), published in in_time:
            stage.take(identity, subject, text, published)
        ours = time.perf_counter() - started
        started = time.perf_counter()
        for _, (subject, text), _ in in_time:
            list(jieba.cut(subject + text))
        speeds.append((len(in_time) / ours, len(in_time) / (time.perf_counter() - started)))
    groups = [set(group) for group in stage.groups.values()]
    scores = _scores(groups, labelled)
    titles = {identity: subject.strip() for identity, (subject, _) in zip(found.ids, found.rows, strict=True)}
    for group in sorted(stage.groups.values(), key=len, reverse=True)[:_SHOWN]:
        print(len(group), titles[group[0]], file=sys.stderr)
    result = {
        "posts": len(in_time),
        "events": len(groups),
        "best_match_f1": round(statistics.fmean(scores.values()), 3),
        "offline_f1": round(_offline(found, labelled), 3),
        "posts_per_s": round(statistics.median(ours for ours, _ in speeds), 1),
        "jieba_cut_per_s": round(statistics.median(theirs for _, theirs in speeds), 1),
        "ratio": round(statistics.median(ours / theirs for ours, theirs in speeds), 2),
        "f1_by_event": {name: round(score, 2) for name, score in scores.items()},
        "merges": stage.merges,
        "splits": stage.splits,
        "echoes": stage.echoes,
        "texts": found.origin,
    }
    print(json.dumps(result, ensure_ascii=False))


def _once(found: texts.Texts) -> texts.Texts:
    """Without the copies by which other benches make the samples many: each matter would be told many times over."""
    if not found.origin.startswith("samples"):
        return found
    kept = [at for at, identity in enumerate(found.ids) if identity.endswith("-0")]
    ids, rows, times = [found.ids[at] for at in kept], [found.rows[at] for at in kept], [found.times[at] for at in kept]
    return replace(found, ids=ids, rows=rows, times=times, origin="samples")


def _labelled(found: texts.Texts) -> dict[str, set[str]]:
    name = "matters.json" if found.origin.startswith("samples") else "events-dev.json"
    folder = texts.SAMPLES if name == "matters.json" else Path(os.environ.get("EVAL_DATA") or texts.REAL)
    content = json.loads((folder / name).read_text("utf-8"))
    # The samples have the number of their copy behind a hyphen.
    return {
        title: {identity for identity in found.ids if identity.partition("-")[0] in set(map(str, members))}
        for title, members in content.items()
    }


def _scores(found: Iterable[Collection[str]], labelled: dict[str, set[str]]) -> dict[str, float]:
    """For each labelled event the best F1 of any found."""
    best = dict.fromkeys(labelled, 0.0)
    for group in found:
        for name, members in labelled.items():
            both = len(members.intersection(group))
            if both:
                best[name] = max(best[name], 2 * both / (len(group) + len(members)))
    return best


def _offline(found: texts.Texts, labelled: dict[str, set[str]]) -> float:
    """The best mean F1 of agglomerative clustering of all texts at once, over its thresholds."""
    wanted = set().union(*labelled.values())
    rows = list(zip(found.ids, found.rows, strict=True))
    rows.sort(key=lambda row: row[0] not in wanted)
    rows = rows[:_MOST_CLUSTERED]
    words = [[word for word in jieba.cut(f"{subject} {text}") if len(word) > 1] for _, (subject, text) in rows]
    weighed = TfidfVectorizer(analyzer=lambda each: each, sublinear_tf=True).fit_transform(words)
    distances = np.clip(1.0 - (weighed @ weighed.T).toarray(), 0.0, 2.0)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), "average")
    best = 0.0
    for threshold in _THRESHOLDS:
        groups = defaultdict(set)
        for (identity, _), label in zip(rows, fcluster(tree, threshold, "distance"), strict=True):
            groups[label].add(identity)
        best = max(best, statistics.fmean(_scores(groups.values(), labelled).values()))
    return best


if __name__ == "__main__":
    main()
