"""Casework as a process serves it, between an analyzer and a collector that say what a test tells them to say."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from huiyin.analyzer.v1 import analyzer_service_pb2, analyzer_service_pb2_grpc, event_pb2, regrouping_pb2
from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, inquiry_pb2, task_pb2
from huiyin.collector.v1 import collector_service_pb2, collector_service_pb2_grpc, post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_casework.__main__ import wire
from huiyin_casework.config import CaseworkSettings
from huiyin_casework.store import MIGRATIONS, CaseworkStore
from huiyin_chassis import client
from huiyin_chassis.config import ProcessSettings
from huiyin_chassis.errors import DomainError, NotFound, from_rpc_error
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, current_principal, ensure_keys
from huiyin_chassis.server import Server, Service, supervise
from huiyin_chassis.store import Store
from huiyin_chassis.tables import CURSORS, OUTBOX
from sqlalchemy import func, select

from tests.databases import migrate

ORDINARY, LARGE, SERIOUS = 1, 2, 3
"""Grades."""

PEOPLE = {
    role: Principal(f"accounts/{role}", roles=(role,), everywhere=True)
    for role in ("desk", "officer", "reviewer", "approver", "admin")
}

Told = tuple[str, event_pb2.Event | event_pb2.Membership | regrouping_pb2.Regrouping]


def opened(event: str, *, grade: int = ORDINARY, **fields: Any) -> Told:
    """An event that was opened."""
    return "event.opened", _event(event, grade, fields)


def updated(event: str, *, grade: int = ORDINARY, **fields: Any) -> Told:
    """An event that changed."""
    return "event.updated", _event(event, grade, fields)


def merged(event: str, into: str) -> Told:
    """An event that was merged into another."""
    return "event.merged", _event(event, ORDINARY, {"merged_into": f"events/{into}"})


def joined(event: str, post: str, kind: str = "membership.joined", **fields: Any) -> Told:
    """A post on a board that expects an answer, in an event."""
    values = {
        "source": "sources/board",
        "external_id": f"row-{post}",
        "expects_answer": True,
        "subject": f"关于{post}的诉求",
        "text": f"{post}停水三天了，请尽快处理。",
        **fields,
    }
    return kind, event_pb2.Membership(
        name=f"memberships/{post}", event=f"events/{event}", post=f"posts/{post}", **values
    )


def moved(event: str, post: str, previous: str) -> Told:
    """The same post once it belongs to another event."""
    return joined(event, post, "membership.moved", previous_event=f"events/{previous}")


def proposed(number: int, event: str, into: str, *, state: regrouping_pb2.Regrouping.State.ValueType) -> Told:
    """The analyzer proposes to merge an event, or that was decided on."""
    kind = "regrouping.proposed" if state == regrouping_pb2.Regrouping.STATE_PROPOSED else "regrouping.resolved"
    return kind, regrouping_pb2.Regrouping(
        name=f"regroupings/{number}",
        kind=regrouping_pb2.Regrouping.KIND_MERGE,
        state=state,
        event=f"events/{event}",
        target_event=f"events/{into}",
        author="accounts/desk",
        reason="两件事",
    )


def _event(event: str, grade: int, fields: dict[str, Any]) -> event_pb2.Event:
    message = event_pb2.Event(name=f"events/{event}", **{"title": f"{event}停水", **fields})
    message.assessment.grade = grade  # type: ignore[assignment]
    return message


class Analyzer(analyzer_service_pb2_grpc.AnalyzerServiceServicer):
    """Serves a feed that tests write to, and the events and memberships as they were told last."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.feed = Feed(store)
        self.events: dict[str, event_pb2.Event] = {}
        self.memberships: dict[str, event_pb2.Membership] = {}
        self.holds: dict[str, int] = {}

    async def tell(self, *told: Told, in_feed: bool = True) -> None:
        """Changes what is, with a change in the feed for each."""
        for _, resource in told:
            if isinstance(resource, regrouping_pb2.Regrouping):
                continue
            kept = self.events if isinstance(resource, event_pb2.Event) else self.memberships
            kept[resource.name] = resource  # type: ignore[index]
        if in_feed:
            await self.store.write(
                lambda tx: [tx.changes.add(kind, resource.name, 1, resource) for kind, resource in told]
            )

    async def WatchEvents(
        self, request: event_pb2.WatchEventsRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        async for batch in self.feed.watch(request.cursor, until=current_principal().expires):
            yield batch

    async def GetEvent(self, request: event_pb2.GetEventRequest, context: Any) -> event_pb2.Event:
        if request.name not in self.events:
            raise NotFound(request.name)
        return self.events[request.name]

    async def ListEvents(self, request: event_pb2.ListEventsRequest, context: Any) -> event_pb2.ListEventsResponse:
        there = [event for event in self.events.values() if not event.merged_into]
        return event_pb2.ListEventsResponse(events=there, cursor=await self.store.read(self.feed.head))

    async def ListMemberships(
        self, request: event_pb2.ListMembershipsRequest, context: Any
    ) -> event_pb2.ListMembershipsResponse:
        return event_pb2.ListMembershipsResponse(memberships=self.memberships.values())

    async def SetEventHold(
        self, request: event_pb2.SetEventHoldRequest, context: Any
    ) -> event_pb2.SetEventHoldResponse:
        self.holds |= dict.fromkeys((name.removeprefix("events/") for name in request.events), int(request.hold))
        return event_pb2.SetEventHoldResponse()


@dataclass
class Collector(collector_service_pb2_grpc.CollectorServiceServicer):
    """Takes posts once its source was made."""

    sources: dict[str, source_pb2.Source] = field(default_factory=dict)
    posts: dict[str, post_pb2.Post] = field(default_factory=dict)

    async def CreateSource(self, request: source_pb2.CreateSourceRequest, context: Any) -> source_pb2.Source:
        self.sources[f"sources/{request.source_id}"] = request.source
        return request.source

    async def BatchCreatePosts(
        self, request: post_pb2.BatchCreatePostsRequest, context: Any
    ) -> post_pb2.BatchCreatePostsResponse:
        if request.source not in self.sources:
            raise NotFound(request.source)
        self.posts |= {post.external_id: post for post in request.posts}
        return post_pb2.BatchCreatePostsResponse()


@dataclass
class Office:
    """A running casework, its neighbours, and people who call it."""

    stub: Any
    address: str
    store: CaseworkStore
    analyzer: Analyzer
    collector: Collector
    gateway: Signer
    folder: Path

    def by(self, who: str | Principal) -> dict[str, Any]:
        """What goes with a call of somebody, by role or principal; of "public", nothing."""
        if who == "public":
            return {"timeout": client.DEADLINE}
        principal = PEOPLE[who] if isinstance(who, str) else who
        return {"metadata": client.metadata(self.gateway.sign(principal)), "timeout": client.DEADLINE}

    async def call(self, method: str, request: Any, who: str | Principal = "desk") -> Any:
        """Calls a method as somebody; an error comes as the DomainError that it was."""
        try:
            return await getattr(self.stub, method)(request, **self.by(who))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from None

    async def refusal(self, method: str, request: Any, who: str | Principal = "desk") -> DomainError:
        """The error with which a call is refused."""
        with pytest.raises(DomainError) as caught:
            await self.call(method, request, who)
        return caught.value

    async def tell(self, *told: Told) -> None:
        """What the analyzer tells, applied."""
        await self.analyzer.tell(*told)
        await self.applied()

    async def applied(self) -> None:
        """Returns once the analyzer's feed was applied to its end."""
        head = await self.analyzer.store.read(self.analyzer.feed.head)
        async with asyncio.timeout(30):
            while await self.store.read(lambda connection: connection.scalar(select(CURSORS.c.cursor))) != head:
                await asyncio.sleep(0.005)

    async def sent(self) -> None:
        """Returns once the outbox is empty."""
        count = select(func.count()).select_from(OUTBOX)
        async with asyncio.timeout(30):
            while await self.store.read(lambda connection: connection.scalar(count)):
                await asyncio.sleep(0.005)

    async def cases(self, filter: str = "", who: str | Principal = "desk") -> list[case_pb2.Case]:
        """Cases, by default those that were not merged away, the oldest first."""
        request = case_pb2.ListCasesRequest(filter=filter, order_by="create_time", page_size=1000)
        return list((await self.call("ListCases", request, who)).cases)

    async def case(self, event: str) -> case_pb2.Case:
        """The one case of an event that was not merged away."""
        (case,) = await self.cases(f'event = "events/{event}"')
        return case

    async def inquiries(self, case: case_pb2.Case) -> list[inquiry_pb2.Inquiry]:
        """The inquiries of a case."""
        request = inquiry_pb2.ListInquiriesRequest(filter=f'case = "{case.name}"', page_size=1000)
        return list((await self.call("ListInquiries", request)).inquiries)

    async def posts(self, case: case_pb2.Case) -> set[str]:
        """The posts of its inquiries."""
        return {inquiry.post.removeprefix("posts/") for inquiry in await self.inquiries(case)}

    async def tasks(self) -> list[task_pb2.Task]:
        """Tasks that wait."""
        return list((await self.call("ListTasks", task_pb2.ListTasksRequest(filter="state = OPEN"))).tasks)

    async def steps(self, case: case_pb2.Case) -> list[str]:
        """The steps of a case's chain, which is whole."""
        whole = await self.call("VerifyCase", case_pb2.VerifyCaseRequest(name=case.name))
        assert whole.intact, whole.problem
        found = await self.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name, page_size=1000))
        return [entry.step for entry in found.entries]

    async def take(self, case: case_pb2.Case, *steps: str) -> case_pb2.Case:
        """Takes steps with a case, each by the role that usually does."""
        for step in steps:
            method, role, template = _STEPS[step]
            request = type(template)(name=case.name)
            request.MergeFrom(template)
            case = await self.call(method, request, role)
        return case

    async def submit(self, text: str, **fields: Any) -> inquiry_pb2.SubmitInquiryResponse:
        """Submits an inquiry as anybody may."""
        response: inquiry_pb2.SubmitInquiryResponse = await self.call(
            "SubmitInquiry", inquiry_pb2.SubmitInquiryRequest(text=text, **fields), "public"
        )
        return response

    async def lookup(self, receipt: str) -> inquiry_pb2.LookupReceiptResponse:
        """How the inquiry of a receipt stands."""
        response: inquiry_pb2.LookupReceiptResponse = await self.call(
            "LookupReceipt", inquiry_pb2.LookupReceiptRequest(receipt=receipt), "public"
        )
        return response


_STEPS: dict[str, tuple[str, str, Any]] = {
    "assign": ("AssignCase", "desk", case_pb2.AssignCaseRequest(lead_unit="units/desk")),
    "accept": ("AcceptCase", "officer", case_pb2.AcceptCaseRequest()),
    "draft": ("DraftReply", "officer", case_pb2.DraftReplyRequest(text="管网已抢修完毕，今晨恢复供水。")),
    "review": ("ReviewReply", "reviewer", case_pb2.ReviewReplyRequest(decision=case_pb2.DECISION_PASS)),
    "approve": ("ApproveReply", "approver", case_pb2.ApproveReplyRequest(decision=case_pb2.DECISION_PASS)),
    "publish": ("PublishReply", "desk", case_pb2.PublishReplyRequest()),
    "close": ("CloseCase", "desk", case_pb2.CloseCaseRequest()),
    "extend": ("ExtendCase", "desk", case_pb2.ExtendCaseRequest(reason="需现场勘查。")),
}

ORDER = ("assign", "accept", "draft", "review", "approve", "publish")
"""The way of a case to its published answer."""

Test = Callable[[Office], Coroutine[Any, Any, None]]
Run = Callable[..., None]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """Runs a test's coroutine with a casework on a database of its own; what else is given are settings."""
    numbers = itertools.count()

    def with_office(test: Test, **settings: Any) -> None:
        async def main() -> None:
            async with _office(database_url, tmp_path / str(next(numbers)), settings) as office:
                await test(office)

        asyncio.run(main())

    return with_office


@asynccontextmanager
async def _office(database_url: str, folder: Path, given: dict[str, Any]) -> AsyncIterator[Office]:
    keys = folder / "keys"
    ensure_keys(keys, ["casework", "gateway"])
    migrate(database_url, MIGRATIONS)
    async with _neighbours(keys, folder) as (address, analyzer, collector):
        settings = CaseworkSettings(
            port=0,
            metrics_port=0,
            database_url=database_url,
            key_file=keys / "private" / "casework.pem",
            public_keys=keys / "public",
            collector_address=address,
            analyzer_address=address,
            secrets=folder / "secrets",
            drain_seconds=0.2,
            **given,
        )
        server, workers, store = await wire(settings)
        await server.start()
        tasks = [asyncio.create_task(supervise(name, worker)) for name, worker in workers.items()]
        try:
            own = f"127.0.0.1:{server.port}"
            async with client.connect(own) as channel:
                stub = casework_service_pb2_grpc.CaseworkServiceStub(channel)
                gateway = Signer("gateway", keys / "private" / "gateway.pem")
                yield Office(stub, own, store, analyzer, collector, gateway, folder)
        finally:
            await server.stop(store)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()


@asynccontextmanager
async def _neighbours(keys: Path, folder: Path) -> AsyncIterator[tuple[str, Analyzer, Collector]]:
    # Casework's migrations make the tables of the analyzer's feed: the chassis's are among them.
    url = f"sqlite:///{folder / 'analyzer.db'}"
    migrate(url, MIGRATIONS)
    store = Store(url, migrations=MIGRATIONS)
    await store.open()
    analyzer, collector = Analyzer(store), Collector()
    services = [
        Service(
            analyzer_service_pb2.DESCRIPTOR.services_by_name["AnalyzerService"],
            analyzer_service_pb2_grpc.add_AnalyzerServiceServicer_to_server,
            analyzer,
        ),
        Service(
            collector_service_pb2.DESCRIPTOR.services_by_name["CollectorService"],
            collector_service_pb2_grpc.add_CollectorServiceServicer_to_server,
            collector,
        ),
    ]
    server = Server("neighbours", ProcessSettings(public_keys=keys / "public", drain_seconds=0.2), services)
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}", analyzer, collector
    finally:
        await server.stop(store)
        await store.close()
