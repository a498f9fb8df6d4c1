"""Keeping the search index: follows the posts and the changes of events, behind the joining and never in its way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import chain

import structlog
from huiyin_chassis.store import Pulse, Tx

from huiyin_analyzer.store import AnalyzerStore, search
from huiyin_analyzer.store.search import Position

log = structlog.get_logger(__name__)

_POSTS = 100
"""Posts indexed in one transaction while others write: 25 ms that they wait."""
_POSTS_IN_QUIET = 500
_CHANGES = 500
_QUIET_SECONDS = 0.5
_PATIENCE_SECONDS = 6.0
_TURN_SECONDS = 0.6
"""How long it works at a stretch while others write."""
_LOOK_SECONDS = 60.0
_MERGED_PAGES = 128
_REST = 10.0
"""Between two times that the index is written anew, so many times as long as the first of them took."""


class Indexing:
    """Brings the index up to date. Whatever it did is committed with how far it came."""

    def __init__(self, store: AnalyzerStore) -> None:
        self._store = store
        self._merge_not_before = 0.0

    async def prepare(self) -> None:
        """Makes the index, or makes it anew where it has another form; before posts are followed."""
        if await self._store.write(lambda tx: search.prepare(tx.connection)):
            log.info("search.index_made")

    async def run(self) -> None:
        """Indexes what is new while nothing is written for half a second, and every six seconds anyway; for ever."""
        while True:
            commit = self._store.changed.current()
            await self._stand_back()
            if await self._work():
                await Pulse.wait(commit, _LOOK_SECONDS)

    async def catch_up(self) -> None:
        """Indexes all that there is now."""
        while await self.step():
            pass

    async def step(self, posts: int = _POSTS_IN_QUIET) -> bool:
        """Indexes so many posts in one transaction; returns whether there may be more to do."""
        position = await self._store.read(search.position)
        if position is None:
            await self.prepare()
            return True
        return await self._take_posts(position, posts) or await self._take_changes(position, posts)

    async def destroy(self) -> int:
        """Destroys the bytes of texts that were taken out, in the index; returns of how many.

        The store's `destroy_bytes` is to follow.

        On SQLite the index is written anew in small steps. Of a large one this takes its time, so it rests in between.
        """
        forgotten = await self._store.read(search.forgotten)
        if not forgotten or time.monotonic() < self._merge_not_before:
            return 0
        started = time.monotonic()
        if self._store.dialect == "sqlite":
            await self._store.write(lambda tx: search.begin_merge(tx.connection))
            more = True
            while more:
                more = await self._store.write(lambda tx: search.merge(tx.connection, _MERGED_PAGES))
        await self._store.write(lambda tx: search.note_destroyed(tx.connection, forgotten))
        self._merge_not_before = time.monotonic() + _REST * (time.monotonic() - started)
        log.info("search.destroyed", texts=forgotten)
        return forgotten

    async def _stand_back(self) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while (left := until - time.monotonic()) > 0:
            commit = self._store.changed.current()
            await Pulse.wait(commit, min(left, _QUIET_SECONDS))
            if not commit.is_set():
                return

    async def _work(self) -> bool:
        """Works until nothing is left to do, or for a turn when others write; returns whether nothing is left."""
        commit = self._store.changed.current()
        until = time.monotonic() + _TURN_SECONDS
        while await self.step(_POSTS if commit.is_set() else _POSTS_IN_QUIET):
            if commit.is_set() and time.monotonic() > until:
                return False
        return True

    async def _take_posts(self, position: Position, at_once: int) -> bool:
        posts = await self._store.read(lambda connection: search.posts_after(connection, position.number, at_once))
        if not posts:
            return False
        through = Position(posts[-1].number, position.sequence)
        await self._store.write(partial(_index, position, [post.id for post in posts], to=through))
        return True

    async def _take_changes(self, position: Position, at_once: int) -> bool:
        changes = await self._store.read(
            lambda connection: search.changes_after(connection, position.sequence, _CHANGES)
        )
        if not changes:
            return False
        # Who joined is indexed by number.
        posts = _ids([row.name for row in changes if row.kind != "membership.joined"], "memberships/")
        events = _ids([row.name for row in changes], "events/")
        outdated = await self._store.read(lambda connection: search.outdated_posts(connection, events))
        posts = list(dict.fromkeys(chain(posts, *(found.posts for found in outdated.values()))))
        for start in range(0, len(posts), at_once):
            await self._store.write(partial(_index, position, posts[start : start + at_once]))

        def settle(tx: Tx) -> None:
            if search.claim(tx.connection, position):
                search.settle_events(tx.connection, outdated)
                search.move(tx.connection, Position(position.number, changes[-1].sequence))

        await self._store.write(settle)
        return True


def _index(position: Position, posts: Sequence[str], tx: Tx, *, to: Position | None = None) -> None:
    if search.claim(tx.connection, position):  # else another process indexes
        search.index(tx.connection, posts)
        if to:
            search.move(tx.connection, to)


def _ids(names: Sequence[str], collection: str) -> list[str]:
    return list(dict.fromkeys(name.removeprefix(collection) for name in names if name.startswith(collection)))
