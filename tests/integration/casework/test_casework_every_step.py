"""Every row of the table of steps, for every role, and every step that the table does not have: taken over gRPC.

The cases are generated from the table, and many are under way at once: so both databases are walked in little time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from huiyin.casework.v1 import (
    admission_pb2,
    attachment_pb2,
    case_pb2,
    contact_pb2,
    inquiry_pb2,
    message_pb2,
    note_pb2,
    unit_pb2,
)
from huiyin_casework.model.steps import AUTHOR, DESK, NEEDS, OFFICES, TABLE, Fact, State, Step, Transition, roles_of
from huiyin_chassis.errors import DomainError, ResourceExhausted
from huiyin_chassis.identity import ROLES, Principal

from tests.files import png
from tests.integration.casework.conftest import Office, Run, joined, merged, opened

PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN

PEOPLE: dict[str, Principal | str] = {
    **{role: Principal(f"accounts/{role}", roles=(role,), units=("water",)) for role in ROLES},
    "desk": Principal("accounts/desk", roles=("desk",), everywhere=True),
    AUTHOR: "public",
}
ASSISTING = {role: Principal(f"accounts/{role}", roles=(role,), units=("roads",)) for role in ROLES}
"""The same roles in the unit that assists."""
SECOND = Principal("accounts/second", roles=("officer",), units=("water",))
SECOND_ASSISTING = Principal("accounts/second", roles=("officer",), units=("roads",))
SECOND_DESK = Principal("accounts/second", roles=("desk",), everywhere=True)

FILE = attachment_pb2.AttachmentFile(file_name="现场.png", data=png())

WAYS: dict[State, tuple[Step, ...]] = {
    State.REGISTERED: (),
    State.ASSIGNED: (Step.ASSIGN,),
    State.OBJECTED: (Step.ASSIGN, Step.OBJECT),
    State.ACCEPTED: (Step.ASSIGN, Step.ACCEPT),
    State.DRAFTED: (Step.ASSIGN, Step.ACCEPT, Step.DRAFT),
    State.REVIEWED: (Step.ASSIGN, Step.ACCEPT, Step.DRAFT, Step.PASS_REVIEW),
    State.APPROVED: (Step.ASSIGN, Step.ACCEPT, Step.DRAFT, Step.PASS_REVIEW, Step.APPROVE),
    State.PUBLISHED: (Step.ASSIGN, Step.ACCEPT, Step.DRAFT, Step.PASS_REVIEW, Step.APPROVE, Step.PUBLISH),
    State.CLOSED: (Step.ASSIGN, Step.ACCEPT, Step.DRAFT, Step.PASS_REVIEW, Step.APPROVE, Step.PUBLISH, Step.CLOSE),
}
"""How a case comes to a state; a merged one is made by merging its event."""


@dataclass
class Work:
    """A case with its one inquiry, the receipt of that, and another case."""

    case: str
    inquiry: str
    receipt: str
    other: str
    """A case that stays open."""
    attachment: str = "none"
    """The id of a file of its draft."""

    @property
    def enclosure(self) -> str:
        """The name of that file."""
        return f"{self.case}/attachments/{self.attachment}"


def _decide(request: Callable[..., Any], decision: case_pb2.Decision.ValueType) -> Callable[[Work], Any]:
    return lambda work: request(name=work.case, decision=decision, note="已核对")


def _refuse(work: Work) -> admission_pb2.RefuseInquiryRequest:
    return admission_pb2.RefuseInquiryRequest(name=work.inquiry, ground="court")


def _review(decision: case_pb2.Decision.ValueType) -> Callable[[Work], Any]:
    return lambda work: admission_pb2.ReviewRefusalRequest(name=work.inquiry, decision=decision, note="已核对")


def _read(purpose: contact_pb2.ContactPurpose.ValueType) -> Callable[[Work], Any]:
    return lambda work: contact_pb2.ReadContactRequest(name=work.inquiry, purpose=purpose)


CALLS: dict[Step, tuple[str, Callable[[Work], Any]]] = {
    Step.ADMIT: ("AdmitInquiry", lambda work: admission_pb2.AdmitInquiryRequest(name=work.inquiry)),
    Step.REFUSE: ("RefuseInquiry", _refuse),
    Step.PASS_REFUSAL: ("ReviewRefusal", _review(PASS)),
    Step.RETURN_REFUSAL: ("ReviewRefusal", _review(RETURN)),
    Step.JOIN: ("JoinInquiry", lambda work: admission_pb2.JoinInquiryRequest(name=work.inquiry, case=work.other)),
    Step.DISMISS: ("DismissCase", lambda work: case_pb2.DismissCaseRequest(name=work.case, reason="无需办理")),
    Step.ASSIGN: (
        "AssignCase",
        lambda work: case_pb2.AssignCaseRequest(
            name=work.case, lead_unit="units/water", assisting_units=["units/roads"]
        ),
    ),
    Step.OBJECT: (
        "ObjectToCase",
        lambda work: case_pb2.ObjectToCaseRequest(name=work.case, rule="《供水条例》第三条", reason="属住建局"),
    ),
    Step.UPHOLD_OBJECTION: ("DecideObjection", _decide(case_pb2.DecideObjectionRequest, PASS)),
    Step.REFUSE_OBJECTION: ("DecideObjection", _decide(case_pb2.DecideObjectionRequest, RETURN)),
    Step.ACCEPT: ("AcceptCase", lambda work: case_pb2.AcceptCaseRequest(name=work.case)),
    Step.INVESTIGATE: (
        "InvestigateCase",
        lambda work: case_pb2.InvestigateCaseRequest(name=work.case, note="阀门老化"),
    ),
    Step.NOTE: ("NoteCase", lambda work: note_pb2.NoteCaseRequest(name=work.case, note="周五再看")),
    Step.CONTRIBUTE: (
        "ContributeToCase",
        lambda work: case_pb2.ContributeToCaseRequest(name=work.case, note="路面未塌陷"),
    ),
    Step.OBJECT_TO_PART: (
        "ObjectToPart",
        lambda work: case_pb2.ObjectToPartRequest(name=work.case, rule="《公路法》第八条", reason="属镇村道路"),
    ),
    Step.UPHOLD_PART_OBJECTION: ("DecidePartObjection", _decide(case_pb2.DecidePartObjectionRequest, PASS)),
    Step.REFUSE_PART_OBJECTION: ("DecidePartObjection", _decide(case_pb2.DecidePartObjectionRequest, RETURN)),
    Step.ASK: ("AskAuthor", lambda work: message_pb2.AskAuthorRequest(name=work.inquiry, text="几号楼？")),
    Step.TELL: ("TellAuthor", lambda work: message_pb2.TellAuthorRequest(name=work.inquiry, text="已派人查看")),
    Step.CLOSE_QUESTION: ("CloseQuestion", lambda work: message_pb2.CloseQuestionRequest(name=work.inquiry)),
    Step.ATTACH: ("AttachToInquiry", lambda work: attachment_pb2.AttachToInquiryRequest(name=work.inquiry, file=FILE)),
    Step.ENCLOSE: ("EncloseFile", lambda work: attachment_pb2.EncloseFileRequest(name=work.case, file=FILE)),
    Step.TAKE_OUT: ("TakeOutAttachment", lambda work: attachment_pb2.TakeOutAttachmentRequest(name=work.enclosure)),
    Step.CLEAR: ("ClearAttachment", lambda work: attachment_pb2.ClearAttachmentRequest(name=work.enclosure)),
    Step.CONTACT_TO_ASK: ("ReadContact", _read(contact_pb2.CONTACT_PURPOSE_ASK_BACK)),
    Step.CONTACT_TO_VERIFY: ("ReadContact", _read(contact_pb2.CONTACT_PURPOSE_VERIFY_ON_SITE)),
    Step.CONTACT_TO_DELIVER: ("ReadContact", _read(contact_pb2.CONTACT_PURPOSE_DELIVER_REPLY)),
    Step.CONTACT_TO_VISIT: ("ReadContact", _read(contact_pb2.CONTACT_PURPOSE_RETURN_VISIT)),
    Step.WRITE: (
        "WriteByReceipt",
        lambda work: message_pb2.WriteByReceiptRequest(receipt=work.receipt, text="三号楼"),
    ),
    Step.WITHDRAW: (
        "WithdrawByReceipt",
        lambda work: inquiry_pb2.WithdrawByReceiptRequest(receipt=work.receipt),
    ),
    Step.DRAFT: (
        "DraftReply",
        lambda work: case_pb2.DraftReplyRequest(name=work.case, text="阀门已更换，昨日恢复供水。"),
    ),
    Step.PASS_REVIEW: ("ReviewReply", _decide(case_pb2.ReviewReplyRequest, PASS)),
    Step.RETURN_REVIEW: ("ReviewReply", _decide(case_pb2.ReviewReplyRequest, RETURN)),
    Step.APPROVE: ("ApproveReply", _decide(case_pb2.ApproveReplyRequest, PASS)),
    Step.RETURN_APPROVAL: ("ApproveReply", _decide(case_pb2.ApproveReplyRequest, RETURN)),
    Step.PUBLISH: ("PublishReply", lambda work: case_pb2.PublishReplyRequest(name=work.case)),
    Step.FEEDBACK: (
        "GiveFeedback",
        lambda work: message_pb2.GiveFeedbackRequest(receipt=work.receipt, reason="仍在停水"),
    ),
    Step.REOPEN: ("ReopenCase", lambda work: case_pb2.ReopenCaseRequest(name=work.case, reason="复核未修好")),
    Step.CLOSE: ("CloseCase", lambda work: case_pb2.CloseCaseRequest(name=work.case)),
    Step.EXTEND: ("ExtendCase", lambda work: case_pb2.ExtendCaseRequest(name=work.case, reason="需现场勘查")),
    Step.REQUEST_EXTENSION: (
        "RequestExtension",
        lambda work: case_pb2.RequestExtensionRequest(name=work.case, reason="需现场勘查"),
    ),
    Step.GRANT_EXTENSION: ("DecideExtension", _decide(case_pb2.DecideExtensionRequest, PASS)),
    Step.REFUSE_EXTENSION: ("DecideExtension", _decide(case_pb2.DecideExtensionRequest, RETURN)),
}

MAKES_TRUE: dict[Fact, tuple[tuple[Step, Principal | str], ...]] = {
    Fact.EXTENSION_REQUESTED: ((Step.REQUEST_EXTENSION, SECOND),),
    Fact.DISSATISFIED: ((Step.FEEDBACK, "public"),),
    Fact.REFUSAL_OPEN: ((Step.REFUSE, SECOND_DESK),),
    Fact.NOTHING_WAITS: ((Step.WITHDRAW, "public"),),
    # What is true of every case that was assigned here: a unit assists, and has not objected.
    Fact.PART_OPEN: (),
    Fact.PART_WAITS: (),
    Fact.PART_OBJECTED: ((Step.OBJECT_TO_PART, SECOND_ASSISTING),),
}
"""How a fact that a step needs comes true, by somebody else than who takes the step."""

AT_ONCE = 8
"""Cases that are under way at a time."""

HOLDERS = [*ROLES, AUTHOR]

OF_INQUIRIES = {Step.ASK, Step.TELL, Step.CLOSE_QUESTION, Step.WRITE, Step.WITHDRAW, Step.FEEDBACK} | {
    Step.ADMIT,
    Step.REFUSE,
    Step.PASS_REFUSAL,
    Step.RETURN_REFUSAL,
    Step.JOIN,
    Step.CONTACT_TO_ASK,
    Step.CONTACT_TO_VERIFY,
    Step.CONTACT_TO_DELIVER,
    Step.CONTACT_TO_VISIT,
    Step.ATTACH,
}
"""Steps that name an inquiry and find its case."""


def _pairs() -> Iterator[tuple[State, Step]]:
    yield from itertools.product(State, Step)


ROWS = {(row.source, row.step): row for row in TABLE}


async def _works(office: Office, count: int) -> Iterator[Work]:
    """So many cases that wait to be assigned, each with an inquiry that was submitted to us."""
    units = [unit_pb2.Unit(name=f"units/{unit}", display_name=unit) for unit in ("water", "roads")]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
    receipts = {
        f"停水{number}": (await office.submit(f"停水{number}", contact="老王")).receipt for number in range(count + 1)
    }
    await office.sent()
    ids = {post.text: external_id for external_id, post in office.collector.posts.items()}
    told = []
    for text, external_id in ids.items():
        told += [opened(text), joined(text, text, source="sources/inquiries", external_id=external_id, text=text)]
    await office.tell(*told)
    by_event = {case.event.removeprefix("events/"): case.name for case in await office.cases()}
    other = by_event[f"停水{count}"]
    return iter([Work(by_event[text], f"inquiries/{ids[text]}", receipts[text], other) for text in receipts])


def _who(step: Step, role: str) -> Principal | str:
    """Somebody of a role in the unit that takes a step."""
    return ASSISTING[role] if OFFICES[step].assisting_only else PEOPLE[role]


async def _take(office: Office, work: Work, step: Step, who: Principal | str) -> Any:
    while True:
        method, request = CALLS[step]
        try:
            return await office.call(method, request(work), who)
        except ResourceExhausted as error:
            # So many files at once are not looked at; whoever sends them comes again.
            assert error.reason == "BUSY"
            await asyncio.sleep(0.1)


async def _refusal(office: Office, work: Work, step: Step, who: Principal | str) -> DomainError:
    with pytest.raises(DomainError) as refused:
        await _take(office, work, step, who)
    return refused.value


async def _bring(office: Office, work: Work, state: State, step: Step | None = None) -> Work:
    """Brings a case to a state, and to what a step needs beside it."""
    for each in WAYS[state]:
        await _take(office, work, each, SECOND if each == Step.OBJECT else PEOPLE[OFFICES[each].roles[0]])
    if step in NEEDS:
        for maker, who in MAKES_TRUE[NEEDS[step]]:
            await _take(office, work, maker, who)
    if step in (Step.TAKE_OUT, Step.CLEAR):
        enclosed = await _take(office, work, Step.ENCLOSE, SECOND)
        work.attachment = enclosed.name.rpartition("/")[2]
    if step == Step.CLOSE_QUESTION:
        await _take(office, work, Step.ASK, PEOPLE["desk"])
    return work


async def _state(office: Office, work: Work) -> str:
    case = await office.call("GetCase", case_pb2.GetCaseRequest(name=work.case))
    return case_pb2.Case.State.Name(case.state).removeprefix("STATE_")


def test_every_row_is_taken_by_its_roles_and_refused_to_the_others(run: Run) -> None:
    async def test(office: Office) -> None:
        taken = [(row, role) for row in TABLE for role in roles_of(row)]
        works = await _works(office, len(taken))
        together = asyncio.Semaphore(AT_ONCE)

        async def take(row: Transition, role: str, work: Work) -> None:
            async with together:
                await _bring(office, work, row.source, row.step)
                if role == roles_of(row)[0]:
                    await _refused_to_others(office, work, row)
                await _take(office, work, row.step, _who(row.step, role))
                assert await _state(office, work) == row.target, (row, role)

        async with asyncio.TaskGroup() as group:
            for row, role in taken:
                group.create_task(take(row, role, next(works)))

    run(test)


async def _refused_to_others(office: Office, work: Work, row: Transition) -> None:
    for role in HOLDERS:
        if role in roles_of(row) or OFFICES[row.step].by_author:
            continue  # what an author may do asks for the receipt alone
        error = await _refusal(office, work, row.step, _who(row.step, role) if role != AUTHOR else "public")
        allowed = OFFICES[row.step].permission in ROLES.get(role, ())
        expected = grpc.StatusCode.NOT_FOUND if allowed else grpc.StatusCode.PERMISSION_DENIED
        if role == AUTHOR:
            expected = grpc.StatusCode.UNAUTHENTICATED
        assert error.code == expected, (row, role, error)
    for reason, other in _of_another_unit(row):
        error = await _refusal(office, work, row.step, other)
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, reason), (row, other)


def _of_another_unit(row: Transition) -> Iterator[tuple[str, Principal]]:
    """The roles that take a step, in the unit of the case that does not."""
    for role in set(roles_of(row)) - {DESK, AUTHOR}:
        if OFFICES[row.step].lead_only:
            yield "NOT_LEAD_UNIT", ASSISTING[role]
        elif OFFICES[row.step].assisting_only:
            yield "NOT_ASSISTING_UNIT", Principal(f"accounts/{role}", roles=(role,), units=("water",))


def test_every_step_that_the_table_does_not_have_is_refused_with_those_that_it_has(run: Run) -> None:
    async def test(office: Office) -> None:
        works = await _works(office, len(State) + 1)
        merging, into = next(works), next(works)
        events = {case.name: case.event.removeprefix("events/") for case in await office.cases()}
        await office.tell(merged(events[merging.case], events[into.case]))
        by_state = {State.MERGED: merging}
        brought = await asyncio.gather(*(_bring(office, next(works), state) for state in WAYS))
        by_state |= dict(zip(WAYS, brought, strict=True))
        for state, step in _pairs():
            if (state, step) in ROWS or (state == State.MERGED and step in OF_INQUIRIES):
                continue  # the inquiry of a case that was merged belongs to the other case
            work = by_state[state]
            method, request = CALLS[step]
            everywhere = Principal("accounts/all", roles=tuple(OFFICES[step].roles), everywhere=True)
            error = await office.refusal(method, request(work), "public" if OFFICES[step].by_author else everywhere)
            expected = {"STEP_NOT_POSSIBLE"}
            if step in (Step.WRITE, Step.WITHDRAW, Step.FEEDBACK):
                expected |= {"INQUIRY_ANSWERED", "NOT_ANSWERED"}
            if step in (Step.TAKE_OUT, Step.CLEAR):
                expected = {"NOT_FOUND"}  # there is no file yet
            assert error.reason in expected, (state, step, error)
            assert await _state(office, work) == state

    run(test)
