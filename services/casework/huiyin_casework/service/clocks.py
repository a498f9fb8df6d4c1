"""Clocks: why they end when they do, what is due, and what was done outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from google.protobuf.duration_pb2 import Duration
from huiyin.casework.v1 import clock_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis import clock
from huiyin_chassis.clock import timestamp_to_micros
from huiyin_chassis.errors import FailedPrecondition, NotFound
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    path_field,
    time_field,
)
from huiyin_chassis.identity import Principal, current_principal
from huiyin_chassis.paging import page, total
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, RowMapping, Select, func, select

from huiyin_casework import resources, store
from huiyin_casework.casefile import CaseFiles
from huiyin_casework.model import parts
from huiyin_casework.model.clocks import counting
from huiyin_casework.model.clocks.calendar import Basis, WorkingCalendar
from huiyin_casework.model.clocks.counting import Owes, Rule, owes
from huiyin_casework.model.clocks.explaining import Stretch, stretches
from huiyin_casework.model.clocks.policy import WALL_KINDS
from huiyin_casework.resources import state_of, time
from huiyin_casework.rules import Rules, compiled, desk_of, office_calendar
from huiyin_casework.service.scope import reach, scope, visible_case
from huiyin_casework.store import CASES, CLOCKS, CaseworkStore, Fields
from huiyin_casework.timekeeping import MET, PAUSED, RUNNING, kind_of, pauses_of

_MOST_EXPLAINED = 50
_FIELDS: dict[str, Compare] = {
    "kind": enum_field(CLOCKS.c.kind, clock_pb2.Clock.Kind, "KIND_"),
    "stage": enum_field(CLOCKS.c.stage, clock_pb2.Clock.Stage, "STAGE_"),
    "case": name_field(CLOCKS.c.case_id, "cases"),
    "deadline": time_field(CLOCKS.c.deadline),
    "drill": boolean_field(CLOCKS.c.drill),
    "lead_unit": name_field(CASES.c.lead_unit, "units"),
    "grade": enum_field(CASES.c.grade, grade_pb2.Grade, "GRADE_"),
    "topic": path_field(CASES.c.topic, "topics"),
}
_REASONS = clock_pb2.ClockExplanation.Stretch.Reason
_BASES = {
    None: clock_pb2.ClockExplanation.Stretch.BASIS_UNSPECIFIED,
    Basis.OVERRIDE: clock_pb2.ClockExplanation.Stretch.BASIS_OVERRIDE,
    Basis.CALENDAR: clock_pb2.ClockExplanation.Stretch.BASIS_CALENDAR,
    Basis.WEEKDAY: clock_pb2.ClockExplanation.Stretch.BASIS_WEEKDAY,
}
_OF_CASE = (
    CASES.c.state.label("case_state"),
    CASES.c.lead_unit,
    CASES.c.parts,
    CASES.c.title,
    CASES.c.grade,
    CASES.c.topic,
)


class ClockMethods:
    """What the service does with clocks."""

    _store: CaseworkStore
    _policies: Policies
    _rules: Rules

    async def ExplainClock(
        self, request: clock_pb2.ExplainClockRequest, context: Any
    ) -> clock_pb2.ExplainClockResponse:
        """What clocks count and skip, and on what that rests."""
        principal = current_principal()

        def read(connection: Connection) -> clock_pb2.ExplainClockResponse:
            query = _clocks(principal)
            collection, _, clock_id = request.name.partition("/")
            if collection == "cases":
                case_id = visible_case(connection, principal, request.name)["id"]
                query = query.where(CLOCKS.c.case_id == case_id)
            else:
                query = query.where(CLOCKS.c.id == clock_id)
            rows = connection.execute(query.order_by(CLOCKS.c.deadline, CLOCKS.c.id)).mappings().all()
            if collection == "clocks" and not rows:
                raise NotFound(request.name)
            policy = self._policies.active(connection, "clocks")
            explainer = _Explainer(connection, compiled(policy.body), policy.version)
            return clock_pb2.ExplainClockResponse(
                clocks=map(explainer.explain, rows[:_MOST_EXPLAINED]), left_out=max(len(rows) - _MOST_EXPLAINED, 0)
            )

        return await self._store.read(read)

    async def ListSupervision(
        self, request: clock_pb2.ListSupervisionRequest, context: Any
    ) -> clock_pb2.ListSupervisionResponse:
        """What runs and has ended, or ends by a time."""
        principal = current_principal()
        given = timestamp_to_micros(request.until) if request.HasField("until") else None
        wanted = compile_filter(request.filter, _FIELDS)

        def read(connection: Connection) -> clock_pb2.ListSupervisionResponse:
            calendar = compiled(self._policies.active(connection, "clocks").body)
            until = calendar.end_of_day(clock.micros(clock.now())) if given is None else given
            query = _clocks(principal).where(CLOCKS.c.edition.is_not(None), CLOCKS.c.deadline <= until, wanted)
            found = page(
                connection,
                query,
                [(CLOCKS.c.deadline, False), (CLOCKS.c.id, False)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("supervision", request.filter, given, scope(principal)),
            )
            matching = query.subquery()
            counted = select(matching.c.stage, func.count()).group_by(matching.c.stage).order_by(matching.c.stage)
            offices = _Offices(store.units(connection))
            return clock_pb2.ListSupervisionResponse(
                clocks=(offices.clock(row._mapping) for row in found.rows),
                next_page_token=found.next_page_token,
                total_size=total(connection, query),
                stages=(clock_pb2.StageCount(stage=stage, count=count) for stage, count in connection.execute(counted)),
            )

        return await self._store.read(read)

    async def CompleteClock(self, request: clock_pb2.CompleteClockRequest, context: Any) -> clock_pb2.Clock:
        """Notes that what a clock waited for was done outside, and records it in the chain of its case."""
        principal = current_principal()

        def complete(tx: Tx) -> clock_pb2.Clock:
            clock_id = request.name.removeprefix("clocks/")
            query = _clocks(principal).where(CLOCKS.c.id == clock_id)
            seen = tx.execute(query).mappings().one_or_none()
            if seen is None:
                raise NotFound(request.name)
            files = CaseFiles(tx, self._rules)
            if kind_of(dict(seen)) not in WALL_KINDS:
                text = f"{request.name} is met by a step of its case: accept it, contribute, or publish the answer"
                raise FailedPrecondition("CLOCK_MET_BY_STEP", text)
            case = files.case(seen["case_id"])
            files.clocks.load([clock_id])
            row = files.clocks.rows.get(clock_id)
            assert row is not None, "it was seen in this transaction"
            if row["state"] not in (RUNNING, PAUSED):
                raise FailedPrecondition("CLOCK_ENDED", f"{request.name} does not run any more")
            files.clocks.end(row, MET)
            details: dict[str, object] = {"clock": row["rule"], "late": tx.now_us > row["deadline"]}
            files.record_with_note(case, "case.clock_met", principal.subject, details, request.note)
            message = files.tell_clock(row, "clock.updated")
            files.write()
            return message

        return await self._store.write_once(
            request.request_id, "CompleteClock", request, complete, clock_pb2.Clock, subject=principal.subject
        )


class _Offices:
    """Clocks with the units that they wait for, for reading."""

    def __init__(self, units: Sequence[Any]) -> None:
        self.by_id = {row.id: row for row in units}
        self._desk = desk_of(list(units))

    def clock(self, row: RowMapping) -> clock_pb2.Clock:
        """The clock of a row that holds some of its case."""
        case = {"state": row["case_state"], "title": row["title"], "grade": row["grade"], "topic": row["topic"]}
        unit = self._awaited(row, case)
        above = self.by_id[unit].parent if unit in self.by_id else ""
        supervising = above or (self._desk if unit != self._desk else "")
        return resources.clock(row, case if row["case_id"] else None, unit=unit, supervising=supervising)

    def _awaited(self, row: RowMapping, case: Fields) -> str:
        if row["kind"] == clock_pb2.Clock.KIND_CONTRIBUTION:
            unit = str(row["unit_id"])
            return self._desk if parts.waits_for_desk(parts.parse(row["parts"]), unit) else unit
        return str(row["lead_unit"]) if row["case_id"] and owes(state_of(case)) == Owes.LEAD else self._desk


class _Explainer:
    """Explains clocks by the policy and the units that a transaction sees."""

    def __init__(self, connection: Connection, calendar: WorkingCalendar, version: int) -> None:
        self._calendar = calendar
        self._version = version
        self._offices = _Offices(store.units(connection))
        self._now = clock.micros(clock.now())

    def explain(self, row: RowMapping) -> clock_pb2.ClockExplanation:
        """Why a clock ends when it does."""
        kind, pauses, start = kind_of(dict(row)), pauses_of(row), row["start_time"]
        office = self._offices.by_id.get(row["unit_id"])
        calendar = self._calendar
        if office is not None:
            calendar = office_calendar(calendar, office.working_hours, office.time_zone)
        clock_time = counting.time_of(kind, calendar, start, row["speed"])
        rule = counting.rule_named(calendar.policy, row["rule"])
        at = row["end_time"] or self._now
        paused = row["state"] == PAUSED
        end = max(at, start) if paused else row["counted_time"]
        explanation = clock_pb2.ClockExplanation(
            clock=self._offices.clock(row),
            rule="" if rule is None else _words(rule, self._version),
            stretches=map(
                _stretch,
                stretches(kind, calendar, start, end, pauses, speed=row["speed"], version=self._version),
            ),
            passed=_duration(counting.passed(clock_time, start, at, pauses)),
            left=_duration(clock_time.between(pauses[-1][0] if paused else at, row["deadline"])),
            time_zone=calendar.policy.timezone,
        )
        if rule is not None:
            explanation.allowed.CopyFrom(_duration(rule.amount(calendar)))
        if kind not in WALL_KINDS:
            explanation.weekday_years.extend(calendar.by_weekdays(start, end))
        return explanation


def _clocks(principal: Principal) -> Select[Any]:
    """Clocks within reach, each with some of its case; what no case holds yet is the desk's alone."""
    query = select(CLOCKS, *_OF_CASE).join(CASES, CASES.c.id == CLOCKS.c.case_id, isouter=True)
    return query.where(reach(principal, CLOCKS.c.case_id))


def _words(rule: Rule, version: int) -> str:
    amount = f"{rule.hours:g}小时" if rule.kind in WALL_KINDS else f"{rule.working_days:g}个工作日"
    return f"{amount}（policies/clocks/versions/{version}，{rule.name}）"


def _stretch(stretch: Stretch) -> clock_pb2.ClockExplanation.Stretch:
    return clock_pb2.ClockExplanation.Stretch(
        start_time=time(stretch.start),
        end_time=time(stretch.end),
        counted=stretch.counted,
        reason=_REASONS.Value(f"REASON_{stretch.reason}"),
        basis=_BASES[stretch.basis],
        notice=stretch.notice,
    )


def _duration(micros: int) -> Duration:
    return Duration(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)
