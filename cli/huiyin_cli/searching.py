"""`huiyin search`: what is asked of the gateway, and how what was found is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, tzinfo
from functools import partial

from rich.text import Text

from huiyin_cli.client import Gateway, Json, Problem, patiently
from huiyin_cli.series import rfc3339

_PAGE_SIZE = 50
_GRADES = ("ordinary", "large", "serious", "especially_serious")


def search_filter(
    query: str, *, zone: tzinfo, topic: str, place: str, source: str, grade: str, since: str, until: str
) -> Json:
    """What is searched, as the gateway reads it; names with or without their collection. Raises Problem."""
    named = {
        "topic": topic and f"topics/{topic.removeprefix('topics/')}",
        "place": place and f"places/{place.removeprefix('places/')}",
        "source": source and f"sources/{source.removeprefix('sources/')}",
        "leastGrade": grade and _grade(grade),
        "since": rfc3339(since, zone, "--since"),
        "until": rfc3339(until, zone, "--until"),
    }
    return {"query": query} | {name: value for name, value in named.items() if value}


def pages(gateway: Gateway, path: str, body: Json, limit: int) -> Iterator[Json]:
    """The pages of a search, of at most `limit` hits together."""
    token, left = "", limit
    while left > 0:
        request = {**body, "pageSize": min(left, _PAGE_SIZE), "pageToken": token}
        page = patiently(partial(gateway.post, path, request))
        yield page
        left -= len(page.get("hits", []))
        token = page.get("nextPageToken", "")
        if not token:
            return


def head(page: Json, what: str) -> str:
    """How many were found: 2,000+ where not all were counted."""
    return f"{page.get('totalSize', 0):,}{'+' if page.get('totalCapped') else ''} {what}"


def post_lines(hit: Json, zone: tzinfo) -> Iterator[Text]:
    """A post that was found: when, what, and the part of its text that was looked for."""
    member, event = hit["membership"], hit.get("event", {})
    line = Text(f"\n{_time(member.get('publishTime', ''), zone)}  ")
    line.append_text(_marked(hit.get("subject", [])) if hit.get("subject") else Text(member.get("externalId", "")))
    yield line
    yield Text("  ").append_text(_marked(hit.get("snippet", [])))
    yield Text(f"  {member['event']}  {_graded(event)}  {event.get('place', '')}", style="dim")


def event_lines(hit: Json, zone: tzinfo) -> Iterator[Text]:
    """An event that was found, with the newest of its posts that were."""
    event, newest = hit["event"], hit.get("newest", {})
    yield Text(f"\n{event.get('title', '')}", style="bold")
    yield Text(
        f"  {event['name']}  {_graded(event)}  {hit.get('matchCount', 0)} of {event.get('postCount', 0)} posts  "
        f"{event.get('place', '')}",
        style="dim",
    )
    time = _time(newest.get("membership", {}).get("publishTime", ""), zone)
    yield Text(f"  {time}  ").append_text(_marked(newest.get("snippet", [])))


def _marked(pieces: list[Mapping[str, object]]) -> Text:
    line = Text()
    for piece in pieces:
        line.append(str(piece.get("text", "")), style="bold red" if piece.get("matches") else None)
    return line


def _graded(event: Json) -> str:
    return str(event.get("assessment", {}).get("grade", "")).removeprefix("GRADE_")


def _grade(text: str) -> str:
    name = text.lower().replace("-", "_").removeprefix("grade_")
    if name not in _GRADES:
        raise Problem(f"--grade: {text!r} is no grade; choose one of {', '.join(_GRADES)}.")
    return f"GRADE_{name.upper()}"


def _time(value: str, zone: tzinfo) -> str:
    if not value:
        return ""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(zone).strftime("%Y-%m-%d %H:%M")
