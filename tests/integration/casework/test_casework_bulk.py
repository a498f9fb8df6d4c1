"""One step with many cases: tried first, then done as it was seen, each case by itself."""

from __future__ import annotations

from typing import Any

import pytest
from huiyin.casework.v1 import bulk_pb2, case_pb2, note_pb2, unit_pb2
from huiyin_casework.store import ENTRIES, ORDERS
from huiyin_chassis.identity import Principal
from huiyin_chassis.tables import CHANGES
from sqlalchemy import func, select

from tests.integration.casework.conftest import LARGE, Office, Run, joined, opened

Batch = bulk_pb2.BatchStepCasesRequest
ASSIGN = {"assign": bulk_pb2.BatchAssign(lead_unit="units/water", note="统一交办")}
WATER = Principal("accounts/wang", roles=("officer",), units=("water",))


async def _prepare(office: Office, count: int = 3) -> list[case_pb2.Case]:
    unit = unit_pb2.Unit(name="units/water", display_name="水务局")
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
    told = [(opened(f"e{number}"), joined(f"e{number}", f"p{number}")) for number in range(count)]
    await office.tell(*(each for pair in told for each in pair))
    return await office.cases()


async def _batch(office: Office, who: str | Principal = "desk", **fields: Any) -> bulk_pb2.BatchStepCasesResponse:
    answer: bulk_pb2.BatchStepCasesResponse = await office.call("BatchStepCases", Batch(**fields), who)
    return answer


def _seen(trial: bulk_pb2.BatchStepCasesResponse) -> list[bulk_pb2.BatchedCase]:
    return [bulk_pb2.BatchedCase(name=each.name, etag=each.etag) for each in trial.outcomes if not each.error_reason]


async def _counts(office: Office) -> list[int]:
    tables = (ENTRIES, CHANGES, ORDERS)
    return await office.store.read(
        lambda connection: [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]
    )


def test_a_trial_says_what_would_become_of_each_case_and_changes_nothing(run: Run) -> None:
    async def test(office: Office) -> None:
        cases = await _prepare(office)
        await office.take(cases[1], "assign", "accept")
        before = await _counts(office)
        trial = await _batch(office, filter="urgent = false", validate_only=True, **ASSIGN)
        assert await _counts(office) == before
        assert trial.total_size == 3
        by_name = {outcome.name: outcome for outcome in trial.outcomes}
        assert by_name[cases[1].name].error_reason == "STEP_NOT_POSSIBLE"
        assert "investigate" in by_name[cases[1].name].error_message
        assert not by_name[cases[1].name].etag and by_name[cases[1].name].title == "e1停水"
        for case in (cases[0], cases[2]):
            assert (by_name[case.name].state, by_name[case.name].etag) == (case_pb2.Case.STATE_ASSIGNED, case.etag)

    run(test)


def test_what_was_seen_is_done_and_what_changed_meanwhile_is_left_alone(run: Run) -> None:
    async def test(office: Office) -> None:
        cases = await _prepare(office)
        seen = _seen(await _batch(office, filter="urgent = false", validate_only=True, **ASSIGN))
        await office.call("NoteCase", note_pb2.NoteCaseRequest(name=cases[1].name, note="先等一等"))
        request = Batch(cases=seen, request_id="0193c1f0-0000-7000-8000-000000000002", **ASSIGN)
        done = await office.call("BatchStepCases", request)
        outcomes = {outcome.name: outcome for outcome in done.outcomes}
        assert [outcome.name for outcome in done.outcomes] == [each.name for each in seen]
        assert outcomes[cases[1].name].error_reason == "STALE_ETAG"
        after = {case.name: case for case in await office.cases()}
        for case in (cases[0], cases[2]):
            assert after[case.name].lead_unit == "units/water"
            assert outcomes[case.name].etag == after[case.name].etag
        assert after[cases[1].name].state == case_pb2.Case.STATE_REGISTERED
        numbers = {after[case.name].order_number.rpartition("〕")[2] for case in (cases[0], cases[2])}
        assert numbers == {"1号", "2号"}
        assert await office.call("BatchStepCases", request) == done  # once, however often it is sent
        assert [(await office.steps(case)).count("case.assigned") for case in cases] == [1, 0, 1]

    run(test)


@pytest.mark.parametrize(
    ("step", "ways", "state"),
    [
        ({"note": bulk_pb2.BatchNote(note="节后回看")}, (), "REGISTERED"),
        ({"extend": bulk_pb2.BatchExtend(reason="需勘查")}, (), "REGISTERED"),
        ({"close": bulk_pb2.BatchClose()}, ("assign", "accept", "draft", "review", "approve", "publish"), "PUBLISHED"),
        ({"dismiss": bulk_pb2.BatchDismiss(reason="重复")}, (), "REGISTERED"),
    ],
)
def test_each_step_in_bulk_is_the_step_alone(run: Run, step: dict[str, Any], ways: tuple[str, ...], state: str) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("empty", grade=LARGE), opened("full", grade=LARGE), joined("full", "p1"))
        for case in await office.cases():
            await office.take(case, *ways)
        trial = await _batch(office, filter=f"state = {state}", validate_only=True, **step)
        done = await _batch(office, cases=_seen(trial), **step)
        waits = (await office.case("full")).name
        refused = {outcome.name: outcome.error_reason for outcome in trial.outcomes if outcome.error_reason}
        expected = {"dismiss": "INQUIRY_WAITS", "close": "TASKS_OPEN"}.get(next(iter(step)), "")
        assert refused == ({waits: expected} if expected else {})
        assert not [outcome for outcome in done.outcomes if outcome.error_reason]
        for case in await office.cases():
            await office.steps(case)  # every chain is whole

    run(test)


def test_who_may_not_take_the_step_alone_may_not_in_bulk(run: Run) -> None:
    async def test(office: Office) -> None:
        cases = await _prepare(office, 2)
        await office.call("AssignCase", case_pb2.AssignCaseRequest(name=cases[0].name, lead_unit="units/water"))
        trial = Batch(filter="urgent = false", validate_only=True, **ASSIGN)
        assert (await office.refusal("BatchStepCases", trial, WATER)).reason == "PERMISSION_MISSING"
        note = {"note": bulk_pb2.BatchNote(note="节后回看")}
        tried = await _batch(office, WATER, filter="urgent = false", validate_only=True, **note)
        assert [outcome.name for outcome in tried.outcomes] == [cases[0].name]
        named = [bulk_pb2.BatchedCase(name=case.name, etag=case.etag) for case in cases]
        tried = await _batch(office, WATER, cases=named[1:], validate_only=True, **note)
        assert [(outcome.error_reason, outcome.title) for outcome in tried.outcomes] == [("NOT_FOUND", "")]

    run(test)


def test_a_filter_does_nothing_and_every_case_is_named_once_as_it_was_seen(run: Run) -> None:
    async def test(office: Office) -> None:
        (case,) = await _prepare(office, 1)
        named = bulk_pb2.BatchedCase(name=case.name, etag=case.etag)
        note: dict[str, Any] = {"note": bulk_pb2.BatchNote(note="节后回看")}
        for request, field, reason in (
            (Batch(filter="urgent = false", **note), "filter", "TRIAL_FIRST"),
            (Batch(**note), "cases", "REQUIRED"),
            (Batch(filter="urgent = false", cases=[named], **note), "cases", "REQUIRED"),
            (Batch(cases=[named, named], **note), "cases[1].name", "DUPLICATE"),
            (Batch(cases=[bulk_pb2.BatchedCase(name=case.name)], **note), "cases[0].etag", "REQUIRED"),
            (Batch(cases=[named]), "step", "REQUIRED"),
            (Batch(filter="author = 1", validate_only=True, **note), "filter", "FILTER_INVALID"),
        ):
            error = await office.refusal("BatchStepCases", request)
            assert (error.violations[0].field, error.reason) == (field, reason)
        assert (await office.case("e0")).etag == case.etag

    run(test)
