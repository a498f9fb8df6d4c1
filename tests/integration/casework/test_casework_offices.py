"""Units, reach, the clock policy, listings and the feed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import grpc
from huiyin.casework.v1 import case_pb2, inquiry_pb2, policy_pb2, unit_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_casework.store import METADATA, MIGRATIONS
from huiyin_chassis import client, clock
from huiyin_chassis.feed import unpack
from huiyin_chassis.migrate import differences

from tests.databases import migrate
from tests.integration.casework.conftest import LARGE, SERIOUS, Office, Run, joined, opened, updated

Unit, Member = unit_pb2.Unit, unit_pb2.UnitMember


def _tree() -> list[unit_pb2.Unit]:
    return [
        Unit(name="units/city", display_name="A市政府", kind="city"),
        Unit(
            name="units/water",
            display_name="A市水务局",
            parent="units/city",
            topics=["topics/城乡建设.供水"],
            members=[Member(account="accounts/wang", roles=["officer"])],
        ),
        Unit(name="units/a3", display_name="A3区供水站", parent="units/water", places=["places/A市.A3区"]),
    ]


async def _write(office: Office, units: list[unit_pb2.Unit]) -> unit_pb2.BatchUpdateUnitsResponse:
    request = unit_pb2.BatchUpdateUnitsRequest(units=units)
    response: unit_pb2.BatchUpdateUnitsResponse = await office.call("BatchUpdateUnits", request, "admin")
    return response


async def _reach(office: Office, account: str) -> unit_pb2.Reach:
    metadata = client.metadata(office.gateway.own_token())
    request = unit_pb2.LookupReachRequest(account=f"accounts/{account}")
    reach: unit_pb2.Reach = await office.stub.LookupReach(request, metadata=metadata, timeout=client.DEADLINE)
    return reach


def test_the_migration_makes_the_tables_of_the_store(database_url: str) -> None:
    migrate(database_url, MIGRATIONS)
    assert not differences(database_url, MIGRATIONS, METADATA)


def test_a_new_installation_has_one_desk_with_the_demonstration_accounts(run: Run) -> None:
    async def test(office: Office) -> None:
        listed = await office.call("ListUnits", unit_pb2.ListUnitsRequest())
        (desk,) = listed.units
        assert (desk.name, desk.desk) == ("units/desk", True)
        reach = await _reach(office, "officer")
        assert (list(reach.roles), list(reach.units), reach.everywhere) == (["officer"], ["desk"], True)

    run(test)


def test_writing_units_again_changes_nothing(run: Run) -> None:
    async def test(office: Office) -> None:
        assert (await _write(office, _tree())).changed == 3
        assert (await _write(office, _tree())).changed == 0
        renamed = _tree()
        renamed[2].display_name = "A3区水务站"
        assert (await _write(office, renamed)).changed == 1
        got = await office.call("GetUnit", unit_pb2.GetUnitRequest(name="units/a3"))
        assert got == renamed[2]

    run(test)


def test_a_broken_tree_is_refused_as_a_whole(run: Run) -> None:
    async def test(office: Office) -> None:
        units = [
            Unit(name="units/a", display_name="甲", parent="units/b"),
            Unit(name="units/b", display_name="乙", parent="units/a"),
            Unit(name="units/c", display_name="丙", parent="units/nowhere"),
        ]
        error = await office.refusal("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
        assert {violation.reason for violation in error.violations} == {"CIRCULAR", "PARENT_MISSING"}
        listed = await office.call("ListUnits", unit_pb2.ListUnitsRequest())
        assert len(listed.units) == 1

    run(test)


def test_a_unit_without_a_name_is_refused_by_its_place(run: Run) -> None:
    async def test(office: Office) -> None:
        units = [Unit(name="units/a", display_name="甲"), Unit(display_name="乙")]
        error = await office.refusal("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
        assert [(each.field, each.reason) for each in error.violations] == [("units[1].name", "REQUIRED")]

    run(test)


def test_an_account_reaches_its_units_and_all_below_them(run: Run) -> None:
    async def test(office: Office) -> None:
        await _write(office, _tree())
        reach = await _reach(office, "wang")
        assert (sorted(reach.units), reach.everywhere) == (["a3", "water"], False)
        assert (list(reach.topics), list(reach.places)) == (["topics/城乡建设.供水"], [])
        assert await _reach(office, "stranger") == unit_pb2.Reach()
        refused = await office.refusal("LookupReach", unit_pb2.LookupReachRequest(account="accounts/wang"))
        assert refused.code == grpc.StatusCode.PERMISSION_DENIED

    run(test)


def test_topic_and_place_of_an_event_suggest_a_unit(run: Run) -> None:
    async def test(office: Office) -> None:
        await _write(office, _tree())
        water, place = "topics/城乡建设.供水.停水", "places/A市.A3区"
        await office.tell(opened("e1", grade=LARGE, topic=water), opened("e2", grade=LARGE, topic="topics/教育"))
        assert (await office.case("e1")).suggested_unit == "units/water"
        assert (await office.case("e2")).suggested_unit == ""
        await office.tell(updated("e2", grade=LARGE, topic="topics/教育", place=place))
        assert (await office.case("e2")).suggested_unit == "units/a3"

    run(test)


def test_a_new_clock_policy_applies_to_what_happens_afterwards(run: Run) -> None:
    async def test(office: Office) -> None:
        monday = datetime(2026, 3, 2, 2, tzinfo=UTC)
        policy = await office.call("GetPolicy", policy_pb2.GetPolicyRequest(name="policies/clocks"))
        wrong = policies_pb2.Policy(name="policies/clocks", body="answer_working_days: soon")
        error = await office.refusal("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=wrong), "admin")
        assert error.reason == "POLICY_INVALID"
        with clock.stopped(monday):
            await office.tell(opened("e1"), joined("e1", "p1"))
            shorter = policies_pb2.Policy(
                name="policies/clocks", body="answer_working_days: 1\nurgent_working_days: 1", etag=policy.etag
            )
            await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=shorter), "admin")
            await office.tell(opened("e2"), joined("e2", "p2"))
            days = [clock.from_timestamp((await office.case(event)).deadline) - monday for event in ("e1", "e2")]
        assert [span.days for span in days] == [3, 1]

    run(test)


def test_cases_are_filtered_ordered_counted_and_paged(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(
            opened("e1", place="places/A市.A3区.丽发新城"),
            joined("e1", "p1"),
            joined("e1", "p2"),
            opened("e2", grade=SERIOUS, place="places/A市.A30区"),
            joined("e2", "p3"),
            opened("e3", grade=LARGE, topic="topics/城乡建设.供水"),
        )

        async def events(filter: str = "", order_by: str = "") -> list[str]:
            request = case_pb2.ListCasesRequest(filter=filter, order_by=order_by, page_size=1)
            found = []
            while True:
                page = await office.call("ListCases", request)
                found += [case.event.removeprefix("events/") for case in page.cases]
                request.page_token = page.next_page_token
                if not page.next_page_token:
                    assert page.total_size == len(found)
                    return found

        assert await events() == ["e2", "e1", "e3"]
        assert await events(order_by="inquiry_count desc") == ["e1", "e2", "e3"]
        assert await events('place = "places/A市.A3区"') == ["e1"]
        assert await events('topic = "topics/城乡建设" AND drill = false') == ["e3"]
        assert await events("grade >= GRADE_LARGE", "grade desc") == ["e2", "e3"]
        assert await events('state = REGISTERED AND deadline < "2100-01-01T00:00:00Z"') == ["e2", "e1"]
        error = await office.refusal("ListCases", case_pb2.ListCasesRequest(filter="author = x"))
        assert error.violations[0].field == "filter"

    run(test)


def test_inquiries_of_a_case_are_listed_with_their_texts_and_no_contact(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
        (inquiry,) = await office.inquiries(await office.case("e1"))
        assert (inquiry.external_id, inquiry.text) == ("row-p1", "p1停水三天了，请尽快处理。")
        assert await office.call("GetInquiry", inquiry_pb2.GetInquiryRequest(name=inquiry.name)) == inquiry
        assert {name for name in inquiry.DESCRIPTOR.fields_by_name if "contact" in name} == {"has_contact"}

    run(test)


def test_the_feed_tells_what_happened_in_its_order_and_carries_no_text(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.submit("只有受理中心知道的原文", contact="老王 13812345678")
        await office.tell(opened("e1"), joined("e1", "p1"))
        await office.take(await office.case("e1"), "assign")
        kinds: list[str] = []
        async with asyncio.timeout(10):
            watch = office.stub.WatchCases(
                case_pb2.WatchCasesRequest(), metadata=client.metadata(office.gateway.own_token())
            )
            try:
                async for batch in watch:
                    for change in batch.changes:
                        kinds.append(change.kind)
                        body = change.resource.value.decode(errors="replace")
                        assert "原文" not in body
                        assert "老王" not in body
                        if change.kind.startswith("inquiry."):
                            assert unpack(change, inquiry_pb2.Inquiry).text == ""
                    if batch.caught_up:
                        break
            finally:
                watch.cancel()
        assert kinds == ["inquiry.received", "inquiry.received", "case.opened", "case.assigned"]

    run(test)


def test_the_keys_of_receipts_and_contacts_are_for_their_owner_only(run: Run) -> None:
    async def test(office: Office) -> None:
        files = Path(office.folder / "secrets").iterdir()
        assert {path.name: path.stat().st_mode & 0o777 for path in files} == {
            "contact.key": 0o600,
            "receipt.key": 0o600,
        }

    run(test)
