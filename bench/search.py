"""Search over a million posts on SQLite: what indexing a post costs, and how long queries of ten kinds take.

The posts are made by recombining sentences of the samples, about places with made-up names, few of them often and most
of them seldom, as names are. They are spread over the term of keeping, 180 days. ROWS changes how many there are.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import random
import re
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import rjieba
import yaml
from google.protobuf.timestamp_pb2 import Timestamp
from huiyin.analyzer.v1 import search_pb2
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.store import EVENTS, MIGRATIONS, POSTS, AnalyzerStore
from huiyin_analyzer.worker.indexing import Indexing
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.migrate import migrate
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Table

from bench import texts

_ROWS = int(os.environ.get("ROWS") or 1_000_000)
_INSTANCES = 500
_AT_ONCE = 5000
_START = 1_735_689_600
_SPAN = 180 * 86_400
_NAMED = 200_000
_RARE = (200, 2000)
"""Names of which each is in between a hundred and two of a million posts."""
_PER_EVENT = 10
_SYLLABLES = "春夏秋冬东南西北江河湖海山石金银玉翠紫红绿蓝白青龙凤鹤鹭云月星辰福安康和平兴隆盛达华茂荣昌瑞祥嘉丽雅庭苑"
_KINDS_OF_PLACE = ("小区", "花园", "新村", "路", "大厦", "学校")

Row = dict[str, object]
Request = search_pb2.SearchMembershipsRequest
Filter = search_pb2.SearchFilter


class Town:
    """What the posts and the queries are made of."""

    def __init__(self) -> None:
        with (texts.SAMPLES / "messages.csv").open(encoding="utf-8", newline="") as file:
            messages = list(csv.DictReader(file))
        self.subjects = [message["主题"] for message in messages]
        self.sentences = sorted({part for row in messages for part in re.findall("[^。！？]+[。！？]", row["内容"])})
        words = Counter(word for sentence in self.sentences for word in rjieba.cut(sentence))
        self.common = [word for word, _ in words.most_common(300) if re.fullmatch("[一-鿿]{2,}", word)][:60]
        self.runs = re.findall("[一-鿿]{4,}", " ".join(self.sentences))
        self.places = _paths("places")
        self.topics = _paths("topics")
        self.random = random.Random(1)

    def name(self, number: int) -> str:
        """The name of a place that is not on any map."""
        chance = random.Random(number)
        return "".join(chance.choices(_SYLLABLES, k=3)) + chance.choice(_KINDS_OF_PLACE)

    def posts(self) -> Iterator[Row]:
        """Posts, in the order of their publication but for one in a hundred, which comes late."""
        chance, empty = self.random, _empty(POSTS)
        for number in range(_ROWS):
            name = self.name(int(chance.paretovariate(0.7)) % _NAMED)
            when = _START + _SPAN * number // _ROWS - (chance.randrange(86_400) if chance.random() < 0.01 else 0)
            yield empty | {
                "id": f"00000000-0000-7000-8000-{number:012}",
                "number": number + 1,
                "event_id": _event_id(number // _PER_EVENT),
                "source": f"sources/s{chance.randrange(8)}",
                "external_id": str(number),
                "subject": name + chance.choice(self.subjects),
                "text": name + "".join(chance.choices(self.sentences, k=chance.randint(3, 12))),
                "publish_time": when * 1_000_000,
                "expects_answer": chance.random() < 0.5,
            }

    def events(self) -> Iterator[Row]:
        """Their events."""
        chance, empty = self.random, _empty(EVENTS)
        for number in range(-(-_ROWS // _PER_EVENT)):
            yield empty | {
                "id": _event_id(number),
                "title": chance.choice(self.subjects),
                "topic": chance.choice(self.topics),
                "place": chance.choice(self.places),
                "grade": chance.choices((1, 2, 3, 4), (90, 8, 1.5, 0.5))[0],
            }

    def phrase(self) -> str:
        """Some characters as they stand in a sample."""
        run = self.random.choice(self.runs)
        start = self.random.randrange(max(len(run) - 6, 1))
        return f'"{run[start : start + 6]}"'

    def queries(self) -> dict[str, Callable[[], Request]]:
        """How a request of each kind is made."""
        chance, common = self.random, self.common

        def word() -> str:
            return chance.choice(common)

        def ask(query: str = "", order_by: str = "", **filters: Any) -> Request:
            return Request(filter=Filter(query=query, **filters), order_by=order_by)

        def place() -> str:
            return f"places/{chance.choice(self.places)}"

        def time_range() -> dict[str, Any]:
            since = _START + chance.randrange(_SPAN)
            until = since + chance.randint(1, 30) * 86_400
            return {"since": Timestamp(seconds=since), "until": Timestamp(seconds=until)}

        return {
            "rare_word": lambda: ask(f'"{self.name(chance.randrange(*_RARE))}"'),
            "common_word": lambda: ask(word()),
            "two_words": lambda: ask(f"{word()} {word()}"),
            "phrase": lambda: ask(self.phrase()),
            "exclusion": lambda: ask(f"{word()} -{word()}"),
            "word_and_place": lambda: ask(word(), place=place()),
            "word_and_topic": lambda: ask(word(), topic=f"topics/{chance.choice(self.topics)}"),
            "word_and_time": lambda: ask(word(), **time_range()),
            "filters_only": lambda: ask(place=place(), source=f"sources/s{chance.randrange(8)}", least_grade=2),
            "newest_first": lambda: ask(word(), order_by="publish_time desc"),
        }


def main() -> None:
    """Prints one JSON line last."""
    folder = Path(tempfile.mkdtemp(prefix="huiyin-bench-"))
    try:
        url = f"sqlite:///{folder / 'analyzer.db'}"
        migrate(url, MIGRATIONS)
        result = asyncio.run(_measure(url))
    finally:
        shutil.rmtree(folder)
    print(json.dumps(result, ensure_ascii=False))


async def _measure(url: str) -> dict[str, object]:
    set_current_principal(Principal("accounts/desk", everywhere=True))
    store, town = AnalyzerStore(url), Town()
    await store.open()
    try:
        await _fill(store, town)
        before = await store.read(_bytes)
        indexing = Indexing(store)
        await indexing.prepare()
        started = time.perf_counter()
        await indexing.catch_up()
        seconds = time.perf_counter() - started
        print(f"{_ROWS:,} posts indexed in {seconds:.0f} s", flush=True)
        size = await store.read(_bytes) - before
        servicer = AnalyzerServicer(store, Feed(store), Policies({}))
        queries = {kind: await _time(servicer, make) for kind, make in town.queries().items()}
    finally:
        await store.close()
    return {
        "p99_ms": max(found["p99_ms"] for found in queries.values()),
        "posts": _ROWS,
        "queries": queries,
        "index_us_per_post": round(seconds / _ROWS * 1e6, 1),
        "bytes_per_post": round(size / _ROWS),
    }


async def _fill(store: AnalyzerStore, town: Town) -> None:
    for table, rows in ((EVENTS, town.events()), (POSTS, town.posts())):
        while some := [row for _, row in zip(range(_AT_ONCE), rows, strict=False)]:
            await store.write(partial(_insert, table, some))


def _insert(table: Table, rows: list[Row], tx: Tx) -> None:
    insert_many(tx.connection, table, rows)


async def _time(servicer: AnalyzerServicer, make: Callable[[], Request]) -> dict[str, float]:
    took, found = [], []
    for request in [make() for _ in range(_INSTANCES)]:
        started = time.perf_counter()
        response = await servicer.SearchMemberships(request, None)
        took.append((time.perf_counter() - started) * 1000)
        found.append(response.total_size)
    took.sort()
    return {
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[int(0.99 * len(took))], 1),
        "found": statistics.median(found),
    }


def _paths(collection: str) -> list[str]:
    def below(nodes: list[dict[str, Any]], above: str) -> Iterator[str]:
        for node in nodes:
            path = f"{above}.{node['name']}" if above else node["name"]
            yield path
            yield from below(node.get("children", []), path)

    return list(below(yaml.safe_load((texts.SAMPLES / f"{collection}.yaml").read_text("utf-8")), ""))


def _empty(table: Table) -> Row:
    return {column.name: None if column.nullable else column.type.python_type() for column in table.columns}


def _event_id(number: int) -> str:
    return f"00000000-0000-7000-9000-{number:012}"


def _bytes(connection: Connection) -> int:
    pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages * size)


if __name__ == "__main__":
    main()
