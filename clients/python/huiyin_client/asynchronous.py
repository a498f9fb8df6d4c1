"""The asynchronous client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import Any, Self, TypeVar, overload

import httpx

from huiyin_client.changes import Change, Stream, started
from huiyin_client.problems import Json, Problem, problem_of, unreachable
from huiyin_client.requests import PATIENCE, Call, Pages

T = TypeVar("T")


class AsyncClient:
    """What `Client` is, for asyncio."""

    def __init__(
        self,
        address: str,
        key: str = "",
        *,
        patience: float = PATIENCE,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.address = address.rstrip("/")
        self.patience = patience
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.AsyncClient(base_url=self.address, headers=headers, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self.http.aclose()

    @overload
    async def get(self, path: str, *, of: type[T], **parameters: Any) -> T: ...
    @overload
    async def get(self, path: str, **parameters: Any) -> Json: ...
    async def get(self, path: str, *, of: Any = None, **parameters: Any) -> Any:
        """Reads something. `of`: its type in huiyin_client.resources."""
        return await self.call(Call("GET", path, parameters=parameters))

    @overload
    async def post(self, path: str, body: Json, *, of: type[T], idempotency_key: str = "", etag: str = "") -> T: ...
    @overload
    async def post(self, path: str, body: Json, *, idempotency_key: str = "", etag: str = "") -> Json: ...
    async def post(self, path: str, body: Json, *, of: Any = None, idempotency_key: str = "", etag: str = "") -> Any:
        """Calls a method. With an idempotency key (a UUID) it is done once, however often it is sent."""
        return await self.call(Call("POST", path, body=body, idempotency_key=idempotency_key, etag=etag))

    @overload
    async def patch(self, path: str, body: Json, *, of: type[T], etag: str = "", **parameters: Any) -> T: ...
    @overload
    async def patch(self, path: str, body: Json, *, etag: str = "", **parameters: Any) -> Json: ...
    async def patch(self, path: str, body: Json, *, of: Any = None, etag: str = "", **parameters: Any) -> Any:
        """Changes something; with its etag only if nobody else did meanwhile."""
        return await self.call(Call("PATCH", path, body=body, etag=etag, parameters=parameters))

    async def delete(self, path: str) -> Json:
        """Deletes something."""
        return await self.call(Call("DELETE", path))

    async def call(self, call: Call, *, patience: float | None = None) -> Json:
        """One call, repeated while that is worth it; the answer's JSON object."""
        result: Json = (await self.answer(call, patience=patience)).json()
        return result

    async def answer(self, call: Call, *, patience: float | None = None) -> httpx.Response:
        """The same; the answer as it is, such as a file."""
        attempts = call.attempts(time.monotonic(), self.patience if patience is None else patience)
        while True:
            try:
                options = call.options(attempts.until - time.monotonic())
                answer = await self.http.request(call.method, call.path, **options)
                if not answer.is_error:
                    return answer
                problem = problem_of(answer)
            except httpx.HTTPError as error:
                problem = unreachable(self.address, error)
            await asyncio.sleep(attempts.pause_after(problem, time.monotonic()))

    @overload
    def pages(
        self, path: str, field: str, *, of: type[T], limit: int | None = None, **parameters: Any
    ) -> AsyncIterator[T]: ...
    @overload
    def pages(self, path: str, field: str, *, limit: int | None = None, **parameters: Any) -> AsyncIterator[Json]: ...
    async def pages(
        self, path: str, field: str, *, of: Any = None, limit: int | None = None, **parameters: Any
    ) -> AsyncIterator[Any]:
        """The rows of a listing, page after page, at most `limit` of them; `field` holds those of a page."""
        pages = Pages(limit, done=limit == 0)
        while not pages.done:
            for row in pages.read(await self.get(path, **parameters, **pages.parameters()), field):
                yield row

    async def changes(self, kinds: Iterable[str] = (), cursor: str = "") -> AsyncIterator[Change]:
        """Every change from a place on, as `Client.changes`."""
        async with aclosing(self._lines(started(kinds, cursor))) as lines:
            async for change in lines:
                if change is not None:
                    yield change

    async def place(self) -> str:
        """The place where the stream of changes is now, as `Client.place`."""
        stream, until = started((), ""), time.monotonic() + self.patience
        async with aclosing(self._lines(stream)) as lines:
            while not stream.is_whole(time.monotonic() > until):
                await anext(lines)
        return stream.cursor

    async def _lines(self, stream: Stream) -> AsyncGenerator[Change | None, None]:
        while True:
            try:
                async with self.http.stream("GET", "/v1/changes", **stream.options()) as answer:
                    if answer.is_error:
                        await answer.aread()
                        raise problem_of(answer)
                    async for line in answer.aiter_lines():
                        yield stream.feed(line)
                problem = Problem("The stream ended.", reason="UNAVAILABLE")
            except httpx.HTTPError as error:
                problem = unreachable(self.address, error)
            except Problem as error:
                problem = error
            await asyncio.sleep(stream.pause_after(problem))
