"""What `huiyin topics` asks of the gateway, and how it shows what waits for a person."""

from __future__ import annotations

from typing import Any, cast

import pytest
from huiyin_cli.client import Gateway, Json, Problem
from huiyin_cli.correcting import correct, review_filter, review_lines


class Answering:
    """A gateway that notes what is posted and gives it back as rows."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Json]] = []

    def post(self, path: str, body: Json) -> Json:
        self.asked.append((path, body))
        return {"name": path, "memberships": [{"name": name} for name in body.get("memberships", [])]}


def test_what_waits_is_narrowed_by_topic_and_place_and_holds_no_rehearsal() -> None:
    assert review_filter("", "") == "topic_low = true AND drill = false"
    assert review_filter("topics/环境保护", 'A市"').endswith(' AND topic = "topics/环境保护" AND place = "places/A市"')


def test_each_that_waits_is_shown_with_its_confidence_and_the_beginning_of_its_text() -> None:
    row: dict[str, Any] = {"name": "memberships/p", "topic": "topics/交通", "topicConfidence": 0.4, "text": "长" * 200}
    shown = list(review_lines([row]))
    assert shown[0] == "memberships/p  0.40  topics/交通"
    assert shown[1].strip() == "长" * 160 + "…"
    assert "huiyin topics correct" in shown[2]
    assert list(review_lines([])) == ["Nothing waits for a person."]


def test_posts_are_corrected_in_batches_and_events_one_by_one() -> None:
    gateway = Answering()
    names = [f"posts/{number}" for number in range(501)] + ["memberships/x", "events/e"]
    found = correct(cast("Gateway", gateway), names, "环境保护", "读过")
    assert [(path, len(body.get("memberships", []))) for path, body in gateway.asked] == [
        ("/v1/memberships:correctTopics", 500),
        ("/v1/memberships:correctTopics", 2),
        ("/v1/events/e:correctTopic", 0),
    ]
    assert all((body["topic"], body["reason"]) == ("topics/环境保护", "读过") for _, body in gateway.asked)
    assert len(found) == 503
    correct(cast("Gateway", gateway), ["events/e"], "", "错了")
    assert gateway.asked[-1][1]["topic"] == ""
    with pytest.raises(Problem, match="memberships/"):
        correct(cast("Gateway", gateway), ["cases/c"], "环境保护", "读过")
