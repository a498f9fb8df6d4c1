"""Steps of the order: assigned, accepted, given more time, closed."""

from __future__ import annotations

from collections.abc import Sequence

from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from sqlalchemy import delete, func, insert, select

from huiyin_casework.handling.work import StepWork
from huiyin_casework.model.steps import (
    AlreadyExtended,
    Step,
    check_extension,
)
from huiyin_casework.store import ASSIGNMENTS, TASKS, UNITS


class OrderSteps(StepWork):
    """What is done with a case as a piece of work."""

    def assign(self, lead: str, assisting: Sequence[str], note: str) -> case_pb2.Case:
        """Orders units to deal with the case."""
        state = self._advance(Step.ASSIGN)
        units = [name.removeprefix("units/") for name in (lead, *assisting)]
        known = set(self._tx.execute(select(UNITS.c.id).where(UNITS.c.id.in_(units))).scalars())
        for field, unit in zip(("lead_unit", *["assisting_units"] * len(assisting)), units, strict=True):
            if unit not in known:
                raise InvalidArgument(
                    field, f"units/{unit} does not exist; list /v1/units to see which do", "UNIT_UNKNOWN"
                )
        if len(set(units)) < len(units):
            raise InvalidArgument("assisting_units", "each unit is named once, and the lead unit does not assist")
        case_id = self._case["id"]
        self._tx.execute(delete(ASSIGNMENTS).where(ASSIGNMENTS.c.case_id == case_id))
        rows = [{"case_id": case_id, "unit_id": unit, "lead": unit == units[0]} for unit in units]
        self._tx.execute(insert(ASSIGNMENTS), rows)
        details: dict[str, object] = {"lead": units[0], "assisting": units[1:]}
        self._files.record_with_note(self._case, "case.assigned", self._actor, details, note)
        self._hold()
        return self._done(state, "case.assigned", lead_unit=units[0], assign_time=self._tx.now_us)

    def accept(self) -> case_pb2.Case:
        """The lead unit takes the case up."""
        state = self._advance(Step.ACCEPT)
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
        self._files.record(self._case, "case.closed", self._actor, {"entries": self._case["entry_count"] + 1})
        self._hold()
        return self._done(state, "case.closed", close_time=self._tx.now_us)

    def extend(self, reason: str) -> case_pb2.Case:
        """Gives the case more time, once."""
        state = self._advance(Step.EXTEND)
        try:
            check_extension(self._case["extended"])
        except AlreadyExtended as error:
            raise FailedPrecondition("ALREADY_EXTENDED", str(error)) from error
        deadline = self._case["deadline"]
        waiting = [
            row
            for row in self._files.load_inquiries_of(self._case["id"])
            if row["state"] != inquiry_pb2.Inquiry.STATE_ANSWERED
        ]
        for inquiry in waiting:
            later = self._files.rules.answer_by(inquiry["receive_time"], urgent=False, extended=True)
            self._files.inquiries.change(inquiry, deadline=max(later, inquiry["deadline"]))
            self._files.tell_inquiry(inquiry, "inquiry.updated")
        if waiting:
            deadline = min(row["deadline"] for row in waiting)
        self._files.record_with_note(self._case, "case.extended", self._actor, {"inquiries": len(waiting)}, reason)
        return self._done(state, "case.extended", extended=True, deadline=deadline)
