"""Fifty people work on the same twenty cases at once: whoever acts on what changed meanwhile is told so, and no more.

Five seconds of it here; `make strain-casework` gives it a minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
from huiyin.casework.v1 import case_pb2, casework_service_pb2_grpc, note_pb2, unit_pb2
from huiyin_chassis import client
from huiyin_chassis.errors import from_rpc_error
from huiyin_chassis.identity import Principal

from tests.integration.casework.conftest import Office, Run, joined, opened

SECONDS = float(os.environ.get("DURATION", "5"))
CLIENTS, CASES = 50, 20

State = case_pb2.Case
PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN


@dataclass(frozen=True)
class Act:
    """A step: its method, its request without name, etag and request id, and what it is called in the chain."""

    method: str
    request: Callable[[str], Any]
    """Of a text that no other call has."""
    entry: str
    has_note: bool = True


def _judge(request: Any, decision: case_pb2.Decision.ValueType) -> Callable[[str], Any]:
    return lambda text: request(decision=decision, note=text)


NOTE = Act("NoteCase", lambda text: note_pb2.NoteCaseRequest(note=text), "case.noted")
DRAFT = Act(
    "DraftReply", lambda text: case_pb2.DraftReplyRequest(text=f"已修复。{text}"), "case.drafted", has_note=False
)

WRITERS: dict[int, list[Act]] = {
    State.STATE_REGISTERED: [
        Act(
            "AssignCase",
            lambda text: case_pb2.AssignCaseRequest(
                lead_unit="units/water", assisting_units=["units/roads"], note=text
            ),
            "case.assigned",
        )
    ],
    State.STATE_ASSIGNED: [
        Act("AcceptCase", lambda text: case_pb2.AcceptCaseRequest(), "case.accepted", has_note=False)
    ],
    State.STATE_ACCEPTED: [
        DRAFT,
        Act("InvestigateCase", lambda text: case_pb2.InvestigateCaseRequest(note=text), "case.investigated"),
        Act("ContributeToCase", lambda text: case_pb2.ContributeToCaseRequest(note=text), "case.contributed"),
    ],
    State.STATE_APPROVED: [DRAFT],
}
"""What those do who write: by the state of a case."""

JUDGES: dict[int, list[Act]] = {
    State.STATE_DRAFTED: [
        Act("ReviewReply", _judge(case_pb2.ReviewReplyRequest, PASS), "case.reviewed"),
        Act("ReviewReply", _judge(case_pb2.ReviewReplyRequest, RETURN), "case.returned"),
    ],
    State.STATE_REVIEWED: [
        Act("ApproveReply", _judge(case_pb2.ApproveReplyRequest, PASS), "case.approved"),
        Act("ApproveReply", _judge(case_pb2.ApproveReplyRequest, RETURN), "case.returned"),
    ],
}
"""What those do who judge what others wrote."""


@dataclass
class Record:
    """What the clients were told."""

    taken: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Successes by case and step."""
    notes: Counter[str] = field(default_factory=Counter)
    """Texts of those that were taken with a note."""
    refused: Counter[tuple[grpc.StatusCode, str]] = field(default_factory=Counter)
    repeated: int = 0


class Client:
    """One person with a connection of their own."""

    def __init__(self, stub: Any, metadata: Any, acts: dict[int, list[Act]], chance: random.Random) -> None:
        self._stub = stub
        self._metadata = metadata
        self._acts = acts
        self._chance = chance

    async def work(self, cases: list[str], record: Record, until: float) -> None:
        """Reads a case and takes a step with it, again and again."""
        while time.monotonic() < until:
            case = await self._call("GetCase", case_pb2.GetCaseRequest(name=self._chance.choice(cases)))
            act = self._chance.choice([*self._acts.get(case.state, []), NOTE])
            text = str(uuid4())
            request = act.request(text)
            request.name, request.request_id = case.name, text
            # A note is legal whatever happened meanwhile, so it may go without.
            if act is not NOTE or self._chance.random() < 0.5:
                request.etag = case.etag
            # Whoever did not hear the answer asks again, sometimes before it has come.
            answers = await asyncio.gather(self._take(act, request, record), *self._again(act, request, record))
            given = [answer for answer in answers if answer is not None]
            if given:
                record.taken[case.name, act.entry] += 1
                record.notes[text] += act.has_note
                record.repeated += len(given) - 1
                assert all(answer == given[0] for answer in given)

    def _again(self, act: Act, request: Any, record: Record) -> list[Any]:
        return [self._take(act, request, record)] if self._chance.random() < 0.2 else []

    async def _take(self, act: Act, request: Any, record: Record) -> Any:
        try:
            return await self._call(act.method, request)
        except grpc.aio.AioRpcError as error:
            told = from_rpc_error(error)
            record.refused[told.code, told.reason] += 1
            return None

    async def _call(self, method: str, request: Any) -> Any:
        # Without a deadline: how long a busy machine takes is none of what is tested.
        return await getattr(self._stub, method)(request, metadata=self._metadata)


def test_each_success_is_in_the_chain_once_and_each_conflict_is_told_as_one(run: Run) -> None:
    async def test(office: Office) -> None:
        units = [unit_pb2.Unit(name=f"units/{unit}", display_name=unit) for unit in ("water", "roads")]
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
        await office.tell(
            *(told for number in range(CASES) for told in (opened(f"e{number}"), joined(f"e{number}", f"p{number}")))
        )
        cases = [case.name for case in await office.cases()]
        assert len(cases) == CASES
        record = Record()
        async with AsyncExitStack() as stack:
            people = [await _client(stack, office, number) for number in range(CLIENTS)]
            until = time.monotonic() + SECONDS
            await asyncio.gather(*(person.work(cases, record, until) for person in people))
        told = f"{record.taken.total()} steps, {record.refused.total()} conflicts, {record.repeated} repeated"
        print(f"{office.store.dialect}, {SECONDS:g} s: {told}")
        assert set(record.refused) == {(grpc.StatusCode.ABORTED, "STALE_ETAG")}
        assert record.repeated
        assert set(record.notes.values()) <= {0, 1}
        found, notes = await _chains(office, cases)
        assert {key: count for key, count in found.items() if key[1] in _STEPS} == record.taken
        assert notes == +record.notes

    run(test)


_STEPS = {act.entry for acts in (*WRITERS.values(), *JUDGES.values(), [NOTE]) for act in acts}


async def _client(stack: AsyncExitStack, office: Office, number: int) -> Client:
    """One that writes or one that judges, so that nobody comes to judge what they wrote."""
    channel = await stack.enter_async_context(client.connect(office.address))
    roles = ("desk", "officer") if number % 2 else ("officer", "reviewer", "approver")
    metadata = client.metadata(office.gateway.sign(Principal(f"accounts/c{number}", roles=roles, everywhere=True)))
    stub = casework_service_pb2_grpc.CaseworkServiceStub(channel)
    return Client(stub, metadata, WRITERS if number % 2 else JUDGES, random.Random(number))


async def _chains(office: Office, cases: list[str]) -> tuple[Counter[tuple[str, str]], Counter[str]]:
    """The entries of the chains, which are whole, by case and step; and the notes in them."""
    found: Counter[tuple[str, str]] = Counter()
    notes: Counter[str] = Counter()
    for case in cases:
        whole = await office.call("VerifyCase", case_pb2.VerifyCaseRequest(name=case))
        assert whole.intact, whole.problem
        request = case_pb2.ListEntriesRequest(parent=case, page_size=1000)
        while True:
            page = await office.call("ListEntries", request)
            found.update((case, entry.step) for entry in page.entries)
            notes.update(entry.note for entry in page.entries if entry.note)
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    return found, notes
