"""`huiyin sources`: what is shown of sources and their visits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huiyin_cli.client import Problem
from huiyin_cli.console import local
from huiyin_cli.visiting import HEALTHS, SOURCES, described, health_lines, trial_lines, trial_of

HEALTH: dict[str, Any] = {
    "name": "sources/town/health",
    "state": "STATE_ACTIVE",
    "uri": "https://town.example/feed",
    "itemsADay": 2.26,
    "itemsTotal": "31",
    "itemsPassedOver": 2,
    "articlesWaiting": 4,
    "articlesBroken": 1,
    "errorStreak": 3,
    "errorReason": "TOO_SLOW",
    "errorMessage": "it sent nothing for 20 s",
    "alarm": "ALARM_SILENT",
    "alarmTime": "2026-03-02T01:00:00Z",
}


def test_a_source_is_a_line() -> None:
    feed = {
        "name": "sources/town",
        "kind": "KIND_FEED",
        "state": "STATE_ACTIVE",
        "displayName": "镇",
        "uri": "https://a/",
    }
    assert [read(feed) for read in SOURCES.values()] == ["town", "FEED", "ACTIVE", "", "镇 https://a/"]
    inbox = {"name": "sources/inbox", "kind": "KIND_INBOX", "displayName": "inbox", "area": "青石镇"}
    assert [read(inbox) for read in SOURCES.values()] == ["inbox", "INBOX", "", "青石镇", "inbox"]


def test_the_health_of_a_source_says_what_failed_and_why() -> None:
    assert [read(HEALTH) for read in HEALTHS.values()] == ["town", "ACTIVE", "2.3", "", "", "silent", "3", "TOO_SLOW"]
    assert list(health_lines(HEALTH)) == [
        "town  ACTIVE  https://town.example/feed",
        "  items a day    2.3, 31 in all",
        "  last visit     —",
        "  last success   —",
        "  last new item  —",
        "  next visit     —",
        f"  silent since {local(HEALTH['alarmTime'])}",
        "  2 items of the last visit lacked what makes a post",
        "  articles       4 wait to be read, 1 could not be read so far",
        "  failed 3 times: TOO_SLOW",
        "  it sent nothing for 20 s",
    ]


def test_a_trial_shows_the_items_and_what_robots_says() -> None:
    trial = {
        "robots": "ROBOTS_ALLOWED",
        "crawlDelaySeconds": 3,
        "format": "RSS",
        "title": "镇讯",
        "uri": "https://town.example/feed",
        "itemsTotal": 22,
        "itemsPassedOver": 1,
        "items": [{"subject": "停水", "text": "今夜\n停水。", "uri": "https://town.example/1"}, {"text": "无题"}],
    }
    assert list(trial_lines(trial)) == [
        "robots.txt: allowed, 3 s between two requests",
        "RSS 镇讯  https://town.example/feed",
        "22 items, 1 without what makes a post would be left out",
        f"  {'—':16}  停水  https://town.example/1",
        f"  {'':16}  今夜 停水。",
        f"  {'—':16}  无题  ",
        "  and 20 more",
    ]


def test_a_trial_of_a_page_names_its_feeds() -> None:
    trial = {"errorReason": "NOT_A_FEED", "errorMessage": "this is no feed", "feeds": ["https://town.example/rss"]}
    assert list(trial_lines(trial)) == [
        "robots.txt: not known",
        "NOT_A_FEED: this is no feed",
        "  feed: https://town.example/rss",
    ]


def test_a_source_is_described_by_a_file_and_by_options_which_count_more(tmp_path: Path) -> None:
    file = tmp_path / "news.yaml"
    file.write_text(
        "kind: KIND_PAGE_LIST\nuri: https://town.example/news\narea: 青石镇\npageList: {mostPages: 3}\n", "utf-8"
    )
    assert described("https://town.example/b", "", "li > a", file) == {
        "kind": "KIND_PAGE_LIST",
        "uri": "https://town.example/b",
        "area": "青石镇",
        "pageList": {"mostPages": 3, "itemSelector": "li > a"},
    }
    assert described("https://town.example/feed", "", "", None) == {
        "kind": "KIND_FEED",
        "uri": "https://town.example/feed",
    }
    assert "area" not in trial_of(described("", "", "", file))


@pytest.mark.parametrize(
    ("uri", "kind", "items", "said"),
    [
        ("", "", "", "give the address"),
        ("https://town.example/", "inbox", "", "choose one of feed, page-list, api"),
        ("https://town.example/", "api", "li", "--items is for --kind page-list"),
    ],
)
def test_what_describes_no_source_is_refused(uri: str, kind: str, items: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        described(uri, kind, items, None)


def test_a_file_that_holds_no_source_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "news.yaml"
    for content, said in (("- a\n", "holds no source"), ("pageList: 3\n", "holds no source"), ("a: [", "is not YAML")):
        file.write_text(content, "utf-8")
        with pytest.raises(Problem, match=said):
            described("", "", "", file)
