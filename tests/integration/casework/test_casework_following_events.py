"""How cases follow events, each cell of the table by a feed that tells of it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from huiyin.analyzer.v1 import regrouping_pb2
from huiyin.casework.v1 import case_pb2, inquiry_pb2, task_pb2
from huiyin_casework.store import INQUIRIES
from huiyin_chassis import clock
from huiyin_chassis.tables import PARKED_CHANGES
from sqlalchemy import func, select

from tests.integration.casework.conftest import (
    LARGE,
    ORDER,
    SERIOUS,
    Office,
    Run,
    joined,
    merged,
    moved,
    opened,
    proposed,
    updated,
)

Case = case_pb2.Case
Kind = task_pb2.Task.Kind

MONDAY = datetime(2026, 3, 2, 10, tzinfo=ZoneInfo("Asia/Shanghai")).astimezone(UTC)


# When a case opens


def test_a_case_opens_for_an_inquiry_and_for_a_large_event_and_for_nothing_else(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(
            opened("asked"),
            joined("asked", "p1"),
            opened("heard"),
            joined("heard", "p2", expects_answer=False),
            opened("large", grade=LARGE),
            opened("grows"),
            updated("grows", grade=LARGE),
        )
        assert {case.event for case in await office.cases()} == {"events/asked", "events/large", "events/grows"}

    run(test)


def test_the_clock_starts_when_we_receive_the_inquiry_not_when_it_was_published(run: Run) -> None:
    async def test(office: Office) -> None:
        long_ago = clock.to_timestamp(datetime(2019, 12, 30, 14, 5, tzinfo=UTC))
        with clock.stopped(MONDAY):
            await office.tell(opened("e1"), joined("e1", "p1", publish_time=long_ago))
            case = await office.case("e1")
            (inquiry,) = await office.inquiries(case)
        assert inquiry.publish_time == long_ago
        assert inquiry.receive_time == clock.to_timestamp(MONDAY)
        assert clock.from_timestamp(case.deadline) == MONDAY.replace(day=5)

    run(test)


# Event gains an inquiry


@pytest.mark.parametrize("steps", [(), ("assign",), ORDER[:5]])
def test_an_inquiry_joins_the_case_until_its_answer_is_published(run: Run, steps: tuple[str, ...]) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), *steps)
        await office.tell(joined("e1", "p2"))
        assert await office.posts(case) == {"p1", "p2"}
        assert (await office.case("e1")).inquiry_count == 2

    run(test)


@pytest.mark.parametrize("steps", [ORDER, (*ORDER, "close")])
def test_after_the_answer_a_linked_successor_opens_and_is_offered_it(run: Run, steps: tuple[str, ...]) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1", grade=LARGE))
        answered = await office.take(await office.case("e1"), *steps)
        await office.tell(joined("e1", "p1"), joined("e1", "p2"))
        (successor,) = await office.cases('event = "events/e1" AND state = REGISTERED')
        assert (successor.predecessor, successor.standing_reply) == (answered.name, answered.reply)
        assert await office.posts(successor) == {"p1", "p2"}
        assert (await office.steps(answered))[-1] == "case.linked"
        await office.sent()
        assert office.analyzer.holds == {"e1": 1 if "close" in steps else 2}

    run(test)


# Events merge


def test_cases_that_nobody_works_on_merge_with_their_events(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(
            opened("e1"),
            joined("e1", "p1"),
            opened("e2"),
            joined("e2", "p2"),
            merged("e2", "e1"),
            moved("e1", "p2", "e2"),
        )
        case = await office.case("e1")
        assert await office.posts(case) == {"p1", "p2"}
        (gone,) = await office.cases("state = MERGED")
        assert (gone.merged_into, gone.inquiry_count) == (case.name, 0)
        assert (await office.steps(gone))[-1] == "case.merged"
        assert await office.tasks() == []

    run(test)


@pytest.mark.parametrize("working", ["e1", "e2"])
def test_once_one_of_them_is_assigned_the_desk_is_asked(run: Run, working: str) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
        await office.take(await office.case(working), "assign")
        await office.tell(merged("e2", "e1"), moved("e1", "p2", "e2"), joined("e1", "p3"))
        (task,) = await office.tasks()
        into, apart = await office.case("e1"), await office.case("e2")
        assert (task.kind, task.case, task.other_case) == (Kind.KIND_EVENTS_MERGED, into.name, apart.name)
        assert (await office.posts(into), await office.posts(apart)) == ({"p1", "p3"}, {"p2"})
        await office.sent()
        assert office.analyzer.holds["e1"] == 2

    run(test)


def test_the_case_of_an_event_goes_with_it_into_one_that_has_none(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), opened("e2"), joined("e2", "p2"))
        case = await office.take(await office.case("e2"), "assign")
        await office.tell(merged("e2", "e1"), moved("e1", "p2", "e2"), joined("e1", "p3"))
        assert (await office.case("e1")).name == case.name
        assert await office.posts(case) == {"p2", "p3"}
        await office.sent()
        assert office.analyzer.holds["e1"] == 2

    run(test)


@pytest.mark.parametrize("steps", [ORDER, (*ORDER, "close")])
def test_an_answered_case_never_moves_but_is_linked(run: Run, steps: tuple[str, ...]) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2", grade=LARGE))
        answered = await office.take(await office.case("e2"), *steps)
        await office.tell(merged("e2", "e1"))
        assert (await office.case("e2")).name == answered.name
        assert (await office.steps(answered))[-1] == "case.linked"
        assert await office.posts(await office.case("e1")) == {"p1"}
        assert await office.tasks() == []

    run(test)


def test_an_open_case_whose_event_merges_with_an_answered_one_is_its_successor(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1", grade=LARGE), opened("e2"), joined("e2", "p2"))
        answered = await office.take(await office.case("e1"), *ORDER)
        waiting = await office.case("e2")
        await office.tell(merged("e2", "e1"), moved("e1", "p2", "e2"), joined("e1", "p3"))
        (open_case,) = await office.cases('event = "events/e1" AND state = REGISTERED')
        assert (open_case.name, open_case.predecessor) == (waiting.name, answered.name)
        assert open_case.standing_reply == answered.reply
        assert await office.posts(open_case) == {"p2", "p3"}

    run(test)


def test_a_chain_of_merges_leads_to_the_last_event(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(
            *(told for n in "123" for told in (opened(f"e{n}"), joined(f"e{n}", f"p{n}"))),
            merged("e3", "e2"),
            merged("e2", "e1"),
            moved("e2", "p3", "e3"),
            moved("e1", "p2", "e2"),
            moved("e1", "p3", "e2"),
        )
        assert await office.posts(await office.case("e1")) == {"p1", "p2", "p3"}
        assert len(await office.cases("state = MERGED")) == 2

    run(test)


# Event splits


def test_a_case_that_nobody_works_on_splits_with_its_event(run: Run) -> None:
    async def test(office: Office) -> None:
        with clock.stopped(MONDAY):
            await office.tell(opened("e1"), joined("e1", "p1"), joined("e1", "p2"))
        promised = (await office.case("e1")).deadline
        with clock.stopped(MONDAY.replace(day=3)):
            await office.tell(opened("e2", split_from="events/e1"), moved("e2", "p2", "e1"))
        first, second = await office.case("e1"), await office.case("e2")
        assert (await office.posts(first), await office.posts(second)) == ({"p1"}, {"p2"})
        assert (first.inquiry_count, second.inquiry_count) == (1, 1)
        assert second.deadline == promised
        assert "case.inquiry_moved" in await office.steps(first)

    run(test)


def test_of_an_assigned_case_the_desk_decides_what_moves(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), *(joined("e1", f"p{n}") for n in range(4)))
        case = await office.take(await office.case("e1"), "assign")
        await office.tell(opened("e2", split_from="events/e1"), moved("e2", "p2", "e1"), moved("e2", "p3", "e1"))
        (task,) = await office.tasks()
        assert (task.kind, task.case, task.event) == (Kind.KIND_EVENT_SPLIT, case.name, "events/e2")
        assert await office.posts(case) == {"p0", "p1", "p2", "p3"}
        await office.call("CompleteTask", task_pb2.CompleteTaskRequest(name=task.name, note="仍由原单位办理"))
        await office.tell(moved("e2", "p3", "e1"), moved("e2", "p1", "e1"))
        (another,) = await office.tasks()
        assert another.inquiry != task.inquiry

    run(test)


def test_what_the_analyzer_proposes_for_an_assigned_case_is_a_task_until_it_is_decided(run: Run) -> None:
    state = regrouping_pb2.Regrouping.State

    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
        await office.tell(proposed(1, "e2", "e1", state=state.STATE_PROPOSED))
        assert await office.tasks() == []  # nobody works on either
        case = await office.take(await office.case("e1"), "assign")
        await office.tell(proposed(2, "e2", "e1", state=state.STATE_PROPOSED))
        (task,) = await office.tasks()
        assert (task.kind, task.case, task.event) == (Kind.KIND_REPAIR_PROPOSED, case.name, "events/e2")
        assert task.regrouping == "regroupings/2"
        await office.tell(proposed(2, "e2", "e1", state=state.STATE_DISMISSED))
        assert await office.tasks() == [] and "task.completed" in await office.steps(await office.case("e1"))

    run(test)


def test_an_answered_case_keeps_what_it_answered(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), *ORDER)
        await office.tell(opened("e2", split_from="events/e1"), moved("e2", "p1", "e1"))
        assert await office.posts(case) == {"p1"}
        assert await office.cases('event = "events/e2"') == []
        assert (await office.steps(case))[-1] == "case.linked"

    run(test)


# Grades


@pytest.mark.parametrize("steps", [(), ("assign", "accept")])
def test_a_grade_that_rises_shortens_the_clock_from_its_start_and_one_that_falls_keeps_the_promise(
    run: Run, steps: tuple[str, ...]
) -> None:
    async def test(office: Office) -> None:
        with clock.stopped(MONDAY):
            await office.tell(opened("e1"), joined("e1", "p1"))
        await office.take(await office.case("e1"), *steps)
        await office.tell(updated("e1", grade=SERIOUS))
        urgent = await office.case("e1")
        assert urgent.urgent
        assert clock.from_timestamp(urgent.deadline) == MONDAY.replace(day=4)
        await office.tell(updated("e1"))
        calm = await office.case("e1")
        assert not calm.urgent
        assert calm.deadline == urgent.deadline
        assert [step for step in await office.steps(calm) if "grade" in step] == ["case.grade_rose", "case.grade_fell"]

    run(test)


@pytest.mark.parametrize("steps", [ORDER, (*ORDER, "close")])
def test_an_answered_case_is_untouched_by_grades_and_a_rise_opens_its_successor(
    run: Run, steps: tuple[str, ...]
) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1", grade=SERIOUS))
        answered = await office.take(await office.case("e1"), *steps)
        await office.tell(updated("e1", grade=LARGE))
        assert [case.name for case in await office.cases()] == [answered.name]
        await office.tell(updated("e1", grade=SERIOUS))
        (successor,) = await office.cases("state = REGISTERED")
        assert (successor.predecessor, successor.urgent) == (answered.name, True)

    run(test)


# Texts


def test_a_purged_text_is_destroyed_and_the_chain_still_verifies(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.take(await office.case("e1"), *ORDER)
        for task in await office.tasks():
            await office.call("CompleteTask", task_pb2.CompleteTaskRequest(name=task.name, note="已回复"))
        await office.take(case, "close")
        await office.tell(joined("e1", "p1", "membership.purged", subject="", text=""))
        (inquiry,) = await office.inquiries(case)
        assert (inquiry.subject, inquiry.text) == ("", "")
        assert await office.store.read(lambda connection: connection.scalar(select(INQUIRIES.c.salt))) == b""
        assert (await office.steps(case))[-1] == "texts.destroyed"

    run(test)


def test_an_edited_text_is_taken_over_until_the_case_is_sealed(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        await office.tell(joined("e1", "p1", "membership.updated", text="第二稿"))
        case = await office.case("e1")
        (inquiry,) = await office.inquiries(case)
        assert inquiry.text == "第二稿"
        assert (await office.steps(case))[-1] == "case.inquiry_edited"
        await office.take(case, *ORDER)
        for task in await office.tasks():
            await office.call("CompleteTask", task_pb2.CompleteTaskRequest(name=task.name, note="已回复"))
        await office.take(case, "close")
        await office.tell(joined("e1", "p1", "membership.updated", text="第三稿"))
        assert (await office.inquiries(case))[0].text == "第二稿"
        assert (await office.steps(case))[-1] == "case.closed"

    run(test)


# The feed itself


def test_a_change_that_cannot_be_applied_is_set_aside_and_the_others_go_on(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(joined("never-told", "p1"), opened("e2"), joined("e2", "p2"))
        assert await office.posts(await office.case("e2")) == {"p2"}
        count = select(func.count()).select_from(PARKED_CHANGES)
        assert await office.store.read(lambda connection: connection.scalar(count)) == 1

    run(test)


def test_after_the_analyzer_was_restored_its_events_are_listed_and_nothing_is_done_twice(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"), opened("e3"))
        before = {case.name: await office.steps(case) for case in await office.cases()}
        # What happened while the feed was lost: a merge, a grade, a purge, a new event.
        await office.analyzer.tell(
            merged("e2", "e1"),
            moved("e1", "p2", "e2"),
            updated("e3", grade=LARGE),
            joined("e1", "p1", "membership.purged", subject="", text=""),
            opened("e4"),
            joined("e4", "p4"),
            in_feed=False,
        )
        await office.analyzer.store.renew_epoch()
        office.analyzer.store.stop_watches()
        office.analyzer.store.draining = False
        await office.applied()
        assert {case.event for case in await office.cases()} == {"events/e1", "events/e3", "events/e4"}
        case = await office.case("e1")
        assert await office.posts(case) == {"p1", "p2"}
        assert await office.steps(case) == [
            *before[case.name],
            "case.inquiry_joined",
            "case.took_over",
            "texts.destroyed",
        ]
        listed = await office.call("ListInquiries", inquiry_pb2.ListInquiriesRequest())
        assert listed.total_size == 3

    run(test)
