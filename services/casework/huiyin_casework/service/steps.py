"""The steps that are taken with cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huiyin.casework.v1 import case_pb2, note_pb2
from huiyin_chassis.identity import current_principal

from huiyin_casework.handling import Handling
from huiyin_casework.rules import Rules
from huiyin_casework.store import CaseworkStore


class StepMethods:
    """What the service does with steps: each one transaction, remembered by its request id."""

    _store: CaseworkStore
    _rules: Rules

    async def AssignCase(self, request: case_pb2.AssignCaseRequest, context: Any) -> case_pb2.Case:
        """Orders units to deal with a case."""
        return await self._step(
            request, "AssignCase", lambda case: case.assign(request.lead_unit, request.assisting_units, request.note)
        )

    async def ObjectToCase(self, request: case_pb2.ObjectToCaseRequest, context: Any) -> case_pb2.Case:
        """The lead unit objects to its order."""
        return await self._step(
            request, "ObjectToCase", lambda case: case.object_to_order(request.rule, request.reason)
        )

    async def DecideObjection(self, request: case_pb2.DecideObjectionRequest, context: Any) -> case_pb2.Case:
        """The desk takes an order back, or lets it stand."""
        return await self._step(
            request, "DecideObjection", lambda case: case.decide_objection(request.decision, request.note)
        )

    async def ContributeToCase(self, request: case_pb2.ContributeToCaseRequest, context: Any) -> case_pb2.Case:
        """An assisting unit says what it found."""
        return await self._step(request, "ContributeToCase", lambda case: case.contribute(request.unit, request.note))

    async def ObjectToPart(self, request: case_pb2.ObjectToPartRequest, context: Any) -> case_pb2.Case:
        """An assisting unit objects to its part of the order."""
        return await self._step(
            request, "ObjectToPart", lambda case: case.object_to_part(request.unit, request.rule, request.reason)
        )

    async def DecidePartObjection(self, request: case_pb2.DecidePartObjectionRequest, context: Any) -> case_pb2.Case:
        """The desk releases an assisting unit, or lets its part stand."""
        return await self._step(
            request,
            "DecidePartObjection",
            lambda case: case.decide_part_objection(request.unit, request.decision, request.note),
        )

    async def InvestigateCase(self, request: case_pb2.InvestigateCaseRequest, context: Any) -> case_pb2.Case:
        """A unit of a case notes what it found."""
        return await self._step(request, "InvestigateCase", lambda case: case.investigate(request.note))

    async def NoteCase(self, request: note_pb2.NoteCaseRequest, context: Any) -> case_pb2.Case:
        """Somebody who deals with a case notes something for the others."""
        return await self._step(request, "NoteCase", lambda case: case.note(request.note))

    async def DismissCase(self, request: case_pb2.DismissCaseRequest, context: Any) -> case_pb2.Case:
        """Seals a case in which nobody waits."""
        return await self._step(request, "DismissCase", lambda case: case.dismiss(request.reason))

    async def ReopenCase(self, request: case_pb2.ReopenCaseRequest, context: Any) -> case_pb2.Case:
        """Takes an answered case up again."""
        return await self._step(request, "ReopenCase", lambda case: case.reopen(request.reason))

    async def AcceptCase(self, request: case_pb2.AcceptCaseRequest, context: Any) -> case_pb2.Case:
        """The lead unit takes a case up."""
        return await self._step(request, "AcceptCase", Handling.accept)

    async def CloseCase(self, request: case_pb2.CloseCaseRequest, context: Any) -> case_pb2.Case:
        """Seals a case."""
        return await self._step(request, "CloseCase", Handling.close)

    async def ExtendCase(self, request: case_pb2.ExtendCaseRequest, context: Any) -> case_pb2.Case:
        """Gives a case more time."""
        return await self._step(request, "ExtendCase", lambda case: case.extend(request.reason))

    async def RequestExtension(self, request: case_pb2.RequestExtensionRequest, context: Any) -> case_pb2.Case:
        """The lead unit asks for more time."""
        return await self._step(request, "RequestExtension", lambda case: case.request_extension(request.reason))

    async def DecideExtension(self, request: case_pb2.DecideExtensionRequest, context: Any) -> case_pb2.Case:
        """Grants or refuses an extension."""
        return await self._step(
            request, "DecideExtension", lambda case: case.decide_extension(request.decision, request.note)
        )

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
