"""Receipts: what a citizen keeps to ask for the answer later; and confirmations that a text was read back.

A receipt is an HMAC of the inquiry's id under the receipt key, so a repeated request yields the same one without its
being stored; only its SHA-256 is. 28 characters of base32 are 140 bits, beyond guessing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

_LENGTH = 28
_GROUP = 4
_MISREAD = str.maketrans({"0": "O", "1": "I", "8": "B"})  # base32 has no 0, 1 and 8, so a reader meant the letter


def token(key: bytes, inquiry: str) -> str:
    """The receipt of an inquiry, in groups of four, e.g. `ABCD-EFGH-…` (34 characters)."""
    digest = hmac.digest(key, inquiry.encode(), "sha256")
    letters = base64.b32encode(digest).decode()[:_LENGTH]
    return "-".join(letters[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def token_hash(receipt: str) -> bytes:
    """SHA-256 of a receipt as a person may type it: spaces, dashes and case do not matter."""
    letters = "".join(receipt.split()).replace("-", "").upper().translate(_MISREAD)
    return hashlib.sha256(letters.encode()).digest()


def confirmation(key: bytes, until: int, read_back: bytes) -> str:
    """Proves that a text was shown to be read back: until when it holds (seconds of the epoch), and a keyed digest."""
    return f"{until}.{_confirming(key, until, read_back)}"


def confirmed_until(key: bytes, given: str, read_back: bytes) -> int | None:
    """Until when a confirmation is good for a text; None where it is for another text, or made up."""
    until, _, digest = given.partition(".")
    if not until.isdecimal() or len(until) > 12:
        return None
    expected = _confirming(key, int(until), read_back)
    return int(until) if hmac.compare_digest(expected.encode(), digest.encode()) else None


def _confirming(key: bytes, until: int, read_back: bytes) -> str:
    # The prefix keeps these apart from receipts, which are digests of ids.
    return hmac.digest(key, b"read back\x1f%d\x1f%b" % (until, read_back), "sha256").hex()
