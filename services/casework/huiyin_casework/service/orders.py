"""Orders: read, listed, printed."""

from __future__ import annotations

from typing import Any

from google.api import httpbody_pb2
from huiyin.casework.v1 import order_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis.errors import NotFound
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    time_field,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.paging import page, total
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection

from huiyin_casework import documents
from huiyin_casework.ordering import orders, read_orders, read_whole
from huiyin_casework.rules import compiled
from huiyin_casework.service.scope import reach, scope
from huiyin_casework.store import ORDERS, CaseworkStore

_ORDER_FIELDS: dict[str, Compare] = {
    "case": name_field(ORDERS.c.case_id, "cases"),
    "lead_unit": name_field(ORDERS.c.lead_unit, "units"),
    "issue_time": time_field(ORDERS.c.issue_time),
    "grade": enum_field(ORDERS.c.grade, grade_pb2.Grade, "GRADE_"),
    "drill": boolean_field(ORDERS.c.drill),
}


class OrderMethods:
    """What the service does with orders. Whoever sees a case sees its orders."""

    _store: CaseworkStore
    _policies: Policies

    async def GetOrder(self, request: order_pb2.GetOrderRequest, context: Any) -> order_pb2.Order:
        """One order, with what it covers."""
        principal = current_principal()
        return await self._store.read(lambda connection: _visible_order(connection, principal, request.name))

    async def ListOrders(self, request: order_pb2.ListOrdersRequest, context: Any) -> order_pb2.ListOrdersResponse:
        """Orders of the cases within the caller's reach."""
        principal = current_principal()
        query = orders(reach(principal, ORDERS.c.case_id)).where(compile_filter(request.filter, _ORDER_FIELDS))

        def read(connection: Connection) -> order_pb2.ListOrdersResponse:
            found = page(
                connection,
                query,
                [(ORDERS.c.issue_time, True), (ORDERS.c.id, True)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("orders", request.filter, scope(principal)),
            )
            return order_pb2.ListOrdersResponse(
                orders=read_orders(connection, [row._mapping for row in found.rows]),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
            )

        return await self._store.read(read)

    async def PrintOrder(self, request: order_pb2.PrintOrderRequest, context: Any) -> httpbody_pb2.HttpBody:
        """An order as a document."""
        principal = current_principal()

        def read(connection: Connection) -> str:
            order = _visible_order(connection, principal, request.name)
            policy = compiled(self._policies.active(connection, "clocks").body).policy
            return documents.order_document(order, policy.timezone)

        text = await self._store.read(read)
        return httpbody_pb2.HttpBody(content_type="text/html; charset=utf-8", data=text.encode())


def _visible_order(connection: Connection, principal: Principal, name: str) -> order_pb2.Order:
    query = orders(reach(principal, ORDERS.c.case_id)).where(ORDERS.c.id == name.removeprefix("orders/"))
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound(name)
    return read_whole(connection, row)
