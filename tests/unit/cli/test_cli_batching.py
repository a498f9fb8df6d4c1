"""`huiyin cases bulk` and `huiyin filters`: what is sent, and what is shown."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from huiyin_cli.batching import body_of, done_lines, filter_line, kept_filter, possible, trial_lines
from huiyin_cli.client import Access, Gateway, Problem

TRIAL: dict[str, Any] = {
    "outcomes": [
        {"name": "cases/1", "etag": "a", "state": "STATE_ASSIGNED", "title": "停水"},
        {
            "name": "cases/2",
            "title": "路灯",
            "errorReason": "STEP_NOT_POSSIBLE",
            "errorMessage": "not possible",
        },
    ],
    "totalSize": "5",
}


def test_what_was_possible_in_the_trial_is_sent_as_it_was_seen() -> None:
    assert possible(TRIAL) == [{"name": "cases/1", "etag": "a"}]
    assert list(trial_lines(TRIAL)) == [
        "cases/1  → ASSIGNED  停水",
        "cases/2  refused (STEP_NOT_POSSIBLE): not possible  路灯",
        "5 cases match; these are the 2 most pressing. Repeat for the others.",
    ]
    assert list(done_lines(TRIAL))[-1] == "1 done, 1 refused"


def test_a_step_takes_its_own_options_and_no_others() -> None:
    given = {"leadUnit": "units/water", "assistingUnits": [], "reason": "", "note": "请办理"}
    assert body_of("assign", given) == {"assign": {"leadUnit": "units/water", "note": "请办理"}}
    assert body_of("close", {}) == {"close": {}}
    with pytest.raises(Problem, match="close takes no --unit; it takes no option"):
        body_of("close", given)
    with pytest.raises(Problem, match="publish is not taken in bulk"):
        body_of("publish", {})


def test_a_filter_is_found_by_what_it_is_called_the_own_one_first() -> None:
    kept = [
        {"name": "caseFilters/1", "displayName": "急件", "filter": "urgent = true", "unit": "units/water"},
        {"name": "caseFilters/2", "displayName": "急件", "filter": "grade >= LARGE", "orderBy": "grade desc"},
    ]
    gateway = Gateway(Access("http://gateway", "key"))
    answer = httpx.MockTransport(lambda request: httpx.Response(200, json={"caseFilters": kept}))
    gateway.http = httpx.Client(transport=answer, base_url="http://gateway")
    assert kept_filter(gateway, "急件") == kept[1]
    assert kept_filter(gateway, "caseFilters/1") == kept[0]
    with pytest.raises(Problem, match="No filter is called 缓件"):
        kept_filter(gateway, "缓件")
    assert [filter_line(each) for each in kept] == [
        "急件  (units/water): urgent = true",
        "急件: grade >= LARGE  by grade desc",
    ]
