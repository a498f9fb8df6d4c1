"""What the analyzer has in memory: a function of the posts and the regroupings that are stored, in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import structlog
from sqlalchemy import Connection, Row

from huiyin_analyzer import store
from huiyin_analyzer.model import terms
from huiyin_analyzer.model.events import Event
from huiyin_analyzer.model.joining import Joiner, Placed
from huiyin_analyzer.model.regrouping import Bounds, Kind, Move, Regrouping, Standing
from huiyin_analyzer.model.terms import NO_TERMS, Terms, terms_of
from huiyin_analyzer.regrouping import count, counted
from huiyin_analyzer.store import regroupings, topic_corrections

log = structlog.get_logger(__name__)


class State:
    """Joiners, figures of events, and how far the store has been taken into account."""

    def __init__(self) -> None:
        self.joiners: dict[bool, Joiner] = {False: Joiner(), True: Joiner()}
        self.events: dict[str, Event] = {}
        self.numbered = 0
        """Posts that were joined."""
        self.bounds = Bounds()
        self.kept_holds: dict[str, int] = {}
        """Holds of events before a rebuild, for those that open again."""
        # The newest regrouping that was followed, and how many proposals had been declined.
        self._known = (0, 0)
        # The newest note of topics that were changed in the store, and followed.
        self._recounted = 0

    @classmethod
    def load(cls, connection: Connection) -> State:
        """Goes through all posts and, at their places between them, the regroupings."""
        state = cls()
        moves = [each for each in regroupings.log(connection) if each.standing == Standing.DONE and each.applied]
        members = _Members(moves)
        waiting = deque(moves)
        for row in store.joined_posts(connection):
            while waiting and waiting[0].after < row.number:
                state._regroup(waiting.popleft(), members)
            found = kept_terms(row)
            joined = row.joined_event_id or row.event_id
            state.joiners[row.drill].add(found, joined, row.place, row.publish_time)
            members.add(joined, row, found)
            state.events.setdefault(row.event_id, Event(row.event_id)).count(counted(row))
            state.numbered = row.number
        for move in waiting:
            state._regroup(move, members)
        state.bounds, state._known = Bounds(regroupings.log(connection)), regroupings.newest(connection)
        state.kept_holds = store.kept_holds(connection)
        state._recounted = topic_corrections.newest_recount(connection)
        log.info("analysis.loaded", posts=state.numbered, events=len(state.events), regroupings=len(moves))
        return state

    def catch_up(self, connection: Connection) -> None:
        """Follows what people decided since, in this process or another."""
        known, newest = self._known, regroupings.newest(connection)
        if newest != known:
            moves = regroupings.log(connection, after=known[0])
            self.follow(connection, [each for each in moves if each.standing == Standing.DONE and each.applied])
            if newest[1] != known[1]:
                self.bounds = Bounds(regroupings.log(connection))
            self._known = newest
        self._recount(connection)

    def _recount(self, connection: Connection) -> None:
        """Takes over what posts were given as topics: by people, and by who reads stored posts by a new model."""
        newest = topic_corrections.newest_recount(connection)
        if newest == self._recounted:
            return
        noted = topic_corrections.recounts(connection, self._recounted)
        # Where not all notes are kept any more, every event may be one.
        counts = topic_corrections.counts(connection, self.events if noted is None else noted)
        for event_id, counted_anew in counts.items():
            event = self.events.get(event_id)
            if event is not None:
                event.topics, event.decided = counted_anew.topics, counted_anew.decided
        self._recounted = newest

    def follow(
        self, connection: Connection, moves: Sequence[Regrouping], events: Mapping[str, Event] | None = None
    ) -> None:
        """Takes over regroupings that were carried out in the store, and are the newest there.

        `events`: those concerned as they count now, where that is known; an event without posts is not among them.
        """
        members = _Members(moves)
        for event_id in members.wanted:
            for row in regroupings.posts_of(connection, event_id):
                members.add(event_id, row, kept_terms(row))
        # The store has what they came to together; each is followed from what it found.
        for regrouping in reversed(moves):
            members.undo(regrouping.move)
        for regrouping in moves:
            self._regroup(regrouping, members)
            self.bounds.note(regrouping)
            self._known = max(regrouping.number, self._known[0]), self._known[1]
        concerned = {each for regrouping in moves for each in (regrouping.move.event, regrouping.move.target)}
        if events is None:
            found = [regroupings.posts_of(connection, event_id) for event_id in concerned]
            events = {rows[0].event_id: count(rows) for rows in found if rows}
        for event_id in concerned:
            self.events.pop(event_id, None)
        self.events.update(events)

    def _regroup(self, regrouping: Regrouping, members: _Members) -> None:
        move, joiner = regrouping.move, self.joiners[regrouping.drill]
        members.move(move)
        if move.kind == Kind.MERGE:
            joiner.merge(move.event, move.target)
        else:
            joiner.replace(move.event, members.placed(move.event))
            joiner.replace(move.target, members.placed(move.target))


class _Members:
    """The posts of those events from which or to which single posts move; of others they are not needed."""

    def __init__(self, moves: Sequence[Regrouping]) -> None:
        self.wanted: set[str] = set()
        pairs = [{each.move.event, each.move.target} for each in moves]
        new = [pair for each, pair in zip(moves, pairs, strict=True) if each.move.kind != Kind.MERGE]
        while new:
            self.wanted |= set().union(*new)
            new = [pair for pair in pairs if pair & self.wanted and not pair <= self.wanted]
        self._members: dict[str, dict[str, tuple[int, Placed]]] = {event_id: {} for event_id in self.wanted}

    def add(self, event_id: str, row: Row[Any], found: Terms) -> None:
        if event_id in self.wanted:
            self._members[event_id][row.id] = (row.number, (found, row.place, row.publish_time))

    def move(self, move: Move) -> None:
        self._pass(move.posts, move.event, move.target)

    def undo(self, move: Move) -> None:
        self._pass(move.posts, move.target, move.event)

    def placed(self, event_id: str) -> list[Placed]:
        """In the order of joining."""
        members = sorted(self._members[event_id].values(), key=itemgetter(0))
        return [placed for _, placed in members]

    def _pass(self, posts: Iterable[str], source_id: str, target_id: str) -> None:
        source, target = self._members.get(source_id), self._members.get(target_id)
        if source is not None:
            for post_id in posts:
                member = source.pop(post_id, None)
                if target is not None and member is not None:
                    target[post_id] = member


def kept_terms(row: Any) -> Terms:
    """The terms by which a stored post was joined; none where its text is kept no longer."""
    if row.terms:
        return terms.load(row.terms)
    return terms_of(row.subject, row.text) if row.subject or row.text else NO_TERMS
