"""Which articles of a list are known, which wait to be read, and which are looked at again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from huiyin_chassis import clock
from huiyin_chassis.bulk import chunks
from huiyin_chassis.store import Tx, insert_new
from sqlalchemy import Column, Connection, Select, bindparam, delete, func, select, update

from huiyin_collector.model.pages import Link
from huiyin_collector.model.schedule import pause_of_article, pause_of_broken_article
from huiyin_collector.store.tables import ARTICLES, POST_KEYS

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND
_MISSING_FOR_GOOD: Final = 2
"""An article that is not there at so many visits in a row is withdrawn."""


class Due(NamedTuple):
    """An article that is to be read: for the first time where `first_us` is 0, otherwise again."""

    key: bytes
    uri: str
    published_us: int
    etag: str
    last_modified: str
    first_us: int
    failures: int
    missing: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How reading an article went: `fault`, its reason, is empty where it went well. `gone`: it said so itself."""

    article: Due
    etag: str = ""
    last_modified: str = ""
    fault: str = ""

    @property
    def missing(self) -> bool:
        """Whether it is not there, having been there."""
        return self.article.first_us > 0 and self.fault in ("NOT_FOUND", "GONE")

    @property
    def withdrawn(self) -> bool:
        """Whether it counts as taken back: it says that it is gone for good, or is not there a second time."""
        return self.missing and (self.fault == "GONE" or self.article.missing + 1 >= _MISSING_FOR_GOOD)


class Counts(NamedTuple):
    """Articles of a source that wait to be read, and those that could not be."""

    waiting: int
    broken: int


def known(connection: Connection, source_id: str, keys: Collection[bytes]) -> set[bytes]:
    """Those of the keys under which the source has articles."""
    return _among(connection, keys, select(ARTICLES.c.key).where(ARTICLES.c.source == source_id), ARTICLES.c.key)


def known_items(connection: Connection, keys: Collection[bytes]) -> set[bytes]:
    """Those of the keys by which posts are known."""
    return _among(connection, keys, select(POST_KEYS.c.key), POST_KEYS.c.key)


def due(connection: Connection, source_id: str, now_us: int, limit: int) -> list[Due]:
    """Articles that are to be read now: new ones first, in the order of their list."""
    query = select(
        ARTICLES.c.key,
        ARTICLES.c.uri,
        ARTICLES.c.publish_time,
        ARTICLES.c.etag,
        ARTICLES.c.last_modified,
        ARTICLES.c.first_time,
        ARTICLES.c.failures,
        ARTICLES.c.missing,
    )
    query = query.where(ARTICLES.c.source == source_id, ARTICLES.c.check_time > 0, ARTICLES.c.check_time <= now_us)
    query = query.order_by(ARTICLES.c.first_time > 0, ARTICLES.c.check_time).limit(limit)
    return [Due(bytes(row[0]), *row[1:]) for row in connection.execute(query)]


def see(tx: Tx, source_id: str, links: Sequence[Link]) -> None:
    """Remembers what a list shows; what is new waits to be read, in the order of the list."""
    shown = {link.key: link for link in links}
    query = select(ARTICLES.c.key, ARTICLES.c.seen_time).where(ARTICLES.c.source == source_id)
    before: dict[bytes, int] = {}
    for some in chunks(shown):
        before |= {bytes(row.key): row.seen_time for row in tx.execute(query.where(ARTICLES.c.key.in_(some)))}
    rows = [
        {
            "source": source_id,
            "key": key,
            "uri": link.url,
            "publish_time": clock.micros(link.published) if link.published is not None else 0,
            "etag": "",
            "last_modified": "",
            "first_time": 0,
            "check_time": tx.now_us + place,
            "failures": 0,
            "missing": 0,
            "seen_time": tx.now_us,
        }
        for place, (key, link) in enumerate(shown.items())
        if key not in before
    ]
    if rows:
        tx.execute(insert_new(tx.connection, ARTICLES), rows)
    for some in chunks(key for key, seen in before.items() if seen < tx.now_us - _DAY):
        again = update(ARTICLES).where(ARTICLES.c.source == source_id, ARTICLES.c.key.in_(some))
        tx.execute(again.values(seen_time=tx.now_us))


def record(tx: Tx, source_id: str, readings: Sequence[Reading]) -> None:
    """Writes down how reading went, and when each article is looked at next."""
    rows = [{"of": reading.article.key, **_after(reading, tx.now_us)} for reading in readings]
    if rows:
        statement = update(ARTICLES).where(ARTICLES.c.source == source_id, ARTICLES.c.key == bindparam("of"))
        tx.execute(statement, rows)


def _after(reading: Reading, now_us: int) -> dict[str, object]:
    article = reading.article
    first_us = article.first_us or (0 if reading.fault else now_us)
    missing = article.missing + 1 if reading.missing else 0
    failures = article.failures + 1 if reading.fault else 0
    if reading.withdrawn:
        pause = 0.0
    elif reading.fault:
        pause = pause_of_broken_article(failures)
    else:
        pause = pause_of_article((now_us - first_us) / _SECOND)
    return {
        "etag": reading.etag if not reading.fault else article.etag,
        "last_modified": reading.last_modified if not reading.fault else article.last_modified,
        "first_time": first_us,
        "check_time": now_us + int(pause * _SECOND) if pause else 0,
        "failures": failures,
        "missing": missing,
    }


def counts(tx: Tx, source_id: str) -> Counts:
    """How many wait and how many are broken."""
    unread = select(func.count()).where(ARTICLES.c.source == source_id, ARTICLES.c.first_time == 0)
    waiting = tx.execute(unread.where(ARTICLES.c.failures == 0)).scalar_one()
    return Counts(waiting, tx.execute(unread.where(ARTICLES.c.failures > 0)).scalar_one())


def try_again(tx: Tx, source_id: str) -> None:
    """Lets the broken articles of a source be read anew: its rules were changed."""
    broken = (ARTICLES.c.source == source_id, ARTICLES.c.first_time == 0, ARTICLES.c.failures > 0)
    tx.execute(update(ARTICLES).where(*broken).values(failures=0, check_time=tx.now_us))


def forget(tx: Tx, seen_before: int) -> None:
    """Forgets articles that no list shows any more since then."""
    tx.execute(delete(ARTICLES).where(ARTICLES.c.seen_time < seen_before))


def _among(connection: Connection, keys: Collection[bytes], query: Select[Any], column: Column[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    for some in chunks(keys):
        found |= {bytes(key) for key in connection.scalars(query.where(column.in_(some)))}
    return found
