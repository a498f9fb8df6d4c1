"""The clock policy and the units in force, as a work consults them."""

from __future__ import annotations

import json
from typing import Any

from huiyin_chassis.policies import Policies
from sqlalchemy import Connection

from huiyin_casework import store
from huiyin_casework.model.clocks.calendar import WorkingCalendar
from huiyin_casework.model.clocks.policy import is_urgent, parse_policy
from huiyin_casework.model.routing import Competence, propose

GRADE_NAMES = ("", "ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")


class Rules:
    """The clock policy and the units in force, compiled; read when a work first asks, kept while they stay the same."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._clocks = ""
        self._calendar = WorkingCalendar(parse_policy(""))
        self._units: list[Any] = []
        self._proposals: dict[tuple[str, str], str] = {}
        self._policy_from: Connection | None = None
        self._units_from: Connection | None = None

    def consult(self, connection: Connection) -> None:
        """From here on, what is in force in this connection's transaction."""
        self._policy_from = self._units_from = connection

    @property
    def calendar(self) -> WorkingCalendar:
        """Working time by the clock policy."""
        if self._policy_from is not None:
            clocks = self._policies.active(self._policy_from, "clocks").body
            if clocks != self._clocks:
                self._calendar = WorkingCalendar(parse_policy(clocks))
                self._clocks = clocks
            self._policy_from = None
        return self._calendar

    def answer_by(self, received: int, *, urgent: bool, extended: bool) -> int:
        """The deadline of an inquiry received then."""
        calendar = self.calendar
        policy = calendar.policy
        days = policy.urgent_working_days if urgent else policy.answer_working_days
        return calendar.after(received, calendar.amount(policy.extended_working_days if extended else days))

    def is_urgent(self, grade: int) -> bool:
        """Whether inquiries of an event of this grade are urgent."""
        return is_urgent(self.calendar.policy, GRADE_NAMES[grade])

    def suggested_unit(self, topic: str, place: str) -> str:
        """The unit that topic and place suggest, "" for none."""
        if self._units_from is not None:
            units = store.units(self._units_from)
            if units != self._units:
                self._units = units
                self._proposals.clear()
            self._units_from = None
        found = self._proposals.get((topic, place))
        if found is None:
            competences = [
                Competence(row.id, tuple(json.loads(row.topics)), tuple(json.loads(row.places))) for row in self._units
            ]
            found = propose([topic] if topic else [], [place] if place else [], competences).lead
            self._proposals[topic, place] = found
        return found
