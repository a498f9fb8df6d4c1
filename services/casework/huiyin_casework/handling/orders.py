"""Steps of the order: assigned, accepted, given more time, closed."""

from __future__ import annotations

import json
from collections.abc import Sequence

from huiyin.casework.v1 import case_pb2, task_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from sqlalchemy import delete, func, insert, select

from huiyin_casework.handling.work import StepWork
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.model.steps import SameRequester, State, Step, check_requester
from huiyin_casework.store import ASSIGNMENTS, TASKS
from huiyin_casework.timekeeping import DROPPED, MET


class OrderSteps(StepWork):
    """What is done with a case as a piece of work."""

    def assign(self, lead: str, assisting: Sequence[str], note: str) -> case_pb2.Case:
        """Orders units to deal with the case."""
        state = self._advance(Step.ASSIGN)
        units = [name.removeprefix("units/") for name in (lead, *assisting)]
        for field, unit in zip(("lead_unit", *["assisting_units"] * len(assisting)), units, strict=True):
            if self._files.rules.unit(unit) is None:
                raise InvalidArgument(
                    field, f"units/{unit} does not exist; list /v1/units to see which do", "UNIT_UNKNOWN"
                )
        if len(set(units)) < len(units):
            raise InvalidArgument("assisting_units", "each unit is named once, and the lead unit does not assist")
        case_id = self._case["id"]
        self._tx.execute(delete(ASSIGNMENTS).where(ASSIGNMENTS.c.case_id == case_id))
        rows = [{"case_id": case_id, "unit_id": unit, "lead": unit == units[0]} for unit in units]
        self._tx.execute(insert(ASSIGNMENTS), rows)
        self._files.cases.change(self._case, assisting_units=json.dumps(sorted(units[1:])))
        details: dict[str, object] = {"lead": units[0], "assisting": units[1:]}
        self._files.record_with_note(self._case, "case.assigned", self._actor, details, note)
        self._files.clocks.start_order(self._case, units[0])
        self._hold()
        return self._done(state, "case.assigned", lead_unit=units[0], assign_time=self._tx.now_us)

    def accept(self) -> case_pb2.Case:
        """The lead unit takes the case up."""
        state = self._advance(Step.ACCEPT)
        self._files.clocks.end_kinds(self._case["id"], [Kind.ACCEPTANCE], MET)
        self._files.record(self._case, "case.accepted", self._actor, {"unit": self._case["lead_unit"]})
        return self._done(state, "case.accepted")

    def close(self) -> case_pb2.Case:
        """Seals the case."""
        state = self._advance(Step.CLOSE)
        waiting = select(func.count()).where(
            TASKS.c.case_id == self._case["id"],
            TASKS.c.state == task_pb2.Task.STATE_OPEN,
            TASKS.c.kind == task_pb2.Task.KIND_DELIVER_REPLY,
        )
        if count := self._tx.execute(waiting).scalar_one():
            raise FailedPrecondition(
                "TASKS_OPEN",
                f"{count} replies of this case still have to be posted where the question was asked; "
                "complete their tasks first (list /v1/tasks)",
                tasks=str(count),
            )
        details: dict[str, object] = {"entries": self._case["entry_count"] + 1}
        unmet = self._files.clocks.end_kinds(self._case["id"], Kind, DROPPED)
        if unmet:
            details["unmet"] = [clock["rule"] for clock in unmet]
        self._files.record(self._case, "case.closed", self._actor, details)
        self._hold()
        return self._done(state, "case.closed", close_time=self._tx.now_us)

    def extend(self, reason: str) -> case_pb2.Case:
        """Gives the case more time, once."""
        state = self._advance(Step.EXTEND)
        return self._extend(state, reason, {})

    def request_extension(self, reason: str) -> case_pb2.Case:
        """The lead unit asks for more time."""
        if not reason.strip():
            raise InvalidArgument("reason", "is empty; say why the answer needs longer", "REQUIRED")
        state = self._advance(Step.REQUEST_EXTENSION)
        details: dict[str, object] = {"unit": self._case["lead_unit"]}
        self._files.record_with_note(self._case, "case.extension_requested", self._actor, details, reason)
        return self._done(
            state,
            "case.extension_requested",
            extension=case_pb2.Case.EXTENSION_REQUESTED,
            extension_requester=self._actor,
        )

    def decide_extension(self, decision: case_pb2.Decision.ValueType, note: str) -> case_pb2.Case:
        """Someone other than who asked grants or refuses it."""
        grants = self._decided(decision, note, "is required when an extension is refused; say why")
        state = self._advance(Step.GRANT_EXTENSION if grants else Step.REFUSE_EXTENSION)
        try:
            check_requester(self._case["extension_requester"], self._actor)
        except SameRequester as error:
            raise FailedPrecondition("SAME_REQUESTER", str(error)) from error
        # An extension is not waited for as a reply is: a stand-in decides only while the approvers are away.
        absent = self._standing_in_for(since=self._tx.now_us)
        details: dict[str, object] = {} if absent is None else {"standing_in_for": absent}
        if grants:
            return self._extend(state, note, details)
        self._files.record_with_note(self._case, "case.extension_refused", self._actor, details, note)
        return self._done(state, "case.extension_refused", extension=case_pb2.Case.EXTENSION_REFUSED)

    def _extend(self, state: State, note: str, details: dict[str, object]) -> case_pb2.Case:
        waiting = self._files.waiting_inquiries(self._case["id"])
        for inquiry in waiting:
            clock = self._files.clocks.of_inquiry(inquiry)
            self._files.clocks.extend(clock)
            self._files.inquiries.change(inquiry, deadline=clock["deadline"])
            self._files.tell_inquiry(inquiry, "inquiry.updated")
        self._files.renew_deadline(self._case)
        details = {"inquiries": len(waiting), **details}
        self._files.record_with_note(self._case, "case.extended", self._actor, details, note)
        return self._done(state, "case.extended", extended=True, extension=case_pb2.Case.EXTENSION_GRANTED)
