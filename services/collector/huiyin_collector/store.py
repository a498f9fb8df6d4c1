"""The collector's tables: sources, posts, and what earlier revisions of a post said. Times are microseconds, UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound
from huiyin_chassis.store import Store, Tx, insert_new
from huiyin_chassis.tables import define_tables
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
    tuple_,
    update,
)

from huiyin_collector.model.posts import REACH, MaskedPost

MIGRATIONS: Final = Path(__file__).parent / "migrations"

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
    Column("expects_answer", Boolean, nullable=False),
    Column("held", Boolean, nullable=False),
    # Drill and real never meet, so a rehearsal takes no identity away from what is real.
    UniqueConstraint("source", "external_id", "drill", name="posts_once"),
    Index("posts_by_collection", "collect_time", "id"),
    Index("posts_by_publication", "publish_time", "id"),
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

SOURCE_CREATED: Final = "source.created"
SOURCE_UPDATED: Final = "source.updated"
POST_CREATED: Final = "post.created"
POST_UPDATED: Final = "post.updated"
POST_PURGED: Final = "post.purged"

_POST_TYPE: Final = post_pb2.Post.DESCRIPTOR.full_name
_CREATED: Final = post_pb2.PostOutcome.KIND_CREATED
_UPDATED: Final = post_pb2.PostOutcome.KIND_UPDATED
_UNCHANGED: Final = post_pb2.PostOutcome.KIND_UNCHANGED
_WITH_TEXT: Final = frozenset({POST_CREATED, POST_UPDATED})

_KNOWN: Final = select(POSTS.c.external_id, POSTS.c.drill, POSTS.c.id, POSTS.c.revision, POSTS.c.digest)
_KEEP_PAST: Final = insert(PAST_TEXTS).from_select(
    ["post", "revision", "subject", "text"],
    select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text).where(POSTS.c.id == bindparam("post")),
)
_EDIT: Final = (
    update(POSTS)
    .where(POSTS.c.id == bindparam("post"))
    .values({name: bindparam(name) for name in ("revision", "digest", "subject", "text", "publish_time", "uri", *REACH)})
)


class CollectorStore(Store):
    """Sources and posts. Methods that take a Tx are works of `write`, those that take a Connection of `read`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, feed="collector", migrations=MIGRATIONS, durability="FULL")

    # Sources

    def create_source(self, tx: Tx, source_id: str, wanted: source_pb2.Source) -> source_pb2.Source:
        """Creates a source. Raises AlreadyExists."""
        row = {
            "id": source_id,
            "display_name": wanted.display_name or source_id,
            "kind": wanted.kind,
            "expects_answer": wanted.expects_answer,
            "area": wanted.area,
            "revision": 1,
            "create_time": tx.now_us,
            "update_time": tx.now_us,
        }
        if tx.execute(insert_new(tx.connection, SOURCES), row).rowcount == 0:
            raise AlreadyExists(f"sources/{source_id}")
        source = self.source(tx.connection, source_id)
        tx.changes.add(SOURCE_CREATED, source.name, 1, source)
        return source

    def update_source(self, tx: Tx, source_id: str, values: dict[str, object], etag: str) -> source_pb2.Source:
        """Sets columns of a source; the same values again change nothing. Raises NotFound, Aborted by a stale etag."""
        row = _source_row(tx.connection, source_id, lock=True)
        if etag and etag != str(row.revision):
            raise Aborted(
                "STALE_ETAG", f"sources/{source_id} was changed meanwhile; read it again, then repeat the change"
            )
        if all(getattr(row, name) == value for name, value in values.items()):
            return _source(row)
        values = {**values, "revision": row.revision + 1, "update_time": tx.now_us}
        tx.execute(update(SOURCES).where(SOURCES.c.id == source_id).values(values))
        source = self.source(tx.connection, source_id)
        tx.changes.add(SOURCE_UPDATED, source.name, row.revision + 1, source)
        return source

    def source(self, connection: Connection, source_id: str) -> source_pb2.Source:
        """One source. Raises NotFound."""
        return _source(_source_row(connection, source_id))

    def source_of_kind(self, connection: Connection, source_id: str, kind: int, *, lock: bool = False) -> Row[Any]:
        """The row of a source that must be of a kind. Raises NotFound, FailedPrecondition."""
        row = _source_row(connection, source_id, lock=lock)
        if row.kind != kind:
            wanted, found = (source_pb2.Source.Kind.Name(each) for each in (kind, row.kind))
            raise FailedPrecondition(
                "SOURCE_KIND",
                f"sources/{source_id} is of {found}, this needs one of {wanted}; choose another source or create one",
                kind=found,
                needed=wanted,
            )
        return row

    # Posts

    def receive(
        self, tx: Tx, source_id: str, kind: int, posts: Sequence[MaskedPost]
    ) -> list[tuple[str, post_pb2.PostOutcome.Kind]]:
        """Writes posts of a source of that kind; returns the id of each and what became of it.

        A post that is known changes nothing unless its subject or text differs. Raises NotFound, FailedPrecondition.
        """
        # Locked, so that another replica that receives the same posts waits and then finds them.
        source = self.source_of_kind(tx.connection, source_id, kind, lock=True)
        outcomes: list[tuple[str, post_pb2.PostOutcome.Kind]] = []
        for group in _without_repetition(posts):
            outcomes += self._receive_distinct(tx, source, group)
        return outcomes

    def _receive_distinct(
        self, tx: Tx, source: Row[Any], posts: Sequence[MaskedPost]
    ) -> list[tuple[str, post_pb2.PostOutcome.Kind]]:
        of_source = POSTS.c.source == source.id
        query = _KNOWN.where(of_source, POSTS.c.external_id.in_([post.external_id for post in posts]))
        known = {(row[0], row[1]): row for row in tx.execute(query)}
        outcomes, created, edited = [], [], []
        for post in posts:
            row = known.get((post.external_id, post.drill))
            if row is None:
                post_id, revision, outcome = ids.uuid7(), 1, _CREATED
                created.append(_new_row(post_id, source, post))
            elif row.digest == post.digest:
                outcomes.append((row.id, _UNCHANGED))
                continue
            else:
                post_id, revision, outcome = row.id, row.revision + 1, _UPDATED
                edited.append({**_edited_values(post), "revision": revision, "post": post_id})
            outcomes.append((post_id, outcome))
            tx.changes.add_bytes(
                POST_CREATED if row is None else POST_UPDATED,
                f"posts/{post_id}",
                revision,
                _POST_TYPE,
                _change_body(post_id, revision, source, post),
                drill=post.drill,
            )
        if created:
            tx.execute(insert(POSTS), created)
        if edited:
            tx.execute(_KEEP_PAST, [{"post": row["post"]} for row in edited])
            tx.execute(_EDIT, edited)
        return outcomes

    def post(self, connection: Connection, post_id: str) -> post_pb2.Post:
        """One post. Raises NotFound."""
        row = connection.execute(select(POSTS).where(POSTS.c.id == post_id)).one_or_none()
        if row is None:
            raise NotFound(f"posts/{post_id}", f"posts/{post_id} does not exist; it may have been purged")
        return post_of(row)

    def set_hold(self, tx: Tx, post_ids: Sequence[str], *, held: bool) -> None:
        """Holds posts or lets them go; those that do not exist are passed over."""
        tx.execute(update(POSTS).where(POSTS.c.id.in_(post_ids), POSTS.c.held != held).values(held=held))

    def purge(self, tx: Tx, collected_before: int, limit: int) -> int:
        """Deletes posts that were collected before then and that nobody holds. Returns how many, `limit` at most."""
        query = select(POSTS.c.id, POSTS.c.source, POSTS.c.revision, POSTS.c.drill)
        old = query.where(POSTS.c.collect_time < collected_before, ~POSTS.c.held).order_by(POSTS.c.collect_time, POSTS.c.id)
        rows = tx.execute(old.limit(limit).with_for_update()).all()
        post_ids = [row.id for row in rows]
        tx.execute(delete(PAST_TEXTS).where(PAST_TEXTS.c.post.in_(post_ids)))
        tx.execute(delete(POSTS).where(POSTS.c.id.in_(post_ids)))
        for row in rows:
            name, revision = f"posts/{row.id}", row.revision + 1
            purged = post_pb2.Post(name=name, source=f"sources/{row.source}", revision=revision, drill=row.drill)
            tx.changes.add(POST_PURGED, name, revision, purged, drill=row.drill)
        return len(rows)

    def join_text(self, connection: Connection, changes: list[feed_pb2.Change]) -> None:
        """Completes changes of posts with subject and text of their revision; of a post that is purged there is none."""
        wanted = {change.name.removeprefix("posts/"): change for change in changes if change.kind in _WITH_TEXT}
        if not wanted:
            return
        query = select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text).where(POSTS.c.id.in_(wanted))
        texts = {(row[0], row[1]): (row[2], row[3]) for row in connection.execute(query)}
        keys = [(change.name.removeprefix("posts/"), change.revision) for change in changes if change.kind in _WITH_TEXT]
        past = [key for key in keys if key not in texts]
        if past:
            key = tuple_(PAST_TEXTS.c.post, PAST_TEXTS.c.revision)
            for post, revision, subject, text in connection.execute(select(PAST_TEXTS).where(key.in_(past))):
                texts[post, revision] = (subject, text)
        for change in changes:
            found = texts.get((change.name.removeprefix("posts/"), change.revision))
            if found is not None and change.kind in _WITH_TEXT:
                # A message appended to a message is the two merged (protobuf encoding, "Last One Wins").
                change.resource.value += post_pb2.Post(subject=found[0], text=found[1]).SerializeToString()


def sources_query() -> Select[Any]:
    """All sources."""
    return select(SOURCES)


def post_of(row: Row[Any]) -> post_pb2.Post:
    """The message of a row of POSTS."""
    return post_pb2.Post(
        name=f"posts/{row.id}",
        source=f"sources/{row.source}",
        external_id=row.external_id,
        subject=row.subject,
        text=row.text,
        publish_time=clock.micros_to_timestamp(row.publish_time),
        collect_time=clock.micros_to_timestamp(row.collect_time),
        uri=row.uri,
        reach=post_pb2.PostReach(**{name: getattr(row, name) for name in REACH}),
        expects_answer=row.expects_answer,
        drill=row.drill,
        revision=row.revision,
        held=row.held,
    )


def source_of(row: Row[Any]) -> source_pb2.Source:
    """The message of a row of SOURCES."""
    return _source(row)
