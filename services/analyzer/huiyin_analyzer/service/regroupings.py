"""Regroupings: people merge, split and move, and decide on what the analyzer proposes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from huiyin.analyzer.v1 import event_pb2, regrouping_pb2
from huiyin_chassis.bulk import chunks
from huiyin_chassis.errors import FailedPrecondition, FieldViolation, InvalidArgument, NotFound
from huiyin_chassis.filters import (
    Compare,
    boolean_field,
    compile_filter,
    enum_field,
    name_field,
    text_field,
    time_field,
)
from huiyin_chassis.identity import current_principal
from huiyin_chassis.ids import uuid7
from huiyin_chassis.masking import mask_text
from huiyin_chassis.paging import page
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx
from sqlalchemy import ColumnElement, Connection, Row, select

from huiyin_analyzer import resources, store
from huiyin_analyzer.grades import compiled
from huiyin_analyzer.model.regrouping import Kind, Move, Standing
from huiyin_analyzer.regrouping import Rules, carry_out, tell_of
from huiyin_analyzer.service.events import EventMethods, as_of_now, reason_of, scope_of, within_reach
from huiyin_analyzer.store import EVENTS, REGROUPINGS, assessments, regroupings

Reach = ColumnElement[bool]
_Moves = Callable[[Tx, Reach], Sequence[Move]]
_FIELDS: dict[str, Compare] = {
    "state": enum_field(REGROUPINGS.c.state, regrouping_pb2.Regrouping.State, "STATE_"),
    "kind": enum_field(REGROUPINGS.c.kind, regrouping_pb2.Regrouping.Kind, "KIND_"),
    "event": name_field(REGROUPINGS.c.event_id, "events"),
    "target_event": name_field(REGROUPINGS.c.target_id, "events"),
    "author": text_field(REGROUPINGS.c.author),
    "create_time": time_field(REGROUPINGS.c.create_time),
    "drill": boolean_field(REGROUPINGS.c.drill),
}


class RegroupingMethods(EventMethods):
    """What the service does with regroupings."""

    _policies: Policies

    async def MergeEvents(self, request: regrouping_pb2.MergeEventsRequest, context: Any) -> event_pb2.Event:
        """Merges events into one."""
        target_id = _event_id(request.name)
        ids = list(dict.fromkeys(map(_event_id, request.events)))

        def moves(tx: Tx, reach: Reach) -> Sequence[Move]:
            target = _there(tx, reach, request.name, "name")
            for index, event_id in enumerate(ids):
                field = f"events[{index}]"
                if event_id == target_id:
                    raise InvalidArgument(field, "is the event to be merged into; leave it out", "SAME_EVENT")
                _same_kind(_there(tx, reach, f"events/{event_id}", field), target, field)
            return [Move(Kind.MERGE, event_id, target_id) for event_id in ids]

        return await self._regroup("MergeEvents", request, moves)

    async def SplitEvent(self, request: regrouping_pb2.SplitEventRequest, context: Any) -> event_pb2.Event:
        """Makes an event of some posts of an event."""
        event_id, target_id = _event_id(request.name), uuid7()
        ids = _post_ids(request.posts)

        def moves(tx: Tx, reach: Reach) -> Sequence[Move]:
            _there(tx, reach, request.name, "name")
            of_event = set(store.post_ids_of(tx.connection, [event_id]))
            wrong = [
                FieldViolation(f"posts[{index}]", f"is not of {request.name}; give posts of it", "NOT_OF_EVENT")
                for index, post_id in enumerate(ids)
                if post_id not in of_event
            ]
            if wrong:
                raise InvalidArgument.of(wrong[:100])
            if len(ids) == len(of_event):
                text = "are all that the event has; leave at least one with it"
                raise InvalidArgument("posts", text, "NOTHING_LEFT")
            return [Move(Kind.SPLIT, event_id, target_id, tuple(ids))]

        return await self._regroup("SplitEvent", request, moves)

    async def MovePosts(self, request: regrouping_pb2.MovePostsRequest, context: Any) -> event_pb2.Event:
        """Moves posts to an event."""
        target_id, ids = _event_id(request.name), _post_ids(request.posts)

        def moves(tx: Tx, reach: Reach) -> Sequence[Move]:
            target = _there(tx, reach, request.name, "name")
            known = store.known_posts(tx.connection, ids)
            reached = _reached(tx, reach, [post.event_id for post in known.values()])
            by_event: dict[str, list[str]] = {}
            for index, post_id in enumerate(ids):
                field = f"posts[{index}]"
                event = reached.get(known[post_id].event_id) if post_id in known else None
                if event is None:
                    raise InvalidArgument(field, "is not a post that is known here; look up its name", "POST_UNKNOWN")
                if event.id == target_id:
                    raise InvalidArgument(field, f"is of {request.name} already; leave it out", "SAME_EVENT")
                _same_kind(event, target, field)
                by_event.setdefault(event.id, []).append(post_id)
            return [_move(tx, event_id, target_id, moved) for event_id, moved in by_event.items()]

        return await self._regroup("MovePosts", request, moves)

    async def ListRegroupings(
        self, request: regrouping_pb2.ListRegroupingsRequest, context: Any
    ) -> regrouping_pb2.ListRegroupingsResponse:
        """Regroupings whose events are within the caller's reach, the newest first."""
        principal = current_principal()
        query = select(REGROUPINGS).where(compile_filter(request.filter, _FIELDS))
        if not principal.everywhere:
            reached = select(EVENTS.c.id).where(within_reach(principal))
            query = query.where(REGROUPINGS.c.event_id.in_(reached), REGROUPINGS.c.target_id.in_(reached))

        def read(connection: Connection) -> regrouping_pb2.ListRegroupingsResponse:
            found = page(
                connection,
                query,
                [(REGROUPINGS.c.number, True)],
                page_size=request.page_size,
                page_token=request.page_token,
                binding=("regroupings", request.filter, scope_of(principal)),
            )
            return regrouping_pb2.ListRegroupingsResponse(
                regroupings=map(resources.regrouping, found.rows), next_page_token=found.next_page_token
            )

        return await self._store.read(read)

    async def AcceptRegrouping(self, request: regrouping_pb2.AcceptRegroupingRequest, context: Any) -> event_pb2.Event:
        """Carries a proposal out as the caller's own decision."""
        subject = current_principal().subject

        def moves(tx: Tx, reach: Reach) -> Sequence[Move]:
            row = _proposal(tx, reach, request.name)
            move = regroupings.regrouping_of(row).move
            there = store.events_by_id(tx.connection, [move.event, move.target])
            known = store.known_posts(tx.connection, move.posts)
            outdated = any(event.merged_into for event in there.values()) or any(
                post.event_id != move.event for post in known.values()
            )
            if outdated:
                text = f"the events of {request.name} were regrouped since it was proposed; dismiss it"
                raise FailedPrecondition("PROPOSAL_OUTDATED", text)
            regroupings.resolve(tx, row.number, Standing.ACCEPTED, author=subject, reason=mask_text(request.reason))
            tell_of(tx, row.number, "regrouping.resolved")
            return [move]

        return await self._regroup("AcceptRegrouping", request, moves)

    async def DismissRegrouping(
        self, request: regrouping_pb2.DismissRegroupingRequest, context: Any
    ) -> regrouping_pb2.Regrouping:
        """Declines a proposal."""
        reason = reason_of(request.reason)
        subject, reach = current_principal().subject, within_reach(current_principal())

        def write(tx: Tx) -> regrouping_pb2.Regrouping:
            regroupings.wait_for_turn(tx)
            row = _proposal(tx, reach, request.name)
            regroupings.resolve(tx, row.number, Standing.DISMISSED, author=subject, reason=reason)
            return tell_of(tx, row.number, "regrouping.resolved")

        return await self._store.write_once(
            request.request_id, "DismissRegrouping", request, write, regrouping_pb2.Regrouping, subject=subject
        )

    async def _regroup(
        self,
        method: str,
        request: regrouping_pb2.MergeEventsRequest
        | regrouping_pb2.SplitEventRequest
        | regrouping_pb2.MovePostsRequest
        | regrouping_pb2.AcceptRegroupingRequest,
        moves: _Moves,
    ) -> event_pb2.Event:
        """Carries out moves that have one target, and returns that."""
        subject, reach = current_principal().subject, within_reach(current_principal())
        accepting = isinstance(request, regrouping_pb2.AcceptRegroupingRequest)
        reason = mask_text(request.reason.strip()) if accepting else reason_of(request.reason)

        def write(tx: Tx) -> event_pb2.Event:
            regroupings.wait_for_turn(tx)
            policy = self._policies.active(tx.connection, "grading")
            found = moves(tx, reach)
            decisions = assessments.decisions(tx.connection, [found[0].target, *(move.event for move in found)])
            rules = Rules(compiled(policy.body), policy.version, decisions)
            drill = store.events_by_id(tx.connection, [found[0].event])[found[0].event].drill
            for move in found:
                done = carry_out(tx, move, rules).move
                regroupings.note(tx, done, Standing.DONE, author=subject, reason=reason, drill=drill)
            target = found[0].target
            return as_of_now(store.events_by_id(tx.connection, [target])[target])

        return await self._store.write_once(
            request.request_id, method, request, write, event_pb2.Event, subject=subject
        )


def _move(tx: Tx, event_id: str, target_id: str, ids: Sequence[str]) -> Move:
    """A move of posts; of all that an event has, a merge."""
    if len(ids) == len(store.post_ids_of(tx.connection, [event_id])):
        return Move(Kind.MERGE, event_id, target_id)
    return Move(Kind.MOVE, event_id, target_id, tuple(ids))


def _reached(tx: Tx, reach: Reach, event_ids: Sequence[str]) -> dict[str, Row[Any]]:
    """Those of some events that are within the caller's reach."""
    return {
        row.id: row
        for chunk in chunks(event_ids)
        for row in tx.execute(select(EVENTS).where(EVENTS.c.id.in_(chunk), reach))
    }


def _there(tx: Tx, reach: Reach, name: str, field: str) -> Row[Any]:
    """An event within the caller's reach that was not merged away."""
    row = _reached(tx, reach, [_event_id(name)]).get(_event_id(name))
    if row is None:
        raise NotFound(name)
    if row.merged_into:
        into = f"events/{row.merged_into}"
        raise FailedPrecondition("EVENT_MERGED", f"{field}: {name} was merged into {into}; give that", event=into)
    return row


def _same_kind(event: Row[Any], target: Row[Any], field: str) -> None:
    if event.drill != target.drill:
        raise InvalidArgument(field, "is of a rehearsal and the other is not; they never join", "DRILL_MIXED")


def _proposal(tx: Tx, reach: Reach, name: str) -> Row[Any]:
    """A proposal that waits, of events within the caller's reach."""
    number = name.removeprefix("regroupings/")
    row = regroupings.by_number(tx.connection, int(number)) if number.isdecimal() and len(number) < 19 else None
    if row is None:
        raise NotFound(name)
    there = store.events_by_id(tx.connection, [row.event_id, row.target_id])
    if len(_reached(tx, reach, list(there))) != len(there):
        raise NotFound(name)
    if row.state != Standing.PROPOSED:
        raise FailedPrecondition("PROPOSAL_RESOLVED", f"{name} was decided on before; nothing is left to decide")
    return row


def _event_id(name: str) -> str:
    return name.removeprefix("events/")


def _post_ids(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(name.removeprefix("posts/") for name in names))
