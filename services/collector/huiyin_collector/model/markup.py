"""Markup, read as far as it can be: XML of feeds behind limits, HTML of pages, and the text in both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.entities import html5
from typing import Final
from urllib.parse import urljoin

from lxml import etree, html

from huiyin_collector.model.faults import Fault

_DECLARATION: Final = re.compile(r"<\?xml[^>]*\?>")
_DOCTYPE: Final = re.compile(r"<!DOCTYPE[^\[>]*(?:\[(?P<subset>.*?)\]\s*)?>", re.DOTALL | re.IGNORECASE)
_ENTITY: Final = re.compile(r"<!ENTITY\s+(?!%)(?P<name>[\w.:-]+)", re.IGNORECASE)
_NAMED: Final = re.compile(r"&([A-Za-z][A-Za-z0-9]{1,31});")
_XML_OWN: Final = frozenset({"amp", "lt", "gt", "quot", "apos"})
# Characters that XML 1.0 does not have (2.2); feeds have them from texts pasted out of word processors.
_ILLEGAL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BARE: Final = re.compile(r"&(?!#\d{1,7};|#[xX][0-9A-Fa-f]{1,6};|[A-Za-z][A-Za-z0-9]{1,31};)")
_DEPTH: Final = "Excessive depth"
BREAKS: Final = frozenset({
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "fieldset", "figcaption", "figure",
    "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre",
    "section", "table", "td", "th", "tr", "ul",
})  # fmt: skip
UNSEEN: Final = frozenset({"script", "style", "template", "noscript", "head", "iframe", "object"})
_FEED_TYPES: Final = ("application/rss+xml", "application/atom+xml", "application/feed+json", "application/rdf+xml")


def read_xml(text: str, url: str) -> etree._Element | None:
    """The root of an XML document, of a broken one as far as it can be read; None where there is nothing.

    Raises Fault: XML_ENTITIES, XML_TOO_DEEP. No entity is expanded and nothing else is loaded.
    """
    start = text.find("<")
    if start < 0:
        return None
    text = _DECLARATION.sub("", text[start:], count=1)
    doctype = _DOCTYPE.search(text, 0, 20_000)
    if doctype is not None:
        for entity in _ENTITY.finditer(doctype["subset"] or ""):
            if entity["name"] + ";" not in html5:
                raise Fault(
                    "XML_ENTITIES",
                    "the document declares entities of its own, which are not expanded; ask its publisher for a "
                    "feed without a document type",
                )
        text = text[: doctype.start()] + text[doctype.end() :]
    elif "<!ENTITY" in text[:20_000]:
        raise Fault("XML_ENTITIES", "the document declares entities of its own, which are not expanded")
    text = _BARE.sub("&amp;", _NAMED.sub(_character, _ILLEGAL.sub("", text)))
    parser = etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True,
        remove_pis=True, encoding="utf-8",
    )  # fmt: skip
    try:
        root = etree.fromstring(text.encode(), parser, base_url=url)
    except etree.XMLSyntaxError:
        root = None
    if any(_DEPTH in entry.message for entry in parser.error_log):
        raise Fault("XML_TOO_DEEP", "the document nests its elements more than 256 deep; no feed does")
    return root


def _character(match: re.Match[str]) -> str:
    """HTML's names of characters, which XML does not know and feeds use."""
    if match[1] in _XML_OWN:
        return match[0]
    return html5.get(match[1] + ";", f"&amp;{match[1]};")


def plain_text(markup: str) -> str:
    """What a reader sees of a piece of HTML, a line for each block."""
    if "<" not in markup:
        return unescape(markup) if "&" in markup else markup
    try:
        root = html.document_fromstring(f"<body>{_ILLEGAL.sub('', markup)}</body>")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return unescape(re.sub(r"<[^>]*>", " ", markup))
    return text_of(root)


def text_of(root: etree._Element) -> str:
    """The same of elements."""
    return "".join(_pieces(root))


def _pieces(root: etree._Element) -> Iterator[str]:
    unseen: etree._Element | None = None
    for event, element in etree.iterwalk(root, events=("start", "end")):
        name = local_name(element)
        if event == "start":
            if unseen is None and name in UNSEEN:
                unseen = element
            if unseen is None:
                if name in BREAKS:
                    yield "\n"
                yield element.text or ""
        else:
            if unseen is element:
                unseen = None
            if unseen is None and element is not root:
                if name in BREAKS and name != "br":
                    yield "\n"
                yield element.tail or ""


def local_name(element: etree._Element) -> str:
    """The name of an element without its namespace, in small letters; empty for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def read_html(text: str) -> etree._Element | None:
    """The root of a page, of a broken one as far as it can be read; None where there is nothing."""
    try:
        return html.document_fromstring(_ILLEGAL.sub("", _DECLARATION.sub("", text, count=1)) or "<p>")
    except (etree.ParserError, etree.XMLSyntaxError, ValueError):
        return None


def feeds_of_page(text: str, url: str) -> list[str]:
    """The addresses of the feeds that an HTML page names, in its order."""
    root = read_html(text)
    if root is None:
        return []
    base = next((element.get("href") or "" for element in root.iter("base")), "")
    base = urljoin(url, base)
    found: list[str] = []
    for element in root.iter("link", "a"):
        kind = (element.get("type") or "").partition(";")[0].strip().lower()
        relations = (element.get("rel") or "").lower().split()
        if kind in _FEED_TYPES and (element.tag == "a" or {"alternate", "feed"} & set(relations)):
            found.append(urljoin(base, (element.get("href") or "").strip()))
    return list(dict.fromkeys(address for address in found if address.startswith(("http://", "https://"))))
