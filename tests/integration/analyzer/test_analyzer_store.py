"""Following the collector's feed on a real store: events, memberships, holds; wherever batches are cut."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from huiyin.analyzer.v1 import event_pb2, place_pb2, policy_pb2, topic_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_analyzer.worker.forgetting import Forgetting
from huiyin_analyzer.worker.indexing import Indexing
from huiyin_analyzer.worker.listing import Listing
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, Signer, ensure_keys, set_current_principal
from huiyin_chassis.tables import OUTBOX
from sqlalchemy import select

from tests.integration.analyzer.running import DESK, NAMES, Running, change, posts, run

if TYPE_CHECKING:
    from huiyin.collector.v1.collector_service_pb2_grpc import CollectorServiceAsyncStub


def test_posts_of_one_matter_become_one_event_with_its_figures(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(30))
        events = await running.events()
        assert [event.post_count for event in events] == [10, 10, 10]
        noise = next(event for event in events if "碧水湾" in event.title)
        assert noise.place == "places/A市.A3区" and noise.inquiry_count == 5
        assert noise.assessment.grade == 2 and noise.assessment.policy_version == 1
        fired = {rule.rule: dict(rule.figures) for rule in noise.assessment.fired_rules}
        assert fired["many"] == {"voices": 10.0} and "health" in fired
        parent = event_pb2.ListMembershipsRequest(parent=noise.name, page_size=3)
        members = await running.service.ListMemberships(parent, None)
        assert members.total_size == 10 and [row.external_id for row in members.memberships] == ["0", "3", "6"]
        assert members.next_page_token

    run(database_url, body)


@pytest.mark.parametrize("cuts", [[1] * 30, [7, 3, 20], [29, 1]], ids=["one by one", "in three", "in two"])
def test_what_is_told_does_not_depend_on_cuts_and_restarts(tmp_path: Path, cuts: list[int]) -> None:
    async def whole(running: Running) -> None:
        await running.apply(posts(30))
        expected.extend(await running.told())

    async def in_parts(running: Running) -> None:
        changes = posts(30)
        for size in cuts:
            await running.apply(changes[:size])
            del changes[:size]
            running.analysis.forget()  # what a restart does to memory
        found.extend(await running.told())

    def material(changes: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Growth alone is told once a batch, and nobody records it."""
        kept = []
        for kind, name in changes:
            if kind != "event.updated":
                kept.append((kind, name))
        return kept

    expected: list[tuple[str, str]] = []
    found: list[tuple[str, str]] = []
    run(f"sqlite:///{tmp_path / 'whole.db'}", whole)
    run(f"sqlite:///{tmp_path / 'parts.db'}", in_parts)
    assert material(found) == material(expected)


def test_drill_and_real_never_join(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        await running.apply(posts(6, drill=True))
        events = await running.events()
        assert sorted((event.drill, event.post_count) for event in events) == [(False, 2)] * 3 + [(True, 2)] * 3
        assert len(await running.events(filter="drill = true")) == 3

    run(database_url, body)


def test_the_same_post_again_changes_nothing(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(3))
        await running.apply(posts(3))
        assert [event.post_count for event in await running.events()] == [1, 1, 1]

    run(database_url, body)


def test_an_edited_text_is_taken_over_and_a_purged_one_destroyed(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(3))
        edited = post_pb2.Post(name="posts/p0000", subject="新标题", text="新内容", revision=2)
        await running.apply([change(10, "post.updated", edited)])
        purged = post_pb2.Post(name="posts/p0001", revision=2)
        await running.apply([change(11, "post.purged", purged)])
        parent = event_pb2.ListMembershipsRequest(parent="events/-")
        rows = {row.post: row for row in (await running.service.ListMemberships(parent, None)).memberships}
        assert rows["posts/p0000"].text == "新内容" and rows["posts/p0001"].text == ""
        assert {event.title for event in await running.events()} == {"新标题", "", NAMES[2]}
        told = ["membership.updated", "event.updated", "membership.purged", "event.updated"]
        assert [kind for kind, _ in await running.told()][-4:] == told
        # After a restart the edited post gathers others by the terms by which it joined; the purged one has none left.
        running.analysis.forget()
        await running.apply(posts(6)[3:])
        assert sorted(event.post_count for event in await running.events()) == [1, 1, 2, 2]

    run(database_url, body)


@pytest.mark.parametrize("cuts", [[8], [6, 1, 1], [7, 1], [1] * 8])
def test_the_title_is_that_of_the_first_post_whose_text_is_kept(sqlite_url: str, cuts: list[int]) -> None:
    async def body(running: Running) -> None:
        edited = post_pb2.Post(name="posts/p0000", subject="改过的标题", text="新内容", revision=2)
        purged = post_pb2.Post(name="posts/p0000", revision=3)
        changes = [*posts(6), change(10, "post.updated", edited), change(11, "post.purged", purged)]
        for size in cuts:
            await running.apply(changes[:size])
            del changes[:size]
        assert sorted(event.title for event in await running.events()) == sorted(NAMES)
        found = [each.revision for each in await running.changes() if each.name == "memberships/p0000"]
        assert found == [1, 2, 3]

    run(sqlite_url, body)


@pytest.mark.parametrize("cuts", [[8], [6, 1, 1], [1] * 8])
def test_votes_of_an_event_follow_those_of_its_posts(sqlite_url: str, cuts: list[int]) -> None:
    async def body(running: Running) -> None:
        def reached(revision: int, **figures: int) -> post_pb2.Post:
            return post_pb2.Post(name="posts/p0000", revision=revision, reach=post_pb2.PostReach(**figures))

        edited = reached(2, likes=150, replies=60, shares=1, views=9000)
        edited.text = "新内容"
        changes = [*posts(6), change(10, "post.reach_changed", reached(1, likes=7)), change(11, "post.updated", edited)]
        for size in cuts:
            await running.apply(changes[:size])
            del changes[:size]
        running.analysis.forget()
        await running.apply([change(12, "post.reach_changed", reached(2, likes=150, replies=62))])
        figures = [dict(event.assessment.figures) for event in await running.events()]
        assert sorted(each["votes"] for each in figures) == [0, 0, 212]

    run(sqlite_url, body)


def test_a_post_that_was_purged_since_opens_no_event(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        gone = post_pb2.Post(name="posts/p0009", source="sources/board", external_id="9", revision=1)
        await running.apply([change(1, "post.created", gone), change(2, "post.purged", gone)])
        assert await running.events() == [] and await running.changes() == []

    run(sqlite_url, body)


def test_a_purged_text_is_in_no_byte_of_the_files(sqlite_url: str, tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(3))
        purged = post_pb2.Post(name="posts/p0001", revision=2)
        await running.apply([change(11, "post.purged", purged)])
        indexing = Indexing(running.store)
        await Forgetting(running.store, Feed(running.store), running.analysis, indexing, feed_days=90).forget()
        found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert NAMES[0].encode() in found and NAMES[1].encode() not in found

    run(sqlite_url, body)


class Collector:
    """A collector that has these posts."""

    def __init__(self, *found: post_pb2.Post) -> None:
        self.found = found

    def WatchPosts(self, request: post_pb2.WatchPostsRequest, metadata: object) -> Collector:
        assert request.tail
        return self

    async def __aiter__(self) -> AsyncIterator[feed_pb2.ChangeBatch]:
        yield feed_pb2.ChangeBatch(cursor="the-head")

    def cancel(self) -> None: ...

    async def ListPosts(
        self, request: post_pb2.ListPostsRequest, metadata: object, timeout: float
    ) -> post_pb2.ListPostsResponse:
        page = int(request.page_token or 0)
        following = str(page + 1) if page + 1 < len(self.found) else ""
        return post_pb2.ListPostsResponse(posts=self.found[page : page + 1], next_page_token=following)


def test_where_the_feed_is_lost_posts_are_listed_anew(database_url: str, tmp_path: Path) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(3))
        same, edited, _, joins = (post_pb2.Post.FromString(each.resource.value) for each in posts(4))
        edited.text = "新内容"
        collector = Collector(same, edited, joins)
        ensure_keys(tmp_path, ["analyzer"])
        signer = Signer("analyzer", tmp_path / "private" / "analyzer.pem")
        listing = Listing(running.store, running.analysis, cast("CollectorServiceAsyncStub", collector), signer)
        assert await listing.relist() == "the-head"
        parent = event_pb2.ListMembershipsRequest(parent="events/-")
        rows = (await running.service.ListMemberships(parent, None)).memberships
        assert [row.text for row in rows] == [same.text, "新内容", "", joins.text]
        assert sorted(event.post_count for event in await running.events()) == [1, 1, 2]
        before = await running.changes()
        await listing.relist()
        assert await running.changes() == before

    run(database_url, body)


def test_a_hold_is_passed_on_to_the_posts_once(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        event = (await running.events())[0]
        request = event_pb2.SetEventHoldRequest(
            events=[event.name, "events/none"], hold=event_pb2.EVENT_HOLD_OPEN, request_id=str(uuid.UUID(int=1))
        )
        await running.service.SetEventHold(request, None)
        await running.service.SetEventHold(request, None)
        rows = await running.store.read(lambda connection: connection.execute(select(OUTBOX)).all())
        assert len(rows) == 1
        sent = post_pb2.SetPostHoldRequest.FromString(rows[0].payload)
        assert len(sent.posts) == 2 and sent.held
        await running.apply(posts(12)[6:])
        rows = await running.store.read(lambda connection: connection.execute(select(OUTBOX)).all())
        assert len(rows) == 2  # what joined a held event is held as well

    run(database_url, body)


def test_reach_limits_what_is_seen(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(6))
        set_current_principal(Principal("accounts/a", roles=("officer",), places=("places/A市",)))
        seen = await running.events()
        assert {event.place for event in seen} == {"places/A市.A3区", "places/A市"}
        set_current_principal(DESK)
        other = next(event for event in await running.events() if event.place == "places/B市")
        set_current_principal(Principal("accounts/a", roles=("officer",), places=("places/A市",)))
        with pytest.raises(NotFound):
            await running.service.GetEvent(event_pb2.GetEventRequest(name=other.name), None)

    run(database_url, body)


def test_trees_and_policies_take_effect_on_what_comes_next(database_url: str) -> None:
    async def body(running: Running) -> None:
        topics = [topic_pb2.Topic(name="topics/环境"), topic_pb2.Topic(name="topics/环境.噪声", words=["噪音"])]
        first = await running.service.BatchUpdateTopics(topic_pb2.BatchUpdateTopicsRequest(topics=topics), None)
        again = await running.service.BatchUpdateTopics(topic_pb2.BatchUpdateTopicsRequest(topics=topics), None)
        assert (first.changed, again.changed) == (2, 0)
        places = [place_pb2.Place(name="places/A市"), place_pb2.Place(name="places/A市.碧水湾小区", aliases=["碧水湾"])]
        await running.service.BatchUpdatePlaces(place_pb2.BatchUpdatePlacesRequest(places=places), None)
        strict = "rules: [{id: any, grade: SERIOUS, when: posts >= 1, why: 严}]"
        update = policy_pb2.UpdatePolicyRequest(policy=policies_pb2.Policy(name="policies/grading", body=strict))
        assert (await running.service.UpdatePolicy(update, None)).version == 2
        assert (await running.service.UpdatePolicy(update, None)).version == 2
        await running.apply(posts(1))
        (event,) = await running.events()
        assert (event.topic, event.place) == ("topics/环境.噪声", "places/A市.碧水湾小区")
        assert (event.assessment.grade, event.assessment.policy_version) == (3, 2)

    run(database_url, body)


def test_a_broken_tree_or_policy_is_refused_whole(database_url: str) -> None:
    async def body(running: Running) -> None:
        orphan = topic_pb2.BatchUpdateTopicsRequest(
            topics=[
                topic_pb2.Topic(name="topics/甲"),
                topic_pb2.Topic(name="topics/乙.丙"),
                topic_pb2.Topic(name="topics/a/b"),
            ]
        )
        with pytest.raises(InvalidArgument) as caught:
            await running.service.BatchUpdateTopics(orphan, None)
        assert [item.field for item in caught.value.violations] == ["topics[1].name", "topics[2].name"]
        listed = await running.service.ListTopics(topic_pb2.ListTopicsRequest(), None)
        assert not listed.topics
        bad = policy_pb2.UpdatePolicyRequest(policy=policies_pb2.Policy(name="policies/grading", body="rules: [{}]"))
        with pytest.raises(InvalidArgument) as refused:
            await running.service.UpdatePolicy(bad, None)
        assert refused.value.violations[0].field == "policy.body.rules[0].id"

    run(database_url, body)


def test_watch_joins_the_text_of_those_who_expect_an_answer_only(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(2))
        found = {}
        async for batch in running.service.WatchEvents(event_pb2.WatchEventsRequest(kinds=["membership.joined"]), None):
            for each in batch.changes:
                membership = event_pb2.Membership.FromString(each.resource.value)
                found[membership.post] = membership
            break
        assert found["posts/p0000"].text and not found["posts/p0001"].text
        opened = [each for each in await running.changes() if each.kind == "event.opened"]
        assert [event_pb2.Event.FromString(each.resource.value).title for each in opened] == list(NAMES[:2])

    run(database_url, body)
