"""Reading the collector's posts anew, where its feed does not go back to where the analyzer stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import structlog
from huiyin.collector.v1 import post_pb2
from huiyin_chassis import client
from huiyin_chassis.consumer import first_cursor
from huiyin_chassis.identity import Signer
from huiyin_chassis.ids import uuid7

from huiyin_analyzer import store
from huiyin_analyzer.store import AnalyzerStore
from huiyin_analyzer.worker.following import Analysis, Told, votes_of

if TYPE_CHECKING:
    from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceAsyncStub

log = structlog.get_logger(__name__)

_PAGE = 500


class Listing:
    """Lists posts and applies them like changes: new ones join, edited ones are taken over, missing ones are purged."""

    def __init__(
        self, store: AnalyzerStore, analysis: Analysis, collector: CollectorServiceAsyncStub, signer: Signer
    ) -> None:
        self._store = store
        self._analysis = analysis
        self._collector = collector
        self._signer = signer

    async def relist(self) -> str:
        """Takes over every post; returns the cursor from which the feed goes on.

        The cursor is that of before the list: what comes meanwhile is told twice, and known the second time.
        """
        cursor = await self._head()
        missing = await self._store.read(store.texts_kept)
        listed = 0
        async for posts in self._posts():
            missing.difference_update([_id_of(post) for post in posts])
            listed += len(posts)
            await self._take(await self._told(posts))
        purged = sorted(missing)
        for start in range(0, len(purged), _PAGE):
            gone = purged[start : start + _PAGE]
            await self._take([("post.purged", post_pb2.Post(name=f"posts/{post_id}")) for post_id in gone])
        log.info("posts.listed", posts=listed, gone=len(purged))
        return cursor

    async def _told(self, posts: Sequence[post_pb2.Post]) -> list[Told]:
        known = await self._store.read(lambda connection: store.known_posts(connection, map(_id_of, posts)))
        told: list[Told] = []
        for post in posts:
            row = known.get(_id_of(post))
            if row is None:
                told.append(("post.created", post))
            elif (row.subject, row.text) != (post.subject, post.text):
                told.append(("post.updated", post))
            elif row.votes != votes_of(post):
                told.append(("post.reach_changed", post))
        return told

    async def _take(self, told: Sequence[Told]) -> None:
        if told:
            try:
                await self._store.write(lambda tx: self._analysis.take(tx, told, lambda step: uuid7()))
            except Exception:
                self._analysis.forget()
                raise

    async def _head(self) -> str:
        request = post_pb2.WatchPostsRequest(tail=True)
        return await first_cursor(self._collector.WatchPosts(request, metadata=self._metadata()))

    async def _posts(self) -> AsyncIterator[Sequence[post_pb2.Post]]:
        request = post_pb2.ListPostsRequest(page_size=_PAGE, order_by="collect_time")
        while True:
            page = await self._collector.ListPosts(request, metadata=self._metadata(), timeout=client.DEADLINE)
            yield page.posts
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return client.metadata(self._signer.own_token())


def _id_of(post: post_pb2.Post) -> str:
    return post.name.removeprefix("posts/")
