"""What posts are about: `huiyin topics`, `models`, `train` and `analyze`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    analyzing,
    correcting,
    series,
    training,
)
from huiyin_cli.client import Json, Problem
from huiyin_cli.console import (
    AsJson,
    Filter,
    Limit,
    caller,
    err,
    last,
    local,
    named,
    out,
    print_json,
    print_lines,
    print_rows,
)

models_app = typer.Typer(no_args_is_help=True, help="The models that tell topics.")
topics_app = typer.Typer(no_args_is_help=True, help="What posts are about, and what people say of it.")


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
        print_json(model)
    else:
        print_lines(training.report_lines(model))


@models_app.command("list")
def models_list(limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists the topic models, the newest first."""
    rows = caller.gateway().pages("/v1/topicModels", "topicModels", limit)
    print_rows(rows, {"trained": lambda row: local(row.get("createTime", "")), **training.COLUMNS}, as_json)


@models_app.command("show")
def models_show(
    name: Annotated[str, typer.Argument(help="topicModels/…, or its number.")], as_json: AsJson = False
) -> None:
    """Shows a model's report."""
    model = caller.gateway().get(f"/v1/{named(name, 'topicModels')}")
    if as_json:
        print_json(model)
    else:
        print_lines(training.report_lines(model))


@models_app.command("compare")
def models_compare(
    one: Annotated[str, typer.Argument(help="topicModels/…, or its number.")],
    other: Annotated[str, typer.Argument(help="Another.")],
    as_json: AsJson = False,
) -> None:
    """Shows the figures of two models side by side."""
    models = [caller.gateway().get(f"/v1/{named(name, 'topicModels')}") for name in (one, other)]
    if as_json:
        print_json(models)
    else:
        print_lines(training.comparison(*models))


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
        answer = gateway.post(f"/v1/{named(name, 'topicModels')}:activate", {})
        told = f"{answer['name']} is in force; stored posts are told by it soon."
    if as_json:
        print_json(answer)
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
        print_json(rows)
    else:
        print_lines(correcting.review_lines(rows))


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
        print_json(rows)
        return
    for row in rows:
        out.print(f"{row['name']}  {row.get('topic', '')}", markup=False)


@topics_app.command("corrections")
def topics_corrections(filter_: Filter = "", limit: Limit = 30, as_json: AsJson = False) -> None:
    """Lists what people said of topics, the newest first."""
    rows = caller.gateway().pages("/v1/topicCorrections", "topicCorrections", limit, filter=filter_)
    columns: dict[str, Callable[[Json], str]] = {
        "corrected": lambda row: local(row.get("createTime", "")),
        "by": lambda row: row.get("author", "").removeprefix("accounts/"),
        "topic": lambda row: last(row.get("topic", "")) or "(taken back)",
        "of": lambda row: row.get("event") or row["membership"],
        "title": lambda row: row.get("reason", ""),
    }
    print_rows(rows, columns, as_json)
