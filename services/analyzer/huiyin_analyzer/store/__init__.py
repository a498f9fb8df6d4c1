"""The analyzer's tables: posts as they were read, events, topics, places; and the SQL over them.

Times are microseconds since the epoch, UTC. Paths of topics and places are kept without their collection, "" for none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huiyin_chassis.bulk import chunks, insert_many, update_many
from huiyin_chassis.store import Store, Tx
from huiyin_chassis.tables import POLICIES, Id, define_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Table,
    Text,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

MIGRATIONS = Path(__file__).parents[1] / "migrations"

METADATA = MetaData()
define_tables(METADATA)

POSTS = Table(
    "posts",
    METADATA,
    Column("id", Text, primary_key=True),
    # Its place in the order in which posts were joined; the joiner is a function of that order.
    Column("number", BigInteger, nullable=False, unique=True),
    Column("event_id", Text, nullable=False),
    # Of a post that was moved: the event that it joined at first, and the one it belonged to before; "" of another.
    Column("joined_event_id", Text, nullable=False),
    Column("previous_event_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    # The terms by which it was joined, in JSON, where the text was edited afterwards.
    Column("terms", Text),
    Column("publish_time", BigInteger, nullable=False),
    Column("expects_answer", Boolean, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("votes", BigInteger, nullable=False),
    Column("voice_day", LargeBinary, nullable=False),
    Column("topic", Text, nullable=False),
    # The number of the model that told the topic, 0: the words of the tree, or a person; how surely; whether a person
    # should look.
    Column("topic_model", BigInteger, nullable=False),
    Column("topic_confidence", Double, nullable=False),
    Column("topic_low", Boolean, nullable=False),
    # The number of the correction that holds, 0: none; whether it was made of the whole event, whose topic it decides.
    Column("topic_correction", BigInteger, nullable=False),
    Column("topic_decides", Boolean, nullable=False),
    Column("place", Text, nullable=False),
    Column("intent", Integer, nullable=False),
    Column("harm", Integer, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("posts_by_event", "event_id", "number"),
    Index("posts_to_review", "number", sqlite_where=text("topic_low = 1"), postgresql_where=text("topic_low")),
    Index(
        "posts_corrected",
        "number",
        sqlite_where=text("topic_correction > 0"),
        postgresql_where=text("topic_correction > 0"),
    ),
)

EVENTS = Table(
    "events",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("grade", Integer, nullable=False),
    # A serialized huiyin.analyzer.v1.Assessment.
    Column("assessment", LargeBinary, nullable=False),
    # What it was graded by: the version of the policy, and the newest decision on it, 0 where there is none.
    Column("policy_version", Integer, nullable=False),
    Column("override_number", BigInteger, nullable=False),
    Column("post_count", BigInteger, nullable=False),
    Column("inquiry_count", BigInteger, nullable=False),
    Column("first_publish_time", BigInteger, nullable=False),
    Column("last_publish_time", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("hold", Integer, nullable=False),
    # The event that took its posts over, the one that its first posts were split from, the closed one that it echoes.
    Column("merged_into", Text, nullable=False),
    Column("split_from", Text, nullable=False),
    Column("echo_of", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index("events_by_grade", "grade"),
    Index("events_by_policy", "policy_version"),
    Index("events_by_place", "place"),
    Index("events_by_topic", "topic"),
    Index(
        "events_merged",
        "merged_into",
        sqlite_where=text("merged_into <> ''"),
        postgresql_where=text("merged_into <> ''"),
    ),
)

# As listings go through it: the largest first, of equals by id.
Index("events_by_size", EVENTS.c.post_count.desc(), EVENTS.c.id)
# All that the hot list reads of events that are not hot.
Index(
    "events_by_last_post",
    EVENTS.c.last_publish_time,
    EVENTS.c.first_publish_time,
    EVENTS.c.post_count,
    EVENTS.c.drill,
    EVENTS.c.id,
)

GRADE_OVERRIDES = Table(
    "grade_overrides",
    METADATA,
    # Every decision of people on grades. They are corrections: kept for good, whatever becomes of posts and events.
    Column("number", Id, primary_key=True),
    Column("event_id", Text, nullable=False),
    Column("grade", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("expire_time", BigInteger),
    Index("grade_overrides_by_event", "event_id", "number"),
    sqlite_autoincrement=True,
)

TOPIC_MODELS = Table(
    "topic_models",
    METADATA,
    Column("number", Id, primary_key=True),
    Column("create_time", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    # A serialized huiyin.analyzer.v1.TopicModelReport.
    Column("report", LargeBinary, nullable=False),
    # What model.topics.TopicModel makes of itself; empty once it is discarded.
    Column("model", LargeBinary, nullable=False),
    Column("discarded", Boolean, nullable=False),
    sqlite_autoincrement=True,
)

TOPIC_CHOICES = Table(
    "topic_choices",
    METADATA,
    # Which model was put in force, 0 for none, and by whom; the newest holds.
    Column("number", Id, primary_key=True),
    Column("model", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

REGROUPINGS = Table(
    "regroupings",
    METADATA,
    # What was merged, moved and split, in its order, and what the analyzer proposes. Kept for good: together with the
    # posts in their order it says which post belongs to which event.
    Column("number", Id, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("target_id", Text, nullable=False),
    # JSON list of the posts that move; of a merge that is only proposed, none.
    Column("posts", Text, nullable=False),
    # It came after the post of this number and before the next.
    Column("after_number", BigInteger, nullable=False),
    # False after a rebuild began, until it is carried out anew.
    Column("applied", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("drill", Boolean, nullable=False),
    Index("regroupings_by_state", "state", "number"),
    Index("regroupings_by_event", "event_id"),
    Index("regroupings_by_target", "target_id"),
    sqlite_autoincrement=True,
)

KEPT_HOLDS = Table(
    "kept_holds",
    METADATA,
    # What casework asked of events before a rebuild began; each is taken over by its event as that opens again.
    Column("event_id", Text, primary_key=True),
    Column("hold", Integer, nullable=False),
)

TOPIC_CORRECTIONS = Table(
    "topic_corrections",
    METADATA,
    # What people said of the topics of posts. Kept for good, whatever becomes of posts and events; the newest holds.
    Column("number", Id, primary_key=True),
    Column("post_id", Text, nullable=False),
    # The event, where it was said of all its posts together.
    Column("event_id", Text, nullable=False),
    # "": what was said before was taken back.
    Column("topic", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Index("topic_corrections_by_post", "post_id", "number"),
    sqlite_autoincrement=True,
)

TOPIC_RECOUNTS = Table(
    "topic_recounts",
    METADATA,
    # Events whose posts were given other topics than they had as they joined, for who holds counts of them in memory.
    Column("number", Id, primary_key=True),
    Column("event_id", Text, nullable=False),
    sqlite_autoincrement=True,
)

TOPIC_REREADING = Table(
    "topic_rereading",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # The choice of a model by which stored posts are read anew; the number of the post up to which they are; the last.
    Column("choice", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("through", BigInteger, nullable=False),
)

TOPICS = Table(
    "topics",
    METADATA,
    Column("path", Text, primary_key=True),
    Column("words", Text, nullable=False),
)

PLACES = Table(
    "places",
    METADATA,
    Column("path", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("aliases", Text, nullable=False),
)

TREES = Table(
    "trees",
    METADATA,
    # One row: grows with each change of topics or places, so that every process sees that its reader is out of date.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

TOKENIZERS = Table(
    "tokenizers",
    METADATA,
    # One row: which engine, and which version of it, cut the words of the posts that are here.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

SEARCH_INDEX = Table(
    "search_index",
    METADATA,
    # One row: how far the search index has come. Its words are in a table that the index makes itself.
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Which tokens it holds; "" for an index that is to be built anew.
    Column("form", Text, nullable=False),
    # Posts up to this number were indexed once, and changes up to this sequence were taken into account.
    Column("number", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    # Texts that were taken out, and of how many of them the bytes are gone.
    Column("forgotten", BigInteger, nullable=False),
    Column("destroyed", BigInteger, nullable=False),
)

SEARCH_POSTS = Table(
    "search_posts",
    METADATA,
    # The row of the index; it follows the time of publication.
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("post_id", Text, nullable=False, unique=True),
    Column("event_id", Text, nullable=False),
    # What the post is found by besides its text, and a checksum of the tokens of its text.
    Column("facts", Text, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

SEARCH_EVENTS = Table(
    "search_events",
    METADATA,
    Column("event_id", Text, primary_key=True),
    # What its posts are found by of it; "" where not all of them are indexed by the same.
    Column("facts", Text, nullable=False),
)


@dataclass(frozen=True)
class RuleBook:
    """Which trees, which grading policy, which decisions on grades and which topic model are in force."""

    trees: int
    policy: int
    decisions: int
    """How many decisions on grades there are."""
    topic_choice: int
    """The number of the newest choice of a topic model."""
    corrected: bool
    """Whether people ever corrected a topic."""


class AnalyzerStore(Store):
    """The analyzer's store. Its content follows from the collector's feed: it need not survive a loss of power."""

    def __init__(self, url: str) -> None:
        super().__init__(url, feed="analyzer", migrations=MIGRATIONS, durability="NORMAL")


def rule_book(connection: Connection) -> RuleBook:
    """What is in force now; one query."""
    trees = select(func.max(TREES.c.revision)).scalar_subquery()
    policy = select(func.max(POLICIES.c.version)).where(POLICIES.c.kind == "grading").scalar_subquery()
    decisions = select(func.count(GRADE_OVERRIDES.c.number)).scalar_subquery()
    choice = select(func.max(TOPIC_CHOICES.c.number)).scalar_subquery()
    corrected = exists().select_from(TOPIC_CORRECTIONS)
    row = connection.execute(select(trees, policy, decisions, choice, corrected)).one()
    return RuleBook(row[0] or 0, row[1] or 0, row[2], row[3] or 0, bool(row[4]))


def topics(connection: Connection) -> dict[str, list[str]]:
    """The words of each topic, by path."""
    return {row.path: json.loads(row.words) for row in connection.execute(select(TOPICS))}


def places(connection: Connection) -> dict[str, list[str]]:
    """The aliases of each place, by path."""
    return {row.path: json.loads(row.aliases) for row in connection.execute(select(PLACES))}


def write_tree(tx: Tx, table: Table, rows: Sequence[Mapping[str, str]]) -> int:
    """Writes nodes of a tree by path; returns how many were new or different."""
    known = {row.path: dict(row._mapping) for row in tx.execute(select(table))}
    new = [row for row in rows if row["path"] not in known]
    changed = [row for row in rows if row["path"] in known and known[row["path"]] != row]
    insert_many(tx.connection, table, new)
    update_many(tx.connection, table, changed, key="path")
    if (new or changed) and not tx.execute(update(TREES).values(revision=TREES.c.revision + 1)).rowcount:
        tx.execute(insert(TREES), {"id": 1, "revision": 1})
    return len(new) + len(changed)


def joined_posts(connection: Connection) -> Iterator[Row[Any]]:
    """Every post in the order of joining, without holding them all."""
    query = select(POSTS).order_by(POSTS.c.number).execution_options(yield_per=1000)
    yield from connection.execute(query)


def texts_kept(connection: Connection) -> set[str]:
    """The ids of posts whose text was not purged."""
    return set(connection.scalars(select(POSTS.c.id).where(or_(POSTS.c.subject != "", POSTS.c.text != ""))))


def known_posts(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Posts by id, of those that are there."""
    return {
        row.id: row for chunk in chunks(ids) for row in connection.execute(select(POSTS).where(POSTS.c.id.in_(chunk)))
    }


def events_by_id(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    """Events by id, of those that are there."""
    return {
        row.id: row for chunk in chunks(ids) for row in connection.execute(select(EVENTS).where(EVENTS.c.id.in_(chunk)))
    }


def holds_of(connection: Connection, ids: Iterable[str]) -> list[Row[str, int]]:
    """(id, hold) of events, of those that are there."""
    query = select(EVENTS.c.id, EVENTS.c.hold)
    return [row for chunk in chunks(ids) for row in connection.execute(query.where(EVENTS.c.id.in_(chunk)))]


def kept_holds(connection: Connection) -> dict[str, int]:
    """The holds of events before a rebuild that did not open again yet."""
    return {row.event_id: row.hold for row in connection.execute(select(KEPT_HOLDS))}


def take_over_holds(tx: Tx, event_ids: Iterable[str]) -> None:
    """Events that opened again have their holds themselves."""
    for chunk in chunks(event_ids):
        tx.execute(delete(KEPT_HOLDS).where(KEPT_HOLDS.c.event_id.in_(chunk)))


def post_ids_of(connection: Connection, event_ids: Sequence[str]) -> list[str]:
    """The posts of events, in the order of joining."""
    found: list[str] = []
    for chunk in chunks(event_ids):
        query = select(POSTS.c.id).where(POSTS.c.event_id.in_(chunk)).order_by(POSTS.c.number)
        found += connection.scalars(query)
    return found
