"""Receipts: what a citizen keeps to ask for the answer later.

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
