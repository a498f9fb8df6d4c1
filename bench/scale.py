"""What joining a post costs among 1,000, 10,000 and 100,000 live events, and what room an event takes.

Events are made up: sentences of the samples, put together anew, about places with made-up names. Half of the posts that
are timed speak of an event that is there, the other half of something new. `growth` is that of joining alone, without
the reading of the terms, which costs the same whatever the number of events; `us_per_post` is both, among the most
events. Of several rounds the fastest counts, which other work on the machine disturbs least.
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
_ROUNDS: Final = 9
_TIMED: Final = 100
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


def main() -> None:
    """Prints one JSON line last."""
    matters, joiner = Matters(), Joiner()
    gc.collect()
    before = psutil.Process().memory_info().rss
    live: list[Matter] = []
    figures = []
    for step in _STEPS:
        while len(live) < step:
            matter = matters.new()
            joiner.add(terms_of(*matters.post(matter)), f"{len(live)}", matter.place, matter.begin)
            live.append(matter)
        gc.collect()
        room = round((psutil.Process().memory_info().rss - before) / len(live))
        joining, both = _time(matters, joiner, live)
        figures.append({"events": step, "us_per_join": joining, "us_per_post": both, "bytes_per_event": room})
        print(figures[-1])
    result = {
        "growth": round(float(figures[-1]["us_per_join"]) / float(figures[0]["us_per_join"]), 2),
        "us_per_post": figures[-1]["us_per_post"],
        "bytes_per_event": figures[-1]["bytes_per_event"],
        "by_events": figures,
    }
    print(json.dumps(result))


def _time(matters: Matters, joiner: Joiner, live: list[Matter]) -> tuple[float, float]:
    """The microseconds of CPU of joining a post, and of reading and joining it, in the fastest of several rounds."""
    chance = random.Random(len(live))
    joining, both = [], []
    for turn in range(_ROUNDS):
        spoken_of = [chance.choice(live) if number % 2 else matters.new() for number in range(_TIMED)]
        posts = [matters.post(matter) for matter in spoken_of]
        started = time.process_time()
        read = [terms_of(subject, text) for subject, text in posts]
        between = time.process_time()
        for number, (terms, matter) in enumerate(zip(read, spoken_of, strict=True)):
            joiner.join(terms, f"{len(live)}-{turn}-{number}", matter.place, matter.begin)
        ended = time.process_time()
        joining.append((ended - between) / _TIMED * 1e6)
        both.append((ended - started) / _TIMED * 1e6)
    return round(min(joining), 1), round(min(both), 1)


if __name__ == "__main__":
    main()
