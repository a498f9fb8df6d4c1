"""What all kinds of looking have in common."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from huiyin_collector.fetching import Answer
from huiyin_collector.intake import Intake
from huiyin_collector.model.faults import Fault
from huiyin_collector.model.links import item_key
from huiyin_collector.model.pages import Link
from huiyin_collector.model.posts import Draft
from huiyin_collector.store.articles import Reading
from huiyin_collector.store.receiving import KnownItem
from huiyin_collector.store.visits import Visit


class Turns(Protocol):
    """The turns of one visit at the hosts that it reads."""

    async def take(self, url: str) -> bool:
        """Waits for a turn at the host of an address; False when it does not come within the visit."""


@dataclass(slots=True)
class Look:
    """What a visit found.

    `first`: the answer of the source's own address, where it was asked for and had changed; `url`: where what is shown
    was found; `moved_to`: where it moved for good; `links`: what a list shows; `readings`: how reading its articles
    went; `resume`: where the next visit goes on, empty where this one was at the end; `fault`: what went wrong after
    what was found, which counts nevertheless.
    """

    url: str
    first: Answer | None = None
    format: str = ""
    title: str = ""
    items: list[KnownItem] = field(default_factory=list)
    published: list[datetime | None] = field(default_factory=list)
    withdrawn: list[bytes] = field(default_factory=list)
    passed_over: int = 0
    ttl_seconds: float = 0.0
    moved_to: str = ""
    links: list[Link] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    resume: str = ""
    fault: Fault | None = None

    def take_in(
        self, intake: Intake, source: str, drafts: Sequence[Draft], keys: Sequence[tuple[bytes, ...]], at: datetime
    ) -> None:
        """Adds drafts, masked, with the keys by which they are known."""
        for post, draft, own in zip(intake.mask(source, drafts, at), drafts, keys, strict=True):
            # Without an id and a page it is known by what it says; as masked, since a hash tells whoever tries.
            known_by = own or (item_key(source, post.external_id),)
            self.items.append(KnownItem(post, known_by, draft.publish_time is not None))
            self.published.append(draft.publish_time)


class Place(NamedTuple):
    """A page of several: which one, counted from 1, and its address."""

    number: int
    url: str

    @classmethod
    def read(cls, text: str, start: str) -> Place:
        """The place that a visit left off at; the start where it left off nowhere."""
        number, _, url = text.partition(" ")
        return cls(int(number), url) if url else cls(1, start)

    def __str__(self) -> str:
        return f"{self.number} {self.url}"


async def follow_pages(
    look: Look, visit: Visit, turns: Turns, most: int, read: Callable[[Place, str, str], Awaitable[str]]
) -> None:
    """Reads pages one after the other, from the first or from where the last visit left off.

    `read` adds to the look what a page holds, given the etag and the time by which it is known, and returns the address
    of the next one, empty where there is none or nothing new. Raises Fault where the page that it begins with has one.
    """
    place = begun = Place.read(visit.resume, visit.uri)
    seen: set[str] = set()
    while place.url and place.number <= most and place.url not in seen:
        if not await turns.take(place.url):
            look.resume = str(place)
            return
        seen.add(place.url)
        etag, modified = (visit.etag, visit.last_modified) if place.number == 1 else ("", "")
        try:
            next_url = await read(place, etag, modified)
        except Fault as fault:
            if place == begun:
                raise
            look.fault, look.resume = fault, str(place)
            return
        place = Place(place.number + 1, next_url)
