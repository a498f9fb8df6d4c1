"""Steps of the order: assigned, objected to, accepted, investigated, given more time, reopened, closed."""

from __future__ import annotations

from collections.abc import Sequence

from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_chassis.bulk import delete_many, insert_many
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from sqlalchemy import func, select

from huiyin_casework import ordering, supervision
from huiyin_casework.casefile import SYSTEM
from huiyin_casework.handling.parts import lapse_parts, missing_parts, objection, order_parts, take_parts_back
from huiyin_casework.handling.work import StepWork
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.model.orders import order_number
from huiyin_casework.model.steps import SamePerson, State, Step, check_objector, check_requester
from huiyin_casework.store import ASSIGNMENTS, TASKS, Fields
from huiyin_casework.timekeeping import DROPPED, KINDS, MET, PAUSED


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
        if self._actor != SYSTEM:
            self._check_reserved(units[0])
        case_id = self._case["id"]
        delete_many(self._tx.connection, ASSIGNMENTS.c.case_id, [case_id])
        rows = [{"case_id": case_id, "unit_id": unit, "lead": unit == units[0]} for unit in units]
        insert_many(self._tx.connection, ASSIGNMENTS, rows)
        clock = self._files.clocks.start_order(self._case, units[0])
        order = ordering.take_number(self._files, drill=self._case["drill"])
        details: dict[str, object] = {"lead": units[0], "assisting": units[1:], "order": order_number(order)}
        entry = self._files.record_with_note(self._case, "case.assigned", self._actor, details, note)
        ordering.issue(
            self._files,
            self._case,
            order,
            entry=entry,
            issuer=self._actor,
            units=units,
            accept_deadline=clock["deadline"],
        )
        order_parts(self._files, self._case, units[1:])
        self._hold()
        # The same unit does not object a second time; another one may.
        objected = self._case["objecting_unit"] == units[0]
        values = {"lead_unit": units[0], "assign_time": self._tx.now_us, "objected": objected, "order_id": order}
        return self._done(state, "case.assigned", **values)

    def _check_reserved(self, lead: str) -> None:
        """Work of a bureau's own is not pushed down to a town."""
        fit = self._files.rules.reserved_for(self._case["topic"], self._case["place"], lead)
        if fit is not None:
            entry = fit.entry
            raise FailedPrecondition(
                "BUREAU_WORK",
                f"this is work of units/{entry.lead} ({entry.basis}) and is not pushed down to units/{lead}; assign it "
                f"there with units/{lead} assisting, or change the entry {entry.id} of policies/dispatch",
                lead_unit=f"units/{entry.lead}",
                entry=entry.id,
            )

    def object_to_order(self, rule: str, reason: str) -> case_pb2.Case:
        """The lead unit says that the order is not for it; the order's clock stands still until the desk decides."""
        note = objection(rule, reason)
        state = self._advance(Step.OBJECT)
        unit = self._case["lead_unit"]
        clock = self._order_clock()
        if self._tx.now_us > clock["deadline"]:
            raise FailedPrecondition(
                "OBJECTION_LATE",
                "the time in which the unit was to accept is over, and with it the time to object; accept the case, "
                "or ask the desk for another order",
            )
        supervision.pause_if_allowed(self._files, clock, self._actor)
        self._files.record_with_note(self._case, "case.objected", self._actor, {"unit": unit}, note)
        values = {"objected": True, "objector": self._actor, "objecting_unit": unit}
        return self._done(state, "case.objected", **values)

    def decide_objection(self, decision: case_pb2.Decision.ValueType, note: str) -> case_pb2.Case:
        """The desk takes the order back, or lets it stand."""
        upholds = self._decided(decision, note, "is required when an objection is refused; say why")
        state = self._advance(Step.UPHOLD_OBJECTION if upholds else Step.REFUSE_OBJECTION)
        try:
            check_objector(self._case["objector"], self._actor)
        except SamePerson as error:
            raise FailedPrecondition(error.reason, str(error)) from error
        details: dict[str, object] = {"unit": self._case["lead_unit"]}
        if upholds:
            case_id = self._case["id"]
            delete_many(self._tx.connection, ASSIGNMENTS.c.case_id, [case_id])
            self._files.clocks.end_kinds(case_id, [Kind.ACCEPTANCE], DROPPED)
            take_parts_back(self._files, self._case)
            self._files.record_with_note(self._case, "case.objection_upheld", self._actor, details, note)
            self._hold()
            return self._done(state, "case.objection_upheld", lead_unit="", assign_time=0, order_id="")
        clock = self._order_clock()
        if clock["state"] == PAUSED:
            supervision.resume(self._files, clock, self._actor)
        self._files.record_with_note(self._case, "case.objection_refused", self._actor, details, note)
        return self._done(state, "case.objection_refused")

    def investigate(self, note: str) -> case_pb2.Case:
        """A unit of the case notes what it found."""
        if not note.strip():
            raise InvalidArgument("note", "is empty; say what was found", "REQUIRED")
        state = self._advance(Step.INVESTIGATE)
        self._files.record_with_note(self._case, "case.investigated", self._actor, {}, note)
        return self._done(state, "case.investigated")

    def _order_clock(self) -> Fields:
        unit = self._case["lead_unit"]
        return next(
            clock
            for clock in self._files.clocks.of_case(self._case["id"])
            if clock["kind"] == KINDS[Kind.ACCEPTANCE] and clock["unit_id"] == unit
        )

    def reopen(self, reason: str) -> case_pb2.Case:
        """Takes the case up again for those authors who are not satisfied with its answer."""
        if not reason.strip():
            raise InvalidArgument("reason", "is empty; say why the case is taken up again", "REQUIRED")
        state = self._advance(Step.REOPEN)
        event = self._files.event(self._case["event_id"])
        if event is not None and event["case_id"] != self._case["id"]:
            raise FailedPrecondition(
                "CASE_SUCCEEDED",
                f"cases/{event['case_id']} has followed this case; deal with it there",
                case=f"cases/{event['case_id']}",
            )
        again = [row for row in self._files.load_inquiries_of(self._case["id"]) if _is_dissatisfied(row)]
        for inquiry in again:
            clock = self._files.clocks.start_answer_again(inquiry)
            values = {
                "state": inquiry_pb2.Inquiry.STATE_IN_PROGRESS,
                "deadline": clock["deadline"],
                "reply_id": "",
                "deliver_time": 0,
            }
            self._files.inquiries.change(inquiry, **values)
            self._files.tell_inquiry(inquiry, "inquiry.updated")
            task = self._files.task(f"feedback/{inquiry['id']}")
            if task is not None and task["state"] == task_pb2.Task.STATE_OPEN:
                self._files.complete_task(task, self._actor, reason)
        details: dict[str, object] = {"inquiries": [row["id"] for row in again]}
        self._files.record_with_note(self._case, "case.reopened", self._actor, details, reason)
        self._files.renew_deadline(self._case)
        return self._done(state, "case.reopened", dissatisfied_count=0)

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
            TASKS.c.kind.in_([task_pb2.Task.KIND_DELIVER_REPLY, task_pb2.Task.KIND_DISSATISFIED]),
        )
        if count := self._tx.execute(waiting).scalar_one():
            raise FailedPrecondition(
                "TASKS_OPEN",
                f"{count} tasks of this case are open: replies to be posted where the question was asked, or authors "
                "who are not satisfied; complete them first (list /v1/tasks)",
                tasks=str(count),
            )
        details: dict[str, object] = {"entries": self._case["entry_count"] + 1, **missing_parts(self._case)}
        unmet = self._files.clocks.end_kinds(self._case["id"], Kind, DROPPED)
        if unmet:
            details["unmet"] = [clock["rule"] for clock in unmet]
        self._files.record(self._case, "case.closed", self._actor, details)
        self._hold()
        return self._done(state, "case.closed", close_time=self._tx.now_us)

    def dismiss(self, reason: str) -> case_pb2.Case:
        """Seals a case that is not assigned and in which nobody waits."""
        if not reason.strip():
            raise InvalidArgument("reason", "is empty; say why nothing is to be done", "REQUIRED")
        state = self._advance(Step.DISMISS)
        self._files.clocks.end_kinds(self._case["id"], Kind, DROPPED)
        lapse_parts(self._files, self._case)
        missing = missing_parts(self._case)
        self._files.record_with_note(self._case, "case.dismissed", self._actor, missing, reason)
        closing: dict[str, object] = {"entries": self._case["entry_count"] + 1, **missing}
        self._files.record(self._case, "case.closed", self._actor, closing)
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
        except SamePerson as error:
            raise FailedPrecondition(error.reason, str(error)) from error
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


def _is_dissatisfied(inquiry: Fields) -> bool:
    """Whether its author is not satisfied with the answer in force; feedback to an earlier one counts no more."""
    dissatisfied = inquiry["feedback"] == inquiry_pb2.Inquiry.FEEDBACK_DISSATISFIED
    answered = inquiry["state"] == inquiry_pb2.Inquiry.STATE_ANSWERED
    return bool(dissatisfied and answered and inquiry["feedback_time"] >= inquiry["answer_time"])
