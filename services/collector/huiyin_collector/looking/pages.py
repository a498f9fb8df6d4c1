"""Looking at lists of articles."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from typing import Final

from huiyin.collector.v1 import source_rules_pb2
from huiyin_chassis import clock

from huiyin_collector.fetching import Answer, Fetcher
from huiyin_collector.intake import Intake
from huiyin_collector.looking.look import Look, Place, Turns, follow_pages
from huiyin_collector.looking.rules import PageRules, page_rules
from huiyin_collector.model.articles import read_article
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import canonical
from huiyin_collector.model.pages import Link, ListPage, read_list
from huiyin_collector.model.posts import MAX_EXTERNAL_ID, Draft
from huiyin_collector.store import CollectorStore, articles
from huiyin_collector.store.articles import Due, Reading
from huiyin_collector.store.visits import Visit

PAGE_OCTETS: Final = 2 * 2**20
"""The largest page that is read; articles are far smaller."""
_PAGE_TYPES: Final = re.compile(r"text/html|application/xhtml\+xml|text/plain|application/xml|text/xml|", re.IGNORECASE)
_NOT_NOW: Final = frozenset({"THROTTLED", "ROBOTS_UNREACHABLE"})
"""What says that a host wants to be left alone, of whichever page."""


class PageReader:
    """Reads lists as far as they show something new, and of the articles those that are due.

    While articles wait from an earlier visit, they are read first, and the list is left alone.
    """

    def __init__(self, fetcher: Fetcher, intake: Intake, store: CollectorStore) -> None:
        self._fetcher = fetcher
        self._intake = intake
        self._store = store

    async def look(self, visit: Visit, turns: Turns, most_articles: int) -> Look:
        """Reads the list and some of its articles. Raises Fault where the list itself cannot be read."""
        rules = page_rules(source_rules_pb2.PageList.FromString(visit.rules))
        look = Look(visit.uri, format="PAGE_LIST")
        if visit.resume or not visit.articles_waiting:
            await self._list(visit, rules, turns, look)
        if look.fault is None:
            await self._articles(visit, rules, turns, look, most_articles)
        return look

    async def _list(self, visit: Visit, rules: PageRules, turns: Turns, look: Look) -> None:
        async def read(place: Place, etag: str, modified: str) -> str:
            answer = await self._fetcher.fetch(place.url, etag=etag, last_modified=modified, most=PAGE_OCTETS)
            if place.number == 1:
                look.url, look.moved_to = answer.url, answer.moved_to
            if answer.not_modified:
                return ""
            page = await asyncio.to_thread(_read_list, answer, rules, place.number)
            if place.number == 1:
                look.first, look.title = answer, page.title
            look.links += page.links
            return page.next_url if await self._new(visit.source, page.links) else ""

        await follow_pages(look, visit, turns, rules.list.most_pages, read)

    async def _new(self, source: str, links: list[Link]) -> list[Link]:
        """Those of a list that its source does not know, each once."""
        shown = {link.key: link for link in links}
        known = await self._store.read(lambda connection: articles.known(connection, source, shown.keys()))
        return [link for key, link in shown.items() if key not in known]

    async def _articles(self, visit: Visit, rules: PageRules, turns: Turns, look: Look, most: int) -> None:
        now_us = clock.micros(clock.now())
        known = await self._store.read(lambda connection: articles.due(connection, visit.source, now_us, most))
        fresh = [
            Due(link.key, link.url, clock.micros(link.published) if link.published else 0, "", "", 0, 0, 0)
            for link in await self._new(visit.source, look.links)
        ]
        # Those that wait, then those that the list has just shown, then those that are looked at again.
        waiting = [each for each in known if not each.first_us]
        again = [each for each in known if each.first_us]
        fault: Fault | None = None
        for article in [*waiting, *fresh, *again][:most]:
            if not await turns.take(article.uri):
                break
            try:
                await self._article(visit.source, rules, article, look)
            except Fault as found:
                if found.reason in _NOT_NOW:
                    look.fault = found
                    return
                fault = fault or found
                look.readings.append(Reading(article, fault=found.reason))
        look.fault = _all_broken(look.readings, fault)

    async def _article(self, source: str, rules: PageRules, article: Due, look: Look) -> None:
        answer = await self._fetcher.fetch(
            article.uri, etag=article.etag, last_modified=article.last_modified, most=PAGE_OCTETS
        )
        if not answer.not_modified:
            if not _PAGE_TYPES.fullmatch(answer.content_type):
                raise Fault("CONTENT_TYPE_REFUSED", f"{answer.url} is of type {answer.content_type[:60]}, not a page")
            await asyncio.to_thread(self._read_article, source, rules, article, answer, look)
        etag, modified = (answer.etag or article.etag), (answer.last_modified or article.last_modified)
        look.readings.append(Reading(article, etag, modified))

    def _read_article(self, source: str, rules: PageRules, article: Due, answer: Answer, look: Look) -> None:
        collected = clock.now()
        found = read_article(answer.content, answer.charset, rules.article, zone=rules.zone, collected=collected)
        link = canonical(article.uri)
        published = found.published or _listed(article)
        external_id = link if len(link) <= MAX_EXTERNAL_ID else f"hash-{article.key.hex()}"
        draft = Draft(found.subject, found.text, "", external_id, published, article.uri)
        look.take_in(self._intake, source, [draft], [(article.key,)], collected)


def _read_list(answer: Answer, rules: PageRules, number: int) -> ListPage:
    return read_list(
        answer.content, answer.charset, answer.url, rules.list, number=number, zone=rules.zone, collected=clock.now()
    )


def _listed(article: Due) -> datetime | None:
    return clock.from_micros(article.published_us) if article.published_us else None


def _all_broken(readings: list[Reading], fault: Fault | None) -> Fault | None:
    """The fault of a visit of which every new article was broken. That old ones still are is no news."""
    new = [each for each in readings if not each.article.first_us and not each.article.failures]
    if fault is None or not new or any(not each.fault for each in new):
        return None
    return Fault(
        "ARTICLES_BROKEN",
        f"none of {len(new)} new articles could be read; of the first: {fault.reason}, {fault.message}",
    )
