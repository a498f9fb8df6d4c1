"""Looking at JSON interfaces."""

from __future__ import annotations

import asyncio

from huiyin.collector.v1 import source_rules_pb2
from huiyin_chassis import clock

from huiyin_collector.fetching import Answer, Fetcher, same_origin
from huiyin_collector.intake import Intake
from huiyin_collector.looking.look import Look, Place, Turns, follow_pages
from huiyin_collector.looking.rules import ApiRules, api_rules
from huiyin_collector.looking.secrets import Secrets
from huiyin_collector.model.links import item_key
from huiyin_collector.store import CollectorStore, articles
from huiyin_collector.store.visits import Visit


class ApiReader:
    """Reads the answers of an interface, one after the other, as far as there is something new."""

    def __init__(self, fetcher: Fetcher, intake: Intake, store: CollectorStore, secrets: Secrets) -> None:
        self._fetcher = fetcher
        self._intake = intake
        self._store = store
        self._secrets = secrets

    async def look(self, visit: Visit, turns: Turns, most_articles: int) -> Look:
        """Reads from the first answer, or from where the last visit left off. Raises Fault."""
        message = source_rules_pb2.Api.FromString(visit.rules)
        rules = api_rules(message)
        sent = self._secrets.read(message.headers, visit.uri)
        look = Look(visit.uri, format="API")

        async def read(place: Place, etag: str, modified: str) -> str:
            answer = await self._fetcher.fetch(
                place.url, etag=etag, last_modified=modified, headers=sent.headers, home=visit.uri
            )
            if place.number == 1:
                look.url = answer.url
                # Elsewhere it would not get its headers.
                look.moved_to = answer.moved_to if same_origin(answer.url, visit.uri) else ""
            if answer.not_modified:
                return ""
            sent.check(answer.content)
            next_url, keys = await asyncio.to_thread(self._read, visit.source, answer, rules, place.number, look)
            if place.number == 1:
                look.first = answer
            return next_url if keys - await self._known(keys) else ""

        await follow_pages(look, visit, turns, rules.mapping.most_pages, read)
        return look

    async def _known(self, keys: set[bytes]) -> set[bytes]:
        return await self._store.read(lambda connection: articles.known_items(connection, keys))

    def _read(self, source: str, answer: Answer, rules: ApiRules, number: int, look: Look) -> tuple[str, set[bytes]]:
        """Adds what an answer holds; the address of the next one, and by what its items are known."""
        collected = clock.now()
        found = rules.mapping.read(
            answer.content, answer.charset, answer.url, number=number, zone=rules.zone, collected=collected
        )
        keys = [(item_key(source, draft.external_id),) for draft in found.drafts]
        look.take_in(self._intake, source, found.drafts, keys, collected)
        look.passed_over += found.passed_over
        return found.next_url, {key for own in keys for key in own}
