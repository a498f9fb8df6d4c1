"""How `huiyin events series` shows what it got."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from huiyin_cli.client import Problem
from huiyin_cli.series import bar, lines, rfc3339, zone_of

SHANGHAI = ZoneInfo("Asia/Shanghai")


def answer(**more: Any) -> dict[str, Any]:
    hours = [(22, 1), (23, 8), (24, 0), (25, 4)]
    return {
        "event": "events/e",
        "startTime": "2026-03-01T14:00:00Z",
        "endTime": "2026-03-01T18:00:00Z",
        "posts": "13",
        "voiceDays": "9",
        "buckets": [
            {"startTime": f"2026-03-01T{hour - 8:02}:00:00Z", **({"posts": str(posts)} if posts else {})}
            for hour, posts in hours
        ],
        **more,
    }


def test_each_day_is_a_line_with_its_hours_in_their_places() -> None:
    head, first, second = lines(answer(), SHANGHAI)
    assert head.startswith("events/e  2026-03-01 22:00 to 2026-03-02 02:00 (Asia/Shanghai)  13 posts  9 voice-days")
    assert first == f"2026-03-01 Sun  {' ' * 22}▁█      9"
    assert second == f"2026-03-02 Mon  ·▄{' ' * 22}      4"


def test_bursts_and_forecast_are_told_with_their_figures() -> None:
    burst = {
        "startTime": "2026-03-01T15:00:00Z",
        "alarmTime": "2026-03-01T15:10:00Z",
        "posts": "12",
        "expectedPosts": 0.52,
        "surprise": 9.71,
    }
    forecast = {
        "evidence": "EVIDENCE_SUFFICIENT",
        "method": "by hours",
        "startTime": "2026-03-01T18:00:00Z",
        "hours": [{"posts": {"expected": 0.5}}, {"posts": {"expected": 2.0}}],
        "total": {"expected": 2.5, "low": "1", "high": "4", "probability": 0.81},
    }
    found = list(lines(answer(bursts=[burst], burstThreshold=3.5, forecast=forecast), SHANGHAI))
    assert "burst from 2026-03-01 23:00 to now" in found[3] and "12 posts where 0.5 were expected" in found[3]
    assert "2.5 posts expected, 1 to 4 with probability 0.81" in found[4] and "▂█  from 02:00 on" in found[5]


def test_too_little_evidence_is_said() -> None:
    forecast = {"evidence": "EVIDENCE_INSUFFICIENT", "startTime": "2026-03-01T18:00:00Z"}
    assert "INSUFFICIENT" in list(lines(answer(forecast=forecast), SHANGHAI))[-1]


def test_a_bar_is_never_less_than_what_is_there() -> None:
    assert [bar(value, 1000) for value in (0, 1, 500, 1000)] == ["·", "▁", "▄", "█"]


def test_times_are_in_the_zone_unless_they_name_one() -> None:
    assert rfc3339("", SHANGHAI, "--from") == ""
    assert rfc3339("2026-03-01", SHANGHAI, "--from") == "2026-03-01T00:00:00+08:00"
    assert rfc3339("2026-03-01T08:00Z", SHANGHAI, "--from") == "2026-03-01T08:00:00+00:00"
    with pytest.raises(Problem, match="--to"):
        rfc3339("yesterday", SHANGHAI, "--to")
    with pytest.raises(Problem, match="Mars"):
        zone_of("Mars")
