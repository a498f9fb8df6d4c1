"""Steps of assisting units, each with its own part of the order: contributed, objected to, decided on."""

from __future__ import annotations

import json
from collections.abc import Collection

from huiyin.casework.v1 import case_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from sqlalchemy import delete

from huiyin_casework import supervision
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.handling.work import StepWork
from huiyin_casework.model import parts
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.model.parts import Part, Standing
from huiyin_casework.model.steps import OFFICES, NotNow, SamePerson, State, Step, check_objector
from huiyin_casework.store import ASSIGNMENTS, Fields
from huiyin_casework.timekeeping import DROPPED, MET, PAUSED


class PartSteps(StepWork):
    """What is done with the part of an order that an assisting unit has. `unit` may be left out where one is meant."""

    def contribute(self, unit: str, note: str) -> case_pb2.Case:
        """An assisting unit says what it found; its clock ends."""
        if not note.strip():
            raise InvalidArgument("note", "is empty; say what was found", "REQUIRED")
        state, part = self._advance_part(Step.CONTRIBUTE, unit)
        self._files.clocks.end(self._files.clocks.of_part(self._case, part.unit), MET)
        self._files.record_with_note(self._case, "case.contributed", self._actor, {"unit": part.unit}, note)
        return self._done(state, "case.contributed")

    def object_to_part(self, unit: str, rule: str, reason: str) -> case_pb2.Case:
        """An assisting unit says that its part is not for it; its clock stands still until the desk decides."""
        note = objection(rule, reason)
        state, part = self._advance_part(Step.OBJECT_TO_PART, unit)
        clock = self._files.clocks.of_part(self._case, part.unit)
        if self._tx.now_us > clock["deadline"]:
            raise FailedPrecondition(
                "OBJECTION_LATE",
                "the time in which the unit was to contribute is over, and with it the time to object; contribute",
            )
        supervision.pause_if_allowed(self._files, clock, self._actor)
        self._files.record_with_note(self._case, "case.part_objected", self._actor, {"unit": part.unit}, note)
        return self._done(state, "case.part_objected")

    def decide_part_objection(self, unit: str, decision: case_pb2.Decision.ValueType, note: str) -> case_pb2.Case:
        """The desk releases the unit, and the rest of the order stands; or it lets the part stand."""
        upholds = self._decided(decision, note, "is required when an objection is refused; say why")
        step = Step.UPHOLD_PART_OBJECTION if upholds else Step.REFUSE_PART_OBJECTION
        state, part = self._advance_part(step, unit)
        try:
            check_objector(part.objector, self._actor)
        except SamePerson as error:
            raise FailedPrecondition(error.reason, str(error)) from error
        clock = self._files.clocks.of_part(self._case, part.unit)
        details: dict[str, object] = {"unit": part.unit}
        if upholds:
            self._files.clocks.end(clock, DROPPED)
            row = (ASSIGNMENTS.c.case_id == self._case["id"]) & (ASSIGNMENTS.c.unit_id == part.unit)
            self._tx.execute(delete(ASSIGNMENTS).where(row))
        elif clock["state"] == PAUSED:
            supervision.resume(self._files, clock, self._actor)
        kind = "case.part_objection_upheld" if upholds else "case.part_objection_refused"
        self._files.record_with_note(self._case, kind, self._actor, details, note)
        return self._done(state, kind)

    def _advance_part(self, step: Step, name: str) -> tuple[State, Part]:
        """The case's state, and the part that is meant, after a step that the tables and the caller's units allow."""
        state = self._advance(step)
        there = parts.parse(self._case["parts"])
        part = self._part(there, step, name.removeprefix("units/"))
        try:
            after = parts.advance(part, step, self._actor)
        except NotNow as error:
            raise FailedPrecondition(error.reason, str(error)) from error
        _keep(self._files, self._case, [after if each is part else each for each in there])
        return state, after

    def _part(self, there: Collection[Part], step: Step, unit: str) -> Part:
        by_unit = {part.unit: part for part in there if part.standing != Standing.RELEASED}
        if unit:
            if unit not in by_unit:
                raise InvalidArgument("unit", f"units/{unit} does not assist in this case", "NOT_ASSISTING")
            if self._stands_for(unit) or not OFFICES[step].assisting_only:
                return by_unit[unit]
        own = [part for part in by_unit.values() if not unit and self._stands_for(part.unit)]
        meant = [part for part in own if (part.standing, step) in parts.TABLE] or own
        if not meant:
            raise PermissionDenied(
                "NOT_ASSISTING_UNIT", "only a unit that assists in this case may do this, for its own part"
            )
        if len(meant) > 1:
            raise InvalidArgument("unit", "several units assist in this case; name the one that is meant", "REQUIRED")
        return meant[0]

    def _stands_for(self, unit: str) -> bool:
        return self._principal.everywhere or unit in self._principal.units


def objection(rule: str, reason: str) -> str:
    """What is kept of an objection. Raises InvalidArgument where its rule or its reason is missing."""
    for field, value, remedy in (
        ("rule", rule, "name the rule that the objection relies on"),
        ("reason", reason, "say why the rule applies"),
    ):
        if not value.strip():
            raise InvalidArgument(field, f"is empty; {remedy}", "REQUIRED")
    return f"{rule.strip()}\n{reason.strip()}"


def order_parts(files: CaseFiles, case: Fields, units: Collection[str]) -> None:
    """Units are ordered to assist: each has a clock of its own, and those that are left out have none any more."""
    before = parts.parse(case["parts"])
    after = parts.ordered(before, units)
    for part in before:
        if part.unit not in units:
            files.clocks.end(files.clocks.of_part(case, part.unit), DROPPED)
    for part in after:
        if part.standing == Standing.WAITED:
            files.clocks.start_part(case, part.unit)
    _keep(files, case, after)


def take_parts_back(files: CaseFiles, case: Fields) -> None:
    """There is no order any more that a unit could assist in."""
    files.clocks.end_kinds(case["id"], [Kind.CONTRIBUTION], DROPPED)
    _keep(files, case, parts.taken_back(parts.parse(case["parts"])))


def lapse_parts(files: CaseFiles, case: Fields) -> None:
    """What was not contributed by now is waited for no longer."""
    if case["parts"] != "[]":
        files.clocks.end_kinds(case["id"], [Kind.CONTRIBUTION], DROPPED)
        _keep(files, case, parts.lapsed(parts.parse(case["parts"])))


def missing_parts(case: Fields) -> dict[str, object]:
    """What an entry says of the units that did not contribute; nothing where all did."""
    units = parts.missing(parts.parse(case["parts"]))
    return {"missing": units} if units else {}


def _keep(files: CaseFiles, case: Fields, after: Collection[Part]) -> None:
    packed = parts.pack(after)
    if packed != case["parts"]:
        files.cases.change(case, parts=packed, assisting_units=json.dumps(parts.assisting(after)))
