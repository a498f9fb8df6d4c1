"""Lists of feeds in OPML, the format in which feed readers exchange them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import quoteattr

from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import canonical, host_of, page_key
from huiyin_collector.model.markup import local_name, read_xml
from huiyin_collector.model.posts import clean

_SLUG: Final = re.compile(r"[^a-z0-9]+")
_NAME_LENGTH: Final = 100
_AREA_LENGTH: Final = 50


@dataclass(frozen=True, slots=True)
class Outline:
    """One feed of a list. `area`: the name of the folder that it lies in."""

    uri: str
    title: str
    area: str = ""


def read_opml(text: str) -> list[Outline]:
    """The feeds of a list, each address once. Raises Fault."""
    root = read_xml(text, "")
    if root is None or local_name(root) != "opml":
        raise Fault("NOT_OPML", "this is no OPML document; export the list of feeds from your reader as OPML")
    found: dict[str, Outline] = {}
    for element in root.iter():
        if local_name(element) != "outline":
            continue
        attributes = {str(name).lower(): str(value) for name, value in element.attrib.items()}
        uri = attributes.get("xmlurl", "").strip()
        if not uri.lower().startswith(("http://", "https://")):
            continue
        parent = element.getparent()
        folder = "" if parent is None else str(parent.get("text") or parent.get("title") or "")
        title = clean(attributes.get("title") or attributes.get("text") or "")[:_NAME_LENGTH]
        found.setdefault(uri, Outline(uri, title, clean(folder)[:_AREA_LENGTH]))
    return list(found.values())


def write_opml(outlines: Iterable[Outline]) -> str:
    """An OPML 2.0 document with a folder for each area."""
    folders: dict[str, list[Outline]] = {}
    for outline in outlines:
        folders.setdefault(outline.area, []).append(outline)
    return "\n".join(_lines(folders)) + "\n"


def _lines(folders: dict[str, list[Outline]]) -> Iterator[str]:
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield '<opml version="2.0">'
    yield "  <head><title>Huiyin</title></head>"
    yield "  <body>"
    for area, outlines in sorted(folders.items()):
        if area:
            yield f"    <outline text={quoteattr(area)}>"
        for outline in outlines:
            title, uri = quoteattr(outline.title), quoteattr(outline.uri)
            yield f'    {"  " if area else ""}<outline type="rss" text={title} title={title} xmlUrl={uri}/>'
        if area:
            yield "    </outline>"
    yield "  </body>"
    yield "</opml>"


def source_id_of(uri: str) -> str:
    """The id of a source that is known by its address only: its host, and what tells it from others there."""
    host = _SLUG.sub("-", host_of(uri).lower()).strip("-")[:50].rstrip("-") or "feed"
    return f"{host}-{page_key(canonical(uri)).hex()[:8]}"
