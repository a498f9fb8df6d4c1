"""The methods of CollectorService. Permission and limits were checked before they are called."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

from google.longrunning import operations_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import FieldViolation, InvalidArgument, PermissionDenied
from huiyin_chassis.feed import Feed
from huiyin_chassis.field_masks import masked_fields
from huiyin_chassis.files import Format, UnreadableFile, receive
from huiyin_chassis.filters import boolean_field, compile_filter, name_field, parse_order, text_field, time_field
from huiyin_chassis.identity import current_principal
from huiyin_chassis.operations import Operations
from huiyin_chassis.paging import Page, page, total
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_collector.imports import Import, Importer
from huiyin_collector.intake import Intake
from huiyin_collector.model.posts import Draft, MaskedPost, clean, content_fault, identifier, time_fault, uri_fault
from huiyin_collector.model.times import load_zone
from huiyin_collector.store import POSTS, SOURCES, CollectorStore, post_of, source_of

_UPDATABLE: Final = ("display_name", "expects_answer", "area")
_FILTERS: Final = {
    "source": name_field(POSTS.c.source, "sources"),
    "external_id": text_field(POSTS.c.external_id),
    "publish_time": time_field(POSTS.c.publish_time),
    "collect_time": time_field(POSTS.c.collect_time),
    "expects_answer": boolean_field(POSTS.c.expects_answer),
    "drill": boolean_field(POSTS.c.drill),
    "held": boolean_field(POSTS.c.held),
}
_ORDERS: Final = {"publish_time": POSTS.c.publish_time, "collect_time": POSTS.c.collect_time}
_FORMATS: Final = {
    post_pb2.ImportPostsRequest.FORMAT_XLSX: Format.XLSX,
    post_pb2.ImportPostsRequest.FORMAT_CSV: Format.CSV,
    post_pb2.ImportPostsRequest.FORMAT_JSONL: Format.JSONL,
}

_Context = Any  # grpc.aio.ServicerContext is generic in what no method here looks at


class CollectorServicer(collector_service_pb2_grpc.CollectorServiceServicer):
    """Serves sources and posts. `import_bytes`: the largest file that may be imported."""

    def __init__(
        self,
        store: CollectorStore,
        feed: Feed,
        operations: Operations,
        intake: Intake,
        importer: Importer,
        import_bytes: int,
    ) -> None:
        self._store = store
        self._feed = feed
        self._operations = operations
        self._intake = intake
        self._importer = importer
        self._import_bytes = import_bytes

    async def CreateSource(self, request: source_pb2.CreateSourceRequest, context: _Context) -> source_pb2.Source:
        def work(tx: Tx) -> source_pb2.Source:
            return self._store.create_source(tx, request.source_id, request.source)

        subject = current_principal().subject
        return await self._store.write_once(
            request.request_id, "CreateSource", request, work, source_pb2.Source, subject=subject
        )

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = _id_of(request.name, "sources", "name")
        return await self._store.read(lambda connection: self._store.source(connection, source_id))

    async def ListSources(
        self, request: source_pb2.ListSourcesRequest, context: _Context
    ) -> source_pb2.ListSourcesResponse:
        def work(connection: Connection) -> Page:
            order = [(SOURCES.c.id, False)]
            return page(connection, select(SOURCES), order, page_size=request.page_size, page_token=request.page_token)

        found = await self._store.read(work)
        return source_pb2.ListSourcesResponse(
            sources=[source_of(row) for row in found.rows], next_page_token=found.next_page_token
        )

    async def UpdateSource(self, request: source_pb2.UpdateSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = _id_of(request.source.name, "sources", "source.name")
        values = {name: getattr(request.source, name) for name in masked_fields(request.update_mask, _UPDATABLE)}
        if values.get("display_name") == "":
            values["display_name"] = source_id
        return await self._store.write(lambda tx: self._store.update_source(tx, source_id, values, request.source.etag))

    async def GetPost(self, request: post_pb2.GetPostRequest, context: _Context) -> post_pb2.Post:
        _require_everywhere()
        post_id = _id_of(request.name, "posts", "name")
        return await self._store.read(lambda connection: self._store.post(connection, post_id))

    async def ListPosts(self, request: post_pb2.ListPostsRequest, context: _Context) -> post_pb2.ListPostsResponse:
        _require_everywhere()
        query = select(POSTS).where(compile_filter(request.filter, _FILTERS))
        order = parse_order(request.order_by, _ORDERS, "collect_time desc")
        # The id goes the way of the last column, so that an index serves both.
        order.append((POSTS.c.id, order[-1][1]))

        def work(connection: Connection) -> tuple[Page, int]:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=request.filter,
            )
            return found, total(connection, query)

        found, size = await self._store.read(work)
        return post_pb2.ListPostsResponse(
            posts=[post_of(row) for row in found.rows], next_page_token=found.next_page_token, total_size=size
        )

    async def BatchCreatePosts(
        self, request: post_pb2.BatchCreatePostsRequest, context: _Context
    ) -> post_pb2.BatchCreatePostsResponse:
        source_id = _id_of(request.source, "sources", "source")
        collected = clock.now()
        drafts = _drafts(request.posts, collected)
        posts = await asyncio.to_thread(self._intake.mask, source_id, drafts, collected)

        def work(tx: Tx) -> post_pb2.BatchCreatePostsResponse:
            outcomes = self._store.receive(tx, source_id, source_pb2.Source.KIND_INBOX, posts)
            return post_pb2.BatchCreatePostsResponse(
                outcomes=[post_pb2.PostOutcome(post=f"posts/{item.post_id}", kind=item.kind) for item in outcomes]
            )

        subject = current_principal().subject
        return await self._store.write_once(
            request.request_id,
            "BatchCreatePosts",
            _masked(request, posts),
            work,
            post_pb2.BatchCreatePostsResponse,
            subject=subject,
        )

    async def ImportPosts(
        self, requests: AsyncIterator[post_pb2.ImportPostsRequest], context: _Context
    ) -> operations_pb2.Operation:
        pieces = aiter(requests)
        first = await anext(pieces, None)
        if first is None:
            raise InvalidArgument("", "the call ended without a message; send the source and the file")
        source_id = _id_of(first.source, "sources", "source")
        kind = source_pb2.Source.KIND_FILE
        await self._store.read(lambda connection: self._store.source_of_kind(connection, source_id, kind))
        item = _import(source_id, first)
        try:
            await receive(item.file, first, pieces, most=self._import_bytes, setting="HUIYIN_IMPORT_BYTES")
            return await self._importer.begin(item)
        except BaseException:
            item.file.close()
            raise

    async def GetOperation(
        self, request: collector_service_pb2.GetOperationRequest, context: _Context
    ) -> operations_pb2.Operation:
        return await self._operations.get(request.name)

    async def SetPostHold(
        self, request: post_pb2.SetPostHoldRequest, context: _Context
    ) -> post_pb2.SetPostHoldResponse:
        post_ids = [_id_of(name, "posts", f"posts[{index}]") for index, name in enumerate(request.posts)]

        def work(tx: Tx) -> post_pb2.SetPostHoldResponse:
            self._store.set_hold(tx, post_ids, held=request.held)
            return post_pb2.SetPostHoldResponse()

        subject = current_principal().subject
        return await self._store.write_once(
            request.request_id, "SetPostHold", request, work, post_pb2.SetPostHoldResponse, subject=subject
        )

    async def WatchPosts(
        self, request: post_pb2.WatchPostsRequest, context: _Context
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        _require_everywhere()
        batches = self._feed.watch(
            request.cursor,
            kinds=request.kinds,
            tail=request.tail,
            until=current_principal().expires,
            join=self._store.join_text,
        )
        async for batch in batches:
            yield batch


def _id_of(name: str, collection: str, field: str) -> str:
    """The id in a resource name. Raises InvalidArgument."""
    prefix, _, bare = name.partition("/")
    if prefix != collection or not bare or "/" in bare:
        raise InvalidArgument(field, f"must be a name such as {collection}/ID", "NAME_INVALID")
    return bare


def _require_everywhere() -> None:
    """Posts have no place yet, so only a caller without limits of place and topic may read them here."""
    if not current_principal().everywhere:
        raise PermissionDenied(
            "REACH_MISSING",
            "posts are read here by those who may read everywhere; read the posts of your events in the analyzer",
        )


def _drafts(posts: Any, collected: datetime) -> list[Draft]:
    """The posts of a request as drafts. Raises InvalidArgument with every violation."""
    drafts: list[Draft] = []
    violations: list[FieldViolation] = []
    for index, post in enumerate(posts):
        subject, text, uri = clean(post.subject), clean(post.text), identifier(post.uri)
        published = clock.from_timestamp(post.publish_time) if post.HasField("publish_time") else None
        faults = {
            "text": content_fault(subject, text),
            "uri": uri_fault(uri),
            "publish_time": time_fault(published, collected) if published else "",
        }
        violations += [FieldViolation(f"posts[{index}].{name}", fault) for name, fault in faults.items() if fault]
        reach = post.reach
        drafts.append(
            Draft(
                subject,
                text,
                identifier(post.author),
                identifier(post.external_id),
                published,
                uri,
                (reach.likes, reach.dislikes, reach.replies, reach.shares, reach.views),
                post.drill,
            )
        )
    if violations:
        raise InvalidArgument.of(violations)
    return drafts


def _masked(request: post_pb2.BatchCreatePostsRequest, posts: list[MaskedPost]) -> post_pb2.BatchCreatePostsRequest:
    """The request as it may be remembered: even from its hash, a number or a name could be found by trying all."""
    masked = post_pb2.BatchCreatePostsRequest()
    masked.CopyFrom(request)
    for post, known in zip(masked.posts, posts, strict=True):
        post.subject, post.text, post.author = known.subject, known.text, ""
    return masked


def _import(source_id: str, first: post_pb2.ImportPostsRequest) -> Import:
    """What the first message says of a file, and an unlinked file to receive it. Raises InvalidArgument."""
    try:
        zone = load_zone(first.time_zone)
    except ValueError:
        raise InvalidArgument(
            "time_zone", "is not in the tz database; write it like Asia/Shanghai", "TIME_ZONE_UNKNOWN"
        ) from None
    try:
        format = _FORMATS.get(first.format) or Format.of_name(first.file_name)
    except UnreadableFile as error:
        raise InvalidArgument("file_name", str(error), "FORMAT_UNKNOWN") from None
    return Import(
        source_id,
        tempfile.TemporaryFile(),
        first.file_name,
        format,
        list(first.columns),
        zone,
        first.drill,
    )
