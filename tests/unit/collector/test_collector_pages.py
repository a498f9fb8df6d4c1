"""List pages as public bodies write them: which links are articles, from when they are, and what the next page is."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.pages import ListPage, ListRules, read_list
from huiyin_collector.model.rules import AddressPattern, RuleError

SHANGHAI = ZoneInfo("Asia/Shanghai")
READ = datetime(2026, 3, 1, 9, 30, tzinfo=SHANGHAI).astimezone(UTC)
URL = "https://www.town.example/xw/index.html"
MENU = """<div class=nav><ul><li><a href=/>首页</a></li><li><a href=/xw/>新闻动态</a></li><li><a href=/fw/>办事服务</a>
</li></ul></div><div class=links><a href=https://www.far.example/>友情链接：远方市人民政府</a></div>"""
FOOT = "<div class=footer><a href=/map>网站地图</a><a href=/about>关于我们</a></div>"


def read(body: str, *, number: int = 1, url: str = URL, encoding: str = "utf-8", **rules: object) -> ListPage:
    page = f"<html><head><title>新闻动态</title></head><body>{MENU}{body}{FOOT}</body></html>"
    listed = ListRules(**rules)  # type: ignore[arg-type]
    return read_list(page.encode(encoding), "", url, listed, number=number, zone=SHANGHAI, collected=READ)


def shown(page: ListPage) -> list[tuple[str, str, str]]:
    """The links: path, title, day."""
    return [(link.url.removeprefix("https://www.town.example"), link.title, day(link.published)) for link in page.links]


def day(moment: datetime | None) -> str:
    return f"{moment.astimezone(SHANGHAI):%Y-%m-%d}" if moment else ""


ITEMS = [
    ("/xw/t1.html", "青石镇开展春季防火检查", "2026-02-26"),
    ("/xw/t2.html", "东街改造工程进入收尾阶段", "2026-02-25"),
    ("/xw/t3.html", "关于清明节期间交通管制的通告", "2026-02-24"),
]


def rows(form: str) -> str:
    """A row for each item. `short`: of a title that is cut off; `local`: as people write days."""
    return "".join(
        form.format(path=path, title=title, short=f"{title[:7]}…", on=on, local=f"{on[:4]}年{on[5:7]}月{on[8:]}日")
        for path, title, on in ITEMS
    )


LINK = "<a href='{path}'>{title}</a>"
LAYOUTS = {
    "a list with the day in a span": f"<ul class=list>{rows(f'<li>{LINK}<span>{{on}}</span></li>')}</ul>",
    "a table with the day in a cell": "<table><tr><td>标题</td><td>日期</td></tr>"
    + rows(f"<tr><td>·</td><td>{LINK}</td><td>[{{on}}]</td></tr>")
    + "</table>",
    "a table with the category linked too": "<table>"
    + rows(f"<tr><td><a href=/c/>[要闻]</a> {LINK}</td><td>{{on}}</td></tr>")
    + "</table>",
    "boxes with the whole title in an attribute": "<div class=box>"
    + rows("<div><a href='{path}' title='{title}'>{short}</a><em>{on}</em></div>")
    + "</div>",
    "lists that lines cut into several": rows(f"<ul><li>{LINK}<i>{{local}}</i></li></ul>"),
    "definitions with the day before": f"<dl>{rows(f'<dd><span>{{on}}</span>{LINK}</dd>')}</dl>",
    "days without a year": f"<ul>{rows(f'<li>{LINK}<span>{{on}}</span></li>').replace('2026-', '')}</ul>",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_articles_of_a_list_are_found_without_a_rule(layout: str) -> None:
    assert shown(read(LAYOUTS[layout])) == ITEMS


def test_a_page_in_gbk_reads_the_same() -> None:
    assert shown(read(LAYOUTS["a list with the day in a span"], encoding="gbk")) == ITEMS


def test_what_is_no_page_of_the_site_is_left_out() -> None:
    more = [
        "<li><a href=/f/plan.pdf>二〇二六年工作计划的附件</a><span>2026-02-20</span></li>",
        "<li><a href=#top>回到这一页的顶部去看</a></li>",
        "<li><a href='javascript:open()'>打开一个新的窗口看看</a></li>",
        "<li><a href=/xw/index.html>这一页它自己的链接在此</a></li>",
        "<li><a href=/xw/t1.html?spm=9>青石镇开展春季防火检查</a></li>",
    ]
    page = read(LAYOUTS["a list with the day in a span"].replace("</ul>", "".join(more) + "</ul>"))
    assert shown(page) == ITEMS


def test_a_selector_and_a_pattern_choose() -> None:
    body = LAYOUTS["a list with the day in a span"] + "<ol><li><a href=/gg/1.html>停水</a> 昨天</li></ol>"
    assert shown(read(body, item_selector="ol li")) == [("/gg/1.html", "停水", "2026-02-28")]
    assert shown(read(body, item_pattern="*/t*.html")) == ITEMS
    assert shown(read(body, item_selector="li > a", item_pattern="https://www.town.example/gg/*.html")) == [
        ("/gg/1.html", "停水", "2026-02-28")
    ]


def test_a_page_without_articles_is_told_as_such() -> None:
    for rules in ({}, {"item_selector": "ul.none a"}, {"item_pattern": "https://other.example/*"}):
        with pytest.raises(Fault) as found:
            read("<p>本栏目暂无内容</p>", **rules)
        assert found.value.reason == "NO_ITEMS"
    # Of the pages after the first, it is the end.
    assert read("<p>本栏目暂无内容</p>", number=2).links == []


@pytest.mark.parametrize(
    ("pager", "rules", "after"),
    [
        ("", {}, ""),
        ("<a href=index_2.html>下一页</a>", {}, "/xw/index_2.html"),
        ("<a href='?page=2'>&gt;</a>", {}, "/xw/index.html?page=2"),
        ("<a href=/b rel=next>2</a>", {}, "/b"),
        ("<a href='javascript:go(2)'>下一页</a>", {}, ""),
        ('<script>createPageHTML(9, 0, "index", "html");</script>', {}, "/xw/index_1.html"),
        ('<script>createPageHTML(9, 8, "index", "html");</script>', {}, ""),
        ("<a class=n href=/c>更多</a>", {"next_selector": "a.n"}, "/c"),
        ("<a href=/d>下一页</a>", {"next_selector": "a.n"}, ""),
        ("", {"page_template": "https://www.town.example/xw/index_{page}.html", "second_page": 1}, "/xw/index_1.html"),
    ],
)
def test_the_next_page_is_found(pager: str, rules: dict[str, object], after: str) -> None:
    page = read(LAYOUTS["a list with the day in a span"] + pager, **rules)
    assert page.next_url.removeprefix("https://www.town.example") == after


def test_a_template_counts_on() -> None:
    rules = ListRules(page_template="https://town.example/{page}.html", second_page=1)
    assert [rules.page_after(number) for number in (1, 2, 3)] == [f"https://town.example/{n}.html" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("glob", "url", "matches"),
    [
        ("https://a.example/x/*.html", "https://a.example/x/1.html", True),
        ("https://a.example/x/*.html", "https://a.example/y/1.html", False),
        ("https://a.example/x/*.html", "https://a.example/x/1.html?a=1", False),
        ("*/2026*/t*.html", "https://a.example/202602/t20_1.html", True),
        ("*.html", "https://a.example/a.html.html", True),
        ("https://a.example/?id=*", "https://a.example/?id=7", True),
        ("https://a.example/?id=*", "https://a.example/xid=7", False),
        ("https://a.example/1", "https://a.example/1", True),
        ("*" * 300 + "x", "https://a.example/" + "a" * 1900, False),
        ("*a" * 200 + "b", "https://a.example/" + "a" * 1900, False),
    ],
)
def test_a_pattern_is_of_whole_addresses_and_costs_no_more_than_their_length(
    glob: str, url: str, matches: bool
) -> None:
    assert AddressPattern("item_pattern", glob).matches(url) is matches


@pytest.mark.parametrize("rule", ["item_selector", "next_selector"])
@pytest.mark.parametrize("css", ["ul > > a", "a[", ":nope()", "a::text()", "@@"])
def test_a_selector_that_is_none_is_refused(rule: str, css: str) -> None:
    with pytest.raises(RuleError) as refused:
        ListRules(**{rule: css})  # type: ignore[arg-type]
    assert refused.value.field == rule
