"""What clocks do by themselves: their steps fire, they are counted anew, and they stand still and go on again.

Each is a work over some clocks, which locks as every other does: cases, inquiries, clocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from huiyin_chassis.store import Tx
from sqlalchemy import Connection, select

from huiyin_casework.casefile import SYSTEM, CaseFiles
from huiyin_casework.model.clocks.counting import PauseRefused, Stage
from huiyin_casework.rules import Rules
from huiyin_casework.store import CASES, CLOCKS, INQUIRIES, Fields
from huiyin_casework.timekeeping import PAUSED, RUNNING, kind_of

_STEPS = {
    Stage.REMINDER: ("case.reminded", "clock.reminder"),
    Stage.SUPERVISION: ("case.supervised", "clock.supervision"),
    Stage.CIRCULAR: ("case.circulated", "clock.circular"),
}
"""What a step is called in the chain of a case, and in the feed."""


def due(connection: Connection, at: int, most: int) -> list[str]:
    """Clocks of which something is due at an instant, in the order in which it became due."""
    query = select(CLOCKS.c.id).where(CLOCKS.c.next_time <= at).order_by(CLOCKS.c.next_time, CLOCKS.c.id)
    return list(connection.scalars(query.limit(most)))


def next_due(connection: Connection) -> int | None:
    """When the next thing becomes due; None for nothing."""
    query = select(CLOCKS.c.next_time).where(CLOCKS.c.next_time.is_not(None)).order_by(CLOCKS.c.next_time)
    return connection.scalar(query.limit(1))


def fire(tx: Tx, rules: Rules, ids: Sequence[str]) -> int:
    """Takes the next step of each clock that is due, and lets go on what stood still for too long; how many.

    The clocks of one kind in a case that come to a step together are one entry of its chain and one change; those of
    units each their own.
    """
    files, clocks = _open(tx, rules, ids)
    groups: dict[tuple[str, str, str, Stage], list[Fields]] = {}
    fired = 0
    for clock in clocks:
        if clock["next_time"] is None or clock["next_time"] > tx.now_us:
            continue  # somebody was faster, or what was due is no more
        fired += 1
        if clock["state"] == PAUSED:
            resume(files, clock, SYSTEM)
        elif (stage := files.clocks.due_step(clock)) is not None:
            # What no case holds yet stands for itself.
            owner = clock["case_id"] or clock["id"]
            groups.setdefault((owner, clock["unit_id"], kind_of(clock), stage), []).append(clock)
    for (_, _, kind, stage), together in groups.items():
        _take_step(files, kind, stage, together)
    files.write()
    return fired


def _take_step(files: CaseFiles, kind: str, stage: Stage, together: Sequence[Fields]) -> None:
    first = min(together, key=lambda clock: (clock["deadline"], clock["id"]))
    step, change = _STEPS[stage]
    if first["case_id"]:
        case = files.case(first["case_id"])
        details: dict[str, object] = {
            "clock": kind,
            "unit": files.awaited(case, first),
            "deadline": first["deadline"],
            "due": first["next_time"],
        }
        if first["inquiry_id"]:
            details["inquiries"] = sorted(clock["inquiry_id"] for clock in together)
        files.record(case, step, SYSTEM, details)
    for clock in together:
        files.clocks.take_step(clock, stage)
    files.tell_clock(first, change)


def outdated(connection: Connection, edition: int, most: int) -> list[str]:
    """Running clocks that were counted by an earlier edition of the policy or the calendar."""
    query = select(CLOCKS.c.id).where(CLOCKS.c.edition < edition).order_by(CLOCKS.c.edition, CLOCKS.c.id)
    return list(connection.scalars(query.limit(most)))


def count_anew(tx: Tx, rules: Rules, ids: Sequence[str]) -> int:
    """Counts clocks by the policy and the calendar in force, records in each case what moved; how many moved."""
    files, clocks = _open(tx, rules, ids)
    moved: dict[str, list[tuple[str, int, int]]] = {}
    for clock in clocks:
        before = clock["deadline"]
        if clock["state"] != RUNNING or not files.clocks.count_anew(clock):
            continue
        moved.setdefault(clock["case_id"], []).append((clock["id"], before, clock["deadline"]))
        if clock["inquiry_id"]:
            inquiry = files.inquiries.get(clock["inquiry_id"])
            assert inquiry is not None, "an answer's clock belongs to an inquiry"
            files.inquiries.change(inquiry, deadline=clock["deadline"])
            files.tell_inquiry(inquiry, "inquiry.updated")
    for case_id, moves in moved.items():
        if case_id:
            case = files.case(case_id)
            files.renew_deadline(case)
            files.record(case, "case.clocks_moved", SYSTEM, {"policy": rules.version, "moved": moves})
            files.tell(case, "case.updated")
    files.write()
    return sum(map(len, moved.values()))


def pause(files: CaseFiles, clock: Fields, actor: str) -> None:
    """Lets a clock stand still, and records it. Raises PauseRefused."""
    files.clocks.pause(clock)
    _record(files, clock, "case.clock_paused", actor)
    files.tell_clock(clock, "clock.updated")


def pause_if_allowed(files: CaseFiles, clock: Fields, actor: str) -> bool:
    """The same where the policy allows the clock a further pause; where not, it runs on. Whether it stands still."""
    try:
        pause(files, clock, actor)
    except PauseRefused:
        return False
    return True


def resume(files: CaseFiles, clock: Fields, actor: str) -> None:
    """Lets a clock go on, with what follows for the dates of its inquiry and its case. Raises PauseRefused."""
    files.clocks.resume(clock)
    _record(files, clock, "case.clock_resumed", actor)
    if clock["inquiry_id"]:
        inquiry = files.inquiries.find(files.tx.connection, clock["inquiry_id"])
        assert inquiry is not None, "an answer's clock belongs to an inquiry"
        files.inquiries.change(inquiry, deadline=clock["deadline"])
        files.tell_inquiry(inquiry, "inquiry.updated")
        if clock["case_id"]:
            case = files.case(clock["case_id"])
            files.renew_deadline(case)
            files.tell(case, "case.updated")
    files.tell_clock(clock, "clock.updated")


def _record(files: CaseFiles, clock: Fields, step: str, actor: str) -> None:
    if clock["case_id"]:
        details: dict[str, object] = {"clock": clock["rule"], "deadline": clock["deadline"]}
        if clock["inquiry_id"]:
            details["inquiry"] = clock["inquiry_id"]
        files.record(files.case(clock["case_id"]), step, actor, details)


def _open(tx: Tx, rules: Rules, ids: Sequence[str]) -> tuple[CaseFiles, list[Fields]]:
    """Files with some clocks and what they belong to, locked in the order of every work; the clocks in their order."""
    files = CaseFiles(tx, rules)
    owners = select(CLOCKS.c.case_id, CLOCKS.c.inquiry_id).where(CLOCKS.c.id.in_(ids))
    found = list(tx.execute(owners))
    files.cases.load(tx.connection, CASES.c.id, sorted({row.case_id for row in found} - {""}))
    files.inquiries.load(tx.connection, INQUIRIES.c.id, sorted({row.inquiry_id for row in found} - {""}))
    files.clocks.load(ids)
    return files, [clock for clock in map(files.clocks.rows.get, ids) if clock is not None]
