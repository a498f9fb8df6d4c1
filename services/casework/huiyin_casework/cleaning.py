"""Cleaning in a process of its own, with limits to its memory and time: files come from anybody, and decoders err.

    python -m huiyin_casework.cleaning image/jpeg < file > answer

The answer is a line of JSON, and after it the cleaned bytes. The text of a file stays there: only how much of it
identifies people is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from dataclasses import dataclass
from typing import Final

from huiyin_chassis.errors import InvalidArgument, ResourceExhausted

from huiyin_casework.model.attachments import MediaType, Unusable

_MEMORY: Final = 1_500_000_000
_CPU_SECONDS: Final = 6
_WALL_SECONDS: Final = 7.0
"""Less than what a caller waits for."""
_AT_ONCE: Final = 2
_MOST_WAITING: Final = 8
"""Those at work included: as a rule each takes less than a second."""


@dataclass(frozen=True, slots=True)
class CleanFile:
    """A file as it may be stored."""

    data: bytes
    kind: MediaType
    readable: bool
    """Whether all that is seen in it could be read as text."""
    personal: int
    """How much of what could be read identifies people."""


class Cleaning:
    """Cleans files, a few at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    async def clean(self, data: bytes, kind: MediaType) -> CleanFile:
        """A file without what it carries unseen. Raises InvalidArgument, ResourceExhausted."""
        if self._waiting >= _MOST_WAITING:
            raise ResourceExhausted("BUSY", "other files are being looked at; send this one again in a few seconds")
        self._waiting += 1
        try:
            async with self._turns:
                answer = await _run(data, kind)
        finally:
            self._waiting -= 1
        line, _, cleaned = answer.partition(b"\n")
        if not line:
            raise InvalidArgument(
                "data",
                "takes more memory or time than a file may; make it smaller, or send it again later",
                "TOO_COMPLEX",
            )
        told = json.loads(line)
        if "reason" in told:
            raise InvalidArgument(told["field"], told["message"], told["reason"])
        return CleanFile(cleaned, kind, told["readable"], told["personal"])


async def _run(data: bytes, kind: MediaType) -> bytes:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        "huiyin_casework.cleaning",
        kind.value,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        answer, _ = await asyncio.wait_for(process.communicate(data), _WALL_SECONDS)
    except TimeoutError:
        return b""
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return answer if process.returncode == 0 else b""


def main(kind: str) -> None:
    """Cleans what stands on the standard input."""
    # Here, and not in the process that serves: what decodes is large.
    from huiyin_casework.model.cleaning import clean
    from huiyin_casework.personal import personal_spans

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    try:
        cleaned = clean(sys.stdin.buffer.read(), MediaType(kind))
    except Unusable as error:
        told: dict[str, object] = {"field": error.field, "reason": error.reason, "message": str(error)}
        sys.stdout.buffer.write(json.dumps(told).encode())
        return
    counted = {"readable": cleaned.readable, "personal": len(personal_spans(cleaned.text))}
    sys.stdout.buffer.write(json.dumps(counted).encode() + b"\n")
    sys.stdout.buffer.write(cleaned.data)


if __name__ == "__main__":
    main(sys.argv[1])
