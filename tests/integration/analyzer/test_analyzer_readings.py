"""Texts that are read for whoever asks, memberships with their reading, summaries and the hot list, on a real store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from huiyin.analyzer.v1 import heat_pb2, place_pb2, reading_pb2, summary_pb2, topic_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2, harm_pb2, intent_pb2
from huiyin_analyzer.store import EVENTS, POSTS
from huiyin_analyzer.tokenizer import note_tokenizer
from huiyin_chassis import clock
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.identity import Principal, set_current_principal
from sqlalchemy import func, select
from structlog.testing import capture_logs

from tests.integration.analyzer.running import DESK, Running, change, run

NOW = datetime.fromisoformat("2026-03-10T12:00:00+08:00")
DAY = timedelta(days=1)
Written = Sequence[tuple[str, str, timedelta, bytes]]
"""Subject, text, how long before NOW, voice."""


def told(written: Written, *, first: int = 1, drill: bool = False) -> list[feed_pb2.Change]:
    changes = []
    for number, (subject, text, before, voice) in enumerate(written, first):
        post = post_pb2.Post(
            name=f"posts/p{number:03}",
            source="sources/board",
            external_id=str(number),
            subject=subject,
            text=text,
            publish_time=clock.to_timestamp(NOW - before),
            collect_time=clock.to_timestamp(NOW - before),
            voice=voice,
            drill=drill,
            revision=1,
        )
        changes.append(change(number, "post.created", post))
    return changes


async def trees(running: Running) -> None:
    topics = [("环境保护", []), ("环境保护.噪声污染", ["噪音", "夜间施工"])]
    places = [("云溪市", []), ("云溪市.东湖区", []), ("云溪市.东湖区.碧水湾小区", ["碧水湾"])]
    await running.service.BatchUpdateTopics(
        topic_pb2.BatchUpdateTopicsRequest(topics=[topic_pb2.Topic(name=f"topics/{n}", words=w) for n, w in topics]),
        None,
    )
    await running.service.BatchUpdatePlaces(
        place_pb2.BatchUpdatePlacesRequest(places=[place_pb2.Place(name=f"places/{n}", aliases=a) for n, a in places]),
        None,
    )


async def analyze(running: Running, *texts: reading_pb2.Text) -> list[reading_pb2.Reading]:
    return list((await running.service.AnalyzeTexts(reading_pb2.AnalyzeTextsRequest(texts=texts), None)).readings)


def test_everything_that_is_read_of_a_text_is_told_with_its_words(database_url: str) -> None:
    async def body(running: Running) -> None:
        await trees(running)
        (found,) = await analyze(
            running,
            reading_pb2.Text(
                subject="投訴碧水灣夜間施工",
                text="东湖区的工地昨天晚上噪音扰民，老人睡不着",
                publish_time=clock.to_timestamp(NOW),
            ),
        )
        assert list(found.places) == ["places/云溪市.东湖区.碧水湾小区"]
        (time,) = found.times
        assert time.text == "昨天晚上" and not time.recurring
        assert clock.from_timestamp(time.start_time) == datetime.fromisoformat("2026-03-09T18:00:00+08:00")
        assert clock.from_timestamp(time.end_time) == datetime.fromisoformat("2026-03-10T00:00:00+08:00")
        assert found.intent == intent_pb2.INTENT_COMPLAINT and list(found.intent_words) == ["投诉", "噪音", "扰民"]
        assert [(harm.harm, list(harm.words)) for harm in found.harms] == [(harm_pb2.HARM_HEALTH, ["睡不着"])]
        assert found.urgency == reading_pb2.URGENCY_URGENT
        assert found.topic.topic == "topics/环境保护.噪声污染"
        assert (found.topic.label, list(found.topic.levels)) == ("环境保护", ["环境保护", "噪声污染"])
        assert found.topic.confidence == 0 and not found.topic.model

    run(database_url, body)


def test_texts_are_masked_before_they_are_read_and_stored_nowhere(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        texts = [reading_pb2.Text(text="请打电话13812345678，2026年3月5日停水"), reading_pb2.Text()]
        found, empty = await analyze(running, *texts)
        assert [time.text for time in found.times] == ["2026年3月5日"]
        assert empty == reading_pb2.Reading(urgency=reading_pb2.URGENCY_ROUTINE, topic=reading_pb2.TopicReading())
        kept = await running.store.read(lambda connection: connection.scalar(select(func.count(POSTS.c.id))))
        assert kept == 0 and not await running.events()

    run(sqlite_url, body)


def test_new_trees_are_read_by_at_once(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        text = reading_pb2.Text(text="碧水湾的噪音")
        assert not (await analyze(running, text))[0].topic.topic
        await trees(running)
        assert (await analyze(running, text))[0].topic.label == "环境保护"

    run(sqlite_url, body)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (reading_pb2.AnalyzeTextsRequest(texts=[reading_pb2.Text()], time_zone="Mars/Olympus"), "TIME_ZONE_UNKNOWN"),
        (
            reading_pb2.AnalyzeTextsRequest(texts=[reading_pb2.Text(publish_time=Timestamp(seconds=10**12))]),
            "TIME_IMPLAUSIBLE",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(
    sqlite_url: str, request_: reading_pb2.AnalyzeTextsRequest, reason: str
) -> None:
    async def body(running: Running) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await running.service.AnalyzeTexts(request_, None)
        assert refused.value.reason == reason

    run(sqlite_url, body)


def test_a_membership_is_read_from_the_text_that_is_kept(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.apply(told([("投诉A市A3区夜间施工", "昨晚噪音扰民", DAY, b"a")]))
        request = reading_pb2.GetMembershipRequest(name="memberships/p001")
        found = await running.service.GetMembership(request, None)
        assert found.membership.post == "posts/p001" and found.membership.text == "昨晚噪音扰民"
        assert list(found.reading.places) == ["places/A市.A3区"] and found.reading.times[0].text == "昨晚"
        set_current_principal(Principal("accounts/b", places=("places/B市",)))
        with pytest.raises(NotFound):
            await running.service.GetMembership(request, None)
        set_current_principal(DESK)
        purged = post_pb2.Post(name="posts/p001", source="sources/board", revision=2)
        await running.apply([change(2, "post.purged", purged)])
        found = await running.service.GetMembership(request, None)
        assert found.membership.post == "posts/p001" and not found.HasField("reading")
        with pytest.raises(NotFound):
            await running.service.GetMembership(reading_pb2.GetMembershipRequest(name="memberships/none"), None)

    run(database_url, body)


async def summary(running: Running, **request: object) -> summary_pb2.GetEventSummaryResponse:
    (event,) = await running.events()
    return await running.service.GetEventSummary(
        summary_pb2.GetEventSummaryRequest(name=event.name, **request),  # type: ignore[arg-type]
        None,
    )


def test_a_summary_is_of_sentences_with_their_posts_and_a_purged_text_leaves_it_at_once(database_url: str) -> None:
    subject = "碧水湾小区电梯停运"
    written = [
        (subject, "碧水湾小区三号楼电梯停运半个月。请领导解决，谢谢！", 3 * DAY, b"a"),
        (subject, "三号楼电梯停运半个月，老人下不了楼。物业说维修资金没有批。", 2 * DAY, b"b"),
        (subject, "碧水湾小区三号楼电梯停运，维修资金审批要业主签字。", DAY, b"c"),
    ]

    async def body(running: Running) -> None:
        await running.apply(told(written))
        found = await summary(running)
        texts = {f"posts/p{number:03}": text for number, (_, text, _, _) in enumerate(written, 1)}
        assert found.posts_read == 3 and 2 <= len(found.sentences) <= 3
        assert all(sentence.text in texts[sentence.post] for sentence in found.sentences)
        assert "电梯停运" in found.sentences[0].text
        assert not any("谢谢" in sentence.text for sentence in found.sentences)
        assert len((await summary(running, sentence_count=1)).sentences) == 1
        first = found.sentences[0].post
        await running.apply([change(4, "post.purged", post_pb2.Post(name=first, source="sources/board", revision=2))])
        assert first not in {sentence.post for sentence in (await summary(running)).sentences}

    run(database_url, body)


async def hot(running: Running, **request: object) -> list[heat_pb2.HotEvent]:
    with clock.stopped(NOW):
        answer = await running.service.ListHotEvents(
            heat_pb2.ListHotEventsRequest(**request),  # type: ignore[arg-type]
            None,
        )
    return list(answer.events)


NOISE = ("A市A3区夜间施工噪音扰民", "A市A3区工地夜间施工噪音扰民")
FIRE = ("A市A7县化工厂爆炸起火", "A市A7县化工厂爆炸起火，有人被困")
OLD = ("B市金桂华庭拖欠工资", "B市金桂华庭工地拖欠农民工工资")


def test_the_hottest_events_come_first_with_each_term(database_url: str) -> None:
    written = [(*NOISE, timedelta(hours=hour), bytes([hour])) for hour in range(1, 6)]
    written += [(*FIRE, timedelta(hours=hour), bytes([hour])) for hour in range(1, 6)]
    written += [(*OLD, 6 * DAY + timedelta(hours=hour), bytes([hour])) for hour in range(1, 8)]
    written += [(*OLD, 20 * DAY, b"long ago")]

    async def body(running: Running) -> None:
        await running.apply(told(written))
        fire, noise, old = await hot(running)
        assert ["爆炸" in fire.event.title, "噪音" in noise.event.title, "工资" in old.event.title] == [True] * 3
        assert (fire.heat.voices, fire.heat.later_voices, fire.heat.earlier_voices) == (5, 5, 0)
        assert fire.heat.gravest_harm == harm_pb2.HARM_LIFE and fire.heat.harmed_voices == 5 and fire.heat.harm == 2
        assert noise.heat.growth == 2 and old.heat.growth == 0.5 and old.heat.voices == 7
        for each in (fire, noise, old):
            terms = each.heat
            assert terms.heat == pytest.approx(terms.recent_voices * terms.growth * terms.harm)
            assert 0 < terms.recent_voices < terms.voices

    run(database_url, body)


def test_a_voice_that_repeats_itself_makes_nothing_hotter(sqlite_url: str) -> None:
    once = [(*NOISE, timedelta(hours=3), b"one")]

    async def body(running: Running) -> None:
        await running.apply(told(once))
        before = (await hot(running))[0].heat
        await running.apply(told([(*NOISE, timedelta(hours=2), b"one")] * 20, first=2))
        assert (await hot(running))[0].heat == before

    run(sqlite_url, body)


def test_the_list_is_narrowed_by_window_place_topic_reach_and_rehearsal(sqlite_url: str) -> None:
    written = [(*NOISE, DAY, b"a"), (*FIRE, DAY, b"b"), (*OLD, 20 * DAY, b"c")]

    async def titles(running: Running, **request: object) -> list[str]:
        return sorted(found.event.title[:4] for found in await hot(running, **request))

    async def body(running: Running) -> None:
        await running.apply(told(written))
        await running.apply(told([(*NOISE, DAY, b"a")], first=4, drill=True))
        assert await titles(running) == ["A市A3", "A市A7"]
        assert await titles(running, page_size=1) == ["A市A7"]
        assert await titles(running, start_time=clock.to_timestamp(NOW - 30 * DAY)) == ["A市A3", "A市A7", "B市金桂"]
        assert await titles(running, end_time=clock.to_timestamp(NOW - 19 * DAY)) == ["B市金桂"]
        assert await titles(running, place="places/A市.A3区") == ["A市A3"]
        assert await titles(running, topic="topics/环境保护") == []
        assert await titles(running, drill=True) == ["A市A3"]
        set_current_principal(Principal("accounts/a7", places=("places/A市.A7县",)))
        assert await titles(running) == ["A市A7"]

    run(sqlite_url, body)


@pytest.mark.parametrize(("days", "reason"), [(0, "TIMES_REVERSED"), (400, "WINDOW_TOO_LONG")])
def test_a_window_that_cannot_be_is_refused(sqlite_url: str, days: int, reason: str) -> None:
    async def body(running: Running) -> None:
        with pytest.raises(InvalidArgument) as refused:
            await hot(running, start_time=clock.to_timestamp(NOW - days * DAY))
        assert refused.value.reason == reason

    run(sqlite_url, body)


def test_the_index_of_the_hot_list_holds_all_that_it_reads_of_cold_events(sqlite_url: str) -> None:
    """Else each event in the window costs a look at its row."""

    async def body(running: Running) -> None:
        def plan(connection: object) -> str:
            query = select(EVENTS.c.id, EVENTS.c.post_count, EVENTS.c.last_publish_time).where(
                EVENTS.c.last_publish_time >= 1,
                EVENTS.c.first_publish_time < 2,
                EVENTS.c.post_count > 0,
                EVENTS.c.drill == False,  # noqa: E712
            )
            text = str(query.compile(compile_kwargs={"literal_binds": True}))
            return str(connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all())  # type: ignore[attr-defined]

        assert "COVERING INDEX events_by_last_post" in await running.store.read(plan)

    run(sqlite_url, body)


def test_the_store_records_which_engine_cut_its_words(database_url: str) -> None:
    async def body(running: Running) -> None:
        assert [await note_tokenizer(running.store, name) for name in ("jieba 0.42", "jieba 0.42", "rjieba 0.1")] == [
            "",
            "jieba 0.42",
            "jieba 0.42",
        ]
        with capture_logs() as logs:
            assert await note_tokenizer(running.store, "jieba 0.42") == "rjieba 0.1"
            assert await note_tokenizer(running.store, "jieba 0.42") == "jieba 0.42"
        assert [(log["event"], log["before"], log["now"]) for log in logs] == [
            ("analysis.tokenizer_changed", "rjieba 0.1", "jieba 0.42")
        ]

    run(database_url, body)
