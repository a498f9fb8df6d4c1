"""What the gateway serves itself: accounts, keys, and how the parts are."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from huiyin.gateway.v1 import account_pb2, status_pb2
from huiyin.type.v1 import process_pb2, process_pb2_grpc
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import AlreadyExists, NotFound, PermissionDenied
from huiyin_chassis.identity import Principal
from huiyin_chassis.paging import page
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, delete, select

from huiyin_gateway import store
from huiyin_gateway.calls import Circuit
from huiyin_gateway.store import ACCOUNTS, API_KEYS, GatewayStore

Handler = Callable[[Any, Principal], Awaitable[Message]]

_STATUS_PATIENCE: Final = 1.0
_STATUS_SECONDS: Final = 0.5
"""How long a status is used again: whoever asks often costs the services nothing."""


class OwnMethods:
    """The unary methods of GatewayService, by name."""

    def __init__(
        self,
        gateway_store: GatewayStore,
        channels: Mapping[str, grpc.aio.Channel],
        circuits: Mapping[str, Circuit],
        changed: Callable[[], None],
    ) -> None:
        self._store = gateway_store
        self._health: dict[str, Any] = {name: health_pb2_grpc.HealthStub(channel) for name, channel in channels.items()}
        self._processes = {name: process_pb2_grpc.ProcessServiceStub(channel) for name, channel in channels.items()}
        self._circuits = circuits
        self._changed = changed
        self._status: tuple[float, status_pb2.Status] | None = None
        self.handlers: dict[str, Handler] = {
            "GetStatus": self.get_status,
            "GetAccount": self.get_account,
            "ListAccounts": self.list_accounts,
            "CreateAccount": self.create_account,
            "CreateApiKey": self.create_api_key,
            "ListApiKeys": self.list_api_keys,
            "DeleteApiKey": self.delete_api_key,
        }

    async def get_status(self, request: status_pb2.GetStatusRequest, principal: Principal) -> status_pb2.Status:
        """Asks every service how it is, side by side."""
        now = time.monotonic()
        if self._status is not None and now - self._status[0] < _STATUS_SECONDS:
            return self._status[1]
        services = await asyncio.gather(*map(self._service, self._health))
        version = importlib.metadata.version("huiyin-gateway")
        status = status_pb2.Status(serving=all(each.serving for each in services), version=version, services=services)
        self._status = (now, status)
        return status

    async def _service(self, name: str) -> status_pb2.ServiceStatus:
        found = status_pb2.ServiceStatus(service=name, held_off=self._circuits[name].is_open)
        with contextlib.suppress(grpc.RpcError):
            answer = await self._health[name].Check(health_pb2.HealthCheckRequest(), timeout=_STATUS_PATIENCE)
            found.serving = answer.status == health_pb2.HealthCheckResponse.SERVING
            asked = process_pb2.GetProcessRequest()
            process = await self._processes[name].GetProcess(asked, timeout=_STATUS_PATIENCE)
            found.feeds.extend(process.feeds)
        return found

    async def get_account(self, request: account_pb2.GetAccountRequest, principal: Principal) -> account_pb2.Account:
        """One's own account, or with permission any."""
        name = principal.subject if request.name == "accounts/me" else request.name
        if name != principal.subject and not principal.may("gateway.accounts.read"):
            why = "you may read your own account only: accounts/me"
            raise PermissionDenied("PERMISSION_MISSING", why, permission="gateway.accounts.read")
        query = select(ACCOUNTS).where(ACCOUNTS.c.id == name.removeprefix("accounts/"))
        row = await self._store.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise NotFound(request.name)
        return store.account(row)

    async def list_accounts(
        self, request: account_pb2.ListAccountsRequest, principal: Principal
    ) -> account_pb2.ListAccountsResponse:
        """Accounts by name."""

        def read(connection: Connection) -> account_pb2.ListAccountsResponse:
            found = page(
                connection,
                select(ACCOUNTS),
                [(ACCOUNTS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding="accounts",
            )
            return account_pb2.ListAccountsResponse(
                accounts=map(store.account, found.rows), next_page_token=found.next_page_token
            )

        return await self._store.read(read)

    async def create_account(
        self, request: account_pb2.CreateAccountRequest, principal: Principal
    ) -> account_pb2.Account:
        """A new account."""
        query = select(ACCOUNTS).where(ACCOUNTS.c.id == request.account_id)

        def write(tx: Tx) -> account_pb2.Account:
            if tx.execute(query).first() is not None:
                raise AlreadyExists(f"accounts/{request.account_id}")
            account = request.account
            store.create_account(tx, request.account_id, account.display_name or request.account_id, account.roles)
            return store.account(tx.execute(query).one())

        return await self._store.write(write)

    async def create_api_key(
        self, request: account_pb2.CreateApiKeyRequest, principal: Principal
    ) -> account_pb2.ApiKey:
        """A new key with its secret, this once."""
        account_id = request.parent.removeprefix("accounts/")
        expires = timestamp_to_micros(request.api_key.expire_time) if request.api_key.HasField("expire_time") else 0

        def write(tx: Tx) -> account_pb2.ApiKey:
            if tx.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id)).first() is None:
                raise NotFound(request.parent)
            key_id, secret = store.create_key(tx, account_id, request.api_key.display_name, expires)
            key = store.api_key(tx.execute(select(API_KEYS).where(API_KEYS.c.id == key_id)).one())
            key.secret = secret
            return key

        return await self._store.write(write)

    async def list_api_keys(
        self, request: account_pb2.ListApiKeysRequest, principal: Principal
    ) -> account_pb2.ListApiKeysResponse:
        """Every key of an account, without secrets."""
        account_id = request.parent.removeprefix("accounts/")
        query = select(API_KEYS).where(API_KEYS.c.account_id == account_id)
        query = query.order_by(API_KEYS.c.create_time.desc(), API_KEYS.c.id.desc())

        def read(connection: Connection) -> account_pb2.ListApiKeysResponse:
            if connection.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == account_id)).first() is None:
                raise NotFound(request.parent)
            return account_pb2.ListApiKeysResponse(api_keys=map(store.api_key, connection.execute(query)))

        return await self._store.read(read)

    async def delete_api_key(self, request: account_pb2.DeleteApiKeyRequest, principal: Principal) -> Empty:
        """Refuses a key from now on, here at once and in other replicas within a minute."""
        account_id, _, key_id = request.name.removeprefix("accounts/").partition("/apiKeys/")
        query = delete(API_KEYS).where(API_KEYS.c.id == key_id, API_KEYS.c.account_id == account_id)
        if not await self._store.write(lambda tx: tx.execute(query).rowcount):
            raise NotFound(request.name)
        self._changed()
        return Empty()


def bootstrap(tx: Tx, known_keys: Mapping[str, str]) -> dict[str, str]:
    """The demonstration accounts, made where they are missing, and a key of each: the one known, if it still works."""
    keys: dict[str, str] = {}
    for name, roles in _DEMONSTRATION.items():
        if tx.execute(select(ACCOUNTS.c.id).where(ACCOUNTS.c.id == name)).first() is None:
            store.create_account(tx, name, name, roles)
        secret = known_keys.get(name, "")
        row = store.account_of_key(tx.connection, secret, tx.now_us) if secret else None
        if row is None or row.id != name:
            _, secret = store.create_key(tx, name, "demonstration", 0)
        keys[name] = secret
    return keys


_DEMONSTRATION: Final[Mapping[str, tuple[str, ...]]] = {
    "desk": (),
    "officer": (),
    "reviewer": (),
    "approver": (),
    "admin": ("admin",),
}
"""Accounts to try with, and the roles that they have by themselves; the others follow from the unit `desk`."""
