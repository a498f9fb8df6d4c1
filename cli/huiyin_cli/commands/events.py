"""What people speak of: `huiyin events` and `huiyin search`."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TextIO

import typer

from huiyin_cli import (
    heat,
    policies,
    regrouping,
    searching,
    series,
)
from huiyin_cli.client import Json
from huiyin_cli.console import (
    AsJson,
    Filter,
    Limit,
    Reason,
    caller,
    last,
    local,
    named,
    out,
    plain,
    print_json,
    print_rows,
    short,
)

app = typer.Typer(no_args_is_help=True, help="What people speak of, grouped and graded.")


class ExportFormat(StrEnum):
    """What `events export` writes."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command("list")
def events_list(
    filter_: Filter = "",
    order_by: Annotated[str, typer.Option(help="post_count desc, grade desc, last_publish_time desc …")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists events, the largest first."""
    rows = caller.gateway().pages("/v1/events", "events", limit, filter=filter_, orderBy=order_by)
    columns: dict[str, Callable[[Json], str]] = {
        "grade": lambda row: short(row.get("assessment", {}).get("grade", "")),
        "posts": lambda row: str(row.get("postCount", 0)),
        "last": lambda row: local(row.get("lastPublishTime", ""))[:10],
        "place": lambda row: last(row.get("place", "")),
        "title": lambda row: row.get("title", ""),
        "event": lambda row: row["name"],
    }
    print_rows(rows, columns, as_json)


@app.command("hot")
def events_hot(
    start: Annotated[str, typer.Option("--from", help="e.g. 2026-03-01. Default: seven days before the end.")] = "",
    end: Annotated[str, typer.Option("--to", help="As --from. Default: now.")] = "",
    place: Annotated[str, typer.Option(help="At this place or one below it.")] = "",
    topic: Annotated[str, typer.Option(help="Of this topic or one below it.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times.")] = "Asia/Shanghai",
    drill: Annotated[bool, typer.Option("--drill", help="Events of rehearsals, and none that are real.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="At most this many rows.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Lists the hottest events of a window, with what makes them hot: recent voices, growth, harm."""
    zone = series.zone_of(time_zone)
    answer = caller.gateway().get(
        "/v1/events:hot",
        startTime=series.rfc3339(start, zone, "--from"),
        endTime=series.rfc3339(end, zone, "--to"),
        place=place and f"places/{place.removeprefix('places/')}",
        topic=topic and f"topics/{topic.removeprefix('topics/')}",
        drill="true" if drill else "",
        pageSize=limit,
    )
    if as_json:
        print_json(answer)
        return
    out.print(heat.head(answer, zone), markup=False, highlight=False)
    columns: dict[str, Callable[[Json], str]] = {
        **heat.COLUMNS,
        "place": lambda row: last(row["event"].get("place", "")),
        "title": lambda row: row["event"].get("title", ""),
        "event": lambda row: row["event"]["name"],
    }
    print_rows(answer.get("events", []), columns, as_json)


@app.command("show")
def events_show(
    name: Annotated[str, typer.Argument(help="events/… as the list has it.")],
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Shows an event, why it has its grade and what would change it, and its posts."""
    gateway = caller.gateway()
    event = gateway.get(f"/v1/{named(name, 'events')}")
    explanation = gateway.get(f"/v1/{event['name']}:explain")
    summary = gateway.get(f"/v1/{event['name']}/summary")
    members = list(gateway.pages(f"/v1/{event['name']}/memberships", "memberships", limit))
    if as_json:
        print_json({"event": event, "explanation": explanation, "summary": summary, "memberships": members})
        return
    assessment = event.get("assessment", {})
    out.print(f"[bold]{plain(event.get('title', ''))}[/bold]")
    out.print(
        f"{event['name']}  {short(assessment.get('grade', ''))}  {event.get('postCount', 0)} posts  "
        f"{event.get('place', '')}  {event.get('topic', '')}",
        markup=False,
    )
    for line in regrouping.relations(event):
        out.print(f"  {line}", markup=False)
    for rule in assessment.get("firedRules", []):
        read = ", ".join(f"{figure} = {value:g}" for figure, value in sorted(rule.get("figures", {}).items()))
        out.print(f"  {short(rule['grade'])} by {rule['rule']}: {rule['explanation']} ({read})", markup=False)
    for line in policies.explained(explanation):
        out.print(f"  {line}", markup=False)
    for sentence in summary.get("sentences", []):
        out.print(f"  “{sentence['text']}”  {sentence['post']}", markup=False, highlight=False)
    for member in members:
        text = " ".join(member.get("text", "").split())
        out.print(
            f"\n{local(member.get('publishTime', ''))}  {member.get('externalId', '')}  {member.get('subject', '')}",
            markup=False,
        )
        out.print(f"  {text[:160]}{'…' if len(text) > 160 else ''}", markup=False)


@app.command("series")
def events_series(
    name: Annotated[str, typer.Argument(help="events/… as the list has it.")],
    start: Annotated[str, typer.Option("--from", help="e.g. 2026-03-01 or 2026-03-01T08:00.")] = "",
    end: Annotated[str, typer.Option("--to", help="As --from. Default: now, or the last post of an old event.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of the days that are shown.")] = "Asia/Shanghai",
    as_json: AsJson = False,
) -> None:
    """Shows an event's posts by hour, the bursts among them, and a forecast of the next 24 hours."""
    zone = series.zone_of(time_zone)
    answer = caller.gateway().get(
        f"/v1/{named(name, 'events')}/series",
        startTime=series.rfc3339(start, zone, "--from"),
        endTime=series.rfc3339(end, zone, "--to"),
        timeZone=time_zone,
        forecast="true",
    )
    if as_json:
        print_json(answer)
        return
    for line in series.lines(answer, zone):
        out.print(line, markup=False, highlight=False)


@app.command("merge")
def events_merge(
    target: Annotated[str, typer.Argument(help="The event that takes the posts over.")],
    events: Annotated[list[str], typer.Argument(help="The events that are merged into it.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Merges events into one. Their names lead to it from then on."""
    names = [named(event, "events") for event in events]
    _print_regrouped(regrouping.merge(caller.gateway(), named(target, "events"), names, reason), as_json)


@app.command("split")
def events_split(
    event: Annotated[str, typer.Argument(help="The event that posts are taken from.")],
    posts: Annotated[list[str], typer.Argument(help="posts/… that become an event of their own.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Makes an event of its own of some posts of an event."""
    names = [named(post, "posts") for post in posts]
    _print_regrouped(regrouping.split(caller.gateway(), named(event, "events"), names, reason), as_json)


@app.command("move")
def events_move(
    target: Annotated[str, typer.Argument(help="The event that the posts come to.")],
    posts: Annotated[list[str], typer.Argument(help="posts/… of other events.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Moves posts to an event that is there."""
    names = [named(post, "posts") for post in posts]
    _print_regrouped(regrouping.move(caller.gateway(), named(target, "events"), names, reason), as_json)


def _print_regrouped(event: Json, as_json: bool) -> None:
    if as_json:
        print_json(event)
    else:
        out.print(f"{event['name']}  {event.get('postCount', 0)} posts  {event.get('title', '')}", markup=False)


@app.command("regroupings")
def events_regroupings(
    filter_: Annotated[str, typer.Option("--filter", help="AIP-160, e.g. 'state = STATE_PROPOSED'.")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists what was merged, moved and split, by whom and why, and what the analyzer proposes; the newest first."""
    rows = list(caller.gateway().pages("/v1/regroupings", "regroupings", limit, filter=filter_))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        out.print(regrouping.line_of(row), markup=False, highlight=False)
    if not rows:
        out.print("Nothing there.")


@app.command("accept")
def events_accept(
    proposal: Annotated[str, typer.Argument(help="regroupings/… that the analyzer proposes.")],
    reason: Annotated[str, typer.Option("--reason", help="Why. Default: that it was proposed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Carries out what the analyzer proposes."""
    answer = regrouping.decide(caller.gateway(), named(proposal, "regroupings"), accept=True, reason=reason)
    _print_regrouped(answer, as_json)


@app.command("dismiss")
def events_dismiss(
    proposal: Annotated[str, typer.Argument(help="regroupings/… that the analyzer proposes.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Declines what the analyzer proposes: the events are kept apart from then on."""
    answer = regrouping.decide(caller.gateway(), named(proposal, "regroupings"), accept=False, reason=reason)
    if as_json:
        print_json(answer)
    else:
        out.print(regrouping.line_of(answer), markup=False, highlight=False)


@app.command("export")
def events_export(
    target: Annotated[Path | None, typer.Option("--out", help="A file. Default: standard output.")] = None,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="csv: which post is of which event; jsonl: an event a line.")
    ] = ExportFormat.CSV,
    as_json: Annotated[bool, typer.Option("--json", help="csv's rows, a JSON object a line.")] = False,
) -> None:
    """Writes which post belongs to which event (event, post, external_id), or every event with its assessment."""
    if target is None:
        _export(sys.stdout, form, as_json)
    else:
        with target.open("w", encoding="utf-8", newline="") as file:
            _export(file, form, as_json)


def _export(file: TextIO, form: ExportFormat, as_json: bool) -> None:
    if form is ExportFormat.JSONL:
        for event in caller.gateway().pages("/v1/events", "events"):
            file.write(json.dumps(event, ensure_ascii=False) + "\n")
    else:
        _export_memberships(caller.gateway().pages("/v1/events/-/memberships", "memberships"), file, as_json)


def _export_memberships(rows: Iterable[Json], file: TextIO, as_json: bool) -> None:
    writer = csv.writer(file)
    if not as_json:
        writer.writerow(("event", "post", "external_id"))
    for row in rows:
        record = {"event": row["event"], "post": row["post"], "external_id": row.get("externalId", "")}
        if as_json:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
        else:
            writer.writerow(record.values())


def search(
    query: Annotated[
        str, typer.Argument(help='Words, "phrases", -exclusions, OR. What begins with - goes behind a bare --.')
    ] = "",
    topic: Annotated[str, typer.Option(help="Of this topic or one below it.")] = "",
    place: Annotated[str, typer.Option(help="At this place or one below it.")] = "",
    source: Annotated[str, typer.Option(help="From this source.")] = "",
    grade: Annotated[str, typer.Option(help="Of events of this grade or a higher one: large, serious …")] = "",
    since: Annotated[str, typer.Option(help="Published then or later, e.g. 2026-03-01 or 2026-03-01T08:00.")] = "",
    until: Annotated[str, typer.Option(help="Published earlier than this.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times.")] = "Asia/Shanghai",
    newest: Annotated[bool, typer.Option("--newest", help="The newest first, not the most relevant.")] = False,
    events: Annotated[bool, typer.Option("--events", help="The events that the posts belong to.")] = False,
    drill: Annotated[bool, typer.Option("--drill", help="Posts of rehearsals, and none that are real.")] = False,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Searches the texts of posts."""
    zone = series.zone_of(time_zone)
    wanted = searching.search_filter(
        query, zone=zone, topic=topic, place=place, source=source, grade=grade, since=since, until=until
    )
    body: Json = {"filter": {**wanted, "drill": drill}}
    if newest and not events:
        body["orderBy"] = "publish_time desc"
    path = "/v1/events:search" if events else "/v1/memberships:search"
    pages = list(searching.pages(caller.gateway(), path, body, limit))
    hits = [hit for page in pages for hit in page.get("hits", [])]
    if as_json:
        print_json(hits)
        return
    out.print(searching.head(pages[0], "events" if events else "posts"), markup=False, highlight=False)
    for hit in hits:
        for line in searching.event_lines(hit, zone) if events else searching.post_lines(hit, zone):
            out.print(line)
