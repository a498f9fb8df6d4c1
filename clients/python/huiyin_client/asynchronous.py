"""The asynchronous client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

import httpx

from huiyin_client.changes import Change, started
from huiyin_client.problems import Json, Problem, problem_of, unreachable
from huiyin_client.requests import PATIENCE, Call, Pages


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

    async def get(self, path: str, **parameters: Any) -> Json:
        """Reads something."""
        return await self.call(Call("GET", path, parameters=parameters))

    async def post(self, path: str, body: Json, *, idempotency_key: str = "", etag: str = "") -> Json:
        """Calls a method. With an idempotency key (a UUID) it is done once, however often it is sent."""
        return await self.call(Call("POST", path, body=body, idempotency_key=idempotency_key, etag=etag))

    async def patch(self, path: str, body: Json, *, etag: str = "", **parameters: Any) -> Json:
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

    async def pages(self, path: str, field: str, *, limit: int | None = None, **parameters: Any) -> AsyncIterator[Json]:
        """The rows of a listing, page after page, at most `limit` of them; `field` holds those of a page."""
        pages = Pages(limit, done=limit == 0)
        while not pages.done:
            for row in pages.read(await self.get(path, **parameters, **pages.parameters()), field):
                yield row

    async def changes(self, kinds: Iterable[str] = (), cursor: str = "") -> AsyncIterator[Change]:
        """Every change from a place on, as `Client.changes`."""
        stream = started(kinds, cursor)
        while True:
            try:
                async with self.http.stream("GET", "/v1/changes", **stream.options()) as answer:
                    if answer.is_error:
                        await answer.aread()
                        raise problem_of(answer)
                    async for line in answer.aiter_lines():
                        change = stream.feed(line)
                        if change is not None:
                            yield change
                problem = Problem("The stream ended.", reason="UNAVAILABLE")
            except httpx.HTTPError as error:
                problem = unreachable(self.address, error)
            except Problem as error:
                problem = error
            await asyncio.sleep(stream.pause_after(problem))
