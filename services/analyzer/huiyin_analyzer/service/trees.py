"""The topic tree and the gazetteer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from huiyin.analyzer.v1 import place_pb2, topic_pb2
from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Table, select

from huiyin_analyzer import store
from huiyin_analyzer.store import PLACES, TOPICS, AnalyzerStore

_DEEPEST = {"topics": 3, "places": 10}


class TreeMethods:
    """What the service does with topics and places."""

    _store: AnalyzerStore

    async def GetTopic(self, request: topic_pb2.GetTopicRequest, context: Any) -> topic_pb2.Topic:
        """One topic."""
        path = request.name.removeprefix("topics/")
        rows = await self._store.read(lambda c: c.execute(select(TOPICS).where(TOPICS.c.path == path)).all())
        if not rows:
            raise NotFound(request.name)
        return _topic(rows[0])

    async def ListTopics(self, request: topic_pb2.ListTopicsRequest, context: Any) -> topic_pb2.ListTopicsResponse:
        """The topic tree."""

        def read(connection: Connection) -> topic_pb2.ListTopicsResponse:
            found = page(
                connection,
                select(TOPICS),
                [(TOPICS.c.path, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="topics",
            )
            return topic_pb2.ListTopicsResponse(topics=map(_topic, found.rows), next_page_token=found.next_page_token)

        return await self._store.read(read)

    async def BatchUpdateTopics(
        self, request: topic_pb2.BatchUpdateTopicsRequest, context: Any
    ) -> topic_pb2.BatchUpdateTopicsResponse:
        """Writes topics, all or none."""
        rows = [
            {"path": topic.name.removeprefix("topics/"), "words": _json(dict.fromkeys(topic.words))}
            for topic in request.topics
        ]

        def write(tx: Tx) -> topic_pb2.BatchUpdateTopicsResponse:
            _check_paths(tx, TOPICS, "topics", [topic.name for topic in request.topics])
            changed = store.write_tree(tx, TOPICS, rows)
            found = tx.execute(select(TOPICS).where(TOPICS.c.path.in_([row["path"] for row in rows])))
            by_path = {row.path: _topic(row) for row in found}
            return topic_pb2.BatchUpdateTopicsResponse(topics=[by_path[row["path"]] for row in rows], changed=changed)

        return await self._store.write(write)

    async def GetPlace(self, request: place_pb2.GetPlaceRequest, context: Any) -> place_pb2.Place:
        """One place."""
        path = request.name.removeprefix("places/")
        rows = await self._store.read(lambda c: c.execute(select(PLACES).where(PLACES.c.path == path)).all())
        if not rows:
            raise NotFound(request.name)
        return _place(rows[0])

    async def ListPlaces(self, request: place_pb2.ListPlacesRequest, context: Any) -> place_pb2.ListPlacesResponse:
        """The gazetteer."""

        def read(connection: Connection) -> place_pb2.ListPlacesResponse:
            found = page(
                connection,
                select(PLACES),
                [(PLACES.c.path, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="places",
            )
            return place_pb2.ListPlacesResponse(places=map(_place, found.rows), next_page_token=found.next_page_token)

        return await self._store.read(read)

    async def BatchUpdatePlaces(
        self, request: place_pb2.BatchUpdatePlacesRequest, context: Any
    ) -> place_pb2.BatchUpdatePlacesResponse:
        """Writes places, all or none."""
        rows = [
            {
                "path": place.name.removeprefix("places/"),
                "kind": place.kind,
                "aliases": _json(dict.fromkeys(place.aliases)),
            }
            for place in request.places
        ]

        def write(tx: Tx) -> place_pb2.BatchUpdatePlacesResponse:
            _check_paths(tx, PLACES, "places", [place.name for place in request.places])
            changed = store.write_tree(tx, PLACES, rows)
            found = tx.execute(select(PLACES).where(PLACES.c.path.in_([row["path"] for row in rows])))
            by_path = {row.path: _place(row) for row in found}
            return place_pb2.BatchUpdatePlacesResponse(places=[by_path[row["path"]] for row in rows], changed=changed)

        return await self._store.write(write)


def _check_paths(tx: Tx, table: Table, collection: str, names: Sequence[str]) -> None:
    """Each name is a path of few segments whose parent exists or is among the names."""
    paths = [name.removeprefix(f"{collection}/") for name in names]
    there = set(tx.execute(select(table.c.path)).scalars()) | set(paths)
    wrong: list[FieldViolation] = []
    for index, (name, path) in enumerate(zip(names, paths, strict=True)):
        segments = path.split(".")
        field = f"{collection}[{index}].name"
        if not name.startswith(f"{collection}/") or not all(
            segment and segment.replace("-", "").replace("_", "").isalnum() for segment in segments
        ):
            text = f'must be "{collection}/" and a path of letters, digits, - and _, joined by "."'
            wrong.append(FieldViolation(field, text, "NAME_INVALID"))
        elif len(segments) > _DEEPEST[collection]:
            text = f"is {len(segments)} levels deep, at most {_DEEPEST[collection]} are accepted"
            wrong.append(FieldViolation(field, text, "TOO_DEEP"))
        elif len(segments) > 1 and (above := ".".join(segments[:-1])) not in there:
            text = f"has no parent; write {collection}/{above} before it or in the same call"
            wrong.append(FieldViolation(field, text, "PARENT_MISSING"))
        elif paths.index(path) != index:
            wrong.append(FieldViolation(field, "is there twice; give it once", "DUPLICATE"))
    if wrong:
        raise InvalidArgument.of(wrong)


def _topic(row: Any) -> topic_pb2.Topic:
    return topic_pb2.Topic(
        name=f"topics/{row.path}", display_name=row.path.rpartition(".")[2], words=json.loads(row.words)
    )


def _place(row: Any) -> place_pb2.Place:
    return place_pb2.Place(
        name=f"places/{row.path}",
        display_name=row.path.rpartition(".")[2],
        kind=row.kind,
        aliases=json.loads(row.aliases),
    )


def _json(values: dict[str, None]) -> str:
    return json.dumps(list(values), ensure_ascii=False)
