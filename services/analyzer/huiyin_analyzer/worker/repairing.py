"""Repairs: events that turn out to be one are merged, and one that turns out to be several is split, as it grows.

What is found amiss follows from the posts and regroupings so far, and so does what is done about it. An event that a
unit works on is left as it is, and what would be done is proposed to people.
"""

from __future__ import annotations

import structlog
from huiyin.analyzer.v1 import event_pb2
from huiyin_chassis.ids import derived_id
from huiyin_chassis.store import Tx

from huiyin_analyzer import store
from huiyin_analyzer.model.regrouping import SYSTEM, Kind, Move, Regrouping, Standing
from huiyin_analyzer.model.repair import is_due_for_splitting, split
from huiyin_analyzer.regrouping import Moved, Rules, carry_out, tell_of
from huiyin_analyzer.store import regroupings
from huiyin_analyzer.worker.state import State, kept_terms

log = structlog.get_logger(__name__)


class Repairs:
    """Repairs within one transaction."""

    def __init__(self, tx: Tx, state: State, rules: Rules) -> None:
        self._tx = tx
        self._state = state
        self._rules = rules

    def wanted(self, event_id: str, drill: bool) -> bool:
        """Whether an event that is to be reviewed may be amiss, as far as memory tells."""
        return bool(self._merges(event_id, drill)) or self._may_be_several(event_id, drill)

    def repair(self, event_id: str, drill: bool) -> None:
        """Merges and splits an event that is amiss, or proposes it."""
        for other in self._merges(event_id, drill):
            # The one that was there first, in the order of joining, keeps its name.
            first, second = self._in_order(event_id, other)
            if not self._do_or_propose(Move(Kind.MERGE, second, first), drill):
                return
            event_id = first
        if self._may_be_several(event_id, drill):
            rows = regroupings.posts_of(self._tx.connection, event_id)
            placed = [(row.id, kept_terms(row), row.place, row.publish_time) for row in rows]
            groups = split(placed, self._state.joiners[drill].weigh)
            # The largest keeps the name.
            for group in sorted(groups, key=len, reverse=True)[1:]:
                number = regroupings.newest(self._tx.connection)[0] + 1
                target = derived_id("split", f"{group[0]}/{number}")
                self._do_or_propose(Move(Kind.SPLIT, event_id, target, tuple(group)), drill)

    def apply_again(self, regrouping: Regrouping) -> None:
        """Carries out anew what was regrouped before a rebuild."""
        move = regrouping.move
        there = store.events_by_id(self._tx.connection, [move.event, move.target])
        regroupings.note_applied(self._tx, regrouping.number)
        if move.event in there and (move.kind == Kind.SPLIT) == (move.target not in there):
            self._follow(regrouping, carry_out(self._tx, move, self._rules))
        else:
            log.warning("regrouping.passed_over", regrouping=regrouping.number)

    def _merges(self, event_id: str, drill: bool) -> list[str]:
        found = self._state.joiners[drill].neighbours(event_id)
        return [other for other in found if self._state.bounds.may_merge(event_id, other)]

    def _may_be_several(self, event_id: str, drill: bool) -> bool:
        size = self._state.joiners[drill].size(event_id)
        return is_due_for_splitting(size) and self._state.bounds.may_split(event_id)

    def _in_order(self, one: str, other: str) -> tuple[str, str]:
        first_of = regroupings.first_numbers(self._tx.connection, (one, other))
        return (one, other) if first_of[one] < first_of[other] else (other, one)

    def _do_or_propose(self, move: Move, drill: bool) -> bool:
        """Whether it was done."""
        tx, after = self._tx, self._state.numbered
        rows = store.events_by_id(tx.connection, [move.event, move.target])
        if event_pb2.EVENT_HOLD_ASSIGNED in [row.hold for row in rows.values()]:
            if not regroupings.is_proposed(tx.connection, move):
                noted = regroupings.note(
                    tx, move, Standing.PROPOSED, author=SYSTEM, reason="", drill=drill, after=after
                )
                tell_of(tx, noted.number, "regrouping.proposed")
            return False
        done = carry_out(tx, move, self._rules, rows)
        noted = regroupings.note(tx, done.move, Standing.DONE, author=SYSTEM, reason="", drill=drill, after=after)
        self._follow(noted, done)
        log.info("event.repaired", kind=move.kind.name, source=move.event, target=move.target)
        return True

    def _follow(self, regrouping: Regrouping, moved: Moved) -> None:
        self._state.follow(self._tx.connection, [regrouping], moved.events)
