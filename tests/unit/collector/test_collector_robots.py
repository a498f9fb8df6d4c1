"""What a robots.txt allows: RFC 9309 by its sections, then what sites write that no RFC foresaw."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from huiyin_collector.model.robots import ALLOWED, DISALLOWED, MOST_OCTETS, read_robots
from hypothesis import given
from hypothesis import strategies as st

HOST = "https://town.example"


def allows(content: str | bytes, path: str, agent: str = "Huiyin") -> bool:
    octets = content.encode() if isinstance(content, str) else content
    return read_robots(octets, agent).allows(path if "://" in path or not path.startswith("/") else HOST + path)


def only(pattern: str) -> str:
    """Everything is forbidden but what the pattern matches."""
    return f"User-agent: *\nDisallow: /\nAllow: {pattern}\n"


# 2.2.1, the lines of agents


def test_the_groups_that_name_an_agent_hold_together_and_replace_those_for_everyone() -> None:
    content = """
        User-agent: *
        Disallow: /

        User-agent: huiyin
        Disallow: /drafts

        User-agent: otherbot
        User-agent: HUIYIN
        Disallow: /minutes
    """
    assert allows(content, "/news")
    assert not allows(content, "/drafts")
    assert not allows(content, "/minutes")
    assert not allows(content, "/news", agent="stranger")
    assert allows(content, "/drafts", agent="OtherBot")


def test_without_a_group_for_the_agent_or_for_everyone_everything_is_allowed() -> None:
    assert allows("User-agent: otherbot\nDisallow: /\n", "/news")
    assert allows("", "/news")


def test_a_group_that_names_the_agent_and_forbids_nothing_is_enough() -> None:
    for group in ("User-agent: huiyin\n", "User-agent: huiyin\nDisallow:\n"):
        assert allows(f"User-agent: *\nDisallow: /\n\n{group}", "/news")


def test_the_name_of_an_agent_ends_where_no_letter_hyphen_or_underscore_follows() -> None:
    everyone = "User-agent: *\nDisallow: /\n"
    for line in ("Huiyin/2.0", "Huiyin 回音", "hUIYIN (news of the town)", "Huiyin2"):
        assert allows(f"{everyone}User-agent: {line}\nAllow: /\n", "/news"), line
    for line in ("Huiyin-News", "Huiyin_News", "Hui", "xHuiyin", "123"):
        assert not allows(f"{everyone}User-agent: {line}\nAllow: /\n", "/news"), line
    assert not allows(f"{everyone}User-agent: Huiyin News\nAllow: /\n", "/news", agent="Huiyin News")
    assert allows(f"{everyone}User-agent: Huiyin\nAllow: /\n", "/news", agent="Huiyin/0.1")


def test_an_agent_without_a_name_is_everyone_only() -> None:
    assert allows("User-agent: 360\nUser-agent: huiyin\nDisallow: /\n", "/news", agent="")
    assert not allows("User-agent: *\nDisallow: /\n", "/news", agent="")


def test_everyone_may_have_more_behind_the_asterisk_only_after_a_blank() -> None:
    assert not allows("User-agent: * all of you\nDisallow: /\n", "/news")
    assert allows("User-agent: *bot\nDisallow: /\n", "/news")


def test_rules_before_any_agent_are_nobodys() -> None:
    content = "Disallow: /news\nUser-agent: huiyin\nDisallow: /drafts\n"
    assert allows(content, "/news")
    assert not allows(content, "/drafts")


@pytest.mark.parametrize("line", ["", "Sitemap: https://town.example/map.xml", "Host: town.example", "Crawl-delay: 3"])
def test_other_lines_do_not_end_a_group(line: str) -> None:
    content = f"User-agent: huiyin\n{line}\nUser-agent: otherbot\nDisallow: /\n"
    assert not allows(content, "/news")
    assert not allows(content, "/news", agent="otherbot")


# 2.2.2, the lines of rules


def test_the_longest_match_decides_wherever_it_stands() -> None:
    content = "User-agent: *\nAllow: /news/\nDisallow: /news/drafts/\nAllow: /news/drafts/open\nDisallow: /\n"
    assert allows(content, "/news/1")
    assert not allows(content, "/news/drafts/1")
    assert allows(content, "/news/drafts/open/1")
    assert not allows(content, "/mail")


@pytest.mark.parametrize("lines", ["Allow: /news\nDisallow: /news", "Disallow: /news\nAllow: /news"])
def test_of_two_as_long_the_one_that_allows_wins(lines: str) -> None:
    assert allows(f"User-agent: *\n{lines}\n", "/news")


def test_wildcards_count_as_octets_of_a_pattern() -> None:
    content = "User-agent: *\nAllow: /page\nDisallow: /*.htm\n"
    assert not allows(content, "/page.htm")
    assert allows("User-agent: *\nAllow: /page.h\nDisallow: /*.htm\n", "/page.htm")


def test_an_empty_rule_says_nothing() -> None:
    assert allows("User-agent: *\nDisallow:\n", "/news")
    assert not allows("User-agent: *\nDisallow: /\nAllow:\n", "/news")


def test_paths_are_told_apart_by_case_keys_are_not() -> None:
    content = "uSER-aGENT: *\nDISALLOW: /News\n"
    assert not allows(content, "/News")
    assert allows(content, "/news")


def test_a_pattern_that_begins_with_neither_slash_nor_asterisk_matches_nothing() -> None:
    assert allows("User-agent: *\nDisallow: news\nDisallow: https://town.example/\n", "/news")
    assert not allows("User-agent: *\nDisallow: *news\n", "/old/news")


@pytest.mark.parametrize("url", ["https://town.example", "https://town.example#top", "town.example", ""])
def test_an_address_without_a_path_is_the_root(url: str) -> None:
    assert not read_robots(b"User-agent: *\nDisallow: /$\n", "Huiyin").allows(url)
    assert read_robots(b"User-agent: *\nDisallow: /news\n", "Huiyin").allows(url)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://town.example/a/b?c=d#e", "/a/b?c=d"),
        ("https://town.example/a#/news", "/a"),
        ("https://town.example?c=d", "/?c=d"),
        ("https://town.example;c", "/;c"),
        ("//town.example/a/b", "/a/b"),
        ("town.example/a/b", "/a/b"),
        ("/go?to=https://news.example/c", "/go?to=https://news.example/c"),
        ("town.example/go?to=https://news.example/c", "/go?to=https://news.example/c"),
    ],
)
def test_path_and_query_count_and_the_fragment_does_not(url: str, path: str) -> None:
    assert read_robots(only(path + "$").encode(), "Huiyin").allows(url)


def test_the_file_itself_may_always_be_fetched() -> None:
    assert allows("User-agent: *\nDisallow: /\n", "/robots.txt")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("/news?id=1", "/news?id=1"),
        ("/news?from=https://town.example", "/news?from=https%3A%2F%2Ftown.example"),
        ("/news?from=https%3a%2f%2ftown.example", "/news?from=https://town.example"),
        ("/镇街/", "/%E9%95%87%E8%A1%97/"),
        ("/%e9%95%87%e8%a1%97/", "/镇街/"),
        ("/镇街/", "/镇街/"),
        ("/%6E%65%77%73", "/news"),
        ("/news", "/%6e%65%77%73"),
        ("/a b", "/a%20b"),
        ("/*?from=https:", "/x?from=https%3A"),
    ],
)
def test_octets_match_however_they_are_escaped(pattern: str, path: str) -> None:
    assert allows(only(pattern), path)


@pytest.mark.parametrize(
    ("pattern", "path"), [("/a%2Fb", "/a/b"), ("/a/b", "/a%2Fb"), ("/a%3Fb", "/a?b"), ("/a?b=1%26c", "/a?b=1&c")]
)
def test_an_escaped_reserved_octet_is_not_the_bare_one(pattern: str, path: str) -> None:
    assert not allows(only(pattern), path)


# 2.2.3, special characters


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [
        ("/fish", ["/fish", "/fish.html", "/fish/salmon", "/fish?id=1"], ["/Fish", "/catfish", "/desert/fish"]),
        ("/fish*", ["/fish", "/fishheads/x"], ["/Fish", "/catfish"]),
        ("/fish/", ["/fish/", "/fish/?id=1"], ["/fish", "/fish.html"]),
        ("/*.php", ["/index.php", "/a/b.php?c", "/a.php/x"], ["/", "/index.PHP", "/php"]),
        ("/*.php$", ["/index.php", "/a/b.php", "/x.php.php"], ["/a.php?c", "/a.php/", "/a.php5"]),
        ("/fish*.php", ["/fish.php", "/fishheads/cat.php?x"], ["/Fish.PHP"]),
        ("/a*b*a$", ["/aba", "/axbxa", "/aabaa"], ["/aba/", "/ab", "/aa"]),
        ("/a$", ["/a"], ["/a$", "/ab"]),
        ("/a$b", ["/a$b", "/a$bc"], ["/a", "/ab"]),
        ("/*$", ["/", "/a"], []),
        ("/**a", ["/a", "/ba"], ["/b"]),
        ("/price-%24", ["/price-$", "/price-$5", "/price-%24"], ["/price-"]),
        ("/star-%2A.html", ["/star-*.html", "/star-%2a.html"], ["/star-1.html"]),
        ("/aa*aa$", ["/aaaa", "/aaaaa"], ["/aa", "/aaa"]),
    ],
)
def test_an_asterisk_is_anything_and_a_dollar_the_end(pattern: str, matches: list[str], others: list[str]) -> None:
    assert [path for path in matches if not allows(only(pattern), path)] == []
    assert [path for path in others if allows(only(pattern), path)] == []


@given(pattern=st.text("ab*$/", max_size=8), path=st.text("ab$/", max_size=12))
def test_patterns_match_as_the_same_regular_expression_does(pattern: str, path: str) -> None:
    pattern = "/" + pattern
    body = pattern.removesuffix("$") if pattern.endswith("$") else pattern
    expression = ".*".join(re.escape(piece) for piece in body.split("*")) + ("$" if body != pattern else "")
    wanted = re.match(expression, "/" + path) is not None
    assert allows(f"User-agent: *\nDisallow: {pattern}\n", f"{HOST}/{path}") is not wanted


def test_comments_and_blanks_are_no_part_of_a_line() -> None:
    content = "# for all\nUser-agent : *  # yes\n\t Disallow\t:\t /news # not yet\n#Disallow: /mail\n"
    assert not allows(content, "/news")
    assert allows(content, "/mail")


# 2.3.1, what stands for a file that could not be had; 2.5, its size


def test_what_stands_for_a_missing_file_and_for_a_host_in_trouble() -> None:
    assert ALLOWED.allows(f"{HOST}/news")
    assert not DISALLOWED.allows(f"{HOST}/news")


def test_five_hundred_kibibytes_are_read_and_no_half_rule_at_the_end() -> None:
    head = b"User-agent: *\nDisallow: /first\n"
    last = b"Disallow: /last"
    filled = head + b"#" * (MOST_OCTETS - len(head) - len(last) - 1) + b"\n" + last
    assert len(filled) == MOST_OCTETS
    assert not allows(filled, "/last")
    assert not allows(filled + b"-page\n", "/first")
    assert allows(filled + b"-page\n", "/last-page")


# What sites write


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system(end: str) -> None:
    lines = ["User-agent: huiyin", "Disallow: /a", "", "User-agent: otherbot", "Disallow: /b"]
    assert not allows(end.join(lines), "/a")
    assert allows(end.join(lines), "/b")


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb", b"\xef"])
def test_a_byte_order_mark_or_its_rest_is_passed_over(mark: bytes) -> None:
    assert not allows(mark + b"User-agent: *\nDisallow: /\n", "/news")


@pytest.mark.parametrize("key", ["useragent", "user agent", "User-Agents"])
def test_misspelled_agents_are_understood(key: str) -> None:
    assert not allows(f"{key}: huiyin\nDisallow: /\n", "/news")


@pytest.mark.parametrize("key", ["dissallow", "dissalow", "disalow", "diasllow", "disallaw", "Disallowed"])
def test_misspelled_rules_are_understood(key: str) -> None:
    assert not allows(f"User-agent: huiyin\n{key}: /\n", "/news")


def test_a_forgotten_colon_is_understood_where_two_words_stand() -> None:
    assert not allows("User-agent huiyin\nDisallow /\n", "/news")
    assert allows("User-agent huiyin\nDisallow / please\n", "/news")
    assert allows("User-agent huiyin\nDisallow\n: /\n", "/news")


def test_an_index_page_that_is_allowed_stands_for_its_folder_too() -> None:
    content = only("/news/index.html")
    assert allows(content, "/news/index.html")
    assert allows(content, "/news/")
    assert not allows(content, "/news")
    assert not allows(content, "/news/1")
    assert not allows(only("/news/index.php"), "/news/")
    assert allows("User-agent: *\nDisallow: /news/index.html\n", "/news/")


def test_lines_are_cut_where_browsers_stopped_reading() -> None:
    long = "/" + "a" * (2083 * 8 - 1 - len("Disallow: /"))
    assert not allows(f"User-agent: *\nDisallow: {long}/more\n", f"{long}/less")
    assert allows(f"User-agent: *\nDisallow: {long}/more\n", long[:-1])


@pytest.mark.parametrize("content", [b"\x00" * 100, bytes(range(256)) * 10, b"<html><body>404: not here</body></html>"])
def test_what_is_no_robots_txt_forbids_nothing(content: bytes) -> None:
    assert allows(content, "/news")


def test_the_delay_that_is_asked_for_is_that_of_the_agents_own_groups() -> None:
    content = b"User-agent: *\nCrawl-delay: 30\n\nUser-agent: huiyin\nCrawl-delay: 2.5\nDisallow: /a\n"
    assert read_robots(content, "Huiyin").crawl_delay == 2.5
    assert read_robots(content, "stranger").crawl_delay == 30
    assert read_robots(b"User-agent: *\nCrawl-delay: 10\n", "Huiyin").crawl_delay == 10


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf", ""])
def test_a_delay_that_is_no_number_is_none(value: str) -> None:
    assert read_robots(f"User-agent: *\nCrawl-delay: {value}\n".encode(), "Huiyin").crawl_delay == 0


@pytest.mark.parametrize(
    ("content", "url", "verdict"),
    [
        (b"User-agent: Huiyin\nDisallow: /a\n", "https://town.example/a", "disallowed"),
        (b"User-agent: Huiyin\nDisallow: /a\n", "https://town.example/b", "allowed"),
        ("User-agent: *\nDisallow: /镇街\n".encode(), "https://town.example/镇街", "disallowed"),
    ],
)
def test_the_command_prints_its_verdict(content: bytes, url: str, verdict: str) -> None:
    command = [sys.executable, "-m", "huiyin_collector.robots", "--agent", "Huiyin", "--url", url]
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    assert done.stdout.decode() == f"{verdict}\n"
