"""Repairs what the stream got wrong: finds events that speak of several matters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Final

from huiyin_analyzer.model.joining import Placed
from huiyin_analyzer.model.terms import Terms

LINKED: Final = 0.12
"""Posts that are so alike speak of one matter, and so do those that a chain of such links joins."""
_LEAST_POSTS: Final = 2
"""A single post that is like no other is not told apart: it may say the same in other words."""
_MOST_POSTS: Final = 400
"""Of a larger event nothing is proposed: the work grows with the square."""


def split(posts: Sequence[tuple[str, Terms, str, int]]) -> list[list[str]]:
    """The ids of an event's posts: in one group, or in several when they clearly speak of several matters.

    The groups come by their first post, and so do the posts in them. What fits nowhere stays with the largest.
    """
    ids = [post_id for post_id, _, _, _ in posts]
    if len(posts) < 2 * _LEAST_POSTS or len(posts) > _MOST_POSTS:
        return [ids]
    roots = list(range(len(posts)))

    def root(at: int) -> int:
        while roots[at] != at:
            roots[at] = roots[roots[at]]
            at = roots[at]
        return at

    placed: list[Placed] = [(terms, place, time) for _, terms, place, time in posts]
    lengths = [math.sqrt(math.fsum([w * w for w in terms.weights.values()])) or 1.0 for terms, _, _ in placed]
    for later in range(len(posts)):
        weights = placed[later][0].weights
        for earlier in range(later):
            if root(earlier) != root(later):
                others = placed[earlier][0].weights
                shared = math.fsum([weights[term] * others[term] for term in weights.keys() & others.keys()])
                if shared > LINKED * lengths[later] * lengths[earlier]:
                    roots[root(later)] = root(earlier)
    sizes = Counter(root(at) for at in range(len(posts)))
    large = [at for at, size in sizes.items() if size >= _LEAST_POSTS]
    if len(large) < 2:
        return [ids]
    largest = max(large, key=lambda at: (sizes[at], -at))
    groups: dict[int, list[str]] = {}
    for at, post_id in enumerate(ids):
        home = root(at) if sizes[root(at)] >= _LEAST_POSTS else largest
        groups.setdefault(home, []).append(post_id)
    return list(groups.values())
