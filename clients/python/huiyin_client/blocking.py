"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Any, Self, TypeVar, overload

import httpx

from huiyin_client.changes import Change, Stream, started
from huiyin_client.problems import Json, Problem, problem_of, unreachable
from huiyin_client.requests import PATIENCE, Call, Pages

T = TypeVar("T")


class Client:
    """Calls of the API at an address, with the key of an account; without one as the public. Failures are Problems.

    What only reads, and what carries an idempotency key, is repeated while a part of the system is away; other calls
    only when they were turned away before anything happened. `patience`: seconds for a call with its repetitions.
    """

    def __init__(
        self, address: str, key: str = "", *, patience: float = PATIENCE, transport: httpx.BaseTransport | None = None
    ) -> None:
        self.address = address.rstrip("/")
        self.patience = patience
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.Client(base_url=self.address, headers=headers, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self.http.close()

    @overload
    def get(self, path: str, *, of: type[T], **parameters: Any) -> T: ...
    @overload
    def get(self, path: str, **parameters: Any) -> Json: ...
    def get(self, path: str, *, of: Any = None, **parameters: Any) -> Any:
        """Reads something. `of`: its type in huiyin_client.resources."""
        return self.call(Call("GET", path, parameters=parameters))

    @overload
    def post(self, path: str, body: Json, *, of: type[T], idempotency_key: str = "", etag: str = "") -> T: ...
    @overload
    def post(self, path: str, body: Json, *, idempotency_key: str = "", etag: str = "") -> Json: ...
    def post(self, path: str, body: Json, *, of: Any = None, idempotency_key: str = "", etag: str = "") -> Any:
        """Calls a method. With an idempotency key (a UUID) it is done once, however often it is sent."""
        return self.call(Call("POST", path, body=body, idempotency_key=idempotency_key, etag=etag))

    @overload
    def patch(self, path: str, body: Json, *, of: type[T], etag: str = "", **parameters: Any) -> T: ...
    @overload
    def patch(self, path: str, body: Json, *, etag: str = "", **parameters: Any) -> Json: ...
    def patch(self, path: str, body: Json, *, of: Any = None, etag: str = "", **parameters: Any) -> Any:
        """Changes something; with its etag only if nobody else did meanwhile."""
        return self.call(Call("PATCH", path, body=body, etag=etag, parameters=parameters))

    def delete(self, path: str) -> Json:
        """Deletes something."""
        return self.call(Call("DELETE", path))

    def call(self, call: Call, *, patience: float | None = None) -> Json:
        """One call, repeated while that is worth it; the answer's JSON object."""
        result: Json = self.answer(call, patience=patience).json()
        return result

    def answer(self, call: Call, *, patience: float | None = None) -> httpx.Response:
        """The same; the answer as it is, such as a file."""
        attempts = call.attempts(time.monotonic(), self.patience if patience is None else patience)
        while True:
            try:
                answer = self.http.request(call.method, call.path, **call.options(attempts.until - time.monotonic()))
                if not answer.is_error:
                    return answer
                problem = problem_of(answer)
            except httpx.HTTPError as error:
                problem = unreachable(self.address, error)
            time.sleep(attempts.pause_after(problem, time.monotonic()))

    @overload
    def pages(
        self, path: str, field: str, *, of: type[T], limit: int | None = None, **parameters: Any
    ) -> Iterator[T]: ...
    @overload
    def pages(self, path: str, field: str, *, limit: int | None = None, **parameters: Any) -> Iterator[Json]: ...
    def pages(
        self, path: str, field: str, *, of: Any = None, limit: int | None = None, **parameters: Any
    ) -> Iterator[Any]:
        """The rows of a listing, page after page, at most `limit` of them; `field` holds those of a page."""
        pages = Pages(limit, done=limit == 0)
        while not pages.done:
            yield from pages.read(self.get(path, **parameters, **pages.parameters()), field)

    def changes(self, kinds: Iterable[str] = (), cursor: str = "") -> Iterator[Change]:
        """Every change from a place on, by default from now, without end; none is lost or comes twice over a break.

        Raises Problem CURSOR_UNKNOWN or CURSOR_EXPIRED where the place is not kept: list again, and begin anew.
        """
        for change in self._lines(started(kinds, cursor)):
            if change is not None:
                yield change

    def place(self) -> str:
        """The place where the stream of changes is now: take it, list, and follow from it, and nothing is missed.

        Waits while a part of the system is away, whose place nobody knows; raises Problem UNAVAILABLE after `patience`.
        """
        stream, until = started((), ""), time.monotonic() + self.patience
        with closing(self._lines(stream)) as lines:
            while not stream.is_whole(time.monotonic() > until):
                next(lines)
        return stream.cursor

    def _lines(self, stream: Stream) -> Generator[Change | None, None, None]:
        """The stream, line by line; with a change where one ends it."""
        while True:
            try:
                with self.http.stream("GET", "/v1/changes", **stream.options()) as answer:
                    if answer.is_error:
                        answer.read()
                        raise problem_of(answer)
                    for line in answer.iter_lines():
                        yield stream.feed(line)
                problem = Problem("The stream ended.", reason="UNAVAILABLE")
            except httpx.HTTPError as error:
                problem = unreachable(self.address, error)
            except Problem as error:
                problem = error
            time.sleep(stream.pause_after(problem))
