"""The two keys of casework: one makes receipts, the other encrypts contacts. Files of mode 0600, made when missing."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from huiyin_casework.model import receipts


class Secrets:
    """Receipts and contacts by the keys in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._receipt_key = _key(folder / "receipt.key", secrets.token_hex(32).encode())
        self._contacts = Fernet(_key(folder / "contact.key", Fernet.generate_key()))

    def receipt(self, inquiry_id: str) -> str:
        """The receipt of an inquiry; the same each time."""
        return receipts.token(self._receipt_key, inquiry_id)

    def seal(self, contact: str) -> bytes:
        """A contact, encrypted."""
        return self._contacts.encrypt(contact.encode())


def _key(path: Path, fresh: bytes) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(fresh)
    except FileExistsError:
        return path.read_bytes()
    return fresh
