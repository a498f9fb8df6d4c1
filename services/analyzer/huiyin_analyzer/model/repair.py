"""Repairs what the stream got wrong: finds events that speak of several matters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from huiyin_analyzer.model.joining import (
    ELSEWHERE,
    LIKENESS,
    REVIEWED_GROWTH,
    UNIT,
    Weighed,
    likeness_in_time,
    one_in_another,
)
from huiyin_analyzer.model.terms import Terms

APART: Final = LIKENESS - 0.02
"""Below it groups of posts speak of different matters. What joins them is higher: only what is clear is split."""
_LEAST_SPLIT: Final = 8
"""Whether it is several is asked of an event of so many posts, of twice as many, and so on."""
_MOST_POSTS: Final = 300
"""Of a larger event nothing is proposed: the work grows with the square."""


def is_due_for_splitting(size: int) -> bool:
    """Whether an event that is reviewed at this number of posts is to be looked at for several matters."""
    # It is reviewed as it grows by a part of its size; of those times one in each doubling is taken.
    return size >= _LEAST_SPLIT and size.bit_length() > int(size / REVIEWED_GROWTH).bit_length()


def split(posts: Sequence[tuple[str, Terms, str, int]], weigh: Callable[[Terms], Weighed]) -> list[list[str]]:
    """The ids of an event's posts: in one group, or in several when they clearly speak of several matters.

    `posts`: id, terms, place and time of publication (microseconds) of each; `weigh`: that of their joiner. The groups
    are those of agglomerative clustering by average linkage. They come by their first post, and so do their posts.
    """
    ids = [post_id for post_id, _, _, _ in posts]
    if not 1 < len(ids) <= _MOST_POSTS:
        return [ids]
    sums = _likenesses(posts, weigh)
    groups = [[post_id] for post_id in ids]
    sizes = np.ones(len(ids))
    while len(groups) > 1:
        means = sums / np.outer(sizes, sizes)
        np.fill_diagonal(means, -np.inf)
        first, second = sorted(map(int, np.unravel_index(means.argmax(), means.shape)))
        if means[first, second] < APART:
            break
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sums = np.delete(np.delete(sums, second, 0), second, 1)
        sizes[first] += sizes[second]
        sizes = np.delete(sizes, second)
        groups[first] += groups.pop(second)
    order = {post_id: at for at, post_id in enumerate(ids)}
    return [sorted(group, key=order.__getitem__) for group in groups]


def _likenesses(posts: Sequence[tuple[str, Terms, str, int]], weigh: Callable[[Terms], Weighed]) -> NDArray[np.float64]:
    """How like each post is to each other."""
    weighed = [weigh(terms) for _, terms, _, _ in posts]
    every, columns = np.unique(np.concatenate([each.terms for each in weighed]), return_inverse=True)
    weights = np.concatenate([each.weights for each in weighed])
    lengths = np.array([len(each.terms) for each in weighed])
    ends = np.cumsum(lengths)
    running = np.zeros(len(columns) + 1, np.int64)
    compared = np.zeros(len(every), np.int64)
    products = np.empty((len(posts), len(posts)), np.int64)
    # Sums of whole numbers, which no order of adding changes, and few enough that a matrix would cost more.
    for row, (start, end) in enumerate(zip(ends - lengths, ends, strict=True)):
        compared[columns[start:end]] = weights[start:end]
        np.cumsum(compared[columns] * weights, out=running[1:])
        products[row] = running[ends] - running[ends - lengths]
        compared[columns[start:end]] = 0
    likenesses: NDArray[np.float64] = products / (UNIT * UNIT)
    for at, (_, _, place, time) in enumerate(posts):
        for other, (_, _, other_place, other_time) in enumerate(posts[:at]):
            correction = likeness_in_time(abs(time - other_time))
            if place and other_place and not one_in_another(place, other_place):
                correction -= ELSEWHERE
            likenesses[at, other] += correction
            likenesses[other, at] += correction
    return likenesses
