"""JSON interfaces: what the expressions of a source find, and what is said of those that find nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.mapping import Answers, Mapping
from huiyin_collector.model.rules import RuleError
from hypothesis import given
from hypothesis import strategies as st

READ = datetime(2026, 3, 1, tzinfo=UTC)
URL = "https://town.example/api/list?p=1"
FIELDS = {"id": "id", "subject": "title", "text": "body", "publish_time": "at", "uri": "href", "likes": "n.up"}


def read(document: Any, *, number: int = 1, fields: dict[str, str] | None = None, **rules: Any) -> Answers:
    mapping = Mapping(**{"items": "list", "fields": fields or FIELDS, **rules})
    return mapping.read(json.dumps(document).encode(), "", URL, number=number, zone=UTC, collected=READ)


@pytest.mark.parametrize(
    ("value", "at"),
    [
        (1_771_000_000, "2026-02-13T16:26:40+00:00"),
        (1_771_000_000_000, "2026-02-13T16:26:40+00:00"),
        ("1771000000", "2026-02-13T16:26:40+00:00"),
        ("2026-02-13T16:26:40Z", "2026-02-13T16:26:40+00:00"),
        ("20260213162640", "2026-02-13T16:26:40+00:00"),
        ("2026年2月13日", "2026-02-13T00:00:00+00:00"),
        ("2小时前", "2026-02-28T22:00:00+00:00"),
        ("昨天", "2026-02-28T00:00:00+00:00"),
        (None, None),
        (True, None),
        ({"$date": 1}, None),
        ("soon", None),
    ],
)
def test_times_are_read_in_every_form_that_interfaces_use(value: object, at: str | None) -> None:
    (draft,) = read({"list": [{"id": 1, "body": "x", "at": value}]}).drafts
    assert (draft.publish_time.isoformat() if draft.publish_time else None) == at


def test_values_become_fields_of_a_post() -> None:
    item = {
        "id": 7.0,
        "title": "停水\n通知",
        "body": ["<p>今夜停水</p>", "请备水"],
        "href": "../q/7",
        "n": {"up": "1.2万"},
    }
    (draft,) = read({"list": [item]}).drafts
    assert (draft.external_id, draft.subject, draft.text) == ("7", "停水 通知", "今夜停水\n请备水")
    assert (draft.uri, draft.reach) == ("https://town.example/q/7", (12_000, 0, 0, 0, 0))


@pytest.mark.parametrize("href", ["javascript:alert(1)", "ftp://a.example/", "http://[", 5, None, "//" + "a" * 3000])
def test_what_is_no_page_is_no_address(href: object) -> None:
    (draft,) = read({"list": [{"id": 1, "body": "x", "href": href}]}).drafts
    assert not draft.uri or draft.uri.startswith("https://town.example/")


@pytest.mark.parametrize(
    "item",
    [None, 5, "x", [], {}, {"id": 1}, {"body": "x"}, {"id": {"a": 1}, "body": "x"}, {"id": "9" * 201, "body": "x"}],
)
def test_an_item_without_an_id_or_content_is_passed_over(item: object) -> None:
    found = read({"list": [item, {"id": 2, "body": "x"}]})
    assert (len(found.drafts), found.passed_over) == (1, 1)
    with pytest.raises(Fault) as refused:
        read({"list": [item]})
    assert refused.value.reason == "MAPPING_EMPTY"


def test_an_empty_list_is_no_fault_and_no_list_is_one() -> None:
    assert read({"list": []}).drafts == []
    for document in ({}, {"list": None}, {"list": {"a": 1}}, [], 5, None):
        with pytest.raises(Fault) as refused:
            read(document)
        assert refused.value.reason == "MAPPING_EMPTY"


@pytest.mark.parametrize(
    ("rules", "document", "after"),
    [
        ({}, {}, ""),
        ({"next_page": "next"}, {"next": "?p=2"}, "https://town.example/api/list?p=2"),
        ({"next_page": "next"}, {"next": None}, ""),
        ({"next_page": "next"}, {"next": "file:///etc/passwd"}, ""),
        (
            {"next_page": "next", "page_template": "https://town.example/?c={token}"},
            {"next": "a&b=/@x"},
            "https://town.example/?c=a%26b%3D%2F%40x",
        ),
        ({"next_page": "next", "page_template": "https://town.example/?c={token}"}, {"next": ""}, ""),
        ({"page_template": "https://town.example/?p={page}", "second_page": 1}, {}, "https://town.example/?p=1"),
    ],
)
def test_the_next_answer_is_found(rules: dict[str, Any], document: dict[str, Any], after: str) -> None:
    assert read({"list": [], **document}, **rules).next_url == after


@pytest.mark.parametrize(
    ("rules", "field", "said"),
    [
        ({"items": "a["}, "items", "character 3"),
        ({"items": "a..b"}, "items", "character 3"),
        ({"items": "`"}, "items", "character 1"),
        ({"items": " "}, "items", "JMESPath"),
        ({"items": ""}, "items", "needed"),
        ({"items": "a | nope(@)"}, "items", "nope, at character 5"),
        ({"items": "[" * 400}, "items", "JMESPath"),
        ({"fields": {"text": "t"}}, "id", "needed"),
        ({"fields": {"id": "id"}}, "text", "needed"),
        ({"fields": {**FIELDS, "views": "a[?"}}, "views", "character 4"),
        ({"next_page": "sum("}, "next_page", "character 5"),
        ({"page_template": "https://town.example/{token}"}, "page_template", "{page}"),
        ({"page_template": "https://town.example/{page}", "next_page": "n"}, "page_template", "{token}"),
    ],
)
def test_an_expression_that_is_none_is_refused_by_field_and_character(
    rules: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(RuleError) as refused:
        Mapping(**{"items": "list", "fields": FIELDS, **rules})
    assert refused.value.field == field and said in refused.value.description


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "title", "body", "at", "n", "up"]), inner)
    ),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=5))
def test_whatever_an_answer_holds_is_read_or_told_as_a_fault(items: list[Any]) -> None:
    try:
        found = read({"list": items})
    except Fault as fault:
        assert fault.reason == "MAPPING_EMPTY"
    else:
        assert len(found.drafts) + found.passed_over == len(items)
        assert all(draft.external_id and (draft.subject or draft.text) for draft in found.drafts)
