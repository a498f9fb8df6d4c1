"""Keys of the day: what turns authors into voices, and is destroyed before two days are over.

A key lives in a file of its own (mode 0600) in a folder that the replicas share and no backup takes. While it lives,
the same author of the same source has the same voice; afterwards nobody can tell whose a voice was.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from huiyin_chassis.errors import FailedPrecondition

from huiyin_collector.model.times import HOME_ZONE

_ZONE: Final = ZoneInfo(HOME_ZONE)
_KEY_BYTES: Final = 32
_VOICE_BYTES: Final = 16
# From the end of its day on a key serves no more; what was begun before midnight gets time to end.
_GRACE: Final = timedelta(hours=1)


class VoiceKeys:
    """The keys of the day in a folder, from any thread. Raises FailedPrecondition when the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._current = ("", b"")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise FailedPrecondition(
                "VOICE_KEYS_UNUSABLE",
                f"the folder {folder} cannot be written ({error.strerror}); "
                "give its owner the right, or set HUIYIN_VOICE_KEYS to another one",
            ) from error

    def voices(self, source: str, authors: list[str], collected: datetime) -> list[bytes]:
        """The voice of each author of a source on the day of collection; b"" where there is no author."""
        key = self._key_of(f"{collected.astimezone(_ZONE):%Y-%m-%d}")
        prefix = f"{source}\x00"
        return [
            hmac.digest(key, (prefix + author).encode(), "sha256")[:_VOICE_BYTES] if author else b""
            for author in authors
        ]

    def destroy_old(self, now: datetime) -> int:
        """Overwrites and removes the keys of days that are over. Returns how many."""
        last_day = f"{(now - _GRACE).astimezone(_ZONE):%Y-%m-%d}"
        if self._current[0] < last_day:
            self._current = ("", b"")
        old = [path for path in self._folder.glob("*.key") if path.stem < last_day]
        for path in old:
            # Another replica may be doing the same.
            with contextlib.suppress(FileNotFoundError):
                _overwrite(path)
                path.unlink()
        return len(old)

    def _key_of(self, day: str) -> bytes:
        known, key = self._current
        if known != day:
            path = self._folder / f"{day}.key"
            if not path.exists():
                self._create(path)
            key = path.read_bytes()
            self._current = (day, key)
        return key

    def _create(self, path: Path) -> None:
        # Linked when it is whole: of two replicas one is first, and the other reads that one's key.
        descriptor, name = tempfile.mkstemp(dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(name, path)
        finally:
            os.unlink(name)  # noqa: PTH108 - the same module that linked it


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
