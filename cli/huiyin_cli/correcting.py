"""`huiyin topics`: what a person should look at, and what people said of topics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from huiyin_cli.client import Gateway, Json, Problem

_BATCH = 500
_TEXT = 160


def review_filter(topic: str, place: str) -> str:
    """The filter of what waits for a person, of a topic and a place or of all."""
    wanted = ["topic_low = true", "drill = false"]
    for field, collection, name in (("topic", "topics", topic), ("place", "places", place)):
        if name:
            path = name.removeprefix(f"{collection}/").replace('"', "")
            wanted.append(f'{field} = "{collection}/{path}"')
    return " AND ".join(wanted)


def review_lines(rows: Sequence[Json]) -> Iterator[str]:
    """Memberships that wait, each with how surely it was told to have its topic."""
    for row in rows:
        yield f"{row['name']}  {row.get('topicConfidence', 0):.2f}  {row.get('topic', '')}"
        text = " ".join(f"{row.get('subject', '')} {row.get('text', '')}".split())
        yield f"  {text[:_TEXT]}{'…' if len(text) > _TEXT else ''}"
    if rows:
        yield "To say what they are about, right or not: huiyin topics correct MEMBERSHIP… --topic … --reason …"
    else:
        yield "Nothing waits for a person."


def correct(gateway: Gateway, names: Sequence[str], topic: str, reason: str) -> list[Json]:
    """Sets the topic of memberships and events, "" takes it back; returns them as they are then."""
    named = f"topics/{topic.removeprefix('topics/')}" if topic else ""
    body = {"topic": named, "reason": reason}
    posts = [f"memberships/{name.partition('/')[2]}" for name in names if name.startswith(("memberships/", "posts/"))]
    events = [name for name in names if name.startswith("events/")]
    if len(posts) + len(events) != len(names):
        raise Problem("Give names as huiyin topics review and huiyin events list show them: memberships/… or events/…")
    found: list[Json] = []
    for start in range(0, len(posts), _BATCH):
        batch = {**body, "memberships": posts[start : start + _BATCH]}
        found += gateway.post("/v1/memberships:correctTopics", batch).get("memberships", [])
    return found + [gateway.post(f"/v1/{name}:correctTopic", body) for name in events]
