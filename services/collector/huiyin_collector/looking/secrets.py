"""Secrets that interfaces want: named in a source's rules, read from files when they are used, and shown nowhere.

A secret lies in the folder of the host that it is for, so that whoever may add sources cannot have it sent elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from huiyin.collector.v1 import source_rules_pb2

from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import host_of
from huiyin_collector.model.rules import RuleError

_LENGTH: Final = 4096
_LEAST_SOUGHT: Final = 6
"""Shorter ones may stand in an answer by chance."""
# What HTTP, its framing and our manners decide on.
_OURS: Final = re.compile(
    r"host|user-agent|connection|keep-alive|content-.*|transfer-encoding|te|trailer|upgrade|expect|accept(-encoding)?|range"
    r"|if-.*|proxy-.*|from|via|forwarded|x-forwarded-.*|date",
    re.IGNORECASE,
)
_SECRET_NAME: Final = re.compile(r"auth|cookie|key|token|secret|password|sign", re.IGNORECASE)
_HOST: Final = re.compile(r"[a-z0-9.:-]{1,253}")


def check_headers(headers: Sequence[source_rules_pb2.Api.Header]) -> None:
    """That headers may be sent, and hold no secret themselves. Raises RuleError."""
    seen: set[str] = set()
    for index, header in enumerate(headers):
        field, name = f"headers[{index}]", header.name.lower()
        if _OURS.fullmatch(name):
            raise RuleError(f"{field}.name", "is set by the collector itself; leave it out")
        if name in seen:
            raise RuleError(f"{field}.name", "stands twice; leave one out")
        seen.add(name)
        if not header.value.isascii() or not (header.value.isprintable() or not header.value):
            raise RuleError(f"{field}.value", "must be printable ASCII")
        if not header.value and not header.secret:
            raise RuleError(f"{field}.value", "is empty; give a value or the name of a secret")
        if _SECRET_NAME.search(name) and not header.secret:
            raise RuleError(f"{field}.secret", "is needed: what such a header holds is not stored; name a secret")


class Secrets:
    """Secrets by the hosts that they are for: the files `folder`/HOST/NAME."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, headers: Iterable[source_rules_pb2.Api.Header], url: str) -> Sent:
        """What goes with a request for an address. Raises Fault: SECRET_MISSING, SECRET_UNUSABLE."""
        values: dict[str, str] = {}
        secrets: list[str] = []
        for header in headers:
            secret = self._secret(header.secret, url) if header.secret else ""
            values[header.name] = header.value + secret
            secrets += [secret] if secret else []
        return Sent(values, secrets)

    def _secret(self, name: str, url: str) -> str:
        host = host_of(url)
        if not _HOST.fullmatch(host) or host.startswith("."):
            raise Fault("SECRET_MISSING", "no secrets are kept for such a host; write its name in ASCII")
        try:
            text = (self._folder / host / name).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError, ValueError):
            raise Fault(
                "SECRET_MISSING",
                f"the secret {name} cannot be read; put it into the file {host}/{name} within HUIYIN_SOURCE_SECRETS",
            ) from None
        if not text or not text.isprintable() or len(text) > _LENGTH:
            raise Fault("SECRET_UNUSABLE", f"the secret {name} is not one line of printable ASCII; write it anew")
        return text


class Sent:
    """Headers with their secrets. Nothing of it is shown, whoever prints it."""

    def __init__(self, headers: dict[str, str], secrets: list[str]) -> None:
        self.headers = headers
        self._secrets = [each.encode() for each in secrets if len(each) >= _LEAST_SOUGHT]

    def __repr__(self) -> str:
        return f"Sent({', '.join(self.headers)})"

    def check(self, content: bytes) -> None:
        """That an answer does not show what was sent, which would be kept as a text. Raises Fault."""
        if any(secret in content for secret in self._secrets):
            raise Fault("SECRET_SHOWN", "the answer repeats a secret that was sent, so nothing of it is taken")
