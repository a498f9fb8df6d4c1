"""Filters of cases that are kept by a name: an account's own, or those of the units in which it works."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import case_filter_pb2
from huiyin_chassis.errors import AlreadyExists, InvalidArgument, NotFound, ResourceExhausted
from huiyin_chassis.field_masks import masked_fields
from huiyin_chassis.filters import compile_filter, parse_order
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.ids import uuid7
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, Select, delete, func, insert, or_, select, update

from huiyin_casework.resources import Fields, named, time
from huiyin_casework.service.cases import CASE_FIELDS, CASE_ORDERS
from huiyin_casework.store import CASE_FILTERS, MEMBERS, CaseworkStore

_CHANGEABLE = ("display_name", "filter", "order_by")
_MOST = 100
"""Filters of one account, and of one unit."""


class CaseFilterMethods:
    """What the service does with filters that are kept."""

    _store: CaseworkStore

    async def CreateCaseFilter(
        self, request: case_filter_pb2.CreateCaseFilterRequest, context: Any
    ) -> case_filter_pb2.CaseFilter:
        """Keeps a filter."""
        principal, asked = current_principal(), request.case_filter
        values = {name: getattr(asked, name) for name in _CHANGEABLE}
        _check(values)

        def create(tx: Tx) -> case_filter_pb2.CaseFilter:
            owner = asked.unit or principal.subject
            if asked.unit and asked.unit not in tx.connection.scalars(_units(principal)).all():
                why = f"{asked.unit} is no unit in which {principal.subject} works; name one, or none"
                raise InvalidArgument("case_filter.unit", why, "NOT_A_MEMBER")
            count = select(func.count()).where(CASE_FILTERS.c.owner == owner)
            if tx.execute(count).scalar_one() >= _MOST:
                raise ResourceExhausted("TOO_MANY_FILTERS", f"{owner} keeps {_MOST} filters already; delete one first")
            row = {"id": uuid7(), "owner": owner, "account": principal.subject, "update_time": tx.now_us, **values}
            _check_name_is_free(tx, owner, values["display_name"])
            tx.execute(insert(CASE_FILTERS), row)
            return _resource(row)

        return await self._store.write_once(
            request.request_id,
            "CreateCaseFilter",
            request,
            create,
            case_filter_pb2.CaseFilter,
            subject=principal.subject,
        )

    async def ListCaseFilters(
        self, request: case_filter_pb2.ListCaseFiltersRequest, context: Any
    ) -> case_filter_pb2.ListCaseFiltersResponse:
        """The filters that the caller may use."""
        principal = current_principal()

        def read(connection: Connection) -> case_filter_pb2.ListCaseFiltersResponse:
            found = page(
                connection,
                _usable(principal),
                [(CASE_FILTERS.c.display_name, False), (CASE_FILTERS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("caseFilters", principal.subject),
            )
            return case_filter_pb2.ListCaseFiltersResponse(
                case_filters=(_resource(row._mapping) for row in found.rows), next_page_token=found.next_page_token
            )

        return await self._store.read(read)

    async def UpdateCaseFilter(
        self, request: case_filter_pb2.UpdateCaseFilterRequest, context: Any
    ) -> case_filter_pb2.CaseFilter:
        """Changes a filter."""
        principal, asked = current_principal(), request.case_filter
        values = {name: getattr(asked, name) for name in masked_fields(request.update_mask, _CHANGEABLE)}
        _check(values)

        def change(tx: Tx) -> case_filter_pb2.CaseFilter:
            row = _row(tx.connection, principal, asked.name)
            if values.get("display_name", row["display_name"]) != row["display_name"]:
                _check_name_is_free(tx, row["owner"], values["display_name"])
            after = {**row, **values, "update_time": tx.now_us}
            tx.execute(update(CASE_FILTERS).where(CASE_FILTERS.c.id == row["id"]).values(after))
            return _resource(after)

        return await self._store.write(change)

    async def DeleteCaseFilter(
        self, request: case_filter_pb2.DeleteCaseFilterRequest, context: Any
    ) -> case_filter_pb2.DeleteCaseFilterResponse:
        """Keeps a filter no longer."""
        principal = current_principal()

        def remove(tx: Tx) -> case_filter_pb2.DeleteCaseFilterResponse:
            row = _row(tx.connection, principal, request.name)
            tx.execute(delete(CASE_FILTERS).where(CASE_FILTERS.c.id == row["id"]))
            return case_filter_pb2.DeleteCaseFilterResponse()

        return await self._store.write(remove)


def _check(values: dict[str, str]) -> None:
    """Raises InvalidArgument for a filter or an order that ListCases would refuse, and for a name that says nothing."""
    if not values.get("display_name", "-").strip():
        raise InvalidArgument("case_filter.display_name", "is empty; say what it is called", "REQUIRED")
    if not values.get("filter", "-").strip():
        raise InvalidArgument("case_filter.filter", "is empty; say which cases are meant", "REQUIRED")
    compile_filter(values.get("filter", ""), CASE_FIELDS)
    parse_order(values.get("order_by", ""), CASE_ORDERS, "deadline")


def _check_name_is_free(tx: Tx, owner: str, display_name: str) -> None:
    same = (CASE_FILTERS.c.owner == owner) & (CASE_FILTERS.c.display_name == display_name)
    if (known := tx.execute(select(CASE_FILTERS.c.id).where(same)).scalar()) is not None:
        raise AlreadyExists(f"caseFilters/{known}", f"{owner} keeps a filter {display_name!r} already; change that one")


def _units(principal: Principal) -> Select[Any]:
    """The names of the units in which the account works."""
    account = principal.subject.removeprefix("accounts/")
    return select("units/" + MEMBERS.c.unit_id).where(MEMBERS.c.account == account)


def _usable(principal: Principal) -> Select[Any]:
    """The account's own filters, and those of the units in which it works."""
    owner = CASE_FILTERS.c.owner
    return select(CASE_FILTERS).where(or_(owner == principal.subject, owner.in_(_units(principal))))


def _row(connection: Connection, principal: Principal, name: str) -> Fields:
    query = _usable(principal).where(CASE_FILTERS.c.id == name.removeprefix("caseFilters/"))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(name)
    return dict(row)


def _resource(row: Fields) -> case_filter_pb2.CaseFilter:
    owner = row["owner"]
    return case_filter_pb2.CaseFilter(
        name=named("caseFilters", row["id"]),
        display_name=row["display_name"],
        filter=row["filter"],
        order_by=row["order_by"],
        unit=owner if owner.startswith("units/") else "",
        account=row["account"],
        update_time=time(row["update_time"]),
    )
