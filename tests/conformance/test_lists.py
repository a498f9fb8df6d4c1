"""Every list pages through without a gap or a repeat while others write; its tokens hold for its own query alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.api import resource_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huiyin.collector.v1 import source_pb2
from huiyin_chassis.errors import DomainError

from tests.conformance.day import MATTERS
from tests.conformance.requests import valid
from tests.conformance.test_conformance import FOR_ALL
from tests.conformance.world import DESK, ELSEWHERE, METHODS, World, new
from tests.contract.walking import limits

LISTS = [key for key, (_, method) in METHODS.items() if "page_token" in method.input_type.fields_by_name]
ROUNDS = 8
STEADY = {
    "analyzer.ListEvents": "create_time",
    "analyzer.SearchMemberships": "publish_time desc",
    "casework.ListCases": "create_time",
    "casework.ListInquiries": "receive_time",
}
"""An order that nothing changes, where a list is ordered by what does change (how large an event is, what is due)."""
RANKINGS = {"analyzer.SearchEvents": "the most relevant first, and what comes in changes what that is"}
"""Lists whose order moves whatever is asked for, and why."""


def asked(world: World, key: str) -> Any:
    """A request of a list, of everything where it lists what belongs to something."""
    request = valid(world, key)
    if key == "analyzer.ListMemberships":
        request.parent = "events/-"
    if key.startswith("analyzer.Search"):
        request.filter.query = "路灯"
    if key in STEADY:
        request.order_by = STEADY[key]
    return request


def elements(key: str, reply: Message) -> list[str]:
    """What tells the elements of a page apart."""
    lists = [field for field in reply.DESCRIPTOR.fields if field.is_repeated and field.message_type is not None]
    return [_name(each) for each in getattr(reply, lists[0].name)]


def _name(element: Any) -> str:
    for field in element.DESCRIPTOR.fields:
        if field.name == "name" and field.type == FieldDescriptor.TYPE_STRING:
            return str(element.name)
    return _name(element.membership if hasattr(element, "membership") else element.event)


def paged(world: World, key: str, size: int) -> list[str]:
    """The elements of all pages, one after the other."""
    found: list[str] = []
    request = asked(world, key)
    request.page_size = size = min(size, limits(request.DESCRIPTOR.fields_by_name["page_size"]).max)
    while True:
        page = world.call(key, request)
        found += elements(key, page)
        if not page.next_page_token:
            return found
        assert len(elements(key, page)) <= size
        request.page_token = page.next_page_token


def write(world: World, number: int) -> None:
    """Something new in as many lists as there are."""
    text = MATTERS[number % len(MATTERS)]
    posts = [{"external_id": f"w{number}-{n}", "text": f"{text}，第{n}次说了"} for n in range(2)]
    kind = source_pb2.Source.KIND_FILE
    unit = {"name": f"units/w{number}", "display_name": f"{number}", "parent": "units/desk"}
    membership = world.names["Membership"]
    for key, fields in (
        ("collector.CreateSource", {"source_id": f"w{number}", "source": {"kind": kind}}),
        ("collector.BatchCreatePosts", {"source": "sources/board", "posts": posts}),
        ("casework.SubmitInquiry", {"text": f"{text}，还没有人来"}),
        ("casework.BatchUpdateUnits", {"units": [unit]}),
        ("casework.NoteCase", {"name": world.names["Case"], "note": "记一笔"}),
        ("casework.CreateCaseFilter", {"case_filter": {"display_name": f"w{number}", "filter": "urgent = true"}}),
        ("analyzer.BatchUpdateTopics", {"topics": [{"name": f"topics/w{number}", "words": ["词"]}]}),
        ("analyzer.BatchUpdatePlaces", {"places": [{"name": f"places/w{number}"}]}),
        ("analyzer.CorrectTopics", {"memberships": [membership], "topic": f"topics/w{number}", "reason": "试"}),
    ):
        world.call(key, new(key, **fields))


def test_every_list_pages_without_a_gap_or_a_repeat_while_others_write(world: World) -> None:
    before = {key: paged(world, key, 1000) for key in LISTS}
    assert all(before.values()), [key for key, found in before.items() if not found]
    failures: list[BaseException] = []

    def writer() -> None:
        try:
            for number in range(ROUNDS):
                write(world, number)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=writer)
    thread.start()
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(LISTS, pool.map(lambda key: paged(world, key, 3), LISTS), strict=True))
    thread.join()
    assert not failures, failures
    for key in sorted(set(LISTS) - RANKINGS.keys()):
        after = set(paged(world, key, 1000))
        assert len(found[key]) == len(set(found[key])), f"{key} repeats"
        gone = {name for name in before[key] if name in after} - set(found[key])
        assert not gone, f"{key} leaves out {gone}"


@pytest.mark.parametrize("key", LISTS)
def test_a_page_token_holds_for_its_own_list_and_query(world: World, key: str) -> None:
    request = asked(world, key)
    request.page_size = 1
    token = world.call(key, request).next_page_token
    spoilt = {"nothing": "nothing", "spoilt": f"{token[:-2]}AA" if token[-2:] != "AA" else f"{token[:-2]}BB"}
    other = "casework.ListUnits" if key != "casework.ListUnits" else "analyzer.ListTopics"
    first = new(other, page_size=1)
    spoilt["of another list"] = world.call(other, first).next_page_token
    for what, text in spoilt.items():
        request.page_token = text
        error = world.outcome(key, request)
        assert error is not None, what
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"), (what, error)
    if "filter" in request.DESCRIPTOR.fields_by_name and isinstance(request.filter, str) and token:
        request.page_token, request.filter = token, _FILTERS.get(key, "drill = false")
        error = world.outcome(key, request)
        assert error is not None and error.reason == "PAGE_TOKEN_INVALID", error


_FILTERS = {"analyzer.ListRegroupings": "kind = SPLIT", "analyzer.ListTopicCorrections": 'author = "accounts/desk"'}
"""A filter that a list takes, where it does not take `drill`."""


def test_nobody_else_sees_the_rest_of_a_list(world: World) -> None:
    """A token is bound to the reach that it was given for."""
    request = new("casework.ListCases", page_size=1)
    token = world.call("casework.ListCases", request, DESK).next_page_token
    request = new("casework.ListCases", page_size=1, page_token=token)
    error = world.outcome("casework.ListCases", request, ELSEWHERE)
    assert error is not None and error.reason == "PAGE_TOKEN_INVALID", error


def resource_of(key: str) -> str:
    """The type of resource that a list holds, or what a hit of a search is of."""
    output = METHODS[key][1].output_type
    row: Any = next(field for field in output.fields if field.is_repeated and field.message_type is not None)
    fields = row.message_type.fields_by_name
    within = fields.get("membership") or fields.get("event") if "name" not in fields else None
    message = within.message_type if within is not None else row.message_type
    return str(message.GetOptions().Extensions[resource_pb2.resource].type.removeprefix("huiyin/"))


OPEN = {"Publication"}
"""What everybody may read."""


@pytest.mark.parametrize("key", [key for key in LISTS if resource_of(key) not in FOR_ALL.keys() | OPEN])
def test_a_list_holds_nothing_that_is_out_of_reach(world: World, key: str) -> None:
    request = asked(world, key)
    assert elements(key, world.call(key, request))
    try:
        rows = elements(key, world.call(key, request, ELSEWHERE))
    except DomainError as error:
        assert error.code is grpc.StatusCode.NOT_FOUND or error.reason == "REACH_MISSING", error
    else:
        assert rows == []
