"""`huiyin events merge`, `split`, `move` and `repairs`: people put right which posts speak of one matter."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Final

from huiyin_cli.client import Gateway, Json, Problem, patiently

_POSTS_AT_ONCE: Final = 1000
_RELATIONS: Final = {"mergedInto": "was merged into", "splitFrom": "was split from", "echoOf": "is an echo of"}


def merge(gateway: Gateway, target: str, events: Sequence[str], reason: str) -> Json:
    """Merges events into a target; returns it."""
    return _post(gateway, f"{target}:merge", {"events": list(events), "reason": reason})


def split(gateway: Gateway, event: str, posts: Sequence[str], reason: str) -> Json:
    """Makes an event of posts of an event; returns the new one."""
    return _post(gateway, f"{event}:split", {"posts": _few(posts), "reason": reason})


def move(gateway: Gateway, target: str, posts: Sequence[str], reason: str) -> Json:
    """Moves posts to a target; returns it."""
    return _post(gateway, f"{target}:movePosts", {"posts": _few(posts), "reason": reason})


def decide(gateway: Gateway, proposal: str, *, accept: bool, reason: str) -> Json:
    """Carries a proposal out, or declines it."""
    return _post(gateway, f"{proposal}:{'accept' if accept else 'dismiss'}", {"reason": reason} if reason else {})


def relations(event: Json) -> Iterator[str]:
    """What an event has to do with others, in lines."""
    for field, said in _RELATIONS.items():
        if field in event:
            yield f"{said} {event[field]}"


def line_of(regrouping: Json) -> str:
    """A regrouping in a line."""
    kind = regrouping["kind"].removeprefix("KIND_").lower()
    state = regrouping["state"].removeprefix("STATE_").lower()
    posts = len(regrouping.get("posts", []))
    moved = f"{posts} posts" if posts else "all posts"
    why = f"  “{regrouping['reason']}”" if regrouping.get("reason") else ""
    return (
        f"{regrouping['name']}  {state:<9} {kind:<5} {moved} of {regrouping['event']} → {regrouping['targetEvent']}"
        f"  {regrouping['author']}{why}"
    )


def _few(posts: Sequence[str]) -> list[str]:
    if len(posts) > _POSTS_AT_ONCE:
        raise Problem(f"{len(posts)} posts are too many at once; give at most {_POSTS_AT_ONCE}, and the rest after.")
    return list(posts)


def _post(gateway: Gateway, path: str, body: Json) -> Json:
    # Named, so that a repetition does nothing twice.
    named = {**body, "requestId": str(uuid.uuid4())}
    return patiently(lambda: gateway.post(f"/v1/{path}", named))
