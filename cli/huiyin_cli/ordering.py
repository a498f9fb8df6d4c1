"""`huiyin cases order`: an order as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from huiyin_cli.client import Json

_STANDS = {
    "STATE_IN_FORCE": "in force",
    "STATE_REPLACED": "replaced by {replaced_by}",
    "STATE_TAKEN_BACK": "taken back",
}


def order_lines(order: Json, local: Callable[[str], str]) -> Iterator[str]:
    """What an order states; `local` writes times."""
    stands = _STANDS[order["state"]].format(replaced_by=order.get("replacedBy", ""))
    yield f"{order['number']}  {order['name']}  {stands}{'  (drill)' if order.get('drill') else ''}"
    yield f"given {local(order['issueTime'])} by {order.get('officeDisplayName') or order.get('office', '')}"
    lead, *assisting = [unit["displayName"] for unit in order.get("units", [])]
    yield f"to {lead}" + (f", assisted by {', '.join(assisting)}" if assisting else "")
    for unit in order["units"]:
        for person in unit.get("contactPersons", []):
            role = person["role"].removeprefix("ROLE_").lower().replace("_", " ")
            yield f"  {unit['displayName']} {role}: {person['displayName']}  {person.get('telephone', '')}".rstrip()
    yield order.get("title", "")
    reason = order.get("gradeReason", "")
    yield f"{order.get('grade', '').removeprefix('GRADE_').lower()}{f': {reason}' if reason else ''}"
    if basis := order.get("basis"):
        yield f"basis: {basis}"
    accepted = f" (accepted {local(order['acceptTime'])})" if order.get("acceptTime") else ""
    answer = local(order.get("answerDeadline", "")) or "—"
    yield f"accept by {local(order['acceptDeadline'])}{accepted}, answer by {answer}"
    for unit in order["units"]:
        if unit.get("contributeDeadline"):
            yield f"  {unit['displayName']} contributes by {local(unit['contributeDeadline'])}"
    if note := order.get("note"):
        yield note
    for inquiry in order.get("inquiries", []):
        text = " ".join(f"{inquiry.get('subject', '')} {inquiry.get('text', '')}".split())
        yield f"  {inquiry['inquiry']}  by {local(inquiry.get('deadline', ''))}  {text[:100]}"
    if more := order.get("inquiryCount", 0) - len(order.get("inquiries", [])):
        yield f"  and {more} more"
