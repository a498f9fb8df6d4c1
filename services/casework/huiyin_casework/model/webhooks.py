"""Signed messages between two systems, by Standard Webhooks 1.0.0 (standardwebhooks.com).

What is signed is id, time and body, with full stops between them: HMAC-SHA256 under the bytes of the secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

TOLERANCE: Final = 300
"""Seconds by which the sender's clock may differ from ours; later, a message that somebody copied is refused."""

SECRET_BYTES: Final = 32
_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"
_MOST_SIGNATURES: Final = 10


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
