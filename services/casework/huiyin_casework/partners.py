"""Partners and the secrets that we share with them."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import structlog
from huiyin.casework.v1 import partner_pb2
from huiyin_chassis.addresses import may_be_public
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select, update

from huiyin_casework.model import webhooks
from huiyin_casework.resources import etag, time
from huiyin_casework.secrets import Secrets
from huiyin_casework.store import PARTNERS, Fields

log = structlog.get_logger(__name__)

ACCEPTED_FOR: Final = 24 * 60 * 60 * 1_000_000
"""How long a secret that was replaced is accepted, in microseconds: time to bring the new one to the partner."""
_MOST_OLD: Final = 4


@dataclass(frozen=True)
class CallbackRules:
    """What an operator lets answers be posted to."""

    plain_http: bool
    private: bool

    def fault(self, url: str) -> str:
        """What is wrong with an address, and the remedy; "" where nothing is."""
        if not url.isascii() or not url.isprintable() or " " in url:
            return "must be ASCII without spaces; write a host name in its ASCII form and percent-encode the rest"
        try:
            parts = urllib.parse.urlsplit(url)
            host, scheme = parts.hostname or "", parts.scheme
            _ = parts.port
        except ValueError:
            return "is no URL; write https://host/path"
        if scheme not in ("https", "http") or not host or parts.fragment:
            return "must be https://host/path, without a fragment"
        if scheme == "http" and not self.plain_http:
            return "must be https; where plain http is meant, the operator sets HUIYIN_ALLOW_PLAIN_HTTP=true"
        if "@" in parts.netloc:
            return "must hold no user name or password; messages are signed, so that the partner knows whose they are"
        if not self.private and not may_be_public(host):
            return "is in a private network; where that is meant, the operator sets HUIYIN_ALLOW_PRIVATE_RECEIVERS=true"
        return ""


def resource(row: Fields) -> partner_pb2.Partner:
    """A partner as the contract shows it."""
    old = json.loads(row["old_secrets"])
    return partner_pb2.Partner(
        name=f"partners/{row['id']}",
        display_name=row["display_name"],
        callback_url=row["callback_url"],
        disabled=row["disabled"],
        create_time=time(row["create_time"]),
        update_time=time(row["update_time"]),
        rotate_time=time(row["rotate_time"]),
        previous_expire_time=time(old[0][1]) if old else None,
        etag=etag(row),
    )


def find(connection: Connection, name: str, *, locked: bool = False) -> Fields | None:
    """A partner by its name; `locked` where it is about to be changed."""
    query = select(PARTNERS).where(PARTNERS.c.id == name.removeprefix("partners/"))
    row = connection.execute(query.with_for_update() if locked else query).mappings().one_or_none()
    return None if row is None else dict(row)


def fresh_secret() -> str:
    """A secret that nobody has yet."""
    return webhooks.secret_of(os.urandom(webhooks.SECRET_BYTES))


def replaced(row: Fields, secrets: Secrets, secret: str, now: int, *, revoke: bool) -> dict[str, Any]:
    """The columns of a partner whose secret is replaced."""
    old = [] if revoke else [[row["secret"].decode(), now + ACCEPTED_FOR], *_accepted(row, now)][:_MOST_OLD]
    return {"secret": secrets.seal(secret), "old_secrets": json.dumps(old), "rotate_time": now}


def secrets_of(row: Fields, secrets: Secrets, now: int) -> list[str]:
    """The secret of a partner, and after it those before that are still accepted."""
    sealed = [row["secret"], *(each.encode() for each, _ in _accepted(row, now))]
    opened = [secrets.open(each) for each in sealed]
    if None in opened:
        log.warning("partner.secret_unreadable", partner=row["id"])
    return [each for each in opened if each is not None]


def forget_secrets(tx: Tx) -> int:
    """Destroys secrets that are accepted no longer; of how many partners."""
    kept = list(_pruned(tx))
    for partner, left in kept:
        tx.execute(update(PARTNERS).where(PARTNERS.c.id == partner).values(old_secrets=json.dumps(left)))
    return len(kept)


def _pruned(tx: Tx) -> Iterator[tuple[str, list[Any]]]:
    query = select(PARTNERS.c.id, PARTNERS.c.old_secrets).where(PARTNERS.c.old_secrets != "[]").with_for_update()
    for row in tx.execute(query).mappings().all():
        left = _accepted(row, tx.now_us)
        if len(left) < len(json.loads(row["old_secrets"])):
            yield row["id"], left


def _accepted(row: Any, now: int) -> list[Any]:
    return [each for each in json.loads(row["old_secrets"]) if each[1] > now]
