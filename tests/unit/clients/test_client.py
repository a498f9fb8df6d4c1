"""The Python client against an API that answers what a test says: the blocking and the asynchronous one alike."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import httpx
import pytest
from huiyin_client import AsyncClient, Change, Client, Problem
from huiyin_client.requests import Call

Answer = Callable[[httpx.Request], httpx.Response]


def problem(status: int, reason: str, **headers: str) -> httpx.Response:
    document = {"detail": f"{reason} it is", "reason": reason, "traceId": "t1", "metadata": {"part": "casework"}}
    return httpx.Response(status, json=document, headers={key.replace("_", "-"): text for key, text in headers.items()})


class Api:
    """Answers in turn, and remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(params=["blocking", "asynchronous"])
def calling(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls a method of either client; of a generator, so many elements as are asked for."""

    def blocking(api: Answer, method: str, *arguments: Any, take: int = 0, **named: Any) -> Any:
        with Client("http://api/", "hy_key", patience=5, transport=httpx.MockTransport(api)) as client:
            found = getattr(client, method)(*arguments, **named)
            return list(islice(found, take)) if take else found

    def asynchronous(api: Answer, method: str, *arguments: Any, take: int = 0, **named: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient("http://api/", "hy_key", patience=5, transport=httpx.MockTransport(api)) as client:
                found = getattr(client, method)(*arguments, **named)
                if not take:
                    return await found
                elements = []
                async for each in found:
                    elements.append(each)
                    if len(elements) == take:
                        break
                await found.aclose()
                return elements

        return asyncio.run(run())

    return blocking if request.param == "blocking" else asynchronous


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_: float) -> None: ...

    monkeypatch.setattr("huiyin_client.blocking.time.sleep", lambda _: None)
    monkeypatch.setattr("huiyin_client.asynchronous.asyncio.sleep", at_once)


def test_the_key_goes_with_each_call(calling: Callable[..., Any]) -> None:
    api = Api(httpx.Response(200, json={"name": "cases/1"}))
    assert calling(api, "get", "/v1/cases/1") == {"name": "cases/1"}
    assert api.asked[0].headers["authorization"] == "Bearer hy_key"


def test_what_reads_is_asked_again(calling: Callable[..., Any]) -> None:
    away = problem(503, "UNAVAILABLE"), problem(503, "STORE_BUSY"), httpx.ReadError("broke")
    api = Api(*away, httpx.Response(200, json={}))
    assert calling(api, "get", "/v1/cases") == {}
    assert len(api.asked) == 4


def test_what_writes_is_sent_again_only_with_its_key_or_when_nothing_was_done(calling: Callable[..., Any]) -> None:
    api = Api(problem(503, "UNAVAILABLE"), httpx.Response(200, json={}))
    with pytest.raises(Problem, match="UNAVAILABLE it is"):
        calling(api, "post", "/v1/cases/1:note", {"note": "…"})
    assert len(api.asked) == 1

    api = Api(problem(503, "UNAVAILABLE"), httpx.Response(200, json={}))
    calling(api, "post", "/v1/cases/1:note", {"note": "…"}, idempotency_key="k1", etag="3")
    assert [request.headers["idempotency-key"] for request in api.asked] == ["k1", "k1"]
    assert api.asked[1].headers["if-match"] == '"3"'

    api = Api(problem(503, "TOO_MANY_REQUESTS", retry_after="1"), httpx.Response(200, json={}))
    calling(api, "post", "/v1/cases/1:note", {"note": "…"})
    assert len(api.asked) == 2


@pytest.mark.parametrize("reason", ["NOT_FOUND", "STALE_ETAG", "REQUIRED"])
def test_what_will_not_pass_is_told_at_once(calling: Callable[..., Any], reason: str) -> None:
    api = Api(problem(400, reason))
    with pytest.raises(Problem) as caught:
        calling(api, "get", "/v1/cases/1")
    assert (caught.value.reason, caught.value.status, caught.value.trace_id) == (reason, 400, "t1")
    assert caught.value.metadata == {"part": "casework"} and not caught.value.away


def test_a_problem_names_each_field(calling: Callable[..., Any]) -> None:
    faults = [{"field": "text", "description": "is required", "reason": "REQUIRED"}] * 2
    with pytest.raises(Problem, match=r"text: is required; text: is required") as caught:
        calling(Api(httpx.Response(400, json={"reason": "REQUIRED", "violations": faults})), "get", "/")
    assert caught.value.violations[0].field == "text"


def test_a_call_ends_when_its_time_is_over(calling: Callable[..., Any]) -> None:
    api = Api(problem(503, "UNAVAILABLE", retry_after="30"))
    with pytest.raises(Problem):
        calling(api, "get", "/v1/cases")
    assert api.asked[0].headers["prefer"] in ("wait=4", "wait=5")
    assert Call("GET", "/").attempts(time.monotonic(), 1).repeatable


def test_a_listing_is_read_to_its_end_or_its_limit(calling: Callable[..., Any]) -> None:
    def pages() -> Iterator[httpx.Response]:
        yield httpx.Response(200, json={"cases": [{"n": 1}, {"n": 2}], "nextPageToken": "t"})
        yield httpx.Response(200, json={"cases": [{"n": 3}]})

    api = Api(*pages())
    rows = calling(api, "pages", "/v1/cases", "cases", take=9, filter="drill = false")
    assert [row["n"] for row in rows] == [1, 2, 3]
    assert dict(api.asked[1].url.params) == {"filter": "drill = false", "pageSize": "1000", "pageToken": "t"}
    api = Api(*pages())
    assert len(calling(api, "pages", "/v1/cases", "cases", take=9, limit=2)) == 2
    assert len(api.asked) == 1


def event(number: int) -> str:
    return f"id: c{number}\nevent: change\ndata: {json.dumps({'change': {'kind': 'case.opened', 'n': number}})}\n\n"


def test_the_stream_goes_on_where_it_broke(calling: Callable[..., Any]) -> None:
    half = event(1) + ": still here\n\n" + event(2)[:20]
    api = Api(
        httpx.Response(200, text=half), httpx.ReadError("broke"), problem(503, "UNAVAILABLE"),
        httpx.Response(200, text=event(2) + event(3)),
    )  # fmt: skip
    found: list[Change] = calling(api, "changes", ["case.*"], take=3)
    assert [(each.cursor, each.data["change"]["n"]) for each in found] == [("c1", 1), ("c2", 2), ("c3", 3)]
    assert "last-event-id" not in api.asked[0].headers
    assert {request.headers["last-event-id"] for request in api.asked[1:]} == {"c1"}
    assert api.asked[0].url.params["kinds"] == "case.*"


def test_a_place_that_is_not_kept_is_told(calling: Callable[..., Any]) -> None:
    with pytest.raises(Problem) as caught:
        calling(Api(problem(410, "CURSOR_EXPIRED")), "changes", cursor="old", take=1)
    assert caught.value.reason == "CURSOR_EXPIRED"


def test_the_place_of_now_is_told_without_waiting_for_a_change(calling: Callable[..., Any]) -> None:
    api = Api(problem(503, "UNAVAILABLE"), httpx.Response(200, text="retry: 1000\nid: a~b~c~d\n\n" + event(1)))
    assert calling(api, "place") == "a~b~c~d"
    assert len(api.asked) == 2


def test_a_place_without_that_of_a_part_which_is_away_is_waited_for(calling: Callable[..., Any]) -> None:
    api = Api(httpx.Response(200, text="id: a~~c~d\n\n: still here\nid: a~b~c~d\n\n"))
    assert calling(api, "place") == "a~b~c~d"


def test_a_part_that_stays_away_is_told(calling: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 100, 3))
    monkeypatch.setattr("time.monotonic", lambda: float(next(times)))
    with pytest.raises(Problem, match="part of the system is away") as caught:
        calling(Api(httpx.Response(200, text="id: a~~c~d\n\n" * 9)), "place")
    assert caught.value.away
