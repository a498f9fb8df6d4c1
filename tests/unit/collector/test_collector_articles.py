"""Articles as public bodies publish them: the text, and nothing of what surrounds it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.articles import Article, ArticleRules, read_article
from huiyin_collector.model.faults import Fault

SHANGHAI = ZoneInfo("Asia/Shanghai")
READ = datetime(2026, 3, 1, 9, 30, tzinfo=SHANGHAI).astimezone(UTC)
TITLE = "关于东门水厂检修停水的通知"
TEXT = [
    "为保障城区供水安全，供水公司定于本月28日对东门水厂主干管进行检修，东门街、梅林小区一带停水。",
    "检修时间自28日22时起，至次日6时止。请大家提前储水，因检修带来的不便，敬请谅解。",
]
HEAD = "<html><head><meta charset=utf-8><title>{0}_青石镇人民政府</title>{1}</head><body>"
TOP = """<div class=header><a href=/>首页</a><ul><li><a href=/a>新闻中心</a></li>
<li><a href=/b>政务公开</a></li></ul></div>
<div>当前位置：<a href=/>首页</a> &gt; <a href=/a>新闻中心</a> &gt; 正文</div>"""
ABOUT = """<div class=info><span>来源：供水公司</span> <span>发布时间：2026-02-26 09:15</span>
<span>浏览次数：<b>{0}</b></span> <span>字号：【<a>大</a> <a>中</a> <a>小</a>】</span> <a>打印</a> <a>关闭</a></div>"""
AFTER = (
    "<div class=related><h3>相关链接</h3><ul>"
    + "<li><a href=/x>关于供水设施改造工程的公告</a>2026-02-01</li>" * 8
    + "</ul></div>"
)
FOOT = """<div class=footer><p>主办：青石镇人民政府办公室　承办：信息中心</p>
<p>网站标识码：0000000000　ICP备00000000号</p>
<p>联系电话：0000-1234567</p></div></body></html>"""


def paragraphs(lines: list[str]) -> str:
    return "".join(f"<p>　　{line}</p>" for line in lines)


def page(content: str, *, meta: str = "", hits: int = 7, title: str = TITLE) -> str:
    return HEAD.format(title, meta) + TOP + content.format(about=ABOUT.format(hits)) + AFTER + FOOT


def read(text: str, encoding: str = "utf-8", **rules: str) -> Article:
    return read_article(text.encode(encoding), "", ArticleRules(**rules), zone=SHANGHAI, collected=READ)


LAYOUTS = {
    "a container of a system": f"<div><h1>{TITLE}</h1>{{about}}<div class=TRS_Editor>{paragraphs(TEXT)}</div></div>",
    "a box without a name": f"<div><h1>{TITLE}</h1>{{about}}<div>{paragraphs(TEXT)}</div></div>",
    "all in one box": f"<div><h2>{TITLE}</h2>{{about}}{paragraphs(TEXT)}</div>",
    "tables as layout": f"<table><tr><td align=center><b>{TITLE}</b></td></tr><tr><td>{{about}}</td></tr><tr><td>"
    + "<br><br>".join(f"　　{line}" for line in TEXT)
    + "</td></tr></table>",
    "one form around everything": f"<form><h1>{TITLE}</h1>{{about}}<div>{paragraphs(TEXT)}</div></form>",
    "spans of a word processor": f"<h1>{TITLE}</h1>{{about}}<div>"
    + "".join(f"<p><span><font>{line[:9]}</font></span><span>{line[9:]}</span></p>" for line in TEXT)
    + "</div>",
    "a box that is to be printed": f"<h1>{TITLE}</h1>{{about}}<div class='print-content'>{paragraphs(TEXT)}</div>",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_title_text_and_time_are_found_without_a_rule(layout: str) -> None:
    found = read(page(LAYOUTS[layout]))
    assert (found.subject, found.text.splitlines()) == (TITLE, TEXT)
    assert found.published == datetime(2026, 2, 26, 9, 15, tzinfo=SHANGHAI)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_one_more_reader_makes_no_other_text(layout: str) -> None:
    assert read(page(LAYOUTS[layout], hits=7)) == read(page(LAYOUTS[layout], hits=1234))


def test_a_notice_of_one_sentence_is_its_text() -> None:
    content = f"<div><h1>{TITLE}</h1>{{about}}<div><p>3路车因施工改道，望周知。</p></div></div>"
    assert read(page(content)).text == "3路车因施工改道，望周知。"


def test_a_page_in_gbk_reads_the_same() -> None:
    text = page(LAYOUTS["a box without a name"]).replace("utf-8", "gb2312")
    assert read(text, "gbk") == read(page(LAYOUTS["a box without a name"]))


def test_what_a_notice_says_of_time_place_and_signature_stays() -> None:
    lines = [
        "时间：本周六上午九点",
        "地点：镇文化馆报告厅",
        "主办单位：镇文化馆",
        "欢迎各位居民参加。",
        "镇文化馆",
        "2026年2月20日",
    ]
    content = f"<div><h1>{TITLE}</h1>{{about}}<div>{paragraphs(lines)}</div></div>"
    assert read(page(content)).text.splitlines() == lines


def test_pictures_are_told_by_their_captions() -> None:
    pictures = """<p><img src=1.jpg alt='工人在更换阀门'></p><p>阀门换好了。</p><figure><img src=2.jpg alt=IMG_0012.jpg>
    <figcaption>图为新水泵</figcaption></figure><img src=3.jpg title='阀门换好了。'><img src=4.png alt=logo>"""
    content = f"<h1>{TITLE}</h1>{{about}}<div class=TRS_Editor>{pictures}{paragraphs(TEXT)}</div>"
    assert read(page(content)).text.splitlines() == ["阀门换好了。", "图为新水泵", *TEXT, "〔图〕工人在更换阀门"]


@pytest.mark.parametrize(
    ("meta", "shown", "local"),
    [
        ("<meta name=PubDate content='2026-02-20 08:00'>", "发布时间：2026-02-26", (2026, 2, 20, 8)),
        ("<meta property='article:published_time' content='2026-02-20T08:00:00+08:00'>", "", (2026, 2, 20, 8)),
        ("", "<time datetime='2026-02-21T01:00:00Z'>上周</time>", (2026, 2, 21, 9)),
        ("", "信息来源：镇政府 2026年02月22日", (2026, 2, 22)),
        ("", "发布日期：二〇二六年二月二十三日", (2026, 2, 23)),
        ("", "3天前", (2026, 2, 26, 9, 30)),
        ("", "成文日期：2026-02-01 发布日期：2026-02-24", (2026, 2, 24)),
    ],
)
def test_the_time_is_what_the_page_declares_or_shows(meta: str, shown: str, local: tuple[int, int, int]) -> None:
    content = f"<h1>{TITLE}</h1><div>{shown}</div><div>{paragraphs(TEXT)}</div>"
    assert read(page(content, meta=meta)).published == datetime(*local, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("head", "body", "title"),
    [
        ("<title>停水通知-青石镇人民政府</title>", "<h1>青石镇人民政府</h1>", "停水通知"),
        ("<title>青石镇人民政府</title><meta name=ArticleTitle content=停水通知>", "", "停水通知"),
        ("<title>停水通知_要闻_青石镇</title>", "<h1>停水通知</h1>", "停水通知"),
        ("<title></title>", "<h1>停水通知</h1>", "停水通知"),
    ],
)
def test_the_title_is_the_articles_not_the_sites(head: str, body: str, title: str) -> None:
    assert read(f"<html><head>{head}</head><body>{body}<div>{paragraphs(TEXT)}</div></body></html>").subject == title


def test_selectors_override_what_is_found() -> None:
    content = (
        f"<h1>别的标题</h1><h4>{TITLE}</h4><i class=on>2026年1月2日</i>"
        "<div class=a><p>一，二。</p></div><div class=a>三。</div>"
    )
    found = read(page(content), title_selector="h4", text_selector="div.a, div.a p", time_selector=".on")
    assert (found.subject, found.text) == (TITLE, "一，二。\n三。")
    assert found.published == datetime(2026, 1, 2, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "EMPTY_BODY"),
        (page("<div></div>"), "ARTICLE_EMPTY"),
        (page("{about}"), "ARTICLE_EMPTY"),
        ("<a href=/x>另一个很长的标题在这里，还有逗号。</a>" * 50, "ARTICLE_EMPTY"),
        ("<html><body><script>location='/login'</script></body></html>", "ARTICLE_EMPTY"),
        ("<!-- nothing -->", "ARTICLE_EMPTY"),
    ],
)
def test_a_page_of_surroundings_alone_is_told_as_such(content: str, reason: str) -> None:
    with pytest.raises(Fault) as found:
        read(content)
    assert found.value.reason == reason
    with pytest.raises(Fault):
        read(content, text_selector="div.none")
