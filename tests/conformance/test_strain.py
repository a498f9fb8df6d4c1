"""Deadlines hold, what is too large is refused, what is no message too; and every method serves afterwards."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from huiyin_chassis import clock
from huiyin_chassis.errors import from_rpc_error
from huiyin_chassis.identity import Principal
from huiyin_chassis.server import MAX_MESSAGE_BYTES

from tests.conformance.requests import valid
from tests.conformance.serving import SERVED
from tests.conformance.world import DESK, METHODS, World, new

WATCHES = [key for key, (_, method) in METHODS.items() if method.server_streaming]


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Every store held by somebody else: nothing can be written meanwhile."""
    with ExitStack() as stack:
        for name in SERVED:
            path = world.layout.sqlite_url(name).removeprefix("sqlite:///")
            connection = stack.enter_context(closing(sqlite3.connect(path, timeout=20, isolation_level=None)))
            connection.execute("BEGIN IMMEDIATE")
            stack.callback(connection.rollback)
        yield


def test_no_call_outlives_its_deadline(world: World) -> None:
    """With every store held, each method answers in time: with what it can, or DEADLINE_EXCEEDED."""
    requests = {key: valid(world, key) for key in METHODS if key not in WATCHES}
    for request in requests.values():
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            request.request_id = str(uuid.uuid4())
    text = "老槐树被风刮倒压住了电线"
    requests["casework.SubmitInquiry"].text = text
    with locked(world), ThreadPoolExecutor(32) as pool:
        ended = dict(
            zip(requests, pool.map(lambda key: world.outcome(key, requests[key], timeout=1), requests), strict=True)
        )
    waited = {
        key for key, error in ended.items() if error is not None and error.code == grpc.StatusCode.DEADLINE_EXCEEDED
    }
    assert "casework.SubmitInquiry" in waited
    assert not [error for error in ended.values() if error is not None and error.code == grpc.StatusCode.INTERNAL]
    # The caller cannot know what became of it, and repeats it.
    receipts = {
        world.call("casework.SubmitInquiry", requests["casework.SubmitInquiry"], DESK).receipt for _ in range(2)
    }
    assert len(receipts) == 1
    inquiries = world.call("casework.ListInquiries", new("casework.ListInquiries", page_size=1000)).inquiries
    assert [inquiry.text for inquiry in inquiries].count(text) == 1


@pytest.mark.parametrize("key", WATCHES)
def test_a_stream_ends_with_its_deadline_and_with_its_token(world: World, key: str) -> None:
    def ended(who: Principal, seconds: float) -> str:
        with pytest.raises(grpc.RpcError) as error:
            for _ in world.stub(key)(new(key), metadata=world.token(who), timeout=seconds):
                pass
        return from_rpc_error(error.value).reason

    assert ended(DESK, 0.5) == "DEADLINE_EXCEEDED"
    # A token's time is kept in whole seconds.
    assert ended(replace(DESK, expires=clock.now() + timedelta(seconds=2)), 30) == "TOKEN_EXPIRED"


@pytest.mark.parametrize("key", METHODS)
def test_what_is_too_large_or_no_message_is_refused(world: World, key: str) -> None:
    error = world.outcome(key, bytes(MAX_MESSAGE_BYTES + 1))
    assert error is not None and error.code == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    error = world.outcome(key, b"\xff\xff\xff\xff")
    assert error is not None, error


@pytest.mark.parametrize("service", SERVED)
def test_every_service_serves_afterwards(world: World, service: str) -> None:
    method = {
        "collector": "ListSources",
        "analyzer": "ListEvents",
        "casework": "ListCases",
        "notifier": "ListNotifications",
    }
    key = f"{service}.{method[service]}"
    assert world.outcome(key, new(key)) is None
