"""The routes policy: who is told of what, at which pace. One tree, read as Alertmanager reads its own.

A happening enters at the root and goes to the first child that matches it, and on to the following ones as long as
`continue` is set. A node none of whose children match takes it for its receiver; a node without a receiver drops it.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from huiyin_chassis.addresses import may_be_public

from huiyin_notifier.model.grouping import Timing
from huiyin_notifier.model.happenings import CASE_STATES, GRADES, KINDS, Happening

CHANNELS: Final = ("log", "webhook")
GROUP_BY: Final = ("unit", "supervisor", "grade", "topic", "kind", "case")
HTTP_SCHEMES: Final = ("json", "jsons", "form", "forms")
"""Apprise schemes that post to a host of the operator's choice."""
SCHEMES: Final = (*HTTP_SCHEMES, "wecombot", "dingtalk", "feishu", "lark")
"""Apprise schemes that a webhook may have; those beside HTTP_SCHEMES go to fixed public hosts."""

_SECOND: Final = 1_000_000
_UNITS: Final = {"ms": 1000, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86_400 * _SECOND}
_DURATION: Final = re.compile(r"(?:\d{1,6}(?:ms|s|m|h|d))+")
_DURATION_PART: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_RECEIVER_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,62}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9-]{1,64}")
_MAX_ROUTES: Final = 500
_MAX_DEPTH: Final = 10
_DEFAULT_TIMING: Final = Timing(30 * _SECOND, 300 * _SECOND, 0)


@dataclass(frozen=True)
class Problem:
    """A mistake in a policy: where it stands (`route.routes[0].match.kind`) and a sentence that says what to do."""

    path: str
    sentence: str


class PolicyError(ValueError):
    """A routes policy cannot be used; `problems` has every mistake."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem.path}: {problem.sentence}" for problem in problems))


@dataclass(frozen=True)
class Receiver:
    """Who is told, and how. `url` is Apprise's, and secret when it carries a token."""

    id: str
    channel: str
    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Match:
    """What a route takes. None takes everything."""

    kinds: frozenset[str] | None = None
    grades: frozenset[str] | None = None
    units: frozenset[str] | None = None
    supervisors: frozenset[str] | None = None
    """Units above the one that a clock waits for."""
    states: frozenset[str] | None = None
    topics: tuple[str, ...] | None = None
    """Nodes of the topic tree; each takes all below it."""
    drill: bool | None = None

    def accepts(self, happening: Happening) -> bool:
        """Whether the happening, whose kind was looked at already, is one of these."""
        return (
            (self.grades is None or happening.grade in self.grades)
            and (self.units is None or happening.unit in self.units)
            and (self.supervisors is None or happening.supervisor in self.supervisors)
            and (self.states is None or happening.state in self.states)
            and (self.drill is None or happening.drill == self.drill)
            and (self.topics is None or any(_holds(topic, happening.topic) for topic in self.topics))
        )


@dataclass(frozen=True)
class Route:
    """A node of the tree, with what it inherits filled in."""

    path: str
    """Where it stands in the document."""
    match: Match
    receiver: str | None
    group_by: tuple[str, ...]
    timing: Timing
    goes_on: bool
    children: tuple[Route, ...]
    _by_kind: Mapping[str, tuple[Route, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_kind = {kind: tuple(child for child in self.children if child.takes_kind(kind)) for kind in KINDS}
        object.__setattr__(self, "_by_kind", by_kind)

    def takes_kind(self, kind: str) -> bool:
        """Whether its match names this kind, or none."""
        return self.match.kinds is None or kind in self.match.kinds

    def leads(self, kind: str) -> bool:
        """Whether a happening of this kind can come to a receiver here or below."""
        return self.receiver is not None or any(child.leads(kind) for child in self._by_kind[kind])

    def takers(self, happening: Happening) -> Iterator[Route]:
        """The nodes here and below that take a happening which this node matches."""
        matched = False
        for child in self._by_kind.get(happening.kind, ()):
            if child.match.accepts(happening):
                matched = True
                yield from child.takers(happening)
                if not child.goes_on:
                    break
        if not matched and self.receiver is not None:
            yield self

    def group_of(self, happening: Happening) -> str:
        """The values that a happening is grouped under here, e.g. `grade=GRADE_LARGE unit=units/desk`."""
        values = {
            "unit": happening.unit,
            "supervisor": happening.supervisor,
            "grade": f"GRADE_{happening.grade or 'UNSPECIFIED'}",
            "topic": happening.topic,
            "kind": happening.kind,
            "case": happening.case,
        }
        return " ".join(f"{name}={values[name]}" for name in self.group_by)


@dataclass(frozen=True)
class Routes:
    """A policy that was found right."""

    receivers: Mapping[str, Receiver]
    root: Route

    def takers(self, happening: Happening) -> list[Route]:
        """The routes along which a happening leaves, one a receiver: the first in the tree's order."""
        found: dict[str, Route] = {}
        for route in self.root.takers(happening):
            found.setdefault(route.receiver or "", route)
        return list(found.values())

    def kinds(self) -> list[str]:
        """The kinds of change that can come to a receiver."""
        return [kind for kind in KINDS if self.root.leads(kind)]


def parse(body: str, *, allow_private: bool = False) -> Routes:
    """Reads a policy from YAML. Raises PolicyError with every mistake.

    `allow_private`: whether a webhook may go to an address of this machine or of a private network.
    """
    try:
        document = yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise PolicyError([Problem("body", f"is not YAML: {_one_line(error)}; mend the line named here")]) from error
    reader = _Reader(allow_private)
    routes = reader.policy(document)
    if reader.problems or routes is None:
        raise PolicyError(reader.problems)
    return routes


class _Reader:
    """Walks the document and notes each mistake with its path."""

    def __init__(self, allow_private: bool) -> None:
        self.problems: list[Problem] = []
        self._allow_private = allow_private
        self._receivers: dict[str, Receiver] = {}
        self._routes_read = 0

    def policy(self, document: object) -> Routes | None:
        if not isinstance(document, dict):
            self._wrong("body", "must be a mapping with receivers and route")
            return None
        self._known(document, "", ("receivers", "route"))
        self._read_receivers(document.get("receivers"))
        if not isinstance(document.get("route"), dict):
            self._wrong("route", "must be a mapping: the root of the tree, e.g. route: {receiver: duty}")
            return None
        root = document["route"]
        for name in ("match", "continue"):
            if name in root:
                self._wrong(f"route.{name}", "is not for the root, which everything enters; put it in a route below")
        parent = Route("", Match(), None, ("unit", "grade"), _DEFAULT_TIMING, False, ())
        return Routes(self._receivers, self._route(root, "route", parent, 1))

    # Receivers

    def _read_receivers(self, given: object) -> None:
        if not isinstance(given, list) or not given:
            self._wrong("receivers", "must be a list of at least one receiver, e.g. - {id: duty, channel: log}")
            return
        for number, entry in enumerate(given):
            path = f"receivers[{number}]"
            if not isinstance(entry, dict):
                self._wrong(path, "must be a mapping, e.g. {id: duty, channel: log}")
                continue
            receiver = self._receiver(entry, path)
            if receiver.id in self._receivers:
                self._wrong(f"{path}.id", f"{receiver.id} is there already; give each receiver an id of its own")
            self._receivers[receiver.id] = receiver

    def _receiver(self, entry: dict[Any, Any], path: str) -> Receiver:
        self._known(entry, path, ("id", "channel", "url", "headers"))
        name, channel, url, headers = (entry.get(key) for key in ("id", "channel", "url", "headers"))
        if not isinstance(name, str) or not _RECEIVER_ID.fullmatch(name):
            self._wrong(f"{path}.id", "must be 1 to 63 small letters, digits and hyphens, a letter first, e.g. duty")
        if channel not in CHANNELS:
            self._wrong(f"{path}.channel", f"must be {' or '.join(CHANNELS)}, not {channel!r}")
        elif channel == "log":
            for key in ("url", "headers"):
                if key in entry:
                    self._wrong(f"{path}.{key}", "is not for channel log; leave it out, or choose channel webhook")
        else:
            self._check_url(url, headers, path)
        return Receiver(str(name), str(channel), str(url or ""), headers if isinstance(headers, dict) else {})

    def _check_url(self, url: object, headers: object, path: str) -> None:
        if not isinstance(url, str) or "://" not in url:
            self._wrong(f"{path}.url", "must be an Apprise URL, e.g. jsons://duty.example.org/messages")
            return
        try:
            parts = urllib.parse.urlsplit(url)
            host = parts.hostname or ""
            _ = parts.port
        except ValueError:
            self._wrong(f"{path}.url", "is not a URL; write it as scheme://host:port/path")
            return
        if parts.scheme not in SCHEMES:
            self._wrong(f"{path}.url", f"has scheme {parts.scheme!r}; webhooks go by {', '.join(SCHEMES)}")
        elif parts.scheme in HTTP_SCHEMES:
            if not host:
                self._wrong(f"{path}.url", f"names no host; write {parts.scheme}://host/path")
            elif not self._allow_private and not may_be_public(host):
                self._wrong(
                    f"{path}.url",
                    f"{host} is an address of this machine or of a private network;"
                    " set HUIYIN_ALLOW_PRIVATE_RECEIVERS=true where that is meant",
                )
        elif headers:
            self._wrong(f"{path}.headers", f"are for {', '.join(HTTP_SCHEMES)}; leave them out for {parts.scheme}")
        if headers is None:
            return
        if not isinstance(headers, dict):
            self._wrong(f"{path}.headers", "must be a mapping of header names to values")
            return
        for name, value in headers.items():
            if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
                self._wrong(f"{path}.headers", f"{name!r} is no header name; use letters, digits and hyphens")
            elif not isinstance(value, str) or not value.isascii() or not value.isprintable():
                self._wrong(f"{path}.headers.{name}", "must be a text of printable ASCII; quote numbers")

    # Routes

    def _route(self, entry: dict[Any, Any], path: str, parent: Route, depth: int) -> Route:
        self._known(
            entry,
            path,
            (
                "receiver",
                "match",
                "continue",
                "group_by",
                "group_wait",
                "group_interval",
                "repeat_interval",
                "routes",
            ),
        )
        goes_on = entry.get("continue", False)
        if not isinstance(goes_on, bool):
            self._wrong(f"{path}.continue", "must be true or false")
        timing = Timing(
            self._duration(entry, path, "group_wait", parent.timing.wait),
            self._duration(entry, path, "group_interval", parent.timing.interval),
            self._duration(entry, path, "repeat_interval", parent.timing.repeat),
        )
        receiver = self._receiver_of(entry, path, parent)
        group_by = tuple(self._names(entry, path, "group_by", GROUP_BY) if "group_by" in entry else parent.group_by)
        match = self._match(entry.get("match"), f"{path}.match") if depth > 1 else Match()
        itself = Route(path, match, receiver, group_by, timing, bool(goes_on), ())
        children = tuple(self._children(entry.get("routes"), f"{path}.routes", itself, depth))
        return Route(path, match, receiver, group_by, timing, bool(goes_on), children)

    def _children(self, given: object, path: str, parent: Route, depth: int) -> Iterator[Route]:
        if given is None:
            return
        if not isinstance(given, list):
            self._wrong(path, "must be a list of routes")
            return
        if depth == _MAX_DEPTH:
            self._wrong(path, f"lie deeper than {_MAX_DEPTH} levels; flatten the tree")
            return
        for number, entry in enumerate(given):
            self._routes_read += 1
            if self._routes_read > _MAX_ROUTES:
                if self._routes_read == _MAX_ROUTES + 1:
                    self._wrong(path, f"there are more than {_MAX_ROUTES} routes; join those that differ in one value")
                return
            where = f"{path}[{number}]"
            if isinstance(entry, dict):
                yield self._route(entry, where, parent, depth + 1)
            else:
                self._wrong(where, "must be a mapping, e.g. {match: {kind: case.opened}, receiver: duty}")

    def _receiver_of(self, entry: dict[Any, Any], path: str, parent: Route) -> str | None:
        if "receiver" not in entry:
            return parent.receiver
        name = entry["receiver"]
        if name is None:
            return None
        if not isinstance(name, str) or name not in self._receivers:
            known = ", ".join(sorted(self._receivers)) or "none"
            self._wrong(f"{path}.receiver", f"{name!r} is none of the receivers: {known}; or null to tell nobody")
            return None
        return name

    def _match(self, given: object, path: str) -> Match:
        if not isinstance(given, dict) or not given:
            self._wrong(path, "must be a mapping of what the route takes, e.g. {kind: case.opened, grade: SERIOUS}")
            return Match()
        self._known(given, path, ("kind", "grade", "unit", "supervisor", "topic", "state", "drill"))
        drill = given.get("drill")
        if "drill" in given and not isinstance(drill, bool):
            self._wrong(f"{path}.drill", "must be true or false")

        def of(name: str, read: Callable[[str], Collection[str]]) -> frozenset[str] | None:
            return frozenset(read(name)) if name in given else None

        topics = of("topic", lambda name: self._prefixed(given, path, name, "topics/"))
        return Match(
            kinds=of("kind", lambda name: self._kinds(given, path, name)),
            grades=of("grade", lambda name: self._names(given, path, name, tuple(GRADES))),
            units=of("unit", lambda name: self._prefixed(given, path, name, "units/")),
            supervisors=of("supervisor", lambda name: self._prefixed(given, path, name, "units/")),
            states=of("state", lambda name: self._names(given, path, name, CASE_STATES)),
            topics=tuple(sorted(topics)) if topics is not None else None,
            drill=drill if isinstance(drill, bool) else None,
        )

    def _kinds(self, entry: dict[Any, Any], path: str, name: str) -> set[str]:
        found: set[str] = set()
        for pattern in self._texts(entry, path, name):
            matched = {kind for kind in KINDS if kind == pattern or _is_family(pattern, kind)}
            if not matched:
                self._wrong(
                    f"{path}.{name}", f"{pattern!r} is no kind of change; known are {', '.join(KINDS)}, or e.g. case.*"
                )
            found |= matched
        return found

    def _names(self, entry: dict[Any, Any], path: str, name: str, known: tuple[str, ...]) -> list[str]:
        found = self._texts(entry, path, name)
        for value in found:
            if value not in known:
                self._wrong(f"{path}.{name}", f"{value!r} is not known here; use {', '.join(known)}")
        return list(dict.fromkeys(value for value in found if value in known))

    def _prefixed(self, entry: dict[Any, Any], path: str, name: str, prefix: str) -> list[str]:
        found = self._texts(entry, path, name)
        for value in found:
            if not value.startswith(prefix) or len(value) == len(prefix):
                self._wrong(f"{path}.{name}", f"{value!r} is no resource name; write it as {prefix}{value or '…'}")
        return found

    def _texts(self, entry: dict[Any, Any], path: str, name: str) -> list[str]:
        """A text or a list of texts. group_by may be empty: all in one group."""
        given = entry[name]
        values = given if isinstance(given, list) else [given]
        if not all(isinstance(value, str) for value in values) or (not values and name != "group_by"):
            self._wrong(f"{path}.{name}", "must be a text or a list of texts")
            return []
        return values

    def _duration(self, entry: dict[Any, Any], path: str, name: str, inherited: int) -> int:
        if name not in entry:
            return inherited
        given = entry[name]
        if not isinstance(given, str) or not _DURATION.fullmatch(given):
            self._wrong(f"{path}.{name}", f"{given!r} is no duration; write e.g. 30s, 5m, 4h or 1h30m")
            return inherited
        return sum(int(count) * _UNITS[unit] for count, unit in _DURATION_PART.findall(given))

    def _known(self, entry: dict[Any, Any], path: str, known: tuple[str, ...]) -> None:
        for name in entry:
            if name not in known:
                where = f"{path}.{name}" if path else str(name)
                self._wrong(where, f"is no field here; known are {', '.join(known)}")

    def _wrong(self, path: str, sentence: str) -> None:
        self.problems.append(Problem(path, sentence))


def _is_family(pattern: str, kind: str) -> bool:
    return pattern.endswith(".*") and kind.startswith(pattern[:-1])


def _holds(topic: str, other: str) -> bool:
    """Whether a topic is the other or an ancestor of it."""
    return other == topic or other.startswith(topic + ".")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
