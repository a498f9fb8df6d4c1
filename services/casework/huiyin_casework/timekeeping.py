"""The clocks of a work: started, counted anew, paused, met and dropped in memory, written in bulk with the rest.

A clock's arithmetic is the model's. What follows from a clock for its inquiry and its case is the case file's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from huiyin.casework.v1 import clock_pb2
from huiyin_chassis.store import Tx

from huiyin_casework.model.clocks import counting
from huiyin_casework.model.clocks.calendar import Time
from huiyin_casework.model.clocks.counting import Pause, Rule, Stage
from huiyin_casework.model.clocks.policy import Kind
from huiyin_casework.rules import GRADE_NAMES, Rules
from huiyin_casework.store import CLOCKS, Fields, Rows

RUNNING = clock_pb2.Clock.STATE_RUNNING
PAUSED = clock_pb2.Clock.STATE_PAUSED
MET = clock_pb2.Clock.STATE_MET
DROPPED = clock_pb2.Clock.STATE_DROPPED

PROMISED = "answer.promised"
"""The rule of a clock whose date was promised before the office moved in."""

KINDS: dict[Kind, clock_pb2.Clock.Kind.ValueType] = {
    Kind.ANSWER: clock_pb2.Clock.KIND_ANSWER,
    Kind.ACCEPTANCE: clock_pb2.Clock.KIND_ACCEPTANCE,
    Kind.CONTRIBUTION: clock_pb2.Clock.KIND_CONTRIBUTION,
    Kind.FIRST_INFORMATION: clock_pb2.Clock.KIND_FIRST_INFORMATION,
    Kind.BRIEFING: clock_pb2.Clock.KIND_BRIEFING,
}
_KIND_OF = {number: kind for kind, number in KINDS.items()}


class Timekeeping:
    """The clocks that a work touches."""

    def __init__(self, tx: Tx, rules: Rules) -> None:
        self._tx = tx
        self._rules = rules
        self._begun: dict[tuple[str, int, bool, str], Fields] = {}
        self._case_rules: dict[int, list[Rule]] = {}
        self.rows = Rows(CLOCKS)

    # Finding

    def load(self, ids: Iterable[str]) -> None:
        """Loads clocks by their ids."""
        self.rows.load(self._tx.connection, CLOCKS.c.id, ids)

    def load_of_cases(self, case_ids: Iterable[str]) -> None:
        """Loads the clocks of cases."""
        self.rows.load(self._tx.connection, CLOCKS.c.case_id, case_ids)

    def of_case(self, case_id: str) -> list[Fields]:
        """The clocks of a case, by id."""
        self.load_of_cases([case_id])
        return sorted((row for row in self.rows if row["case_id"] == case_id), key=lambda row: str(row["id"]))

    def of_inquiry(self, inquiry: Fields) -> Fields:
        """The clock of an inquiry's answer."""
        row = self.rows.find(self._tx.connection, inquiry["id"])
        assert row is not None, f"inquiries/{inquiry['id']} has a clock from its first moment"
        return row

    # Starting

    def start_answer(self, inquiry: Fields, *, urgent: bool = False, extended: bool = False) -> Fields:
        """The clock of an inquiry that was received."""
        rule = counting.answer_rule(self._rules.policy, urgent=urgent, extended=extended)
        row = self._begin(inquiry["id"], rule, inquiry["receive_time"], drill=inquiry["drill"])
        row["inquiry_id"], row["case_id"] = inquiry["id"], inquiry["case_id"]
        return self.rows.add(row)

    def start_answer_again(self, inquiry: Fields) -> Fields:
        """The clock of an answered inquiry that waits anew, from now on."""
        rule = counting.answer_rule(self._rules.policy, urgent=inquiry["urgent"], extended=False)
        known = self.of_inquiry(inquiry)
        row = self._begin(inquiry["id"], rule, self._tx.now_us, drill=inquiry["drill"])
        row |= {"inquiry_id": inquiry["id"], "case_id": inquiry["case_id"], "revision": known["revision"] + 1}
        self.rows.change(known, **{name: value for name, value in row.items() if name != "id"})
        return known

    def start_case(self, case: Fields) -> None:
        """The clocks of a case from its opening, by its grade; those that it has stay."""
        for rule in self._rules_of(case["grade"]):
            clock_id = f"{case['id']}-{rule.kind}"
            if self.rows.get(clock_id) is None:
                row = self._begin(clock_id, rule, case["create_time"], drill=case["drill"])
                row["case_id"] = case["id"]
                self.rows.add(row)

    def start_order(self, case: Fields, unit: str) -> Fields:
        """The clock of an order to the lead unit; a clock of an order to another unit is dropped."""
        clock_id = f"{case['id']}-{unit}"
        for clock in self.of_case(case["id"]):
            if clock["kind"] == KINDS[Kind.ACCEPTANCE] and clock["id"] != clock_id:
                self.end(clock, DROPPED)
        return self._start_of_unit(clock_id, counting.acceptance_rule(self._rules.policy), case, unit)

    def start_part(self, case: Fields, unit: str) -> None:
        """The clock of what an assisting unit is to contribute, unless it runs or stands still already."""
        self.of_case(case["id"])
        self._start_of_unit(part_clock(case["id"], unit), counting.contribution_rule(self._rules.policy), case, unit)

    def of_part(self, case: Fields, unit: str) -> Fields:
        """The clock of an assisting unit's part."""
        row = self.rows.find(self._tx.connection, part_clock(case["id"], unit))
        assert row is not None, f"units/{unit} assists in cases/{case['id']}, and every part has a clock"
        return row

    def _start_of_unit(self, clock_id: str, rule: Rule, case: Fields, unit: str) -> Fields:
        known = self.rows.get(clock_id)
        if known is not None and known["state"] in (RUNNING, PAUSED):
            return known
        row = self._begin(clock_id, rule, self._tx.now_us, drill=case["drill"], unit=unit)
        row["case_id"] = case["id"]
        if known is None:
            return self.rows.add(row)
        row["revision"] = known["revision"] + 1
        self.rows.change(known, **{name: value for name, value in row.items() if name != "id"})
        return known

    def _begin(self, clock_id: str, rule: Rule, start: int, *, drill: bool, unit: str = "") -> Fields:
        """The row of a clock that begins; those of a work that begin alike are counted once."""
        alike = (rule.name, start, drill, unit)
        row = self._begun.get(alike)
        if row is None:
            row = _row(rule, start, drill=drill, unit=unit, speed=self._rules.policy.drill_speed if drill else 1)
            row |= self._counted(row, rule, promise=None)
            self._begun[alike] = row
        return {**row, "id": clock_id}

    def _rules_of(self, grade: int) -> list[Rule]:
        rules = self._case_rules.get(grade)
        if rules is None:
            rules = self._case_rules[grade] = counting.case_rules(self._rules.policy, GRADE_NAMES[grade])
        return rules

    # Counting

    def set_answer_rule(self, clock: Fields, *, urgent: bool, extended: bool) -> None:
        """Counts a clock anew by urgency; what was promised is not moved later."""
        rule = counting.answer_rule(self._rules.policy, urgent=urgent, extended=extended)
        kept = clock["rule"] == PROMISED and not (urgent or extended)
        if rule.name != clock["rule"] and not kept:
            self._count_running(clock, rule, clock["deadline"])

    def promise(self, clock: Fields, deadline: int) -> None:
        """Takes over the date that somebody else promised before; no rule of the policy counts it anew."""
        self.rows.change(clock, rule=PROMISED, deadline=deadline)
        self._schedule(clock)

    def extend(self, clock: Fields) -> None:
        """Gives an answer the longest time that the policy allows; never less than it has."""
        rule = counting.answer_rule(self._rules.policy, urgent=False, extended=True)
        before = clock["deadline"]
        self._count_running(clock, rule, None)
        self._put_off(clock, before)

    def regrade(self, case: Fields) -> None:
        """Counts the clocks of a case anew by its grade, from the original start; no promise is moved later."""
        rules = {KINDS[rule.kind]: rule for rule in self._rules_of(case["grade"])}
        for clock in self.of_case(case["id"]):
            rule = rules.get(clock["kind"])
            if rule is not None and clock["state"] == RUNNING:
                self._count(clock, rule, promise=clock["deadline"])
        self.start_case(case)

    def count_anew(self, clock: Fields) -> bool:
        """Counts a running clock by the policy and the calendar in force; returns whether its deadline moved.

        One whose rule the policy does not have any more keeps what it promised.
        """
        rule = counting.rule_named(self._rules.policy, clock["rule"])
        before = clock["deadline"]
        if rule is None:
            self.rows.change(clock, edition=self._rules.edition)
        else:
            self._count(clock, rule, promise=before)
        return bool(clock["deadline"] != before)

    def _count_running(self, clock: Fields, rule: Rule, promise: int | None) -> None:
        """Of one that stands still only the rule is new; its end is counted when it goes on."""
        if clock["state"] == RUNNING:
            self._count(clock, rule, promise=promise)
        elif clock["state"] == PAUSED:
            self.rows.change(clock, rule=rule.name)

    def _count(self, clock: Fields, rule: Rule, *, promise: int | None) -> None:
        self.rows.change(clock, **self._counted(clock, rule, promise=promise))

    def _counted(self, clock: Fields, rule: Rule, *, promise: int | None) -> Fields:
        calendar = self._rules.calendar_of(clock["unit_id"]) if clock["unit_id"] else self._rules.calendar
        time = counting.time_of(rule.kind, calendar, clock["start_time"], clock["speed"])
        counted = counting.ends(time, clock["start_time"], rule.amount(calendar), pauses_of(clock))
        assert counted is not None, "a clock that stands still is not counted"
        deadline = counted if promise is None else counting.promised(promise, counted)
        step = counting.next_step(
            self._rules.policy, rule.kind, time, clock["start_time"], deadline, Stage(clock["stage"])
        )
        return {
            "rule": rule.name,
            "deadline": deadline,
            "counted_time": counted,
            "next_time": step and step[1],
            "edition": self._rules.edition,
        }

    def _put_off(self, clock: Fields, before: int) -> None:
        """Never earlier than before; and one that has more time than before begins with its steps anew."""
        if clock["state"] != RUNNING:
            return
        deadline = max(clock["deadline"], before)
        stage = Stage.NONE if deadline > before else Stage(clock["stage"])
        self.rows.change(clock, deadline=deadline, stage=int(stage))
        self._schedule(clock)

    def _schedule(self, clock: Fields) -> None:
        time, policy = self._time(clock), self._rules.policy
        stage = Stage(clock["stage"])
        step = counting.next_step(policy, kind_of(clock), time, clock["start_time"], clock["deadline"], stage)
        self.rows.change(clock, next_time=step and step[1])

    def _time(self, clock: Fields) -> Time:
        calendar = self._rules.calendar_of(clock["unit_id"]) if clock["unit_id"] else self._rules.calendar
        return counting.time_of(kind_of(clock), calendar, clock["start_time"], clock["speed"])

    # Steps

    def due_step(self, clock: Fields) -> Stage | None:
        """The step of a running clock that is due now; where the policy puts it off, that is noted instead."""
        policy, stage = self._rules.policy, Stage(clock["stage"])
        time = self._time(clock)
        step = counting.next_step(policy, kind_of(clock), time, clock["start_time"], clock["deadline"], stage)
        if step is not None and step[1] <= self._tx.now_us:
            return step[0]
        self.rows.change(clock, next_time=step and step[1])
        return None

    def take_step(self, clock: Fields, stage: Stage) -> None:
        """Notes that a step was taken, and when the next one is due."""
        revision = clock["revision"] + 1
        self.rows.change(clock, stage=int(stage), stage_time=self._tx.now_us, revision=revision)
        self._schedule(clock)

    # Pausing

    def pause(self, clock: Fields) -> None:
        """Lets a running clock stand still from now on. Raises PauseRefused."""
        if clock["state"] not in (RUNNING, PAUSED):
            raise counting.PauseRefused("This clock does not run any more.")
        policy = self._rules.policy
        pauses = counting.pause(policy, pauses_of(clock), self._tx.now_us)
        most = self._rules.calendar.amount(policy.pause_working_days)
        self.rows.change(
            clock,
            state=PAUSED,
            pauses=json.dumps(pauses),
            next_time=counting.must_resume(self._pause_time(clock), most, pauses),
            edition=None,
            revision=clock["revision"] + 1,
        )

    def resume(self, clock: Fields) -> None:
        """Lets a clock go on with the time that was left, now or from when it had to. Raises PauseRefused."""
        at = self._tx.now_us
        if clock["state"] == PAUSED and clock["next_time"] is not None:
            at = min(at, clock["next_time"])
        pauses = counting.resume(pauses_of(clock), at)
        before, time = clock["deadline"], self._time(clock)
        left = time.between(pauses[-1][0], before)
        self.rows.change(clock, state=RUNNING, pauses=json.dumps(pauses), revision=clock["revision"] + 1)
        rule = counting.rule_named(self._rules.policy, clock["rule"])
        promise = time.after(at, left) if left else before
        if rule is None:
            self.rows.change(clock, deadline=promise, edition=self._rules.edition)
        else:
            self._count(clock, rule, promise=promise)
        self._put_off(clock, before)

    def _pause_time(self, clock: Fields) -> Time:
        return counting.time_of(Kind.ANSWER, self._rules.calendar, clock["start_time"], clock["speed"])

    # Ending

    def end(self, clock: Fields, state: clock_pb2.Clock.State.ValueType) -> None:
        """Ends a clock that runs or stands still."""
        if clock["state"] in (RUNNING, PAUSED):
            ended = {"state": state, "end_time": self._tx.now_us, "next_time": None, "edition": None}
            self.rows.change(clock, **ended, revision=clock["revision"] + 1)

    def end_kinds(self, case_id: str, kinds: Iterable[Kind], state: clock_pb2.Clock.State.ValueType) -> list[Fields]:
        """Ends the clocks of a case that are of some kinds; returns those that had not ended before."""
        numbers = {KINDS[kind] for kind in kinds}
        ended = [row for row in self.of_case(case_id) if row["kind"] in numbers and row["state"] in (RUNNING, PAUSED)]
        for row in ended:
            self.end(row, state)
        return ended


def part_clock(case_id: str, unit: str) -> str:
    """The id of the clock of an assisting unit's part; no id of a unit holds the character between."""
    return f"{case_id}_{unit}"


def kind_of(clock: Fields) -> Kind:
    """The kind of a clock as the model names it."""
    return _KIND_OF[clock["kind"]]


def pauses_of(clock: Any) -> list[Pause]:
    """The pauses of a clock."""
    return [] if clock["pauses"] == "[]" else [(begin, end) for begin, end in json.loads(clock["pauses"])]


def _row(rule: Rule, start: int, *, drill: bool, unit: str, speed: int) -> Fields:
    return {
        "id": "",
        "case_id": "",
        "inquiry_id": "",
        "unit_id": unit,
        "kind": KINDS[rule.kind],
        "state": RUNNING,
        "rule": rule.name,
        "start_time": start,
        "deadline": 0,
        "counted_time": 0,
        "pauses": "[]",
        "speed": speed,
        "stage": 0,
        "stage_time": 0,
        "next_time": None,
        "edition": None,
        "end_time": 0,
        "drill": drill,
        "revision": 1,
    }
