"""The methods of CollectorService. Permission and limits were checked before they are called."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from google.api import httpbody_pb2
from google.longrunning import operations_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin.type.v1 import download_pb2, feed_pb2
from huiyin_chassis import clock
from huiyin_chassis.errors import AlreadyExists, InvalidArgument, PermissionDenied
from huiyin_chassis.feed import Feed
from huiyin_chassis.field_masks import masked_fields
from huiyin_chassis.files import ENCODINGS, Format, UnreadableFile, receive
from huiyin_chassis.filters import boolean_field, compile_filter, name_field, parse_order, text_field, time_field
from huiyin_chassis.identity import current_principal
from huiyin_chassis.operations import Operations
from huiyin_chassis.paging import Page, page, total
from huiyin_chassis.sealing import Seal
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_collector.fetching import Fetcher
from huiyin_collector.imports import Import, Importer
from huiyin_collector.inbox import InboxMethods
from huiyin_collector.intake import Intake
from huiyin_collector.looking import Look, Looker
from huiyin_collector.looking.rules import check_rules
from huiyin_collector.model.faults import Fault, NotAFeed
from huiyin_collector.model.links import address_fault
from huiyin_collector.model.opml import Outline, read_opml, source_id_of, write_opml
from huiyin_collector.model.posts import MAX_EXTERNAL_ID, Draft
from huiyin_collector.model.rules import RuleError
from huiyin_collector.model.times import load_zone
from huiyin_collector.names import id_of, parent_of
from huiyin_collector.pacing import Hosts, VisitTurns
from huiyin_collector.store import SOURCES_SHOWN, VISITED, CollectorStore, refusals, visits
from huiyin_collector.store.messages import API, FEED, PAGE_LIST, post_of, rules_of, source_of
from huiyin_collector.store.tables import POSTS, SOURCES, VISITS
from huiyin_collector.store.visits import Visit

_UPDATABLE: Final = ("display_name", "expects_answer", "area", "uri", "page_list", "api")
_OF_READING: Final = frozenset({"uri", "page_list", "api"})
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
_ENCODINGS: Final = {
    post_pb2.ImportPostsRequest.ENCODING_UTF_8: ENCODINGS["UTF-8"],
    post_pb2.ImportPostsRequest.ENCODING_UTF_16: ENCODINGS["UTF-16"],
    post_pb2.ImportPostsRequest.ENCODING_GB18030: ENCODINGS["GB18030"],
    post_pb2.ImportPostsRequest.ENCODING_BIG5: ENCODINGS["BIG5"],
}
_DELIMITERS: Final = {
    post_pb2.ImportPostsRequest.DELIMITER_COMMA: ",",
    post_pb2.ImportPostsRequest.DELIMITER_SEMICOLON: ";",
    post_pb2.ImportPostsRequest.DELIMITER_TAB: "\t",
    post_pb2.ImportPostsRequest.DELIMITER_PIPE: "|",
}

_OUTLINES_AT_ONCE: Final = 200
_CREATED_SHOWN: Final = 1000
_REFUSED_SHOWN: Final = 100
_URI_SHOWN: Final = 200
_ITEMS_SHOWN: Final = 20
_TEXT_SHOWN: Final = 500
_ARTICLES_TRIED: Final = 3
_TRIAL_SECONDS: Final = 10.0

_Context = Any  # grpc.aio.ServicerContext is generic in what no method here looks at


@dataclass(frozen=True, slots=True)
class Visiting:
    """What serves to look at sources; `wake` tells the worker that one is due."""

    fetcher: Fetcher
    looker: Looker
    hosts: Hosts
    wake: Callable[[], None]


class CollectorServicer(InboxMethods, collector_service_pb2_grpc.CollectorServiceServicer):
    """Serves sources and posts. `import_bytes`: the largest file that may be imported."""

    def __init__(
        self,
        store: CollectorStore,
        feed: Feed,
        operations: Operations,
        intake: Intake,
        seal: Seal,
        importer: Importer,
        visiting: Visiting,
        import_bytes: int,
    ) -> None:
        self._store = store
        self._feed = feed
        self._operations = operations
        self._intake = intake
        self._seal = seal
        self._importer = importer
        self._visiting = visiting
        self._import_bytes = import_bytes

    async def CreateSource(self, request: source_pb2.CreateSourceRequest, context: _Context) -> source_pb2.Source:
        _check_reading(request.source)

        def work(tx: Tx) -> source_pb2.Source:
            return self._store.create_source(tx, request.source_id, request.source)

        subject = current_principal().subject
        created = await self._store.write_once(
            request.request_id, "CreateSource", request, work, source_pb2.Source, subject=subject
        )
        self._visiting.wake()
        return created

    async def GetSource(self, request: source_pb2.GetSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = id_of(request.name, "sources", "name")
        return await self._store.read(lambda connection: self._store.source(connection, source_id))

    async def ListSources(
        self, request: source_pb2.ListSourcesRequest, context: _Context
    ) -> source_pb2.ListSourcesResponse:
        def work(connection: Connection) -> Page:
            order = [(SOURCES.c.id, False)]
            return page(connection, SOURCES_SHOWN, order, page_size=request.page_size, page_token=request.page_token)

        found = await self._store.read(work)
        return source_pb2.ListSourcesResponse(
            sources=[source_of(row) for row in found.rows], next_page_token=found.next_page_token
        )

    async def UpdateSource(self, request: source_pb2.UpdateSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = id_of(request.source.name, "sources", "source.name")
        wanted = masked_fields(request.update_mask, _UPDATABLE)
        values = {name: getattr(request.source, name) for name in wanted if name not in _OF_READING}
        if values.get("display_name") == "":
            values["display_name"] = source_id
        reading = _OF_READING & set(wanted)

        def work(tx: Tx) -> source_pb2.Source:
            if reading:
                source = self._store.source(tx.connection, source_id)
                # No mask means every field, also from those who know of none of an address.
                if "uri" in reading:
                    source.uri = request.source.uri
                if "page_list" in reading:
                    source.ClearField("page_list")
                    if request.source.HasField("page_list"):
                        source.page_list.CopyFrom(request.source.page_list)
                if "api" in reading:
                    source.ClearField("api")
                    if request.source.HasField("api"):
                        source.api.CopyFrom(request.source.api)
                _check_reading(source)
                values.update(uri=source.uri, rules=rules_of(source))
            return self._store.update_source(tx, source_id, values, request.source.etag)

        updated = await self._store.write(work)
        self._visiting.wake()
        return updated

    async def PauseSource(self, request: source_pb2.PauseSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = id_of(request.name, "sources", "name")
        return await self._store.write(lambda tx: visits.set_state(tx, self._store, source_id, visits.PAUSED))

    async def ResumeSource(self, request: source_pb2.ResumeSourceRequest, context: _Context) -> source_pb2.Source:
        source_id = id_of(request.name, "sources", "name")
        resumed = await self._store.write(lambda tx: visits.set_state(tx, self._store, source_id, visits.ACTIVE))
        self._visiting.wake()
        return resumed

    async def RunSource(self, request: source_pb2.RunSourceRequest, context: _Context) -> source_pb2.SourceHealth:
        source_id = id_of(request.name, "sources", "name")
        health = await self._store.write(lambda tx: visits.run_now(tx, self._store, source_id))
        self._visiting.wake()
        return health

    async def TrySource(self, request: source_pb2.TrySourceRequest, context: _Context) -> source_pb2.TrySourceResponse:
        response = source_pb2.TrySourceResponse(uri=request.uri)
        kind = request.kind or FEED
        source = source_pb2.Source(kind=kind, uri=request.uri)
        if request.HasField("page_list"):
            source.page_list.CopyFrom(request.page_list)
        if request.HasField("api"):
            source.api.CopyFrom(request.api)
        _check_rules(source, "")
        turns = VisitTurns(self._visiting.hosts, request.uri, _TRIAL_SECONDS)
        try:
            robots = await self._visiting.fetcher.robots(request.uri)
            response.crawl_delay_seconds = robots.crawl_delay
            allowed = robots.allows(request.uri)
            response.robots = response.ROBOTS_ALLOWED if allowed else response.ROBOTS_DISALLOWED
            look = await self._visiting.looker.look(
                Visit("", kind, request.uri, rules_of(source)), turns, most_articles=_ARTICLES_TRIED
            )
        except NotAFeed as fault:
            response.feeds.extend(fault.feeds)
            response.error_reason, response.error_message = fault.reason, fault.message
        except Fault as fault:
            response.error_reason, response.error_message = fault.reason, fault.message
        else:
            _show(response, look, self._intake)
        return response

    async def GetSourceHealth(
        self, request: source_pb2.GetSourceHealthRequest, context: _Context
    ) -> source_pb2.SourceHealth:
        source_id = id_of(parent_of(request.name, "sources", "health"), "sources", "name")
        return await self._store.read(lambda connection: visits.health(connection, source_id))

    async def ListSourceHealth(
        self, request: source_pb2.ListSourceHealthRequest, context: _Context
    ) -> source_pb2.ListSourceHealthResponse:
        query = visits.failing() if request.failing else visits.everything()

        def work(connection: Connection) -> Page:
            return page(
                connection,
                query,
                [(VISITS.c.source, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=request.failing,
            )

        found = await self._store.read(work)
        return source_pb2.ListSourceHealthResponse(
            healths=[visits.health_of(row) for row in found.rows], next_page_token=found.next_page_token
        )

    async def ImportOpml(
        self, request: source_pb2.ImportOpmlRequest, context: _Context
    ) -> source_pb2.ImportOpmlResponse:
        try:
            outlines = await asyncio.to_thread(read_opml, request.opml)
        except Fault as fault:
            raise InvalidArgument("opml", fault.message, fault.reason) from None
        response = source_pb2.ImportOpmlResponse()
        for start in range(0, len(outlines), _OUTLINES_AT_ONCE):
            some = outlines[start : start + _OUTLINES_AT_ONCE]
            names = await self._store.write(partial(self._add_outlines, outlines=some, request=request))
            response.created += len(names)
            response.sources.extend(names[: _CREATED_SHOWN - len(response.sources)])
            refused = [outline.uri[:_URI_SHOWN] for outline in some if address_fault(outline.uri)]
            response.known += len(some) - len(names) - len(refused)
            response.refused.extend(refused[: _REFUSED_SHOWN - len(response.refused)])
        self._visiting.wake()
        return response

    def _add_outlines(self, tx: Tx, outlines: Sequence[Outline], request: source_pb2.ImportOpmlRequest) -> list[str]:
        """Creates what can be and is not there; the names of what was created."""
        names: list[str] = []
        for outline in outlines:
            if address_fault(outline.uri):
                continue
            source = source_pb2.Source(
                display_name=outline.title,
                kind=FEED,
                expects_answer=request.expects_answer,
                area=request.area or outline.area,
                uri=outline.uri,
            )
            with contextlib.suppress(AlreadyExists), tx.savepoint():
                names.append(self._store.create_source(tx, source_id_of(outline.uri), source).name)
        return names

    async def ExportOpml(
        self, request: source_pb2.ExportOpmlRequest, context: _Context
    ) -> source_pb2.ExportOpmlResponse:
        rows = await self._store.read(lambda connection: connection.execute(visits.feeds()).all())
        outlines = [Outline(row.uri, row.display_name, row.area) for row in rows]
        return source_pb2.ExportOpmlResponse(opml=write_opml(outlines))

    async def GetPost(self, request: post_pb2.GetPostRequest, context: _Context) -> post_pb2.Post:
        _require_everywhere()
        post_id = id_of(request.name, "posts", "name")
        return await self._store.read(lambda connection: self._store.post(connection, post_id))

    async def GetPostSeries(self, request: post_pb2.GetPostSeriesRequest, context: _Context) -> post_pb2.PostSeries:
        _require_everywhere()
        post_id = id_of(parent_of(request.name, "posts", "series"), "posts", "name")
        return await self._store.read(lambda connection: self._store.series(connection, post_id))

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

    async def ImportPosts(
        self, requests: AsyncIterator[post_pb2.ImportPostsRequest], context: _Context
    ) -> operations_pb2.Operation:
        pieces = aiter(requests)
        first = await anext(pieces, None)
        if first is None:
            raise InvalidArgument("", "the call ended without a message; send the source and the file")
        source_id = id_of(first.source, "sources", "source")
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

    async def DownloadImportReport(
        self, request: post_pb2.DownloadImportReportRequest, context: _Context
    ) -> httpbody_pb2.HttpBody:
        operation = await self._operations.get(request.name)
        report = await self._store.read(lambda connection: refusals.report(connection, operation))
        body = httpbody_pb2.HttpBody(content_type="text/csv; charset=utf-8", data=report)
        body.extensions.add().Pack(download_pb2.Download(file_name="refused.csv"))
        return body

    async def CancelOperation(
        self, request: collector_service_pb2.CancelOperationRequest, context: _Context
    ) -> operations_pb2.Operation:
        return await self._operations.cancel(request.name)

    async def SetPostHold(
        self, request: post_pb2.SetPostHoldRequest, context: _Context
    ) -> post_pb2.SetPostHoldResponse:
        post_ids = [id_of(name, "posts", f"posts[{index}]") for index, name in enumerate(request.posts)]

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


def _check_reading(source: source_pb2.Source) -> None:
    """That a source's address and rules fit its kind and can be used. Raises InvalidArgument."""
    if source.kind in VISITED:
        fault = address_fault(source.uri)
        if fault:
            raise InvalidArgument("source.uri", fault, "URI_INVALID")
    elif source.uri:
        raise InvalidArgument(
            "source.uri", "only feeds, lists and interfaces have an address; leave it empty", "URI_UNUSED"
        )
    _check_rules(source, "source.")


def _check_rules(source: source_pb2.Source, prefix: str) -> None:
    if source.kind not in VISITED and prefix == "":
        raise InvalidArgument(
            "kind", "is not visited by anybody; choose KIND_FEED, KIND_PAGE_LIST or KIND_API", "SOURCE_KIND"
        )
    for name, kind in (("page_list", PAGE_LIST), ("api", API)):
        if source.HasField(name) and source.kind != kind:  # type: ignore[arg-type]
            raise InvalidArgument(
                f"{prefix}{name}", "is of another kind of source; leave it out, or change the kind", "RULES_UNUSED"
            )
    if source.kind == API and not source.HasField("api"):
        raise InvalidArgument(f"{prefix}api", "is needed for KIND_API: say where the items are", "REQUIRED")
    try:
        check_rules(source.kind, source.page_list, source.api)
    except RuleError as error:
        raise InvalidArgument(f"{prefix}{error.field}", error.description, "RULE_INVALID") from None


def _show(response: source_pb2.TrySourceResponse, look: Look, intake: Intake) -> None:
    response.uri, response.format, response.title = look.url, look.format, look.title
    response.items_total, response.items_passed_over = max(len(look.items), len(look.links)), look.passed_over
    if look.fault is not None:
        response.error_reason, response.error_message = look.fault.reason, look.fault.message
    for item in look.items[:_ITEMS_SHOWN]:
        post = item.post
        shown = response.items.add(
            external_id=post.external_id, subject=post.subject, text=post.text[:_TEXT_SHOWN], uri=post.uri
        )
        if item.dated:
            shown.publish_time.CopyFrom(clock.to_timestamp(post.publish_time))
    read = {item.post.uri for item in look.items}
    rest = [link for link in look.links if link.url not in read][: _ITEMS_SHOWN - len(response.items)]
    drafts = [Draft(link.title, "", "", link.url[:MAX_EXTERNAL_ID], link.published, link.url) for link in rest]
    for post, draft in zip(intake.mask("", drafts, clock.now()), drafts, strict=True):
        shown = response.items.add(external_id=post.external_id, subject=post.subject, uri=post.uri)
        if draft.publish_time is not None:
            shown.publish_time.CopyFrom(clock.to_timestamp(draft.publish_time))


def _require_everywhere() -> None:
    """Posts have no place yet, so only a caller without limits of place and topic may read them here."""
    if not current_principal().everywhere:
        raise PermissionDenied(
            "REACH_MISSING",
            "posts are read here by those who may read everywhere; read the posts of your events in the analyzer",
        )


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
        _ENCODINGS.get(first.encoding, ""),
        _DELIMITERS.get(first.delimiter, ""),
    )
