"""Merging, splitting and moving, by people and by repair: what becomes of posts, names, holds, and of a replay."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from huiyin.analyzer.v1 import event_pb2, regrouping_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_analyzer.rebuilding import forget
from huiyin_analyzer.store import EVENTS, POSTS
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import DomainError, FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.tables import OUTBOX
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.integration.analyzer.running import DESK, HOUR, NAMES, Running, change, posts, run

WHY = "同一事项"
ASSIGNED = event_pb2.EVENT_HOLD_ASSIGNED
PROPOSED = regrouping_pb2.Regrouping.STATE_PROPOSED


class Desk:
    """What a person at the desk does with events."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.service = running.service

    async def named(self, part: str) -> str:
        """The event whose title holds this."""
        return next(event.name for event in await self.running.events() if part in event.title)

    async def event(self, name: str) -> event_pb2.Event:
        return await self.service.GetEvent(event_pb2.GetEventRequest(name=name), None)

    async def members(self, name: str) -> list[event_pb2.Membership]:
        request = event_pb2.ListMembershipsRequest(parent=name, page_size=1000)
        return list((await self.service.ListMemberships(request, None)).memberships)

    async def merge(self, name: str, *events: str, **more: Any) -> event_pb2.Event:
        request = regrouping_pb2.MergeEventsRequest(name=name, events=events, **{"reason": WHY, **more})
        return await self.service.MergeEvents(request, None)

    async def split(self, name: str, *posts: str, **more: Any) -> event_pb2.Event:
        request = regrouping_pb2.SplitEventRequest(name=name, posts=posts, **{"reason": WHY, **more})
        return await self.service.SplitEvent(request, None)

    async def move(self, name: str, *posts: str, **more: Any) -> event_pb2.Event:
        request = regrouping_pb2.MovePostsRequest(name=name, posts=posts, **{"reason": WHY, **more})
        return await self.service.MovePosts(request, None)

    async def regroupings(self, filter_: str = "") -> list[regrouping_pb2.Regrouping]:
        request = regrouping_pb2.ListRegroupingsRequest(filter=filter_)
        return list((await self.service.ListRegroupings(request, None)).regroupings)

    async def hold(self, name: str, hold: event_pb2.EventHold.ValueType) -> None:
        request = event_pb2.SetEventHoldRequest(events=[name], hold=hold, request_id=str(uuid.uuid4()))
        await self.service.SetEventHold(request, None)


def test_a_merged_event_goes_on_as_a_name_that_tells_where_its_posts_are(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(9))
        desk = Desk(running)
        noise, wages, water = [await desk.named(name[4:8]) for name in NAMES]
        before = len(await running.changes())
        merged = await desk.merge(noise, wages, reason="同一工地，电话13812345678")
        assert (merged.post_count, merged.inquiry_count) == (6, 3)
        assert {event.name for event in await running.events()} == {noise, water}
        gone = await desk.event(wages)
        assert (gone.merged_into, gone.post_count) == (noise, 0)
        assert [row.post for row in await desk.members(noise)] == [f"posts/p{n:04}" for n in (0, 1, 3, 4, 6, 7)]
        assert {row.previous_event for row in await desk.members(noise)} == {"", wages}
        told = [(found.kind, found.name) for found in (await running.changes())[before:]]
        moved = [("membership.moved", f"memberships/p{n:04}") for n in (1, 4, 7)]
        assert told == [("event.merged", wages), *moved, ("event.updated", noise)]
        # A name that led to an event which is merged in its turn leads on.
        await desk.merge(water, noise)
        assert {(await desk.event(name)).merged_into for name in (noise, wages)} == {water}
        newest, oldest = await desk.regroupings()
        assert (newest.event, newest.target_event) == (noise, water)
        assert oldest.author == "accounts/desk" and "138" not in oldest.reason and oldest.reason.startswith("同一工地")

    run(database_url, body)


def test_what_comes_later_follows_what_people_decided(database_url: str) -> None:
    async def body(running: Running) -> None:
        changes = posts(24)
        await running.apply(changes[:9])
        desk = Desk(running)
        noise, wages, water = [await desk.named(name[4:8]) for name in NAMES]
        await desk.merge(noise, wages)
        await running.apply(changes[9:12])
        assert (await desk.event(noise)).post_count == 8
        running.analysis.forget()  # what a restart does to memory
        await running.apply(changes[12:15])
        assert {event.name: event.post_count for event in await running.events()} == {noise: 10, water: 5}
        parts = [row.post for row in await desk.members(noise) if NAMES[1] in row.subject]
        own = await desk.split(noise, *parts)
        assert (own.split_from, own.post_count, own.title) == (noise, 5, NAMES[1])
        await running.apply(changes[15:18])
        running.analysis.forget()
        await running.apply(changes[18:24])
        assert {event.name: event.post_count for event in await running.events()} == {noise: 8, water: 8, own.name: 8}

    run(database_url, body)


def test_a_split_is_told_before_the_posts_that_it_moves(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        desk = Desk(running)
        noise = await desk.named("碧水湾")
        before = len(await running.changes())
        own = await desk.split(noise, "posts/p0003")
        changes = (await running.changes())[before:]
        told = [(found.kind, found.name) for found in changes]
        assert told == [("event.opened", own.name), ("membership.moved", "memberships/p0003"), ("event.split", noise)]
        opened = event_pb2.Event.FromString(changes[0].resource.value)
        moved = event_pb2.Membership.FromString(changes[1].resource.value)
        assert opened.split_from == noise and opened.title == NAMES[0]
        assert (moved.event, moved.previous_event, moved.revision) == (own.name, noise, 2)

    run(database_url, body)


def test_an_event_that_loses_its_last_post_by_a_move_is_merged(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        desk = Desk(running)
        noise, wages, water = [await desk.named(name[4:8]) for name in NAMES]
        target = await desk.move(noise, "posts/p0001", "posts/p0004", "posts/p0002")
        assert target.post_count == 5
        assert (await desk.event(wages)).merged_into == noise
        assert (await desk.event(water)).post_count == 1
        kinds = [found.kind for found in await desk.regroupings()]
        assert kinds == [regrouping_pb2.Regrouping.KIND_MOVE, regrouping_pb2.Regrouping.KIND_MERGE]

    run(database_url, body)


def test_what_cannot_be_regrouped_is_refused_with_the_field_and_the_remedy(database_url: str) -> None:
    async def refused(call: Any) -> tuple[str, str]:
        with pytest.raises(DomainError) as caught:
            await call
        error = caught.value
        return (error.violations[0].field, error.violations[0].reason) if error.violations else ("", error.reason)

    async def body(running: Running) -> None:
        await running.apply([*posts(6), *posts(3, drill=True)])
        desk = Desk(running)
        rehearsed = (await running.events(filter="drill = true"))[0].name
        real = await running.events(filter="drill = false")
        noise, wages, _ = sorted((event.name for event in real), key=lambda name: name)
        first = (await desk.members(noise))[0].post
        assert await refused(desk.merge(noise, noise)) == ("events[0]", "SAME_EVENT")
        assert await refused(desk.merge(noise, rehearsed)) == ("events[0]", "DRILL_MIXED")
        assert await refused(desk.merge(noise, wages, reason=" ")) == ("reason", "REQUIRED")
        assert await refused(desk.split(wages, first)) == ("posts[0]", "NOT_OF_EVENT")
        everything = [row.post for row in await desk.members(noise)]
        assert await refused(desk.split(noise, *everything)) == ("posts", "NOTHING_LEFT")
        assert await refused(desk.move(noise, first)) == ("posts[0]", "SAME_EVENT")
        assert await refused(desk.move(noise, "posts/none")) == ("posts[0]", "POST_UNKNOWN")
        with pytest.raises(NotFound):
            await desk.merge(noise, "events/none")
        await desk.merge(noise, wages)
        with pytest.raises(FailedPrecondition) as caught:
            await desk.merge(wages, noise)
        assert caught.value.reason == "EVENT_MERGED" and caught.value.metadata == {"event": noise}
        assert len(await desk.regroupings()) == 1

    run(database_url, body)


def test_nobody_regroups_what_is_out_of_reach(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        desk = Desk(running)
        noise, wages = await desk.named("碧水湾"), await desk.named("金桂")
        theirs = [row.post for row in await desk.members(wages)]
        await desk.merge(noise, await desk.named("望江"))
        set_current_principal(Principal("accounts/a3", places=("places/A市.A3区",)))
        with pytest.raises(NotFound):
            await desk.merge(noise, wages)
        with pytest.raises(InvalidArgument):
            await desk.move(noise, theirs[0])
        assert await desk.regroupings() == []  # its other event is of another place
        set_current_principal(DESK)
        assert len(await desk.regroupings()) == 1

    run(database_url, body)


def test_posts_are_held_with_the_event_that_they_come_to(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        desk = Desk(running)
        noise, wages, water = [await desk.named(name[4:8]) for name in NAMES]
        await desk.hold(noise, ASSIGNED)
        await desk.move(wages, "posts/p0000")
        await desk.merge(water, noise)
        assert (await desk.event(water)).hold == ASSIGNED
        assert (await desk.event(noise)).hold == event_pb2.EVENT_HOLD_UNSPECIFIED
        sent = [post_pb2.SetPostHoldRequest.FromString(row) for row in await running.store.read(_outbox)]
        held: dict[str, bool] = {}
        for request in sent:
            held |= dict.fromkeys(request.posts, request.held)
        assert held == {"posts/p0000": False, **dict.fromkeys(["posts/p0002", "posts/p0003", "posts/p0005"], True)}

    run(database_url, body)


def _outbox(connection: Any) -> Sequence[bytes]:
    found: Sequence[bytes] = connection.scalars(select(OUTBOX.c.payload).order_by(OUTBOX.c.id)).all()
    return found


def growing_together() -> list[feed_pb2.Change]:
    """Two matters told in words of their own, and then in the words of both, by turns."""
    own = ("锅炉房烟囱冒黑烟", "小吃摊占道经营")
    alone = [_post(number, own[number], f"南塘街道{own[number]}，请处理") for number in range(2)]
    both = f"南塘街道{own[0]}，第三中学门口{own[1]}，晾晒衣物沾满煤灰，放学时段拥堵难行"
    return alone + [_post(number, own[number % 2], both) for number in range(2, 16)]


async def until_repaired(running: Running, desk: Desk, *, hold: bool) -> list[regrouping_pb2.Regrouping]:
    """Applies those posts; what is held is held from when both events are there."""
    changes = growing_together()
    await running.apply(changes[:2])
    events = [event.name for event in await running.events()]
    assert len(events) == 2
    if hold:
        await desk.hold(events[0], ASSIGNED)
    await running.apply(changes[2:])
    return await desk.regroupings()


def test_events_that_turn_out_to_be_one_are_merged_as_they_grow(database_url: str) -> None:
    async def body(running: Running) -> None:
        desk = Desk(running)
        (done,) = await until_repaired(running, desk, hold=False)
        assert (done.state, done.author) == (regrouping_pb2.Regrouping.STATE_DONE, "system")
        (left,) = await running.events()
        assert left.name == done.target_event and left.post_count == 16
        # The one that was there first keeps its name.
        assert (await desk.members(left.name))[0].post == "posts/p0000"
        assert (await desk.event(done.event)).merged_into == left.name

    run(database_url, body)


def test_a_repair_of_an_assigned_event_is_proposed_and_decided_on_once(database_url: str) -> None:
    async def body(running: Running) -> None:
        desk = Desk(running)
        (proposal,) = await until_repaired(running, desk, hold=True)
        assert (proposal.state, proposal.author) == (PROPOSED, "system")
        assert len(await running.events()) == 2
        assert ("regrouping.proposed", proposal.name) in await running.told()
        accept = regrouping_pb2.AcceptRegroupingRequest(name=proposal.name)
        target = await running.service.AcceptRegrouping(accept, None)
        assert (target.name, target.post_count) == (proposal.target_event, 16)
        assert [(found.author, found.state) for found in await desk.regroupings()] == [
            ("accounts/desk", regrouping_pb2.Regrouping.STATE_DONE),
            ("accounts/desk", regrouping_pb2.Regrouping.STATE_ACCEPTED),
        ]
        with pytest.raises(FailedPrecondition) as caught:
            await running.service.AcceptRegrouping(accept, None)
        assert caught.value.reason == "PROPOSAL_RESOLVED"

    run(database_url, body)


def test_what_a_person_declined_is_neither_proposed_nor_done_again(database_url: str) -> None:
    async def body(running: Running) -> None:
        desk = Desk(running)
        (proposal,) = await until_repaired(running, desk, hold=True)
        dismiss = regrouping_pb2.DismissRegroupingRequest(name=proposal.name, reason="两件事")
        assert (await running.service.DismissRegrouping(dismiss, None)).reason == "两件事"
        for event in await running.events():
            await desk.hold(event.name, event_pb2.EVENT_HOLD_UNSPECIFIED)
        more = growing_together()[2:]
        await running.apply([_again(found, number) for number, found in enumerate(more, 16)])
        running.analysis.forget()
        await running.apply([_again(found, number) for number, found in enumerate(more, 30)])
        assert len(await running.events()) == 2 and await desk.regroupings("state = STATE_PROPOSED") == []

    run(database_url, body)


def test_people_keep_apart_what_a_repair_would_merge(database_url: str) -> None:
    async def body(running: Running) -> None:
        desk = Desk(running)
        (done,) = await until_repaired(running, desk, hold=False)
        parts = [row.post for row in await desk.members(done.target_event) if row.previous_event]
        await desk.split(done.target_event, *parts)
        more = growing_together()[2:]
        await running.apply([_again(found, number) for number, found in enumerate(more, 16)])
        assert len(await running.events()) == 2
        assert len(await desk.regroupings('author = "system"')) == 1

    run(database_url, body)


def _again(found: feed_pb2.Change, number: int) -> feed_pb2.Change:
    """The same words once more, as another post."""
    post = post_pb2.Post.FromString(found.resource.value)
    return _post(number, post.subject, post.text)


def _post(number: int, subject: str, text: str, *, time: int | None = None) -> feed_pb2.Change:
    published: Timestamp = micros_to_timestamp(HOUR * (number if time is None else time))
    post = post_pb2.Post(
        name=f"posts/p{number:04}",
        source="sources/board",
        external_id=str(number),
        subject=subject,
        text=text,
        publish_time=published,
        expects_answer=True,
        revision=1,
    )
    return change(number + 1, "post.created", post)


def test_an_echo_of_a_closed_event_opens_one_that_names_it(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(3))
        year = 365 * 24
        late = _post(7, NAMES[0], f"{NAMES[0]}，又开始了，有人受伤", time=year)
        early = _post(8, NAMES[0], f"{NAMES[0]}，第8次反映，有人受伤", time=2)
        await running.apply([late, early])
        desk = Desk(running)
        echo, first = [
            event for event in await running.events(order_by="last_publish_time desc") if event.title == NAMES[0]
        ]
        assert echo.echo_of == first.name and first.echo_of == ""
        # What arrives late joins the event of its time.
        assert [row.post for row in await desk.members(first.name)] == ["posts/p0000", "posts/p0008"]

    run(database_url, body)


MATTERS = (
    "清水湾小区夜间施工噪音扰民",
    "清水湾小区门口停车位被占",
    "东门路积水严重无人疏通",
    "东门路路灯不亮",
    "育才小学门口没有斑马线",
    "合众商贸公司拖欠工人工资",
)


def stream(order: Sequence[int]) -> list[feed_pb2.Change]:
    """A post for each number of a matter, in words that differ a little."""
    return [
        _post(
            number,
            MATTERS[matter],
            f"{MATTERS[matter]}，已经第{number % 7}天了，{MATTERS[(matter + number) % 6][:5]}也有人说",
        )
        for number, matter in enumerate(order)
    ]


decisions = st.tuples(st.sampled_from(["merge", "split", "move", "restart"]), st.integers(0, 50), st.integers(0, 50))
histories = st.lists(
    st.one_of(st.tuples(st.just("posts"), st.integers(1, 9), st.integers(0, 5)), decisions), min_size=3, max_size=14
)


@settings(max_examples=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(history=histories, order=st.lists(st.integers(0, 5), min_size=60, max_size=60))
def test_a_replay_from_zero_comes_to_the_live_state(history: list[tuple[str, int, int]], order: list[int]) -> None:
    """Whatever people decided, and wherever the process was started again: the kept feed and the log give the same."""

    async def body(running: Running) -> None:
        desk, changes, at = Desk(running), stream(order), 0
        for kind, one, other in history:
            if kind == "posts":
                await running.apply(changes[at : at + one])
                at += one
            elif kind == "restart":
                running.analysis.forget()
            else:
                await _decide(desk, kind, one, other)
        await running.apply(changes[at:])
        live = await running.store.read(_state)
        running.analysis.forget()
        await running.apply([])
        await running.store.write(forget)
        running.analysis.forget()
        for start in range(0, len(changes), 7):
            await running.apply(changes[start : start + 7])
        assert await running.store.read(_state) == live

    with tempfile.TemporaryDirectory() as folder:
        run(f"sqlite:///{Path(folder) / 'analyzer.db'}", body)


async def _decide(desk: Desk, kind: str, one: int, other: int) -> None:
    events = sorted(await desk.running.events(), key=lambda event: (event.first_publish_time.seconds, event.name))
    if not events:
        return
    event, target = events[one % len(events)], events[other % len(events)]
    ids = [row.post for row in await desk.members(event.name)]
    if kind == "merge" and event.name != target.name:
        await desk.merge(target.name, event.name)
    elif kind == "split" and len(ids) > 1:
        await desk.split(event.name, *ids[: 1 + other % (len(ids) - 1)])
    elif kind == "move" and event.name != target.name:
        await desk.move(target.name, *ids[: 1 + other % len(ids)])


def _state(connection: Any) -> tuple[list[Any], list[Any]]:
    """Which post belongs to which event and how it came there, and everything of the events but times of handling."""
    where = select(POSTS.c.id, POSTS.c.number, POSTS.c.event_id, POSTS.c.joined_event_id, POSTS.c.previous_event_id)
    left_out = {"create_time", "update_time", "revision"}
    columns = [column for column in EVENTS.c if column.name not in left_out]
    return (
        [tuple(row) for row in connection.execute(where.order_by(POSTS.c.number))],
        [tuple(row) for row in connection.execute(select(*columns).order_by(EVENTS.c.id))],
    )
