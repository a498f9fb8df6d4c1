"""Articles: the title, the text, the time and the captions of a page, without what surrounds them.

Written for the pages of Chinese public bodies: notices of one sentence, tables as layout, a line of source, time, hits
and font sizes above the text. A count of hits within a text would make each reading a new revision of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final

from lxml import etree

from huiyin_collector.model.encodings import decode
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.markup import BREAKS, UNSEEN, local_name, read_html, text_of
from huiyin_collector.model.posts import MAX_SUBJECT, MAX_TEXT, clean
from huiyin_collector.model.rules import Selector
from huiyin_collector.model.times import find_published, read_published

# Where the publishing systems of Chinese public bodies, universities and newspapers put the text of an article.
_CONTAINERS: Final = (
    "UCAP-CONTENT", "TRS_Editor", "trs_editor_view", "TRS_PreAppend", "Custom_UnionStyle", "zoom", "Zoom",
    "vsb_content", "v_news_content", "wp_articlecontent", "pages_content", "articleContent", "article-content",
    "article_content", "artibody", "rm_txt_con", "js_content", "news_content", "newsContent", "xxgk_content",
    "text_content", "content-text", "detail-content", "view-content",
)  # fmt: skip
_TITLES: Final = ("articletitle", "og:title", "twitter:title", "headline")
_TIMES: Final = (
    "pubdate", "article:published_time", "publishdate", "publish_time", "publishtime", "datepublished",
    "og:published_time", "og:release_date", "weibo:article:create_at", "firstpublishedtime", "dc.date",
    "dc.date.issued", "date",
)  # fmt: skip
_SURROUNDINGS: Final = frozenset({"nav", "footer", "button", "select", "textarea", "input", "aside", "dialog"})
_SURROUNDING_NAMES: Final = re.compile(
    r"(^|[-_ ])(share|bdshare\w*|jiathis\w*|related?|recommend\w*|breadcrumbs?|crumbs?|position|dqwz|location|pager|"
    r"pagination|print|toolbar|tools|footer|foot|copyright|comments?|hot-?news|side-?bar|advert\w*|qrcode|ewm|prev-?next|"
    r"pagenext|closewindow)($|[-_ ])",
    re.IGNORECASE,
)
_CONTENT_NAMES: Final = re.compile(r"content|article|main|detail|body|text|zhengwen|news", re.IGNORECASE)
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_SOURCES: Final = (
    r"(信息|稿件|文章)?来源|发布(人|机构|单位|时间|日期)?|发稿时间|更新(时间|日期)|作者|供稿(单位)?|撰稿|编辑|责任编辑|审核|责编|校对"
    r"|索引号|信息分类|生成日期"
)
_HITS: Final = (
    r"(浏览|阅读|点击|访问)(次数|量|数)?|人气|字号|字体(大小)?|分享(到|至)?|打印(本页|文章)?|关闭(本页|窗口)?"
)
_ENDS: Final = r"[\s【\[(（|】\])）]*"
# What changes from one reading to the next, and what serves the reader of the page: never a part of the text.
_NOISE: Final = re.compile(
    rf"{_ENDS}({_HITS}){_ENDS}[:：|].*|{_ENDS}({_HITS}|大|中|小|收藏|默认)({_ENDS}({_HITS}|大|中|小|收藏|默认|本页|窗口))*{_ENDS}"
    r"|扫一扫.{0,30}|返回(顶部|列表|首页)|\d+\s*(次|人)(浏览|阅读)|相关(链接|新闻|文章|阅读|推荐)[:：]?|(上|下)一(篇|条)\s*[:：]?.*"
)
# What stands above or below a text and is about it: its source, its day, its place in the site.
_ABOUT: Final = re.compile(
    rf"{_ENDS}({_SOURCES})\s*[:：].*|{_ENDS}(时间|日期)\s*[:：]\s*\d{{4}}\s*[-/.年].*|(当前|您?(现在)?的?(所在)?)位置\s*[:：].*"
    rf"|首页\s*[>＞»/].*|{_ENDS}\d{{4}}[-/.年]\d{{1,2}}[-/.月]\d{{1,2}}日?(\s*\d{{1,2}}:\d{{2}}(:\d{{2}})?)?\s*(({_SOURCES}|{_HITS})\s*[:：].*)?"
)
_LEGAL: Final = re.compile(r"ICP备|ICP证|公网安备|网站标识码|版权所有|copyright|all rights reserved", re.IGNORECASE)
_FOOTER: Final = re.compile(r"主办[单位]*[:：]|承办[单位]*[:：]|技术支持|网站地图|联系我们")
_ABOUT_LENGTH: Final = 120
_DAY_ALONE: Final = re.compile(r"\s*\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?\s*")  # under a signature
_SENTENCE: Final = re.compile(r"[，。；！？、]|[,;!?]\s|\.\s")
_SHARE_OF_BEST: Final = 0.7
_LEAST_TEXT: Final = 4
# The day of publication first; that of another step, or one without a name, where there is none.
_LABELLED_TIMES: Final = (
    re.compile(r"(?:发布(?:时间|日期)?|发稿时间|发表(?:时间|于)|刊发时间)\s*[:：]\s*(.{6,40})", re.DOTALL),
    re.compile(r"(?:日\s*期|时\s*间)\s*[:：]\s*(.{6,40})", re.DOTALL),
)
_MASTHEAD: Final = 1500
_TITLE_END: Final = re.compile(r"\s*[-_|–—－＿｜>»]+\s*")
_FILE_NAME: Final = re.compile(
    r"[\w./%-]*\.(jpe?g|png|gif|bmp|webp)|[\w-]*|(图片|image|img)\s*\d*", re.IGNORECASE | re.ASCII
)


@dataclass(frozen=True, slots=True)
class Article:
    """What a page says: its title, its text with captions, and when it is from, where it says so."""

    subject: str
    text: str
    published: datetime | None


class ArticleRules:
    """Where an article has its title, text and time; what has no selector is found by itself. Raises RuleError."""

    def __init__(self, *, title_selector: str = "", text_selector: str = "", time_selector: str = "") -> None:
        self.title = Selector("title_selector", title_selector)
        self.text = Selector("text_selector", text_selector)
        self.time = Selector("time_selector", time_selector)


def read_article(content: bytes, charset: str, rules: ArticleRules, *, zone: tzinfo, collected: datetime) -> Article:
    """Reads the page of an article. Raises Fault: EMPTY_BODY, ARTICLE_EMPTY."""
    text = decode(content, charset)
    if not text.strip():
        raise Fault("EMPTY_BODY", "the article answered with an empty document")
    root = read_html(text)
    if root is None:
        raise _empty(rules)
    metas = _metas(root)
    subject = _subject(root, metas, rules)
    published = _published(root, metas, rules, zone, collected)
    chosen = rules.text.all(root)
    if rules.text:
        lines = [line for each in _outermost(chosen) for line in clean(text_of(each)).splitlines()]
    else:
        _drop_surroundings(root)
        body = _body(root)
        chosen = [body] if body is not None else []
        lines = [line for each in chosen for line in _without_remarks(clean(text_of(each)).splitlines(), subject)]
    lines += _captions(chosen, lines)
    found = clean("\n".join(lines))[:MAX_TEXT]
    if len(found) < (1 if rules.text else _LEAST_TEXT):
        raise _empty(rules)
    return Article(subject, found, published)


def _empty(rules: ArticleRules) -> Fault:
    remedy = "look at text_selector anew" if rules.text else "name the place of its text by text_selector"
    return Fault("ARTICLE_EMPTY", f"nothing of the page looks like the text of an article; {remedy}")


def _metas(root: etree._Element) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in root.iter("meta"):
        name = (element.get("name") or element.get("property") or element.get("itemprop") or "").strip().lower()
        if name and (element.get("content") or "").strip():
            found.setdefault(name, element.get("content") or "")
    return found


def _subject(root: etree._Element, metas: dict[str, str], rules: ArticleRules) -> str:
    if rules.title:
        element = rules.title.first(root)
        return _line(text_of(element)) if element is not None else ""
    window = _line("".join(next(root.iter("title"), etree.Element("none")).itertext()))
    named = [_line(metas.get(name, "")) for name in _TITLES]
    heads = [_line(text_of(each)) for name in ("h1", "h2") for each in root.iter(name)]
    # A heading that the window's title begins with is the article's; another may be the site's own name.
    for candidate in (named[0], *heads, *named[1:]):
        if len(candidate) > 1 and (candidate == named[0] or window.startswith(candidate[:20])):
            return candidate
    first = _TITLE_END.split(window)[0]
    return first or next(filter(None, (*named, *heads)), "")


def _line(text: str) -> str:
    return clean(text).replace("\n", " ")[:MAX_SUBJECT]


def _published(
    root: etree._Element, metas: dict[str, str], rules: ArticleRules, zone: tzinfo, collected: datetime
) -> datetime | None:
    def first(texts: Iterator[str]) -> datetime | None:
        read = (read_published(each, zone, collected) or find_published(each, zone, collected) for each in texts)
        return next((moment for moment in read if moment is not None), None)

    if rules.time:
        return first(each.get("datetime") or text_of(each) for each in rules.time.all(root))
    declared = first(metas[name] for name in _TIMES if name in metas)
    if declared is not None:
        return declared
    stamped = first(each.get("datetime") or text_of(each) for each in root.iter("time"))
    if stamped is not None:
        return stamped
    shown = clean(text_of(root))
    labelled = first(match[1] for label in _LABELLED_TIMES for match in label.finditer(shown))
    return labelled or first(line for line in shown[:_MASTHEAD].splitlines() if len(line) < _ABOUT_LENGTH)


def _drop_surroundings(root: etree._Element) -> None:
    """Takes out what no article consists of."""
    whole = len(text_of(root))
    for element in list(root.iter()):
        name = local_name(element)
        if name in ("html", "body", "head") or element.getparent() is None:
            continue
        named = f"{element.get('class') or ''} {element.get('id') or ''}"
        hidden = _HIDDEN.search(element.get("style") or "") is not None
        named_so = _SURROUNDING_NAMES.search(named) is not None and _CONTENT_NAMES.search(named) is None
        surrounds = name in _SURROUNDINGS or named_so
        # Some sites name the whole page so.
        if hidden or (surrounds and len(text_of(element)) < whole / 2):
            element.drop_tree()  # type: ignore[attr-defined]


def _body(root: etree._Element) -> etree._Element | None:
    """The smallest element that holds the text of the article; None where there is none."""
    weights = _weights(root)
    named = [
        each
        for each in root.iter()
        if isinstance(each.tag, str)
        and not {each.get("id"), *(each.get("class") or "").split()}.isdisjoint(_CONTAINERS)
    ]
    best = max(named, key=lambda each: weights.get(each, 0.0), default=None)
    if best is not None and (weights.get(best, 0.0) > 0 or next(best.iter("img"), None) is not None):
        return best
    element = next(root.iter("body"), root)
    if weights.get(element, 0.0) <= 0:
        return None
    while True:
        inner = max(element, key=lambda each: weights.get(each, 0.0), default=None)
        # Not into a paragraph, however long: its neighbours belong to it.
        if inner is None or local_name(inner) not in BREAKS - {"p"}:
            return element
        if weights.get(inner, 0.0) < _SHARE_OF_BEST * weights[element]:
            return element
        element = inner


def _weights(root: etree._Element) -> dict[etree._Element, float]:
    """How much of what reads like the sentences of an article lies within each element."""
    weights: dict[etree._Element, float] = {}
    for block, (text, linked) in _blocks(root).items():
        length = len(text)
        if linked > length / 2 or _LEGAL.search(text) or _FOOTER.search(text) or _is_about(text) or _is_noise(text):
            continue
        marks = len(_SENTENCE.findall(text))
        weight = length + 5.0 * marks if marks else length / 4
        weights[block] = weights.get(block, 0.0) + weight
        for above in block.iterancestors():
            weights[above] = weights.get(above, 0.0) + weight
    return weights


def _blocks(root: etree._Element) -> dict[etree._Element, tuple[str, int]]:
    """The text of each block that is its own, and how much of it is links."""
    found: dict[etree._Element, list[str]] = {}
    links: dict[etree._Element, int] = {}

    def add(block: etree._Element, text: str | None, linked: bool) -> None:
        said = " ".join((text or "").split())
        if said:
            found.setdefault(block, []).append(said)
            if linked:
                links[block] = links.get(block, 0) + len(said)

    # Depth is bounded by the parser.
    def walk(element: etree._Element, block: etree._Element, linked: bool) -> None:
        name = local_name(element)
        if not name or name in UNSEEN:
            return
        inner = element if name in BREAKS and name != "br" else block
        linked = linked or name == "a"
        add(inner, element.text, linked)
        for child in element:
            walk(child, inner, linked)
            add(inner, child.tail, linked)

    walk(root, root, False)
    return {block: (" ".join(pieces), links.get(block, 0)) for block, pieces in found.items()}


def _is_about(line: str) -> bool:
    return len(line) <= _ABOUT_LENGTH and _ABOUT.fullmatch(line) is not None


def _is_noise(line: str) -> bool:
    return len(line) <= _ABOUT_LENGTH and (_NOISE.fullmatch(line) is not None or _LEGAL.search(line) is not None)


def _without_remarks(lines: list[str], subject: str) -> list[str]:
    """The lines of an article without its title and what is about it at both ends, and without what is of the page."""
    kept = [line for line in lines if not _is_noise(line)]
    while kept and (kept[0] == subject or _is_about(kept[0])):
        kept = kept[1:]
    while len(kept) > 1 and _is_about(kept[-1]) and not _DAY_ALONE.fullmatch(kept[-1]):
        kept = kept[:-1]
    return kept


def _captions(elements: list[etree._Element], lines: list[str]) -> Iterator[str]:
    """What pictures show, by their alternative texts and titles, where the text does not say it already."""
    said = "\n".join(lines)
    for picture in (each for element in elements for each in element.iter("img")):
        caption = _line(picture.get("alt") or picture.get("title") or "")
        if len(caption) >= _LEAST_TEXT and not _FILE_NAME.fullmatch(caption) and caption not in said:
            said += caption
            yield f"〔图〕{caption}"


def _outermost(elements: list[etree._Element]) -> list[etree._Element]:
    """Elements that do not lie within another of them."""
    chosen = set(elements)
    return [each for each in elements if not any(above in chosen for above in each.iterancestors())]
