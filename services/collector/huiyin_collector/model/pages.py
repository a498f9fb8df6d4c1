"""List pages: the links to articles that one shows, and the page that comes after it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from typing import Final
from urllib.parse import urljoin, urlsplit

from lxml import etree

from huiyin_collector.model.encodings import decode
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import absolute, canonical, page_key
from huiyin_collector.model.markup import read_html, text_of
from huiyin_collector.model.posts import MAX_SUBJECT, MAX_URI, clean
from huiyin_collector.model.rules import PAGE, AddressPattern, RuleError, Selector, check_template
from huiyin_collector.model.times import find_published

MOST_LINKS: Final = 500
"""Links that are taken of one page, from its top."""
MOST_PAGES: Final = 100
"""Pages of a list that may be read at one visit."""

_TITLE_LEAST: Final = 6
_TITLE_COUNTED: Final = 40
_ROWS_LEAST: Final = 3
_LISTS: Final = frozenset({"ul", "ol", "table", "dl"})
_BOXES: Final = frozenset({"div", "section", "article", "main", "td", "body", *_LISTS})
_ROW_TEXT: Final = 400
# What is no page: documents, pictures, archives, films.
_NO_PAGE: Final = re.compile(
    r"\.(pdf|docx?|xlsx?|pptx?|wps|et|ofd|rtf|csv|zip|rar|7z|gz|exe|apk|jpe?g|png|gif|bmp|webp|svg|mp[34]|avi|wmv|flv)$",
    re.IGNORECASE,
)
_NEXT: Final = re.compile(r"下一页|下页|后一页|next( page)?|[>›»]{1,2}|下一頁", re.IGNORECASE)
# TRS WCM, which many public bodies run, writes its pagers by this script: createPageHTML(12, 0, "index", "shtml").
_SCRIPTED: Final = re.compile(
    r"""createPageHTML\(\s*(\d{1,5})\s*,\s*(\d{1,5})\s*,\s*["']([\w-]{1,60})["']\s*,\s*["'](\w{1,10})["']"""
)


@dataclass(frozen=True, slots=True)
class Link:
    """A link to an article: its address, what its list calls it, and when it says that it is from."""

    url: str
    title: str
    published: datetime | None

    @property
    def key(self) -> bytes:
        """By what the article is known."""
        return page_key(self.url)


@dataclass(slots=True)
class ListPage:
    """What a page of a list shows. `next_url`: the page after it; empty where it names none."""

    title: str
    links: list[Link] = field(default_factory=list)
    next_url: str = ""


class ListRules:
    """How a list is read. With no rule for its items, they are found by themselves. Raises RuleError."""

    def __init__(
        self,
        *,
        item_selector: str = "",
        item_pattern: str = "",
        next_selector: str = "",
        page_template: str = "",
        second_page: int = 2,
        most_pages: int = 1,
    ) -> None:
        self.items = Selector("item_selector", item_selector)
        self.pattern = AddressPattern("item_pattern", item_pattern)
        self.next = Selector("next_selector", next_selector)
        check_template("page_template", page_template)
        if next_selector and page_template:
            raise RuleError("page_template", "stands beside next_selector; give one of the two")
        self.template = page_template
        self.second_page = second_page
        self.most_pages = min(max(most_pages, 1), MOST_PAGES)

    def page_after(self, number: int) -> str:
        """The address by the template of the page after the `number`th; empty without one."""
        return self.template.replace(PAGE, str(self.second_page + number - 1)) if self.template else ""


def read_list(
    content: bytes, charset: str, url: str, rules: ListRules, *, number: int, zone: tzinfo, collected: datetime
) -> ListPage:
    """Reads the `number`th page of a list, which was fetched from `url`. Raises Fault: EMPTY_BODY, NO_ITEMS."""
    text = decode(content, charset)
    if not text.strip():
        raise Fault("EMPTY_BODY", "the source answered with an empty document")
    root = read_html(text)
    if root is None:
        raise Fault("NO_ITEMS", "the document is no page; give the address of a list of articles")
    base = urljoin(url, next((each.get("href") or "" for each in root.iter("base")), "").strip())
    page = ListPage(clean("".join(next(root.iter("title"), etree.Element("none")).itertext()))[:MAX_SUBJECT])
    anchors = _chosen(root, rules) if rules.items or rules.pattern else root.iter("a")
    links = list(_links(anchors, base, url))
    if rules.pattern:
        links = [each for each in links if rules.pattern.matches(each.url)]
    elif not rules.items:
        links = _items_of(links, url)
    known: dict[bytes, Link] = {}
    for each in links:
        title, published = each.title, find_published(_row_text(each.element), zone, collected)
        known.setdefault(page_key(each.url), Link(each.url, title, published))
    page.links = list(known.values())[:MOST_LINKS]
    page.next_url = _next(root, text, base, url, rules, number)
    if not page.links and number == 1:
        raise Fault("NO_ITEMS", _no_items(rules))
    return page


def _no_items(rules: ListRules) -> str:
    if rules.items or rules.pattern:
        return "the selector and the pattern of the items find no link on the page; look at it anew with a browser"
    return "no list of articles is found on the page; give a selector or a pattern of its items"


@dataclass(frozen=True, slots=True)
class _Anchor:
    element: etree._Element
    url: str
    title: str


def _chosen(root: etree._Element, rules: ListRules) -> Iterable[etree._Element]:
    """The links within what a selector selects."""
    if not rules.items:
        return root.iter("a")
    return [link for each in rules.items.all(root) for link in ([each] if each.tag == "a" else each.iter("a"))]


def _links(anchors: Iterable[etree._Element], base: str, url: str) -> Iterator[_Anchor]:
    here = canonical(url)
    for element in anchors:
        href = (element.get("href") or "").strip()
        if not href or href.startswith(("#", "javascript:", "mailto:", "tel:")):
            continue
        target = absolute(href, base)
        if not target or len(target) > MAX_URI or _NO_PAGE.search(urlsplit(target).path):
            continue
        if canonical(target) != here:
            shown = clean(text_of(element)).replace("\n", " ")
            # Lists cut long titles off and keep the whole in an attribute.
            whole = clean(element.get("title") or "").replace("\n", " ")
            yield _Anchor(element, target, (whole if len(whole) >= len(shown) else shown)[:MAX_SUBJECT])


def _items_of(links: list[_Anchor], url: str) -> list[_Anchor]:
    """Those that look like items of a list: several of one shape, with titles, and best with a day beside each."""
    site = _site(url)
    likely = [each for each in links if len(each.title) >= _TITLE_LEAST and _site(each.url) == site]
    within: dict[etree._Element, int] = {}
    for each in likely:
        for above in each.element.iterancestors():
            within[above] = within.get(above, 0) + 1
    groups: dict[tuple[object, ...], list[_Anchor]] = {}
    for each in likely:
        path: list[str] = []
        for above in each.element.iterancestors():
            tag = str(above.tag)
            if tag in _BOXES and within[above] >= _ROWS_LEAST:
                # Lists that are cut into several by lines between them lie beside one another.
                groups.setdefault((above.getparent(), tag, *path), []).append(each)
                break
            path.append(tag)
        else:
            groups.setdefault((None, *path), []).append(each)
    best = max(groups.values(), key=_weight, default=[])
    return best if best and _weight(best) > 0 else []


def _weight(group: list[_Anchor]) -> float:
    dated = sum(_DAY.search(_row_text(each.element)) is not None for each in group)
    titles = sum(min(len(each.title), _TITLE_COUNTED) for each in group)
    if dated < len(group) / 2 and len(group) < _ROWS_LEAST:
        return 0.0
    return titles * (1 + 2 * dated / len(group))


_DAY: Final = re.compile(
    r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}|\d{1,2}月\d{1,2}日|(?<!\d)\d{2}-\d{2}(?!\d)|天前|小时前|昨天"
)


def _site(url: str) -> str:
    """The last labels of a host, by which a site's own pages are known: those of xx.gov.cn are its offices'."""
    labels = (urlsplit(url).hostname or "").split(".")
    return ".".join(labels[-3:]) if not labels[-1].isdecimal() else ".".join(labels)


def _row_text(element: etree._Element) -> str:
    """What stands in the row of a link: the largest element around it that has no other link to an article."""
    row = element
    for above in element.iterancestors():
        titles = (each for each in above.iter("a") if len("".join(each.itertext()).strip()) >= _TITLE_LEAST)
        if str(above.tag) in ("body", *_LISTS) or len(list(islice(titles, 2))) > 1:
            break
        row = above
    return text_of(row)[:_ROW_TEXT]


def _next(root: etree._Element, text: str, base: str, url: str, rules: ListRules, number: int) -> str:
    if rules.template:
        return rules.page_after(number)
    if rules.next:
        found = rules.next.first(root)
        link = found if found is None or found.tag == "a" else next(found.iter("a"), None)
        return absolute(link.get("href") or "", base) if link is not None else ""
    for element in root.iter("a", "link"):
        said = clean("".join(element.itertext())) or element.get("title") or ""
        if "next" in (element.get("rel") or "").lower().split() or _NEXT.fullmatch(said):
            target = absolute(element.get("href") or "", base)
            if target and not (element.get("href") or "").startswith(("#", "javascript:")):
                return target
    scripted = _SCRIPTED.search(text)
    if scripted is not None and int(scripted[2]) + 1 < int(scripted[1]):
        return absolute(f"{scripted[3]}_{int(scripted[2]) + 1}.{scripted[4]}", url)
    return ""
