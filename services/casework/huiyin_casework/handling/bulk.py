"""One step with many cases: each by itself, so that what is refused takes nothing else with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from huiyin.casework.v1 import bulk_pb2, case_pb2
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal
from huiyin_chassis.store import Tx

from huiyin_casework.handling import Handling
from huiyin_casework.rules import Rules

Take = Callable[[Handling], case_pb2.Case]


@dataclass(frozen=True)
class Seen:
    """A case as who asks saw it: its name, and its etag, "" for any."""

    name: str
    etag: str


class _Tried(Exception):
    """A trial went well; what it did is undone."""


def take_each(
    tx: Tx, rules: Rules, principal: Principal, seen: Sequence[Seen], take: Take, *, trial: bool
) -> list[bulk_pb2.BatchOutcome]:
    """Takes a step with each case, or tries it and undoes it; what became of each, in the order of `seen`."""
    # In the order of their names whoever asks, so that two who take the same cases do not wait for one another.
    found = {each.name: _one(tx, rules, principal, each, take, trial) for each in sorted(seen, key=lambda it: it.name)}
    return [found[each.name] for each in seen]


def _one(tx: Tx, rules: Rules, principal: Principal, seen: Seen, take: Take, trial: bool) -> bulk_pb2.BatchOutcome:
    outcome = bulk_pb2.BatchOutcome(name=seen.name)
    try:
        with tx.savepoint():
            handling = Handling(tx, rules, principal, seen.name, seen.etag)
            before = handling.seen()
            if trial:
                outcome.title = before.title
            after = take(handling)
            outcome.state, outcome.etag = after.state, before.etag if trial else after.etag
            if trial:
                raise _Tried
    except _Tried:
        pass
    except DomainError as error:
        outcome.error_reason, outcome.error_message = error.reason, str(error)
    return outcome
