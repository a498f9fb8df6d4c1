"""The collector's tables: sources, posts, and what earlier revisions of a post said. Times are microseconds, UTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.bulk import insert_many
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
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    select,
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
_PREFIX: Final = "posts/"


class Outcome(NamedTuple):
    """What became of a post that came in."""

    post_id: str
    kind: post_pb2.PostOutcome.Kind.ValueType


_KNOWN: Final = select(POSTS.c.external_id, POSTS.c.drill, POSTS.c.id, POSTS.c.revision, POSTS.c.digest)
_TEXTS: Final = select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text)
_KEEP_PAST: Final = insert(PAST_TEXTS).from_select(
    ["post", "revision", "subject", "text"],
    _TEXTS.where(POSTS.c.id == bindparam("post")),
)
_EDIT: Final = update(POSTS).where(POSTS.c.id == bindparam("post"))


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
            return source_of(row)
        values = {**values, "revision": row.revision + 1, "update_time": tx.now_us}
        tx.execute(update(SOURCES).where(SOURCES.c.id == source_id).values(values))
        source = self.source(tx.connection, source_id)
        tx.changes.add(SOURCE_UPDATED, source.name, row.revision + 1, source)
        return source

    def source(self, connection: Connection, source_id: str) -> source_pb2.Source:
        """One source. Raises NotFound."""
        return source_of(_source_row(connection, source_id))

    def source_of_kind(
        self, connection: Connection, source_id: str, kind: source_pb2.Source.Kind.ValueType, *, lock: bool = False
    ) -> Row[Any]:
        """The row of a source that must be of a kind. Raises NotFound, FailedPrecondition."""
        row = _source_row(connection, source_id, lock=lock)
        if row.kind != kind:
            wanted, found = (source_pb2.Source.Kind.Name(each) for each in (kind, row.kind))
            raise FailedPrecondition(
                "SOURCE_KIND",
                f"sources/{source_id} is of {found}, this needs {wanted}; choose another source, or create one",
                kind=found,
                needed=wanted,
            )
        return row

    # Posts

    def receive(
        self, tx: Tx, source_id: str, kind: source_pb2.Source.Kind.ValueType, posts: Sequence[MaskedPost]
    ) -> list[Outcome]:
        """Writes posts of a source of that kind; returns what became of each.

        A post that is known changes nothing unless its subject or text differs. Raises NotFound, FailedPrecondition.
        """
        # Locked, so that another replica that receives the same posts waits and then finds them.
        source = self.source_of_kind(tx.connection, source_id, kind, lock=True)
        outcomes: list[Outcome] = []
        for group in _without_repetition(posts):
            outcomes += _receive_distinct(tx, source, group)
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
        query = select(POSTS.c.id, POSTS.c.source, POSTS.c.revision, POSTS.c.drill).with_for_update()
        query = query.where(POSTS.c.collect_time < collected_before, ~POSTS.c.held)
        rows = tx.execute(query.order_by(POSTS.c.collect_time, POSTS.c.id).limit(limit)).all()
        post_ids = [row.id for row in rows]
        tx.execute(delete(PAST_TEXTS).where(PAST_TEXTS.c.post.in_(post_ids)))
        tx.execute(delete(POSTS).where(POSTS.c.id.in_(post_ids)))
        for row in rows:
            name, revision = f"{_PREFIX}{row.id}", row.revision + 1
            purged = post_pb2.Post(name=name, source=f"sources/{row.source}", revision=revision, drill=row.drill)
            tx.changes.add(POST_PURGED, name, revision, purged, drill=row.drill)
        return len(rows)

    def join_text(self, connection: Connection, changes: Sequence[feed_pb2.Change]) -> None:
        """Completes changes of posts with subject and text of their revision; of a purged post there is none."""
        wanted = {
            (change.name[len(_PREFIX) :], change.revision): change for change in changes if change.kind in _WITH_TEXT
        }
        if not wanted:
            return
        found = list(connection.execute(_TEXTS.where(POSTS.c.id.in_([post for post, _ in wanted]))))
        past = wanted.keys() - {(row[0], row[1]) for row in found}
        if past:
            found += connection.execute(select(PAST_TEXTS).where(PAST_TEXTS.c.post.in_([post for post, _ in past])))
        for post, revision, subject, text in found:
            change = wanted.get((post, revision))
            if change is not None:
                # A message appended to a message is the two of them merged.
                change.resource.value += post_pb2.Post(subject=subject, text=text).SerializeToString()


def post_of(row: Row[Any]) -> post_pb2.Post:
    """The message of a row of POSTS."""
    return post_pb2.Post(
        name=f"{_PREFIX}{row.id}",
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
    return source_pb2.Source(
        name=f"sources/{row.id}",
        display_name=row.display_name,
        kind=row.kind,
        expects_answer=row.expects_answer,
        area=row.area,
        create_time=clock.micros_to_timestamp(row.create_time),
        update_time=clock.micros_to_timestamp(row.update_time),
        etag=str(row.revision),
    )


def _source_row(connection: Connection, source_id: str, *, lock: bool = False) -> Row[Any]:
    query = select(SOURCES).where(SOURCES.c.id == source_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        name = f"sources/{source_id}"
        raise NotFound(name, f"{name} does not exist; create it, or list the sources to see which there are")
    return row


def _without_repetition(posts: Sequence[MaskedPost]) -> Iterator[Sequence[MaskedPost]]:
    """Cuts posts so that no group holds an identity twice: the later one repeats or edits what is written by then."""
    seen: set[tuple[str, bool]] = set()
    start = 0
    for index, post in enumerate(posts):
        identity = (post.external_id, post.drill)
        if identity in seen:
            yield posts[start:index]
            start = index
            seen.clear()
        seen.add(identity)
    yield posts[start:]


def _receive_distinct(tx: Tx, source: Row[Any], posts: Sequence[MaskedPost]) -> list[Outcome]:
    """Writes posts of which no two have the same identity."""
    identities = [post.external_id for post in posts]
    query = _KNOWN.where(POSTS.c.source == source.id, POSTS.c.external_id.in_(identities))
    known = {(row.external_id, row.drill): row for row in tx.execute(query)}
    outcomes: list[Outcome] = []
    created: list[dict[str, object]] = []
    edited: list[dict[str, object]] = []
    for post in posts:
        row = known.get((post.external_id, post.drill))
        if row is None:
            outcome, revision = Outcome(ids.uuid7(), _CREATED), 1
            created.append(_new_row(outcome.post_id, source, post))
        elif row.digest == post.digest:
            outcomes.append(Outcome(row.id, _UNCHANGED))
            continue
        else:
            outcome, revision = Outcome(row.id, _UPDATED), row.revision + 1
            edited.append({**_content(post), "revision": revision, "post": row.id})
        outcomes.append(outcome)
        kind = POST_CREATED if row is None else POST_UPDATED
        body = _change_body(outcome.post_id, revision, source, post)
        tx.changes.add_bytes(kind, f"{_PREFIX}{outcome.post_id}", revision, _POST_TYPE, body, drill=post.drill)
    if created:
        insert_many(tx.connection, POSTS, created)
    if edited:
        tx.execute(_KEEP_PAST, [{"post": row["post"]} for row in edited])
        tx.execute(_EDIT, edited)
    return outcomes


def _content(post: MaskedPost) -> dict[str, object]:
    """The columns that follow the post as its source shows it."""
    likes, dislikes, replies, shares, views = post.reach
    return {
        "digest": post.digest,
        "subject": post.subject,
        "text": post.text,
        "publish_time": clock.micros(post.publish_time),
        "uri": post.uri,
        "likes": likes,
        "dislikes": dislikes,
        "replies": replies,
        "shares": shares,
        "views": views,
    }


def _new_row(post_id: str, source: Row[Any], post: MaskedPost) -> dict[str, object]:
    return {
        **_content(post),
        "id": post_id,
        "source": source.id,
        "external_id": post.external_id,
        "drill": post.drill,
        "revision": 1,
        "collect_time": clock.micros(post.collect_time),
        "expects_answer": source.expects_answer,
        "held": False,
    }


def _change_body(post_id: str, revision: int, source: Row[Any], post: MaskedPost) -> bytes:
    """The post as its change row keeps it: with its voice, without subject and text."""
    likes, dislikes, replies, shares, views = post.reach
    return post_pb2.Post(
        name=f"{_PREFIX}{post_id}",
        source=f"sources/{source.id}",
        external_id=post.external_id,
        publish_time=clock.to_timestamp(post.publish_time),
        collect_time=clock.to_timestamp(post.collect_time),
        uri=post.uri,
        reach=post_pb2.PostReach(likes=likes, dislikes=dislikes, replies=replies, shares=shares, views=views),
        expects_answer=source.expects_answer,
        drill=post.drill,
        voice=post.voice,
        revision=revision,
    ).SerializeToString()
