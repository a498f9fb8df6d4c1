"""NotifierService over gRPC."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
from huiyin.notifier.v1 import notification_pb2, notifier_service_pb2_grpc, policy_pb2
from huiyin.type.v1 import feed_pb2, grade_pb2
from huiyin.type.v1 import policy_pb2 as type_policy_pb2
from huiyin_chassis.errors import NotFound
from huiyin_chassis.feed import Feed
from huiyin_chassis.filters import boolean_field, compile_filter, enum_field, name_field, text_field, time_field
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.paging import page, total
from sqlalchemy import ColumnElement, Connection, select, true

from huiyin_notifier.store import NOTIFICATIONS, ROUTES, NotifierStore, attempts_of, notification_of

_FIELDS = {
    "state": enum_field(NOTIFICATIONS.c.state, notification_pb2.Notification.State, "STATE_"),
    "receiver": text_field(NOTIFICATIONS.c.receiver),
    "channel": text_field(NOTIFICATIONS.c.channel),
    "cause": text_field(NOTIFICATIONS.c.cause),
    "case": name_field(NOTIFICATIONS.c.case, "cases"),
    "unit": name_field(NOTIFICATIONS.c.unit, "units"),
    "grade": enum_field(NOTIFICATIONS.c.grade, grade_pb2.Grade, "GRADE_"),
    "create_time": time_field(NOTIFICATIONS.c.create_time),
    "drill": boolean_field(NOTIFICATIONS.c.drill),
}
_NEWEST_FIRST = [(NOTIFICATIONS.c.create_time, True), (NOTIFICATIONS.c.id, True)]

Context = grpc.aio.ServicerContext[Any, Any]


class NotifierServicer(notifier_service_pb2_grpc.NotifierServiceServicer):
    """Reads notifications within the caller's reach, and keeps the routes policy."""

    def __init__(self, store: NotifierStore, feed: Feed) -> None:
        self._store = store
        self._feed = feed

    async def GetNotification(
        self, request: notification_pb2.GetNotificationRequest, context: Context
    ) -> notification_pb2.Notification:
        """Reads a notification with every attempt to send it."""
        principal = current_principal()

        def read(connection: Connection) -> notification_pb2.Notification:
            this = NOTIFICATIONS.c.id == request.name.removeprefix("notifications/")
            row = connection.execute(select(NOTIFICATIONS).where(this, _within_reach(principal))).one_or_none()
            if row is None:
                raise NotFound(request.name)
            found = notification_of(row)
            if row.message:
                found.attempts.extend(attempts_of(connection, row.message))
            return found

        return await self._store.read(read)

    async def ListNotifications(
        self, request: notification_pb2.ListNotificationsRequest, context: Context
    ) -> notification_pb2.ListNotificationsResponse:
        """Lists notifications, the newest first."""
        reach = _within_reach(current_principal())
        query = select(NOTIFICATIONS).where(compile_filter(request.filter, _FIELDS), reach)

        def read(connection: Connection) -> notification_pb2.ListNotificationsResponse:
            found = page(
                connection,
                query,
                _NEWEST_FIRST,
                page_size=request.page_size,
                page_token=request.page_token,
                binding=request.filter,
            )
            return notification_pb2.ListNotificationsResponse(
                notifications=[notification_of(row) for row in found.rows],
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
                cursor=self._feed.head(connection),
            )

        return await self._store.read(read)

    async def WatchNotifications(
        self, request: notification_pb2.WatchNotificationsRequest, context: Context
    ) -> AsyncIterator[feed_pb2.ChangeBatch]:
        """Streams changes of notifications."""
        async for batch in self._feed.watch(
            request.cursor, kinds=request.kinds, tail=request.tail, until=current_principal().expires
        ):
            yield batch

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Context) -> type_policy_pb2.Policy:
        """Reads the routes policy in force, or one of its versions."""
        return await self._store.read(lambda connection: self._store.policies.by_name(connection, request.name))

    async def ListPolicyVersions(
        self, request: policy_pb2.ListPolicyVersionsRequest, context: Context
    ) -> policy_pb2.ListPolicyVersionsResponse:
        """Lists the versions of the routes policy, the newest first."""
        _check_policy(request.parent)
        versions = await self._store.read(lambda connection: self._store.policies.versions(connection, ROUTES))
        return policy_pb2.ListPolicyVersionsResponse(policies=versions)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Context) -> type_policy_pb2.Policy:
        """Puts a new version of the routes policy in force."""
        policy, author = request.policy, current_principal().subject
        _check_policy(policy.name)
        written = await self._store.write(
            lambda tx: self._store.policies.put(tx, ROUTES, policy.body, author, policy.etag)
        )
        self._store.routes_changed.beat()
        return written


def _check_policy(name: str) -> None:
    if name != f"policies/{ROUTES}":
        raise NotFound(name, f"the notifier keeps policies/{ROUTES} and no other")


def _within_reach(principal: Principal) -> ColumnElement[bool]:
    """Desks and inspectors see all; others what concerns their units."""
    return true() if principal.everywhere else NOTIFICATIONS.c.unit.in_(principal.units)
