"""Full-text search over posts and over the events that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from huiyin.analyzer.v1 import search_pb2
from huiyin_chassis import paging
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.identity import Principal, current_principal
from sqlalchemy import Connection, Row, func, select

from huiyin_analyzer import resources
from huiyin_analyzer.model.search import Marker, Names, Piece, Query, QueryError, fact_token, parse
from huiyin_analyzer.readers import Readers
from huiyin_analyzer.service.events import as_of_now, scope_of, within_reach
from huiyin_analyzer.store import EVENTS, SEARCH_POSTS, AnalyzerStore, search
from huiyin_analyzer.store.search import LOOKED_AT, ROW, Wanted

_RELEVANCE, _NEWEST = "relevance", "publish_time desc"
_MOST = 100
_GRADES = range(1, 5)


class SearchMethods:
    """What the service finds."""

    _store: AnalyzerStore
    _readers: Readers

    async def SearchMemberships(
        self, request: search_pb2.SearchMembershipsRequest, context: Any
    ) -> search_pb2.SearchMembershipsResponse:
        """Posts that match, with their events."""
        principal = current_principal()
        wanted = await self._wanted(request.filter, principal)
        by_relevance = _is_by_relevance(request.order_by, wanted.query)
        marker = Marker(wanted.query)

        def read(connection: Connection) -> search_pb2.SearchMembershipsResponse:
            query, order = select(ROW), [(ROW, True)]
            if by_relevance:
                ranked = search.ranked(connection, wanted)
                query, order = select(ranked.c.rowid), [(ranked.c.points, True), (ranked.c.rowid, True)]
            else:
                query = search.matches(connection, wanted)
            found = paging.page(
                connection,
                query,
                order,
                page_size=min(request.page_size, _MOST),
                page_token=request.page_token,
                binding=_binding("memberships", request.filter, principal),
            )
            matches = search.count(connection, wanted)
            return search_pb2.SearchMembershipsResponse(
                hits=_hits(connection, [row.rowid for row in found.rows], marker, principal),
                next_page_token=found.next_page_token,
                total_size=min(matches, LOOKED_AT),
                total_capped=matches > LOOKED_AT,
            )

        return await self._store.read(read)

    async def SearchEvents(
        self, request: search_pb2.SearchEventsRequest, context: Any
    ) -> search_pb2.SearchEventsResponse:
        """Events with posts that match."""
        principal = current_principal()
        wanted = await self._wanted(request.filter, principal)
        marker = Marker(wanted.query)

        def read(connection: Connection) -> search_pb2.SearchEventsResponse:
            newest = search.newest(connection, wanted)
            events = (
                select(
                    SEARCH_POSTS.c.event_id,
                    func.max(SEARCH_POSTS.c.id).label("newest"),
                    func.count().label("matches"),
                )
                .join(newest, newest.c.rowid == SEARCH_POSTS.c.id)
                .group_by(SEARCH_POSTS.c.event_id)
                .subquery()
            )
            found = paging.page(
                connection,
                select(events),
                [(events.c.newest, True)],
                page_size=min(request.page_size, _MOST),
                page_token=request.page_token,
                binding=_binding("events", request.filter, principal),
            )
            matches_of = {row.newest: row.matches for row in found.rows}
            response = search_pb2.SearchEventsResponse(
                next_page_token=found.next_page_token,
                total_size=paging.total(connection, select(events)),
                total_capped=search.count(connection, wanted) > LOOKED_AT,
            )
            for row, hit in _hits_by_row(connection, list(matches_of), marker, principal):
                told = response.hits.add(event=hit.event, match_count=matches_of[row], newest=hit)
                told.newest.ClearField("event")
            return response

        return await self._store.read(read)

    async def _wanted(self, given: search_pb2.SearchFilter, principal: Principal) -> Wanted:
        in_force = await self._store.read(self._readers.get)
        return _wanted(given, principal, in_force.texts.names_in)


def _wanted(given: search_pb2.SearchFilter, principal: Principal, names: Names) -> Wanted:
    try:
        query = parse(given.query, names)
    except QueryError as error:
        raise InvalidArgument("filter.query", str(error), "QUERY_INVALID") from None
    paths = [("t", [given.topic.removeprefix("topics/")]), ("p", [given.place.removeprefix("places/")])]
    if not principal.everywhere:
        paths.append(("t", [name.removeprefix("topics/") for name in principal.topics]))
        paths.append(("p", [name.removeprefix("places/") for name in principal.places]))
    facts = [tuple(fact_token(kind, path) for path in some if path) for kind, some in paths]
    facts.append((fact_token("s", given.source),) if given.source else ())
    if given.least_grade:
        facts.append(tuple(fact_token("g", str(grade)) for grade in _GRADES if grade >= given.least_grade))
    if given.HasField("expects_answer"):
        facts.append((fact_token("x", str(int(given.expects_answer))),))
    drill = (fact_token("d", "1"),)
    if given.drill:
        facts.append(drill)
    facts = [group for group in facts if group]
    if not query.groups and not facts:
        facts.append((fact_token("x", "0"), fact_token("x", "1")))
    return Wanted(
        query,
        tuple(facts),
        () if given.drill else drill,
        timestamp_to_micros(given.since) if given.HasField("since") else None,
        timestamp_to_micros(given.until) if given.HasField("until") else None,
    )


def _is_by_relevance(order_by: str, query: Query) -> bool:
    if order_by not in ("", _RELEVANCE, _NEWEST):
        raise InvalidArgument("order_by", f'must be "{_RELEVANCE}" or "{_NEWEST}"', "ORDER_INVALID")
    return bool(query.groups) and order_by != _NEWEST


def _binding(kind: str, given: search_pb2.SearchFilter, principal: Principal) -> object:
    return kind, given.SerializeToString(deterministic=True), scope_of(principal)


def _hits(
    connection: Connection, rows: Sequence[int], marker: Marker, principal: Principal
) -> list[search_pb2.MembershipHit]:
    return [hit for _, hit in _hits_by_row(connection, rows, marker, principal)]


def _hits_by_row(
    connection: Connection, rows: Sequence[int], marker: Marker, principal: Principal
) -> list[tuple[int, search_pb2.MembershipHit]]:
    """The posts of rows of the index, in that order, without those that are not there or not within reach any more."""
    posts = search.found_posts(connection, rows)
    query = select(EVENTS).where(EVENTS.c.id.in_({post.event_id for post in posts.values()}), within_reach(principal))
    events = {event.id: event for event in connection.execute(query)}
    return [
        (row, _hit(posts[row], events[posts[row].event_id], marker))
        for row in rows
        if row in posts and posts[row].event_id in events
    ]


def _hit(post: Row[Any], event: Row[Any], marker: Marker) -> search_pb2.MembershipHit:
    return search_pb2.MembershipHit(
        membership=resources.membership(post, with_text=True),
        event=as_of_now(event),
        subject=_pieces(marker.whole(post.subject)),
        snippet=_pieces(marker.snippet(post.text)),
    )


def _pieces(pieces: Iterable[Piece]) -> list[search_pb2.Piece]:
    return [search_pb2.Piece(text=text, matches=matches) for text, matches in pieces]
