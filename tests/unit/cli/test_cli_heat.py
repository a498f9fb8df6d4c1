"""How the hot list is shown."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from huiyin_cli.heat import COLUMNS, head

SHANGHAI = ZoneInfo("Asia/Shanghai")
HOT: dict[str, Any] = {
    "event": {"name": "events/e"},
    "heat": {"heat": 8.44, "voices": 7, "recentVoices": 3.61, "growth": 2, "harm": 1.17, "harmedVoices": 2},
}


def test_the_window_and_the_formula_are_told() -> None:
    answer = {"startTime": "2026-03-02T16:00:00Z", "endTime": "2026-03-09T16:00:00Z", "halfLife": "151200s"}
    assert head(answer, SHANGHAI) == (
        "2026-03-03 00:00 to 2026-03-10 00:00 (Asia/Shanghai); a voice counts half after 42 hours; "
        "heat = recent × growth × harm"
    )


def test_each_term_has_a_column() -> None:
    row = {**HOT, "heat": {**HOT["heat"], "gravestHarm": "HARM_HEALTH"}}
    assert {name: column(row) for name, column in COLUMNS.items()} == {
        "heat": "8.4",
        "voices": "7",
        "recent": "3.6",
        "growth": "2.00",
        "harm": "1.17 (2 of health)",
    }


def test_without_harm_none_is_named() -> None:
    assert COLUMNS["harm"]({**HOT, "heat": {"harm": 1}}) == "1.00"
