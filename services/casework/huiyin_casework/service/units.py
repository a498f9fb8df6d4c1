"""Units, and how far an account reaches."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import unit_pb2
from huiyin_chassis.errors import FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_casework import offices
from huiyin_casework.store import UNITS, CaseworkStore


class UnitMethods:
    """What the service does with units."""

    _store: CaseworkStore

    async def GetUnit(self, request: unit_pb2.GetUnitRequest, context: Any) -> unit_pb2.Unit:
        """One unit."""
        ids = [request.name.removeprefix("units/")]
        units = await self._store.read(lambda connection: offices.read_units(connection, ids))
        if not units:
            raise NotFound(request.name)
        return units[0]

    async def ListUnits(self, request: unit_pb2.ListUnitsRequest, context: Any) -> unit_pb2.ListUnitsResponse:
        """The units."""

        def read(connection: Connection) -> unit_pb2.ListUnitsResponse:
            found = page(
                connection,
                select(UNITS.c.id),
                [(UNITS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="units",
            )
            units = offices.read_units(connection, [row.id for row in found.rows])
            return unit_pb2.ListUnitsResponse(units=units, next_page_token=found.next_page_token)

        return await self._store.read(read)

    async def BatchUpdateUnits(
        self, request: unit_pb2.BatchUpdateUnitsRequest, context: Any
    ) -> unit_pb2.BatchUpdateUnitsResponse:
        """Writes units, all or none."""
        nameless = [index for index, unit in enumerate(request.units) if not unit.name]
        if nameless:
            raise InvalidArgument.of(
                [FieldViolation(f"units[{index}].name", "is required; set it", "REQUIRED") for index in nameless]
            )

        def write(tx: Tx) -> unit_pb2.BatchUpdateUnitsResponse:
            changed = offices.write_units(tx, request.units)
            by_name = {unit.name: unit for unit in offices.read_units(tx.connection)}
            units = [by_name[unit.name] for unit in request.units]
            return unit_pb2.BatchUpdateUnitsResponse(units=units, changed=changed)

        return await self._store.write(write)

    async def LookupReach(self, request: unit_pb2.LookupReachRequest, context: Any) -> unit_pb2.Reach:
        """How far an account reaches."""
        account = request.account.removeprefix("accounts/")
        return await self._store.read(lambda connection: offices.reach(connection, account))
