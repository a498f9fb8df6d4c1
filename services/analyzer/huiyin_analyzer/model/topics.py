"""Tells the topic of a text by a linear model that was trained on labelled ones (huiyin_analyzer.training).

Characters, pairs of characters and words are counted in the beginning of a text, where it says what it is about, and in
a longer part of it. Each count is weighed by tf-idf and by how unevenly the labels share the feature (its entropy over
them), and the weights of a label add up to its score. Scores become probabilities by a softmax whose temperature was
found by cross-validation (Guo et al., On Calibration of Modern Neural Networks, 2017).

Whole batches are read at once in numpy: one text alone costs several times its share of a batch.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from huiyin_analyzer.model.folding import fold
from huiyin_analyzer.model.text import Reading, best_topic
from huiyin_analyzer.model.words import cut

SPANS: Final = (80, 600)
"""How many characters each part has, from the beginning; what stands behind the longest is not read."""
LOW: Final = 0.6
"""A confidence under this is low: a person should look."""

_FORM: Final = 1
"""Grows when a model that was kept can no longer be read as it was meant."""
_BATCH: Final = 64
"""Texts that are read at once: enough that numpy's calls do not tell, few enough for a processor's cache."""

Floats: TypeAlias = NDArray[np.float32]
_NOT_IN_NAMES: Final = re.compile(r"[^\w-]")
_LONGEST_NAME: Final = 60

Integers: TypeAlias = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of a text. `confidence`: the share of such predictions that is right, 0 to 1."""

    label: str
    confidence: float

    @property
    def low(self) -> bool:
        """Whether a person should look."""
        return self.confidence < LOW


class TopicReading(NamedTuple):
    """The topic of a post. `path`: a path of the tree, or the label alone; `label`: as it was trained, verbatim.

    `model`: its number; 0, without a confidence, where the words of the tree told it.
    """

    path: str
    label: str
    model: int
    confidence: float
    low: bool


NOTHING: Final = TopicReading("", "", 0, 0.0, False)
"""The topic of nothing at all."""


@dataclass(frozen=True)
class Counts:
    """How often which feature stands in which text, sorted by text, then feature, each pair once."""

    texts: Integers
    features: Integers
    counts: Integers


def joined(subject: str, text: str) -> str:
    """Subject and text as the model reads them: in one, folded, the subject once, without white space."""
    text = fold("".join(text[: 2 * SPANS[-1]].split()))
    subject = fold("".join(subject.split()))
    return text if text.startswith(subject) else subject + text


class Vocabulary:
    """Numbers the features: characters, then pairs of them, then words.

    `characters` and `pairs` are code points, ascending (a pair: the first shifted by 16, and the second).
    """

    def __init__(self, characters: Integers, pairs: Integers, words: Sequence[str]) -> None:
        self.characters = characters
        self.pairs = pairs
        self.words = list(words)
        self._characters = np.full(0x10000, -1, dtype=np.int32)
        self._characters[characters] = np.arange(len(characters))
        self._numbers = {word: number for number, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.characters) + len(self.pairs) + len(self.words)

    def count(self, texts: Sequence[str]) -> list[Counts]:
        """The counts of joined texts, for each span."""
        found = Occurrences(texts)
        assert len(texts) * len(self) < 2**31, "keys have 31 bits; count fewer texts at once"
        get = self._numbers.get
        numbers = np.array([get(word, -1) for word in found.words], dtype=np.int32)
        parts = (
            (found.character_texts, found.character_places, self._characters[found.characters], 0),
            (found.pair_texts, found.pair_places, _lookup(self.pairs, found.pairs), len(self.characters)),
            (found.word_texts, found.word_places, numbers, len(self.characters) + len(self.pairs)),
        )
        known = [
            (places[at], texts_of[at] * np.int32(len(self)) + (ids[at] + np.int32(offset)))
            for texts_of, places, ids, offset in parts
            for at in [np.flatnonzero(ids >= 0)]
        ]
        places, keys = (np.concatenate(columns) for columns in zip(*known, strict=True))
        return [self._counted(keys[places < span] if span < SPANS[-1] else keys) for span in SPANS]

    def _counted(self, keys: Integers) -> Counts:
        keys = np.sort(keys)
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        texts, features = np.divmod(keys[starts], max(len(self), 1))
        return Counts(texts, features, np.diff(starts, append=len(keys)))


class Occurrences:
    """Every character, pair and word of texts, with the number of its text and its place in it."""

    def __init__(self, texts: Sequence[str]) -> None:
        texts = [text[: SPANS[-1]] for text in texts]
        lengths = np.array([len(text) for text in texts], dtype=np.int32)
        starts = (np.cumsum(lengths) - lengths).astype(np.int32)
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        # What lies beyond the Basic Multilingual Plane counts as one character, so that a pair has 32 bits.
        codes = np.minimum(codes, np.uint32(0xFFFF))
        self.characters: Integers = codes
        self.character_texts: Integers = np.repeat(np.arange(len(texts), dtype=np.int32), lengths)
        self.character_places: Integers = np.arange(len(codes), dtype=np.int32) - starts[self.character_texts]
        within = np.flatnonzero(self.character_texts[:-1] == self.character_texts[1:])
        self.pairs: Integers = codes[within] << np.uint32(16) | codes[within + 1]
        self.pair_texts: Integers = self.character_texts[within]
        self.pair_places: Integers = self.character_places[within]
        words = [list(cut(text)) for text in texts]
        every = [word for found in words for word in found]
        ends = np.fromiter(accumulate(map(len, every)), dtype=np.int32, count=len(every))
        texts_of = np.repeat(np.arange(len(texts), dtype=np.int32), [len(found) for found in words])
        self.words: list[str] = [word for word in every if len(word) > 1]
        longer = np.diff(ends, prepend=0) > 1
        self.word_texts: Integers = texts_of[longer]
        # Where a word ends: one that reaches over the end of a span is outside it.
        self.word_places: Integers = ends[longer] - starts[self.word_texts] - 1


def _lookup(known: Integers, wanted: Integers) -> Integers:
    """The place of each in an ascending array, -1 of those that are not there."""
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int32)
    at = np.searchsorted(known, wanted).astype(np.int32)
    at[at == len(known)] = 0
    return np.where(known[at] == wanted, at, np.int32(-1))


class TopicModel:
    """A trained model. `gains` and `weights` by span and feature; weights have a column for each label."""

    def __init__(
        self,
        labels: Sequence[str],
        vocabulary: Vocabulary,
        gains: Floats,
        weights: Floats,
        intercept: Floats,
        temperature: float,
    ) -> None:
        self.labels = tuple(labels)
        self.vocabulary = vocabulary
        self.temperature = temperature
        self._gains = gains
        self._weights = weights
        self._intercept = intercept

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """The likeliest label of each joined text."""
        found: list[Prediction] = []
        for start in range(0, len(texts), _BATCH):
            shares = softmax(self.scores(texts[start : start + _BATCH]), self.temperature)
            best = shares.argmax(axis=1)
            confidence = shares[np.arange(len(best)), best]
            found += [
                Prediction(self.labels[at], round(share, 4))
                for at, share in zip(best.tolist(), confidence.tolist(), strict=True)
            ]
        return found

    def scores(self, texts: Sequence[str]) -> Floats:
        """The score of each label (columns) for each text (rows)."""
        scores = np.tile(self._intercept, (len(texts), 1))
        for gains, weights, counts in zip(self._gains, self._weights, self.vocabulary.count(texts), strict=True):
            values = weighed(self.vocabulary, counts, gains, len(texts))
            if len(values):
                starts = np.flatnonzero(np.diff(counts.texts, prepend=-1))
                parts = values[:, None] * weights[counts.features]
                scores[counts.texts[starts]] += np.add.reduceat(parts, starts)
        return scores

    def dump(self) -> bytes:
        """The model as bytes: arrays and JSON, nothing that runs when it is loaded."""
        meta = {"form": _FORM, "spans": SPANS, "labels": self.labels, "temperature": self.temperature}
        file = io.BytesIO()
        np.savez_compressed(
            file,
            allow_pickle=False,
            meta=_bytes_of(meta),
            words=_bytes_of(self.vocabulary.words),
            characters=self.vocabulary.characters,
            pairs=self.vocabulary.pairs,
            gains=self._gains,
            weights=self._weights,
            intercept=self._intercept,
        )
        return file.getvalue()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What `dump` made. Raises ValueError for anything else."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            if "meta" not in arrays:
                raise ValueError("these bytes are no topic model")
            meta = _of_bytes(arrays["meta"])
            if meta["form"] != _FORM or tuple(meta["spans"]) != SPANS:
                raise ValueError("the model was made by another version; train it again")
            vocabulary = Vocabulary(arrays["characters"], arrays["pairs"], _of_bytes(arrays["words"]))
            return cls(
                meta["labels"],
                vocabulary,
                arrays["gains"],
                arrays["weights"],
                arrays["intercept"],
                float(meta["temperature"]),
            )


class TopicReader:
    """Reads topics by a model, whose labels are first levels of the tree, and by the tree's words beneath them.

    Without a model the words of the tree alone tell. `number`: that of the model, 0 of none.
    """

    def __init__(self, model: TopicModel | None, number: int, paths: Collection[str]) -> None:
        self.number = number
        self._model = model
        self._paths = {label: path_of(label) for label in (model.labels if model else ())}
        self._in_tree = {label for label, path in self._paths.items() if path in paths}

    @property
    def paths(self) -> set[str]:
        """The paths of its labels."""
        return set(self._paths.values())

    def read(self, posts: Iterable[tuple[str, str]], readings: Sequence[Reading]) -> list[TopicReading]:
        """The topics of posts (subject, text) of which all else was read. Without a model no text is looked at."""
        if self._model is None:
            # How sure words are nobody measured, so what they tell is never low.
            return [TopicReading(each.topic, each.topic.partition(".")[0], 0, 0.0, False) for each in readings]
        texts = [joined(*post) for post in posts]
        return [
            TopicReading(self._beneath(found, reading.topics), found.label, self.number, found.confidence, found.low)
            if text
            else NOTHING
            for text, found, reading in zip(texts, self._model.predict(texts), readings, strict=True)
        ]

    def _beneath(self, found: Prediction, points: Mapping[str, int]) -> str:
        path = self._paths[found.label]
        if found.label not in self._in_tree:
            return path
        start = f"{path}."
        return best_topic(points, [each for each in points if each.startswith(start)]) or path


def path_of(label: str) -> str:
    """The path of a topic with this name: what may not stand in a path becomes "_"."""
    return _NOT_IN_NAMES.sub("_", label.strip())[:_LONGEST_NAME]


def weighed(vocabulary: Vocabulary, counts: Counts, gains: Floats, texts: int) -> Floats:
    """The value of each count: its logarithm times its feature's gain; those of one text and kind have length one."""
    values = (1 + np.log(counts.counts)).astype(np.float32) * gains[counts.features]
    bounds = (len(vocabulary.characters), len(vocabulary.characters) + len(vocabulary.pairs))
    block = counts.texts * 3 + (counts.features >= bounds[0]) + (counts.features >= bounds[1])
    lengths = np.sqrt(np.bincount(block, values * values, minlength=texts * 3))
    lengths[lengths == 0] = 1
    return np.asarray(values / lengths[block], dtype=np.float32)


def softmax(scores: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """Scores as shares of one, row by row."""
    scaled = (scores - scores.max(axis=1, keepdims=True)).astype(np.float64) / temperature
    powers = np.exp(scaled)
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _bytes_of(value: object) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value, ensure_ascii=False).encode(), dtype=np.uint8)


def _of_bytes(array: NDArray[np.uint8]) -> Any:
    return json.loads(array.tobytes().decode())
