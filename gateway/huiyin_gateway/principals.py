"""From an API key to a signed principal: the account, what casework says of its reach, and a token for the services."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import grpc
from huiyin.casework.v1.unit_pb2 import LookupReachRequest, Reach
from huiyin_chassis import client, clock
from huiyin_chassis.errors import Unauthenticated, from_rpc_error
from huiyin_chassis.identity import ANONYMOUS, Principal, Signer, permissions_of

from huiyin_gateway.store import GatewayStore, account_of_key, hash_of

if TYPE_CHECKING:
    from huiyin.casework.v1.casework_service_pb2_grpc import CaseworkServiceAsyncStub


_FRESH: Final = timedelta(seconds=60)
"""How long a principal is used before account and reach are looked up again."""
_REMEMBERED: Final = 10_000
_EVERYWHERE: Final = frozenset({"admin", "inspector"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A caller and the token that says so to the services."""

    principal: Principal
    token: str
    until: datetime


class Principals:
    """Signs callers in; what was found is used for a minute."""

    def __init__(self, store: GatewayStore, casework: CaseworkServiceAsyncStub, signer: Signer) -> None:
        self._store = store
        self._casework = casework
        self._signer = signer
        self._known: dict[bytes, SignedIn] = {}

    async def of(self, authorization: str) -> SignedIn | None:
        """The caller of an Authorization header; None for the public. Raises Unauthenticated or Unavailable."""
        if not authorization:
            return None
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not secret.strip():
            raise Unauthenticated("KEY_INVALID", "send your API key as: Authorization: Bearer hy_…")
        secret = secret.strip()
        hashed = hash_of(secret)
        found, now = self._known.get(hashed), clock.now()
        if found is not None and now < found.until:
            return found
        signed_in = await self._sign_in(secret, now)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[hashed] = signed_in
        return signed_in

    def forget(self) -> None:
        """After keys or accounts changed here."""
        self._known.clear()

    async def _sign_in(self, secret: str, now: datetime) -> SignedIn:
        row = await self._store.read(lambda connection: account_of_key(connection, secret, clock.micros(now)))
        if row is None:
            raise Unauthenticated("KEY_UNKNOWN", "this API key is not known or has expired; ask for another one")
        reach = await self._reach(row.id)
        roles = tuple(sorted({*reach.roles, *json.loads(row.roles)}))
        principal = Principal(
            f"accounts/{row.id}",
            permissions_of(roles),
            roles,
            tuple(reach.units),
            tuple(reach.places),
            tuple(reach.topics),
            reach.everywhere or bool(_EVERYWHERE & set(roles)),
        )
        return SignedIn(principal, self._signer.sign(principal), now + _FRESH)

    async def _reach(self, account_id: str) -> Reach:
        request = LookupReachRequest(account=f"accounts/{account_id}")
        metadata = client.metadata(self._signer.own_token())
        try:
            return await self._casework.LookupReach(request, metadata=metadata, timeout=client.DEADLINE)
        except grpc.RpcError as error:
            raise from_rpc_error(error) from error


def principal_of(signed_in: SignedIn | None) -> Principal:
    """The principal of a caller; the public is anonymous."""
    return ANONYMOUS if signed_in is None else signed_in.principal
