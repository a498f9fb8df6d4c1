"""Where posts come from: `huiyin sources`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import visiting
from huiyin_cli.client import Json, Problem
from huiyin_cli.console import AsJson, Limit, caller, local, named, out, print_json, print_lines, print_rows

app = typer.Typer(
    no_args_is_help=True, help="Where posts come from: feeds, lists and interfaces that are visited, files, inboxes."
)

_Source = Annotated[str, typer.Argument(help="Its id, or sources/ID.")]
_Answers = Annotated[bool, typer.Option("--expects-answer", help="Who posts there expects an answer.")]
_Kind = Annotated[str, typer.Option("--kind", help=f"One of {visiting.KINDS}. Default: feed, or as the file says.")]
_Items = Annotated[str, typer.Option("--items", help="Of a page-list: a CSS selector of the links to its articles.")]
_File = Annotated[
    Path | None,
    typer.Option("--file", help="A YAML file with the source and its rules.", exists=True, dir_okay=False),
]


@app.command("add")
def add(
    source: Annotated[str, typer.Argument(help="The id to be: small letters, digits, hyphens.")],
    url: Annotated[
        str,
        typer.Argument(
            help="The address of a feed, list or interface, or with --discover of a page that names a feed."
        ),
    ] = "",
    kind: _Kind = "",
    items: _Items = "",
    file: _File = None,
    display_name: Annotated[str, typer.Option("--name", help="What people call it. Default: its id.")] = "",
    area: Annotated[str, typer.Option(help="A label of the region that its posts speak of.")] = "",
    expects_answer: _Answers = False,
    discover: Annotated[bool, typer.Option("--discover", help="Take the first feed that the page names.")] = False,
) -> None:
    """Adds a source, which is visited at once."""
    gateway = caller.gateway()
    if discover:
        trial = gateway.post("/v1/sources:try", {"uri": url})
        feeds = trial.get("feeds", [])
        if trial.get("errorReason") and not feeds:
            raise Problem(f"{trial['errorReason']}: {trial.get('errorMessage', '')}")
        url = feeds[0] if feeds else url
    values = visiting.described(url, kind, items, file)
    values |= {name: value for name, value in (("displayName", display_name), ("area", area)) if value}
    values |= {"expectsAnswer": True} if expects_answer else {}
    created = gateway.post("/v1/sources", values, sourceId=source)
    out.print(f"{created['name']} {created['uri']}", markup=False, highlight=False)


@app.command("add-inbox")
def add_inbox(
    source: Annotated[str, typer.Argument(help="The id to be: small letters, digits, hyphens.")],
    display_name: Annotated[str, typer.Option("--name", help="What people call it. Default: its id.")] = "",
    area: Annotated[str, typer.Option(help="A label of the region that its posts speak of.")] = "",
) -> None:
    """Adds an inbox into which another body's system delivers posts that expect no answer; its secret is shown once."""
    values: Json = {"kind": "KIND_INBOX", "displayName": display_name, "area": area}
    created = caller.gateway().post("/v1/sources", values, sourceId=source)
    _new_secret(str(created["name"]), revoke=False)


@app.command("rotate-secret")
def rotate_secret(
    source: _Source,
    revoke: Annotated[bool, typer.Option(help="Refuse the one before at once: it may be in other hands.")] = False,
) -> None:
    """Makes a new secret of an inbox, which is shown this once; the one before is accepted for a day."""
    _new_secret(named(source, "sources"), revoke=revoke)


@app.command("try")
def attempt(
    url: Annotated[str, typer.Argument(help="The address of a feed, page, list or interface.")] = "",
    kind: _Kind = "",
    items: _Items = "",
    file: _File = None,
    as_json: AsJson = False,
) -> None:
    """Shows what a visit would bring, with the verdict of robots.txt; stores nothing."""
    trial = caller.gateway().post("/v1/sources:try", visiting.trial_of(visiting.described(url, kind, items, file)))
    if as_json:
        print_json(trial)
    else:
        print_lines(visiting.trial_lines(trial))
    if trial.get("errorReason"):
        raise typer.Exit(1)


@app.command("list")
def sources_list(limit: Limit = 50, as_json: AsJson = False) -> None:
    """Lists sources by name."""
    print_rows(caller.gateway().pages("/v1/sources", "sources", limit), visiting.SOURCES, as_json)


@app.command("health")
def health(
    source: Annotated[str, typer.Argument(help="One source. Default: all that are visited.")] = "",
    failing: Annotated[bool, typer.Option("--failing", help="Only those that failed or are gone.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Shows how visits go, without touching a source."""
    gateway = caller.gateway()
    if not source:
        found = gateway.pages("/v1/sources:health", "healths", limit, failing=failing or None)
        print_rows(found, visiting.HEALTHS, as_json)
        return
    one = gateway.get(f"/v1/{named(source, 'sources')}/health")
    if as_json:
        print_json(one)
    else:
        print_lines(visiting.health_lines(one))


@app.command("pause")
def pause(source: _Source) -> None:
    """Stops visiting a source."""
    _step(source, "pause")


@app.command("resume")
def resume(source: _Source) -> None:
    """Visits a source again that was paused or is gone."""
    _step(source, "resume")


@app.command("run")
def run(source: _Source) -> None:
    """Visits a source now, as soon as manners allow."""
    _step(source, "run")


@app.command("import-opml")
def import_opml(
    file: Annotated[Path, typer.Argument(help="An OPML file, as feed readers export it.", exists=True, dir_okay=False)],
    area: Annotated[str, typer.Option(help="The label of all. Default: the folder that each lies in.")] = "",
    expects_answer: _Answers = False,
) -> None:
    """Adds the feeds of an OPML file that are not there yet."""
    try:
        opml = file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise Problem(f"{file} is not in UTF-8; export it again, or convert it") from None
    body: Json = {"opml": opml, "area": area, "expectsAnswer": expects_answer}
    done = caller.gateway().post("/v1/sources:importOpml", body)
    out.print(f"{done.get('created', 0)} added, {done.get('known', 0)} were there already.", highlight=False)
    for uri in done.get("refused", []):
        out.print(f"  not an address that can be visited: {uri}", markup=False, highlight=False)


@app.command("export-opml")
def export_opml(
    target: Annotated[Path | None, typer.Option("--out", help="A file to write. Default: standard output.")] = None,
) -> None:
    """Writes the feeds of all sources as OPML."""
    opml = str(caller.gateway().get("/v1/sources:exportOpml")["opml"])
    if target is None:
        sys.stdout.write(opml)
    else:
        target.write_text(opml, "utf-8")


def _step(source: str, verb: str) -> None:
    done = caller.gateway().post(f"/v1/{named(source, 'sources')}:{verb}", {})
    state = str(done.get("state", "")).removeprefix("STATE_").lower()
    out.print(f"{str(done['name']).removesuffix('/health')} {state}", markup=False, highlight=False)


def _new_secret(name: str, *, revoke: bool) -> None:
    gateway = caller.gateway()
    answer = gateway.post(f"/v1/{name}:rotateSecret", {"revokePrevious": revoke})
    address = f"{gateway.address}/v1/{name}/posts:deliver"
    print_lines([f"secret: {answer['secret']}", f"It is not shown again. Posts are delivered, signed, to {address}"])
    if until := answer.get("previousExpireTime"):
        out.print(f"The one before is accepted until {local(until)}.", markup=False, highlight=False)
