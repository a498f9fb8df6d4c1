"""What joining a post costs among 1,000, 10,000 and 100,000 live events, and what room an event takes.

Events are made up: sentences of the samples, put together anew, about places with made-up names. Half of the posts that
are timed speak of an event that is there, the other half of something new. `growth` is that of joining alone, without
the reading of the terms, which costs the same whatever the number of events; `us_per_post` is both, among the most
events. Rounds of the three take turns, and the fastest of each counts, which other work on the machine disturbs least.
"""

from __future__ import annotations

import gc
import json
import random
import time
from typing import Final, NamedTuple

import psutil
from huiyin_analyzer.model.joining import COOLING, Joiner
from huiyin_analyzer.model.terms import terms_of

from bench.search import Town

_STEPS: Final = (1_000, 10_000, 100_000)
_ROUNDS: Final = 12
_TIMED: Final = 50
_SENTENCES: Final = 4
_BEGIN: Final = 1_735_689_600_000_000


class Matter(NamedTuple):
    """What an event is about, where, and when it began."""

    name: str
    place: str
    begin: int


class Matters:
    """Makes up matters and posts."""

    def __init__(self) -> None:
        self._town = Town()
        self._random = random.Random(1)
        self._made = 0

    def new(self) -> Matter:
        """A matter of which nobody spoke yet."""
        self._made += 1
        place = self._random.choice(self._town.places)
        return Matter(self._town.name(self._made), place, _BEGIN + self._random.randrange(COOLING // 2))

    def post(self, matter: Matter) -> tuple[str, str]:
        """Subject and text of a post about it."""
        sentences = self._random.sample(self._town.sentences, _SENTENCES)
        return matter.name + self._random.choice(self._town.subjects), matter.name + "".join(sentences)


class Among:
    """A joiner with so many live events, and the fastest round so far: of joining, and of reading too."""

    def __init__(self, events: int) -> None:
        self.events = events
        self.joining = self.both = float("inf")
        self._matters = Matters()
        self._joiner = Joiner()
        self._live = [self._matters.new() for _ in range(events)]
        self._chance = random.Random(events)
        self._timed = 0
        gc.collect()
        before = psutil.Process().memory_info().rss
        for number, matter in enumerate(self._live):
            self._joiner.add(terms_of(*self._matters.post(matter)), f"{number}", matter.place, matter.begin)
        gc.collect()
        self.bytes_per_event = round((psutil.Process().memory_info().rss - before) / events)

    def time(self) -> None:
        """Times one round, in microseconds of CPU a post."""
        spoken_of = [self._chance.choice(self._live) if at % 2 else self._matters.new() for at in range(_TIMED)]
        posts = [self._matters.post(matter) for matter in spoken_of]
        started = time.process_time()
        read = [terms_of(subject, text) for subject, text in posts]
        between = time.process_time()
        for terms, matter in zip(read, spoken_of, strict=True):
            self._timed += 1
            self._joiner.join(terms, f"timed-{self._timed}", matter.place, matter.begin)
        ended = time.process_time()
        self.joining = min(self.joining, (ended - between) / _TIMED * 1e6)
        self.both = min(self.both, (ended - started) / _TIMED * 1e6)


def main() -> None:
    """Prints one JSON line last."""
    # The largest first: what its making leaves to the allocator is not counted for the others, whose room is not told.
    sizes = [Among(events) for events in reversed(_STEPS)][::-1]
    for _ in range(_ROUNDS):
        for among in sizes:
            among.time()
    least, most = sizes[0], sizes[-1]
    result = {
        "growth": round(most.joining / least.joining, 2),
        "us_per_post": round(most.both, 1),
        "bytes_per_event": most.bytes_per_event,
        "us_per_join": {f"{among.events}": round(among.joining, 1) for among in sizes},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
