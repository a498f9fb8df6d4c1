"""Signed messages between two systems, by Standard Webhooks 1.0.0 (standardwebhooks.com), and the secrets for them.

What is signed is id, time and body, with full stops between them: HMAC-SHA256 under the bytes of the secret. Whoever
shares a secret has a row with it, sealed, in the columns `secret`, `old_secrets` and `rotate_time`.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

import structlog
from google.protobuf import json_format
from google.protobuf.message import Message
from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, select, update

from huiyin_chassis.errors import InvalidArgument, Unauthenticated
from huiyin_chassis.sealing import Seal
from huiyin_chassis.store import Tx

M = TypeVar("M", bound=Message)

log = structlog.get_logger(__name__)

TOLERANCE: Final = 300
"""Seconds by which the sender's clock may differ from ours; later, a message that somebody copied is refused."""

ACCEPTED_FOR: Final = 24 * 60 * 60 * 1_000_000
"""How long a secret that was replaced is accepted, in microseconds: time to bring the new one to the sender."""

_MOST_OLD: Final = 4
_SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"
_MOST_SIGNATURES: Final = 10


def fresh_secret() -> str:
    """A secret that nobody has yet, as it is shown."""
    return secret_of(os.urandom(_SECRET_BYTES))


def secret_of(random: bytes) -> str:
    """A secret as it is shown and kept."""
    return _PREFIX + base64.b64encode(random).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """The signature of a message that leaves at `timestamp`, in seconds since the epoch."""
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.digest(key, b"%b.%d.%b" % (message_id.encode(), timestamp, body), hashlib.sha256)
    return _VERSION + base64.b64encode(digest).decode()


def is_signed(
    secrets: Iterable[str], message_id: str, timestamp: int, signatures: str, body: bytes, *, now: float
) -> bool:
    """Whether a message was signed with one of the secrets, not long ago; `signatures` have spaces between them."""
    if abs(now - timestamp) > TOLERANCE:
        return False
    given = [each.encode() for each in signatures.split()[:_MOST_SIGNATURES]]
    expected = [signature(secret, message_id, timestamp, body).encode() for secret in secrets]
    return any(hmac.compare_digest(one, other) for one in expected for other in given)


class SignedRequest(Protocol):
    """A request that brings a signed message: its body as it was sent, and the fields of the three headers."""

    webhook_id: str
    webhook_timestamp: str
    webhook_signature: str

    @property
    def body(self) -> Any:
        """A google.api.HttpBody."""


_NOBODYS: Final = fresh_secret()
"""What is compared with where there is no secret, so that the time it takes does not tell."""


def signed_body(request: SignedRequest, secrets: Sequence[str], now: datetime, *, most_bytes: int) -> bytes:
    """The body of a message that was signed with one of the secrets. Raises InvalidArgument, Unauthenticated."""
    body: bytes = request.body.data
    if len(body) > most_bytes:
        raise InvalidArgument("body", f"is larger than {most_bytes} bytes; send less at once", "BODY_TOO_LARGE")
    signed = is_signed(
        secrets or [_NOBODYS],
        request.webhook_id,
        int(request.webhook_timestamp),
        request.webhook_signature,
        body,
        now=now.timestamp(),
    )
    if not (secrets and signed):
        raise Unauthenticated(
            "SIGNATURE_REFUSED",
            "the message is not that of a sender known here: check the address, the secret, this machine's clock, and "
            "that webhook-id, webhook-timestamp and the body are signed as they are sent",
        )
    return body


def read_json(body: bytes, message: M) -> M:
    """The message that a body holds as JSON, whose limits are not checked. Raises InvalidArgument."""
    try:
        json_format.Parse(body, message)
    except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        found = re.sub(r"\s+", " ", str(error))[:200]
        why = f"is not the JSON of a {message.DESCRIPTOR.name} ({found}); see the contract for its fields"
        raise InvalidArgument("body", why, "BODY_INVALID") from error
    return message


@contextlib.contextmanager
def numbered_by_webhook_id() -> Iterator[None]:
    """Where the id of a message is the id of a request: one that is used twice is told by its own name."""
    try:
        yield
    except InvalidArgument as error:
        if error.reason != "REQUEST_ID_REUSED":
            raise
        why = "came before with another body; take a new one for each message that is not sent again"
        raise InvalidArgument("webhook_id", why, error.reason) from error


# Secrets in rows


def secret_columns() -> list[Column[Any]]:
    """The columns of a table whose rows share a secret each."""
    return [
        # What messages are signed with, sealed.
        Column("secret", LargeBinary, nullable=False),
        # JSON list of [sealed, until]: those before it that are still accepted, the newest first.
        Column("old_secrets", Text, nullable=False),
        Column("rotate_time", BigInteger, nullable=False),
    ]


def first(seal: Seal, secret: str, now: int) -> dict[str, Any]:
    """The columns of a row that gets a secret. Times are microseconds."""
    return {"secret": seal.seal(secret), "old_secrets": "[]", "rotate_time": now}


def replaced(row: Mapping[str, Any], seal: Seal, secret: str, now: int, *, revoke: bool) -> dict[str, Any]:
    """The columns of a row whose secret is replaced."""
    old = [] if revoke else [[row["secret"].decode(), now + ACCEPTED_FOR], *_accepted(row, now)][:_MOST_OLD]
    return {**first(seal, secret, now), "old_secrets": json.dumps(old)}


def previous_until(row: Mapping[str, Any]) -> int:
    """Until when the secret before is accepted; 0 where there is none."""
    old = json.loads(row["old_secrets"])
    return int(old[0][1]) if old else 0


def secrets_of(row: Mapping[str, Any], seal: Seal, now: int, name: str) -> list[str]:
    """The secret of a row, and after it those before that are still accepted; `name` says whose they are."""
    sealed = [row["secret"], *(each.encode() for each, _ in _accepted(row, now))]
    opened = [seal.open(each) for each in sealed]
    if None in opened:
        log.warning("secret.unreadable", of=name)
    return [each for each in opened if each is not None]


def forget_secrets(tx: Tx, table: Table, key: Column[str]) -> int:
    """Destroys secrets that are accepted no longer; of how many rows."""
    query = select(key.label("key"), table.c.old_secrets).where(table.c.old_secrets != "[]").with_for_update()
    count = 0
    for row in tx.execute(query).mappings().all():
        left = _accepted(dict(row), tx.now_us)
        if len(left) < len(json.loads(row["old_secrets"])):
            tx.execute(update(table).where(key == row["key"]).values(old_secrets=json.dumps(left)))
            count += 1
    return count


def _accepted(row: Mapping[str, Any], now: int) -> list[Any]:
    return [each for each in json.loads(row["old_secrets"]) if each[1] > now]
