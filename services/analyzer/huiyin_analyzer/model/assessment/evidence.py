"""Which posts a rule that fired rests on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from huiyin_analyzer.model.assessment.grading import Rule
from huiyin_analyzer.model.text import Harm, Intent

MOST_EVIDENCE: Final = 5
"""So many posts are named for a rule at most."""

_DAY: Final = 86_400_000_000
_HARMS: Final = {f"harm.{harm.name.lower()}": harm for harm in Harm if harm.name}
_INTENTS: Final = {"intent.complaint": Intent.COMPLAINT, "intent.help": Intent.HELP}
_LATEST: Final = frozenset({"posts_24h", "voices_24h", "growth"})


class Spoken(NamedTuple):
    """What of a post tells for which figures it counts. `voice_day` is empty where the voice is not known."""

    id: str
    publish_time: int
    source: str
    expects_answer: bool
    votes: int
    voice_day: bytes
    intent: int
    harm: int


def evidence(rule: Rule, posts: Sequence[Spoken], media: frozenset[str] = frozenset()) -> list[str]:
    """The ids of the posts of an event that speak most for a rule.

    First those that count for most of its figures, of each voice one before any voice's second, the earliest first
    (the most voted first, where the rule reads votes).
    """
    if not posts:
        return []
    day_ago = max(post.publish_time for post in posts) - _DAY
    counted = [(sum(_counts(name, post, day_ago, media) for name in rule.reads), post) for post in posts]
    by_votes = "votes" in rule.reads
    counted.sort(key=lambda item: (-item[0], -item[1].votes if by_votes else 0, item[1].publish_time, item[1].id))
    ordered = [post for count, post in counted if count]
    return [post.id for post in _voices_first(ordered)[:MOST_EVIDENCE]]


def _counts(figure: str, post: Spoken, day_ago: int, media: frozenset[str]) -> bool:
    if figure in _HARMS:
        return bool(post.harm & _HARMS[figure])
    if figure in _INTENTS:
        return post.intent == _INTENTS[figure]
    if figure in _LATEST:
        return post.publish_time > day_ago
    if figure == "media":
        return post.source in media
    if figure == "inquiries":
        return post.expects_answer
    if figure == "votes":
        return post.votes > 0
    return True


def _voices_first(posts: Iterable[Spoken]) -> list[Spoken]:
    heard: set[bytes] = set()
    first: list[Spoken] = []
    again: list[Spoken] = []
    for post in posts:
        (again if post.voice_day in heard else first).append(post)
        if post.voice_day:
            heard.add(post.voice_day)
    return first + again
