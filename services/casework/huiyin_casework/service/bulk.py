"""One step with many cases at a time."""

from __future__ import annotations

from typing import Any, Final

from huiyin.casework.v1 import bulk_pb2
from huiyin_chassis.errors import InvalidArgument, PermissionDenied
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.paging import total
from huiyin_chassis.store import Tx

from huiyin_casework.handling import Handling
from huiyin_casework.handling.bulk import Seen, Take, take_each
from huiyin_casework.model.steps import OFFICES, Step
from huiyin_casework.rules import Rules
from huiyin_casework.service.cases import matching
from huiyin_casework.store import CASES, CaseworkStore

_MOST: Final = 100
_STEPS: Final = {
    "assign": Step.ASSIGN,
    "dismiss": Step.DISMISS,
    "close": Step.CLOSE,
    "extend": Step.EXTEND,
    "note": Step.NOTE,
}


class BulkMethods:
    """What the service does in bulk."""

    _store: CaseworkStore
    _rules: Rules

    async def BatchStepCases(
        self, request: bulk_pb2.BatchStepCasesRequest, context: Any
    ) -> bulk_pb2.BatchStepCasesResponse:
        """Tries a step with the cases of a filter, or takes it with cases as they were seen."""
        principal = current_principal()
        take = _take_of(request, principal)
        _check(request)

        def work(tx: Tx) -> bulk_pb2.BatchStepCasesResponse:
            seen = [Seen(each.name, each.etag) for each in request.cases]
            response = bulk_pb2.BatchStepCasesResponse()
            if not seen:
                query = matching(principal, request.filter)
                response.total_size = total(tx.connection, query)
                first = query.with_only_columns(CASES.c.id).order_by(CASES.c.deadline, CASES.c.id).limit(_MOST)
                seen = [Seen(f"cases/{case}", "") for case in tx.connection.scalars(first)]
            response.outcomes.extend(take_each(tx, self._rules, principal, seen, take, trial=request.validate_only))
            return response

        if request.validate_only:
            return await self._store.write(work)
        return await self._store.write_once(
            request.request_id,
            "BatchStepCases",
            request,
            work,
            bulk_pb2.BatchStepCasesResponse,
            subject=principal.subject,
        )


def _take_of(request: bulk_pb2.BatchStepCasesRequest, principal: Principal) -> Take:
    """The step that is asked for. Raises InvalidArgument where none is, PermissionDenied where the caller may not."""
    name = request.WhichOneof("step")
    if name is None:
        raise InvalidArgument("step", f"is missing; give one of {', '.join(_STEPS)}", "REQUIRED")
    permission = OFFICES[_STEPS[name]].permission
    if not principal.may(permission):
        why = f"{principal.subject} may not do this; it needs the permission {permission}"
        raise PermissionDenied("PERMISSION_MISSING", why, permission=permission)
    takes: dict[str, Take] = {
        "assign": lambda case: case.assign(
            request.assign.lead_unit, request.assign.assisting_units, request.assign.note
        ),
        "dismiss": lambda case: case.dismiss(request.dismiss.reason),
        "close": Handling.close,
        "extend": lambda case: case.extend(request.extend.reason),
        "note": lambda case: case.note(request.note.note),
    }
    return takes[name]


def _check(request: bulk_pb2.BatchStepCasesRequest) -> None:
    if bool(request.filter) == bool(request.cases):
        raise InvalidArgument("cases", "give either cases or a filter", "REQUIRED")
    names = [each.name for each in request.cases]
    for index, each in enumerate(request.cases):
        if each.name in names[:index]:
            raise InvalidArgument(f"cases[{index}].name", f"{each.name} is named twice; name it once", "DUPLICATE")
    if request.validate_only:
        return
    if request.filter:
        why = (
            "only tries: what it matches may change; set validate_only, then send the cases with the etags that it gave"
        )
        raise InvalidArgument("filter", why, "TRIAL_FIRST")
    for index, each in enumerate(request.cases):
        if not each.etag:
            why = f"is missing for {each.name}; try the step first (validate_only), and send the etag that it gives"
            raise InvalidArgument(f"cases[{index}].etag", why, "REQUIRED")
