"""Full-text search without a store: what of a text is indexed, how a query is read, what of a text is shown.

Indexed are pairs of neighbouring characters (噪音扰民 → 噪音 音扰 扰民), and whole words of Latin letters and digits.
Words as a segmenter cuts them would be lost where it cuts otherwise in another context, names of estates and roads
first; docs/analysis.md has the figures. A query is cut into words, and each word is searched as the run of its pairs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import add
from typing import Final

from huiyin_analyzer.model import folding
from huiyin_analyzer.model.words import cut

FORM: Final = "pairs-2"
"""Which tokens an index holds. Another form makes an index of another form wrong: it is built anew."""

MOST_WORDS: Final = 30
"""Words and phrases of a query."""
_INDEXED: Final = 16_000
"""Characters of a text that are indexed; PostgreSQL counts positions no further."""
_SNIPPET: Final = 120
_BEFORE: Final = 20

_RUN = re.compile(r"[0-9a-z]+|[^\W\x00-\x7f]+")
_TORN = re.compile(r"(?<=[^\x00-\x7f])\s+(?=[^\x00-\x7f])")
"""Where a page was laid out within a word."""
_QUERY = re.compile(r'(?P<minus>[-－])?(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')
_QUOTES = re.compile("[“”「」＂]")
_SPACE = re.compile(r"\s+")
_PRIVATE: Final = {letter: 0xE000 + letter for letter in range(128)}
_DANGLING: Final = 'has OR without a word on each side; put one there, or write "OR" in quotation marks'


Names = Callable[[str], Iterable[tuple[int, int]]]
"""(position, length) of names in a run of Chinese, in their order, none within another."""


class QueryError(ValueError):
    """A query that cannot be searched; its text says what to do."""


@dataclass(frozen=True)
class Phrase:
    """Tokens that stand one behind the other, and the text, folded, that they were made of."""

    tokens: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Alternative:
    """Phrases that are all there, and the phrase that they are when they stand as they were typed."""

    phrases: tuple[Phrase, ...]
    typed: Phrase


@dataclass(frozen=True)
class Query:
    """One alternative of each group is there, and no phrase that is excluded."""

    groups: tuple[tuple[Alternative, ...], ...] = ()
    excluded: tuple[Phrase, ...] = ()

    @property
    def phrases(self) -> tuple[Phrase, ...]:
        """Every phrase that is looked for."""
        return tuple(phrase for group in self.groups for each in group for phrase in each.phrases)


def fold(text: str) -> str:
    """The text in simplified characters, in lower case, letters and digits in half width; of the same length."""
    simple = folding.fold(text)
    lower = simple.lower()
    if len(lower) != len(simple):
        lower = "".join(low if len(low := letter.lower()) == 1 else letter for letter in simple)
    return lower


def tokens(text: str) -> list[str]:
    """What of a text is indexed, in its order."""
    found: list[str] = []
    for run in _RUN.findall(_TORN.sub("", fold(text[:_INDEXED]))):
        if len(run) == 1 or run[0] < "\x80":
            found.append(run)
        else:
            found += map(add, run, run[1:])
    return found


# What of a post is filtered by is indexed too, as tokens that no text contains.


def event_facts(topic: str, place: str, grade: int) -> str:
    """What posts are found by of their event: paths of topic and place, grade."""
    return f"g:{grade}{f' t:{topic}' if topic else ''}{f' p:{place}' if place else ''}"


def facts(of_event: str, source: str, *, expects_answer: bool, drill: bool) -> str:
    """What a post is found by besides its text: `event_facts`, and what is its own."""
    return f"{of_event} s:{source} x:{int(expects_answer)}{' d:1' if drill else ''}"


@lru_cache(maxsize=10_000)
def fact_tokens(found: str) -> str:
    """The tokens of facts, separated by spaces; those of paths with all that lie above them."""
    tokens: list[str] = []
    for fact in found.split():
        tokens.append(fact_token(fact[0], fact[2:]))
        if fact[0] in "tp":
            tokens += [fact_token(fact[0], fact[2:at]) for at, letter in enumerate(fact) if letter == "."]
    return " ".join(tokens)


def fact_token(kind: str, value: str) -> str:
    """A fact as a token: ASCII, of which tokenizers think much, becomes characters for private use."""
    return f"{kind}:{value}".translate(_PRIVATE)


def parse(text: str, names: Names = lambda run: ()) -> Query:
    """Reads a query: words are all to be there, "phrases" as they stand, -word not; OR joins two alternatives.

    An unquoted run of Chinese is cut into its words; a single character among them is passed over. `names`: where names
    stand in a run that are words of their own, which no dictionary has. Raises QueryError.
    """
    groups: list[list[Alternative]] = []
    excluded: list[Phrase] = []
    either = False
    for match in _QUERY.finditer(_QUOTES.sub('"', text)):
        phrase, word = match["phrase"], match["word"]
        if word == "OR" and not match["minus"]:
            if either or not groups:
                raise QueryError(_DANGLING)
            either = True
            continue
        if match["minus"]:
            if either:
                raise QueryError("has an exclusion beside OR; put the exclusion at the end")
            excluded += _phrase(word if phrase is None else phrase)
            continue
        found = _cut(word, names) if phrase is None else _phrase(phrase)
        typed = _phrase(word) if phrase is None else found
        if found:
            alternative = Alternative(found, (typed or found)[0])
            if either:
                groups[-1].append(alternative)
            else:
                groups.append([alternative])
        elif either:
            raise QueryError(_DANGLING)
        either = False
    if either:
        raise QueryError(_DANGLING)
    query = Query(tuple(map(tuple, groups)), tuple(excluded))
    if not groups and not excluded and text.strip():
        raise QueryError("has no word to search; give one of two characters or more, or letters and digits")
    if len(query.phrases) + len(excluded) > MOST_WORDS:
        raise QueryError(f"has more than {MOST_WORDS} words; leave some out")
    return query


def _cut(word: str, names: Names) -> tuple[Phrase, ...]:
    found: list[str] = []
    for run in _RUN.findall(fold(word)):
        if run[0] < "\x80":
            found.append(run)
            continue
        at = 0
        for start, length in names(run):
            found += [*_words(run[at:start]), run[start : start + length]]
            at = start + length
        found += _words(run[at:])
    return tuple(Phrase(tuple(tokens(piece)), piece) for piece in dict.fromkeys(found))


def _words(run: str) -> list[str]:
    """The words of a run of Chinese, without single characters."""
    pieces: list[str] = []
    single = False
    for piece in cut(run):
        # Characters that no dictionary joins are a name more often than not.
        if single and len(piece) == 1:
            pieces[-1] += piece
        else:
            pieces.append(piece)
        single = len(piece) == 1
    return [piece for piece in pieces if len(piece) > 1]


def _phrase(text: str) -> tuple[Phrase, ...]:
    """A phrase as it stands. Where a character alone begins or ends it, its neighbours in a text are not known."""
    found = tokens(text)
    while found and _is_character(found[0]):
        del found[0]
    while found and _is_character(found[-1]):
        del found[-1]
    return (Phrase(tuple(found), fold(text)),) if found else ()


def _is_character(found: str) -> bool:
    return len(found) == 1 and not found.isascii()


Piece = tuple[str, bool]
"""A part of a text, and whether the query looks for it."""


class Marker:
    """Shows texts with what a query looks for marked."""

    def __init__(self, query: Query) -> None:
        patterns = [_pattern(phrase.text) for phrase in query.phrases]
        # Of words that begin at the same character the longest is marked.
        patterns.sort(key=len, reverse=True)
        self._looked_for = re.compile("|".join(dict.fromkeys(patterns))) if patterns else None

    def whole(self, text: str) -> list[Piece]:
        """All of a text on one line."""
        text = _SPACE.sub(" ", text).strip()
        return self._pieces(text, 0, len(text), self._spans(text))

    def snippet(self, text: str) -> list[Piece]:
        """The part of a text, of at most 120 characters besides the ellipses, that has most of what is looked for."""
        text = _SPACE.sub(" ", text).strip()
        spans = self._spans(text)
        start = 0
        if spans and len(text) > _SNIPPET:
            starts = [max(0, min(at - _BEFORE, len(text) - _SNIPPET)) for at, _ in spans]
            start = max(starts, key=lambda first: (_distinct(text, spans, first), -first))
        end = min(start + _SNIPPET, len(text))
        pieces = self._pieces(text, start, end, spans)
        before: list[Piece] = [("…", False)] if start else []
        after: list[Piece] = [("…", False)] if end < len(text) else []
        return before + pieces + after

    def _spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in self._looked_for.finditer(fold(text))] if self._looked_for else []

    @staticmethod
    def _pieces(text: str, start: int, end: int, spans: Sequence[tuple[int, int]]) -> list[Piece]:
        pieces: list[Piece] = []
        at = start
        for first, last in spans:
            if first < at or last > end:
                continue
            if first > at:
                pieces.append((text[at:first], False))
            pieces.append((text[first:last], True))
            at = last
        if at < end:
            pieces.append((text[at:end], False))
        return pieces


def _pattern(text: str) -> str:
    runs = _RUN.findall(_TORN.sub("", text))
    before = r"(?<![0-9a-z])" if runs[0] < "\x80" else ""
    after = r"(?![0-9a-z])" if runs[-1] < "\x80" else ""
    return before + r"[\W_]*".join(run if run[0] < "\x80" else r"\s*".join(run) for run in runs) + after


def _distinct(text: str, spans: Sequence[tuple[int, int]], start: int) -> int:
    return len({text[at:end] for at, end in spans if start <= at and end <= start + _SNIPPET})
