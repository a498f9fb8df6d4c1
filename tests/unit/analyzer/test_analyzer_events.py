"""An event's figures count what they say."""

from __future__ import annotations

from huiyin_analyzer.model.events import Event, Post
from huiyin_analyzer.model.text import Harm, Intent

DAY = 86_400_000_000


def post(time: int, **fields: object) -> Post:
    values: dict[str, object] = {
        "source": "sources/a",
        "expects_answer": True,
        "votes": 0,
        "voice_day": b"",
        "topic": "",
        "place": "",
        "intent": Intent.NONE,
        "harm": Harm.NONE,
    }
    return Post(publish_time=time, **{**values, **fields})  # type: ignore[arg-type]


def test_figures_read_publication_time_and_not_the_order_of_import() -> None:
    times = [10 * DAY, 9 * DAY + DAY // 2, 8 * DAY + DAY // 2, 1 * DAY]
    forward, backward = Event("a"), Event("a")
    for time in times:
        forward.count(post(time))
    for time in reversed(times):
        backward.count(post(time))
    assert forward.figures() == backward.figures()
    assert (forward.figures()["posts_24h"], forward.figures()["voices_24h"]) == (2, 2)
    assert forward.figures()["span_days"] == 9.0


def test_every_figure_counts_what_it_says() -> None:
    event = Event("a")
    event.count(
        post(0, votes=3, voice_day=b"x", harm=Harm.LIFE | Harm.HEALTH, intent=Intent.HELP, place="A市", topic="t")
    )
    event.count(post(1, votes=4, voice_day=b"x", harm=Harm.LIFE, expects_answer=False, source="sources/b", place="B市"))
    figures = event.figures()
    assert (figures["posts"], figures["inquiries"], figures["voices"], figures["votes"]) == (2, 1, 1, 7)
    assert (figures["harm.life"], figures["harm.health"], figures["intent.help"]) == (1, 1, 1)
    assert (figures["sources"], figures["places"], event.place, event.topic) == (2, 2, "A市", "t")
