"""Who may see a change: the rows of the stream that a caller could also read by name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from huiyin.analyzer.v1 import event_pb2
from huiyin.casework.v1 import case_pb2, clock_pb2, inquiry_pb2, task_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin.notifier.v1 import notification_pb2
from huiyin_chassis.identity import Principal


@dataclass(frozen=True, slots=True)
class Audience:
    """Whoever holds the permission and is everywhere, or whose reach holds the row by one of the other fields."""

    permission: str
    everyone: bool = False
    """True where reading by name knows no limit of reach either."""
    units: tuple[str, ...] = ()
    """Ids of the units whose business it is."""
    scope: tuple[str, str] | None = None
    """Place and topic that it lies in."""
    grade: int = 0
    """Of the event that it belongs to; 0 where it has none."""

    def has(self, principal: Principal) -> bool:
        """Whether the principal belongs to it."""
        if not principal.may(self.permission):
            return False
        if principal.everywhere or self.everyone:
            return True
        if self.scope is not None:
            place, topic = self.scope
            return _within(place, principal.places) and _within(topic, principal.topics)
        return any(unit in principal.units for unit in self.units)


class Selection:
    """What of the stream one caller gets: the kinds, units and grades asked for, of the rows within reach.

    Equal selections take the same rows, so that the text for all of their clients is put together once.
    """

    __slots__ = ("_exact", "_grade", "_key", "_prefixes", "_units", "principal")

    def __init__(
        self, principal: Principal, kinds: Collection[str], units: Collection[str] = (), least_grade: int = 0
    ) -> None:
        self.principal = principal
        self._units = frozenset(_ids(*units))
        self._grade = least_grade
        self._exact = frozenset(kind for kind in kinds if not kind.endswith(".*"))
        self._prefixes = tuple(sorted(kind[:-1] for kind in kinds if kind.endswith(".*")))
        reach = () if principal.everywhere else (principal.units, principal.places, principal.topics)
        asked = (self._exact, self._prefixes, self._units, least_grade)
        self._key = (asked, principal.permissions, principal.everywhere, reach)

    def takes(self, kind: str, audience: Audience) -> bool:
        """Whether a change of that kind and audience belongs to it."""
        wanted = not (self._exact or self._prefixes) or kind in self._exact or kind.startswith(self._prefixes)
        if not wanted or audience.grade < self._grade or (self._units and self._units.isdisjoint(audience.units)):
            return False
        return audience.has(self.principal)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def audience_of(resource: Message | None) -> Audience:
    """Who may see a change of this resource; None: of one whose type is not known here."""
    found = None if resource is None else _AUDIENCES.get(resource.DESCRIPTOR.full_name)
    return Audience("gateway.changes.watch") if found is None else found(resource)


def withhold(resource: Any) -> None:
    """Takes out what people wrote and what tells voices apart: that is read by name, never streamed."""
    for name in _WITHHELD.get(resource.DESCRIPTOR.full_name, ()):
        resource.ClearField(name)


def _event(event: event_pb2.Event) -> Audience:
    return Audience("analyzer.events.read", scope=(event.place, event.topic), grade=event.assessment.grade)


def _case(case: case_pb2.Case) -> Audience:
    return Audience("casework.cases.read", units=_ids(case.lead_unit, *case.assisting_units), grade=case.grade)


def _clock(clock: clock_pb2.Clock) -> Audience:
    return Audience("casework.cases.read", units=_ids(clock.unit, clock.supervising_unit), grade=clock.grade)


def _notification(notification: notification_pb2.Notification) -> Audience:
    return Audience("notifier.notifications.read", units=_ids(notification.unit), grade=notification.grade)


# A resource without units, place and topic of its own is told to those whose reach is everywhere.
_AUDIENCES: Final[Mapping[str, Callable[[Any], Audience]]] = {
    post_pb2.Post.DESCRIPTOR.full_name: lambda _: Audience("collector.posts.read"),
    source_pb2.Source.DESCRIPTOR.full_name: lambda _: Audience("collector.sources.read", everyone=True),
    event_pb2.Event.DESCRIPTOR.full_name: _event,
    event_pb2.Membership.DESCRIPTOR.full_name: lambda _: Audience("analyzer.events.read"),
    case_pb2.Case.DESCRIPTOR.full_name: _case,
    inquiry_pb2.Inquiry.DESCRIPTOR.full_name: lambda _: Audience("casework.inquiries.read"),
    clock_pb2.Clock.DESCRIPTOR.full_name: _clock,
    task_pb2.Task.DESCRIPTOR.full_name: lambda _: Audience("casework.tasks.read"),
    notification_pb2.Notification.DESCRIPTOR.full_name: _notification,
}

_WITHHELD: Final[Mapping[str, tuple[str, ...]]] = {
    post_pb2.Post.DESCRIPTOR.full_name: ("subject", "text", "voice", "location"),
    event_pb2.Membership.DESCRIPTOR.full_name: ("subject", "text"),
    inquiry_pb2.Inquiry.DESCRIPTOR.full_name: ("subject", "text"),
}


def _ids(*units: str) -> tuple[str, ...]:
    return tuple(unit.removeprefix("units/") for unit in units if unit)


def _within(name: str, scope: Collection[str]) -> bool:
    """Whether a place or topic lies in a scope; an empty scope holds everything."""
    return not scope or any(name == each or name.startswith(f"{each}.") for each in scope)
