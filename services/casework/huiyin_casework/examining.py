"""Replies looked over: the checks read what they need from the store, and findings are kept without the words there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from huiyin.casework.v1 import reply_pb2
from huiyin_chassis.bulk import fetch
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection, and_, bindparam, select

from huiyin_casework.model.checks import Checks, Draft, Enclosed, Finding, Kind, Place, Severity, parse_checks
from huiyin_casework.model.points import Asked
from huiyin_casework.personal import personal_spans
from huiyin_casework.resources import SETTLED, Fields, named
from huiyin_casework.store import CASES, INQUIRIES, UNITS

POLICY: Final = "replies"
"""The policy that holds the checks."""

_INQUIRIES: Final = 200
"""Inquiries of a case whose points are looked for, the first ones; what later ones ask is asked there as a rule."""
_CHARACTERS: Final = 200_000
"""Characters of them at most: about two seconds."""

Texts = Mapping[tuple[Place, str], str]
"""The texts that findings point into: the reply (""), paragraphs and inquiries by the inquiry's id."""


_OFFICE: Final = (
    select(UNITS.c.display_name, UNITS.c.contact)
    .join(CASES, CASES.c.lead_unit == UNITS.c.id)
    .where(CASES.c.id == bindparam("case"))
)
_WAITING: Final = (
    select(INQUIRIES.c.id, INQUIRIES.c.subject, INQUIRIES.c.text)
    .where(INQUIRIES.c.case_id == bindparam("case"), and_(*(INQUIRIES.c.state != state for state in SETTLED)))
    .order_by(INQUIRIES.c.receive_time, INQUIRIES.c.id)
    .limit(_INQUIRIES)
)


def examine(
    connection: Connection, policies: Policies, case_id: str, text: str, paragraphs: Mapping[str, str]
) -> list[Finding]:
    """What there is to say of a reply to the inquiries of a case that wait for it, signed by its lead unit."""
    unit = fetch(connection, _OFFICE, case=case_id)
    office, contact = unit[0] if unit else ("", "")
    asked = list(_asked(connection, case_id))
    personal = {"": personal_spans(text)} | {inquiry: personal_spans(told) for inquiry, told in paragraphs.items()}
    return checks_of(connection, policies).check(Draft(text, paragraphs, office, contact), asked, personal)


def enclosed(rows: Iterable[Fields]) -> list[Enclosed]:
    """Files of a reply as the checks look at them."""
    return [
        Enclosed(f"cases/{row['case_id']}/attachments/{row['id']}", bool(row["cleared_by"]), row["personal_data_count"])
        for row in rows
    ]


def checks_of(connection: Connection, policies: Policies) -> Checks:
    """The checks in force."""
    return _compiled(policies.active(connection, POLICY).body)


def packed(findings: Iterable[Finding]) -> str:
    """Findings as they are stored."""
    rows = [
        [each.kind, each.severity, each.place, each.inquiry, each.start, each.end, each.why, each.instead]
        for each in findings
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


def unpacked(text: str) -> list[Finding]:
    """Findings that were stored."""
    return [
        Finding(Kind(kind), Severity(severity), Place(place), inquiry, start, end, why, instead)
        for kind, severity, place, inquiry, start, end, why, instead in json.loads(text)
    ]


def shown(findings: Iterable[Finding], texts: Texts) -> list[reply_pb2.Finding]:
    """Findings with the words there; none of a text that is not kept any more."""
    return [_shown(each, texts.get((each.place, each.inquiry), "")) for each in findings]


def inquiry_texts(connection: Connection, findings: Iterable[Finding]) -> Texts:
    """The texts of the inquiries that findings point into."""
    ids = {each.inquiry for each in findings if each.place == Place.INQUIRY}
    if not ids:
        return {}
    query = select(INQUIRIES.c.id, INQUIRIES.c.text).where(INQUIRIES.c.id.in_(ids))
    return {(Place.INQUIRY, row.id): row.text for row in connection.execute(query)}


def _asked(connection: Connection, case_id: str) -> Iterator[Asked]:
    characters = 0
    for inquiry, subject, text in fetch(connection, _WAITING, case=case_id):
        characters += len(text)
        if characters > _CHARACTERS:
            return
        yield Asked(inquiry, subject, text)


def _shown(finding: Finding, text: str) -> reply_pb2.Finding:
    whole = finding.place == Place.REPLY and (finding.start, finding.end) == (0, len(text))
    return reply_pb2.Finding(
        kind=reply_pb2.Finding.Kind.Value(f"KIND_{finding.kind.name}"),
        severity=reply_pb2.Finding.Severity.Value(f"SEVERITY_{finding.severity.name}"),
        place=reply_pb2.Finding.Place.Value(f"PLACE_{finding.place.name}"),
        inquiry=named("inquiries", finding.inquiry),
        start=finding.start,
        end=finding.end,
        words="" if whole else text[finding.start : finding.end],
        why=finding.why,
        instead=finding.instead,
        attachment=finding.attachment,
    )


@lru_cache(maxsize=4)
def _compiled(body: str) -> Checks:
    return Checks(parse_checks(body))
