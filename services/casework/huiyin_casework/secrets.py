"""The two keys of casework: one makes receipts, the other encrypts contacts and the secrets of partners.

Files of mode 0600, made when missing.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

from huiyin_chassis.sealing import Seal, kept_key

from huiyin_casework.model import receipts

_CONFIRM_WITHIN = timedelta(hours=1)
"""How long an officer has to read a text back."""


class Secrets(Seal):
    """Receipts, and what is kept sealed, by the keys in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "contact.key")
        self._receipt_key = kept_key(folder / "receipt.key", secrets.token_hex(32).encode())

    def receipt(self, inquiry_id: str) -> str:
        """The receipt of an inquiry; the same each time."""
        return receipts.token(self._receipt_key, inquiry_id)

    def confirmation(self, read_back: bytes, now: datetime) -> tuple[str, datetime]:
        """What proves later that a text was shown to an officer to be read back, and until when; nothing is stored."""
        until = (now + _CONFIRM_WITHIN).replace(microsecond=0)
        return receipts.confirmation(self._receipt_key, int(until.timestamp()), read_back), until

    def confirmation_problem(self, confirmation: str, read_back: bytes, now: datetime) -> str:
        """Why a confirmation does not hold for a text; "" where it does."""
        if not confirmation:
            return "is missing; prepare the inquiry, read its text back to the author, then submit it"
        until = receipts.confirmed_until(self._receipt_key, confirmation, read_back)
        if until is None:
            return "is for another text; read back what is to be stored, and prepare it anew"
        return "is too old; read the text back and prepare it anew" if now.timestamp() > until else ""
