"""What people ask, and what is said to them: `huiyin inquire`, `take`, `receipt` and `inquiries`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from huiyin_cli import (
    attaching,
    stepping,
)
from huiyin_cli.client import Json, Problem
from huiyin_cli.console import (
    AsJson,
    as_public,
    caller,
    err,
    local,
    named,
    out,
    print_json,
    print_lines,
    short,
)

Attach = Annotated[
    list[Path] | None, typer.Option("--attach", help="A JPEG, PNG, WebP or PDF of at most 5 MB; may be repeated.")
]

At = Annotated[str, typer.Option(help="Where it is about: latitude,longitude in degrees (WGS 84).")]

app = typer.Typer(no_args_is_help=True, help="What people ask, and what is said to them meanwhile.")


@app.command("show")
def inquiries_show(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")], as_json: AsJson = False
) -> None:
    """Shows an inquiry: what is asked, where it stands, the point on the map, its files and what was said meanwhile."""
    gateway, path = caller.gateway(), f"/v1/{named(name, 'inquiries')}"
    inquiry = gateway.get(path)
    if as_json:
        print_json(inquiry)
        return
    print_lines(stepping.inquiry_lines(inquiry, local))
    if inquiry.get("attachmentCount"):
        print_lines(attaching.attachment_lines(gateway.get(f"{path}/attachments").get("attachments", [])))
    if inquiry.get("messageCount"):
        print_lines(stepping.message_lines(gateway.get(f"{path}/messages").get("messages", [])))


@app.command("ask")
def inquiries_ask(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    text: Annotated[str, typer.Argument(help="What its author should say.")],
    as_json: AsJson = False,
) -> None:
    """Asks the author of an inquiry, who reads it with the receipt; the clock stands still within limits."""
    message = caller.gateway().post(f"/v1/{named(name, 'inquiries')}:ask", {"text": text})
    _print_message(message, as_json, "the clock stands still" if message.get("clockPaused") else "the clock runs on")


@app.command("tell")
def inquiries_tell(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    text: Annotated[str, typer.Argument(help="What its author should know.")],
    as_json: AsJson = False,
) -> None:
    """Tells the author of an inquiry something, who reads it with the receipt."""
    message = caller.gateway().post(f"/v1/{named(name, 'inquiries')}:tell", {"text": text})
    _print_message(message, as_json, "told")


@app.command("close-question")
def inquiries_close_question(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")], as_json: AsJson = False
) -> None:
    """Waits no longer for the answer to a question; the clock goes on."""
    inquiry = caller.gateway().post(f"/v1/{named(name, 'inquiries')}:closeQuestion", {})
    if as_json:
        print_json(inquiry)
    else:
        out.print(f"{inquiry['name']}  answer by {local(inquiry.get('deadline', ''))}", markup=False)


@app.command("messages")
def inquiries_messages(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")], as_json: AsJson = False
) -> None:
    """Shows what an office and the author of an inquiry said to one another."""
    messages = caller.gateway().get(f"/v1/{named(name, 'inquiries')}/messages").get("messages", [])
    if as_json:
        print_json(messages)
    else:
        print_lines(stepping.message_lines(messages) if messages else ["Nothing was said."])


class ReadFor(StrEnum):
    """What a contact is read for."""

    ASK_BACK = "ask-back"
    VERIFY_ON_SITE = "verify-on-site"
    DELIVER_REPLY = "deliver-reply"
    RETURN_VISIT = "return-visit"


@app.command("contact")
def inquiries_contact(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    purpose: Annotated[ReadFor, typer.Option("--for", help="What it is read for; the chain of the case keeps it.")],
    as_json: AsJson = False,
) -> None:
    """Opens the contact that the author of an inquiry left, for one step; each reading is an entry of the chain."""
    body = {"purpose": f"CONTACT_PURPOSE_{purpose.name}"}
    found = caller.gateway().post(f"/v1/{named(name, 'inquiries')}:readContact", body)
    if as_json:
        print_json(found)
    else:
        print_lines([found["contact"]])


@app.command("grounds")
def inquiries_grounds(as_json: AsJson = False) -> None:
    """Lists the grounds on which an inquiry may be refused, and those that tell whom to call."""
    grounds = caller.gateway().get("/v1/admissionGrounds").get("admissionGrounds", [])
    if as_json:
        print_json(grounds)
    else:
        print_lines(stepping.ground_lines(grounds))


@app.command("admit")
def inquiries_admit(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    ground: Annotated[str, typer.Option(help="Where life is in danger: whom to call, of `inquiries grounds`.")] = "",
    as_json: AsJson = False,
) -> None:
    """Admits an inquiry; whatever is not decided on is admitted as its case is assigned."""
    _decide(name, "admit", {"ground": ground}, as_json)


@app.command("refuse")
def inquiries_refuse(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    ground: Annotated[str, typer.Argument(help="Of `inquiries grounds`.")],
    body: Annotated[str, typer.Option(help="The body that it is passed on to.")] = "",
    text: Annotated[str, typer.Option(help="What the author reads beneath the ground's text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Proposes to refuse an inquiry, or to pass it on; another person reviews that."""
    _decide(name, "refuse", {"ground": ground, "body": body, "text": text}, as_json)


@app.command("review-refusal")
def inquiries_review_refusal(
    name: Annotated[str, typer.Argument(help="inquiries/… whose refusal is proposed.")],
    back: Annotated[bool, typer.Option("--return", help="Send it back. Default: put it in force.")] = False,
    note: Annotated[str, typer.Option(help="Why; needed when it is sent back.")] = "",
    as_json: AsJson = False,
) -> None:
    """Reviews a refusal that another person proposed."""
    decision = "DECISION_RETURN" if back else "DECISION_PASS"
    _decide(name, "reviewRefusal", {"decision": decision, "note": note}, as_json)


@app.command("join")
def inquiries_join(
    name: Annotated[str, typer.Argument(help="inquiries/… as `cases show` has it.")],
    case: Annotated[str, typer.Argument(help="The open case that deals with the matter already.")],
    as_json: AsJson = False,
) -> None:
    """Joins an inquiry to another case."""
    _decide(name, "join", {"case": named(case, "cases")}, as_json)


def _decide(name: str, verb: str, body: Json, as_json: bool) -> None:
    admission = caller.gateway().post(f"/v1/{named(name, 'inquiries')}:{verb}", body)
    if as_json:
        print_json(admission)
    else:
        out.print(stepping.admission_line(admission), markup=False)


def _print_message(message: Json, as_json: bool, what: str) -> None:
    if as_json:
        print_json(message)
    else:
        out.print(f"{message['name']}  {what}", markup=False)


def inquire(
    text: Annotated[str, typer.Argument(help="What is asked.")],
    subject: Annotated[str, typer.Option(help="A title.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach the author; kept encrypted, destroyed afterwards.")] = "",
    consent: Annotated[
        bool, typer.Option("--public", help="The masked text may become public with the answer.")
    ] = False,
    at: At = "",
    attach: Attach = None,
    as_json: AsJson = False,
) -> None:
    """Submits an inquiry as a citizen would, and prints its receipt."""
    public = as_public()
    for path in attach or ():
        attaching.file_of(path)  # nothing is submitted where a file could not be sent
    body = {"text": text, "subject": subject, "contact": contact, "publicConsent": consent, **_point(at)}
    answer = public.post("/v1/inquiries:submit", body)
    _attach(answer, attach)
    if as_json:
        print_json(answer)
        return
    out.print(f"receipt: {answer['receipt']}", markup=False)
    out.print(
        f"An answer is promised by {local(answer.get('deadline', ''))}; to read it: huiyin receipt {answer['receipt']}"
    )
    _say_weekdays(answer)


class TakenBy(StrEnum):
    """How an inquiry that an officer takes down reached the office."""

    TELEPHONE = "telephone"
    COUNTER = "counter"


def take(
    text: Annotated[str, typer.Argument(help="What is asked, as it was written down.")],
    channel: Annotated[TakenBy, typer.Option(help="How it reached the office.")] = TakenBy.TELEPHONE,
    subject: Annotated[str, typer.Option(help="A title.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach the author; kept encrypted, destroyed afterwards.")] = "",
    read_back: Annotated[bool, typer.Option("--read-back", help="It was read back already: do not ask.")] = False,
    at: At = "",
    attach: Attach = None,
    as_json: AsJson = False,
) -> None:
    """Takes an inquiry down on the telephone or at the counter: the text is read back before it is stored."""
    gateway = caller.gateway()
    for path in attach or ():
        attaching.file_of(path)
    body = {"text": text, "subject": subject, "channel": f"CHANNEL_{channel.upper()}"}
    prepared = gateway.post("/v1/inquiries:prepare", body)
    if not read_back:
        for line in filter(None, (prepared.get("subject"), prepared["text"])):
            err.print(line, markup=False, highlight=False)
        if not typer.confirm("Read this back. Does the author agree?", err=True):
            raise Problem("Nothing was stored; write down what the author says, and take it again.")
    submitted = {**body, "contact": contact, "confirmation": prepared["confirmation"], **_point(at)}
    answer = gateway.post("/v1/inquiries:submit", submitted)
    _attach(answer, attach)
    if as_json:
        print_json(answer)
        return
    out.print(f"receipt: {answer['receipt']}", markup=False)
    out.print(f"An answer is promised by {local(answer.get('deadline', ''))}; give the author the receipt.")
    _say_weekdays(answer)


def receipt(
    token: Annotated[str, typer.Argument(help="The receipt of an inquiry.")],
    follow_up: Annotated[
        str, typer.Option(help="What is still to be said on the answer; it goes to the unit that answered.")
    ] = "",
    add: Annotated[str, typer.Option(help="Answers the question that is open, or adds to the inquiry.")] = "",
    satisfied: Annotated[bool, typer.Option("--satisfied", help="The answer satisfies; said once.")] = False,
    dissatisfied: Annotated[str, typer.Option(help="The answer does not satisfy, and why; said once.")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Nobody needs to answer any more.")] = False,
    attach: Attach = None,
    download: Annotated[str, typer.Option(help="Saves a file by its id, in this folder.")] = "",
    as_json: AsJson = False,
) -> None:
    """Reads how an inquiry stands, and its answer; or adds to it, judges its answer, or follows up on it.

    A follow-up is an inquiry of its own; its receipt is printed.
    """
    if add:
        as_public().post("/v1/receipts:write", {"receipt": token, "text": add})
    for _ in attaching.attach_all(as_public(), token, attach or ()):
        pass
    if download:
        body = {"receipt": token, "attachment": download}
        out.print(str(attaching.save(*as_public().file("POST", "/v1/receipts:download", body), None)), markup=False)
        return
    if withdraw:
        as_public().post("/v1/receipts:withdraw", {"receipt": token})
    if satisfied or dissatisfied:
        feedback = {"receipt": token, "satisfied": satisfied, "reason": dissatisfied}
        as_public().post("/v1/receipts:feedback", feedback)
    if follow_up:
        answer = as_public().post("/v1/receipts:followUp", {"receipt": token, "text": follow_up})
    else:
        answer = as_public().post("/v1/receipts:lookup", {"receipt": token})
    if as_json:
        print_json(answer)
        return
    if follow_up:
        out.print(f"receipt: {answer['receipt']}", markup=False)
        out.print(f"An answer is promised by {local(answer.get('deadline', ''))}.")
        return
    out.print(
        f"{short(answer.get('state', ''), 'STATE_')}  received {local(answer.get('receiveTime', ''))}  "
        f"answer by {local(answer.get('deadline', ''))}"
    )
    _say_weekdays(answer)
    print_lines(stepping.message_lines(answer.get("messages", []), "you"))
    print_lines(attaching.attachment_lines(answer.get("attachments", [])))
    for found in answer.get("answers", []):
        out.print(f"\n{local(found.get('publishTime', ''))}  {found.get('unitDisplayName', '')}", markup=False)
        out.print(found.get("text", ""), markup=False)
        for line in filter(None, (found.get("paragraph"), found.get("unitContact"))):
            out.print(line, markup=False)
        print_lines(attaching.attachment_lines(found.get("attachments", [])))


def _point(at: str) -> Json:
    """A point on the map as a request has it; nothing where none is named."""
    if not at:
        return {}
    try:
        latitude, longitude = (float(part) for part in at.split(","))
    except ValueError as error:
        raise Problem(f"--at {at}: write latitude,longitude in degrees, e.g. 28.2036,112.9672.") from error
    return {"location": {"latitude": latitude, "longitude": longitude}}


def _attach(submitted: Json, paths: list[Path] | None) -> None:
    """Adds files to an inquiry that was submitted just now; its receipt is told even where one is refused."""
    try:
        for _ in attaching.attach_all(as_public(), submitted["receipt"], paths or ()):
            pass
    except Problem as problem:
        err.print(f"Submitted, but a file was not added: {problem}", style="red", markup=False, highlight=False)


def _say_weekdays(answer: Json) -> None:
    if years := answer.get("weekdayYears"):
        listed = ", ".join(map(str, years))
        out.print(f"The holidays of {listed} are not announced yet; the date may be brought forward, never put off.")
