"""Feeds of every format become items; broken ones as far as they can be read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.faults import Fault, NotAFeed
from huiyin_collector.model.feeds import MOST_ITEMS, Feed, Item, read_feed, read_feed_time
from huiyin_collector.model.links import item_key, page_key

URL = "https://town.example/news/feed.xml"
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")


def read(content: str | bytes, url: str = URL, charset: str = "") -> Feed:
    octets = content.encode() if isinstance(content, str) else content
    return read_feed(octets, charset, url, source="town", zone=ZONE, collected=NOW)


def only(content: str | bytes, **fields: str) -> Item:
    (item,) = read(content, **fields).items
    return item


def rss(items: str, head: str = "") -> str:
    return f'<?xml version="1.0"?><rss version="2.0"><channel><title>t</title>{head}{items}</channel></rss>'


def test_rss_2_is_read_whole() -> None:
    item = only(
        """<?xml version="1.0" encoding="utf-8"?>
        <rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
             xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/"
             xmlns:atom="http://www.w3.org/2005/Atom">
        <channel><atom:link href="/feed.xml" rel="self"/><link>https://town.example/</link><title>镇讯</title>
        <item><title>停水 &amp; 检修</title><link>https://town.example/1?utm_source=rss</link>
          <guid isPermaLink="false">n-1</guid>
          <pubDate>Thu, 26 Nov 2026 08:00:00 +0800</pubDate><dc:creator>王编辑</dc:creator>
          <description>摘要</description>
          <content:encoded><![CDATA[<p>上午<b>停水</b>。</p><script>x()</script><p>下午恢复&nbsp;供水。</p>]]></content:encoded>
          <slash:comments>12</slash:comments></item></channel></rss>"""
    )
    draft = item.draft
    assert (draft.subject, draft.text) == ("停水 & 检修", "上午停水。\n下午恢复 供水。")
    assert draft.publish_time == datetime(2026, 11, 26, tzinfo=UTC)
    assert (draft.external_id, draft.uri) == ("n-1", "https://town.example/1?utm_source=rss")
    assert (draft.author, draft.reach) == ("王编辑", (0, 0, 12, 0, 0))
    assert item.keys == (page_key("http://town.example/1"), item_key("town", "n-1"))


@pytest.mark.parametrize("version", ["0.91", "0.92", "0.93", "0.94", "2.0"])
def test_older_rss_is_read_with_its_doctype(version: str) -> None:
    doctype = '<!DOCTYPE rss PUBLIC "-//Netscape//DTD RSS 0.91//EN" "http://my.netscape.com/publish/rss-0.91.dtd">'
    feed = (
        f'<?xml version="1.0"?>{doctype}<rss version="{version}"><channel><item><title>a</title></item></channel></rss>'
    )
    assert only(feed).draft.subject == "a"


@pytest.mark.parametrize("namespace", ["http://purl.org/rss/1.0/", "http://my.netscape.com/rdf/simple/0.9/"])
def test_rdf_has_its_items_beside_the_channel(namespace: str) -> None:
    item = only(
        f"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="{namespace}"
            xmlns:dc="http://purl.org/dc/elements/1.1/">
        <channel rdf:about="https://town.example/"><title>镇讯</title></channel>
        <item rdf:about="https://town.example/2"><title>修路</title><link>https://town.example/2</link>
        <dc:date>2026-11-25T10:00:00+08:00</dc:date></item></rdf:RDF>"""
    )
    assert item.draft.subject == "修路"
    assert item.draft.publish_time == datetime(2026, 11, 25, 2, tzinfo=UTC)
    assert item.draft.external_id == "https://town.example/2"


def test_atom_is_read_with_base_and_types_of_text() -> None:
    feed = read(
        """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://town.example/a/">
        <title type="html">镇&amp;lt;讯</title><link href="."/>
        <entry xml:base="b/"><id>urn:1</id><title>一 &lt; 二</title>
          <link rel="alternate" type="text/html" href="c.html"/><link rel="edit" href="edit"/>
          <published>2026-11-26T01:02:03Z</published><updated>2026-11-26T05:00:00Z</updated>
          <author><name>李记者</name><email>li@example.org</email></author>
          <content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>甲</p><p>乙</p></div></content></entry>
        <entry><id>urn:2</id><title type="html">&lt;b&gt;粗&lt;/b&gt;</title><summary>1 &lt; 2</summary></entry>
        </feed>"""
    )
    assert (feed.format, feed.title) == ("ATOM", "镇<讯")
    first, second = (item.draft for item in feed.items)
    assert (first.subject, first.text, first.author) == ("一 < 二", "甲\n乙", "李记者")
    assert (first.uri, first.external_id) == ("https://town.example/a/b/c.html", "urn:1")
    assert first.publish_time == datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    assert (second.subject, second.text) == ("粗", "1 < 2")


def test_atom_0_3_is_read() -> None:
    item = only(
        """<feed version="0.3" xmlns="http://purl.org/atom/ns#"><entry><id>x</id><title>旧</title>
        <issued>2026-11-20T00:00:00+08:00</issued>
        <content type="text/html" mode="escaped">&lt;p&gt;文&lt;/p&gt;</content>
        </entry></feed>"""
    )
    assert (item.draft.subject, item.draft.text) == ("旧", "文")


def test_json_feed_is_read() -> None:
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "镇讯",
        "items": [
            {"id": 7, "url": "/7", "title": "<停水>", "content_html": "<p>甲</p>乙",
             "date_published": "2026-11-26T08:00:00+08:00",
             "authors": [{"name": "王"}]},
            {"id": "8", "content_text": "1 < 2 & 3"},
            "nonsense",
        ],
    }  # fmt: skip
    feed = read(json.dumps(document))
    first, second = (item.draft for item in feed.items)
    assert (feed.format, first.subject, first.text, first.author) == ("JSON", "<停水>", "甲\n乙", "王")
    assert (first.external_id, first.uri) == ("7", "https://town.example/7")
    assert second.text == "1 < 2 & 3"


def test_items_without_title_and_text_are_counted_and_left_out() -> None:
    feed = read(rss("<item><link>https://town.example/1</link></item><item><title>a</title></item>"))
    assert (len(feed.items), feed.passed_over) == (1, 1)


@pytest.mark.parametrize(
    ("link", "uri"),
    [
        ("/3.html", "https://town.example/3.html"),
        ("3.html", "https://town.example/news/3.html"),
        ("//other.example/3", "https://other.example/3"),
        (" https://town.example/3\n", "https://town.example/3"),
        ("javascript:alert(1)", ""),
        ("http://", ""),
        ("http://[", ""),
        ("mailto:a@example.org", ""),
    ],
)
def test_links_are_made_absolute_and_lead_to_pages_only(link: str, uri: str) -> None:
    assert only(rss(f"<item><title>a</title><link>{link}</link></item>")).draft.uri == uri


def test_a_guid_that_is_an_address_stands_for_a_missing_link() -> None:
    assert only(rss("<item><title>a</title><guid>https://town.example/4</guid></item>")).draft.uri.endswith("/4")
    item = only(rss('<item><title>a</title><guid isPermaLink="false">https://town.example/4</guid></item>'))
    assert item.draft.uri == ""


def test_what_several_items_share_is_nobodys_identity() -> None:
    feed = read(
        rss(
            "<item><title>a</title><link>https://town.example/</link><guid>0</guid></item>"
            "<item><title>b</title><link>https://town.example/</link><guid>0</guid></item>"
            "<item><title>c</title><link>https://town.example/home</link></item>",
            head="<link>https://town.example/home</link>",
        )
    )
    assert [(item.keys, item.draft.external_id) for item in feed.items] == [((), "")] * 3


def test_pages_are_known_by_one_key_however_readers_came() -> None:
    same = [
        "https://town.example/a?id=1",
        "http://TOWN.example:80/a?id=1&utm_source=x&spm=1.2",
        "https://town.example/a?utm_campaign=y&id=1#comments",
        "https://town.example/%61?id=1",
        "https://town.example./a?id=1&from=timeline",
    ]
    assert len({page_key(url) for url in same}) == 1
    others = ["https://town.example/a?id=2", "https://town.example/A?id=1", "https://town.example:8080/a?id=1",
              "https://town.example/a?id=1&from=beijing", "https://town.example/a?id=1#!/b"]  # fmt: skip
    assert len({page_key(url) for url in [*others, same[0]]}) == len(others) + 1


def test_withdrawn_entries_are_known_by_their_id() -> None:
    feed = read(
        '<feed xmlns="http://www.w3.org/2005/Atom" xmlns:at="http://purl.org/atompub/tombstones/1.0">'
        '<at:deleted-entry ref="urn:9" when="2026-11-26T00:00:00Z"/></feed>'
    )
    assert feed.withdrawn == [item_key("town", "urn:9")]


# What is broken


@pytest.mark.parametrize(
    ("content", "subjects"),
    [
        (rss("<item><title>a & b &nbsp;c&mdash;d</title></item>"), ["a & b c—d"]),
        (rss("<item><title>a</title></item><item><title>b"), ["a", "b"]),
        (rss("<item><title>a</item><item><title>b</title></item>"), ["a", "b"]),
        ("\n\n  junk " + rss("<item><title>a</title></item>"), ["a"]),
        (rss("<item><title>a\x0b\x00</title></item>"), ["a"]),
        (rss("<item><dc:creator>w</dc:creator><title>a</title></item>"), ["a"]),
        (rss("<item><title>a</title></item>").replace("?>", ' encoding="gb2312"?>', 1), ["a"]),
        (rss("<item><title>甲 &#20057; &#x4E19;</title></item>"), ["甲 乙 丙"]),
        ("<rss><channel><item><title>a</title></item></channel></rss><!-- end --> trailing", ["a"]),
        (rss("<ITEM><TITLE>a</TITLE></ITEM>"), ["a"]),
    ],
)
def test_broken_xml_is_read_as_far_as_it_can_be(content: str, subjects: list[str]) -> None:
    assert [item.draft.subject for item in read(content).items] == subjects


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "utf-8", "utf-16"])
def test_chinese_feeds_are_read_in_any_encoding(encoding: str) -> None:
    content = rss(
        "<item><title>臺中市政府公告：本週六停水</title><description>請提前儲水，謝謝合作。</description></item>"
    )
    assert only(content.encode(encoding)).draft.subject == "臺中市政府公告：本週六停水"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "EMPTY_BODY"),
        ("  \n", "EMPTY_BODY"),
        ("hello", "NOT_A_FEED"),
        ("<html><body>404</body></html>", "NOT_A_FEED"),
        ("<opml/>", "NOT_A_FEED"),
        ("{", "JSON_BROKEN"),
        ('{"a": 1}', "NOT_A_FEED"),
        ("[1]", "NOT_A_FEED"),
        ("[" * 200_000, "JSON_TOO_DEEP"),
        ("<rss>" + "<a>" * 5_000, "XML_TOO_DEEP"),
        ('<!DOCTYPE r [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><rss>&b;</rss>', "XML_ENTITIES"),
        ('<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><rss><channel><item><title>&f;</title></item></channel></rss>',
         "XML_ENTITIES"),
    ],
)  # fmt: skip
def test_what_is_no_feed_is_told_by_name(content: str, reason: str) -> None:
    with pytest.raises(Fault) as refused:
        read(content)
    assert refused.value.reason == reason


def test_a_page_names_its_feeds() -> None:
    page = """<!DOCTYPE html><html><head><base href="https://town.example/x/">
        <link rel="alternate" type="application/rss+xml" href="rss.xml"><link rel="stylesheet" href="a.css">
        <link rel="ALTERNATE" type="application/atom+xml; charset=utf-8" href="/atom"></head><body></body></html>"""
    with pytest.raises(NotAFeed) as refused:
        read(page)
    assert refused.value.feeds == ("https://town.example/x/rss.xml", "https://town.example/atom")


def test_a_feed_of_any_length_is_read_from_its_top() -> None:
    feed = read(rss("".join(f"<item><title>{n}</title></item>" for n in range(MOST_ITEMS + 5))))
    assert (len(feed.items), feed.items[0].draft.subject) == (MOST_ITEMS, "0")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("Thu, 26 Nov 2026 08:00:00 +0800", "2026-11-26T00:00:00"),
        ("Thu, 26 Nov 2026 08:00:00 GMT", "2026-11-26T08:00:00"),
        ("Thu, 26 Nov 2026 08:00:00 GMT+8", "2026-11-26T00:00:00"),
        ("26 Nov 2026 08:00 +0800", "2026-11-26T00:00:00"),
        ("Thursday, 26-Nov-26 08:00:00 GMT", "2026-11-26T08:00:00"),
        ("2026-11-26T08:00:00+08:00", "2026-11-26T00:00:00"),
        ("2026-11-26 08:00:00", "2026-11-26T00:00:00"),
        ("2026年11月26日 8:00", "2026-11-26T00:00:00"),
        ("2026/11/26", "2026-11-25T16:00:00"),
        ("soon", None),
        ("", None),
        ("Thu, 99 Nov 2026 08:00:00 +0800", None),
    ],
)
def test_times_are_read_in_the_spellings_of_feeds(text: str, moment: str | None) -> None:
    found = read_feed_time(text, ZONE)
    assert (found.replace(tzinfo=None).isoformat() if found else None) == moment


def test_a_time_that_cannot_be_right_is_none() -> None:
    assert (
        only(rss("<item><title>a</title><pubDate>Thu, 01 Jan 1970 00:00:00 GMT</pubDate></item>")).draft.publish_time
        is None
    )
