"""What `huiyin search` asks, and how it shows what it got."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from huiyin_cli.client import Problem
from huiyin_cli.searching import event_lines, head, pages, post_lines, search_filter

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOTHING = {"topic": "", "place": "", "source": "", "grade": "", "since": "", "until": ""}
HIT: dict[str, Any] = {
    "membership": {"event": "events/e", "publishTime": "2026-03-01T02:00:00Z"},
    "event": {"name": "events/e", "title": "停水", "postCount": "7", "assessment": {"grade": "GRADE_LARGE"}},
    "subject": [{"text": "又"}, {"text": "停水", "matches": True}],
    "snippet": [{"text": "停水", "matches": True}, {"text": "三天"}],
}


def test_names_are_taken_with_or_without_their_collection() -> None:
    given = {
        **NOTHING,
        "topic": "环境保护",
        "place": "places/云溪市",
        "grade": "especially-serious",
        "since": "2026-03-01",
    }
    assert search_filter("停水", zone=SHANGHAI, **given) == {
        "query": "停水",
        "topic": "topics/环境保护",
        "place": "places/云溪市",
        "leastGrade": "GRADE_ESPECIALLY_SERIOUS",
        "since": "2026-03-01T00:00:00+08:00",
    }
    with pytest.raises(Problem, match="choose one of ordinary, large"):
        search_filter("", zone=SHANGHAI, **{**NOTHING, "grade": "huge"})


def test_what_was_looked_for_is_marked() -> None:
    first, second, third = post_lines(HIT, SHANGHAI)
    assert first.plain == "\n2026-03-01 10:00  又停水"
    assert [second.plain[span.start : span.end] for span in second.spans if "bold" in str(span.style)] == ["停水"]
    assert third.plain.startswith("  events/e  LARGE")
    lines = list(event_lines({"event": HIT["event"], "matchCount": 3, "newest": HIT}, SHANGHAI))
    assert lines[0].plain == "\n停水" and "3 of 7 posts" in lines[1].plain and lines[2].plain.endswith("停水三天")


def test_a_count_that_was_cut_off_says_so() -> None:
    assert head({"totalSize": 2000, "totalCapped": True}, "posts") == "2,000+ posts"
    assert head({}, "events") == "0 events"


def test_pages_end_with_the_limit_or_with_the_last() -> None:
    class Answers:
        def __init__(self) -> None:
            self.asked: list[dict[str, Any]] = []

        def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(body)
            return {"hits": [{}] * body["pageSize"], "nextPageToken": "next"}

    gateway: Any = Answers()
    assert len(list(pages(gateway, "/v1/memberships:search", {"filter": {}}, 70))) == 2
    assert [(body["pageSize"], body["pageToken"]) for body in gateway.asked] == [(50, ""), (20, "next")]
