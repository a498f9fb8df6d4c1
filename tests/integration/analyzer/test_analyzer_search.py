"""Search on a real store: what is found, in which order, by whom; and that nothing of a purged text is left."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import huiyin_analyzer
import pytest
from huiyin.analyzer.v1 import place_pb2, search_pb2
from huiyin.collector.v1 import post_pb2
from huiyin.type.v1 import feed_pb2, grade_pb2
from huiyin_analyzer.model import search as model
from huiyin_analyzer.service import AnalyzerServicer
from huiyin_analyzer.service.policies import check_grading
from huiyin_analyzer.store import EVENTS, MIGRATIONS, POSTS, SEARCH_POSTS, AnalyzerStore, search
from huiyin_analyzer.worker import indexing
from huiyin_analyzer.worker.following import Analysis
from huiyin_analyzer.worker.forgetting import Forgetting
from huiyin_analyzer.worker.indexing import Indexing
from huiyin_chassis.clock import micros_to_timestamp
from huiyin_chassis.consumer import FeedPosition
from huiyin_chassis.errors import InvalidArgument
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal, set_current_principal
from huiyin_chassis.policies import Policies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from tests.databases import migrate

GRADING = (Path(huiyin_analyzer.__file__).parent / "data" / "grading.yaml").read_text("utf-8")
EPOCH = str(uuid.UUID(int=7))
SECOND = 1_000_000
DESK = Principal("accounts/desk", roles=("desk",), everywhere=True)
Filter = search_pb2.SearchFilter


class Running:
    """An analyzer without its server: what it consumes comes from the test."""

    def __init__(self, store: AnalyzerStore) -> None:
        self.store = store
        self.policies = Policies({"grading": check_grading})
        self.analysis = Analysis(self.policies)
        self.service = AnalyzerServicer(store, Feed(store), self.policies)
        self.indexing = Indexing(store)
        self.told = 0

    async def tell(self, kind: str, *posts: post_pb2.Post) -> None:
        """Takes posts over as the collector tells of them."""
        changes = []
        for post in posts:
            self.told += 1
            change = feed_pb2.Change(sequence=self.told, kind=kind, name=post.name, revision=1, drill=post.drill)
            change.resource.Pack(post)
            changes.append(change)
        await self.store.write(lambda tx: self.analysis.apply(tx, changes, FeedPosition(EPOCH)))

    async def take(self, *posts: post_pb2.Post) -> None:
        """Takes posts over and indexes them."""
        await self.tell("post.created", *posts)
        await self.indexing.catch_up()

    async def search(
        self, query: str = "", *, order_by: str = "", page_size: int = 0, page_token: str = "", **filters: Any
    ) -> search_pb2.SearchMembershipsResponse:
        request = search_pb2.SearchMembershipsRequest(
            filter=Filter(query=query, **filters), order_by=order_by, page_size=page_size, page_token=page_token
        )
        return await self.service.SearchMemberships(request, None)

    async def found(self, query: str = "", **request: Any) -> list[str]:
        """External ids of what is found, in its order."""
        return [hit.membership.external_id for hit in (await self.search(query, **request)).hits]


def post(number: int, text: str, subject: str = "", *, second: int | None = None, **fields: Any) -> post_pb2.Post:
    return post_pb2.Post(
        name=f"posts/p{number:04}",
        external_id=str(number),
        subject=subject,
        text=text,
        publish_time=micros_to_timestamp((number if second is None else second) * SECOND),
        **{"source": "sources/board", **fields},
    )


def run(url: str, test: Callable[[Running], Awaitable[None]]) -> None:
    async def body() -> None:
        set_current_principal(DESK)
        store = AnalyzerStore(url)
        await store.open()
        running = Running(store)
        await store.write(lambda tx: running.policies.seed(tx, "grading", GRADING))
        await running.indexing.prepare()
        try:
            await test(running)
        finally:
            await store.close()

    migrate(url, MIGRATIONS)
    asyncio.run(body())


def test_words_phrases_exclusions_and_alternatives(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(
            post(1, "A3区丽发新城小区夜间施工，噪音扰民"),
            post(2, "夜间有噪音，施工单位不理"),
            post(3, "自来水停水三天，Wi-Fi 也断了"),
            post(4, "停电，ＡＢＣ大厦没有电梯"),
        )
        for query, expected in {
            "丽发": ["1"],
            "丽发新城": ["1"],
            "夜间施工": ["2", "1"],
            '"夜间施工"': ["1"],
            "噪音 -扰民": ["2"],
            '施工 -"施工单位"': ["1"],
            "停水 OR 停电": ["4", "3"],
            "停水 OR 停电 电梯": ["4"],
            "wi-fi": ["3"],
            "abc": ["4"],
            "音扰": ["1"],
            "-施工": ["4", "3"],
            "没有的话": [],
        }.items():
            assert await running.found(query, order_by="publish_time desc") == expected, query

    run(database_url, body)


def test_traditional_and_simplified_find_each_other_and_are_marked_as_they_stand(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "工地夜間施工擾民"), post(2, "工地夜间施工扰民"))
        for query in ("夜間施工", "夜间施工", '"施工擾民"'):
            assert await running.found(query, order_by="publish_time desc") == ["2", "1"]
        hits = (await running.search("夜间", order_by="publish_time desc")).hits
        assert [piece.text for hit in hits for piece in hit.snippet if piece.matches] == ["夜间", "夜間"]

    run(database_url, body)


def test_a_name_of_the_gazetteer_is_searched_whole(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "荷塘新村的噪音"), post(2, "荷塘有噪音，新村里也有"))
        assert await running.found("荷塘新村噪音", order_by="publish_time desc") == ["2", "1"]
        places = [place_pb2.Place(name="places/荷塘新村")]
        await running.service.BatchUpdatePlaces(place_pb2.BatchUpdatePlacesRequest(places=places), None)
        assert await running.found("荷塘新村噪音", order_by="publish_time desc") == ["1"]

    run(database_url, body)


def test_the_subject_counts_for_more_and_so_do_words_that_stand_as_they_were_typed(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(
            post(1, "请管管", "丽发新城夜间施工"),
            post(2, "丽发新城不让夜间施工"),
            post(3, "请管管", "新城与丽发夜间都施工"),
            post(4, "半夜不睡觉，施工一整夜，新城的人与丽发的人都在夜间", "请管管丽发"),
            post(5, "新城与丽发夜间都施工"),
            post(6, "丽发没有别的词"),
        )
        assert await running.found("丽发新城 夜间施工") == ["1", "3", "2", "4", "5"]
        assert await running.found("丽发新城 夜间施工", order_by="publish_time desc") == ["5", "4", "3", "2", "1"]

    run(database_url, body)


def test_filters_narrow_to_topics_places_sources_grades_and_times(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(
            post(1, "A市A3区夜间施工噪音扰民", second=100, expects_answer=True),
            post(2, "A市A7县停水三天了", second=200),
            post(3, "B市B2区拖欠工资", second=300, source="sources/news"),
            post(4, "A市A3区演练停水", second=400, drill=True),
        )
        everything = await running.found()
        assert everything == ["3", "2", "1"]
        assert await running.found(place="places/A市") == ["2", "1"]
        assert await running.found(place="places/A市.A3区") == ["1"]
        assert await running.found("停水", place="places/A市") == ["2"]
        assert await running.found(source="sources/news") == ["3"]
        assert await running.found(expects_answer=True) == ["1"]
        assert await running.found(expects_answer=False) == ["3", "2"]
        assert await running.found(drill=True) == ["4"]
        since, until = micros_to_timestamp(200 * SECOND), micros_to_timestamp(300 * SECOND)
        assert await running.found(since=since) == ["3", "2"]
        assert await running.found(since=since, until=until) == ["2"]
        assert await running.found(topic="topics/不存在") == []
        # What an event is called, and how it is graded, changes; its posts are found by what it is now.
        event = (await running.search("噪音")).hits[0].event.name
        await running.store.write(
            lambda tx: tx.execute(
                update(EVENTS)
                .where(EVENTS.c.id == event[7:])
                .values(grade=grade_pb2.GRADE_SERIOUS, topic="环境保护.噪声污染")
            )
        )
        await running.store.write(lambda tx: tx.changes.add("event.updated", event, 9, search_pb2.Piece()))
        await running.indexing.catch_up()
        assert await running.found(topic="topics/环境保护") == ["1"]
        assert await running.found("施工", least_grade=grade_pb2.GRADE_LARGE) == ["1"]
        assert await running.found(least_grade=grade_pb2.GRADE_ESPECIALLY_SERIOUS) == []

    run(database_url, body)


def test_only_what_is_within_reach_is_found(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "请问A市A3区路灯"), post(2, "请问B市电梯"), post(3, "请问图书馆"))
        set_current_principal(Principal("accounts/officer", places=("places/A市",)))
        assert await running.found("请问") == ["1"]
        assert await running.found("请问", place="places/B市") == []
        assert (await running.search("请问")).total_size == 1
        # At once, even where the index does not know yet that an event is elsewhere now.
        await running.store.write(lambda tx: tx.execute(update(EVENTS).values(place="C市")))
        assert await running.found("请问") == []

    run(database_url, body)


def test_what_is_looked_for_is_marked(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "很长的话。" * 40 + "夜间 施工太吵" + "还有话。" * 40, "关于夜间施工的投诉"))
        (hit,) = (await running.search('"夜间施工"')).hits
        assert [(piece.text, piece.matches) for piece in hit.subject] == [
            ("关于", False),
            ("夜间施工", True),
            ("的投诉", False),
        ]
        assert [piece.text for piece in hit.snippet if piece.matches] == ["夜间 施工"]
        assert hit.snippet[0].text == hit.snippet[-1].text == "…"
        assert hit.membership.event == hit.event.name

    run(database_url, body)


@pytest.mark.parametrize("order_by", ["relevance", "publish_time desc"])
def test_pages_hold_each_post_once(database_url: str, order_by: str) -> None:
    async def body(running: Running) -> None:
        await running.take(*(post(number, f"停水第{number}次" + "，停水" * (number % 7)) for number in range(1, 31)))
        whole = await running.found("停水", order_by=order_by)
        pages: list[str] = []
        token = ""
        while True:
            found = await running.search("停水", order_by=order_by, page_size=7, page_token=token)
            pages += [hit.membership.external_id for hit in found.hits]
            token = found.next_page_token
            if not token:
                break
            # What comes meanwhile shifts nothing.
            if order_by == "publish_time desc":
                await running.take(post(100 + len(pages), "又停水"))
        assert pages == whole and len(set(whole)) == 30
        with pytest.raises(InvalidArgument):
            await running.search("停电", page_token=(await running.search("停水", page_size=2)).next_page_token)

    run(database_url, body)


def test_counts_are_capped_and_said_to_be(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huiyin_analyzer.service.search.LOOKED_AT", 5)
    monkeypatch.setattr(search, "LOOKED_AT", 5)

    async def body(running: Running) -> None:
        await running.take(*(post(number, f"停水第{number}次") for number in range(1, 9)), post(9, "停电"))
        found = await running.search("停水")
        assert (found.total_size, found.total_capped) == (5, True)
        found = await running.search("停电")
        assert (found.total_size, found.total_capped) == (1, False)

    run(sqlite_url, body)


def test_events_are_found_by_their_posts_each_once(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(
            *(post(n, "A市A3区碧水湾小区夜间施工噪音扰民", "碧水湾小区夜间施工噪音扰民") for n in range(1, 4)),
            *(post(n, "B市金桂华庭施工方拖欠农民工工资", "金桂华庭拖欠农民工工资") for n in range(4, 6)),
            post(6, "A市望江花园自来水停水", "望江花园自来水停水"),
        )
        request = search_pb2.SearchEventsRequest(filter=Filter(query="施工"), page_size=1)
        first = await running.service.SearchEvents(request, None)
        assert (first.total_size, first.total_capped) == (2, False)
        request.page_token = first.next_page_token
        second = await running.service.SearchEvents(request, None)
        assert not second.next_page_token
        hits = [*first.hits, *second.hits]
        assert [(hit.match_count, hit.newest.membership.external_id) for hit in hits] == [(2, "5"), (3, "3")]
        assert [piece.text for piece in hits[0].newest.snippet if piece.matches] == ["施工"]

    run(database_url, body)


def test_late_arrivals_are_found_where_they_belong(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(*(post(n, f"停水{n}", second=5) for n in range(70)))
        await running.take(post(200, "停水", second=9), post(201, "停水", second=1), post(202, "停水", second=5))
        found = await running.found("停水", order_by="publish_time desc", page_size=100)
        assert found[0] == "200" and found[-1] == "201" and found[1] == "202" and len(found) == 73

    run(database_url, body)


def test_an_edited_text_is_found_by_its_new_words_alone(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "张家村停水"), post(2, "李家村停水"))
        await running.tell("post.updated", post(1, "张家村停电"))
        assert await running.found("停水") == ["2"]
        await running.indexing.catch_up()
        assert await running.found("停电") == ["1"]
        assert await running.found("停水") == ["2"]

    run(database_url, body)


def test_a_purged_text_is_not_found_and_its_words_are_gone_from_the_files(sqlite_url: str, tmp_path: Path) -> None:
    name = "魑魅山庄"

    async def body(running: Running) -> None:
        await running.take(*(post(n, f"第{n}次反映路灯不亮") for n in range(2, 300)))
        await running.take(post(1, f"{name}停水"))
        assert await running.found(name) == ["1"]
        await running.tell("post.purged", post(1, ""))
        assert await running.found(name) == []
        await Forgetting(running.store, Feed(running.store), running.analysis, running.indexing, feed_days=90).forget()
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert not any(token.encode() in content for token in model.tokens(name))
        assert "路灯".encode() in content
        await running.indexing.catch_up()
        assert await running.found(name) == [] and len(await running.found("路灯", page_size=100)) == 100

    run(sqlite_url, body)


def test_what_was_purged_before_it_was_indexed_is_never_found(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.tell("post.created", post(1, "停水"), post(2, "停水"))
        await running.tell("post.purged", post(1, ""))
        await running.indexing.catch_up()
        assert await running.found("停水") == ["2"]

    run(database_url, body)


def test_an_index_of_another_form_is_built_anew(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "停水"), post(2, "停水"))
        monkeypatch.setattr(model, "FORM", "another")
        await running.tell("post.created", post(3, "停水"))
        await running.indexing.catch_up()
        assert await running.found("停水") == ["3", "2", "1"]

    run(database_url, body)


def test_a_text_that_was_overwritten_behind_its_back_makes_the_index_anew(sqlite_url: str) -> None:
    async def body(running: Running) -> None:
        await running.take(post(1, "停水"), post(2, "停水"))
        await running.store.write(lambda tx: tx.execute(update(POSTS).where(POSTS.c.id == "p0001").values(text="停电")))
        await running.tell("post.updated", post(1, "停气"))
        await running.indexing.catch_up()
        assert (await running.found("停水"), await running.found("停气")) == (["2"], ["1"])

    run(sqlite_url, body)


def test_work_that_was_cut_off_is_done_once(database_url: str) -> None:
    async def body(running: Running) -> None:
        await running.tell("post.created", *(post(n, f"停水{n}") for n in range(250)))
        await running.indexing.step()
        # Another process begins where the first was killed.
        await Indexing(running.store).catch_up()
        rows = await running.store.read(lambda c: c.scalar(select(func.count()).select_from(SEARCH_POSTS)))
        assert rows == 250 == (await running.search("停水")).total_size

    run(database_url, body)


def test_posts_are_indexed_even_while_others_never_rest(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_PATIENCE_SECONDS", 0.2)

    async def body(running: Running) -> None:
        task = asyncio.create_task(running.indexing.run())
        found: list[str] = []
        async with asyncio.timeout(30):
            for number in itertools.count(1):
                await running.tell("post.created", post(number, "停水"))
                found = await running.found("停水")
                if len(found) >= 10:
                    break
        task.cancel()
        assert found == [str(int(found[0]) - place) for place in range(len(found))]

    run(database_url, body)


@pytest.mark.parametrize(("query", "order_by"), [("停水 OR", ""), ("水", ""), ("停水", "voice"), ("！", "")])
def test_what_cannot_be_searched_is_refused(sqlite_url: str, query: str, order_by: str) -> None:
    async def body(running: Running) -> None:
        with pytest.raises(InvalidArgument):
            await running.search(query, order_by=order_by)

    run(sqlite_url, body)


LETTERS = "停水电梯a3 ，"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(LETTERS, min_size=1, max_size=12), min_size=1, max_size=12), phrase=st.data())
def test_a_phrase_finds_what_contains_it(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], phrase: Any
) -> None:
    wanted = phrase.draw(st.text("停水电梯", min_size=2, max_size=4))
    url = f"sqlite:///{tmp_path_factory.mktemp('search') / 'test.db'}"

    async def body(running: Running) -> None:
        await running.take(*(post(number, text) for number, text in enumerate(texts)))
        found = await running.found(f'"{wanted}"', page_size=100)
        assert set(found) == {str(number) for number, text in enumerate(texts) if wanted in text}

    run(url, body)
