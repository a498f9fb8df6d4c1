"""A clock's arithmetic: what its rule asks for, when it ends with its pauses, when its steps fire.

Instants and amounts are microseconds. A clock belongs to an inquiry, to the order that a unit was given, or to a case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from huiyin_casework.model.clocks.calendar import HOUR, FasterTime, Time, WallTime, WorkingCalendar
from huiyin_casework.model.clocks.policy import WALL_KINDS, ClockPolicy, Kind
from huiyin_casework.model.steps import State

Pause = tuple[int, int | None]
"""From when a clock stood still, and until when; None while it still does."""


class Stage(IntEnum):
    """How far the steps of a clock have gone."""

    NONE = 0
    REMINDER = 1
    SUPERVISION = 2
    CIRCULAR = 3


class Owes(StrEnum):
    """Who keeps a clock waiting."""

    DESK = "desk"
    LEAD = "lead"


@dataclass(frozen=True)
class Rule:
    """What a clock allows, under the name that the clock keeps: an amount of working days, or of hours of the wall."""

    name: str
    kind: Kind
    working_days: float = 0
    hours: float = 0

    def amount(self, calendar: WorkingCalendar) -> int:
        """The amount of time that may pass."""
        return round(self.hours * HOUR) if self.kind in WALL_KINDS else calendar.amount(self.working_days)


class PauseRefused(Exception):
    """The clock may not be paused, or does not stand still. The message says why."""


def answer_rule(policy: ClockPolicy, *, urgent: bool, extended: bool) -> Rule:
    """Of an inquiry's clock."""
    if extended:
        return Rule("answer.extended", Kind.ANSWER, policy.extended_working_days)
    if urgent:
        return Rule("answer.urgent", Kind.ANSWER, policy.urgent_working_days)
    return Rule("answer", Kind.ANSWER, policy.answer_working_days)


def acceptance_rule(policy: ClockPolicy) -> Rule:
    """Of the clock of an order."""
    return Rule("acceptance", Kind.ACCEPTANCE, policy.acceptance_working_days)


def contribution_rule(policy: ClockPolicy) -> Rule:
    """Of the clock of an assisting unit's part."""
    return Rule("contribution", Kind.CONTRIBUTION, policy.contribution_working_days)


def case_rules(policy: ClockPolicy, grade: str) -> list[Rule]:
    """Of the clocks that a case of this grade has."""
    return [
        Rule(f"{kind}.{grade}", kind, hours=hours[grade])
        for kind, hours in (
            (Kind.FIRST_INFORMATION, policy.first_information_hours),
            (Kind.BRIEFING, policy.briefing_hours),
        )
        if grade in hours
    ]


def rule_named(policy: ClockPolicy, name: str) -> Rule | None:
    """The rule that a clock keeps the name of, as the policy has it; None when it has no such rule any more."""
    kind, _, part = name.partition(".")
    if kind == Kind.ANSWER:
        return answer_rule(policy, urgent=part == "urgent", extended=part == "extended")
    if kind == Kind.ACCEPTANCE:
        return acceptance_rule(policy)
    if kind == Kind.CONTRIBUTION:
        return contribution_rule(policy)
    return next((rule for rule in case_rules(policy, part) if rule.kind == kind), None)


def time_of(kind: Kind, calendar: WorkingCalendar, start: int, speed: int) -> Time:
    """The time that a clock of this kind counts in. `speed`: 1, or of a drill."""
    time: Time = WallTime() if kind in WALL_KINDS else calendar
    return time if speed == 1 else FasterTime(time, start, speed)


def ends(time: Time, start: int, amount: int, pauses: Sequence[Pause] = ()) -> int | None:
    """When that amount has passed since the start, pauses left out; None when it stands still before that."""
    for begin, end in pauses:
        passed = time.between(start, begin)
        if passed >= amount:
            break
        if end is None:
            return None
        start, amount = end, amount - passed
    return time.after(start, amount)


def passed(time: Time, start: int, until: int, pauses: Sequence[Pause] = ()) -> int:
    """How much has passed from the start until then, pauses left out."""
    total = 0
    for begin, end in pauses:
        total += time.between(start, min(begin, until))
        start = until if end is None else max(end, start)
    return total + time.between(start, until)


def promised(current: int, recomputed: int) -> int:
    """The deadline after a grade or the calendar changed: a date once promised is never moved later."""
    return min(current, recomputed)


def next_step(
    policy: ClockPolicy, kind: Kind, time: Time, start: int, deadline: int, stage: Stage
) -> tuple[Stage, int] | None:
    """The step that comes after a stage, and when it fires; None after the last.

    A reminder that would come before the clock starts, or not before it ends, is left out.
    """
    steps = policy.supervision[kind]
    if stage < Stage.REMINDER:
        at = time.before(deadline, round(steps.reminder_before_hours * HOUR))
        if start < at < deadline:
            return Stage.REMINDER, at
    if stage < Stage.SUPERVISION:
        return Stage.SUPERVISION, time.after(deadline, round(steps.supervision_after_hours * HOUR))
    if stage < Stage.CIRCULAR:
        return Stage.CIRCULAR, time.after(deadline, round(steps.circular_after_hours * HOUR))
    return None


def pause(policy: ClockPolicy, pauses: Sequence[Pause], at: int) -> list[Pause]:
    """The pauses of a clock once it stands still from an instant on. Raises PauseRefused."""
    if pauses and pauses[-1][1] is None:
        raise PauseRefused("This clock stands still already.")
    if len(pauses) >= policy.pauses:
        raise PauseRefused(f"A clock may be paused {policy.pauses} times (pauses in policies/clocks).")
    return [*pauses, (at, None)]


def must_resume(time: Time, amount: int, pauses: Sequence[Pause]) -> int:
    """When a clock that stands still goes on by itself: when its pauses together have used up `amount`."""
    used = sum(time.between(begin, end) for begin, end in pauses if end is not None)
    return time.after(pauses[-1][0], max(amount - used, 0))


def resume(pauses: Sequence[Pause], at: int) -> list[Pause]:
    """The pauses of a clock that goes on. Raises PauseRefused when it does not stand still."""
    if not pauses or pauses[-1][1] is not None:
        raise PauseRefused("This clock does not stand still.")
    return [*pauses[:-1], (pauses[-1][0], at)]


def owes(state: State) -> Owes:
    """Who keeps the clocks of a case waiting: the desk assigns, decides and publishes, the lead unit does the rest."""
    return Owes.DESK if state in (State.REGISTERED, State.OBJECTED, State.APPROVED) else Owes.LEAD
