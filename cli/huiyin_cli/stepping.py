"""`huiyin cases step` and `huiyin inquiries`: steps taken with a case, and what is said to the author of an inquiry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from huiyin_cli.client import Json, Problem


@dataclass(frozen=True)
class Step:
    """A step's method, the demonstration account that usually takes it, and the fields that it takes."""

    verb: str
    account: str
    fields: tuple[str, ...] = ()


STEPS = {
    "dismiss": Step("dismiss", "desk", ("reason",)),
    "assign": Step("assign", "desk", ("unit", "assisting", "note")),
    "object": Step("object", "officer", ("rule", "reason")),
    "decide_objection": Step("decideObjection", "desk", ("decision", "note")),
    "accept": Step("accept", "officer"),
    "investigate": Step("investigate", "officer", ("note",)),
    "note": Step("note", "officer", ("note",)),
    "contribute": Step("contribute", "officer", ("unit", "note")),
    "object_to_part": Step("objectToPart", "officer", ("unit", "rule", "reason")),
    "decide_part_objection": Step("decidePartObjection", "desk", ("unit", "decision", "note")),
    "draft": Step("draftReply", "officer", ("text",)),
    "review": Step("reviewReply", "reviewer", ("decision", "note")),
    "approve": Step("approveReply", "approver", ("decision", "note")),
    "publish": Step("publishReply", "desk"),
    "reopen": Step("reopen", "desk", ("reason",)),
    "close": Step("close", "desk"),
    "extend": Step("extend", "desk", ("reason",)),
    "request_extension": Step("requestExtension", "officer", ("reason",)),
    "decide_extension": Step("decideExtension", "approver", ("decision", "note")),
}

_KINDS = {
    "KIND_QUESTION": "asks",
    "KIND_EXPLANATION": "tells",
    "KIND_ANSWER": "answers",
    "KIND_ADDITION": "adds",
}


def body_of(name: str, given: Json) -> Json:
    """The body of a step's call from the options that were given. Raises Problem for one that it does not take."""
    step = STEPS.get(name)
    if step is None:
        raise Problem(f"{name} is no step; the steps are {', '.join(STEPS)}.")
    needless = [field for field, value in given.items() if value and field not in step.fields]
    if needless:
        takes = ", ".join(f"--{field}" for field in step.fields if field != "decision")
        raise Problem(f"{name} takes no --{needless[0]}; it takes {takes or 'no option'}.")
    body = {field: given[field] for field in ("note", "rule", "reason", "text") if given.get(field)}
    if "assisting" not in step.fields and given.get("unit"):
        body["unit"] = given["unit"]
    if "assisting" in step.fields:
        body["leadUnit"] = given.get("unit", "")
        body["assistingUnits"] = given.get("assisting") or []
    if "decision" in step.fields:
        body["decision"] = "DECISION_RETURN" if given.get("decision") else "DECISION_PASS"
    return body


def part_lines(parts: list[Json]) -> Iterator[str]:
    """What each assisting unit is to contribute, a line each."""
    for part in parts:
        state = part["state"].removeprefix("STATE_").lower()
        objected = "  (objected)" if part.get("objected") and state != "objected" else ""
        yield f"  assists: {part['unit'].removeprefix('units/')}  {state}{objected}"


def admission_line(admission: Json) -> str:
    """What was decided, or is proposed, on an inquiry, on one line."""
    outcome = admission.get("outcome", "").removeprefix("OUTCOME_").lower().replace("_", " ")
    state = admission.get("state", "").removeprefix("STATE_").lower().replace("_", " ")
    where = admission.get("body") or admission.get("joinedCase") or admission.get("ground", "")
    return f"{admission['name'].removesuffix('/admission')}  {outcome}{f' ({where})' if where else ''}  {state}"


def ground_lines(grounds: list[Json]) -> Iterator[str]:
    """The catalogue of grounds, two lines each."""
    for ground in grounds:
        kind = ground["kind"].removeprefix("KIND_").lower()
        yield f"{ground['id']:<24} {kind:<10} {ground['displayName']}  {ground['basis']}"
        yield f"    {ground['text']}"


def proposal_lines(answer: Json) -> Iterator[str]:
    """Whom a case might be assigned to, and what was decided before."""
    for number, proposal in enumerate(answer.get("proposals", []), 1):
        units = [proposal["leadUnit"], *proposal.get("assistingUnits", [])]
        named = ", ".join(unit.removeprefix("units/") for unit in units)
        yield f"{number}. {named}{'  (its own work)' if proposal.get('reserved') else ''}: {proposal.get('reason', '')}"
    if not answer.get("proposals"):
        yield "Nothing fits; the desk decides."
    yield f"Decided in {answer.get('likeCaseCount', 0)} like cases:"
    for decision in answer.get("likeDecisions", []):
        objected = decision.get("objectionCount", 0)
        yield (
            f"  {decision['leadUnit'].removeprefix('units/')}: {decision.get('caseCount', 0)}, "
            f"{decision.get('samePlaceCount', 0)} of them near{f'; objected to {objected}' if objected else ''}"
            f"  {' '.join(decision.get('cases', []))}"
        )


def contact_lines(unit: Json) -> Iterator[str]:
    """Whom to turn to in a unit."""
    for person in unit.get("contactPersons", []):
        role = person["role"].removeprefix("ROLE_").lower().replace("_", " ")
        yield f"  {role}: {person['displayName']}  {person.get('telephone', '')}".rstrip()


def inquiry_lines(inquiry: Json, local: Callable[[str], str]) -> Iterator[str]:
    """What is asked and where it stands; `local` shows a time."""
    state = inquiry.get("state", "").removeprefix("STATE_")
    channel = inquiry.get("channel", "").removeprefix("CHANNEL_").lower().replace("_", " ")
    yield f"{inquiry['name']}  {state}  {channel}  {inquiry.get('case', 'no case yet')}"
    yield f"received {local(inquiry.get('receiveTime', ''))}  answer by {local(inquiry.get('deadline', ''))}"
    if "location" in inquiry:
        point = inquiry["location"]
        yield f"at {point.get('latitude', 0):.5f},{point.get('longitude', 0):.5f} (WGS 84)"
    if "deliverTime" in inquiry:
        yield f"{inquiry['source']} took the answer {local(inquiry['deliverTime'])}"
    if inquiry.get("hasContact"):
        yield "A contact was left: huiyin inquiries contact opens it for one step."
    yield from filter(None, (inquiry.get("subject"), inquiry.get("text")))


def message_lines(messages: list[Json], author: str = "the author") -> Iterator[str]:
    """What was said, a line each, the oldest first."""
    for message in messages:
        who = message.get("unitDisplayName") or message.get("unit", "").removeprefix("units/") or author
        waits = "  (waits for an answer)" if message.get("open") else ""
        yield f"{message['createTime'][:16].replace('T', ' ')}Z  {who} {_KINDS[message['kind']]}{waits}"
        yield f"  {message.get('text', '')}"
