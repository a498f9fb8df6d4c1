"""Rules as operators write them: those of the documentation hold, and what a visit does by them keeps to manners."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
import yaml
from google.protobuf import json_format
from huiyin.collector.v1 import source_pb2, source_rules_pb2
from huiyin_collector.fetching import Agent, Fetcher, Limits
from huiyin_collector.looking.rules import check_rules
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.robots import Robots, read_robots
from huiyin_collector.model.schedule import pause_of_article, pause_of_broken_article
from huiyin_collector.pacing import Hosts, Pace, VisitTurns

DOCUMENTED = re.findall(
    r"^    kind: KIND_\w+\n(?:    .*\n)+",
    Path(__file__).parents[3].joinpath("docs/collecting.md").read_text("utf-8"),
    re.M,
)
HOUR, DAY = 3600.0, 86_400.0


@pytest.mark.parametrize("example", DOCUMENTED)
def test_what_the_documentation_shows_can_be_used(example: str) -> None:
    source = json_format.ParseDict(yaml.safe_load(example), source_pb2.Source())
    check_rules(source.kind, source.page_list, source.api)
    assert source.HasField("page_list" if source.kind == source_pb2.Source.KIND_PAGE_LIST else "api")


def test_the_documentation_shows_one_of_each_kind() -> None:
    assert len(DOCUMENTED) == 2


class Asking(Fetcher):
    """Knows a robots.txt without asking for it."""

    async def robots(self, url: str) -> Robots:
        return read_robots(b"User-agent: *\nCrawl-delay: 100\n", "Huiyin")


def test_a_visit_ends_before_a_turn_that_would_come_too_late() -> None:
    async def main() -> None:
        fetcher = Asking(Agent("Huiyin", "Huiyin"), Limits())
        hosts = Hosts(fetcher, Pace(8, 2, 0.0))
        host, _ = hosts.reserve("https://town.example/list")
        assert host is not None and host.under_way == 1
        assert await hosts.learn("https://town.example/list") == 100
        turns = VisitTurns(hosts, "https://town.example/list", 60.0)
        asked = ["https://town.example/list", "https://town.example/1", "https://news.example/1"]
        assert [await turns.take(url) for url in asked] == [True, False, True]
        # Another visit of that host has to wait as well.
        assert hosts.reserve("https://town.example/2")[1] > 90
        await fetcher.close()

    asyncio.run(main())


def test_an_article_is_looked_at_again_whenever_its_age_has_doubled_for_thirty_days() -> None:
    at, looks = 0.0, []
    while pause := pause_of_article(at):
        at += pause
        looks.append(at / HOUR)
    assert looks == [6, 12, 24, 48, 96, 192, 384, 768]


def test_a_broken_article_is_tried_again_five_times_within_a_day_and_a_half() -> None:
    pauses = [pause_of_broken_article(failures) for failures in range(1, 8)]
    assert pauses == [HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, 0, 0]
    assert sum(pauses) < 1.5 * DAY


def test_a_secret_is_read_for_its_host_alone_and_never_printed(tmp_path: Path) -> None:
    tmp_path.joinpath("api.town.example").mkdir()
    tmp_path.joinpath("api.town.example", "board").write_text("k3y-Of-The-Town\n")
    header = source_rules_pb2.Api.Header(name="Authorization", value="Bearer ", secret="board")
    sent = Secrets(tmp_path).read([header], "https://API.town.example:8443/x")
    assert sent.headers == {"Authorization": "Bearer k3y-Of-The-Town"}
    assert "k3y" not in repr(sent)
    sent.check(b'{"ok": true}')
    with pytest.raises(Fault) as refused:
        sent.check(b'{"you sent": "Bearer k3y-Of-The-Town"}')
    assert refused.value.reason == "SECRET_SHOWN"
    for url in ("https://evil.example/x", "https://town.example/", "https://../x", "https://./x"):
        with pytest.raises(Fault) as refused:
            Secrets(tmp_path).read([header], url)
        assert refused.value.reason == "SECRET_MISSING"


@pytest.mark.parametrize("content", ["", "two\nlines", "a" * 5000])
def test_a_secret_that_fits_no_header_is_told_without_its_content(tmp_path: Path, content: str) -> None:
    tmp_path.joinpath("town.example").mkdir()
    tmp_path.joinpath("town.example", "board").write_text(content)
    header = source_rules_pb2.Api.Header(name="X-Key", secret="board")
    with pytest.raises(Fault) as refused:
        Secrets(tmp_path).read([header], "https://town.example/")
    assert refused.value.reason == "SECRET_UNUSABLE"
    assert not content or content not in refused.value.message
