"""How well topics are told: five-fold cross-validation beside a plain baseline on the same folds.

The baseline is tf-idf of one to three characters with a linear support vector machine. The gain is the mean over folds
of the difference of the two macro-F1, with its standard error. SEED= takes other folds.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from huiyin_analyzer.model.topics import joined
from huiyin_analyzer.training.fitting import SEED, Trainer, tree_examples
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from bench import texts

_FOLDS = 5


def main() -> None:
    """Prints one JSON line last."""
    folder = Path(os.environ.get("EVAL_DATA") or texts.REAL)
    file = folder / "labelled.csv"
    if not file.is_file():
        print(f"There are no labelled texts ({file.name} in the folder that EVAL_DATA names); nothing is measured.")
        print(json.dumps({"skipped": "no labelled.csv"}))
        return
    with file.open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    names = sorted({row["label"] for row in rows})
    labels = np.array([names.index(row["label"]) for row in rows])
    both = [joined(row["subject"], row["text"]) for row in rows]
    tree = _tree(folder / "categories.csv")
    trainer = Trainer(both, tree_examples(tree, names), labels=len(names))
    scores: list[tuple[float, float, float]] = []
    seed = int(os.environ.get("SEED") or SEED)
    started = time.perf_counter()
    for fit_on, check_on in StratifiedKFold(_FOLDS, shuffle=True, random_state=seed).split(both, labels):
        predicted = trainer.scores(check_on, trainer.fit(fit_on, labels[fit_on])).argmax(axis=1)
        plain = _baseline([rows[at]["text"] for at in fit_on], labels[fit_on], [rows[at]["text"] for at in check_on])
        right = labels[check_on]
        scores.append(
            (
                f1_score(right, predicted, average="macro"),
                accuracy_score(right, predicted),
                f1_score(right, plain, average="macro"),
            )
        )
        print(f"macro-F1 {scores[-1][0]:.4f}, baseline {scores[-1][2]:.4f}", file=sys.stderr)
    macro_f1, accuracy, baseline = np.mean(scores, axis=0)
    gains = np.array([ours - plain for ours, _, plain in scores])
    result = {
        "texts": len(rows),
        "labels": len(names),
        "tree_topics": len(tree),
        "macro_f1": round(float(macro_f1), 4),
        "accuracy": round(float(accuracy), 4),
        "baseline_macro_f1": round(float(baseline), 4),
        "gain": round(float(gains.mean()), 4),
        "gain_se": round(float(gains.std(ddof=1) / len(gains) ** 0.5), 4),
        "seed": seed,
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(json.dumps(result, ensure_ascii=False))


def _baseline(fit_on: list[str], labels: np.ndarray, check_on: list[str]) -> np.ndarray:
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3), sublinear_tf=True, min_df=2)
    machine = LinearSVC().fit(vectorizer.fit_transform(fit_on), labels)
    predicted: np.ndarray = machine.predict(vectorizer.transform(check_on))
    return predicted


def _tree(file: Path) -> dict[str, list[str]]:
    """The taxonomy beside the texts, where there is one: its paths, without words."""
    if not file.is_file():
        return {}
    with file.open(encoding="utf-8-sig", newline="") as opened:
        _, *rows = csv.reader(opened)
    return {".".join(name for name in row if name and name != "其他"): [] for row in rows}


if __name__ == "__main__":
    main()
