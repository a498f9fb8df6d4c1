"""Admission: inquiries admitted, refused with a ground and a review, or joined to another case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from huiyin.casework.v1 import admission_pb2
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.identity import current_principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_casework import resources
from huiyin_casework.handling.admitting import Admitting
from huiyin_casework.model.admission import Ground, Kind, parse_grounds
from huiyin_casework.rules import Rules
from huiyin_casework.service.scope import reach
from huiyin_casework.store import ADMISSIONS, INQUIRIES, CaseworkStore

_KINDS = {
    Kind.EMERGENCY: admission_pb2.AdmissionGround.KIND_EMERGENCY,
    Kind.ROUTE: admission_pb2.AdmissionGround.KIND_ROUTE,
    Kind.PASS_ON: admission_pb2.AdmissionGround.KIND_PASS_ON,
}


class AdmissionMethods:
    """What the service does with the admission of inquiries."""

    _store: CaseworkStore
    _policies: Policies
    _rules: Rules

    async def AdmitInquiry(self, request: admission_pb2.AdmitInquiryRequest, context: Any) -> admission_pb2.Admission:
        """Admits an inquiry, and tells its author at once whom to call where life is in danger."""

        def admit(tx: Tx, work: Admitting) -> admission_pb2.Admission:
            ground = self._ground(tx.connection, request.ground, {Kind.EMERGENCY}) if request.ground else None
            return work.admit(ground)

        return await self._admission(request, "AdmitInquiry", admit)

    async def RefuseInquiry(self, request: admission_pb2.RefuseInquiryRequest, context: Any) -> admission_pb2.Admission:
        """Proposes to refuse an inquiry."""

        def refuse(tx: Tx, work: Admitting) -> admission_pb2.Admission:
            ground = self._ground(tx.connection, request.ground, {Kind.ROUTE, Kind.PASS_ON})
            return work.refuse(ground, request.body, request.text)

        return await self._admission(request, "RefuseInquiry", refuse)

    async def ReviewRefusal(self, request: admission_pb2.ReviewRefusalRequest, context: Any) -> admission_pb2.Admission:
        """Puts a refusal in force, or sends it back."""
        return await self._admission(
            request, "ReviewRefusal", lambda tx, work: work.review(request.decision, request.note)
        )

    async def JoinInquiry(self, request: admission_pb2.JoinInquiryRequest, context: Any) -> admission_pb2.Admission:
        """Joins an inquiry to another case."""
        return await self._admission(request, "JoinInquiry", lambda tx, work: work.join(request.case))

    async def GetAdmission(self, request: admission_pb2.GetAdmissionRequest, context: Any) -> admission_pb2.Admission:
        """What was decided, or is proposed."""
        principal = current_principal()
        inquiry_id = request.name.removeprefix("inquiries/").removesuffix("/admission")
        query = (
            select(ADMISSIONS)
            .join(INQUIRIES, INQUIRIES.c.id == ADMISSIONS.c.id)
            .where(ADMISSIONS.c.id == inquiry_id, reach(principal, INQUIRIES.c.case_id))
        )
        row = await self._store.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise NotFound(request.name)
        return resources.admission(row)

    async def ListAdmissionGrounds(
        self, request: admission_pb2.ListAdmissionGroundsRequest, context: Any
    ) -> admission_pb2.ListAdmissionGroundsResponse:
        """The catalogue."""
        policy = await self._store.read(lambda connection: self._policies.active(connection, "admission"))
        return admission_pb2.ListAdmissionGroundsResponse(
            admission_grounds=map(_ground, parse_grounds(policy.body).values()), version=policy.version
        )

    def _ground(self, connection: Connection, ground_id: str, kinds: set[Kind]) -> Ground:
        ground = parse_grounds(self._policies.active(connection, "admission").body).get(ground_id)
        if ground is None or ground.kind not in kinds:
            wanted = " or ".join(sorted(kinds))
            why = f"is no ground of kind {wanted} in policies/admission; list /v1/admissionGrounds to see which are"
            raise InvalidArgument("ground", why, "GROUND_UNKNOWN")
        return ground

    async def _admission(
        self, request: Any, method: str, take: Callable[[Tx, Admitting], admission_pb2.Admission]
    ) -> admission_pb2.Admission:
        principal = current_principal()
        return await self._store.write_once(
            request.request_id,
            method,
            request,
            lambda tx: take(tx, Admitting(tx, self._rules, principal, request.name)),
            admission_pb2.Admission,
            subject=principal.subject,
        )


def _ground(ground: Ground) -> admission_pb2.AdmissionGround:
    return admission_pb2.AdmissionGround(
        id=ground.id, display_name=ground.name, kind=_KINDS[ground.kind], basis=ground.basis, text=ground.text
    )
