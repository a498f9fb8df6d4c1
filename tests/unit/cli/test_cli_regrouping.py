"""What `huiyin events merge`, `split` and `move` send, and how a regrouping reads."""

from __future__ import annotations

from typing import Any, cast

import pytest
from huiyin_cli.client import Gateway, Problem
from huiyin_cli.regrouping import decide, line_of, merge, move, relations, split


class Answers:
    """A gateway that is away at the first call, and keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.sent.append((path, body))
        if len(self.sent) == 1:
            raise Problem("away", reason="UNAVAILABLE")
        return {"name": "events/1"}


def test_a_call_that_is_repeated_names_itself_so_that_nothing_happens_twice() -> None:
    answers = Answers()
    merge(cast("Gateway", answers), "events/1", ["events/2"], "同一件事")
    (path, first), (again, second) = answers.sent
    assert path == again == "/v1/events/1:merge" and first == second
    assert first["events"] == ["events/2"] and first["requestId"]
    split(cast("Gateway", answers), "events/1", ["posts/3"], "两件事")
    move(cast("Gateway", answers), "events/2", ["posts/3"], "两件事")
    decide(cast("Gateway", answers), "regroupings/4", accept=False, reason="两件事")
    paths = [path for path, _ in answers.sent[2:]]
    assert paths == ["/v1/events/1:split", "/v1/events/2:movePosts", "/v1/regroupings/4:dismiss"]
    assert len({body["requestId"] for _, body in answers.sent}) == 4


def test_more_posts_than_one_call_takes_are_refused_before_it() -> None:
    with pytest.raises(Problem, match="at most 1000"):
        move(cast("Gateway", Answers()), "events/2", [f"posts/{n}" for n in range(1001)], "x")


def test_a_regrouping_reads_in_a_line() -> None:
    done = {
        "name": "regroupings/4",
        "kind": "KIND_SPLIT",
        "state": "STATE_DONE",
        "event": "events/1",
        "targetEvent": "events/2",
        "posts": ["posts/3"],
        "author": "accounts/desk",
        "reason": "两件事",
    }
    assert line_of(done) == "regroupings/4  done      split 1 posts of events/1 → events/2  accounts/desk  “两件事”"
    assert "all posts of" in line_of({**done, "kind": "KIND_MERGE", "posts": []})
    assert list(relations({"name": "events/1", "mergedInto": "events/2"})) == ["was merged into events/2"]
