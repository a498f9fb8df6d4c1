"""Fits a topic model to labelled texts, and reports how well it does on texts that it was not fitted to.

It needs scikit-learn and is for a process of its own; what it fits, `model.topics` uses without it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize_scalar
from sklearn.linear_model import Ridge
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support
from sklearn.model_selection import StratifiedKFold

from huiyin_analyzer.model.topics import LOW, SPANS, Occurrences, TopicModel, Vocabulary, joined, softmax

LEAST_ROWS: Final = 5
"""A label with fewer texts cannot be learnt and checked; its rows are passed over."""
MOST_LABELS: Final = 200
FOLDS: Final = 5
SEED: Final = 20
_BINS: Final = 10

_HEAD: Final = 30
_TAIL_FROM: Final = 80
_PART_WEIGHT: Final = 0.3
"""The beginning alone and what follows it alone are examples too, of less weight: a label must not hang on either."""
_UNEVENNESS_ADDED: Final = 0.4
_SMOOTHING: Final = 0.0005
_BALANCE: Final = 0.5
"""0: each text weighs the same; 1: each label."""
_ALPHA: Final = 1.0
_KINDS: Final = 3

Matrix: TypeAlias = Any  # scipy.sparse.csr_matrix, which has no types
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.integer[Any]]
Tell: TypeAlias = Callable[[str, int, int], None]


class CannotTrain(Exception):
    """The examples will not do; the message says of the file what is missing and repeats no text."""


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its label."""

    subject: str
    text: str
    label: str
    corrected: bool = False
    """Whether a person gave the label because the post was told to have another."""


@dataclass(frozen=True)
class LabelReport:
    """How one label was told: shares of 0 to 1, and how many texts have it."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions with a confidence from `least` to below `most`: how many, their mean confidence, the share right."""

    least: float
    most: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Report:
    """What cross-validation found. Every text was judged by a model that had not seen it."""

    texts: int
    skipped_rows: int
    corrections: int
    data_hash: str
    folds: int
    macro_f1: float
    accuracy: float
    labels: list[LabelReport]
    confusion: list[list[int]]
    """Rows: the label; columns: what was predicted; both in the order of `labels`."""
    reliability: list[ReliabilityBin]
    expected_calibration_error: float
    low_share: float
    accuracy_of_low: float
    accuracy_of_others: float


@dataclass(frozen=True)
class _Part:
    """Examples of one kind: which rows of the blocks, their labels, their weight."""

    rows: Integers
    labels: Integers
    weight: float


class Trainer:
    """Fits models to subsets of some texts. `tree`: short texts whose label the topic tree gives, never checked on."""

    def __init__(self, texts: Sequence[str], tree: Sequence[tuple[str, int]] = (), *, labels: int) -> None:
        self._texts = len(texts)
        self._labels = labels
        self._tree = np.array([label for _, label in tree], dtype=np.int64)
        heads = [text[:_HEAD] for text in texts]
        tails = [text[_TAIL_FROM:] for text in texts]
        everything = [*texts, *heads, *tails, *(text for text, _ in tree)]
        self.vocabulary = _vocabulary([*texts, *(text for text, _ in tree)])
        self._blocks = _blocks(self.vocabulary, everything)

    def fit(self, rows: Integers, labels: Integers) -> tuple[list[Floats], NDArray[np.float32], NDArray[np.float32]]:
        """Gains of each block, weights of every feature (blocks in a row), intercept; from these rows of the texts."""
        tree_rows = np.arange(3 * self._texts, 3 * self._texts + len(self._tree))
        parts = [
            _Part(rows, labels, 1.0),
            _Part(rows + self._texts, labels, _PART_WEIGHT),
            _Part(rows + 2 * self._texts, labels, _PART_WEIGHT),
            _Part(tree_rows, self._tree, 1.0),
        ]
        seen = np.concatenate([rows, tree_rows])
        seen_labels = np.concatenate([labels, self._tree])
        gains = [_gains(block[seen], seen_labels, self._labels) for block in self._blocks]
        used = np.concatenate([part.rows for part in parts])
        used_labels = np.concatenate([part.labels for part in parts])
        sizes = np.bincount(labels, minlength=self._labels)
        balance = (sizes.mean() / np.maximum(sizes, 1)) ** _BALANCE
        weights = np.concatenate([np.full(len(part.rows), part.weight) for part in parts]) * balance[used_labels]
        targets = np.where(used_labels[:, None] == np.arange(self._labels), 1.0, -1.0).astype(np.float32)
        ridge = Ridge(alpha=_ALPHA, solver="sparse_cg", tol=1e-3)
        ridge.fit(self._matrix(used, gains), targets, sample_weight=weights)
        return gains, np.atleast_2d(ridge.coef_).astype(np.float32), ridge.intercept_.astype(np.float32)

    def scores(self, rows: Integers, fitted: tuple[list[Floats], NDArray[np.float32], NDArray[np.float32]]) -> Floats:
        """The scores of labels (columns) for rows of the texts."""
        gains, weights, intercept = fitted
        scores: Floats = np.asarray(self._matrix(rows, gains) @ weights.T + intercept, dtype=np.float64)
        return scores

    def model(
        self,
        names: Sequence[str],
        fitted: tuple[list[Floats], NDArray[np.float32], NDArray[np.float32]],
        temperature: float,
    ) -> TopicModel:
        """What was fitted, as it is used; without the features that tell nothing."""
        gains, weights, intercept = fitted
        size = len(self.vocabulary)
        all_gains = np.concatenate(gains).reshape(len(SPANS), size)
        by_span = weights.T.reshape(len(SPANS), size, len(names)) * np.float32(self._scale)
        kept = np.flatnonzero(all_gains.any(axis=0))
        bounds = len(self.vocabulary.characters), len(self.vocabulary.characters) + len(self.vocabulary.pairs)
        vocabulary = Vocabulary(
            self.vocabulary.characters[kept[kept < bounds[0]]],
            self.vocabulary.pairs[kept[(kept >= bounds[0]) & (kept < bounds[1])] - bounds[0]],
            [self.vocabulary.words[at] for at in kept[kept >= bounds[1]] - bounds[1]],
        )
        return TopicModel(
            names,
            vocabulary,
            all_gains[:, kept].astype(np.float32),
            np.ascontiguousarray(by_span[:, kept]),
            intercept,
            temperature,
        )

    @property
    def _scale(self) -> float:
        """A text has length √2 over all blocks, whatever their number."""
        return float((2 / len(self._blocks)) ** 0.5)

    def _matrix(self, rows: Integers, gains: Sequence[Floats]) -> Matrix:
        parts = []
        for block, gain in zip(self._blocks, gains, strict=True):
            part = block[rows] @ sparse.diags(gain)
            lengths = np.sqrt(np.asarray(part.multiply(part).sum(axis=1)).ravel())
            lengths[lengths == 0] = 1
            parts.append(sparse.diags(1 / lengths) @ part)
        return (sparse.hstack(parts).tocsr() * self._scale).astype(np.float32)


def train(
    examples: Iterable[Example],
    tree: Mapping[str, Sequence[str]],
    *,
    skipped: int = 0,
    tell: Tell = lambda step, done, steps: None,
) -> tuple[TopicModel, Report]:
    """A model of all examples, and what cross-validation found of it. Raises CannotTrain.

    `tree`: the words of each topic by its path; where a label is the name of a first-level topic, the names and words
    beneath it are examples too. `skipped`: rows without text or label, for the report.
    """
    examples = list(examples)
    texts, names, labels, rare = _usable(examples)
    tree_texts = tree_examples(tree, names)
    steps = FOLDS + 2
    tell("counting", 0, steps)
    trainer = Trainer(texts, tree_texts, labels=len(names))
    scores = np.zeros((len(texts), len(names)))
    fold_of = np.zeros(len(texts), dtype=np.int64)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(scores, labels)
    for number, (fit_on, check_on) in enumerate(folds):
        tell("checking", 1 + number, steps)
        scores[check_on] = trainer.scores(check_on, trainer.fit(fit_on, labels[fit_on]))
        fold_of[check_on] = number
    tell("fitting", steps - 1, steps)
    model = trainer.model(names, trainer.fit(np.arange(len(texts)), labels), temperature_of(scores, labels))
    pairs = sorted((names[label], text) for text, label in zip(texts, labels.tolist(), strict=True))
    corrections = sum(example.corrected and example.label in names for example in examples)
    data_hash = hashlib.sha256(json.dumps(pairs, ensure_ascii=False).encode()).hexdigest()
    return model, _report(names, labels, scores, fold_of, corrections, skipped + rare, data_hash)


def tree_examples(tree: Mapping[str, Sequence[str]], names: Sequence[str]) -> list[tuple[str, int]]:
    """A short text of each topic beneath a label, and the number of the label."""
    numbers = {name: number for number, name in enumerate(names)}
    found = []
    for path, words in sorted(tree.items()):
        label, *beneath = path.split(".")
        text = "。".join([*beneath, *words])
        if label in numbers and text:
            found.append((joined("", text), numbers[label]))
    return found


def temperature_of(scores: Floats, labels: Integers) -> float:
    """The temperature under which the labels are likeliest."""

    def surprise(log_temperature: float) -> float:
        shares = softmax(scores, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(shares[np.arange(len(labels)), labels], 1e-12)).mean())

    return float(np.exp(minimize_scalar(surprise, bounds=(-5.0, 3.0), method="bounded").x))


def _usable(examples: Iterable[Example]) -> tuple[list[str], list[str], Integers, int]:
    """Texts once each, the labels' names, each text's label, and how many rows of rare labels were passed over."""
    pairs = dict.fromkeys((joined(example.subject, example.text), example.label) for example in examples)
    sizes = Counter(label for _, label in pairs)
    kept = [(text, label) for text, label in pairs if sizes[label] >= LEAST_ROWS]
    names = sorted({label for _, label in kept})
    if len(names) < 2:
        raise CannotTrain(f"holds too little: at least two labels with {LEAST_ROWS} different texts each are needed")
    if len(names) > MOST_LABELS:
        raise CannotTrain(f"has {len(names)} labels, at most {MOST_LABELS} can be learnt; name a column of fewer")
    numbers = {name: number for number, name in enumerate(names)}
    labels = np.array([numbers[label] for _, label in kept], dtype=np.int64)
    return [text for text, _ in kept], names, labels, len(pairs) - len(kept)


def _vocabulary(texts: Sequence[str]) -> Vocabulary:
    """What stands in two texts or more: a name that one text alone holds is in no model."""
    found = Occurrences(texts)
    words = sorted(set(found.words))
    numbers = {word: number for number, word in enumerate(words)}
    word_codes = np.array([numbers[word] for word in found.words], dtype=np.int64)
    return Vocabulary(
        _in_two(found.character_texts, found.characters),
        _in_two(found.pair_texts, found.pairs),
        [words[at] for at in _in_two(found.word_texts, word_codes).tolist()],
    )


def _in_two(texts: Integers, keys: Integers) -> Integers:
    once = np.unique(texts.astype(np.int64) << 32 | keys) & 0xFFFFFFFF
    found, counts = np.unique(once, return_counts=True)
    kept: Integers = found[counts >= 2].astype(np.uint32)
    return kept


def _blocks(vocabulary: Vocabulary, texts: Sequence[str]) -> list[Matrix]:
    """Logarithmic counts of every span and kind, a row a text."""
    size = len(vocabulary)
    bounds = np.cumsum([0, len(vocabulary.characters), len(vocabulary.pairs), len(vocabulary.words)])
    blocks = []
    for counts in vocabulary.count(texts):
        values = (1 + np.log(counts.counts)).astype(np.float32)
        whole = sparse.csr_matrix((values, (counts.texts, counts.features)), shape=(len(texts), size))
        blocks += [whole[:, start:end] for start, end in pairwise(bounds)]
    return blocks


def _gains(block: Matrix, labels: Integers, count: int) -> Floats:
    """What a feature's presence tells: its idf, times how unevenly the labels share it; 0 of what is in one text only.

    The unevenness is one minus the entropy of the feature's share among the labels over its greatest (Dumais, Improving
    the retrieval of information from external sources, 1991, has the like over documents).
    """
    present = block.copy()
    present.data[:] = 1
    frequency = np.asarray(present.sum(axis=0)).ravel()
    member = np.eye(count)[labels]
    shares = present.T @ (member / np.maximum(member.sum(axis=0), 1)) + _SMOOTHING
    shares /= shares.sum(axis=1, keepdims=True)
    unevenness = 1 + (shares * np.log(shares)).sum(axis=1) / np.log(count)
    idf = np.log((1 + len(labels)) / (1 + frequency)) + 1
    gains: Floats = np.where(frequency >= 2, idf * (_UNEVENNESS_ADDED + unevenness), 0.0)
    return gains


def _report(
    names: Sequence[str],
    labels: Integers,
    scores: Floats,
    fold_of: Integers,
    corrections: int,
    skipped: int,
    data_hash: str,
) -> Report:
    predicted = scores.argmax(axis=1)
    numbers = range(len(names))
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, labels=numbers, zero_division=0)
    confidence = np.zeros(len(labels))
    for fold in range(FOLDS):
        # As the labels are judged by a model that did not see the text, so is the confidence.
        here = fold_of == fold
        confidence[here] = softmax(scores[here], temperature_of(scores[~here], labels[~here])).max(axis=1)
    right = predicted == labels
    bins = _reliability(confidence, right)
    low = confidence < LOW
    return Report(
        texts=len(labels),
        skipped_rows=skipped,
        corrections=corrections,
        data_hash=data_hash,
        folds=FOLDS,
        macro_f1=float(f1.mean()),
        accuracy=float(right.mean()),
        labels=[
            LabelReport(names[at], float(precision[at]), float(recall[at]), float(f1[at]), int(support[at]))
            for at in numbers
        ],
        confusion=confusion_matrix(labels, predicted, labels=numbers).tolist(),
        reliability=bins,
        expected_calibration_error=sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / len(labels),
        low_share=float(low.mean()),
        accuracy_of_low=float(right[low].mean()) if low.any() else 0.0,
        accuracy_of_others=float(right[~low].mean()) if (~low).any() else 0.0,
    )


def _reliability(confidence: Floats, right: NDArray[np.bool_]) -> list[ReliabilityBin]:
    """Guo et al. 2017, section 2: bins of equal width; empty ones are left out."""
    at = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    return [
        ReliabilityBin(
            number / _BINS,
            (number + 1) / _BINS,
            int((at == number).sum()),
            float(confidence[at == number].mean()),
            float(right[at == number].mean()),
        )
        for number in range(_BINS)
        if (at == number).any()
    ]
