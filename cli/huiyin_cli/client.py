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
from huiyin_client import Client
from huiyin_client import Json as Json
from huiyin_client import Problem as Problem
from huiyin_client.problems import Attempts
from huiyin_client.requests import PATIENCE, Call

T = TypeVar("T")


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
        self.address = access.address
        self.client = Client(access.address, access.key)

    @property
    def http(self) -> httpx.Client:
        """The connections, for what is no JSON."""
        return self.client.http

    @http.setter
    def http(self, http: httpx.Client) -> None:
        self.client.http = http

    def get(self, path: str, **parameters: Any) -> Json:
        """GET; waits out a part that is away."""
        return self.client.get(path, **parameters)

    def post(self, path: str, body: Json, **parameters: Any) -> Json:
        """POST of a JSON body."""
        return self.client.call(Call("POST", path, body=body, parameters=parameters))

    def patch(self, path: str, body: Json, **parameters: Any) -> Json:
        """PATCH of a JSON body."""
        return self.client.patch(path, body, **parameters)

    def delete(self, path: str) -> Json:
        """DELETE."""
        return self.client.delete(path)

    def file(self, method: str, path: str, body: Json | None = None) -> tuple[bytes, str]:
        """A file, and the name under which it is to be saved."""
        answer = self.client.answer(Call(method, path, body=body))
        _, _, name = answer.headers.get("content-disposition", "").partition("filename*=UTF-8''")
        return answer.content, unquote(name)

    def pages(self, path: str, field: str, limit: int | None = None, **parameters: Any) -> Iterator[Json]:
        """The rows of a listing, page after page, at most `limit` of them."""
        return self.client.pages(path, field, limit=limit, **parameters)


def patiently(call: Callable[[], T]) -> T:
    """Repeats a call that changes nothing, or nothing twice, while a part of the system is away."""
    attempts = Attempts(True, time.monotonic() + PATIENCE)
    while True:
        try:
            return call()
        except Problem as problem:
            pause = attempts.pause_after(problem, time.monotonic())
        time.sleep(pause)
