"""Partners, with whom we share a secret each."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass

from huiyin.casework.v1 import partner_pb2
from huiyin_chassis import webhooks
from huiyin_chassis.addresses import may_be_public
from sqlalchemy import Connection, select

from huiyin_casework.resources import etag, time
from huiyin_casework.secrets import Secrets
from huiyin_casework.store import PARTNERS, Fields


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
    until = webhooks.previous_until(row)
    return partner_pb2.Partner(
        name=f"partners/{row['id']}",
        display_name=row["display_name"],
        callback_url=row["callback_url"],
        disabled=row["disabled"],
        create_time=time(row["create_time"]),
        update_time=time(row["update_time"]),
        rotate_time=time(row["rotate_time"]),
        previous_expire_time=time(until) if until else None,
        etag=etag(row),
    )


def find(connection: Connection, name: str, *, locked: bool = False) -> Fields | None:
    """A partner by its name; `locked` where it is about to be changed."""
    query = select(PARTNERS).where(PARTNERS.c.id == name.removeprefix("partners/"))
    row = connection.execute(query.with_for_update() if locked else query).mappings().one_or_none()
    return None if row is None else dict(row)


def secrets_of(row: Fields, secrets: Secrets, now: int) -> list[str]:
    """The secret of a partner, and after it those before that are still accepted."""
    return webhooks.secrets_of(row, secrets, now, f"partners/{row['id']}")
