"""The tables of the collector. Times are microseconds, UTC."""

from __future__ import annotations

from typing import Final

from huiyin_chassis.tables import define_tables
from huiyin_chassis.webhooks import secret_columns
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from huiyin_collector.model.posts import REACH

METADATA: Final = MetaData()
define_tables(METADATA)

SOURCES: Final = Table(
    "sources",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("expects_answer", Boolean, nullable=False),
    Column("area", Text, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
)

POSTS: Final = Table(
    "posts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("drill", Boolean, nullable=False),
    Column("revision", BigInteger, nullable=False),
    # Of subject and text: tells an edit from a repetition.
    Column("digest", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("publish_time", BigInteger, nullable=False),
    Column("collect_time", BigInteger, nullable=False),
    Column("uri", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in REACH),
    # When that was seen.
    Column("reach_time", BigInteger, nullable=False),
    Column("expects_answer", Boolean, nullable=False),
    Column("held", Boolean, nullable=False),
    # Taken back at its source while it was held.
    Column("withdrawn", Boolean, nullable=False),
    Column("latitude", Double),
    Column("longitude", Double),
    # Drill and real never meet, so a rehearsal takes no identity away from what is real.
    UniqueConstraint("source", "external_id", "drill", name="posts_once"),
    Index("posts_by_collection", "collect_time", "id"),
    Index("posts_by_publication", "publish_time", "id"),
    Index("posts_withdrawn", "id", sqlite_where=text("withdrawn"), postgresql_where=text("withdrawn")),
)

# Watch shows each change with the text of its own revision, however late it is read.
PAST_TEXTS: Final = Table(
    "past_texts",
    METADATA,
    Column("post", Text, primary_key=True),
    Column("revision", BigInteger, primary_key=True, autoincrement=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
)

# What the reach of a post was at the end of hours that are over.
PAST_REACH: Final = Table(
    "past_reach",
    METADATA,
    Column("post", Text, primary_key=True),
    Column("time", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, BigInteger, nullable=False) for name in REACH),
)

# What is visited, and how that goes. A row of its own beside the source: it changes with each visit.
VISITS: Final = Table(
    "visits",
    METADATA,
    Column("source", Text, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("uri", Text, nullable=False),
    # How it is read: the message of its kind, serialized; empty for feeds.
    Column("rules", LargeBinary, nullable=False),
    # What tells one from another: of feeds the address, however it is spelled; of others the rules too.
    Column("key", LargeBinary, nullable=False, unique=True),
    Column("state", Integer, nullable=False),
    # When it is visited next; while somebody visits it, when that one's lease ends.
    Column("next_time", BigInteger, nullable=False),
    # Who visits it; empty: nobody.
    Column("lease", Text, nullable=False),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    Column("last_visit_time", BigInteger, nullable=False),
    Column("last_success_time", BigInteger, nullable=False),
    Column("last_item_time", BigInteger, nullable=False),
    Column("error_streak", Integer, nullable=False),
    Column("error_reason", Text, nullable=False),
    Column("error_message", Text, nullable=False),
    Column("items_a_day", Float, nullable=False),
    Column("items_total", BigInteger, nullable=False),
    Column("items_passed_over", Integer, nullable=False),
    # In days.
    Column("longest_pause", Float, nullable=False),
    Column("alarm", Integer, nullable=False),
    Column("alarm_time", BigInteger, nullable=False),
    # Counts alarms that began or ended.
    Column("revision", BigInteger, nullable=False),
    # Where the next visit goes on that was not at its end: the number of a page and its address; empty: from the top.
    Column("resume", Text, nullable=False),
    Column("articles_waiting", Integer, nullable=False),
    Column("articles_broken", Integer, nullable=False),
    Index("visits_due", "state", "next_time"),
)

# By what an item is known again: the hash of its page's address or of its id in its feed.
POST_KEYS: Final = Table(
    "post_keys",
    METADATA,
    Column("key", LargeBinary, primary_key=True),
    # Empty once the post is purged: its source may go on showing it, and it must not come in again.
    Column("post", Text, nullable=False),
    Column("purge_time", BigInteger, nullable=False),
    Index("post_keys_by_post", "post"),
    Index("post_keys_by_purge", "purge_time"),
)

# Other sources that carry a post.
POST_PLACES: Final = Table(
    "post_places",
    METADATA,
    Column("post", Text, primary_key=True),
    Column("source", Text, primary_key=True),
)

# Articles that a list shows or showed. Nothing of what they say.
ARTICLES: Final = Table(
    "articles",
    METADATA,
    Column("source", Text, primary_key=True),
    # The hash of its page's address.
    Column("key", LargeBinary, primary_key=True),
    Column("uri", Text, nullable=False),
    # When the list says that it is from; 0: it does not say.
    Column("publish_time", BigInteger, nullable=False),
    Column("etag", Text, nullable=False),
    Column("last_modified", Text, nullable=False),
    # When it was read first; 0: not yet.
    Column("first_time", BigInteger, nullable=False),
    # When it is looked at next; 0: never again.
    Column("check_time", BigInteger, nullable=False),
    # How often it failed in a row, and how often in a row it was not there any more.
    Column("failures", Integer, nullable=False),
    Column("missing", Integer, nullable=False),
    # When the list last showed it, give or take a day.
    Column("seen_time", BigInteger, nullable=False),
    Index("articles_due", "source", "check_time"),
    Index("articles_by_sight", "seen_time"),
)

# With whom a secret is shared: the system that delivers into an inbox.
SECRETS: Final = Table("source_secrets", METADATA, Column("source", Text, primary_key=True), *secret_columns())

# Why rows of imports were refused, and nothing of what stood in them. As long as their operations.
REFUSED_ROWS: Final = Table(
    "refused_rows",
    METADATA,
    Column("operation", Text, primary_key=True),
    Column("row", BigInteger, primary_key=True, autoincrement=False),
    Column("field", Text, nullable=False),
    Column("description", Text, nullable=False),
)
