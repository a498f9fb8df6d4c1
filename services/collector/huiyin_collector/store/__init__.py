"""The collector's store: sources, posts, and what earlier revisions of a post said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound
from huiyin_chassis.store import Store, Tx, insert_new
from sqlalchemy import Connection, Row, delete, null, select, update

from huiyin_collector.model.links import item_key, page_key
from huiyin_collector.model.posts import REACH, MaskedPost
from huiyin_collector.store import receiving
from huiyin_collector.store.articles import try_again
from huiyin_collector.store.messages import (
    API,
    FEED,
    PAGE_LIST,
    POST_PREFIX,
    location_of,
    post_of,
    reach_of,
    rules_of,
    source_of,
)
from huiyin_collector.store.receiving import KnownItem, Outcome
from huiyin_collector.store.tables import (
    METADATA,
    PAST_REACH,
    PAST_TEXTS,
    POST_KEYS,
    POST_PLACES,
    POSTS,
    SOURCES,
    VISITS,
)

__all__ = ["METADATA"]  # for migrations

MIGRATIONS: Final = Path(__file__).parent.parent / "migrations"

SOURCE_CREATED: Final = "source.created"
SOURCE_UPDATED: Final = "source.updated"
POST_PURGED: Final = "post.purged"

VISITED: Final = frozenset({FEED, PAGE_LIST, API})
_WITH_TEXT: Final = frozenset({receiving.CREATED, receiving.UPDATED})


SOURCES_SHOWN: Final = select(SOURCES, VISITS.c.uri, VISITS.c.state, VISITS.c.rules).outerjoin(
    VISITS, VISITS.c.source == SOURCES.c.id
)
"""Sources with what they show of their visits: what `source_of` takes."""
_TOLD: Final = select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text, POSTS.c.latitude, POSTS.c.longitude)
_TOLD_PAST: Final = select(PAST_TEXTS, null().label("latitude"), null().label("longitude"))


class CollectorStore(Store):
    """Sources and posts. Methods that take a Tx are works of `write`, those that take a Connection of `read`."""

    def __init__(self, url: str) -> None:
        super().__init__(url, feed="collector", migrations=MIGRATIONS, durability="FULL")

    # Sources

    def create_source(self, tx: Tx, source_id: str, wanted: source_pb2.Source) -> source_pb2.Source:
        """Creates a source; one that is visited is due at once. Raises AlreadyExists."""
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
        if wanted.kind in VISITED:
            _begin_visits(tx, source_id, wanted.kind, wanted.uri, rules_of(wanted))
        source = self.source(tx.connection, source_id)
        tx.changes.add(SOURCE_CREATED, source.name, 1, source)
        return source

    def update_source(self, tx: Tx, source_id: str, values: dict[str, object], etag: str) -> source_pb2.Source:
        """Sets columns of a source; the same values again change nothing.

        Raises NotFound, Aborted by a stale etag, AlreadyExists when another source has that address.
        """
        row = _source_row(tx.connection, source_id, lock=True)
        if etag and etag != str(row.revision):
            raise Aborted(
                "STALE_ETAG", f"sources/{source_id} was changed meanwhile; read it again, then repeat the change"
            )
        if all(getattr(row, name) == value for name, value in values.items()):
            return source_of(row)
        uri, rules = str(values.pop("uri", row.uri)), values.pop("rules", row.rules)
        if row.kind in VISITED and (uri, rules) != (row.uri, row.rules):
            move_visits(tx, source_id, row.kind, uri, cast(bytes, rules))
            try_again(tx, source_id)
        return self.touch_source(tx, row, **values)

    def touch_source(self, tx: Tx, row: Row[Any], **values: object) -> source_pb2.Source:
        """A new revision of a source, whose row is locked, with these columns of it, told as a change."""
        source_id = row.id
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

    def locked_source(self, tx: Tx, source_id: str) -> Row[Any]:
        """The row of a source, locked. Raises NotFound."""
        return _source_row(tx.connection, source_id, lock=True)

    # Posts

    def receive(
        self, tx: Tx, source_id: str, kind: source_pb2.Source.Kind.ValueType, posts: Sequence[MaskedPost]
    ) -> list[Outcome]:
        """Writes posts of a source of that kind; returns what became of each.

        A post that is known changes nothing unless its subject, text or reach differs.

        Raises NotFound, FailedPrecondition.
        """
        # Locked, so that another replica that receives the same posts waits and then finds them.
        source = self.source_of_kind(tx.connection, source_id, kind, lock=True)
        return receiving.receive_posts(tx, source, posts)

    def receive_items(self, tx: Tx, source_id: str, items: Sequence[KnownItem]) -> list[Outcome]:
        """Writes items of a source that is visited; returns what became of each that is not of a purged post.

        An item is the post that is known by one of its keys, whichever source brought it; one that another source
        brought keeps that one's text, and remembers that this one carries it too. Raises NotFound.
        """
        return receiving.receive_items(tx, _source_row(tx.connection, source_id, lock=True), items)

    def withdraw(self, tx: Tx, source_id: str, keys: Sequence[bytes]) -> int:
        """Takes back posts that this source brought and declares deleted; a held one goes once it is let go."""
        post_ids = list(set(receiving.posts_of_keys(tx, keys).values()))
        query = select(POSTS.c.id, POSTS.c.source, POSTS.c.revision, POSTS.c.drill, POSTS.c.held).with_for_update()
        rows = tx.execute(query.where(POSTS.c.id.in_(post_ids), POSTS.c.source == source_id)).all()
        held = [row.id for row in rows if row.held]
        tx.execute(update(POSTS).where(POSTS.c.id.in_(held)).values(withdrawn=True))
        free = [row for row in rows if not row.held]
        delete_posts(tx, free)
        return len(free)

    def post(self, connection: Connection, post_id: str) -> post_pb2.Post:
        """One post. Raises NotFound."""
        row = connection.execute(select(POSTS).where(POSTS.c.id == post_id)).one_or_none()
        if row is None:
            raise NotFound(f"posts/{post_id}", f"posts/{post_id} does not exist; it may have been purged")
        post = post_of(row)
        carriers = select(POST_PLACES.c.source).where(POST_PLACES.c.post == post_id).order_by(POST_PLACES.c.source)
        post.carried_by.extend(f"sources/{source}" for source in connection.scalars(carriers))
        return post

    def series(self, connection: Connection, post_id: str) -> post_pb2.PostSeries:
        """How the reach of a post grew. Raises NotFound."""
        now = connection.execute(
            select(*(POSTS.c[name] for name in REACH), POSTS.c.reach_time).where(POSTS.c.id == post_id)
        ).one_or_none()
        if now is None:
            raise NotFound(f"posts/{post_id}", f"posts/{post_id} does not exist; it may have been purged")
        figures = [PAST_REACH.c[name] for name in REACH]
        past = select(*figures, PAST_REACH.c.time).where(PAST_REACH.c.post == post_id).order_by(PAST_REACH.c.time)
        rows = [*connection.execute(past), now]
        series = post_pb2.PostSeries(name=f"{POST_PREFIX}{post_id}/series")
        if any(any(row[: len(REACH)]) for row in rows):
            for *reach, micros in rows:
                series.points.add(reach=reach_of(reach), time=clock.micros_to_timestamp(micros))
        return series

    def set_hold(self, tx: Tx, post_ids: Sequence[str], *, held: bool) -> None:
        """Holds posts or lets them go; those that do not exist are passed over."""
        tx.execute(update(POSTS).where(POSTS.c.id.in_(post_ids), POSTS.c.held != held).values(held=held))

    def purge(self, tx: Tx, collected_before: int, limit: int) -> int:
        """Deletes posts that were collected before then, or withdrawn, and that nobody holds. Returns how many.

        At most `limit`.
        """
        query = select(POSTS.c.id, POSTS.c.source, POSTS.c.revision, POSTS.c.drill).with_for_update()
        query = query.where((POSTS.c.collect_time < collected_before) | POSTS.c.withdrawn, ~POSTS.c.held)
        rows = tx.execute(query.order_by(POSTS.c.collect_time, POSTS.c.id).limit(limit)).all()
        delete_posts(tx, rows)
        return len(rows)

    def forget_keys(self, tx: Tx, purged_before: int) -> None:
        """Forgets by what posts were known that were purged before then."""
        tx.execute(delete(POST_KEYS).where(POST_KEYS.c.purge_time > 0, POST_KEYS.c.purge_time < purged_before))

    def join_text(self, connection: Connection, changes: Sequence[feed_pb2.Change]) -> None:
        """Completes changes of posts with subject and text of their revision, and the last one with its place.

        Of a purged post there is none of it.
        """
        wanted = {
            (change.name[len(POST_PREFIX) :], change.revision): change
            for change in changes
            if change.kind in _WITH_TEXT
        }
        if not wanted:
            return
        found = list(connection.execute(_TOLD.where(POSTS.c.id.in_([post for post, _ in wanted]))))
        past = wanted.keys() - {(row[0], row[1]) for row in found}
        if past:
            found += connection.execute(_TOLD_PAST.where(PAST_TEXTS.c.post.in_([post for post, _ in past])))
        for post, revision, subject, text, latitude, longitude in found:
            change = wanted.get((post, revision))
            if change is not None:
                # A message appended to a message is the two of them merged.
                told = post_pb2.Post(subject=subject, text=text, location=location_of(latitude, longitude))
                change.resource.value += told.SerializeToString()


def _source_row(connection: Connection, source_id: str, *, lock: bool = False) -> Row[Any]:
    query = SOURCES_SHOWN.where(SOURCES.c.id == source_id)
    row = connection.execute(query.with_for_update(of=SOURCES) if lock else query).one_or_none()
    if row is None:
        name = f"sources/{source_id}"
        raise NotFound(name, f"{name} does not exist; create it, or list the sources to see which there are")
    return row


def visit_key(kind: source_pb2.Source.Kind.ValueType, uri: str, rules: bytes) -> bytes:
    """What tells one source that is visited from another. Of one page, two lists may be read."""
    return page_key(uri) if kind == FEED else item_key(f"{kind} {uri}", rules.hex())


def _begin_visits(tx: Tx, source_id: str, kind: source_pb2.Source.Kind.ValueType, uri: str, rules: bytes) -> None:
    row = {
        **{column.name: 0 for column in VISITS.columns},
        "source": source_id,
        "kind": kind,
        "uri": uri,
        "rules": rules,
        "key": visit_key(kind, uri, rules),
        "state": source_pb2.Source.STATE_ACTIVE,
        "next_time": tx.now_us,
        **dict.fromkeys(("lease", "etag", "last_modified", "error_reason", "error_message", "resume"), ""),
    }
    if tx.execute(insert_new(tx.connection, VISITS), row).rowcount == 0:
        raise _same_feed(tx, visit_key(kind, uri, rules))


def move_visits(tx: Tx, source_id: str, kind: source_pb2.Source.Kind.ValueType, uri: str, rules: bytes) -> None:
    """Visits a source at another address or by other rules from now on, at once for the first time.

    Raises AlreadyExists.
    """
    key = visit_key(kind, uri, rules)
    other = tx.execute(select(VISITS.c.source).where(VISITS.c.key == key)).scalar_one_or_none()
    if other not in (None, source_id):
        raise _same_feed(tx, key)
    values: dict[str, object] = {"uri": uri, "rules": rules, "key": key, "next_time": tx.now_us}
    values |= dict.fromkeys(("etag", "last_modified", "lease", "resume"), "")
    tx.execute(update(VISITS).where(VISITS.c.source == source_id).values(values))


def _same_feed(tx: Tx, key: bytes) -> AlreadyExists:
    other = tx.execute(select(VISITS.c.source).where(VISITS.c.key == key)).scalar_one_or_none()
    return AlreadyExists(
        f"sources/{other}", f"sources/{other} reads this already; change that one, or give another address"
    )


def delete_posts(tx: Tx, rows: Sequence[Row[Any]]) -> None:
    """Deletes posts, of which the rows have id, source, revision and drill, and tells of it."""
    post_ids = [row.id for row in rows]
    tx.execute(delete(PAST_TEXTS).where(PAST_TEXTS.c.post.in_(post_ids)))
    tx.execute(delete(PAST_REACH).where(PAST_REACH.c.post.in_(post_ids)))
    tx.execute(delete(POST_PLACES).where(POST_PLACES.c.post.in_(post_ids)))
    tx.execute(update(POST_KEYS).where(POST_KEYS.c.post.in_(post_ids)).values(post="", purge_time=tx.now_us))
    tx.execute(delete(POSTS).where(POSTS.c.id.in_(post_ids)))
    for row in rows:
        name, revision = f"{POST_PREFIX}{row.id}", row.revision + 1
        purged = post_pb2.Post(name=name, source=f"sources/{row.source}", revision=revision, drill=row.drill)
        tx.changes.add(POST_PURGED, name, revision, purged, drill=row.drill)
