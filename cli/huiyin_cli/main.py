"""`huiyin`: the command for people and scripts, a client of the gateway."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from huiyin_cli import (
    analyzing,
    answers,
    applying,
    clocks,
    correcting,
    heat,
    importing,
    policies,
    regrouping,
    replying,
    searching,
    series,
    stepping,
    training,
    watching,
)
from huiyin_cli.client import Access, Gateway, Json, Problem

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
events_app = typer.Typer(no_args_is_help=True, help="What people speak of, grouped and graded.")
cases_app = typer.Typer(no_args_is_help=True, help="What is being dealt with, by whom and until when.")
notifications_app = typer.Typer(no_args_is_help=True, help="What the people on duty were told.")
app.add_typer(events_app, name="events")
app.add_typer(cases_app, name="cases")
inquiries_app = typer.Typer(no_args_is_help=True, help="What people ask, and what is said to them meanwhile.")
app.add_typer(inquiries_app, name="inquiries")
app.add_typer(notifications_app, name="notifications")
policy_app = typer.Typer(no_args_is_help=True, help="The rules by which events are graded.")
app.add_typer(policy_app, name="policy")
models_app = typer.Typer(no_args_is_help=True, help="The models that tell topics.")
app.add_typer(models_app, name="models")
clock_app = typer.Typer(no_args_is_help=True, help="By when things are due, and why then.")
answers_app = typer.Typer(no_args_is_help=True, help="What was answered in the past.")
replies_app = typer.Typer(no_args_is_help=True, help="Replies: looked over, and compared version by version.")
templates_app = typer.Typer(no_args_is_help=True, help="Texts to begin a reply with.")
app.add_typer(answers_app, name="answers")
app.add_typer(replies_app, name="replies")
app.add_typer(templates_app, name="templates")
supervision_app = typer.Typer(no_args_is_help=True, help="What is due and was not done.")
app.add_typer(clock_app, name="clock")
app.add_typer(supervision_app, name="supervision")
topics_app = typer.Typer(no_args_is_help=True, help="What posts are about, and what people say of it.")
app.add_typer(topics_app, name="topics")

out = Console(soft_wrap=True)
err = Console(stderr=True)
_WIDE = 240

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
Filter = Annotated[
    str, typer.Option("--filter", help="AIP-160, e.g. 'grade >= GRADE_LARGE AND place = \"places/A市\"'.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="At most this many rows.")]


class ExportFormat(StrEnum):
    """What `events export` writes."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass
class _Caller:
    account: str = ""
    client_file: Path | None = None
    _gateways: dict[str, Gateway] = field(default_factory=dict)

    def gateway(self, default_account: str = "desk") -> Gateway:
        account = self.account or default_account
        if account not in self._gateways:
            self._gateways[account] = Gateway(Access.find(account, self.client_file))
        return self._gateways[account]


caller = _Caller()


@app.callback()
def _options(
    account: Annotated[
        str, typer.Option("--as", help="The account whose key is used. Default: desk; apply, train: admin.")
    ] = "",
    client_file: Annotated[Path | None, typer.Option(help="Address and keys. Default: var/client.toml.")] = None,
) -> None:
    caller.account = account
    caller.client_file = client_file


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, one message a row.")],
    source: Annotated[str, typer.Option(help="Id of the source that it belongs to. Default: import.")] = "",
    no_answer: Annotated[bool, typer.Option("--no-answer", help="Its authors expect no answer.")] = False,
    columns: Annotated[
        list[str] | None, typer.Option("--map", help="field=column, e.g. subject=留言主题; may be repeated.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Zone of times without one. Default: Asia/Shanghai.")] = "",
    drill: Annotated[bool, typer.Option("--drill", help="A rehearsal: joins and counts with nothing real.")] = False,
    as_json: AsJson = False,
) -> None:
    """Imports a file of messages. A row that is known already is not added again."""
    gateway = caller.gateway()
    source_id = source or ("import-no-answer" if no_answer else "import")
    name = importing.ensure_source(gateway, source_id, expects_answer=not no_answer)
    result = importing.import_file(
        gateway, file, name, columns=columns or [], time_zone=time_zone, drill=drill, console=err
    )
    if as_json:
        _print_json(result)
        return
    figures = result.get("figures", {})
    refused = int(figures.get("refused", 0))
    read, created, updated, unchanged = (
        int(figures.get(name, 0)) for name in ("read", "created", "updated", "unchanged")
    )
    out.print(f"{read:,} rows: {created:,} new, {updated:,} edited, {unchanged:,} known already, {refused:,} refused.")
    for row in result.get("refusedRows", []):
        out.print(f"  row {row['row']}, {row.get('field', 'row')}: {row['description']}", markup=False)
    if refused > len(result.get("refusedRows", [])):
        out.print(f"  … and {refused - len(result['refusedRows']):,} more")
    if refused and refused == read:
        raise typer.Exit(1)


@app.command()
def analyze(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, one text a row.")],
    target: Annotated[Path, typer.Option("--out", help="A csv or jsonl file to write.")],
    text: Annotated[str, typer.Option("--text", help="The column that holds the text.")],
    subject: Annotated[str, typer.Option("--subject", help="The column that holds a title.")] = "",
    time: Annotated[
        str, typer.Option("--time", help="The column that says when it was written; then 昨天 has a date.")
    ] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times without one.")] = "Asia/Shanghai",
) -> None:
    """Reads topic, places, intent, harm, urgency and times of each row of a file. Stores nothing."""
    done = analyzing.analyze(
        caller.gateway(),
        file,
        target,
        text=text,
        subject=subject,
        time=time,
        zone=series.zone_of(time_zone),
        console=err,
    )
    out.print(f"{done.rows:,} rows written to {target}.", markup=False)
    for usual, name in done.renamed.items():
        out.print(f"  {usual} is called {name}: the file has a column {usual} of its own.", markup=False)
    if done.unread_times:
        out.print(f"  {done.unread_times:,} rows have a time that cannot be read; they were read as without one.")


@app.command()
def apply(folder: Annotated[Path, typer.Argument(help="A folder as samples/ is one.")]) -> None:
    """Writes the topics, places, units and policies of a folder. Again changes nothing."""
    for line in applying.apply_folder(caller.gateway("admin"), folder):
        out.print(line, markup=False)


@events_app.command("list")
def events_list(
    filter_: Filter = "",
    order_by: Annotated[str, typer.Option(help="post_count desc, grade desc, last_publish_time desc …")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists events, the largest first."""
    rows = caller.gateway().pages("/v1/events", "events", limit, filter=filter_, orderBy=order_by)
    columns: dict[str, Callable[[Json], str]] = {
        "grade": lambda row: _short(row.get("assessment", {}).get("grade", "")),
        "posts": lambda row: str(row.get("postCount", 0)),
        "last": lambda row: _time(row.get("lastPublishTime", ""))[:10],
        "place": lambda row: _last(row.get("place", "")),
        "title": lambda row: row.get("title", ""),
        "event": lambda row: row["name"],
    }
    _print_rows(rows, columns, as_json)


@events_app.command("hot")
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
        _print_json(answer)
        return
    out.print(heat.head(answer, zone), markup=False, highlight=False)
    columns: dict[str, Callable[[Json], str]] = {
        **heat.COLUMNS,
        "place": lambda row: _last(row["event"].get("place", "")),
        "title": lambda row: row["event"].get("title", ""),
        "event": lambda row: row["event"]["name"],
    }
    _print_rows(answer.get("events", []), columns, as_json)


@events_app.command("show")
def events_show(
    name: Annotated[str, typer.Argument(help="events/… as the list has it.")],
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Shows an event, why it has its grade and what would change it, and its posts."""
    gateway = caller.gateway()
    event = gateway.get(f"/v1/{_named(name, 'events')}")
    explanation = gateway.get(f"/v1/{event['name']}:explain")
    summary = gateway.get(f"/v1/{event['name']}/summary")
    members = list(gateway.pages(f"/v1/{event['name']}/memberships", "memberships", limit))
    if as_json:
        _print_json({"event": event, "explanation": explanation, "summary": summary, "memberships": members})
        return
    assessment = event.get("assessment", {})
    out.print(f"[bold]{_plain(event.get('title', ''))}[/bold]")
    out.print(
        f"{event['name']}  {_short(assessment.get('grade', ''))}  {event.get('postCount', 0)} posts  "
        f"{event.get('place', '')}  {event.get('topic', '')}",
        markup=False,
    )
    for line in regrouping.relations(event):
        out.print(f"  {line}", markup=False)
    for rule in assessment.get("firedRules", []):
        read = ", ".join(f"{figure} = {value:g}" for figure, value in sorted(rule.get("figures", {}).items()))
        out.print(f"  {_short(rule['grade'])} by {rule['rule']}: {rule['explanation']} ({read})", markup=False)
    for line in policies.explained(explanation):
        out.print(f"  {line}", markup=False)
    for sentence in summary.get("sentences", []):
        out.print(f"  “{sentence['text']}”  {sentence['post']}", markup=False, highlight=False)
    for member in members:
        text = " ".join(member.get("text", "").split())
        out.print(
            f"\n{_time(member.get('publishTime', ''))}  {member.get('externalId', '')}  {member.get('subject', '')}",
            markup=False,
        )
        out.print(f"  {text[:160]}{'…' if len(text) > 160 else ''}", markup=False)


@events_app.command("series")
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
        f"/v1/{_named(name, 'events')}/series",
        startTime=series.rfc3339(start, zone, "--from"),
        endTime=series.rfc3339(end, zone, "--to"),
        timeZone=time_zone,
        forecast="true",
    )
    if as_json:
        _print_json(answer)
        return
    for line in series.lines(answer, zone):
        out.print(line, markup=False, highlight=False)


Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept with the decision.")]


@events_app.command("merge")
def events_merge(
    target: Annotated[str, typer.Argument(help="The event that takes the posts over.")],
    events: Annotated[list[str], typer.Argument(help="The events that are merged into it.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Merges events into one. Their names lead to it from then on."""
    names = [_named(event, "events") for event in events]
    _print_regrouped(regrouping.merge(caller.gateway(), _named(target, "events"), names, reason), as_json)


@events_app.command("split")
def events_split(
    event: Annotated[str, typer.Argument(help="The event that posts are taken from.")],
    posts: Annotated[list[str], typer.Argument(help="posts/… that become an event of their own.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Makes an event of its own of some posts of an event."""
    names = [_named(post, "posts") for post in posts]
    _print_regrouped(regrouping.split(caller.gateway(), _named(event, "events"), names, reason), as_json)


@events_app.command("move")
def events_move(
    target: Annotated[str, typer.Argument(help="The event that the posts come to.")],
    posts: Annotated[list[str], typer.Argument(help="posts/… of other events.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Moves posts to an event that is there."""
    names = [_named(post, "posts") for post in posts]
    _print_regrouped(regrouping.move(caller.gateway(), _named(target, "events"), names, reason), as_json)


def _print_regrouped(event: Json, as_json: bool) -> None:
    if as_json:
        _print_json(event)
    else:
        out.print(f"{event['name']}  {event.get('postCount', 0)} posts  {event.get('title', '')}", markup=False)


@events_app.command("regroupings")
def events_regroupings(
    filter_: Annotated[str, typer.Option("--filter", help="AIP-160, e.g. 'state = STATE_PROPOSED'.")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists what was merged, moved and split, by whom and why, and what the analyzer proposes; the newest first."""
    rows = list(caller.gateway().pages("/v1/regroupings", "regroupings", limit, filter=filter_))
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        out.print(regrouping.line_of(row), markup=False, highlight=False)
    if not rows:
        out.print("Nothing there.")


@events_app.command("accept")
def events_accept(
    proposal: Annotated[str, typer.Argument(help="regroupings/… that the analyzer proposes.")],
    reason: Annotated[str, typer.Option("--reason", help="Why. Default: that it was proposed.")] = "",
    as_json: AsJson = False,
) -> None:
    """Carries out what the analyzer proposes."""
    answer = regrouping.decide(caller.gateway(), _named(proposal, "regroupings"), accept=True, reason=reason)
    _print_regrouped(answer, as_json)


@events_app.command("dismiss")
def events_dismiss(
    proposal: Annotated[str, typer.Argument(help="regroupings/… that the analyzer proposes.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Declines what the analyzer proposes: the events are kept apart from then on."""
    answer = regrouping.decide(caller.gateway(), _named(proposal, "regroupings"), accept=False, reason=reason)
    if as_json:
        _print_json(answer)
    else:
        out.print(regrouping.line_of(answer), markup=False, highlight=False)


@events_app.command("export")
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


@policy_app.command("test")
def policy_test(
    policy: Annotated[Path, typer.Argument(help="A grading policy, as samples/policies/grading.yaml is one.")],
    events: Annotated[
        Path | None, typer.Option("--on", help="Events of `events export --format jsonl`. Default: those of now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Says which events would have another grade if a policy were in force, and by which rules. Stores nothing."""
    result = policies.test_policy(caller.gateway(), policy, events)
    if as_json:
        _print_json(result)
        return
    for line in policies.lines_of(result):
        out.print(line, markup=False, highlight=False)


@app.command()
def train(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, one labelled text a row.")],
    text: Annotated[str, typer.Option(help="The column that holds the text.")],
    label: Annotated[str, typer.Option(help="The column that holds the label, a first-level topic.")],
    subject: Annotated[str, typer.Option(help="The column that holds the subject. Default: there is none.")] = "",
    inactive: Annotated[bool, typer.Option("--inactive", help="Keep the model, but do not put it in force.")] = False,
    as_json: AsJson = False,
) -> None:
    """Trains a model that tells topics, and shows how well it does. The rows are not stored."""
    model = training.train(
        caller.gateway("admin"), file, text=text, label=label, subject=subject, inactive=inactive, console=err
    )
    if as_json:
        _print_json(model)
    else:
        _print_lines(training.report_lines(model))


@models_app.command("list")
def models_list(limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists the topic models, the newest first."""
    rows = caller.gateway().pages("/v1/topicModels", "topicModels", limit)
    _print_rows(rows, {"trained": lambda row: _time(row.get("createTime", "")), **training.COLUMNS}, as_json)


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="topicModels/…, or its number.")], as_json: AsJson = False
) -> None:
    """Shows a model's report."""
    model = caller.gateway().get(f"/v1/{_named(name, 'topicModels')}")
    if as_json:
        _print_json(model)
    else:
        _print_lines(training.report_lines(model))


@models_app.command("compare")
def models_compare(
    one: Annotated[str, typer.Argument(help="topicModels/…, or its number.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Shows the figures of two models side by side."""
    models = [caller.gateway().get(f"/v1/{_named(name, 'topicModels')}") for name in (one, other)]
    if as_json:
        _print_json(models)
    else:
        _print_lines(training.comparison(*models))


@models_app.command("activate")
def models_activate(
    name: Annotated[str, typer.Argument(help='topicModels/…, or its number; "none": the words of the topics again.')],
    as_json: AsJson = False,
) -> None:
    """Puts a model in force, a newer one or an older one again. Stored posts follow in the background."""
    gateway = caller.gateway("admin")
    if name == "none":
        answer = gateway.post("/v1/topicModels:deactivate", {})
        told = "No model is in force: topics are told by the words of the topic tree."
    else:
        answer = gateway.post(f"/v1/{_named(name, 'topicModels')}:activate", {})
        told = f"{answer['name']} is in force; stored posts are told by it soon."
    if as_json:
        _print_json(answer)
    else:
        out.print(told, markup=False)


@topics_app.command("review")
def topics_review(
    topic: Annotated[str, typer.Option(help="Told to have this topic or one below it.")] = "",
    place: Annotated[str, typer.Option(help="At this place or one below it.")] = "",
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """Lists posts whose topic a person should look at, the least sure first."""
    wanted = correcting.review_filter(topic, place)
    rows = list(
        caller.gateway().pages(
            "/v1/events/-/memberships", "memberships", limit, filter=wanted, orderBy="topic_confidence"
        )
    )
    if as_json:
        _print_json(rows)
    else:
        _print_lines(correcting.review_lines(rows))


@topics_app.command("correct")
def topics_correct(
    names: Annotated[list[str], typer.Argument(help="memberships/… of posts, or events/… with all their posts.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    topic: Annotated[str, typer.Option(help="The topic, as a path: 城乡建设.噪声.")] = "",
    take_back: Annotated[bool, typer.Option("--take-back", help="Take earlier corrections back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sets the topic of posts or of whole events, for good; models learn from it."""
    if bool(topic) == take_back:
        raise Problem("Give either --topic or --take-back.")
    rows = correcting.correct(caller.gateway(), names, topic, reason)
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        out.print(f"{row['name']}  {row.get('topic', '')}", markup=False)


@topics_app.command("corrections")
def topics_corrections(filter_: Filter = "", limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists what people said of topics, the newest first."""
    rows = caller.gateway().pages("/v1/topicCorrections", "topicCorrections", limit, filter=filter_)
    columns: dict[str, Callable[[Json], str]] = {
        "corrected": lambda row: _time(row.get("createTime", "")),
        "by": lambda row: row.get("author", "").removeprefix("accounts/"),
        "topic": lambda row: _last(row.get("topic", "")) or "(taken back)",
        "of": lambda row: row.get("event") or row["membership"],
        "title": lambda row: row.get("reason", ""),
    }
    _print_rows(rows, columns, as_json)


@cases_app.command("list")
def cases_list(
    filter_: Filter = "",
    order_by: Annotated[str, typer.Option(help="deadline, grade desc, inquiry_count desc, create_time desc …")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists cases, the most pressing first."""
    rows = caller.gateway().pages("/v1/cases", "cases", limit, filter=filter_, orderBy=order_by)
    columns: dict[str, Callable[[Json], str]] = {
        "grade": lambda row: _short(row.get("grade", "")),
        "state": lambda row: _short(row.get("state", ""), "STATE_"),
        "inquiries": lambda row: str(row.get("inquiryCount", 0)),
        "answer by": lambda row: _time(row.get("deadline", "")),
        "unit": _unit,
        "title": lambda row: row.get("title", ""),
        "case": lambda row: row["name"],
    }
    _print_rows(rows, columns, as_json)


@cases_app.command("show")
def cases_show(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")],
    as_json: AsJson = False,
) -> None:
    """Shows a case: where it stands, its inquiries, its replies and its chain."""
    gateway = caller.gateway()
    case = gateway.get(f"/v1/{_named(name, 'cases')}")
    inquiries = list(gateway.pages("/v1/inquiries", "inquiries", 100, filter=f'case = "{case["name"]}"'))
    replies = gateway.get(f"/v1/{case['name']}/replies").get("replies", [])
    entries = list(gateway.pages(f"/v1/{case['name']}/entries", "entries"))
    verified = gateway.get(f"/v1/{case['name']}:verify")
    if as_json:
        _print_json({"case": case, "inquiries": inquiries, "replies": replies, "entries": entries, "chain": verified})
        return
    out.print(f"[bold]{_plain(case.get('title', ''))}[/bold]")
    out.print(
        f"{case['name']}  {_short(case['state'], 'STATE_')}  {_short(case.get('grade', ''))}  "
        f"{case.get('inquiryCount', 0)} inquiries  answer by {_time(case.get('deadline', '')) or '—'}  {_unit(case)}",
        markup=False,
    )
    for step in case.get("nextSteps", []):
        out.print(f"  next: {step['step']} ({', '.join(step.get('roles', []))})", markup=False)
    for inquiry in inquiries:
        text = " ".join(f"{inquiry.get('subject', '')} {inquiry.get('text', '')}".split())
        out.print(
            f"\n{inquiry['name']}  {_short(inquiry['state'], 'STATE_')}  by {_time(inquiry.get('deadline', ''))}",
            markup=False,
        )
        out.print(f"  {text[:160]}{'…' if len(text) > 160 else ''}", markup=False)
    for reply in replies:
        overridden = "  findings overridden" if reply.get("overridden") else ""
        out.print(
            f"\n{reply['name']}  version {reply.get('version', 1)}  {_short(reply['state'], 'STATE_')}  "
            f"{reply.get('unit', '')}{overridden}",
            markup=False,
        )
        out.print(f"  {reply.get('text', '')}", markup=False)
        for paragraph in reply.get("paragraphs", []):
            out.print(f"  {paragraph['inquiry']}: {paragraph.get('text', '')}", markup=False)
        for line in replying.finding_lines(reply.get("findings", [])):
            out.print(f"  {line}", markup=False, highlight=False)
    whole = "whole" if verified.get("intact") else f"BROKEN: {verified.get('problem', '')}"
    out.print(f"\nChain of {len(entries)} steps, {whole}:", markup=False)
    for entry in entries:
        told = entry.get("sentence") or entry["step"]
        out.print(f"  {entry['number']:>3}  {_time(entry['time'])}  {told}  ({entry['actor']})", markup=False)
        if note := " ".join(entry.get("note", "").split()):
            out.print(f"         {note}", markup=False)


@replies_app.command("check")
def replies_check(
    name: Annotated[str, typer.Argument(help="The case that is answered.")],
    file: Annotated[
        Path | None, typer.Argument(help="A file with the text, - for standard input. Default: the reply in work.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Looks a reply over before its review; exit code 1 where a finding blocks. Stores nothing."""
    try:
        text = "" if file is None else sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{file} cannot be read as UTF-8 ({error}).") from error
    if file is not None and not text.strip():
        raise Problem(f"{file} holds no text; there is nothing to check.")
    answer = caller.gateway("officer").post(f"/v1/{_named(name, 'cases')}:checkReply", {"text": text})
    findings = answer.get("findings", [])
    if as_json:
        _print_json(answer)
    else:
        for line in replying.finding_lines(findings):
            out.print(line, markup=False, highlight=False)
        if not findings:
            out.print("Nothing to say of it.")
    if replying.blocks(findings):
        raise typer.Exit(1)


@replies_app.command("diff")
def replies_diff(
    name: Annotated[str, typer.Argument(help="The case.")],
    version: Annotated[int, typer.Option("--of", min=0, help="The later version. Default: the newest.")] = 0,
    base: Annotated[int, typer.Option("--from", min=0, help="The earlier version. Default: the one before.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Shows what changed between two versions of a reply."""
    answer = replying.compare(caller.gateway(), _named(name, "cases"), version, base)
    if as_json:
        _print_json(answer)
        return
    styled = out.is_terminal
    for line in replying.difference_lines(answer, styled=styled):
        out.print(line, markup=styled, highlight=False)


@templates_app.command("list")
def templates_list(
    case: Annotated[str, typer.Option(help="Only those that suit this case, the nearest first.")] = "",
    as_json: AsJson = False,
) -> None:
    """Lists the templates of replies."""
    parameters = {"case": _named(case, "cases")} if case else {}
    rows = caller.gateway("officer").get("/v1/replyTemplates", **parameters).get("replyTemplates", [])
    columns: dict[str, Callable[[Json], str]] = {
        "template": lambda row: row["name"].removeprefix("replyTemplates/"),
        "intents": lambda row: ", ".join(row.get("intents", [])),
        "topics": lambda row: ", ".join(_last(topic) for topic in row.get("topics", [])),
        "title": lambda row: row.get("displayName", ""),
    }
    _print_rows(rows, columns, as_json)


@templates_app.command("fill")
def templates_fill(
    template: Annotated[str, typer.Argument(help="The template's name, as the list has it.")],
    case: Annotated[str, typer.Argument(help="The case that fills it.")],
    as_json: AsJson = False,
) -> None:
    """Prints a template with what the case knows; what is still to be written stands as 〔待填：…〕."""
    path = f"/v1/{_named(template, 'replyTemplates')}:fill"
    answer = caller.gateway("officer").post(path, {"case": _named(case, "cases")})
    if as_json:
        _print_json(answer)
    else:
        out.print(answer.get("text", ""), markup=False, highlight=False)


@answers_app.command("import")
def answers_import(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, a question with its answer a row.")],
    answer: Annotated[str, typer.Option(help="The column of the answer.")],
    text: Annotated[str, typer.Option(help="The column of what was asked.")] = "",
    subject: Annotated[str, typer.Option(help="The column of the subject.")] = "",
    unit: Annotated[str, typer.Option(help="The column of the office that answered.")] = "",
    identity: Annotated[str, typer.Option("--id", help="The column of the id. Default: the texts are the id.")] = "",
    time: Annotated[str, typer.Option(help="The column of when it was answered.")] = "",
    author: Annotated[
        str, typer.Option(help="The column of who asked: the name is left out wherever it stands in a text.")
    ] = "",
    source: Annotated[str, typer.Option(help="Where they come from. Default: the file's name.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times without one.")] = "Asia/Shanghai",
    as_json: AsJson = False,
) -> None:
    """Brings answers of the past along, to be offered for like cases. Again changes nothing."""
    columns = answers.Columns(answer, subject, text, unit, identity, time, author)
    zone = series.zone_of(time_zone)
    result = answers.import_answers(caller.gateway(), file, source or file.stem, columns, zone)
    if as_json:
        _print_json(result)
        return
    out.print(
        f"{result['read']:,} rows: {result['created']:,} new, {result['updated']:,} edited, "
        f"{result['unchanged']:,} known already, {result['empty']:,} without an answer."
    )


@answers_app.command("similar")
def answers_similar(
    case: Annotated[str, typer.Argument(help="The case for which an answer is sought.")] = "",
    text: Annotated[str, typer.Option(help="What is asked, instead of a case.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=50, help="At most this many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Shows past answers to similar questions, with where they come from."""
    result = answers.similar(caller.gateway("officer"), _named(case, "cases") if case else "", text, limit)
    if as_json:
        _print_json(result)
        return
    for line in answers.lines_of(result):
        out.print(line, markup=False, highlight=False)


@cases_app.command("propose")
def cases_propose(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")], as_json: AsJson = False
) -> None:
    """Proposes whom to assign a case to, with reasons, and shows what was decided in like cases. It decides nothing."""
    gateway = caller.gateway()
    answer = gateway.get(f"/v1/{_named(name, 'cases')}:proposeAssignment")
    if as_json:
        _print_json(answer)
        return
    _print_lines(stepping.proposal_lines(answer))
    if proposals := answer.get("proposals"):
        _print_lines(stepping.contact_lines(gateway.get(f"/v1/{proposals[0]['leadUnit']}")))


@cases_app.command("step")
def cases_step(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")],
    step: Annotated[str, typer.Argument(help=", ".join(stepping.STEPS))],
    unit: Annotated[str, typer.Option(help="assign: the lead unit.")] = "",
    assisting: Annotated[list[str] | None, typer.Option(help="assign: a unit that assists; may be repeated.")] = None,
    rule: Annotated[str, typer.Option(help="object: the rule that it relies on.")] = "",
    reason: Annotated[str, typer.Option(help="Why; object, reopen and extensions need it.")] = "",
    text: Annotated[str, typer.Option(help="draft: the answer.")] = "",
    note: Annotated[str, typer.Option(help="What goes with it; a return needs one.")] = "",
    back: Annotated[bool, typer.Option("--return", help="Decisions: send back or refuse. Default: pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Takes a step with a case; `cases show` says which are possible, and for whom."""
    given: Json = {
        "unit": unit and _named(unit, "units"),
        "assisting": [_named(each, "units") for each in assisting or []],
        "rule": rule,
        "reason": reason,
        "text": text,
        "note": note,
        "decision": back,
    }
    body = stepping.body_of(step, given)
    taken = stepping.STEPS[step]
    case = caller.gateway(taken.account).post(f"/v1/{_named(name, 'cases')}:{taken.verb}", body)
    if as_json:
        _print_json(case)
        return
    out.print(f"{case['name']}  {_short(case['state'], 'STATE_')}  {_unit(case)}", markup=False)
    for possible in case.get("nextSteps", []):
        out.print(f"  next: {possible['step']} ({', '.join(possible.get('roles', []))})", markup=False)


@inquiries_app.command("ask")
def inquiries_ask(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    text: Annotated[str, typer.Argument(help="What its author should say.")],
    as_json: AsJson = False,
) -> None:
    """Asks the author of an inquiry, who reads it with the receipt; the clock stands still within limits."""
    message = caller.gateway().post(f"/v1/{_named(name, 'inquiries')}:ask", {"text": text})
    _print_message(message, as_json, "the clock stands still" if message.get("clockPaused") else "the clock runs on")


@inquiries_app.command("tell")
def inquiries_tell(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    text: Annotated[str, typer.Argument(help="What its author should know.")],
    as_json: AsJson = False,
) -> None:
    """Tells the author of an inquiry something, who reads it with the receipt."""
    message = caller.gateway().post(f"/v1/{_named(name, 'inquiries')}:tell", {"text": text})
    _print_message(message, as_json, "told")


@inquiries_app.command("close-question")
def inquiries_close_question(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")], as_json: AsJson = False
) -> None:
    """Waits no longer for the answer to a question; the clock goes on."""
    inquiry = caller.gateway().post(f"/v1/{_named(name, 'inquiries')}:closeQuestion", {})
    if as_json:
        _print_json(inquiry)
    else:
        out.print(f"{inquiry['name']}  answer by {_time(inquiry.get('deadline', ''))}", markup=False)


@inquiries_app.command("messages")
def inquiries_messages(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")], as_json: AsJson = False
) -> None:
    """Shows what an office and the author of an inquiry said to one another."""
    messages = caller.gateway().get(f"/v1/{_named(name, 'inquiries')}/messages").get("messages", [])
    if as_json:
        _print_json(messages)
    else:
        _print_lines(stepping.message_lines(messages) if messages else ["Nothing was said."])


@inquiries_app.command("grounds")
def inquiries_grounds(as_json: AsJson = False) -> None:
    """Lists the grounds on which an inquiry may be refused, and those that tell whom to call."""
    grounds = caller.gateway().get("/v1/admissionGrounds").get("admissionGrounds", [])
    if as_json:
        _print_json(grounds)
    else:
        _print_lines(stepping.ground_lines(grounds))


@inquiries_app.command("admit")
def inquiries_admit(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    ground: Annotated[str, typer.Option(help="Where life is in danger: whom to call, of `inquiries grounds`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Admits an inquiry; whatever is not decided on is admitted as its case is assigned."""
    _decide(name, "admit", {"ground": ground}, as_json)


@inquiries_app.command("refuse")
def inquiries_refuse(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    ground: Annotated[str, typer.Argument(help="Of `inquiries grounds`.")],
    body: Annotated[str, typer.Option(help="The body that it is passed on to.")] = "",
    text: Annotated[str, typer.Option(help="What the author reads beneath the ground's text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Proposes to refuse an inquiry, or to pass it on; another person reviews that."""
    _decide(name, "refuse", {"ground": ground, "body": body, "text": text}, as_json)


@inquiries_app.command("review-refusal")
def inquiries_review_refusal(
    name: Annotated[str, typer.Argument(help="inquiries/… whose refusal is proposed.")],
    back: Annotated[bool, typer.Option("--return", help="Send it back. Default: put it in force.")] = False,
    note: Annotated[str, typer.Option(help="Why; needed when it is sent back.")] = "",
    as_json: AsJson = False,
) -> None:
    """Reviews a refusal that another person proposed."""
    decision = "DECISION_RETURN" if back else "DECISION_PASS"
    _decide(name, "reviewRefusal", {"decision": decision, "note": note}, as_json)


@inquiries_app.command("join")
def inquiries_join(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    case: Annotated[str, typer.Argument(help="The open case that deals with the matter already.")],
    as_json: AsJson = False,
) -> None:
    """Joins an inquiry to another case."""
    _decide(name, "join", {"case": _named(case, "cases")}, as_json)


def _decide(name: str, verb: str, body: Json, as_json: bool) -> None:
    admission = caller.gateway().post(f"/v1/{_named(name, 'inquiries')}:{verb}", body)
    if as_json:
        _print_json(admission)
    else:
        out.print(stepping.admission_line(admission), markup=False)


def _print_message(message: Json, as_json: bool, what: str) -> None:
    if as_json:
        _print_json(message)
    else:
        out.print(f"{message['name']}  {what}", markup=False)


@clock_app.command("explain")
def clock_explain(
    name: Annotated[str, typer.Argument(help="A case, or clocks/… for one clock.")],
    as_json: AsJson = False,
) -> None:
    """Says of a case's clocks what they count and skip, on which notice that rests, and how much is left."""
    verb = "explain" if name.startswith("clocks/") else "explainClock"
    path = name if verb == "explain" else _named(name, "cases")
    answer = caller.gateway().get(f"/v1/{path}:{verb}")
    if as_json:
        _print_json(answer)
        return
    for number, explanation in enumerate(answer.get("clocks", [])):
        if number:
            out.print()
        for line in clocks.explained(explanation):
            out.print(line, markup=False, highlight=False)
    if left_out := answer.get("leftOut"):
        out.print(f"\n… and {left_out} more; give clocks/… for one of them")


@supervision_app.command("list")
def supervision_list(
    filter_: Annotated[
        str, typer.Option("--filter", help="AIP-160, e.g. 'stage >= SUPERVISION AND lead_unit = \"units/water\"'.")
    ] = "",
    until: Annotated[str, typer.Option(help="What ends by then, e.g. 2026-03-01T17:30. Default: today.")] = "",
    time_zone: Annotated[str, typer.Option(help="Zone of times.")] = "Asia/Shanghai",
    limit: Limit = 200,
    as_json: AsJson = False,
) -> None:
    """Lists by unit what is due today or was due before: what was reminded of, is supervised, stood in a circular."""
    zone = series.zone_of(time_zone)
    until = series.rfc3339(until, zone, "--until")
    rows = list(caller.gateway().pages("/v1/clocks:supervision", "clocks", limit, filter=filter_, until=until))
    if as_json:
        _print_json(rows)
        return
    if not rows:
        out.print("Nothing is due.")
    for line in clocks.supervised(rows, zone, datetime.now(zone)):
        out.print(line, markup=False, highlight=False)


@notifications_app.command("list")
def notifications_list(filter_: Filter = "", limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists notifications, the newest first."""
    rows = caller.gateway().pages("/v1/notifications", "notifications", limit, filter=filter_)
    columns: dict[str, Callable[[Json], str]] = {
        "created": lambda row: _time(row.get("createTime", "")),
        "state": lambda row: _short(row.get("state", ""), "STATE_"),
        "receiver": lambda row: row.get("receiver", ""),
        "cause": lambda row: row.get("cause", ""),
        "grade": lambda row: _short(row.get("grade", "")),
        "title": lambda row: row.get("title", ""),
        "case": lambda row: row.get("case", ""),
    }
    _print_rows(rows, columns, as_json)


@app.command()
def inquire(
    text: Annotated[str, typer.Argument(help="What is asked.")],
    subject: Annotated[str, typer.Option(help="A title.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach the author; kept encrypted, destroyed afterwards.")] = "",
    consent: Annotated[
        bool, typer.Option("--public", help="The masked text may become public with the answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Submits an inquiry as a citizen would, and prints its receipt."""
    public = _public()
    answer = public.post(
        "/v1/inquiries:submit", {"text": text, "subject": subject, "contact": contact, "publicConsent": consent}
    )
    if as_json:
        _print_json(answer)
        return
    out.print(f"receipt: {answer['receipt']}", markup=False)
    out.print(
        f"An answer is promised by {_time(answer.get('deadline', ''))}; to read it: huiyin receipt {answer['receipt']}"
    )
    _say_weekdays(answer)


class TakenBy(StrEnum):
    """How an inquiry that an officer takes down reached the office."""

    TELEPHONE = "telephone"
    COUNTER = "counter"


@app.command()
def take(
    text: Annotated[str, typer.Argument(help="What is asked, as it was written down.")],
    channel: Annotated[TakenBy, typer.Option(help="How it reached the office.")] = TakenBy.TELEPHONE,
    subject: Annotated[str, typer.Option(help="A title.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach the author; kept encrypted, destroyed afterwards.")] = "",
    read_back: Annotated[bool, typer.Option("--read-back", help="It was read back already: do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Takes an inquiry down on the telephone or at the counter: the text is read back before it is stored."""
    gateway = caller.gateway()
    body = {"text": text, "subject": subject, "channel": f"CHANNEL_{channel.upper()}"}
    prepared = gateway.post("/v1/inquiries:prepare", body)
    if not read_back:
        for line in filter(None, (prepared.get("subject"), prepared["text"])):
            err.print(line, markup=False, highlight=False)
        if not typer.confirm("Read this back. Does the author agree?", err=True):
            raise Problem("Nothing was stored; write down what the author says, and take it again.")
    submitted = {**body, "contact": contact, "confirmation": prepared["confirmation"]}
    answer = gateway.post("/v1/inquiries:submit", submitted)
    if as_json:
        _print_json(answer)
        return
    out.print(f"receipt: {answer['receipt']}", markup=False)
    out.print(f"An answer is promised by {_time(answer.get('deadline', ''))}; give the author the receipt.")
    _say_weekdays(answer)


@app.command()
def receipt(
    token: Annotated[str, typer.Argument(help="The receipt of an inquiry.")],
    follow_up: Annotated[
        str, typer.Option(help="What is still to be said on the answer; it goes to the unit that answered.")
    ] = "",
    add: Annotated[str, typer.Option(help="Answers the question that is open, or adds to the inquiry.")] = "",
    satisfied: Annotated[bool, typer.Option("--satisfied", help="The answer satisfies; said once.")] = False,
    dissatisfied: Annotated[str, typer.Option(help="The answer does not satisfy, and why; said once.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Nobody needs to answer any more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reads how an inquiry stands, and its answer; or adds to it, judges its answer, or follows up on it.

    A follow-up is an inquiry of its own; its receipt is printed.
    """
    if add:
        _public().post("/v1/receipts:write", {"receipt": token, "text": add})
    if withdraw:
        _public().post("/v1/receipts:withdraw", {"receipt": token})
    if satisfied or dissatisfied:
        feedback = {"receipt": token, "satisfied": satisfied, "reason": dissatisfied}
        _public().post("/v1/receipts:feedback", feedback)
    if follow_up:
        answer = _public().post("/v1/receipts:followUp", {"receipt": token, "text": follow_up})
    else:
        answer = _public().post("/v1/receipts:lookup", {"receipt": token})
    if as_json:
        _print_json(answer)
        return
    if follow_up:
        out.print(f"receipt: {answer['receipt']}", markup=False)
        out.print(f"An answer is promised by {_time(answer.get('deadline', ''))}.")
        return
    out.print(
        f"{_short(answer.get('state', ''), 'STATE_')}  received {_time(answer.get('receiveTime', ''))}  "
        f"answer by {_time(answer.get('deadline', ''))}"
    )
    _say_weekdays(answer)
    _print_lines(stepping.message_lines(answer.get("messages", []), "you"))
    for found in answer.get("answers", []):
        out.print(f"\n{_time(found.get('publishTime', ''))}  {found.get('unitDisplayName', '')}", markup=False)
        out.print(found.get("text", ""), markup=False)
        for line in filter(None, (found.get("paragraph"), found.get("unitContact"))):
            out.print(line, markup=False)


@app.command()
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
        _print_json(hits)
        return
    out.print(searching.head(pages[0], "events" if events else "posts"), markup=False, highlight=False)
    for hit in hits:
        for line in searching.event_lines(hit, zone) if events else searching.post_lines(hit, zone):
            out.print(line)


@app.command()
def watch(
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help='e.g. case.opened or "case.*"; may be repeated.')
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Prints every change as it happens, until Ctrl-C."""
    for row in watching.changes(caller.gateway(), kinds or []):
        if as_json:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        else:
            print(watching.line_of(row), flush=True)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Says whether every part serves."""
    answer = _public().get("/v1/status")
    if as_json:
        _print_json(answer)
    else:
        for part in answer.get("services", []):
            out.print(f"{part['service']:<10} {'serving' if part.get('serving') else 'NOT SERVING'}")
    if not answer.get("serving"):
        raise typer.Exit(1)


def _say_weekdays(answer: Json) -> None:
    if years := answer.get("weekdayYears"):
        listed = ", ".join(map(str, years))
        out.print(f"The holidays of {listed} are not announced yet; the date may be brought forward, never put off.")


def _public() -> Gateway:
    """The gateway as the public sees it: no key is sent."""
    return Gateway(Access(caller.gateway().address, ""))


def _print_rows(rows: Iterable[Json], columns: dict[str, Callable[[Json], str]], as_json: bool) -> None:
    found = list(rows)
    if as_json:
        _print_json(found)
        return
    if not found:
        out.print("Nothing there.")
        return
    # Names are there to be copied, so nothing is cut off: the title takes what is left of the line, and folds.
    cells = [[_plain(read(row)) for read in columns.values()] for row in found]
    table = Table(box=None, pad_edge=False, header_style="dim")
    for index, title in enumerate(columns):
        if title == "title":
            table.add_column(title, overflow="fold", min_width=16)
        else:
            table.add_column(title, no_wrap=True, min_width=max(cell_len(row[index]) for row in [[*columns], *cells]))
    for row_cells in cells:
        table.add_row(*row_cells)
    # Into a file or a pipe a row is a line, however long.
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        out.print(line, markup=False, highlight=False)


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _named(name: str, collection: str) -> str:
    return name if name.startswith(f"{collection}/") else f"{collection}/{name}"


def _last(path: str) -> str:
    """The last segment of a topic's or a place's path."""
    return path.rpartition("/")[2].rpartition(".")[2]


def _plain(text: str) -> str:
    return text.replace("[", r"\[")


def _short(value: str, prefix: str = "GRADE_") -> str:
    return value.removeprefix(prefix)


def _time(value: str) -> str:
    """An RFC 3339 time in the zone of this machine, to the minute."""
    if not value:
        return ""
    return datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")


def _unit(case: Json) -> str:
    if unit := case.get("leadUnit"):
        return str(unit).removeprefix("units/")
    suggested = str(case.get("suggestedUnit", "")).removeprefix("units/")
    return f"({suggested}?)" if suggested else ""


def main() -> None:
    """Runs a command; a problem is one sentence on standard error and exit code 1."""
    try:
        app()
    except Problem as problem:
        err.print(str(problem), style="red", markup=False, highlight=False)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
