"""The gateway as the commands see it: where it is, who calls, and what its problem documents say."""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote

import httpx

Json = dict[str, Any]
T = TypeVar("T")

_PAGE_SIZE = 1000
_PATIENCE_SECONDS = 60.0
"""How long a call that may be repeated is repeated while a part of the system is away."""


class Problem(Exception):
    """What went wrong, in a sentence for a person; `reason` is for programs, `status` the HTTP status or 0."""

    def __init__(self, message: str, *, reason: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


@dataclass(frozen=True)
class Access:
    """Where the gateway is and the key to sign in with; no key means the public."""

    address: str
    key: str

    @classmethod
    def find(cls, account: str, client_file: Path | None) -> Self:
        """Reads HUIYIN_ADDRESS and HUIYIN_KEY, else the client file: the one named, var/client.toml, or the user's."""
        if address := os.environ.get("HUIYIN_ADDRESS"):
            return cls(address.rstrip("/"), os.environ.get("HUIYIN_KEY", ""))
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        named = client_file or (Path(value) if (value := os.environ.get("HUIYIN_CLIENT_FILE")) else None)
        candidates = [named] if named else [Path("var/client.toml"), config / "huiyin" / "client.toml"]
        for path in candidates:
            try:
                content = tomllib.loads(path.read_text("utf-8"))
                keys = content["keys"]
                address = str(content["address"]).rstrip("/")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Problem(f"{path} cannot be read ({error.strerror}); make it readable for this user.") from error
            except (tomllib.TOMLDecodeError, KeyError) as error:
                raise Problem(f"{path} is not a client file ({error}); it needs address and [keys].") from error
            if account not in keys:
                raise Problem(f"{path} has no key for the account {account}; it has: {', '.join(sorted(keys))}.")
            return cls(address, str(keys[account]))
        searched = " or ".join(str(path) for path in candidates)
        raise Problem(
            f"No client file at {searched}; start Huiyin with make run, or set HUIYIN_ADDRESS and HUIYIN_KEY."
        )


class Gateway:
    """Calls of the gateway. Every failure becomes a Problem."""

    def __init__(self, access: Access) -> None:
        headers = {"authorization": f"Bearer {access.key}"} if access.key else {}
        self.address = access.address
        self.http = httpx.Client(base_url=access.address, headers=headers, timeout=httpx.Timeout(30, read=60))

    def get(self, path: str, **parameters: Any) -> Json:
        """GET; waits out a part that is away."""
        return patiently(lambda: self.call("GET", path, params=_present(parameters)))

    def post(self, path: str, body: Json, **parameters: Any) -> Json:
        """POST of a JSON body."""
        return self.call("POST", path, json=body, params=_present(parameters))

    def patch(self, path: str, body: Json) -> Json:
        """PATCH of a JSON body."""
        return self.call("PATCH", path, json=body)

    def file(self, method: str, path: str, **options: Any) -> tuple[bytes, str]:
        """A file, and the name under which it is to be saved."""
        answer = self._answer(method, path, **options)
        _, _, name = answer.headers.get("content-disposition", "").partition("filename*=UTF-8''")
        return answer.content, unquote(name)

    def call(self, method: str, path: str, **options: Any) -> Json:
        """One call; the answer's JSON object."""
        result: Json = self._answer(method, path, **options).json()
        return result

    def _answer(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            answer = self.http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self.unreachable(error) from error
        if answer.is_error:
            raise problem_of(answer)
        return answer

    def pages(self, path: str, field: str, limit: int | None = None, **parameters: Any) -> Iterator[Json]:
        """The rows of a listing, page after page, at most `limit` of them."""
        token, left = "", limit
        while left is None or left > 0:
            size = _PAGE_SIZE if left is None else min(left, _PAGE_SIZE)
            page = self.get(path, pageSize=size, pageToken=token, **parameters)
            rows = page.get(field, [])
            yield from rows
            left = None if left is None else left - len(rows)
            token = page.get("nextPageToken", "")
            if not token:
                return

    def unreachable(self, error: httpx.HTTPError) -> Problem:
        """The Problem of a connection that failed."""
        if isinstance(error, httpx.ConnectError):
            return Problem(f"Nobody answers at {self.address}; is it running (make run)?", reason="UNAVAILABLE")
        return Problem(f"The connection to {self.address} broke ({type(error).__name__}).", reason="UNAVAILABLE")


def problem_of(answer: httpx.Response) -> Problem:
    """Reads a problem document (RFC 9457); its violations become part of the sentence."""
    try:
        document = answer.json()
        detail = str(document.get("detail") or document.get("title") or "")
        reason = str(document.get("reason", ""))
        told = [f"{item['field']}: {item['description']}" for item in document.get("violations", [])]
        if len(told) > 1:
            detail = "; ".join(told)
    except ValueError:
        detail, reason = answer.text[:300], ""
    return Problem(detail or f"HTTP status {answer.status_code}", reason=reason, status=answer.status_code)


def is_away(problem: Problem) -> bool:
    """Whether the same call may succeed in a moment."""
    return problem.reason == "UNAVAILABLE" or problem.status in (502, 503, 504)


def patiently(call: Callable[[], T]) -> T:
    """Repeats a call that changes nothing, or nothing twice, while a part of the system is away."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    pause = 0.1
    while True:
        try:
            return call()
        except Problem as problem:
            if not is_away(problem) or time.monotonic() > deadline:
                raise
        time.sleep(pause)
        pause = min(2.0, pause * 2)


def _present(parameters: Json) -> Json:
    return {name: value for name, value in parameters.items() if value not in (None, "", [])}
