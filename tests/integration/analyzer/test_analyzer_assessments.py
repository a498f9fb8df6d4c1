"""Grades on a real store: explained, overridden by people, tested, and brought under a new policy."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import huiyin_analyzer
import pytest
from huiyin.analyzer.v1 import assessment_pb2, event_pb2, policy_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import EVENTS, GRADE_OVERRIDES, MIGRATIONS, POSTS, AnalyzerStore
from huiyin_analyzer.worker.following import Analysis
from huiyin_analyzer.worker.regrading import Regrading
from huiyin_chassis import clock
from huiyin_chassis.clock import micros_to_timestamp, to_timestamp
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.errors import Aborted, DomainError, InvalidArgument, NotFound
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import ROLES, Principal, set_current_principal
from huiyin_chassis.masking import PHONE
from huiyin_chassis.policies import Policies
from sqlalchemy import delete

from tests.databases import migrate

GRADING = (Path(huiyin_analyzer.__file__).parent / "data" / "grading.yaml").read_text("utf-8")
EPOCH = str(uuid.UUID(int=7))
MINUTE = 60_000_000
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)
TEXT = "A市A3区碧水湾小区自来水停水，有人受伤"
ORDINARY, LARGE, SERIOUS = 1, 2, 3


def posts(first: int, count: int, *, voice: bytes = b"") -> list[feed_pb2.Change]:
    """Posts on one matter, a minute apart; of one voice, or of a voice each."""
    changes = []
    for number in range(first, first + count):
        post = post_pb2.Post(
            name=f"posts/p{number:04}",
            source="sources/board" if number % 2 else "sources/daily",
            external_id=str(number),
            subject="碧水湾小区自来水停水",
            text=TEXT,
            publish_time=micros_to_timestamp(number * MINUTE),
            collect_time=micros_to_timestamp(number * MINUTE),
            expects_answer=True,
            voice=voice or b"voice %d" % number,
            revision=1,
        )
        found = feed_pb2.Change(sequence=number + 1, kind="post.created", name=post.name, revision=1)
        found.resource.Pack(post)
        changes.append(found)
    return changes


class Running:
    """An analyzer without its server: what it consumes comes from the test."""

    def __init__(self, store: AnalyzerStore) -> None:
        self.store = store
        self.policies = Policies({"grading": check_grading})
        self.analysis = Analysis(self.policies)
        self.service = AnalyzerServicer(store, Feed(store), self.policies)
        self.regrading = Regrading(store, self.policies)

    async def apply(self, changes: list[feed_pb2.Change]) -> None:
        await self.store.write(lambda tx: self.analysis.apply(tx, changes, FeedPosition(EPOCH)))

    async def event(self) -> event_pb2.Event:
        (found,) = (await self.service.ListEvents(event_pb2.ListEventsRequest(), None)).events
        return found

    async def override(self, grade: int, reason: str = "现场核实", **more: object) -> event_pb2.Event:
        name = (await self.event()).name
        request = assessment_pb2.OverrideGradeRequest(name=name, grade=grade, reason=reason, **more)  # type: ignore[arg-type]
        return await self.service.OverrideGrade(request, None)

    async def explain(self) -> assessment_pb2.ExplainAssessmentResponse:
        name = (await self.event()).name
        return await self.service.ExplainAssessment(assessment_pb2.ExplainAssessmentRequest(name=name), None)

    async def put(self, body: str) -> None:
        policy = policies_pb2.Policy(name="policies/grading", body=body)
        await self.service.UpdatePolicy(policy_pb2.UpdatePolicyRequest(policy=policy), None)

    async def told(self) -> list[feed_pb2.Change]:
        found: list[feed_pb2.Change] = []
        async for batch in self.service.WatchEvents(event_pb2.WatchEventsRequest(kinds=["event.updated"]), None):
            found += batch.changes
            if batch.caught_up:
                break
        return found


def run(url: str, test: Callable[[Running], Awaitable[None]]) -> None:
    async def body() -> None:
        set_current_principal(DESK)
        store = AnalyzerStore(url)
        await store.open()
        running = Running(store)
        await store.write(lambda tx: running.policies.seed(tx, "grading", GRADING))
        try:
            await test(running)
        finally:
            await store.close()

    migrate(url, MIGRATIONS)
    asyncio.run(body())


# Explained


def test_a_grade_names_its_rules_their_figures_and_the_posts_that_they_rest_on(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        answer = await running.explain()
        fired = {rule.rule: rule for rule in answer.assessment.fired_rules}
        assert answer.assessment.grade == LARGE and dict(fired["many"].figures) == {"voices": 10}
        assert list(fired["many"].evidence) == [f"posts/p{number:04}" for number in range(5)]
        raising = {
            (change.grade, each.figure, each.required_value) for change in answer.raising for each in change.figures
        }
        assert (SERIOUS, "harm.life", 5) in raising
        assert answer.lowering and all(change.grade == ORDINARY for change in answer.lowering)

    run(database_url, body)


def test_the_change_that_was_told_changes_the_grade_when_it_comes(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        await running.put("rules: [{id: many, grade: LARGE, when: voices >= 10, why: 多}]")
        await running.apply(posts(0, 8))
        (change,) = (await running.explain()).raising
        assert [(each.figure, each.value, each.required_value) for each in change.figures] == [("voices", 8, 10)]
        await running.apply(posts(8, 1))
        assert (await running.event()).assessment.grade == ORDINARY
        await running.apply(posts(9, 1))
        assert (await running.event()).assessment.grade == LARGE

    run(sqlite_url, body)


def test_too_little_evidence_is_said(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 3))
        assessment = (await running.event()).assessment
        assert list(assessment.insufficient_figures) == ["media", "growth"]
        assert not {"media", "growth"} & set(assessment.figures)
        assert set(assessment.unjudged_rules) == {"outburst", "media", "complaints", "burst"}
        missing = {each.figure: each for each in (await running.explain()).missing}
        assert "at least 6 voices" in missing["growth"].requirement
        assert list(missing["growth"].rules) == ["outburst", "complaints", "burst"]

    run(database_url, body)


def test_one_voice_that_repeats_itself_raises_nothing(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 40, voice=b"one"))
        event = await running.event()
        assert (event.post_count, event.assessment.figures["voices"], event.assessment.grade) == (40, 1, ORDINARY)

    run(sqlite_url, body)


# Overridden


def test_an_override_is_what_the_grade_says_beside_the_computed_one(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        before = await running.event()
        with clock.stopped(datetime(2026, 3, 1, 8, tzinfo=UTC)):
            answer = await running.override(SERIOUS, "已核实，电话13812345678")
        assessment = answer.assessment
        assert (assessment.grade, assessment.computed_grade, answer.revision) == (SERIOUS, LARGE, before.revision + 1)
        override = assessment.grade_override
        assert (override.author, override.reason) == ("accounts/desk", f"已核实，电话{PHONE}")
        assert override.create_time.ToDatetime() == datetime(2026, 3, 1, 8)
        assert answer == await running.event()
        listed = await running.service.ListEvents(event_pb2.ListEventsRequest(filter="grade = GRADE_SERIOUS"), None)
        assert len(listed.events) == 1
        last = event_pb2.Event.FromString((await running.told())[-1].resource.value)
        assert (last.assessment, last.revision) == (answer.assessment, answer.revision)

    run(database_url, body)


def test_an_override_survives_later_posts_a_restart_and_a_replay(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        await running.override(ORDINARY, "误报")
        await running.apply(posts(10, 5))
        running.analysis.forget()
        await running.apply(posts(15, 5))
        event = await running.event()
        assert (event.post_count, event.assessment.grade, event.assessment.computed_grade) == (20, ORDINARY, LARGE)
        # What a replay from the beginning does: the same posts, with the decisions kept.
        await running.store.write(lambda tx: [tx.execute(delete(table)) for table in (POSTS, EVENTS)] and None)
        running.analysis.forget()
        await running.apply(posts(0, 20))
        again = await running.event()
        assert (again.name, again.assessment) == (event.name, event.assessment)

    run(database_url, body)


def test_an_override_is_taken_away_and_its_history_stays(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        await running.override(SERIOUS, "领导批示")
        set_current_principal(Principal("accounts/admin", roles=("admin",), everywhere=True))
        event = await running.override(0, "核实无误，按规则")
        assert event.assessment.grade == LARGE and not event.assessment.HasField("grade_override")
        found = [(each.grade, each.author, each.reason) for each in (await running.explain()).overrides]
        assert found == [(0, "accounts/admin", "核实无误，按规则"), (SERIOUS, "accounts/desk", "领导批示")]

    run(database_url, body)


def test_an_override_that_expires_gives_way_by_itself(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        now = clock.now()
        await running.override(SERIOUS, expire_time=to_timestamp(now + timedelta(hours=1)))
        assert await running.regrading.catch_up() == 0
        assert (await running.event()).assessment.grade == SERIOUS
        with clock.stopped(now + timedelta(hours=2)):
            assert await running.regrading.catch_up() == 1
            assert await running.regrading.catch_up() == 0
        assert (await running.event()).assessment.grade == LARGE
        assert [(each.grade, each.author) for each in (await running.explain()).overrides] == [
            (0, "system"),
            (SERIOUS, "accounts/desk"),
        ]
        await running.apply(posts(10, 1))
        assert (await running.event()).assessment.grade == LARGE

    run(database_url, body)


def test_the_same_request_overrides_once_and_a_stale_revision_not_at_all(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        event = await running.event()
        request_id = str(uuid.UUID(int=1))
        first = await running.override(SERIOUS, revision=event.revision, request_id=request_id)
        assert await running.override(SERIOUS, revision=event.revision, request_id=request_id) == first
        assert len((await running.explain()).overrides) == 1
        with pytest.raises(Aborted) as caught:
            await running.override(LARGE, revision=event.revision)
        assert caught.value.reason == "STALE_REVISION"

    run(database_url, body)


@pytest.mark.parametrize(
    ("given", "field"),
    [({"reason": "  "}, "reason"), ({"expire_time": micros_to_timestamp(1)}, "expire_time")],
    ids=["no reason", "in the past"],
)
def test_an_override_needs_a_reason_and_a_time_to_come(sqlite_url: str, given: dict[str, object], field: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 2))
        with pytest.raises(InvalidArgument) as caught:
            await running.override(SERIOUS, **given)  # type: ignore[arg-type]
        assert caught.value.violations[0].field == field
        rows = await running.store.read(lambda c: c.execute(GRADE_OVERRIDES.select()).all())
        assert rows == []

    run(sqlite_url, body)


def test_nobody_overrides_what_is_not_within_reach(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 2))
        name = (await running.event()).name
        set_current_principal(Principal("accounts/b", roles=("desk",), places=("places/B市",)))
        for call, request in (
            (running.service.OverrideGrade, assessment_pb2.OverrideGradeRequest(name=name, grade=SERIOUS, reason="x")),
            (running.service.ExplainAssessment, assessment_pb2.ExplainAssessmentRequest(name=name)),
        ):
            with pytest.raises(NotFound):
                await call(request, None)

    run(sqlite_url, body)


def test_the_desk_and_administrators_may_override() -> None:
    assert {role for role, held in ROLES.items() if "analyzer.events.grade" in held} == {"desk", "admin"}


# Another policy


def test_a_new_policy_regrades_every_event_as_an_ordinary_change(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        before = await running.event()
        await running.put("media: [sources/daily]\nrules: [{id: paper, grade: SERIOUS, when: media >= 1, why: 媒体}]")
        assert (await running.event()) == before
        assert await running.regrading.catch_up() == 1
        event = await running.event()
        assert (event.assessment.grade, event.assessment.policy_version) == (SERIOUS, 2)
        assert event.assessment.figures["media"] == 1 and event.revision == before.revision + 1
        last = (await running.told())[-1]
        assert (last.name, last.revision) == (event.name, event.revision)
        assert await running.regrading.catch_up() == 0
        # As the stream would have graded it.
        await running.apply(posts(10, 1))
        assert (await running.event()).assessment.grade == SERIOUS

    run(database_url, body)


def test_regrading_keeps_overrides_and_goes_on_where_it_stopped(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        await running.override(ORDINARY, "误报")
        await running.put("rules: [{id: all, grade: SERIOUS, when: posts >= 1, why: 全}]")
        assert await Regrading(running.store, running.policies).catch_up() == 1
        assessment = (await running.event()).assessment
        assert (assessment.grade, assessment.computed_grade, assessment.policy_version) == (ORDINARY, SERIOUS, 2)

    run(database_url, body)


def test_a_policy_is_tested_on_events_without_being_in_force(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(posts(0, 10))
        assessment = (await running.event()).assessment
        graded = policy_pb2.GradedEvent(name="e", figures=assessment.figures, grade=assessment.computed_grade)
        calm = policy_pb2.GradedEvent(name="calm", figures={"posts": 1})
        strict = (
            "rules:\n"
            "- {id: s, grade: SERIOUS, when: voices >= 9, why: 严}\n"
            "- {id: t, grade: LARGE, when: media > 0, why: 媒}\n"
        )
        request = policy_pb2.TestPolicyRequest(name="policies/grading", body=strict, events=[graded, calm])
        answer = await running.service.TestPolicy(request, None)
        (change,) = answer.changes
        assert (change.event, change.previous_grade, change.grade) == ("e", LARGE, SERIOUS)
        assert (list(change.fired_rules), list(change.unjudged_rules)) == (["s"], ["t"])
        assert [(each.grade, each.count) for each in answer.before] == [(1, 1), (2, 1), (3, 0), (4, 0)]
        assert [(each.grade, each.count) for each in answer.after] == [(1, 1), (2, 0), (3, 1), (4, 0)]
        assert (await running.event()).assessment == assessment
        request.body = ""
        assert not (await running.service.TestPolicy(request, None)).changes

    run(sqlite_url, body)


@pytest.mark.parametrize(
    ("body", "figures", "field", "told"),
    [
        ("rules:\n- {id: a, grade: LARGE, when: author > 1, why: b}", {}, "body.rules[0].when", "line 2, column 31"),
        ("rules: []", {"mood": 1.0}, "events[0].figures", "there is no figure mood"),
    ],
)
def test_a_test_that_cannot_be_made_says_why(
    sqlite_url: str, body: str, figures: dict[str, float], field: str, told: str
) -> None:
    async def test(running: Running) -> None:
        event = policy_pb2.GradedEvent(name="e", figures=figures)
        request = policy_pb2.TestPolicyRequest(name="policies/grading", body=body, events=[event])
        with pytest.raises(DomainError) as caught:
            await running.service.TestPolicy(request, None)
        assert caught.value.violations[0].field == field and told in caught.value.violations[0].description

    run(sqlite_url, test)
