"""Running cases that an office brought along: brought to where they stood, once a case holds their inquiries."""

from __future__ import annotations

from collections.abc import Iterable

from huiyin_chassis.bulk import chunks
from huiyin_chassis.identity import Principal
from huiyin_chassis.store import Tx
from sqlalchemy import delete, select

from huiyin_casework.casefile import SYSTEM, CaseFiles
from huiyin_casework.handling import Handling
from huiyin_casework.model.moving import UNDER_ORDER, Came
from huiyin_casework.model.steps import State
from huiyin_casework.resources import state_of
from huiyin_casework.rules import Rules
from huiyin_casework.store import INQUIRIES, MOVING_IN, Fields


def bring_to_where_they_stood(tx: Tx, rules: Rules, inquiries: Iterable[str]) -> None:
    """Of inquiries that were brought along and that a case holds now: says so in its chain, and orders its unit again.

    Where another inquiry came to the case before, that one decided; what the row said stays in the chain.
    """
    for chunk in chunks(inquiries):
        query = (
            select(MOVING_IN, INQUIRIES.c.case_id)
            .join(INQUIRIES, INQUIRIES.c.id == MOVING_IN.c.inquiry_id)
            .where(MOVING_IN.c.inquiry_id.in_(chunk))
        )
        for row in tx.execute(query.order_by(MOVING_IN.c.inquiry_id)).mappings().all():
            _bring(tx, rules, dict(row))
        tx.execute(delete(MOVING_IN).where(MOVING_IN.c.inquiry_id.in_(chunk)))


def _bring(tx: Tx, rules: Rules, row: Fields) -> None:
    files = CaseFiles(tx, rules)
    case = files.case(row["case_id"])
    details: dict[str, object] = {
        "inquiry": row["inquiry_id"],
        "source": row["source"],
        "file": row["file_name"],
        "row": row["row"],
        "state": row["state"],
    }
    if row["lead_unit"]:
        details["unit"] = row["lead_unit"]
    files.record(case, "case.imported", row["account"], details)
    unassigned = state_of(case) == State.REGISTERED
    filed = {name: row[name] for name in ("topic", "place") if row[name]}
    if unassigned and filed and case["inquiry_count"] == 1:
        files.cases.change(case, **filed)
        files.cases.change(case, suggested_unit=rules.suggested_unit(case["topic"], case["place"]))
        files.tell(case, "case.updated")
    files.write()
    ordered = row["state"] in UNDER_ORDER and rules.unit(row["lead_unit"]) is not None
    if not unassigned or not ordered or case["open_refusal_count"]:
        return
    # By the system, as a follow-up is ordered: the order was given before, and is not decided on anew.
    system, name = Principal(SYSTEM, everywhere=True), f"cases/{case['id']}"
    Handling(tx, rules, system, name, "").assign(f"units/{row['lead_unit']}", [], "")
    if row["state"] == Came.ACCEPTED:
        Handling(tx, rules, system, name, "").accept()
