"""What every step has: the case, whether the step may be taken, and the end of the work."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import case_pb2
from huiyin_chassis.errors import Aborted, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from huiyin_chassis.identity import Principal
from huiyin_chassis.store import Tx

from huiyin_casework import offices, resources
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.model.clocks.calendar import HOUR
from huiyin_casework.model.steps import (
    IllegalStep,
    NotNow,
    State,
    Step,
    advance,
    reaches_as_lead,
)
from huiyin_casework.resources import facts_of, state_number, state_of
from huiyin_casework.rules import Rules


class StepWork:
    """A case in the hands of one person."""

    def __init__(self, tx: Tx, rules: Rules, principal: Principal, name: str, etag: str) -> None:
        self._tx = tx
        self._principal = principal
        self._files = CaseFiles(tx, rules)
        case_id = name.removeprefix("cases/")
        case = self._files.cases.find(tx.connection, case_id)
        if case is None or not offices.within_reach(tx.connection, principal, case_id):
            raise NotFound(name)
        if etag and etag != resources.etag(case):
            raise Aborted("STALE_ETAG", f"{name} was changed meanwhile; read it again and repeat the step")
        self._case = case

    def seen(self) -> case_pb2.Case:
        """The case as it is."""
        return resources.case(self._case)

    @property
    def _actor(self) -> str:
        return self._principal.subject

    def _advance(self, step: Step) -> State:
        """The state after the step, once the table and the caller's units allow it."""
        try:
            state = advance(state_of(self._case), step, facts_of(self._case))
        except NotNow as error:
            raise FailedPrecondition(error.reason, str(error)) from error
        except IllegalStep as error:
            raise step_not_possible(error) from error
        lead = self._case["lead_unit"]
        if not reaches_as_lead(step, desk=self._principal.everywhere, units=self._principal.units, lead=lead):
            raise PermissionDenied(
                "NOT_LEAD_UNIT", f"only units/{lead}, which leads this case, may do this", lead_unit=f"units/{lead}"
            )
        return state

    @staticmethod
    def _decided(
        decision: case_pb2.Decision.ValueType,
        note: str,
        missing: str = "is required when a reply goes back; say what should change",
    ) -> bool:
        """Whether the decision passes; one that does not needs a note."""
        if decision == case_pb2.DECISION_PASS:
            return True
        if not note.strip():
            raise InvalidArgument("note", missing, "REQUIRED")
        return False

    def _standing_in_for(self, since: int) -> list[str] | None:
        """The absent approvers for whom the caller acts; None when it acts for itself. Raises FailedPrecondition.

        `since`: from when the lead unit's approvers are waited for.
        """
        account = self._actor.removeprefix("accounts/")
        rules, lead = self._files.rules, self._case["lead_unit"]
        if not rules.stands_in_somewhere(account):
            return None
        waited = rules.calendar_of(lead).between(since, self._tx.now_us)
        return offices.stands_in(
            self._tx.connection,
            lead,
            account,
            at=self._tx.now_us,
            waited=waited >= rules.policy.stand_in_after_hours * HOUR,
        )

    def _hold(self) -> None:
        event = self._files.event(self._case["event_id"])
        assert event is not None, "a case opens for an event that was told of"
        self._files.hold(event["id"])

    def _done(self, state: State, kind: str, **values: Any) -> case_pb2.Case:
        self._files.cases.change(self._case, state=state_number(state), **values)
        told = self._files.tell(self._case, kind)
        self._files.write()
        return resources.with_steps(told, self._case)


def step_not_possible(error: IllegalStep) -> FailedPrecondition:
    """An illegal step as the contract tells it."""
    possible = ",".join(legal.step.value for legal in error.legal)
    return FailedPrecondition("STEP_NOT_POSSIBLE", str(error), state=error.state.value, possible=possible)
