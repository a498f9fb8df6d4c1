"""Topics on a real store: told by the model in force, queued where they are unsure, corrected by people for good."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from huiyin.analyzer.v1 import event_pb2, reading_pb2, topic_model_pb2, topic_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2
from huiyin_analyzer import rebuilding
from huiyin_analyzer.model.topics import LOW, TopicModel
from huiyin_analyzer.readers import Readers
from huiyin_analyzer.store import POSTS, topic_corrections, topic_models
from huiyin_analyzer.training.fitting import Example, train
from huiyin_analyzer.worker.following import Analysis
from huiyin_analyzer.worker.rereading import Rereading
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.errors import InvalidArgument, NotFound
from huiyin_chassis.feed import unpack
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.store import Tx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.integration.analyzer.running import HOUR, Running, change, run

WORDS = {
    "环境保护": ["噪音", "油烟", "污水", "扬尘", "垃圾", "施工", "夜间", "恶臭"],
    "交通运输": ["公交", "路灯", "拥堵", "停车", "斑马线", "站台", "车费", "绕行"],
    "教育文体": ["学校", "入学", "老师", "补课", "幼儿园", "学位", "课本", "操场"],
}
NOISE, BUS, SCHOOL = (
    "夜间施工噪音大，扬尘和油烟不断",
    "公交站台的路灯坏了，停车拥堵",
    "幼儿园学位不够，老师要求补课",
)
UNSURE = "今天天气不错"
TREE = [
    topic_pb2.Topic(name="topics/环境保护", words=["公交"]),
    topic_pb2.Topic(name="topics/环境保护.噪声", words=["噪音"]),
    topic_pb2.Topic(name="topics/交通运输"),
    topic_pb2.Topic(name="topics/城乡建设", words=["天气"]),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a model that knows three labels, of which the tree has two."""
    chance = random.Random(1)
    examples = [
        Example("", "，".join(chance.sample(words, 4)) + f"，第{number}次反映。", label)
        for label, words in WORDS.items()
        for number in range(20)
    ]
    target = tmp_path_factory.mktemp("model") / "model"
    target.write_bytes(train(examples, {})[0].dump())
    return target


def posts(*texts: str, first: int = 1, drill: bool = False) -> list[feed_pb2.Change]:
    """Posts with these texts; those of the same text are of one event."""
    found = []
    for number, text in enumerate(texts, first):
        post = post_pb2.Post(
            name=f"posts/p{number:04}",
            source="sources/board",
            external_id=str(number),
            subject=text,
            text=f"{text}，{'甲乙丙丁戊己庚辛壬癸'[number % 10]}{'子丑寅卯辰巳午未申酉'[number // 10 % 10]}小区",
            publish_time=micros_to_timestamp(number * HOUR),
            drill=drill,
            revision=1,
        )
        found.append(change(number, "post.created", post))
    return found


class Topics:
    """An analyzer with topics and models."""

    def __init__(self, running: Running, model: Path) -> None:
        self.running = running
        self.model = model.read_bytes()
        self.rereading = Rereading(running.store, Readers())

    async def write_tree(self) -> None:
        await self.running.service.BatchUpdateTopics(topic_pb2.BatchUpdateTopicsRequest(topics=TREE), None)

    async def activate(self) -> None:
        """Puts a newly trained model in force."""

        def write(tx: Tx) -> None:
            number = topic_models.add(tx, report=b"", model=self.model, author="accounts/admin")
            topic_models.choose(tx, number, "accounts/admin")

        await self.running.store.write(write)

    async def deactivate(self) -> None:
        await self.running.service.DeactivateTopicModel(topic_model_pb2.DeactivateTopicModelRequest(), None)

    async def members(self, filter_: str = "", order_by: str = "") -> list[event_pb2.Membership]:
        request = event_pb2.ListMembershipsRequest(parent="events/-", page_size=1000, filter=filter_, order_by=order_by)
        return list((await self.running.service.ListMemberships(request, None)).memberships)

    async def topics(self) -> dict[str, str]:
        """The topic of each post."""
        return {member.name.removeprefix("memberships/"): _path(member.topic) for member in await self.members()}

    async def event_topics(self) -> Counter[str]:
        return Counter(_path(event.topic) for event in await self.running.events())

    async def correct(self, ids: Sequence[str], topic: str, reason: str = "读过了") -> None:
        request = topic_pb2.CorrectTopicsRequest(
            memberships=[f"memberships/{each}" for each in ids],
            topic=topic and f"topics/{topic}",
            reason=reason,
        )
        answer = await self.running.service.CorrectTopics(request, None)
        assert [member.name for member in answer.memberships] == list(request.memberships)

    async def correct_event(self, name: str, topic: str) -> event_pb2.Event:
        named = topic and f"topics/{topic}"
        request = topic_pb2.CorrectEventTopicRequest(name=name, topic=named, reason="整件事")
        return await self.running.service.CorrectEventTopic(request, None)

    async def corrections(self, filter_: str = "") -> list[topic_pb2.TopicCorrection]:
        request = topic_pb2.ListTopicCorrectionsRequest(filter=filter_)
        return list((await self.running.service.ListTopicCorrections(request, None)).topic_corrections)

    async def edit(self, number: int, text: str, sequence: int, kind: str = "post.updated") -> None:
        post = post_pb2.Post(name=f"posts/p{number:04}", source="sources/board", text=text, revision=2)
        await self.running.apply([change(sequence, kind, post)])

    def restart(self) -> None:
        """Another process goes on."""
        self.running.analysis = Analysis(self.running.policies)


def _path(name: str) -> str:
    return name.removeprefix("topics/")


# In the stream


def test_without_a_model_the_words_of_the_tree_tell_and_with_one_it_does(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS))
        (by_words,) = await topics.members()
        assert (by_words.topic, by_words.topic_model, by_words.topic_confidence) == ("topics/环境保护", "", 0)
        await topics.activate()
        await running.apply(posts(BUS, NOISE, SCHOOL, UNSURE, first=2))
        _, bus, noise, school, unsure = await topics.members()
        # Beneath the label the words choose; a label that is in no tree is a topic all the same.
        assert [bus.topic, noise.topic, school.topic] == ["topics/交通运输", "topics/环境保护.噪声", "topics/教育文体"]
        assert {bus.topic_model, unsure.topic_model} == {"topicModels/1"}
        assert bus.topic_confidence >= LOW and not bus.topic_low
        assert unsure.topic_confidence < LOW and unsure.topic_low
        told = [unpack(each, event_pb2.Membership) for each in await running.changes() if "joined" in each.kind]
        assert [(each.topic, each.topic_model) for each in told[1:]] == [
            (each.topic, each.topic_model) for each in (bus, noise, school, unsure)
        ]

    run(database_url, body)


def test_what_is_told_does_not_depend_on_what_is_read_with_it(model: Path) -> None:
    texts = [each for words in WORDS.values() for each in words] * 20 + [NOISE, BUS, SCHOOL, UNSURE, "", "。"]
    loaded = TopicModel.load(model.read_bytes())
    together = loaded.predict(texts)
    assert [loaded.predict([text])[0] for text in texts] == together


def test_an_edited_text_has_the_topic_that_it_speaks_of_now(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await topics.activate()
        await running.apply(posts(BUS, BUS, BUS))
        assert await topics.event_topics() == {"交通运输": 1}
        for number in (1, 2):
            await topics.edit(number, SCHOOL, sequence=3 + number)
        assert list((await topics.topics()).values()) == ["教育文体", "教育文体", "交通运输"]
        assert await topics.event_topics() == {"教育文体": 1}
        before = await running.told()
        topics.restart()
        await running.apply(posts(BUS, first=8))
        assert await topics.event_topics() == {"教育文体": 1}
        assert len(await running.told()) == len(before) + 2

    run(database_url, body)


def test_texts_that_are_only_read_have_the_same_topic_with_the_label_as_it_was_trained(
    sqlite_url: str, model: Path
) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await topics.activate()
        texts = [reading_pb2.Text(subject=text, text=text) for text in (NOISE, UNSURE, "")]
        answer = await running.service.AnalyzeTexts(reading_pb2.AnalyzeTextsRequest(texts=texts), None)
        noise, unsure, nothing = (reading.topic for reading in answer.readings)
        assert (noise.topic, noise.label, list(noise.levels)) == (
            "topics/环境保护.噪声",
            "环境保护",
            ["环境保护", "噪声"],
        )
        assert noise.model == "topicModels/1" and not noise.low and unsure.low
        assert nothing == reading_pb2.TopicReading()

    run(sqlite_url, body)


# Another model


def test_stored_posts_are_told_anew_and_their_events_follow(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS, BUS, NOISE, UNSURE))
        assert await topics.event_topics() == {"环境保护": 1, "环境保护.噪声": 1, "城乡建设": 1}
        before = len(await running.changes())
        await topics.activate()
        assert await topics.rereading.catch_up() == 4
        assert await topics.rereading.catch_up() == 0
        assert await topics.event_topics() == {"交通运输": 1, "环境保护.噪声": 1, (await topics.topics())["p0004"]: 1}
        told = [(each.kind, each.revision) for each in (await running.changes())[before:]]
        # Of the noise only the confidence is another, which is not told; the unsure one is low now.
        assert told[:3] == [("membership.updated", 2)] * 3
        assert {kind for kind, _ in told[3:]} == {"event.updated"}
        await running.apply(posts(BUS, first=5))
        assert await topics.event_topics() == {"交通运输": 1, "环境保护.噪声": 1, (await topics.topics())["p0004"]: 1}
        await topics.deactivate()
        assert await topics.rereading.catch_up() == 5
        assert await topics.event_topics() == {"环境保护": 1, "环境保护.噪声": 1, "城乡建设": 1}

    run(database_url, body)


def test_rereading_goes_through_many_posts_in_steps_and_passes_over_those_without_text(
    sqlite_url: str, model: Path
) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(*[BUS, SCHOOL] * 225))
        await topics.edit(1, "", sequence=1000, kind="post.purged")
        await topics.activate()
        assert await topics.rereading.catch_up() == 449
        told = await topics.topics()
        assert told.pop("p0001") == "环境保护" and Counter(told.values()) == {"交通运输": 224, "教育文体": 225}

    run(sqlite_url, body)


def test_a_post_that_was_corrected_meanwhile_keeps_what_the_person_said(sqlite_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS, NOISE))
        await topics.correct(["p0001"], "城乡建设")
        await topics.activate()
        assert await topics.rereading.catch_up() == 1
        assert await topics.topics() == {"p0001": "城乡建设", "p0002": "环境保护.噪声"}

    run(sqlite_url, body)


# People


def test_what_is_unsure_waits_for_a_person_the_least_sure_first(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await topics.activate()
        await running.apply(posts(BUS, UNSURE, "你好", SCHOOL))
        waiting = await topics.members("topic_low = true", "topic_confidence")
        assert {member.name for member in waiting} == {"memberships/p0002", "memberships/p0003"}
        assert waiting[0].topic_confidence <= waiting[1].topic_confidence
        assert await topics.members('topic_low = true AND topic_model = "topicModels/2"') == []
        assert len(await topics.members("topic_confidence >= 0.6")) == 2
        # A person's word ends the waiting, and so does the end of the text.
        await topics.correct(["p0002"], "城乡建设")
        await topics.edit(3, "", sequence=9, kind="post.purged")
        assert await topics.members("topic_low = true") == []
        assert [member.name for member in await topics.members("topic_corrected = true")] == ["memberships/p0002"]

    run(database_url, body)


def test_a_correction_says_who_and_why_and_the_event_follows_its_posts(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS, BUS, BUS))
        before = len(await running.changes())
        await topics.correct(["p0001"], "城乡建设")
        assert await topics.event_topics() == {"环境保护": 1}
        await topics.correct(["p0003", "p0002"], "交通运输", reason="电话13812345678已核实")
        assert await topics.event_topics() == {"交通运输": 1}
        kinds = [each.kind for each in (await running.changes())[before:]]
        assert kinds == ["membership.updated"] * 3 + ["event.updated"]
        newest = (await topics.corrections())[0]
        assert (newest.membership, newest.topic, newest.author) == (
            "memberships/p0002",
            "topics/交通运输",
            "accounts/desk",
        )
        assert "13812345678" not in newest.reason
        assert len(await topics.corrections('topic = "topics/交通运输"')) == 2
        # Who joins posts knows of it too.
        await running.apply(posts(BUS, first=4))
        assert await topics.event_topics() == {"交通运输": 1}

    run(database_url, body)


def test_a_corrected_event_keeps_its_topic_whatever_is_posted_later(database_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS))
        (event,) = await running.events()
        assert (await topics.correct_event(event.name, "城乡建设")).topic == "topics/城乡建设"
        await running.apply(posts(BUS, BUS, first=2))
        topics.restart()
        await running.apply(posts(BUS, first=4))
        assert await topics.event_topics() == {"城乡建设": 1}
        assert Counter((await topics.topics()).values()) == {"城乡建设": 1, "环境保护": 3}
        assert (await topics.corrections())[0].event == event.name
        # Taken back, the text tells again.
        assert (await topics.correct_event(event.name, "")).topic == "topics/环境保护"
        assert Counter((await topics.topics()).values()) == {"环境保护": 4}
        assert not await topics.members("topic_corrected = true")

    run(database_url, body)


def test_models_learn_from_corrections_whose_text_is_kept_and_from_no_rehearsal(sqlite_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply([*posts(BUS, SCHOOL, NOISE), *posts(BUS, first=4, drill=True)])
        await topics.correct(["p0001", "p0002", "p0003", "p0004"], "环境保护.噪声")
        await topics.correct(["p0002"], "")
        await topics.edit(3, "", sequence=9, kind="post.purged")
        learnt = await running.store.read(topic_corrections.to_learn_from)
        assert [(subject, topic) for subject, _, topic in learnt] == [(BUS, "环境保护.噪声")]

    run(sqlite_url, body)


def test_wrong_corrections_are_refused_in_words(sqlite_url: str, model: Path) -> None:
    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        await running.apply(posts(BUS))
        with pytest.raises(InvalidArgument, match="in no topic tree"):
            await topics.correct(["p0001"], "教育文体")
        with pytest.raises(InvalidArgument, match=r"memberships\[1\]"):
            await topics.correct(["p0001", "p0009"], "交通运输")
        with pytest.raises(InvalidArgument, match="reason"):
            await topics.correct(["p0001"], "交通运输", reason="  ")
        await topics.activate()
        await topics.correct(["p0001"], "教育文体")
        # What lies outside the caller's reach is not there for them.
        set_current_principal(Principal("accounts/officer", roles=("desk",), topics=("topics/交通运输",)))
        with pytest.raises(InvalidArgument, match="not there"):
            await topics.correct(["p0001"], "交通运输")
        assert await topics.corrections() == []
        with pytest.raises(NotFound):
            await topics.correct_event("events/other", "交通运输")

    run(sqlite_url, body)


_WHAT = ("posts", "correct", "event", "back", "model", "none", "edit")


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from(_WHAT), st.integers(0, 9)), max_size=8))
def test_a_rebuild_comes_to_the_same_topics(
    tmp_path_factory: pytest.TempPathFactory, model: Path, steps: list[tuple[str, int]]
) -> None:
    """Whatever was trained and corrected in whatever order, reading the feed anew gives the same topics."""

    async def body(running: Running) -> None:
        topics = Topics(running, model)
        await topics.write_tree()
        feed = posts(BUS, SCHOOL, UNSURE, NOISE)
        await running.apply(feed)
        count, chosen = len(feed), ["交通运输", "城乡建设", "环境保护.噪声"]
        for what, number in steps:
            ids = [f"p{number % count + 1:04}"]
            if what == "posts":
                count += 1
                feed += posts([BUS, NOISE, SCHOOL][number % 3], first=count)
                await running.apply(feed[-1:])
            elif what in ("correct", "back"):
                await topics.correct(ids, chosen[number % 3] if what == "correct" else "")
            elif what == "event":
                events = await running.events()
                await topics.correct_event(events[number % len(events)].name, chosen[number % 3])
            elif what == "model":
                await topics.activate()
            elif what == "none":
                await topics.deactivate()
            else:
                post = post_pb2.Post(name=f"posts/{ids[0]}", source="sources/board", text=SCHOOL)
                feed.append(change(len(feed) + 1, "post.updated", post))
                await running.apply(feed[-1:])
            if number % 2:
                await topics.rereading.catch_up()
        await topics.rereading.catch_up()
        columns = [POSTS.c[name] for name in ("id", "event_id", "topic", "topic_model", "topic_low", "topic_decides")]
        query = select(*columns).order_by(POSTS.c.number)
        before = await running.store.read(lambda connection: connection.execute(query).all())
        events_before = {event.name: event.topic for event in await running.events()}
        await running.store.write(rebuilding.forget)
        topics.restart()
        for each in feed:
            await running.apply([each])
        assert await running.store.read(lambda connection: connection.execute(query).all()) == before
        assert {event.name: event.topic for event in await running.events()} == events_before

    run(f"sqlite:///{tmp_path_factory.mktemp('topics') / 'test.db'}", body)
