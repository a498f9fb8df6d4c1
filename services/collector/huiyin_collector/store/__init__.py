"""The collector's store: sources, posts, and what earlier revisions of a post said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from google.type import latlng_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.bulk import insert_many, run
from huiyin_chassis.errors import Aborted, AlreadyExists, FailedPrecondition, NotFound
from huiyin_chassis.store import Store, Tx, insert_new
from sqlalchemy import Connection, Row, bindparam, delete, insert, null, select, update

from huiyin_collector.model.links import item_key, page_key
from huiyin_collector.model.posts import REACH, MaskedPost
from huiyin_collector.store.articles import try_again
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
POST_CREATED: Final = "post.created"
POST_UPDATED: Final = "post.updated"
POST_REACH_CHANGED: Final = "post.reach_changed"
POST_PURGED: Final = "post.purged"

_POST_TYPE: Final = post_pb2.Post.DESCRIPTOR.full_name
_CREATED: Final = post_pb2.PostOutcome.KIND_CREATED
_UPDATED: Final = post_pb2.PostOutcome.KIND_UPDATED
_UNCHANGED: Final = post_pb2.PostOutcome.KIND_UNCHANGED
FEED: Final = source_pb2.Source.KIND_FEED
PAGE_LIST: Final = source_pb2.Source.KIND_PAGE_LIST
API: Final = source_pb2.Source.KIND_API
VISITED: Final = frozenset({FEED, PAGE_LIST, API})
_WITH_TEXT: Final = frozenset({POST_CREATED, POST_UPDATED})
_PREFIX: Final = "posts/"
_KEYS_AT_ONCE: Final = 500
_KEYS_LOCK: Final = 0x6875_6B65_7973  # "hukeys", an advisory lock of PostgreSQL


class KnownItem(NamedTuple):
    """An item of a feed as it may be written, by what it is known again, and whether its feed says when it is from."""

    post: MaskedPost
    keys: tuple[bytes, ...]
    dated: bool


class Outcome(NamedTuple):
    """What became of a post that came in."""

    post_id: str
    kind: post_pb2.PostOutcome.Kind.ValueType


SOURCES_SHOWN: Final = select(SOURCES, VISITS.c.uri, VISITS.c.state, VISITS.c.rules).outerjoin(
    VISITS, VISITS.c.source == SOURCES.c.id
)
"""Sources with what they show of their visits: what `source_of` takes."""
_REACH: Final = tuple(POSTS.c[name] for name in REACH)
_KNOWN: Final = select(
    POSTS.c.id,
    POSTS.c.source,
    POSTS.c.external_id,
    POSTS.c.drill,
    POSTS.c.revision,
    POSTS.c.digest,
    POSTS.c.publish_time,
    *_REACH,
    POSTS.c.reach_time,
)
"""What a post that comes in again is compared with."""
_TEXTS: Final = select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text)
_TOLD: Final = _TEXTS.add_columns(POSTS.c.latitude, POSTS.c.longitude)
_TOLD_PAST: Final = select(PAST_TEXTS, null().label("latitude"), null().label("longitude"))
_KEEP_PAST: Final = insert(PAST_TEXTS).from_select(
    ["post", "revision", "subject", "text"],
    _TEXTS.where(POSTS.c.id == bindparam("post")),
)
_CHANGE: Final = update(POSTS).where(POSTS.c.id == bindparam("post"))
_REACH_COLUMNS: Final = (*REACH, "reach_time")
_HOUR: Final = 3_600_000_000


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
        outcomes: list[Outcome] = []
        for group in _without_repetition(posts):
            outcomes += _receive_distinct(tx, source, group)
        return outcomes

    def receive_items(self, tx: Tx, source_id: str, items: Sequence[KnownItem]) -> list[Outcome]:
        """Writes items of a source that is visited; returns what became of each that is not of a purged post.

        An item is the post that is known by one of its keys, whichever source brought it; one that another source
        brought keeps that one's text, and remembers that this one carries it too. Raises NotFound.
        """
        source = _source_row(tx.connection, source_id, lock=True)
        keys = [key for item in items for key in item.keys]
        known = _posts_of_keys(tx, keys)
        ours: dict[bytes, str] = {}
        for item in items:
            if not any(key in known or key in ours for key in item.keys):
                ours |= dict.fromkeys(item.keys, ids.uuid7())
        if ours:
            _add_keys(tx, ours)
            # A replica that received the same page meanwhile was first; its keys are seen now.
            known |= _posts_of_keys(tx, list(ours))
        return _receive_known(tx, source, items, known, set(ours.values()))

    def withdraw(self, tx: Tx, source_id: str, keys: Sequence[bytes]) -> int:
        """Takes back posts that this source brought and declares deleted; a held one goes once it is let go."""
        post_ids = list(set(_posts_of_keys(tx, keys).values()))
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
        now = connection.execute(select(*_REACH, POSTS.c.reach_time).where(POSTS.c.id == post_id)).one_or_none()
        if now is None:
            raise NotFound(f"posts/{post_id}", f"posts/{post_id} does not exist; it may have been purged")
        figures = [PAST_REACH.c[name] for name in REACH]
        past = select(*figures, PAST_REACH.c.time).where(PAST_REACH.c.post == post_id).order_by(PAST_REACH.c.time)
        rows = [*connection.execute(past), now]
        series = post_pb2.PostSeries(name=f"{_PREFIX}{post_id}/series")
        if any(any(row[: len(REACH)]) for row in rows):
            for *reach, micros in rows:
                series.points.add(reach=_reach_of(reach), time=clock.micros_to_timestamp(micros))
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
            (change.name[len(_PREFIX) :], change.revision): change for change in changes if change.kind in _WITH_TEXT
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
                told = post_pb2.Post(subject=subject, text=text, location=_location(latitude, longitude))
                change.resource.value += told.SerializeToString()


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
        reach=_reach_of([getattr(row, name) for name in REACH]),
        expects_answer=row.expects_answer,
        drill=row.drill,
        revision=row.revision,
        held=row.held,
        location=_location(row.latitude, row.longitude),
    )


def rules_of(source: source_pb2.Source) -> bytes:
    """How a source is read, as its row keeps it."""
    if source.kind == PAGE_LIST:
        return source.page_list.SerializeToString(deterministic=True)
    return source.api.SerializeToString(deterministic=True) if source.kind == API else b""


def _location(latitude: float | None, longitude: float | None) -> latlng_pb2.LatLng | None:
    return latlng_pb2.LatLng(latitude=latitude, longitude=longitude) if latitude is not None else None


def source_of(row: Row[Any]) -> source_pb2.Source:
    """The message of a row of SOURCES_SHOWN."""
    source = source_pb2.Source(
        name=f"sources/{row.id}",
        display_name=row.display_name,
        kind=row.kind,
        expects_answer=row.expects_answer,
        area=row.area,
        create_time=clock.micros_to_timestamp(row.create_time),
        update_time=clock.micros_to_timestamp(row.update_time),
        etag=str(row.revision),
        uri=row.uri or "",
        state=row.state or source_pb2.Source.STATE_UNSPECIFIED,
    )
    if row.kind == PAGE_LIST:
        source.page_list.ParseFromString(bytes(row.rules))
    elif row.kind == API:
        source.api.ParseFromString(bytes(row.rules))
    return source


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
        name, revision = f"{_PREFIX}{row.id}", row.revision + 1
        purged = post_pb2.Post(name=name, source=f"sources/{row.source}", revision=revision, drill=row.drill)
        tx.changes.add(POST_PURGED, name, revision, purged, drill=row.drill)


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
    writing = _Writing(tx, source)
    for post in posts:
        row = known.get((post.external_id, post.drill))
        if row is None:
            writing.create(ids.uuid7(), post)
        else:
            writing.take_again(row, post, dated=True)
    return writing.finish()


class _Writing:
    """Posts of one source on their way into the store, and what became of each."""

    def __init__(self, tx: Tx, source: Row[Any]) -> None:
        self._tx = tx
        self._source = source
        self._outcomes: list[Outcome] = []
        self._created: list[dict[str, object]] = []
        self._edited: list[dict[str, object]] = []
        self._reached: list[dict[str, object]] = []
        self._past_reach: list[dict[str, object]] = []

    def create(self, post_id: str, post: MaskedPost) -> None:
        """A post that is new."""
        self._created.append(_new_row(post_id, self._source, post))
        self._tell(POST_CREATED, post_id, 1, post)
        self._outcomes.append(Outcome(post_id, _CREATED))

    def pass_over(self, post_id: str) -> None:
        """A post that is known, and says nothing new here."""
        self._outcomes.append(Outcome(post_id, _UNCHANGED))

    def take_again(self, row: Row[Any], post: MaskedPost, *, dated: bool) -> None:
        """A post of this source that is known by a row of _KNOWN; `dated`: whether it says when it is from."""
        reach = tuple(getattr(row, name) for name in REACH)
        # A source that shows no figures any more does not take back those that it showed.
        has_grown = post.reach != reach and any(post.reach)
        if has_grown and row.reach_time // _HOUR != clock.micros(post.collect_time) // _HOUR:
            self._past_reach.append({"post": row.id, "time": row.reach_time, **dict(zip(REACH, reach, strict=True))})
        if row.digest != post.digest:
            content = _content(post) | ({} if has_grown else {name: getattr(row, name) for name in _REACH_COLUMNS})
            if not dated:
                content["publish_time"] = row.publish_time
            self._edited.append({**content, "revision": row.revision + 1, "post": row.id})
            self._tell(POST_UPDATED, row.id, row.revision + 1, replace(post, external_id=row.external_id))
            self._outcomes.append(Outcome(row.id, _UPDATED))
            return
        if has_grown:
            self._reached.append({**_reach_columns(post), "post": row.id})
            self._tell(POST_REACH_CHANGED, row.id, row.revision, replace(post, external_id=row.external_id, voice=b""))
        self._outcomes.append(Outcome(row.id, _UNCHANGED))

    def finish(self) -> list[Outcome]:
        """Writes the rows; what became of the posts, in the order in which they came."""
        tx = self._tx
        if self._created:
            insert_many(tx.connection, POSTS, self._created)
        if self._edited:
            tx.execute(_KEEP_PAST, [{"post": row["post"]} for row in self._edited])
            tx.execute(_CHANGE, self._edited)
        if self._past_reach:
            insert_many(tx.connection, PAST_REACH, self._past_reach)
        if self._reached:
            tx.execute(_CHANGE, self._reached)
        return self._outcomes

    def _tell(self, kind: str, post_id: str, revision: int, post: MaskedPost) -> None:
        body = _change_body(post_id, revision, self._source, post)
        self._tx.changes.add_bytes(kind, f"{_PREFIX}{post_id}", revision, _POST_TYPE, body, drill=post.drill)


def _posts_of_keys(tx: Tx, keys: Sequence[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        query = select(POST_KEYS.c.key, POST_KEYS.c.post).where(
            POST_KEYS.c.key.in_(keys[start : start + _KEYS_AT_ONCE])
        )
        found |= {bytes(row.key): row.post for row in tx.execute(query)}
    return found


def _add_keys(tx: Tx, posts: dict[bytes, str]) -> None:
    """Remembers by what posts are known, unless another was faster."""
    if tx.connection.dialect.name == "postgresql":
        # Replicas that receive the same pages in another order would wait for one another's keys, each for the other.
        run(tx.connection, f"SELECT pg_advisory_xact_lock({_KEYS_LOCK})")
    rows = [{"key": key, "post": post, "purge_time": 0} for key, post in posts.items()]
    tx.execute(insert_new(tx.connection, POST_KEYS), rows)


def _receive_known(
    tx: Tx, source: Row[Any], items: Sequence[KnownItem], known: dict[bytes, str], ours: set[str]
) -> list[Outcome]:
    rows: dict[str, Row[Any]] = {}
    wanted = sorted({post for post in known.values() if post and post not in ours})
    for start in range(0, len(wanted), _KEYS_AT_ONCE):
        found = tx.execute(_KNOWN.where(POSTS.c.id.in_(wanted[start : start + _KEYS_AT_ONCE])))
        rows |= {row.id: row for row in found}
    writing = _Writing(tx, source)
    places: list[dict[str, object]] = []
    more: dict[bytes, str] = {}
    seen: set[str] = set()
    for item in items:
        post_id = next((known[key] for key in item.keys if known.get(key)), "")
        more |= {key: post_id for key in item.keys if post_id and key not in known}
        row = rows.get(post_id)
        if row is None and (post_id not in ours or post_id in seen):
            continue  # purged, or twice in this document
        if row is None:
            writing.create(post_id, item.post)
        elif row.source != source.id:
            places.append({"post": post_id, "source": source.id})
            writing.pass_over(post_id)
        elif post_id in seen:
            writing.pass_over(post_id)
        else:
            writing.take_again(row, item.post, dated=item.dated)
        seen.add(post_id)
    outcomes = writing.finish()
    if places:
        tx.execute(insert_new(tx.connection, POST_PLACES), places)
    if more:
        _add_keys(tx, more)
    return outcomes


def _content(post: MaskedPost) -> dict[str, object]:
    """The columns that follow the post as its source shows it."""
    return {
        "digest": post.digest,
        "subject": post.subject,
        "text": post.text,
        "publish_time": clock.micros(post.publish_time),
        "uri": post.uri,
        **_reach_columns(post),
        "latitude": post.location[0] if post.location is not None else None,
        "longitude": post.location[1] if post.location is not None else None,
    }


def _reach_columns(post: MaskedPost) -> dict[str, object]:
    return {**dict(zip(REACH, post.reach, strict=True)), "reach_time": clock.micros(post.collect_time)}


def _reach_of(figures: Sequence[int]) -> post_pb2.PostReach:
    return post_pb2.PostReach(**dict(zip(REACH, figures, strict=True)))


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
        "withdrawn": False,
    }


def _change_body(post_id: str, revision: int, source: Row[Any], post: MaskedPost) -> bytes:
    """The post as its change row keeps it: with its voice, without what is destroyed with the post."""
    return post_pb2.Post(
        name=f"{_PREFIX}{post_id}",
        source=f"sources/{source.id}",
        external_id=post.external_id,
        publish_time=clock.to_timestamp(post.publish_time),
        collect_time=clock.to_timestamp(post.collect_time),
        uri=post.uri,
        reach=_reach_of(post.reach),
        expects_answer=source.expects_answer,
        drill=post.drill,
        voice=post.voice,
        revision=revision,
    ).SerializeToString()
