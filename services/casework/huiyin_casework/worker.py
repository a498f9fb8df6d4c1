"""Following the analyzer's events, sending what the outbox holds, and destroying contacts when their time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import structlog
from huiyin.analyzer.v1 import event_pb2
from huiyin.casework.v1 import inquiry_pb2, task_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_chassis import client
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.errors import Unavailable
from huiyin_chassis.feed import unpack
from huiyin_chassis.identity import Signer
from huiyin_chassis.ids import derived_id
from huiyin_chassis.outbox import OutboxRow
from huiyin_chassis.store import Tx
from sqlalchemy import delete, select

from huiyin_casework.casefile import (
    CREATE_POST,
    GRADE_NAMES,
    INBOX,
    SET_HOLD,
    SYSTEM,
    CaseFiles,
    Rules,
    new_inquiry,
)
from huiyin_casework.model.following import (
    CASE_GRADES,
    Consequence,
    Happening,
    consequence,
    consequence_of_merge,
)
from huiyin_casework.model.steps import State
from huiyin_casework.resources import state_number, state_of
from huiyin_casework.store import CASES, CONTACTS, INQUIRIES, CaseworkStore, chunks

if TYPE_CHECKING:
    from huiyin.analyzer.v1.analyzer_service_pb2_grpc import AnalyzerServiceAsyncStub
    from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceAsyncStub


log = structlog.get_logger(__name__)

_DAY = 86_400_000_000
_DESTROY_EVERY_SECONDS = 600.0
_Row = dict[str, Any]


class Following:
    """Applies the analyzer's changes: inquiries, cases, and what becomes of them when events change."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def apply(self, tx: Tx, changes: Sequence[feed_pb2.Change], position: FeedPosition) -> None:
        """Applies changes in their order; everything is loaded at the beginning and written at the end, in bulk."""
        read: list[tuple[feed_pb2.Change, event_pb2.Event | event_pb2.Membership]] = [
            (change, unpack(change, event_pb2.Membership))
            if change.kind.startswith("membership.")
            else (change, unpack(change, event_pb2.Event))
            for change in changes
        ]
        files = CaseFiles(tx, self._rules)
        _load(files, [resource for _, resource in read])
        for change, resource in read:
            if isinstance(resource, event_pb2.Membership):
                self._membership(files, change.kind, resource)
            else:
                self._event(files, change.kind, resource)
        if files.opened:
            request = event_pb2.SetEventHoldRequest(
                events=dict.fromkeys(f"events/{event}" for event in files.opened),
                hold=event_pb2.EVENT_HOLD_OPEN,
                request_id=position.request_id(changes[-1].sequence, "hold"),
            )
            tx.outbox.add(SET_HOLD, request.SerializeToString(), request.request_id, key="holds")
        files.write()

    def _event(self, files: CaseFiles, kind: str, event: event_pb2.Event) -> None:
        row = files.events.get(_id(event.name))
        if row is None:
            row = files.events.add(_event_row(event))
            if GRADE_NAMES[row["grade"]] in CASE_GRADES:
                files.tell(files.open_case(row), "case.opened")
        else:
            self._changed(files, row, event)
        if kind == "event.merged" and event.merged_into:
            self._merged(files, row, _id(event.merged_into))

    def _changed(self, files: CaseFiles, row: _Row, event: event_pb2.Event) -> None:
        """An event's grade, title, topic or place may be new."""
        before, values = row["grade"], _event_row(event)
        told = {name: values[name] for name in ("title", "topic", "place") if values[name] != row[name]}
        if not told and before == values["grade"]:
            return
        files.events.change(row, grade=values["grade"], **told)
        case = files.case_of(row)
        if told and case is not None and state_of(case) == State.REGISTERED:
            unit = files.rules.suggested_unit(row["topic"], row["place"])
            files.cases.change(case, **told, suggested_unit=unit)
            files.tell(case, "case.updated")
        if values["grade"] != before:
            self._regraded(files, row, case, before)

    def _regraded(self, files: CaseFiles, row: _Row, case: _Row | None, before: int) -> None:
        large = GRADE_NAMES[row["grade"]] in CASE_GRADES
        if case is None:
            if large:
                files.tell(files.open_case(row), "case.opened")
            return
        happening = Happening.GRADE_RISES if row["grade"] > before else Happening.GRADE_FALLS
        todo = consequence(happening, state_of(case))
        if todo == Consequence.OPEN_SUCCESSOR:
            if large:
                files.tell(files.open_case(row, predecessor=case), "case.opened")
        elif todo != Consequence.NOTHING:
            files.regrade(case, row["grade"])

    def _membership(self, files: CaseFiles, kind: str, membership: event_pb2.Membership) -> None:
        if not membership.expects_answer:
            return
        event = files.events.get(_id(membership.event))
        if event is None:
            raise ValueError(f"{membership.name} belongs to {membership.event}, which was never told of")
        inquiry = self._inquiry(files, membership)
        if kind in ("membership.updated", "membership.purged"):
            values: _Row = {"subject": membership.subject, "text": membership.text}
            if kind == "membership.purged":
                # The text goes, and with its salt the way to try texts against the digest in the chain.
                values["salt"] = b""
            files.inquiries.change(inquiry, **values)
            files.tell_inquiry(inquiry, "inquiry.updated")
            return
        if inquiry["case_id"]:
            self._moved(files, inquiry, event)
        else:
            self._joined(files, inquiry, event)

    @staticmethod
    def _inquiry(files: CaseFiles, membership: event_pb2.Membership) -> _Row:
        """The inquiry of a post: one that was submitted to us, one that is known, or a new one."""
        own = files.inquiries.get(membership.external_id) if membership.source == f"sources/{INBOX}" else None
        if own is not None:
            if own["post"] is None:
                files.inquiries.change(own, post=membership.post)
            return own
        inquiry_id = derived_id("inquiry", membership.post)
        return files.inquiries.get(inquiry_id) or files.inquiries.add(
            new_inquiry(
                inquiry_id,
                subject=membership.subject,
                text=membership.text,
                channel=inquiry_pb2.Inquiry.CHANNEL_BOARD,
                received=files.tx.now_us,
                post=membership.post,
                source=membership.source,
                external_id=membership.external_id,
                publish_time=timestamp_to_micros(membership.publish_time),
                drill=membership.drill,
            )
        )

    @staticmethod
    def _joined(files: CaseFiles, inquiry: _Row, event: _Row) -> None:
        """An inquiry without a case came to an event."""
        case, kind = files.case_of(event), "case.inquiry_joined"
        if case is None:
            case, kind = files.open_case(event), "case.opened"
        elif consequence(Happening.INQUIRY_JOINS, state_of(case)) == Consequence.OPEN_SUCCESSOR:
            case, kind = files.open_case(event, predecessor=case), "case.opened"
        files.add_inquiry(case, inquiry)
        files.tell(case, kind)

    def _moved(self, files: CaseFiles, inquiry: _Row, event: _Row) -> None:
        """The post of an inquiry that has a case belongs to another event now, or again to its own."""
        files.cases.load(files.tx.connection, CASES.c.id, [inquiry["case_id"]])
        case = files.cases.get(inquiry["case_id"])
        assert case is not None, "an inquiry's case is never deleted"
        if case["event_id"] == event["id"] or case["id"] == event["case_id"]:
            return
        todo = consequence(Happening.EVENT_SPLITS, state_of(case))
        if todo == Consequence.SPLIT_CASE:
            files.take_inquiry(case, inquiry)
            self._joined(files, inquiry, event)
        elif todo == Consequence.ASK_DESK_TO_SPLIT:
            key = f"split/{inquiry['id']}/{event['id']}"
            files.add_task(key, task_pb2.Task.KIND_EVENT_SPLIT, case, inquiry_id=inquiry["id"])
        else:
            files.record(case, "case.linked", SYSTEM, {"event": event["id"], "inquiry": inquiry["id"]})
            files.tell(case, "case.updated")

    @staticmethod
    def _merged(files: CaseFiles, event: _Row, into_id: str) -> None:
        """An event was merged into another: what becomes of their cases depends on how far they have come."""
        into = files.events.get(into_id)
        if into is None:
            raise ValueError(f"events/{event['id']} was merged into events/{into_id}, which was never told of")
        case, other = files.case_of(event), files.case_of(into)
        if case is None or case["state"] == state_number(State.MERGED):
            return
        if other is None:
            files.cases.change(case, event_id=into["id"])
            files.events.change(into, case_id=case["id"], case_count=into["case_count"] + 1)
            files.record(case, "case.event_merged", SYSTEM, {"from": event["id"], "into": into["id"]})
            files.tell(case, "case.updated")
            return
        todo = consequence_of_merge(state_of(case), state_of(other))
        if todo == Consequence.MERGE_CASES:
            files.merge(case, other)
        elif todo == Consequence.ASK_DESK_TO_MERGE:
            key = f"merge/{case['id']}/{other['id']}"
            files.add_task(key, task_pb2.Task.KIND_EVENTS_MERGED, other, other_case=case["id"])
        else:
            files.record(case, "case.linked", SYSTEM, {"case": other["id"]})
            files.tell(case, "case.updated")


def _load(files: CaseFiles, resources: Sequence[event_pb2.Event | event_pb2.Membership]) -> None:
    """Everything that the changes may touch, in a handful of queries."""
    memberships = [each for each in resources if isinstance(each, event_pb2.Membership)]
    events = [each for each in resources if isinstance(each, event_pb2.Event)]
    names = [each.name for each in events] + [each.merged_into for each in events]
    names += [each.event for each in memberships] + [each.previous_event for each in memberships]
    files.load_events(_id(name) for name in dict.fromkeys(names) if name)
    asking = [each for each in memberships if each.expects_answer]
    ids = [derived_id("inquiry", each.post) for each in asking]
    ids += [each.external_id for each in asking if each.source == f"sources/{INBOX}"]
    files.inquiries.load(files.tx.connection, INQUIRIES.c.id, ids)


def _id(name: str) -> str:
    return name.partition("/")[2]


def _event_row(event: event_pb2.Event) -> _Row:
    return {
        "id": _id(event.name),
        "grade": int(event.assessment.grade),
        "title": event.title,
        "topic": _id(event.topic),
        "place": _id(event.place),
        "drill": event.drill,
        "case_id": "",
        "case_count": 0,
    }


async def relist() -> str:
    """The analyzer's feed is gone from where we stopped: an operator must decide."""
    raise Unavailable(
        "FEED_LOST",
        "the analyzer's feed does not go back to where casework stopped; restore the analyzer's store from its backup",
    )


class Outbox:
    """Sends to the collector and the analyzer what casework's transactions left for them."""

    def __init__(
        self, collector: CollectorServiceAsyncStub, analyzer: AnalyzerServiceAsyncStub, signer: Signer
    ) -> None:
        self._collector = collector
        self._analyzer = analyzer
        self._signer = signer

    @property
    def handlers(self) -> dict[str, Callable[[Sequence[OutboxRow]], Awaitable[None]]]:
        """For the outbox's dispatcher."""
        return {CREATE_POST: self.pass_on, SET_HOLD: self.hold}

    async def pass_on(self, rows: Sequence[OutboxRow]) -> None:
        """Writes submitted inquiries into the collector's inbox, which is made when it is missing."""
        request = post_pb2.BatchCreatePostsRequest(
            source=f"sources/{INBOX}", posts=[post_pb2.Post.FromString(row.payload) for row in rows]
        )
        try:
            await self._collector.BatchCreatePosts(request, metadata=self._metadata(), timeout=client.DEADLINE)
        except grpc.RpcError as error:
            if not isinstance(error, grpc.aio.AioRpcError) or error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            await self._make_inbox()
            await self._collector.BatchCreatePosts(request, metadata=self._metadata(), timeout=client.DEADLINE)

    async def hold(self, rows: Sequence[OutboxRow]) -> None:
        """Tells the analyzer which events have an open or an assigned case."""
        for row in rows:
            request = event_pb2.SetEventHoldRequest.FromString(row.payload)
            await self._analyzer.SetEventHold(request, metadata=self._metadata(), timeout=client.DEADLINE)

    async def _make_inbox(self) -> None:
        source = source_pb2.Source(display_name="诉求", kind=source_pb2.Source.KIND_INBOX, expects_answer=True)
        request = source_pb2.CreateSourceRequest(source_id=INBOX, source=source)
        try:
            await self._collector.CreateSource(request, metadata=self._metadata(), timeout=client.DEADLINE)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ALREADY_EXISTS:
                raise

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return client.metadata(self._signer.own_token())


class ContactDestroyer:
    """Destroys contacts once a case is sealed and the time for feedback is over."""

    def __init__(self, store: CaseworkStore, rules: Rules) -> None:
        self._store = store
        self._rules = rules

    async def run(self) -> None:
        """Looks every few minutes, for ever."""
        while True:
            if await self.destroy_due():
                await self._store.destroy_bytes()
            await asyncio.sleep(_DESTROY_EVERY_SECONDS)

    async def destroy_due(self) -> int:
        """Destroys what is due now; returns how many contacts."""

        def destroy(tx: Tx) -> int:
            files = CaseFiles(tx, self._rules)
            until = tx.now_us - self._rules.calendar.policy.feedback_calendar_days * _DAY
            due = select(CASES.c.id).where(
                CASES.c.state == state_number(State.CLOSED),
                CASES.c.publish_time < until,
                CASES.c.contacts_destroyed.is_(False),
            )
            ids = list(tx.execute(due.order_by(CASES.c.id).limit(500)).scalars())
            files.cases.load(tx.connection, CASES.c.id, ids)
            destroyed = 0
            for case_id in ids:
                case = files.cases.get(case_id)
                assert case is not None, "it was loaded a moment ago"
                inquiries = [row["id"] for row in files.load_inquiries_of(case_id)]
                count = sum(
                    tx.execute(delete(CONTACTS).where(CONTACTS.c.inquiry_id.in_(chunk))).rowcount
                    for chunk in chunks(inquiries)
                )
                if count:
                    files.record(case, "contacts.destroyed", SYSTEM, {"count": count})
                files.cases.change(case, contacts_destroyed=True)
                destroyed += count
            files.write()
            return destroyed

        return await self._store.write(destroy)
