"""The search index over posts: FTS5 on SQLite, a tsvector with a GIN index on PostgreSQL, of the same tokens.

Rows are numbered by time of publication, so that the newest matches are found without sorting. What posts are filtered
by is indexed as tokens beside their words. The table of the words is made here and not by a migration, since it follows
from the posts: an index of another form is dropped and built anew. FTS5 keeps no texts; a row is taken out by the text
that it was made of, so `forget` comes before a text is overwritten.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Final

from huiyin_chassis.bulk import chunks, insert_many, update_many
from huiyin_chassis.tables import CHANGES, FEED
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    case,
    cast,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    table,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from huiyin_analyzer.model import search
from huiyin_analyzer.model.search import Alternative, Phrase, Query
from huiyin_analyzer.store import EVENTS, POSTS, SEARCH_EVENTS, SEARCH_INDEX, SEARCH_POSTS

LOOKED_AT: Final = 2000
"""So many of the newest matches are counted, ranked and grouped; all of a common word would take a second."""

_ROWS_A_SECOND: Final = 64
"""Row numbers that a second of publication has; beyond them posts take those of the seconds that follow."""
_SECOND: Final = 1_000_000
_GAP: Final = 10
"""Positions between subject and text, so that no phrase goes across."""

_WORDS = table("search_words", column("rowid"), column("search_words"), column("words"))

_CREATE: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (
        "CREATE VIRTUAL TABLE search_words USING fts5(subject, text, facts, content='', detail=full, tokenize='ascii')",
        # Merging eight pieces at a time and not four saves a third of the work of inserting.
        "INSERT INTO search_words (search_words, rank) VALUES ('automerge', 8)",
    ),
    "postgresql": (
        "CREATE TABLE search_words (rowid bigint PRIMARY KEY, words tsvector NOT NULL)",
        "CREATE INDEX search_words_by_word ON search_words USING gin (words)",
    ),
}
_INSERT: Final[Mapping[str, str]] = {
    "sqlite": "INSERT INTO search_words (rowid, subject, text, facts) VALUES (?, ?, ?, ?)",
    "postgresql": "INSERT INTO search_words (rowid, words) VALUES (%s, CAST(%s AS tsvector))",
}
_DELETE: Final[Mapping[str, str]] = {
    "sqlite": "INSERT INTO search_words (search_words, rowid, subject, text, facts) VALUES ('delete', ?, ?, ?, ?)",
    "postgresql": "DELETE FROM search_words WHERE rowid = %s",
}


@dataclass(frozen=True)
class Position:
    """How far the index has come: see SEARCH_INDEX."""

    number: int
    sequence: int


# Building


def prepare(connection: Connection) -> bool:
    """Makes the index where there is none, or none that can be used; returns whether it did."""
    if position(connection) is not None:
        return False
    head = connection.scalar(select(func.max(CHANGES.c.sequence))) or 0
    expired = connection.scalar(select(FEED.c.expired_through)) or 0
    forgotten = connection.scalar(select(SEARCH_INDEX.c.forgotten)) or 0
    connection.execute(text("DROP TABLE IF EXISTS search_words"))
    for statement in _CREATE[connection.dialect.name]:
        connection.execute(text(statement))
    for emptied in (SEARCH_POSTS, SEARCH_EVENTS, SEARCH_INDEX):
        connection.execute(delete(emptied))
    connection.execute(
        insert(SEARCH_INDEX),
        {
            "id": 1,
            "form": search.FORM,
            "number": 0,
            "sequence": max(head, expired),
            "forgotten": forgotten,
            "destroyed": forgotten,
        },
    )
    return True


def position(connection: Connection) -> Position | None:
    """How far the index has come; None where it is to be made anew."""
    expired = select(FEED.c.expired_through).scalar_subquery()
    row = connection.execute(select(SEARCH_INDEX, expired.label("expired"))).one_or_none()
    if row is None or row.form != search.FORM or row.sequence < row.expired:
        return None
    return Position(row.number, row.sequence)


def move(connection: Connection, to: Position) -> None:
    """Notes how far the index has come."""
    connection.execute(update(SEARCH_INDEX).values(number=to.number, sequence=to.sequence))


def posts_after(connection: Connection, number: int, limit: int) -> list[Row[int, str]]:
    """(number, id) of the posts that come next."""
    query = select(POSTS.c.number, POSTS.c.id).where(POSTS.c.number > number)
    return list(connection.execute(query.order_by(POSTS.c.number).limit(limit)))


def changes_after(connection: Connection, sequence: int, limit: int) -> list[Row[int, str, str]]:
    """(sequence, kind, name) of the changes that come next."""
    query = select(CHANGES.c.sequence, CHANGES.c.kind, CHANGES.c.name).where(CHANGES.c.sequence > sequence)
    return list(connection.execute(query.order_by(CHANGES.c.sequence).limit(limit)))


def claim(connection: Connection, at: Position) -> bool:
    """Keeps others from indexing until the transaction ends; False where the index is not at this position any more."""
    here = (SEARCH_INDEX.c.number == at.number) & (SEARCH_INDEX.c.sequence == at.sequence)
    return connection.execute(update(SEARCH_INDEX).where(here).values(number=at.number)).rowcount == 1


@dataclass(frozen=True)
class Outdated:
    """Facts of an event, and its posts that are indexed by other facts."""

    facts: str
    posts: list[str]


def outdated_posts(connection: Connection, event_ids: Collection[str]) -> dict[str, Outdated]:
    """What is to be indexed anew of the events whose facts changed."""
    known = _facts_of_events(connection, event_ids)
    found: dict[str, Outdated] = {}
    for event_id, facts in _current_facts(connection, event_ids).items():
        if known.get(event_id, facts) != facts:
            query = select(SEARCH_POSTS.c.post_id).join(POSTS, POSTS.c.id == SEARCH_POSTS.c.post_id)
            others = ~SEARCH_POSTS.c.facts.startswith(f"{facts} s:", autoescape=True)
            posts = list(connection.scalars(query.where(POSTS.c.event_id == event_id, others)))
            found[event_id] = Outdated(facts, posts)
    return found


def settle_events(connection: Connection, done: Mapping[str, Outdated]) -> None:
    """Notes that all posts of events are indexed by their facts, where these have not changed meanwhile."""
    current = _current_facts(connection, done)
    rows = [
        {"event_id": event_id, "facts": outdated.facts}
        for event_id, outdated in done.items()
        if current.get(event_id) == outdated.facts
    ]
    update_many(connection, SEARCH_EVENTS, rows, key="event_id")


def index(connection: Connection, post_ids: Iterable[str]) -> None:
    """Makes the rows of posts what they should be; those that are so already are left alone."""
    for chunk in chunks(post_ids):
        posts: Sequence[Row[Any]] = connection.execute(_POSTS.where(POSTS.c.id.in_(chunk))).all()
        rows = connection.execute(select(SEARCH_POSTS).where(SEARCH_POSTS.c.post_id.in_(chunk)))
        _index(connection, posts, {row.post_id: row for row in rows})


def forget(connection: Connection, post_id: str, subject: str, text: str) -> None:
    """Takes a post out before its text, which is given, is overwritten."""
    # First, so that nobody indexes the text at the same time.
    connection.execute(update(SEARCH_INDEX).values(forgotten=SEARCH_INDEX.c.forgotten + 1))
    row = connection.execute(select(SEARCH_POSTS).where(SEARCH_POSTS.c.post_id == post_id)).one_or_none()
    if row is not None:
        _take_out(connection, [(row, _Words.of(subject, text))])
        connection.execute(delete(SEARCH_POSTS).where(SEARCH_POSTS.c.id == row.id))


_POSTS: Select[Any] = select(
    POSTS.c.id,
    POSTS.c.event_id,
    POSTS.c.source,
    POSTS.c.subject,
    POSTS.c.text,
    POSTS.c.publish_time,
    POSTS.c.expects_answer,
    POSTS.c.drill,
    EVENTS.c.topic,
    EVENTS.c.place,
    EVENTS.c.grade,
).join(EVENTS, EVENTS.c.id == POSTS.c.event_id)


@dataclass(frozen=True)
class _Words:
    subject: list[str]
    text: list[str]

    @classmethod
    def of(cls, subject: str, text: str) -> _Words:
        return cls(search.tokens(subject), search.tokens(text))

    @property
    def checksum(self) -> int:
        return zlib.crc32(" ".join([*self.subject, "", *self.text]).encode())


def _index(connection: Connection, posts: Sequence[Row[Any]], known: Mapping[str, Row[Any]]) -> None:
    new: list[tuple[Row[Any], str, _Words]] = []
    changed: list[tuple[Row[Any], _Words]] = []
    rows: list[dict[str, object]] = []
    words_of: list[tuple[int, str, _Words]] = []
    for post in posts:
        facts = search.facts(_event_facts(post), post.source, expects_answer=post.expects_answer, drill=post.drill)
        row = known.get(post.id)
        if row is None and (post.subject or post.text):
            new.append((post, facts, _Words.of(post.subject, post.text)))
        elif row is not None and (row.facts, row.event_id) != (facts, post.event_id):
            words = _Words.of(post.subject, post.text)
            changed.append((row, words))
            words_of.append((row.id, facts, words))
            rows.append({"id": row.id, "event_id": post.event_id, "facts": facts})
    _take_out(connection, changed)
    update_many(connection, SEARCH_POSTS, rows)
    ids = _free_ids(connection, [post.publish_time for post, _, _ in new])
    insert_many(
        connection,
        SEARCH_POSTS,
        [
            {
                "id": row_id,
                "post_id": post.id,
                "event_id": post.event_id,
                "facts": facts,
                "checksum": words.checksum,
            }
            for row_id, (post, facts, words) in zip(ids, new, strict=True)
        ],
    )
    words_of += [(row_id, facts, words) for row_id, (_, facts, words) in zip(ids, new, strict=True)]
    _put_in(connection, words_of)
    _note_events(connection, {post.event_id: _event_facts(post) for post in posts})


def _put_in(connection: Connection, rows: Sequence[tuple[int, str, _Words]]) -> None:
    if not rows:
        return
    values: list[tuple[Any, ...]]
    if connection.dialect.name == "sqlite":
        values = [_fts5_row(row_id, facts, words) for row_id, facts, words in rows]
    else:
        values = [(row_id, _tsvector(facts, words)) for row_id, facts, words in rows]
    connection.exec_driver_sql(_INSERT[connection.dialect.name], values)


def _take_out(connection: Connection, rows: Sequence[tuple[Row[Any], _Words]]) -> None:
    values: list[tuple[Any, ...]] = []
    for row, words in rows:
        if connection.dialect.name == "postgresql":
            values.append((row.id,))
        elif words.checksum == row.checksum:
            values.append(_fts5_row(row.id, row.facts, words))
        else:  # a text was overwritten without `forget`; what the index holds of it is not known any more
            connection.execute(update(SEARCH_INDEX).values(form=""))
    if values:
        connection.exec_driver_sql(_DELETE[connection.dialect.name], values)


def _note_events(connection: Connection, facts: Mapping[str, str]) -> None:
    """Notes what an event's posts are indexed by; "" where it changed, until all of them are indexed anew."""
    known = _facts_of_events(connection, facts)
    new = [{"event_id": event, "facts": found} for event, found in facts.items() if event not in known]
    changed = [{"event_id": event, "facts": ""} for event, found in facts.items() if known.get(event, found) != found]
    insert_many(connection, SEARCH_EVENTS, new)
    update_many(connection, SEARCH_EVENTS, changed, key="event_id")


def _facts_of_events(connection: Connection, event_ids: Iterable[str]) -> dict[str, str]:
    """What the posts of events are indexed by."""
    return {
        row.event_id: row.facts
        for chunk in chunks(event_ids)
        for row in connection.execute(select(SEARCH_EVENTS).where(SEARCH_EVENTS.c.event_id.in_(chunk)))
    }


def _current_facts(connection: Connection, event_ids: Iterable[str]) -> dict[str, str]:
    """What the posts of events should be indexed by."""
    query = select(EVENTS.c.id, EVENTS.c.topic, EVENTS.c.place, EVENTS.c.grade)
    return {
        row.id: _event_facts(row)
        for chunk in chunks(event_ids)
        for row in connection.execute(query.where(EVENTS.c.id.in_(chunk)))
    }


def _event_facts(row: Any) -> str:
    return search.event_facts(row.topic, row.place, row.grade)


def _row_id(time: int) -> int:
    """The first row of the second in which a post was published."""
    return time // _SECOND * _ROWS_A_SECOND


def _free_ids(connection: Connection, times: Sequence[int]) -> list[int]:
    """Rows for posts published at these times: for each the first that is free."""
    firsts = [_row_id(time) for time in times]
    taken = set(connection.scalars(select(SEARCH_POSTS.c.id).where(SEARCH_POSTS.c.id.in_(firsts))))
    given: set[int] = set()
    next_of: dict[int, int] = {}
    found = []
    for first in firsts:
        row_id = next_of.get(first, first)
        if first in taken:
            row_id = _free(connection, row_id)
        while row_id in given or (row_id != first and row_id != _free(connection, row_id)):
            row_id += 1
        given.add(row_id)
        next_of[first] = row_id + 1
        found.append(row_id)
    return found


def _free(connection: Connection, row_id: int) -> int:
    """The first row that is free from one on."""
    if not connection.scalar(select(exists().where(SEARCH_POSTS.c.id == row_id))):
        return row_id
    after = SEARCH_POSTS.alias()
    query = select(SEARCH_POSTS.c.id + 1).where(
        SEARCH_POSTS.c.id >= row_id, ~exists().where(after.c.id == SEARCH_POSTS.c.id + 1)
    )
    return int(connection.execute(query.order_by(SEARCH_POSTS.c.id).limit(1)).scalar_one())


def _fts5_row(row_id: int, facts: str, words: _Words) -> tuple[int, str, str, str]:
    return row_id, " ".join(words.subject), " ".join(words.text), search.fact_tokens(facts)


def _tsvector(facts: str, words: _Words) -> str:
    start = len(words.subject) + _GAP
    return " ".join(
        chain(
            (f"'{word}':{at}A" for at, word in enumerate(words.subject, 1)),
            (f"'{word}':{at}" for at, word in enumerate(words.text, start)),
            (f"'{fact}'" for fact in search.fact_tokens(facts).split()),
        )
    )


# Destroying


def forgotten(connection: Connection) -> int:
    """How many texts were taken out since the bytes of such texts were destroyed last."""
    return connection.scalar(select(SEARCH_INDEX.c.forgotten - SEARCH_INDEX.c.destroyed)) or 0


def note_destroyed(connection: Connection, count: int) -> None:
    """Notes that the bytes of so many texts more are gone."""
    connection.execute(update(SEARCH_INDEX).values(destroyed=SEARCH_INDEX.c.destroyed + count))


def begin_merge(connection: Connection) -> None:
    """Begins to write the index anew in one piece, which leaves out what was taken out. FTS5 only."""
    connection.execute(text("INSERT INTO search_words (search_words, rank) VALUES ('merge', -1)"))


def merge(connection: Connection, pages: int) -> bool:
    """Goes on for so many pages; returns whether more is to be done. FTS5 only."""
    raw: Any = connection.connection.driver_connection
    before = raw.total_changes
    connection.execute(text("INSERT INTO search_words (search_words, rank) VALUES ('merge', :pages)"), {"pages": pages})
    return bool(raw.total_changes - before >= 2)  # as FTS5's documentation tells when it is done


# Searching


@dataclass(frozen=True)
class Wanted:
    """What is searched: of each group of facts one, none of those without, published in [since, until)."""

    query: Query
    facts: tuple[tuple[str, ...], ...]
    without: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None


ROW: Final[ColumnElement[int]] = _WORDS.c.rowid
"""The number of a match: the greater, the later it was published."""


def matches(connection: Connection, wanted: Wanted, also: str = "") -> Select[Any]:
    """A query of the numbers of all matches, in no order. `also`: what else is to hold, as the database writes it."""
    database = connection.dialect.name
    expression = _expression(_LANGUAGES[database], wanted, also)
    if database == "sqlite":
        found = _WORDS.c.search_words.op("MATCH")(expression)
    else:
        found = _WORDS.c.words.op("@@")(cast(literal(expression), TSQUERY))
    query: Select[Any] = select(ROW).where(found)
    if wanted.since is not None:
        query = query.where(_row_id(wanted.since) <= ROW)
    if wanted.until is not None:
        query = query.where(_row_id(wanted.until) > ROW)
    return query


def newest(connection: Connection, wanted: Wanted, limit: int = LOOKED_AT) -> Subquery:
    """The newest matches."""
    return matches(connection, wanted).order_by(ROW.desc()).limit(limit).subquery()


def ranked(connection: Connection, wanted: Wanted) -> Subquery:
    """The newest matches with their points; the more, the more relevant.

    FTS5's BM25 would go through all posts of each word to learn how rare it is. This looks at the newest alone,
    and ranks alike on both databases.
    """
    found = matches(connection, wanted).order_by(ROW.desc()).limit(LOOKED_AT).cte("newest")
    oldest = select(func.min(found.c.rowid)).scalar_subquery()
    points: ColumnElement[int] = literal(0)
    for worth, condition in _conditions(_LANGUAGES[connection.dialect.name], wanted.query):
        those = matches(connection, wanted, also=condition).where(oldest <= ROW)
        points = points + case((found.c.rowid.in_(those), worth), else_=0)
    return select(found.c.rowid, points.label("points")).subquery()


def count(connection: Connection, wanted: Wanted) -> int:
    """How many match, counted up to one more than are looked at."""
    return connection.scalar(select(func.count()).select_from(newest(connection, wanted, LOOKED_AT + 1))) or 0


def found_posts(connection: Connection, rows: Sequence[int]) -> dict[int, Row[Any]]:
    """Posts by their row in the index."""
    query = select(SEARCH_POSTS.c.id.label("row"), POSTS).join(POSTS, POSTS.c.id == SEARCH_POSTS.c.post_id)
    return {row.row: row for row in connection.execute(query.where(SEARCH_POSTS.c.id.in_(rows)))}


@dataclass(frozen=True)
class _Language:
    """How a database writes a query. Tokens hold nothing that would have to be escaped."""

    both: str
    either: str
    but: str
    next: str
    token: str
    subject_token: str
    in_subject: str
    phrase: str


_LANGUAGES: Final[Mapping[str, _Language]] = {
    "sqlite": _Language(" AND ", " OR ", " NOT ", " ", "{}", "{}", "subject : ({})", '"{}"'),
    "postgresql": _Language(" & ", " | ", " & !", " <-> ", "'{}'", "'{}':A", "({})", "({})"),
}


def _expression(language: _Language, wanted: Wanted, also: str) -> str:
    groups = [[_phrase(language, [fact]) for fact in facts] for facts in wanted.facts]
    parts = [_words(language, wanted.query.groups, _all_there), *(f"({language.either.join(each)})" for each in groups)]
    there = language.both.join(filter(None, [*parts, also]))
    without = [_phrase(language, phrase.tokens) for phrase in wanted.query.excluded]
    without += [_phrase(language, [fact]) for fact in wanted.without]
    return f"({there}){language.but}({language.either.join(without)})" if without else there


def _conditions(language: _Language, query: Query) -> Iterator[tuple[int, str]]:
    """What makes a match more relevant, with the points that it brings."""
    in_subject = replace(language, token=language.subject_token)
    yield 2, language.in_subject.format(_words(in_subject, query.groups, _all_there))
    if len(query.phrases) > 1:
        either = language.either.join(_phrase(in_subject, phrase.tokens) for phrase in query.phrases)
        yield 1, language.in_subject.format(either)
    if any(each.phrases != (each.typed,) for group in query.groups for each in group):
        yield 2, _words(language, query.groups, lambda alternative: (alternative.typed,))


def _words(
    language: _Language, groups: Iterable[Iterable[Alternative]], needed: Callable[[Alternative], Iterable[Phrase]]
) -> str:
    """Of each group one alternative, of which those phrases are there that are `needed`."""
    written = (
        [f"({language.both.join(_phrase(language, phrase.tokens) for phrase in needed(each))})" for each in group]
        for group in groups
    )
    return language.both.join(f"({language.either.join(group)})" for group in written)


def _all_there(alternative: Alternative) -> tuple[Phrase, ...]:
    return alternative.phrases


def _phrase(language: _Language, tokens: Iterable[str]) -> str:
    return language.phrase.format(language.next.join(map(language.token.format, tokens)))
