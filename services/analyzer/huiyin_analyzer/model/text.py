"""Reads a text: its terms, topic, places, intent, and the harm that it describes.

`Reader.read` is a pure function of subject and text, given the topic and place trees; it could run in another process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from huiyin_analyzer.model import places as place_names
from huiyin_analyzer.model import signs
from huiyin_analyzer.model.folding import fold
from huiyin_analyzer.model.phrases import Phrases
from huiyin_analyzer.model.places import Mention, PlaceNode
from huiyin_analyzer.model.signs import Harm, Intent, Sign
from huiyin_analyzer.model.terms import Terms, terms_of_tidy, tidy

__all__ = ["Evidence", "Harm", "Intent", "PlaceNode", "Reader", "Reading", "best_topic"]

_SUBJECT_WEIGHT: Final = 3
"""What a word of the subject weighs, one of the text being 1."""
_LISTED_CHARACTERS: Final = 2_000
"""How much of a text is searched for further places, where somebody asks for them."""
_TOPIC, _PLACE, _SIGN = range(3)


class Reading(NamedTuple):
    """What was read. Topic and place are paths, empty when none was recognised."""

    terms: Terms
    topic: str
    place: str
    intent: Intent
    harm: Harm
    topics: dict[str, int]
    """How strongly the words speak of each topic that they speak of, by its path."""


class Evidence(NamedTuple):
    """The words that a reading rests on, in simplified characters, in their order."""

    places: list[str]
    """Every place that is named, the most certain first: that of the reading."""
    intent: list[str]
    harms: dict[Harm, list[str]]
    """By single harm."""


class Reader:
    """Reads texts by a topic tree and a gazetteer.

    `topics`: words of each topic by its path; `places`: the gazetteer's nodes. Without a gazetteer, places are read by
    their pattern alone.
    """

    def __init__(self, topics: Mapping[str, Sequence[str]] | None = None, places: Iterable[PlaceNode] = ()) -> None:
        entries: list[tuple[str, tuple[int, Any]]] = []
        for path, words in sorted((topics or {}).items()):
            entries += [(fold(word), (_TOPIC, path)) for word in words]
        for node in sorted(places, key=lambda node: node.path):
            names = {fold(name) for name in (node.path.rpartition(".")[2], *node.aliases)}
            entries += [(name, (_PLACE, node.path)) for name in sorted(names)]
        entries += [(word, (_SIGN, sign)) for word, sign in signs.phrases()]
        self._phrases: Phrases[tuple[int, Any]] = Phrases(entries)

    def read(self, subject: str, text: str) -> Reading:
        """Reads a post."""
        subject, text = tidy(subject, text)
        topics: dict[str, int] = {}
        intents: dict[Intent, int] = {}
        mentions: list[Mention] = []
        harm = 0
        for offset, weight, part in ((0, _SUBJECT_WEIGHT, subject), (len(subject), 1, text)):
            seen: set[tuple[str, Any]] = set()
            for at, phrase, (kind, value) in self._phrases.find(part):
                if kind == _PLACE:
                    mentions.append(Mention(offset + at, len(phrase), value))
                elif (phrase, value) in seen:
                    continue
                elif kind == _TOPIC:
                    seen.add((phrase, value))
                    # A longer word is a surer sign; a deeper topic is the better answer of two as sure.
                    topics[value] = topics.get(value, 0) + weight * len(phrase)
                elif value.intent:
                    seen.add((phrase, value))
                    intents[value.intent] = intents.get(value.intent, 0) + weight * value.weight
                elif not value.counts or signs.counts(value, part, at, len(phrase)):
                    seen.add((phrase, value))
                    harm |= value.harm
        intent = signs.intent_of(intents, subject, text)
        return Reading(
            terms_of_tidy(subject, text),
            best_topic(topics, topics),
            place_names.most_certain(mentions) or place_names.of_post_by_pattern(subject, text),
            intent,
            # Who thanks for what went well tells of a harm that is over.
            Harm.NONE if intent is Intent.THANKS else Harm(harm),
            topics,
        )

    def evidence(self, subject: str, text: str, reading: Reading) -> Evidence:
        """The words that the reading of this post rests on, and all places that it names."""
        whole = fold(" ".join(text[: 2 * _LISTED_CHARACTERS].split())[:_LISTED_CHARACTERS])
        subject, text = tidy(subject, text)
        said: list[str] = []
        harms: dict[Harm, list[str]] = {}
        harmed = int(reading.harm)
        for part in (subject, text):
            for phrase, sign in self._signs(part):
                if sign.intent and sign.intent == reading.intent and sign.weight:
                    said.append(phrase)
                if sign.harm & harmed:  # plain numbers: taking a flag apart costs microseconds
                    harms.setdefault(Harm(sign.harm), []).append(phrase)
        said = said or signs.other_words(reading.intent, subject, text)
        return Evidence(
            self._places(subject, whole, reading.place),
            _each(said),
            {harm: _each(words) for harm, words in sorted(harms.items())},
        )

    def names_in(self, text: str) -> list[tuple[int, int]]:
        """(position, length) of the names of places in a folded text, each whole."""
        return place_names.spans(self._mentions(text, 0))

    def _signs(self, part: str) -> Iterator[tuple[str, Sign]]:
        for at, phrase, (kind, value) in self._phrases.find(part):
            if kind == _SIGN and (not value.counts or signs.counts(value, part, at, len(phrase))):
                yield phrase, value

    def _places(self, subject: str, text: str, first: str) -> list[str]:
        mentions = [*self._mentions(subject, 0), *self._mentions(text, len(subject))]
        named = place_names.by_certainty(mentions)
        if not named:
            named = place_names.all_by_pattern(f"{subject}\n{text}")
        return place_names.lowest([first, *named] if first else named)

    def _mentions(self, part: str, offset: int) -> list[Mention]:
        return [
            Mention(offset + at, len(phrase), value)
            for at, phrase, (kind, value) in self._phrases.find(part)
            if kind == _PLACE
        ]


def best_topic(points: Mapping[str, int], among: Iterable[str]) -> str:
    """The path with the most points, the deepest of several; "" where there is none."""
    return max(among, key=lambda path: (points[path], path.count("."), path), default="")


def _each(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
