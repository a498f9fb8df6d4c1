"""Answers of the past: taken over, found with their sources, remembered when a reply is published, forgotten."""

from __future__ import annotations

from datetime import timedelta

import grpc
from huiyin.casework.v1 import answer_pb2
from huiyin_casework.pastanswers import AnswerSearch
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import check_clocks
from huiyin_casework.store import ANSWERS
from huiyin_casework.worker.following import Following
from huiyin_casework.worker.forgetting import Forgetting
from huiyin_chassis import clock
from huiyin_chassis.feed import Feed
from huiyin_chassis.identity import Principal
from huiyin_chassis.policies import Policies
from sqlalchemy import func, select

from tests.integration.casework.conftest import ORDER, Office, Run, joined, opened

Answer = answer_pb2.Answer

LAMPS = Answer(
    subject="东街路灯不亮",
    question="东街路灯坏了半个月，请联系13812345678",
    text="网友“山里人”您好！线缆已更换，当晚恢复照明。咨询电话0731-5550123。",
    unit_display_name="城管局",
    external_id="17",
)
LIFT = Answer(subject="加装电梯", question="老楼能不能加装电梯", text="须经本单元三分之二以上业主同意。")
OTHER = Principal("accounts/li", roles=("officer",), units=("roads",))


async def _import(office: Office, *answers: Answer) -> tuple[int, int, int]:
    request = answer_pb2.BatchCreateAnswersRequest(source="旧系统", answers=answers)
    done = await office.call("BatchCreateAnswers", request)
    return done.created, done.updated, done.unchanged


async def _found(office: Office, who: str | Principal = "officer", **fields: str) -> list[answer_pb2.AnswerHit]:
    return list((await office.call("SearchAnswers", answer_pb2.SearchAnswersRequest(**fields), who)).hits)


def test_an_answer_is_taken_over_masked_and_without_the_name_that_it_begins_with(run: Run) -> None:
    async def test(office: Office) -> None:
        assert await _import(office, LAMPS, LIFT) == (2, 0, 0)
        hit = (await _found(office, text="东街的路灯何时修好"))[0]
        assert hit.answer.question == "东街路灯坏了半个月，请联系〔电话〕"
        assert hit.answer.text == "网友您好！线缆已更换，当晚恢复照明。咨询电话0731-5550123。"
        assert (hit.answer.source, hit.answer.external_id, hit.answer.unit_display_name) == ("旧系统", "17", "城管局")
        assert 0 < hit.share <= 1
        assert await office.call("GetAnswer", answer_pb2.GetAnswerRequest(name=hit.answer.name)) == hit.answer

    run(test)


def test_again_changes_nothing_and_an_edited_one_takes_the_place_of_the_first(run: Run) -> None:
    async def test(office: Office) -> None:
        await _import(office, LAMPS, LIFT)
        assert await _import(office, LAMPS, LIFT) == (0, 0, 2)
        edited = Answer()
        edited.CopyFrom(LAMPS)
        edited.text = "灯杆已更换为太阳能灯。"
        assert await _import(office, edited) == (0, 1, 0)
        hits = await _found(office, text="东街路灯 太阳能灯")
        assert [hit.answer.text for hit in hits] == ["灯杆已更换为太阳能灯。"]

    run(test)


def test_an_answer_that_was_deleted_is_not_found_and_only_the_desk_writes_them(run: Run) -> None:
    async def test(office: Office) -> None:
        await _import(office, LAMPS, LIFT)
        (hit,) = await _found(office, text="加装电梯要多少业主同意")
        delete = answer_pb2.DeleteAnswerRequest(name=hit.answer.name)
        assert (await office.refusal("DeleteAnswer", delete, "officer")).code == grpc.StatusCode.PERMISSION_DENIED
        await office.call("DeleteAnswer", delete)
        assert await _found(office, text="加装电梯要多少业主同意") == []
        assert (await office.refusal("DeleteAnswer", delete)).code == grpc.StatusCode.NOT_FOUND
        assert (await office.refusal("SearchAnswers", answer_pb2.SearchAnswersRequest())).violations[0].field == "text"
        empty = answer_pb2.BatchCreateAnswersRequest(source="x", answers=[Answer(text=" ")])
        assert (await office.refusal("BatchCreateAnswers", empty)).violations[0].field == "answers[0].text"

    run(test)


def test_a_published_reply_is_offered_for_a_like_case_and_its_question_only_within_reach(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1", text="三号楼停水三天，请问何时恢复供水？"))
        answered = await office.take(await office.case("e1"), *ORDER)
        await office.tell(opened("e2"), joined("e2", "p2", text="五号楼停水两天，请问何时恢复供水？"))
        case = await office.case("e2")
        (hit,) = await _found(office, "desk", case=case.name)
        assert hit.answer.reply == answered.reply
        assert (hit.answer.text, hit.answer.unit_display_name) == ("管网已抢修完毕，今晨恢复供水。", "诉求受理中心")
        assert "三号楼停水三天" in hit.answer.question
        # A case is not offered its own answer.
        assert await _found(office, "desk", case=answered.name) == []
        (beyond,) = await _found(office, OTHER, text="停水何时恢复供水")
        assert (beyond.answer.text, beyond.answer.question, beyond.answer.subject) == (hit.answer.text, "", "")
        assert (await office.refusal("SearchAnswers", answer_pb2.SearchAnswersRequest(case=case.name), OTHER)).code == (
            grpc.StatusCode.NOT_FOUND
        )
        ours = answer_pb2.DeleteAnswerRequest(name=hit.answer.name)
        assert (await office.refusal("DeleteAnswer", ours)).reason == "NOT_IMPORTED"

    run(test)


def test_what_an_inquiry_asked_is_not_found_any_more_once_its_text_was_purged(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1", text="麻雀桥停水"))
        await office.take(await office.case("e1"), *ORDER)
        assert len(await _found(office, text="麻雀桥")) == 1
        await office.tell(joined("e1", "p1", "membership.purged"))
        assert await _found(office, text="麻雀桥") == []
        (hit,) = await _found(office, text="管网抢修完毕")
        assert hit.answer.question == ""

    run(test)


def test_the_answer_of_a_rehearsal_is_never_offered(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1", drill=True), joined("e1", "p1", drill=True))
        await office.take(await office.case("e1"), *ORDER)
        assert await _found(office, text="管网抢修完毕恢复供水") == []

    run(test)


def test_answers_are_destroyed_when_their_term_is_over(run: Run) -> None:
    async def test(office: Office) -> None:
        rules = Rules(Policies({"clocks": check_clocks}))
        forgetting = Forgetting(
            office.store, Feed(office.store), rules, Following(rules), feed_days=90, answer_days=3650
        )
        await _import(office, LAMPS)
        count = select(func.count()).select_from(ANSWERS)
        for days, left in ((3649, 1), (3651, 0)):
            with clock.stopped(clock.now() + timedelta(days=days)):
                await forgetting.forget()
            assert await office.store.read(lambda connection: connection.scalar(count)) == left
        assert await _found(office, text="东街路灯") == []

    run(test)


def test_the_index_follows_the_table_in_steps_and_says_how_far_it_is(run: Run) -> None:
    async def test(office: Office) -> None:
        for start in range(0, 500, 100):
            rows = [
                Answer(question=f"第{number}号楼停水", text="已恢复。", external_id=str(number))
                for number in range(start, start + 100)
            ]
            await _import(office, *rows)
        fresh = AnswerSearch()
        matches, searched, total = await office.store.read(lambda connection: fresh.search(connection, "第499号楼", 1))
        assert (len(matches), searched, total) == (1, 200, 500)
        while await office.store.read(fresh.follow):
            pass
        assert (await office.store.read(lambda connection: fresh.search(connection, "第3号楼", 1)))[1:] == (500, 500)

    run(test)
