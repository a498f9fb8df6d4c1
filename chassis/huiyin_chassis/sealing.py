"""Secrets that have to be read again are kept sealed, under a key in a file of its own, beside the store."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken


class Seal:
    """Seals texts under the key in a file, which is made when it is missing."""

    def __init__(self, path: Path) -> None:
        self._fernet = Fernet(kept_key(path, Fernet.generate_key()))

    def seal(self, text: str) -> bytes:
        """A text, encrypted."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str | None:
        """What was sealed; None where it was sealed by a key that is not here."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            return None


def kept_key(path: Path, fresh: bytes) -> bytes:
    """The key in a file, for its owner alone; where there is no file, `fresh`, which is kept there from now on."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(fresh)
    except FileExistsError:
        return path.read_bytes()
    return fresh
