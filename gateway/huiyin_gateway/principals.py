"""From an API key to a signed principal: the account, what casework says of its reach, and a token for the services."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import grpc
from huiyin.casework.v1.unit_pb2 import LookupReachRequest, Reach
from huiyin_chassis import client, clock
from huiyin_chassis.errors import Unauthenticated, Unavailable, from_rpc_error
from huiyin_chassis.identity import ANONYMOUS, LIFETIME, Principal, Signer, permissions_of
from sqlalchemy import Row

from huiyin_gateway.store import GatewayStore, account_of_key, hash_of

if TYPE_CHECKING:
    from huiyin.casework.v1.casework_service_pb2_grpc import CaseworkServiceAsyncStub


_FRESH: Final = timedelta(seconds=60)
"""How long a principal is used before account and reach are looked up again."""
_STALE: Final = LIFETIME - timedelta(seconds=30)
"""How long it is used at most, while casework, which knows the reach, is away."""
_AGAIN: Final = timedelta(seconds=2)
_REMEMBERED: Final = 10_000
_BEARER: Final = "Bearer "
_EVERYWHERE: Final = frozenset({"admin", "inspector"})


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A caller and the token that says so to the services."""

    principal: Principal
    token: str
    since: datetime
    until: datetime
    """From then on account and reach are looked up again."""


class Principals:
    """Signs callers in; what was found is used for a minute."""

    def __init__(self, store: GatewayStore, casework: CaseworkServiceAsyncStub, signer: Signer) -> None:
        self._store = store
        self._casework = casework
        self._signer = signer
        self._known: dict[bytes, SignedIn] = {}
        self._asking: dict[bytes, asyncio.Task[SignedIn]] = {}

    def known(self, authorization: str) -> SignedIn | None:
        """The caller of an Authorization header, where that was found a moment ago."""
        if not authorization.startswith(_BEARER):
            return None
        found = self._known.get(hash_of(authorization[len(_BEARER) :]))
        return found if found is not None and clock.now() < found.until else None

    async def of(self, authorization: str) -> SignedIn | None:
        """The caller of an Authorization header; None for the public. Raises Unauthenticated or Unavailable."""
        if not authorization:
            return None
        if (found := self.known(authorization)) is not None:
            return found
        scheme, _, secret = authorization.partition(" ")
        secret = secret.strip()
        if scheme.lower() != "bearer" or not secret:
            raise Unauthenticated("KEY_INVALID", "send your API key as: Authorization: Bearer hy_…")
        hashed = hash_of(secret)
        # Many calls at once with one key ask once; a caller that goes away takes the answer from nobody else.
        task = self._asking.get(hashed)
        if task is None:
            task = self._asking[hashed] = asyncio.create_task(self._look_up(secret, hashed))
            task.add_done_callback(lambda _: self._asking.pop(hashed, None))
        return await asyncio.shield(task)

    def forget(self) -> None:
        """After keys or accounts changed here."""
        self._known.clear()

    async def _look_up(self, secret: str, hashed: bytes) -> SignedIn:
        now = clock.now()
        row = await self._store.read(lambda connection: account_of_key(connection, secret, clock.micros(now)))
        known = self._known.pop(hashed, None)
        if row is None:
            raise Unauthenticated("KEY_UNKNOWN", "this API key is not known or has expired; ask for another one")
        try:
            signed_in = await self._sign_in(row, now)
        except Unavailable:
            if known is None or now - known.since > _STALE:
                raise
            signed_in = replace(known, until=now + _AGAIN)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[hashed] = signed_in
        return signed_in

    async def _sign_in(self, row: Row[Any], now: datetime) -> SignedIn:
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
        return SignedIn(principal, self._signer.sign(principal), now, now + _FRESH)

    async def _reach(self, account_id: str) -> Reach:
        request = LookupReachRequest(account=f"accounts/{account_id}")
        metadata = client.metadata(self._signer.own_token())
        try:
            return await self._casework.LookupReach(request, metadata=metadata, timeout=client.DEADLINE)
        except grpc.RpcError as error:
            found = from_rpc_error(error)
            if found.transient:
                why = "who you are and what you may see cannot be looked up now; try again in a moment"
                raise Unavailable("REACH_UNAVAILABLE", why) from error
            raise found from error


def principal_of(signed_in: SignedIn | None) -> Principal:
    """The principal of a caller; the public is anonymous."""
    return ANONYMOUS if signed_in is None else signed_in.principal
