"""The clock policy and the units in force, as a work consults them."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from huiyin_chassis.errors import NotFound
from huiyin_chassis.policies import Policies
from sqlalchemy import Connection

from huiyin_casework import store
from huiyin_casework.model.clocks.calendar import LAST_KNOWN_YEAR, WorkingCalendar
from huiyin_casework.model.clocks.policy import ClockPolicy, is_urgent, parse_policy, parse_working_hours
from huiyin_casework.model.dispatch import Catalogue, Fit, fits, parse_catalogue, reserved_for
from huiyin_casework.model.routing import Competence, Proposal, propose

GRADE_NAMES = ("", "ORDINARY", "LARGE", "SERIOUS", "ESPECIALLY_SERIOUS")

_VERSIONS = 10_000
"""More than any year: an edition is the policy's version and the last year that the calendar knows."""


class Rules:
    """The clock policy and the units in force, compiled; read when a work first asks, kept while they stay the same."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._calendar = compiled("")
        self._edition = 0
        self._unit_rows: list[tuple[Any, ...]] = []
        self._units: list[Any] = []
        self._by_id: dict[str, Any] = {}
        self._stand_ins: set[str] = set()
        self._proposals: dict[tuple[str, str], str] = {}
        self._fits: dict[tuple[str, str], list[Fit]] = {}
        self._catalogue = Catalogue()
        self._catalogue_body = ""
        self._policy_from: Connection | None = None
        self._catalogue_from: Connection | None = None
        self._units_from: Connection | None = None

    @property
    def policies(self) -> Policies:
        """Where policies are read from."""
        return self._policies

    def consult(self, connection: Connection) -> None:
        """From here on, what is in force in this connection's transaction."""
        self._policy_from = self._catalogue_from = self._units_from = connection

    @property
    def calendar(self) -> WorkingCalendar:
        """Working time by the clock policy."""
        self._read_policy()
        return self._calendar

    @property
    def policy(self) -> ClockPolicy:
        """The clock policy."""
        return self.calendar.policy

    @property
    def edition(self) -> int:
        """Grows with each version of the policy and each year that the calendar comes to know."""
        self._read_policy()
        return self._edition

    @property
    def version(self) -> int:
        """The version of the clock policy."""
        return self.edition // _VERSIONS

    def edition_in(self, connection: Connection) -> int:
        """The edition that a transaction sees, whatever was consulted before."""
        return _edition(self._policies.active(connection, "clocks").version)

    def calendar_of(self, unit: str) -> WorkingCalendar:
        """Working time of a unit: its own hours and zone where it declares them."""
        row = self.unit(unit)
        return self.calendar if row is None else office_calendar(self.calendar, row.working_hours, row.time_zone)

    def is_urgent(self, grade: int) -> bool:
        """Whether inquiries of an event of this grade are urgent."""
        return is_urgent(self.policy, GRADE_NAMES[grade])

    def suggested_unit(self, topic: str, place: str) -> str:
        """The unit that the dispatch catalogue, or else what units answer for, suggests; "" for none."""
        self._read_units()
        self._read_catalogue()
        found = self._proposals.get((topic, place))
        if found is None:
            ranked = self.dispatched(topic, place)
            found = ranked[0].entry.lead if ranked else self.competent(topic, place).lead
            self._proposals[topic, place] = found
        return found

    def dispatched(self, topic: str, place: str) -> list[Fit]:
        """The entries of the dispatch catalogue that fit, the closest first. The list is shared: do not change it."""
        self._read_units()
        self._read_catalogue()
        found = self._fits.get((topic, place))
        if found is None:
            found = fits(self._catalogue, _listed(topic), _listed(place), self._by_id)
            self._fits[topic, place] = found
        return found

    def competent(self, topic: str, place: str) -> Proposal:
        """What follows from what the units say that they answer for."""
        self._read_units()
        competences = [
            Competence(row.id, tuple(json.loads(row.topics)), tuple(json.loads(row.places))) for row in self._units
        ]
        return propose(_listed(topic), _listed(place), competences)

    def reserved_for(self, topic: str, place: str, lead: str) -> Fit | None:
        """The entry by which work is another office's own, so that it is not pushed down to this lead."""
        row = self.unit(lead)
        ranked = self.dispatched(topic, place)
        return reserved_for(self._catalogue, ranked, lead, "" if row is None else row.kind)

    def unit(self, unit: str) -> Any:
        """The row of a unit, None where there is none."""
        self._read_units()
        return self._by_id.get(unit)

    def stands_in_somewhere(self, account: str) -> bool:
        """Whether any unit names an account as a stand-in."""
        self._read_units()
        return account in self._stand_ins

    @property
    def desk(self) -> str:
        """The unit that assigns and publishes: of several desks the first by id."""
        self._read_units()
        return desk_of(self._units)

    def _read_policy(self) -> None:
        if self._policy_from is not None:
            policy = self._policies.active(self._policy_from, "clocks")
            self._calendar = compiled(policy.body)
            self._edition = _edition(policy.version)
            self._policy_from = None

    def _read_catalogue(self) -> None:
        if self._catalogue_from is not None:
            try:
                body = self._policies.active(self._catalogue_from, "dispatch").body
            except NotFound:
                body = ""  # none was ever written: units are proposed by what they answer for
            if body != self._catalogue_body:
                self._catalogue = parse_catalogue(body) if body else Catalogue()
                self._catalogue_body = body
                self._proposals.clear()
                self._fits.clear()
            self._catalogue_from = None

    def _read_units(self) -> None:
        if self._units_from is not None:
            rows = store.unit_rows(self._units_from)
            if rows != self._unit_rows:
                self._unit_rows = rows
                self._units = units = store.units(self._units_from)
                self._by_id = {row.id: row for row in units}
                self._stand_ins = {account for row in units for account in json.loads(row.stand_ins)}
                self._proposals.clear()
                self._fits.clear()
            self._units_from = None


def _listed(path: str) -> list[str]:
    return [path] if path else []


def _edition(version: int) -> int:
    return version * _VERSIONS + LAST_KNOWN_YEAR


@lru_cache(maxsize=16)
def compiled(body: str) -> WorkingCalendar:
    """A clock policy that was checked when it was written, with the days that were looked up by it."""
    return WorkingCalendar(parse_policy(body))


@lru_cache(maxsize=1024)
def office_calendar(calendar: WorkingCalendar, working_hours: str, time_zone: str) -> WorkingCalendar:
    """The calendar of an office that declares hours, a JSON list, or a zone; else the calendar itself."""
    hours = parse_working_hours(json.loads(working_hours), [])
    if not hours and not time_zone:
        return calendar
    return WorkingCalendar(calendar.policy.of_office(hours, time_zone))


def desk_of(units: list[Any]) -> str:
    """The id of the first desk among rows of units in the order of their ids; "" for none."""
    return next((str(row.id) for row in units if row.desk), "")
