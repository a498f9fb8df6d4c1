"""`huiyin replies`: findings with their remedies, and what changed between two versions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from huiyin_cli.client import Access, Gateway, Problem
from huiyin_cli.replying import blocks, compare, difference_lines, finding_lines

PHRASE = {
    "kind": "KIND_EMPTY_PHRASE",
    "severity": "SEVERITY_REMARK",
    "words": "高度重视",
    "why": "没有事实",
    "instead": "写明做了什么",
}
POINT = {**PHRASE, "kind": "KIND_UNANSWERED_POINT", "severity": "SEVERITY_BLOCKING", "inquiry": "inquiries/1"}


def test_a_finding_is_told_with_its_words_its_reason_and_its_remedy() -> None:
    assert list(finding_lines([PHRASE, {**POINT, "words": ""}])) == [
        "REMARK empty_phrase “高度重视”: 没有事实",
        "    → 写明做了什么",
        "BLOCKING unanswered_point (inquiries/1): 没有事实",
        "    → 写明做了什么",
    ]
    of_file = {
        **POINT,
        "kind": "KIND_UNCLEARED_ATTACHMENT",
        "inquiry": "",
        "words": "",
        "attachment": "cases/1/attachments/2",
    }
    assert next(finding_lines([of_file])) == "BLOCKING uncleared_attachment (cases/1/attachments/2): 没有事实"
    assert [blocks([PHRASE]), blocks([PHRASE, POINT]), blocks([])] == [False, True, False]


def test_a_difference_is_readable_without_colours_and_shows_what_looks_like_markup() -> None:
    pieces = [
        {"change": "CHANGE_SAME", "text": "见[附件]，"},
        {"change": "CHANGE_REMOVED", "text": "3"},
        {"change": "CHANGE_ADDED", "text": "4"},
    ]
    result: dict[str, Any] = {
        "baseVersion": 1,
        "version": 2,
        "pieces": pieces,
        "paragraphs": [{"inquiry": "inquiries/1", "pieces": pieces[2:]}],
    }
    assert list(difference_lines(result, styled=False)) == [
        "version 1 → version 2",
        "见[附件]，[-3-]{+4+}",
        "inquiries/1:",
        "{+4+}",
    ]
    assert list(difference_lines(result, styled=True))[1] == "见[附件]，[red strike]3[/][green underline]4[/]"


def test_versions_are_named_by_their_numbers() -> None:
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        replies = [{"name": f"cases/1/replies/{number}", "version": number} for number in (1, 2, 3)]
        return httpx.Response(200, json={"replies": replies if "cases/1/" in request.url.path else []})

    gateway = Gateway(Access("http://gateway", "key"))
    gateway.http = httpx.Client(base_url="http://gateway", transport=httpx.MockTransport(answer))
    compare(gateway, "cases/1", 0, 0)
    assert asked[-1].path == "/v1/cases/1/replies/3:compare"
    compare(gateway, "cases/1", 2, 1)
    assert (asked[-1].path, asked[-1].params["base"]) == ("/v1/cases/1/replies/2:compare", "cases/1/replies/1")
    with pytest.raises(Problem, match="no version 4; it has 1, 2, 3"):
        compare(gateway, "cases/1", 4, 0)
    with pytest.raises(Problem, match="no reply yet"):
        compare(gateway, "cases/2", 0, 0)
