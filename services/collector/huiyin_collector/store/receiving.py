"""Posts that come in: which are new, which are edits, which reach others than before, and what is told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from huiyin.collector.v1 import post_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.bulk import chunks, insert_many, run
from huiyin_chassis.store import Tx, insert_new
from sqlalchemy import Row, bindparam, insert, select, update

from huiyin_collector.model.posts import REACH, MaskedPost
from huiyin_collector.store.messages import POST_PREFIX, reach_of
from huiyin_collector.store.tables import PAST_REACH, PAST_TEXTS, POST_KEYS, POST_PLACES, POSTS

CREATED: Final = "post.created"
UPDATED: Final = "post.updated"
REACH_CHANGED: Final = "post.reach_changed"
"""Kinds of change."""

_POST_TYPE: Final = post_pb2.Post.DESCRIPTOR.full_name
_KEYS_LOCK: Final = 0x6875_6B65_7973  # "hukeys", an advisory lock of PostgreSQL
_KNOWN: Final = select(
    POSTS.c.id,
    POSTS.c.source,
    POSTS.c.external_id,
    POSTS.c.drill,
    POSTS.c.revision,
    POSTS.c.digest,
    POSTS.c.publish_time,
    *(POSTS.c[name] for name in REACH),
    POSTS.c.reach_time,
)
"""What a post that comes in again is compared with."""
_KEEP_PAST: Final = insert(PAST_TEXTS).from_select(
    ["post", "revision", "subject", "text"],
    select(POSTS.c.id, POSTS.c.revision, POSTS.c.subject, POSTS.c.text).where(POSTS.c.id == bindparam("post")),
)
_CHANGE: Final = update(POSTS).where(POSTS.c.id == bindparam("post"))
_REACH_COLUMNS: Final = (*REACH, "reach_time")
_HOUR: Final = 3_600_000_000


class KnownItem(NamedTuple):
    """An item of a feed as it may be written, by what it is known again, and whether its feed says when it is from."""

    post: MaskedPost
    keys: tuple[bytes, ...]
    dated: bool


class Outcome(NamedTuple):
    """What became of a post that came in."""

    post_id: str
    kind: post_pb2.PostOutcome.Kind.ValueType


def receive_posts(tx: Tx, source: Row[Any], posts: Sequence[MaskedPost]) -> list[Outcome]:
    """Writes posts of a source, whose row is locked, by its own ids for them; what became of each."""
    outcomes: list[Outcome] = []
    for group in _without_repetition(posts):
        outcomes += _receive_distinct(tx, source, group)
    return outcomes


def receive_items(tx: Tx, source: Row[Any], items: Sequence[KnownItem]) -> list[Outcome]:
    """Writes items of a source, whose row is locked; what became of each that is not of a purged post."""
    keys = [key for item in items for key in item.keys]
    known = posts_of_keys(tx, keys)
    ours: dict[bytes, str] = {}
    for item in items:
        if not any(key in known or key in ours for key in item.keys):
            ours |= dict.fromkeys(item.keys, ids.uuid7())
    if ours:
        _add_keys(tx, ours)
        # A replica that received the same page meanwhile was first; its keys are seen now.
        known |= posts_of_keys(tx, list(ours))
    return _receive_known(tx, source, items, known, set(ours.values()))


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
        self._tell(CREATED, post_id, 1, post)
        self._outcomes.append(Outcome(post_id, post_pb2.PostOutcome.KIND_CREATED))

    def pass_over(self, post_id: str) -> None:
        """A post that is known, and says nothing new here."""
        self._outcomes.append(Outcome(post_id, post_pb2.PostOutcome.KIND_UNCHANGED))

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
            self._tell(UPDATED, row.id, row.revision + 1, replace(post, external_id=row.external_id))
            self._outcomes.append(Outcome(row.id, post_pb2.PostOutcome.KIND_UPDATED))
            return
        if has_grown:
            self._reached.append({**_reach_columns(post), "post": row.id})
            self._tell(REACH_CHANGED, row.id, row.revision, replace(post, external_id=row.external_id, voice=b""))
        self._outcomes.append(Outcome(row.id, post_pb2.PostOutcome.KIND_UNCHANGED))

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
        self._tx.changes.add_bytes(kind, f"{POST_PREFIX}{post_id}", revision, _POST_TYPE, body, drill=post.drill)


def posts_of_keys(tx: Tx, keys: Sequence[bytes]) -> dict[bytes, str]:
    """The posts that are known by keys; empty for one that was purged."""
    found: dict[bytes, str] = {}
    query = select(POST_KEYS.c.key, POST_KEYS.c.post)
    for chunk in chunks(keys):
        found |= {bytes(row.key): row.post for row in tx.execute(query.where(POST_KEYS.c.key.in_(chunk)))}
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
    for chunk in chunks(sorted(post for post in known.values() if post and post not in ours)):
        rows |= {row.id: row for row in tx.execute(_KNOWN.where(POSTS.c.id.in_(chunk)))}
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
        name=f"{POST_PREFIX}{post_id}",
        source=f"sources/{source.id}",
        external_id=post.external_id,
        publish_time=clock.to_timestamp(post.publish_time),
        collect_time=clock.to_timestamp(post.collect_time),
        uri=post.uri,
        reach=reach_of(post.reach),
        expects_answer=source.expects_answer,
        drill=post.drill,
        voice=post.voice,
        revision=revision,
    ).SerializeToString()
