"""Casework's gRPC service."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, inquiry_pb2, policy_pb2, task_pb2, unit_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2, grade_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import (
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PermissionDenied,
)
from huiyin_chassis.feed import Feed
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    number_field,
    parse_order,
    path_field,
    text_field,
    time_field,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.ids import derived_id, uuid7
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page, total
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import ColumnElement, Connection, Select, and_, insert, select, true

from huiyin_casework import offices, resources
from huiyin_casework.casefile import CREATE_POST, INBOX, CaseFiles, Rules, new_inquiry
from huiyin_casework.handling import Handling
from huiyin_casework.model import chain, receipts
from huiyin_casework.model.clocks import PolicyError, parse_policy
from huiyin_casework.model.steps import State
from huiyin_casework.resources import state_number
from huiyin_casework.secrets import Secrets
from huiyin_casework.store import (
    ASSIGNMENTS,
    CASES,
    CONTACTS,
    ENTRIES,
    INQUIRIES,
    NOTES,
    REPLIES,
    TASKS,
    UNITS,
    CaseworkStore,
    Fields,
)

_CASE_FIELDS: dict[str, Compare] = {
    "state": enum_field(CASES.c.state, case_pb2.Case.State, "STATE_"),
    "grade": enum_field(CASES.c.grade, grade_pb2.Grade, "GRADE_"),
    "event": name_field(CASES.c.event_id, "events"),
    "lead_unit": name_field(CASES.c.lead_unit, "units"),
    "suggested_unit": name_field(CASES.c.suggested_unit, "units"),
    "topic": path_field(CASES.c.topic, "topics"),
    "place": path_field(CASES.c.place, "places"),
    "deadline": time_field(CASES.c.deadline),
    "create_time": time_field(CASES.c.create_time),
    "urgent": boolean_field(CASES.c.urgent),
    "inquiry_count": number_field(CASES.c.inquiry_count),
    "drill": boolean_field(CASES.c.drill),
}
_CASE_ORDERS: dict[str, ColumnElement[Any]] = {
    "deadline": CASES.c.deadline,
    "grade": CASES.c.grade,
    "inquiry_count": CASES.c.inquiry_count,
    "create_time": CASES.c.create_time,
}
_INQUIRY_FIELDS: dict[str, Compare] = {
    "case": name_field(INQUIRIES.c.case_id, "cases"),
    "state": enum_field(INQUIRIES.c.state, inquiry_pb2.Inquiry.State, "STATE_"),
    "source": text_field(INQUIRIES.c.source),
    "external_id": text_field(INQUIRIES.c.external_id),
    "channel": enum_field(INQUIRIES.c.channel, inquiry_pb2.Inquiry.Channel, "CHANNEL_"),
    "urgent": boolean_field(INQUIRIES.c.urgent),
    "receive_time": time_field(INQUIRIES.c.receive_time),
    "deadline": time_field(INQUIRIES.c.deadline),
    "drill": boolean_field(INQUIRIES.c.drill),
}
_INQUIRY_ORDERS: dict[str, ColumnElement[Any]] = {
    "receive_time": INQUIRIES.c.receive_time,
    "deadline": INQUIRIES.c.deadline,
}
_TASK_FIELDS: dict[str, Compare] = {
    "kind": enum_field(TASKS.c.kind, task_pb2.Task.Kind, "KIND_"),
    "state": enum_field(TASKS.c.state, task_pb2.Task.State, "STATE_"),
    "case": name_field(TASKS.c.case_id, "cases"),
    "source": text_field(TASKS.c.source),
    "create_time": time_field(TASKS.c.create_time),
    "drill": boolean_field(TASKS.c.drill),
}
_ASKS_FOR_STATE = re.compile(r"\bstate\s*(=|!=|<|>)")
_TAKEN_DOWN = frozenset({inquiry_pb2.Inquiry.CHANNEL_TELEPHONE, inquiry_pb2.Inquiry.CHANNEL_COUNTER})


def check_clocks(body: str) -> None:
    """Raises InvalidArgument with every mistake of a clock policy."""
    try:
        parse_policy(body)
    except PolicyError as error:
        raise InvalidArgument.of(
            FieldViolation("policy.body", problem, "POLICY_INVALID") for problem in error.problems
        ) from error


class CaseworkServicer(casework_service_pb2_grpc.CaseworkServiceServicer):
    """Inquiries and receipts, cases and their steps, tasks, units, the clock policy, the feed."""

    def __init__(self, store: CaseworkStore, feed: Feed, policies: Policies, rules: Rules, secrets: Secrets) -> None:
        self._store = store
        self._feed = feed
        self._policies = policies
        self._rules = rules
        self._secrets = secrets

    # Inquiries

    async def SubmitInquiry(
        self, request: inquiry_pb2.SubmitInquiryRequest, context: Any
    ) -> inquiry_pb2.SubmitInquiryResponse:
        """Stores the inquiry and what passes it on, in one transaction, and answers with the receipt."""
        principal = current_principal()
        channel = request.channel or inquiry_pb2.Inquiry.CHANNEL_ONLINE
        if channel == inquiry_pb2.Inquiry.CHANNEL_BOARD:
            raise InvalidArgument("channel", "boards are imported by the collector; use ONLINE, TELEPHONE or COUNTER")
        if channel in _TAKEN_DOWN and principal.is_anonymous:
            raise PermissionDenied(
                "SIGN_IN", "only officers take inquiries down by telephone or at the counter; sign in"
            )
        if not request.text.strip():
            raise InvalidArgument("text", "is empty; say what is asked", "REQUIRED")
        key = f"{principal.subject}/{request.request_id}"
        inquiry_id = derived_id("submitted", key) if request.request_id else uuid7()
        # What is remembered for a repetition holds no secret: masked texts, no contact, and no receipt, which is made
        # from the id each time.
        masked = inquiry_pb2.SubmitInquiryRequest(
            subject=mask_text(request.subject), text=mask_text(request.text), channel=channel
        )
        response = await self._store.write_once(
            request.request_id,
            "SubmitInquiry",
            masked,
            lambda tx: self._submit(tx, inquiry_id, masked, request.contact),
            inquiry_pb2.SubmitInquiryResponse,
            subject=principal.subject,
        )
        response.receipt = self._secrets.receipt(inquiry_id)
        return response

    def _submit(
        self,
        tx: Tx,
        inquiry_id: str,
        masked: inquiry_pb2.SubmitInquiryRequest,
        contact: str,
    ) -> inquiry_pb2.SubmitInquiryResponse:
        files = CaseFiles(tx, self._rules)
        subject, text = masked.subject, masked.text
        known = files.inquiries.find(tx.connection, inquiry_id)
        if known is not None:  # repeated so late that the request is not remembered any more
            if (known["subject"], known["text"]) != (subject, text):
                why = "was used before for another request; take a new UUID for each request that is not repeated"
                raise InvalidArgument("request_id", why, "REQUEST_ID_REUSED")
            return _submitted(known)
        row = files.inquiries.add(
            new_inquiry(
                inquiry_id,
                subject=subject,
                text=text,
                channel=masked.channel,
                received=tx.now_us,
                source=f"sources/{INBOX}",
                external_id=inquiry_id,
                return_path=inquiry_pb2.Inquiry.RETURN_PATH_RECEIPT,
                deadline=self._rules.answer_by(tx.now_us, urgent=False, extended=False),
                receipt_hash=receipts.token_hash(self._secrets.receipt(inquiry_id)),
            )
        )
        files.tell_inquiry(row, "inquiry.received")
        files.write()
        if contact.strip():
            tx.execute(insert(CONTACTS), {"inquiry_id": inquiry_id, "sealed": self._secrets.seal(contact)})
        published = micros_to_timestamp(tx.now_us)
        post = post_pb2.Post(external_id=inquiry_id, subject=subject, text=text, publish_time=published)
        tx.outbox.add(CREATE_POST, post.SerializeToString(), derived_id("passed-on", inquiry_id))
        return _submitted(row)

    async def LookupReceipt(
        self, request: inquiry_pb2.LookupReceiptRequest, context: Any
    ) -> inquiry_pb2.LookupReceiptResponse:
        """How an inquiry stands, by its receipt alone."""
        hashed = receipts.token_hash(request.receipt)

        def read(connection: Connection) -> inquiry_pb2.LookupReceiptResponse:
            row = connection.execute(select(INQUIRIES).where(INQUIRIES.c.receipt_hash == hashed)).one_or_none()
            if row is None:
                raise NotFound("receipt", "no inquiry has this receipt; check it letter by letter", "RECEIPT_UNKNOWN")
            answers = []
            if row.state == inquiry_pb2.Inquiry.STATE_ANSWERED:
                query = (
                    select(REPLIES, UNITS.c.display_name)
                    .join(UNITS, UNITS.c.id == REPLIES.c.unit, isouter=True)
                    .where(REPLIES.c.case_id == row.case_id, REPLIES.c.state == case_pb2.Reply.STATE_PUBLISHED)
                )
                answers = [
                    inquiry_pb2.PublishedAnswer(
                        text=reply.text,
                        unit_display_name=reply.display_name or reply.unit,
                        publish_time=micros_to_timestamp(reply.publish_time),
                    )
                    for reply in connection.execute(query.order_by(REPLIES.c.publish_time.desc()))
                ]
            return inquiry_pb2.LookupReceiptResponse(
                state=row.state,
                receive_time=micros_to_timestamp(row.receive_time),
                deadline=micros_to_timestamp(row.deadline),
                answers=answers,
            )

        return await self._store.read(read)

    async def GetInquiry(self, request: inquiry_pb2.GetInquiryRequest, context: Any) -> inquiry_pb2.Inquiry:
        """One inquiry."""
        query = _inquiries(current_principal()).where(INQUIRIES.c.id == request.name.removeprefix("inquiries/"))
        row = await self._store.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(request.name)
        return resources.inquiry(row, with_text=True)

    async def ListInquiries(
        self, request: inquiry_pb2.ListInquiriesRequest, context: Any
    ) -> inquiry_pb2.ListInquiriesResponse:
        """Inquiries within the caller's reach."""
        principal = current_principal()
        query = _inquiries(principal).where(compile_filter(request.filter, _INQUIRY_FIELDS))
        order = [*parse_order(request.order_by, _INQUIRY_ORDERS, "deadline"), (INQUIRIES.c.id, False)]

        def read(connection: Connection) -> inquiry_pb2.ListInquiriesResponse:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("inquiries", request.filter, _scope(principal)),
            )
            return inquiry_pb2.ListInquiriesResponse(
                inquiries=(resources.inquiry(row._mapping, with_text=True) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
            )

        return await self._store.read(read)

    # Cases

    async def GetCase(self, request: case_pb2.GetCaseRequest, context: Any) -> case_pb2.Case:
        """One case, with the steps that are possible."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.Case:
            row = _visible_case(connection, principal, request.name)
            return resources.case(row, assisting=_assisting(connection, row["id"]), with_steps=True)

        return await self._store.read(read)

    async def ListCases(self, request: case_pb2.ListCasesRequest, context: Any) -> case_pb2.ListCasesResponse:
        """Cases within the caller's reach; those merged away only when asked for."""
        principal = current_principal()
        query = _cases(principal).where(compile_filter(request.filter, _CASE_FIELDS))
        if not _ASKS_FOR_STATE.search(request.filter):
            query = query.where(CASES.c.state != state_number(State.MERGED))
        order = [*parse_order(request.order_by, _CASE_ORDERS, "deadline"), (CASES.c.id, False)]

        def read(connection: Connection) -> case_pb2.ListCasesResponse:
            found = page(
                connection,
                query,
                order,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("cases", request.filter, _scope(principal)),
            )
            helpers: dict[str, list[str]] = {}
            assigned = [row.id for row in found.rows if row.lead_unit]
            if assigned:
                assisting = select(ASSIGNMENTS).where(
                    ASSIGNMENTS.c.case_id.in_(assigned), ASSIGNMENTS.c.lead.is_(False)
                )
                for row in connection.execute(assisting.order_by(ASSIGNMENTS.c.unit_id)):
                    helpers.setdefault(row.case_id, []).append(row.unit_id)
            return case_pb2.ListCasesResponse(
                cases=(
                    resources.case(row._mapping, assisting=helpers.get(row.id, ()), with_steps=True)
                    for row in found.rows
                ),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
                cursor=self._feed.head(connection),
            )

        return await self._store.read(read)

    async def AssignCase(self, request: case_pb2.AssignCaseRequest, context: Any) -> case_pb2.Case:
        """Orders units to deal with a case."""
        return await self._step(
            request, "AssignCase", lambda case: case.assign(request.lead_unit, request.assisting_units, request.note)
        )

    async def AcceptCase(self, request: case_pb2.AcceptCaseRequest, context: Any) -> case_pb2.Case:
        """The lead unit takes a case up."""
        return await self._step(request, "AcceptCase", Handling.accept)

    async def DraftReply(self, request: case_pb2.DraftReplyRequest, context: Any) -> case_pb2.Case:
        """The lead unit writes a reply."""
        return await self._step(request, "DraftReply", lambda case: case.draft(request.text))

    async def ReviewReply(self, request: case_pb2.ReviewReplyRequest, context: Any) -> case_pb2.Case:
        """Someone other than its author reviews the reply."""
        return await self._step(request, "ReviewReply", lambda case: case.review(request.decision, request.note))

    async def ApproveReply(self, request: case_pb2.ApproveReplyRequest, context: Any) -> case_pb2.Case:
        """Approves the reply."""
        return await self._step(request, "ApproveReply", lambda case: case.approve(request.decision, request.note))

    async def PublishReply(self, request: case_pb2.PublishReplyRequest, context: Any) -> case_pb2.Case:
        """Publishes the approved reply."""
        return await self._step(request, "PublishReply", Handling.publish)

    async def CloseCase(self, request: case_pb2.CloseCaseRequest, context: Any) -> case_pb2.Case:
        """Seals a case."""
        return await self._step(request, "CloseCase", Handling.close)

    async def ExtendCase(self, request: case_pb2.ExtendCaseRequest, context: Any) -> case_pb2.Case:
        """Gives a case more time."""
        return await self._step(request, "ExtendCase", lambda case: case.extend(request.reason))

    async def _step(self, request: Any, method: str, take: Callable[[Handling], case_pb2.Case]) -> case_pb2.Case:
        principal = current_principal()
        return await self._store.write_once(
            request.request_id,
            method,
            request,
            lambda tx: take(Handling(tx, self._rules, principal, request.name, request.etag)),
            case_pb2.Case,
            subject=principal.subject,
        )

    async def ListReplies(self, request: case_pb2.ListRepliesRequest, context: Any) -> case_pb2.ListRepliesResponse:
        """Every reply of a case."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.ListRepliesResponse:
            case = _visible_case(connection, principal, request.parent)
            query = select(REPLIES).where(REPLIES.c.case_id == case["id"])
            rows = connection.execute(query.order_by(REPLIES.c.create_time.desc(), REPLIES.c.id.desc())).mappings()
            return case_pb2.ListRepliesResponse(replies=map(resources.reply, rows))

        return await self._store.read(read)

    async def ListEntries(self, request: case_pb2.ListEntriesRequest, context: Any) -> case_pb2.ListEntriesResponse:
        """The chain of a case."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.ListEntriesResponse:
            case = _visible_case(connection, principal, request.parent)
            found = page(
                connection,
                _entries(case["id"]),
                [(ENTRIES.c.number, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("entries", case["id"]),
            )
            return case_pb2.ListEntriesResponse(
                entries=(resources.entry(row._mapping) for row in found.rows), next_page_token=found.next_page_token
            )

        return await self._store.read(read)

    async def VerifyCase(self, request: case_pb2.VerifyCaseRequest, context: Any) -> case_pb2.VerifyCaseResponse:
        """Checks the chain of a case, entry by entry, up to the head that the case names."""
        principal = current_principal()

        def read(connection: Connection) -> case_pb2.VerifyCaseResponse:
            case = _visible_case(connection, principal, request.name)
            entries = [
                chain.Entry(
                    row.case_id,
                    row.number,
                    row.step,
                    row.actor,
                    row.time,
                    row.details,
                    row.text_digest,
                    row.previous,
                    row.hash,
                )
                for row in connection.execute(_entries(case["id"]).order_by(ENTRIES.c.number))
            ]
            head = entries[-1].hash if entries else chain.GENESIS
            problem = ""
            try:
                chain.verify(case["id"], entries)
                chain.verify_texts(entries, _kept_texts(connection, case["id"]))
            except chain.BrokenChain as error:
                problem = str(error)
            if not problem and (len(entries) != case["entry_count"] or head != case["head_hash"]):
                problem = f"The case names {case['entry_count']} entries, and {len(entries)} are there."
            return case_pb2.VerifyCaseResponse(
                intact=not problem, entries=len(entries), head_hash=head, problem=problem
            )

        return await self._store.read(read)

    async def WatchCases(
        self, request: case_pb2.WatchCasesRequest, context: Any
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """The feed."""
        async for batch in self._feed.watch(
            request.cursor, kinds=request.kinds, tail=request.tail, until=current_principal().expires
        ):
            yield batch

    # Tasks

    async def GetTask(self, request: task_pb2.GetTaskRequest, context: Any) -> task_pb2.Task:
        """One task."""
        query = _tasks(current_principal()).where(TASKS.c.id == request.name.removeprefix("tasks/"))
        row = await self._store.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(request.name)
        return resources.task(row, row)

    async def ListTasks(self, request: task_pb2.ListTasksRequest, context: Any) -> task_pb2.ListTasksResponse:
        """Tasks, the oldest first."""
        principal = current_principal()
        query = _tasks(principal).where(compile_filter(request.filter, _TASK_FIELDS))

        def read(connection: Connection) -> task_pb2.ListTasksResponse:
            found = page(
                connection,
                query,
                [(TASKS.c.create_time, False), (TASKS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("tasks", request.filter, _scope(principal)),
            )
            return task_pb2.ListTasksResponse(
                tasks=(resources.task(row._mapping, row._mapping) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
            )

        return await self._store.read(read)

    async def CompleteTask(self, request: task_pb2.CompleteTaskRequest, context: Any) -> task_pb2.Task:
        """Notes that a task is done, and records it in the chain of its case."""
        principal = current_principal()

        def complete(tx: Tx) -> task_pb2.Task:
            files = CaseFiles(tx, self._rules)
            task_id = request.name.removeprefix("tasks/")
            task = files.tasks.find(tx.connection, task_id)
            if task is None or tx.execute(_tasks(principal).where(TASKS.c.id == task_id)).first() is None:
                raise NotFound(request.name)
            if task["state"] != task_pb2.Task.STATE_OPEN:
                raise FailedPrecondition("TASK_DONE", f"{request.name} was completed by {task['completer']} before")
            files.tasks.change(
                task,
                state=task_pb2.Task.STATE_DONE,
                note=request.note,
                complete_time=tx.now_us,
                completer=principal.subject,
                revision=task["revision"] + 1,
            )
            case = files.case(task["case_id"])
            if case["state"] != state_number(State.CLOSED):
                kind = task_pb2.Task.Kind.Name(task["kind"]).removeprefix("KIND_").lower()
                details: dict[str, object] = {"task": task_id, "kind": kind, "inquiry": task["inquiry_id"]}
                files.record_with_note(case, "task.completed", principal.subject, details, request.note)
            message = files.tell_task(task, case, "task.completed")
            files.write()
            return message

        return await self._store.write_once(
            request.request_id, "CompleteTask", request, complete, task_pb2.Task, subject=principal.subject
        )

    # Units

    async def GetUnit(self, request: unit_pb2.GetUnitRequest, context: Any) -> unit_pb2.Unit:
        """One unit."""
        ids = [request.name.removeprefix("units/")]
        units = await self._store.read(lambda connection: offices.read_units(connection, ids))
        if not units:
            raise NotFound(request.name)
        return units[0]

    async def ListUnits(self, request: unit_pb2.ListUnitsRequest, context: Any) -> unit_pb2.ListUnitsResponse:
        """The units."""

        def read(connection: Connection) -> unit_pb2.ListUnitsResponse:
            found = page(
                connection,
                select(UNITS.c.id),
                [(UNITS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="units",
            )
            units = offices.read_units(connection, [row.id for row in found.rows])
            return unit_pb2.ListUnitsResponse(units=units, next_page_token=found.next_page_token)

        return await self._store.read(read)

    async def BatchUpdateUnits(
        self, request: unit_pb2.BatchUpdateUnitsRequest, context: Any
    ) -> unit_pb2.BatchUpdateUnitsResponse:
        """Writes units, all or none."""

        def write(tx: Tx) -> unit_pb2.BatchUpdateUnitsResponse:
            changed = offices.write_units(tx, request.units)
            by_name = {unit.name: unit for unit in offices.read_units(tx.connection)}
            units = [by_name[unit.name] for unit in request.units]
            return unit_pb2.BatchUpdateUnitsResponse(units=units, changed=changed)

        return await self._store.write(write)

    async def LookupReach(self, request: unit_pb2.LookupReachRequest, context: Any) -> unit_pb2.Reach:
        """How far an account reaches."""
        account = request.account.removeprefix("accounts/")
        return await self._store.read(lambda connection: offices.reach(connection, account))

    # The clock policy

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policies_pb2.Policy:
        """The clock policy, or a version of it."""
        return await self._store.read(lambda connection: self._policies.by_name(connection, request.name))

    async def ListPolicyVersions(
        self, request: policy_pb2.ListPolicyVersionsRequest, context: Any
    ) -> policy_pb2.ListPolicyVersionsResponse:
        """Every version, the newest first."""
        kind = _kind(request.parent, "parent")
        versions = await self._store.read(lambda connection: self._policies.versions(connection, kind))
        return policy_pb2.ListPolicyVersionsResponse(policies=versions)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Any) -> policies_pb2.Policy:
        """A new version, unless the body is the one in force."""
        kind, policy = _kind(request.policy.name, "policy.name"), request.policy
        subject = current_principal().subject
        return await self._store.write(lambda tx: self._policies.put(tx, kind, policy.body, subject, etag=policy.etag))


def _scope(principal: Principal) -> object:
    return None if principal.everywhere else principal.units


def _reach(principal: Principal, case_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Cases that the caller's units lead or assist in; every case for a desk."""
    if principal.everywhere:
        return true()
    return case_id.in_(select(ASSIGNMENTS.c.case_id).where(ASSIGNMENTS.c.unit_id.in_(principal.units)))


def _cases(principal: Principal) -> Select[Any]:
    return select(CASES).where(_reach(principal, CASES.c.id))


def _inquiries(principal: Principal) -> Select[Any]:
    return select(INQUIRIES).where(_reach(principal, INQUIRIES.c.case_id))


def _tasks(principal: Principal) -> Select[Any]:
    of_case = (CASES.c.title, CASES.c.grade, CASES.c.lead_unit, CASES.c.suggested_unit)
    query = select(TASKS, *of_case).join(CASES, CASES.c.id == TASKS.c.case_id)
    return query.where(_reach(principal, TASKS.c.case_id))


def _entries(case_id: str) -> Select[Any]:
    beside = and_(NOTES.c.case_id == ENTRIES.c.case_id, NOTES.c.number == ENTRIES.c.number)
    return (
        select(ENTRIES, NOTES.c.text.label("note"))
        .join(NOTES, beside, isouter=True)
        .where(ENTRIES.c.case_id == case_id)
    )


def _kept_texts(connection: Connection, case_id: str) -> chain.Texts:
    """The texts of a case that are kept, by what their entries say of them."""
    kept: dict[tuple[str, str], tuple[bytes, str]] = {}
    for kind, table, key in (("inquiry", INQUIRIES, "id"), ("reply", REPLIES, "id"), ("note", NOTES, "number")):
        query = select(table.c[key], table.c.salt, table.c.text).where(table.c.case_id == case_id)
        kept |= {(kind, str(name)): (salt, text) for name, salt, text in connection.execute(query)}
    return kept


def _visible_case(connection: Connection, principal: Principal, name: str) -> Any:
    query = _cases(principal).where(CASES.c.id == name.removeprefix("cases/"))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(name)
    return row


def _assisting(connection: Connection, case_id: str) -> list[str]:
    query = select(ASSIGNMENTS.c.unit_id).where(ASSIGNMENTS.c.case_id == case_id, ASSIGNMENTS.c.lead.is_(False))
    return list(connection.scalars(query.order_by(ASSIGNMENTS.c.unit_id)))


def _kind(name: str, field: str) -> str:
    if name != "policies/clocks":
        raise InvalidArgument(field, "must be policies/clocks, casework's one policy", "NAME_INVALID")
    return "clocks"


def _submitted(row: Fields) -> inquiry_pb2.SubmitInquiryResponse:
    return inquiry_pb2.SubmitInquiryResponse(
        receive_time=micros_to_timestamp(row["receive_time"]), deadline=micros_to_timestamp(row["deadline"])
    )
