"""Feeds: RSS 0.9x to 2.0, RSS 1.0 (RDF), Atom 0.3 and 1.0, JSON Feed, broken ones as far as they can be read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from email.utils import parsedate_to_datetime
from typing import Any, Final

from lxml import etree

from huiyin_collector.model.encodings import decode
from huiyin_collector.model.faults import Fault, NotAFeed
from huiyin_collector.model.json_documents import read_json
from huiyin_collector.model.links import absolute, canonical, item_key, page_key
from huiyin_collector.model.markup import feeds_of_page, local_name, plain_text, read_xml, text_of
from huiyin_collector.model.posts import (
    MAX_EXTERNAL_ID,
    MAX_SUBJECT,
    MAX_TEXT,
    MAX_URI,
    Draft,
    clean,
    identifier,
    read_figure,
)
from huiyin_collector.model.times import is_plausible, read_time

MOST_ITEMS: Final = 2000
"""Items that are read of a feed, from its top."""

_PREFIXES: Final = {
    "http://purl.org/rss/1.0/modules/content/": "content",
    "http://purl.org/dc/elements/1.1/": "dc",
    "http://purl.org/dc/terms/": "dc",
    "http://purl.org/rss/1.0/modules/slash/": "slash",
    "http://purl.org/syndication/thread/1.0": "thr",
    "http://rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "http://purl.org/atompub/tombstones/1.0": "at",
    "http://search.yahoo.com/mrss/": "media",
    "http://www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "http://www.w3.org/2005/atom": "atom",
    "http://purl.org/atom/ns#": "atom",
}
_LEADING: Final = frozenset({"atom", "rss", "rdf"})  # their names need no prefix
_TIMES: Final = ("pubdate", "published", "dc:date", "issued", "dc:created", "created", "updated", "modified", "date")
_BODIES: Final = ("content:encoded", "content", "description", "summary", "dc:description", "media:description", "body")
_AUTHORS: Final = ("author", "dc:creator", "itunes:author")
_REPLIES: Final = ("slash:comments", "thr:total")
_ZONE_NAME: Final = re.compile(r"(?:GMT|UTC)\s?(?=[+-]\d)", re.IGNORECASE)
_SHORT_OFFSET: Final = re.compile(r"([+-])(\d)(?::?(\d\d))?$")


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a feed as a draft, with the keys by which it is known again, the most telling first; maybe none."""

    draft: Draft
    keys: tuple[bytes, ...]


@dataclass(slots=True)
class Feed:
    """What a feed says. `withdrawn`: keys of items that it declares deleted; `passed_over`: items without content."""

    format: str
    title: str = ""
    items: list[Item] = field(default_factory=list)
    withdrawn: list[bytes] = field(default_factory=list)
    passed_over: int = 0
    ttl_seconds: float = 0.0


@dataclass(slots=True)
class _Entry:
    """An item as its format has it."""

    id: str = ""
    id_is_link: bool = False
    link: str = ""
    title: str = ""
    body: str = ""
    author: str = ""
    time: str = ""
    replies: object = None


def read_feed(content: bytes, charset: str, url: str, *, source: str, zone: tzinfo, collected: datetime) -> Feed:
    """Reads the document that was fetched from `url`. `source`: whose items these are; `zone`: of times without one.

    Raises Fault: EMPTY_BODY, NOT_A_FEED, XML_ENTITIES, XML_TOO_DEEP, JSON_BROKEN, JSON_TOO_DEEP.
    """
    text = decode(content, charset).lstrip("\ufeff \t\r\n\x00")
    if not text:
        raise Fault("EMPTY_BODY", "the source answered with an empty document")
    if text[0] in "{[":
        return _Reading(source, zone, collected).json_feed(text, url)
    root = read_xml(text, url)
    name = local_name(root).rpartition(":")[2] if root is not None else ""
    reading = _Reading(source, zone, collected)
    if root is not None and name in ("rss", "rdf", "channel"):
        return reading.rss(root, url, name)
    if root is not None and name == "feed":
        return reading.atom(root, url)
    raise _no_feed(text, url)


def _no_feed(text: str, url: str) -> NotAFeed:
    found = feeds_of_page(text, url)
    remedy = (
        f"the page names {found[0]}; take that address" if found else "give the address of an RSS, Atom or JSON feed"
    )
    return NotAFeed(f"this is no feed: {remedy}", tuple(found[:20]))


class _Reading:
    def __init__(self, source: str, zone: tzinfo, collected: datetime) -> None:
        self._source = source
        self._zone = zone
        self._collected = collected

    def rss(self, root: etree._Element, url: str, name: str) -> Feed:
        channel = next((each for each in root.iter() if local_name(each) == "channel"), root)
        head = _children(channel)
        feed = Feed("RDF" if name == "rdf" else "RSS", clean(plain_text(_text(head.get("title"))))[:MAX_SUBJECT])
        ttl = _text(head.get("ttl")).strip()
        feed.ttl_seconds = 60.0 * int(ttl) if ttl.isdecimal() and len(ttl) < 6 else 0.0
        entries = [_rss_entry(each) for each in _limited(root, "item")]
        home = absolute(_text(head.get("link")), url)
        self._fill(feed, entries, home)
        self._withdraw(feed, root)
        return feed

    def atom(self, root: etree._Element, url: str) -> Feed:
        head = _children(root)
        feed = Feed("ATOM", clean(plain_text(_atom_text(head.get("title"))))[:MAX_SUBJECT])
        entries = [_atom_entry(each) for each in _limited(root, "entry")]
        self._fill(feed, entries, "")
        self._withdraw(feed, root)
        return feed

    def json_feed(self, text: str, url: str) -> Feed:
        document: Any = read_json(text)
        items = document.get("items") if isinstance(document, dict) else None
        if not isinstance(items, list):
            raise NotAFeed("this JSON is no feed: it has no items; give the address of a JSON Feed")
        feed = Feed("JSON", clean(_string(document.get("title")))[:MAX_SUBJECT])
        entries = [_json_entry(each, url) for each in items[:MOST_ITEMS] if isinstance(each, dict)]
        self._fill(feed, entries, absolute(_string(document.get("home_page_url")), url))
        return feed

    def _fill(self, feed: Feed, entries: list[_Entry], home: str) -> None:
        # An id or a link that several items have tells none of them from the others, nor does the site's own page.
        links = Counter(canonical(entry.link) for entry in entries if entry.link)
        ids = Counter(entry.id for entry in entries if entry.id)
        common = canonical(home) if home else ""
        for entry in entries:
            subject, text = clean(plain_text(entry.title))[:MAX_SUBJECT], clean(plain_text(entry.body))[:MAX_TEXT]
            if not subject and not text:
                feed.passed_over += 1
                continue
            link = canonical(entry.link) if entry.link else ""
            keys: list[bytes] = []
            external_id = ""
            if entry.id and ids[entry.id] == 1:
                external_id = entry.id if len(entry.id) <= MAX_EXTERNAL_ID else f"hash-{_hex(self._source, entry.id)}"
                keys.append(item_key(self._source, entry.id))
            if link and links[link] == 1 and link != common:
                keys.insert(0, page_key(link))
                external_id = external_id or (link if len(link) <= MAX_EXTERNAL_ID else f"hash-{_hex('', link)}")
            draft = Draft(
                subject,
                text,
                identifier(plain_text(entry.author))[:200],
                external_id,
                self._moment(entry.time),
                entry.link if len(entry.link) <= MAX_URI else "",
                (0, 0, read_figure(entry.replies) or 0, 0, 0),
            )
            feed.items.append(Item(draft, tuple(keys)))

    def _withdraw(self, feed: Feed, root: etree._Element) -> None:
        """RFC 6721: `<at:deleted-entry ref="the entry's id">`."""
        for element in root.iter():
            if _name(element) == "at:deleted-entry" and element.get("ref"):
                feed.withdrawn.append(item_key(self._source, identifier(element.get("ref"))))

    def _moment(self, text: str) -> datetime | None:
        moment = read_feed_time(text, self._zone)
        return moment if moment is not None and is_plausible(moment, self._collected) else None


def read_feed_time(text: str, zone: tzinfo) -> datetime | None:
    """The UTC time of RFC 822, 850 or 3339, or of any other spelling that people use; None when it is none."""
    text = " ".join(text.split())
    if not text:
        return None
    found = read_time(text, zone)
    if found is not None:
        return found
    try:
        spelled = _SHORT_OFFSET.sub(lambda match: f"{match[1]}0{match[2]}{match[3] or '00'}", _ZONE_NAME.sub("", text))
        moment = parsedate_to_datetime(spelled)
        # "-0000", and zones that it does not know, come back without one.
        named = spelled.endswith("-0000")
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC if named else zone)).astimezone(UTC)
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _rss_entry(item: etree._Element) -> _Entry:
    found = _children(item)
    base = item.base or ""
    entry = _Entry(title=_text(found.get("title")))
    guid = found.get("guid")
    if guid is not None:
        entry.id = identifier(_text(guid))
        entry.id_is_link = (guid.get("isPermaLink") or guid.get("ispermalink") or "true").strip().lower() != "false"
    else:
        about = next((value for name, value in item.attrib.items() if str(name).endswith("about")), "")
        entry.id = identifier(str(about) or _text(found.get("dc:identifier")))
    link = found.get("link")
    written = _text(found.get("feedburner:origlink")) or _text(link)
    if not written.strip() and link is not None:
        written = link.get("href") or ""
    entry.link = absolute(written, (link.base if link is not None else "") or base)
    if not entry.link and entry.id_is_link and entry.id.startswith(("http://", "https://")):
        entry.link = absolute(entry.id, base)
    entry.body = _body(found)
    entry.author = next((_text(found[name]) for name in _AUTHORS if name in found), "")
    entry.time = _first(found, _TIMES)
    entry.replies = _first(found, _REPLIES)
    return entry


def _atom_entry(item: etree._Element) -> _Entry:
    found = _children(item)
    entry = _Entry(id=identifier(_text(found.get("id"))), title=_atom_text(found.get("title")))
    links = [each for each in item if _name(each) == "link"]
    replies: object = _first(found, _REPLIES)
    chosen = ""
    for each in links:
        relation = (each.get("rel") or "alternate").lower()
        if relation == "alternate" and (not chosen or "html" in (each.get("type") or "")):
            chosen = absolute(each.get("href") or _text(each), each.base or "")
        if relation == "replies" and not replies:
            replies = next((value for name, value in each.attrib.items() if str(name).endswith("}count")), None)
    entry.link = absolute(_text(found.get("feedburner:origlink")), item.base or "") or chosen
    if not entry.link and entry.id.startswith(("http://", "https://")):
        entry.link = absolute(entry.id, item.base or "")
    entry.body = next((text for text in (_atom_text(found.get(name)) for name in _BODIES) if text.strip()), "")
    author = found.get("author")
    if author is not None:
        named = _children(author)
        entry.author = _text(named.get("name")) or _text(author)
    entry.author = entry.author or _text(found.get("dc:creator"))
    entry.time = _first(found, ("published", "issued", *_TIMES))
    entry.replies = replies
    return entry


def _json_entry(item: dict[str, Any], url: str) -> _Entry:
    link = absolute(_string(item.get("url")) or _string(item.get("external_url")), url)
    authors = item.get("authors")
    author = authors[0] if isinstance(authors, list) and authors else item.get("author")
    plain = _string(item.get("content_text"))
    html = _string(item.get("content_html"))
    return _Entry(
        id=identifier(_string(item.get("id"))),
        link=link,
        title=_escaped(_string(item.get("title"))),
        body=html or _escaped(plain or _string(item.get("summary"))),
        author=_string(author.get("name")) if isinstance(author, dict) else "",
        time=_string(item.get("date_published")) or _string(item.get("date_modified")),
    )


def _limited(root: etree._Element, name: str) -> Iterator[etree._Element]:
    count = 0
    for element in root.iter():
        if _name(element) == name:
            yield element
            count += 1
            if count == MOST_ITEMS:
                return


def _name(element: etree._Element) -> str:
    """An element's name with the usual prefix of its namespace, in small letters; the formats' own names have none."""
    tag = element.tag
    if not isinstance(tag, str):
        return ""
    namespace, brace, local = tag.rpartition("}")
    if not brace:
        prefix, colon, bare = local.lower().partition(":")
        return bare if colon and prefix in _LEADING else local.lower()
    # The formats have had many namespaces; what stands in the default one is theirs.
    prefix = _PREFIXES.get(namespace[1:].lower()) or element.prefix or ""
    return f"{prefix}:{local.lower()}" if prefix and prefix not in _LEADING else local.lower()


def _children(element: etree._Element) -> dict[str, etree._Element]:
    """The first child of each name that says something; of elements of unknown namespaces those that hide none."""
    found: dict[str, etree._Element] = {}
    for child in element:
        name = _name(child)
        if name and (name not in found or not (found[name].text or len(found[name]))):
            found[name] = child
    return found


def _text(element: etree._Element | None) -> str:
    if element is None:
        return ""
    return (element.text or "") if not len(element) else text_of(element)


def _atom_text(element: etree._Element | None) -> str:
    """A text construct of Atom (RFC 4287, 3.1) as HTML."""
    if element is None:
        return ""
    kind = (element.get("type") or "text").lower()
    if kind == "text" or kind == "text/plain":
        return _escaped(_text(element))
    return _escaped(text_of(element)) if len(element) else element.text or ""


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def _body(found: dict[str, etree._Element]) -> str:
    for name in _BODIES:
        element = found.get(name)
        if element is not None:
            text = _text(element)
            if text.strip():
                return _escaped(text) if len(element) else text
    return ""


def _first(found: dict[str, etree._Element], names: tuple[str, ...]) -> str:
    return next((text for text in (_text(found.get(name)).strip() for name in names) if text), "")


def _string(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) else ""


def _hex(source: str, text: str) -> str:
    return item_key(source, text).hex()
