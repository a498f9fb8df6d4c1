"""What is being dealt with: `huiyin cases`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from huiyin_cli import (
    batching,
    moving,
    ordering,
    replying,
    series,
    stepping,
)
from huiyin_cli.attaching import attachment_lines
from huiyin_cli.client import Json, Problem
from huiyin_cli.console import (
    AsJson,
    Filter,
    Limit,
    caller,
    local,
    named,
    out,
    plain,
    print_json,
    print_lines,
    print_rows,
    short,
    unit_of,
)

app = typer.Typer(no_args_is_help=True, help="What is being dealt with, by whom and until when.")


@app.command("list")
def cases_list(
    filter_: Filter = "",
    order_by: Annotated[str, typer.Option(help="deadline, grade desc, inquiry_count desc, create_time desc …")] = "",
    saved: Annotated[str, typer.Option(help="A filter that was kept (huiyin filters list).")] = "",
    limit: Limit = 30,
    as_json: AsJson = False,
) -> None:
    """Lists cases, the most pressing first."""
    if saved:
        if filter_:
            raise Problem("--filter and --saved exclude one another; give one of them.")
        kept = batching.kept_filter(caller.gateway(), saved)
        filter_, order_by = kept["filter"], order_by or kept.get("orderBy", "")
    rows = caller.gateway().pages("/v1/cases", "cases", limit, filter=filter_, orderBy=order_by)
    columns: dict[str, Callable[[Json], str]] = {
        "grade": lambda row: short(row.get("grade", "")),
        "state": lambda row: short(row.get("state", ""), "STATE_"),
        "inquiries": lambda row: str(row.get("inquiryCount", 0)),
        "answer by": lambda row: local(row.get("deadline", "")),
        "unit": unit_of,
        "title": lambda row: row.get("title", ""),
        "case": lambda row: row["name"],
    }
    print_rows(rows, columns, as_json)


@app.command("show")
def cases_show(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")],
    as_json: AsJson = False,
) -> None:
    """Shows a case: where it stands, its inquiries, its replies and its chain."""
    gateway = caller.gateway()
    case = gateway.get(f"/v1/{named(name, 'cases')}")
    inquiries = list(gateway.pages("/v1/inquiries", "inquiries", 100, filter=f'case = "{case["name"]}"'))
    replies = gateway.get(f"/v1/{case['name']}/replies").get("replies", [])
    entries = list(gateway.pages(f"/v1/{case['name']}/entries", "entries"))
    verified = gateway.get(f"/v1/{case['name']}:verify")
    if as_json:
        print_json({"case": case, "inquiries": inquiries, "replies": replies, "entries": entries, "chain": verified})
        return
    out.print(f"[bold]{plain(case.get('title', ''))}[/bold]")
    out.print(
        f"{case['name']}  {short(case['state'], 'STATE_')}  {short(case.get('grade', ''))}  "
        f"{case.get('inquiryCount', 0)} inquiries  answer by {local(case.get('deadline', '')) or '—'}  {unit_of(case)}"
        f"{'  ' + case['orderNumber'] if case.get('orderNumber') else ''}",
        markup=False,
    )
    print_lines(stepping.part_lines(case.get("parts", [])))
    for step in case.get("nextSteps", []):
        out.print(f"  next: {step['step']} ({', '.join(step.get('roles', []))})", markup=False)
    for inquiry in inquiries:
        text = " ".join(f"{inquiry.get('subject', '')} {inquiry.get('text', '')}".split())
        files = f"  {count} files" if (count := inquiry.get("attachmentCount", 0)) else ""
        out.print(
            f"\n{inquiry['name']}  {short(inquiry['state'], 'STATE_')}  by {local(inquiry.get('deadline', ''))}{files}",
            markup=False,
        )
        out.print(f"  {text[:160]}{'…' if len(text) > 160 else ''}", markup=False)
    for reply in replies:
        overridden = "  findings overridden" if reply.get("overridden") else ""
        out.print(
            f"\n{reply['name']}  version {reply.get('version', 1)}  {short(reply['state'], 'STATE_')}  "
            f"{reply.get('unit', '')}{overridden}",
            markup=False,
        )
        out.print(f"  {reply.get('text', '')}", markup=False)
        for paragraph in reply.get("paragraphs", []):
            out.print(f"  {paragraph['inquiry']}: {paragraph.get('text', '')}", markup=False)
        print_lines(f"  {line}" for line in attachment_lines(reply.get("attachments", [])))
        for line in replying.finding_lines(reply.get("findings", [])):
            out.print(f"  {line}", markup=False, highlight=False)
    whole = "whole" if verified.get("intact") else f"BROKEN: {verified.get('problem', '')}"
    out.print(f"\nChain of {len(entries)} steps, {whole}:", markup=False)
    for entry in entries:
        told = entry.get("sentence") or entry["step"]
        out.print(f"  {entry['number']:>3}  {local(entry['time'])}  {told}  ({entry['actor']})", markup=False)
        if note := " ".join(entry.get("note", "").split()):
            out.print(f"         {note}", markup=False)


@app.command("import")
def cases_import(
    file: Annotated[Path, typer.Argument(help="An xlsx, csv or jsonl file, a running case a row.")],
    source: Annotated[str, typer.Option(help="What the list is called. Default: the file's name.")] = "",
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="field=column, where the file calls it otherwise; may be repeated."),
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Zone of times without one.")] = "Asia/Shanghai",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would become of each row.")] = False,
    as_json: AsJson = False,
) -> None:
    """Brings running cases along as an office moves in; exit code 1 where rows were refused. Again changes nothing."""
    zone = series.zone_of(time_zone)
    result = moving.import_cases(caller.gateway(), file, source or file.stem, column or [], zone, validate_only=dry_run)
    if as_json:
        print_json(result)
    else:
        print_lines(moving.lines_of(result, validate_only=dry_run))
    if result["refused"]:
        raise typer.Exit(1)


@app.command("propose")
def cases_propose(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")], as_json: AsJson = False
) -> None:
    """Proposes whom to assign a case to, with reasons, and shows what was decided in like cases. It decides nothing."""
    gateway = caller.gateway()
    answer = gateway.get(f"/v1/{named(name, 'cases')}:proposeAssignment")
    if as_json:
        print_json(answer)
        return
    print_lines(stepping.proposal_lines(answer))
    if proposals := answer.get("proposals"):
        print_lines(stepping.contact_lines(gateway.get(f"/v1/{proposals[0]['leadUnit']}")))


@app.command("bulk")
def cases_bulk(
    step: Annotated[str, typer.Argument(help=", ".join(batching.FIELDS))],
    filter_: Filter = "",
    saved: Annotated[str, typer.Option(help="Instead of --filter, one that was kept.")] = "",
    unit: Annotated[str, typer.Option(help="assign: the lead unit.")] = "",
    assisting: Annotated[list[str] | None, typer.Option(help="assign: a unit that assists; may be repeated.")] = None,
    reason: Annotated[str, typer.Option(help="dismiss, extend: why.")] = "",
    note: Annotated[str, typer.Option(help="assign, note: what goes with it.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after the trial.")] = False,
) -> None:
    """Tries a step with the cases of a filter, at most 100, shows what would become of each, asks, and takes it."""
    gateway = caller.gateway()
    if bool(filter_) == bool(saved):
        raise Problem("Say which cases are meant: --filter or --saved.")
    body = batching.body_of(
        step,
        {
            "leadUnit": unit and named(unit, "units"),
            "assistingUnits": [named(each, "units") for each in assisting or []],
            "reason": reason,
            "note": note,
        },
    )
    wanted = filter_ or batching.kept_filter(gateway, saved)["filter"]
    trial = gateway.post("/v1/cases:batchStep", {**body, "filter": wanted, "validateOnly": True})
    print_lines(batching.trial_lines(trial))
    cases = batching.possible(trial)
    if not cases:
        raise Problem("With none of these cases the step is possible; nothing was done.")
    if not yes and not typer.confirm(f"{step} {len(cases)} cases?"):
        raise typer.Exit(1)
    done = gateway.post("/v1/cases:batchStep", {**body, "cases": cases, "requestId": str(uuid4())})
    print_lines(batching.done_lines(done))


@app.command("order")
def cases_order(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it, for its newest order; or orders/….")],
    html: Annotated[Path | None, typer.Option(help="Write the order as a document to print.", dir_okay=False)] = None,
    as_json: AsJson = False,
) -> None:
    """Shows the order (抄告单) by which a case is dealt with, or writes it as a document to print."""
    gateway = caller.gateway()
    if not name.startswith("orders/"):
        case = named(name, "cases")
        found = list(gateway.pages("/v1/orders", "orders", 1, filter=f'case = "{case}"'))
        if not found:
            raise Problem(f"{case} was not assigned yet; an order is given with cases step {case} assign.")
        name = found[0]["name"]
    if html is not None:
        html.write_bytes(gateway.file("GET", f"/v1/{name}:print")[0])
        out.print(f"{name} → {html}", markup=False)
        return
    order = gateway.get(f"/v1/{name}")
    if as_json:
        print_json(order)
    else:
        print_lines(ordering.order_lines(order, local))


@app.command("step")
def cases_step(
    name: Annotated[str, typer.Argument(help="cases/… as the list has it.")],
    step: Annotated[str, typer.Argument(help=", ".join(stepping.STEPS))],
    unit: Annotated[str, typer.Option(help="assign: the lead unit; steps of an assisting unit: which one.")] = "",
    assisting: Annotated[list[str] | None, typer.Option(help="assign: a unit that assists; may be repeated.")] = None,
    rule: Annotated[str, typer.Option(help="objections: the rule that they rely on.")] = "",
    reason: Annotated[str, typer.Option(help="Why; objections, reopen and extensions need it.")] = "",
    text: Annotated[str, typer.Option(help="draft: the answer.")] = "",
    note: Annotated[str, typer.Option(help="What goes with it; a return needs one.")] = "",
    back: Annotated[bool, typer.Option("--return", help="Decisions: send back or refuse. Default: pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Takes a step with a case; `cases show` says which are possible, and for whom."""
    given: Json = {
        "unit": unit and named(unit, "units"),
        "assisting": [named(each, "units") for each in assisting or []],
        "rule": rule,
        "reason": reason,
        "text": text,
        "note": note,
        "decision": back,
    }
    body = stepping.body_of(step, given)
    taken = stepping.STEPS[step]
    case = caller.gateway(taken.account).post(f"/v1/{named(name, 'cases')}:{taken.verb}", body)
    if as_json:
        print_json(case)
        return
    out.print(f"{case['name']}  {short(case['state'], 'STATE_')}  {unit_of(case)}", markup=False)
    for possible in case.get("nextSteps", []):
        out.print(f"  next: {possible['step']} ({', '.join(possible.get('roles', []))})", markup=False)
