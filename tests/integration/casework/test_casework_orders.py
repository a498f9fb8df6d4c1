"""Orders: numbered without gaps by everybody who assigns, kept as they were given, read by whoever sees the case."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import grpc
import pytest
from huiyin.casework.v1 import case_pb2, inquiry_pb2, order_pb2, policy_pb2, unit_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_casework.handling import Handling
from huiyin_casework.rules import Rules
from huiyin_casework.service.policies import CHECKS
from huiyin_casework.store import CaseworkStore
from huiyin_chassis import clock
from huiyin_chassis.errors import Unavailable
from huiyin_chassis.identity import Principal
from huiyin_chassis.policies import Policies
from huiyin_chassis.store import Tx

from tests.integration.casework.conftest import LARGE, PEOPLE, Office, Run, joined, opened

Order = order_pb2.Order

WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
ROADS = Principal("accounts/li", roles=("officer",), units=("roads",))
SUPPLY, TOWN = "topics/城乡建设.供水", "places/A市.B镇"
CATALOGUE = "entries: [{id: supply, topics: [城乡建设.供水], lead: water, basis: 供水职责清单}]"


async def _prepare(office: Office) -> None:
    person = unit_pb2.ContactPerson(role=unit_pb2.ContactPerson.ROLE_DUTY_OFFICER, display_name="值班席")
    units = [
        unit_pb2.Unit(name="units/water", display_name="水务局", contact_persons=[person]),
        unit_pb2.Unit(name="units/roads", display_name="交通局", topics=["topics/交通"]),
    ]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
    policy = policies_pb2.Policy(name="policies/dispatch", body=CATALOGUE)
    await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")


def _assign(case: case_pb2.Case, unit: str, *assisting: str, note: str = "") -> case_pb2.AssignCaseRequest:
    return case_pb2.AssignCaseRequest(name=case.name, lead_unit=f"units/{unit}", assisting_units=assisting, note=note)


async def _get(office: Office, name: str, who: str | Principal = "desk") -> Order:
    order: Order = await office.call("GetOrder", order_pb2.GetOrderRequest(name=name), who)
    return order


async def _orders(office: Office, filter: str = "", who: str | Principal = "desk") -> list[Order]:
    request = order_pb2.ListOrdersRequest(filter=filter, page_size=1000)
    answer = await office.call("ListOrders", request, who)
    assert answer.total_size == len(answer.orders)
    return list(answer.orders)


def test_an_order_states_who_is_to_do_what_until_when_and_why(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        event = opened("e1", grade=LARGE, topic=SUPPLY, place=TOWN)
        for grade, words in ((LARGE, "十户以上反映"), (1, "有人反映")):
            event[1].assessment.fired_rules.add(grade=grade, explanation=words)  # type: ignore[union-attr]
        await office.tell(event, joined("e1", "p1"), joined("e1", "p2"))
        case = await office.case("e1")
        assert (case.order, case.order_number) == ("", "")
        case = await office.call("AssignCase", _assign(case, "water", "units/roads", note="请先送水"))
        year = datetime.now(UTC).year
        assert case.order.startswith("orders/") and case.order_number == f"抄告〔{case.order[7:11]}〕1号"
        assert int(case.order[7:11]) in (year, year + 1)
        await office.tell(joined("e1", "p3"))  # comes later, and is no part of what was ordered
        order = await _get(office, case.order, ROADS)
        assert (order.number, order.case, order.state) == (case.order_number, case.name, Order.STATE_IN_FORCE)
        assert (order.office_display_name, order.issuer) == ("诉求受理中心", "accounts/desk")
        assert (order.lead_unit, list(order.assisting_units)) == ("units/water", ["units/roads"])
        assert (order.title, order.topic, order.place) == ("e1停水", SUPPLY, TOWN)
        assert (order.grade, order.grade_reason) == (LARGE, "十户以上反映")
        assert (order.basis, order.note) == ("供水职责清单（派单目录 supply）", "请先送水")
        assert order.issue_time == case.assign_time and order.answer_deadline == case.deadline
        assert order.issue_time.seconds < order.accept_deadline.seconds < order.answer_deadline.seconds
        assert [unit.display_name for unit in order.units] == ["水务局", "交通局"]
        assert [person.display_name for person in order.units[0].contact_persons] == ["值班席"]
        assert [unit.HasField("contribute_deadline") for unit in order.units] == [False, True]
        posts = [inquiry.text.partition("停水")[0] for inquiry in order.inquiries]
        assert (order.inquiry_count, posts) == (2, ["p1", "p2"])
        assert not order.HasField("accept_time")
        objection = case_pb2.ObjectToPartRequest(name=case.name, rule="《养护办法》第八条", reason="不涉道路")
        await office.call("ObjectToPart", objection, ROADS)
        release = case_pb2.DecidePartObjectionRequest(
            name=case.name, unit="units/roads", decision=case_pb2.DECISION_PASS
        )
        await office.call("DecidePartObjection", release)
        order = await _get(office, case.order)
        assert [unit.HasField("contribute_deadline") for unit in order.units] == [False, False]
        accepted = await office.call("AcceptCase", case_pb2.AcceptCaseRequest(name=case.name), WATER)
        assert (await _get(office, case.order)).accept_time == accepted.update_time
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        (entry,) = [each for each in entries if each.step == "case.assigned"]
        assert json.loads(entry.details)["order"] == case.order_number
        assert entry.sentence == f"交办：水务局牵头，交通局协办（{case.order_number}）"

    run(test)


def test_each_order_of_a_case_has_a_number_of_its_own_and_says_what_became_of_it(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        await office.tell(opened("e1"), joined("e1", "p1"))
        case = await office.case("e1")
        first = await office.call("AssignCase", _assign(case, "roads"))
        second = await office.call("AssignCase", _assign(case, "water", "units/roads"))
        assert [each.order_number[-2:] for each in (first, second)] == ["1号", "2号"]
        assert await _states(office, case) == [
            (second.order, Order.STATE_IN_FORCE, ""),
            (first.order, Order.STATE_REPLACED, second.order),
        ]
        objection = case_pb2.ObjectToCaseRequest(name=case.name, rule="《养护办法》第八条", reason="属住建局")
        await office.call("ObjectToCase", objection, WATER)
        decision = case_pb2.DecideObjectionRequest(name=case.name, decision=case_pb2.DECISION_PASS)
        upheld = await office.call("DecideObjection", decision)
        assert (upheld.order, list(upheld.assisting_units)) == ("", [])
        assert (await _states(office, case))[0] == (second.order, Order.STATE_TAKEN_BACK, "")
        third = await office.call("AssignCase", _assign(case, "roads"))
        assert (await _states(office, case))[1] == (second.order, Order.STATE_REPLACED, third.order)
        assert (await _get(office, first.order)).basis == ""  # nothing proposes the roads for it
        await office.tell(opened("e2", grade=LARGE, topic="topics/交通"))
        other = await office.call("AssignCase", _assign(await office.case("e2"), "roads"))
        assert (await _get(office, other.order)).basis == "单位申报的职责范围"
        await office.steps(case)

    async def _states(office: Office, case: case_pb2.Case) -> list[tuple[str, int, str]]:
        found = await _orders(office, f'case = "{case.name}"')
        return [(order.name, order.state, order.replaced_by) for order in found]

    run(test)


def test_an_order_covers_what_waited_when_it_was_given(run: Run) -> None:
    async def test(office: Office) -> None:
        receipts = {name: (await office.submit(f"{name}停水三天")).receipt for name in ("甲", "乙")}
        await office.sent()
        ids = {post.text[0]: external_id for external_id, post in office.collector.posts.items()}
        told = [joined("e1", name, source="sources/inquiries", external_id=ids[name]) for name in ids]
        await office.tell(opened("e1"), *told)
        gone = inquiry_pb2.WithdrawByReceiptRequest(receipt=receipts["乙"])
        await office.call("WithdrawByReceipt", gone, "public")
        case = await office.take(await office.case("e1"), "assign")
        order = await _get(office, case.order)
        assert [inquiry.inquiry for inquiry in order.inquiries] == [f"inquiries/{ids['甲']}"]
        gone = inquiry_pb2.WithdrawByReceiptRequest(receipt=receipts["甲"])
        await office.call("WithdrawByReceipt", gone, "public")
        (inquiry,) = (await _get(office, case.order)).inquiries
        assert inquiry.state == inquiry_pb2.Inquiry.STATE_WITHDRAWN

    run(test)


def test_orders_are_read_by_whoever_sees_the_case_and_by_nobody_else(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2", drill=True), joined("e2", "p2", drill=True))
        real = await office.call("AssignCase", _assign(await office.case("e1"), "water"))
        drill = await office.call("AssignCase", _assign(await office.case("e2"), "roads"))
        assert drill.order_number.startswith("抄告（演练）") and drill.order_number.endswith("1号")
        assert [order.name for order in await _orders(office, who=WATER)] == [real.order]
        assert [order.name for order in await _orders(office, "drill = true")] == [drill.order]
        assert {order.name for order in await _orders(office, 'lead_unit = "units/water"')} == {real.order}
        for method, request in (
            ("GetOrder", order_pb2.GetOrderRequest(name=drill.order)),
            ("PrintOrder", order_pb2.PrintOrderRequest(name=drill.order)),
        ):
            assert (await office.refusal(method, request, WATER)).code == grpc.StatusCode.NOT_FOUND
        printed = await office.call("PrintOrder", order_pb2.PrintOrderRequest(name=drill.order), ROADS)
        assert printed.content_type == "text/html; charset=utf-8"
        assert drill.order_number in printed.data.decode() and "仅供演练" in printed.data.decode()
        first = await office.call("ListOrders", order_pb2.ListOrdersRequest(page_size=1))
        request = order_pb2.ListOrdersRequest(page_size=1, page_token=first.next_page_token)
        second = await office.call("ListOrders", request)
        assert [page.orders[0].name for page in (first, second)] == [drill.order, real.order]

    run(test)


def test_the_year_of_a_number_is_that_of_the_offices_clocks(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(*(opened(f"e{number}", grade=LARGE) for number in range(3)))
        numbers = []
        for number, at in enumerate(
            (datetime(2026, 12, 31, 15, 59, tzinfo=UTC), datetime(2026, 12, 31, 16, 0, tzinfo=UTC))
        ):
            with clock.stopped(at):
                numbers.append((await _assigned(office, f"e{number}")).order_number)
        assert numbers == ["抄告〔2026〕1号", "抄告〔2027〕1号"]

    async def _assigned(office: Office, event: str) -> case_pb2.Case:
        case: case_pb2.Case = await _by_the_store(office.store, (await office.case(event)).name)
        return case

    run(test)


async def _by_the_store(store: CaseworkStore, name: str, *, fails: bool = False) -> case_pb2.Case:
    def assign(tx: Tx) -> case_pb2.Case:
        case = Handling(tx, Rules(Policies(CHECKS)), PEOPLE["desk"], name, "").assign("units/desk", [], "")
        if fails:
            raise RuntimeError("undone")
        return case

    return await store.write(assign)


@pytest.mark.parametrize("drill", [False, True])
def test_numbers_have_no_gap_whoever_assigns_and_whatever_is_undone(run: Run, drill: bool) -> None:
    async def test(office: Office) -> None:
        await office.tell(*(opened(f"e{number}", grade=LARGE, drill=drill) for number in range(40)))
        names = [case.name for case in await office.cases()]
        other = CaseworkStore(office.store.url.render_as_string(hide_password=False))
        await other.open()

        async def until_it_is(store: CaseworkStore, name: str) -> case_pb2.Case:
            while True:
                try:
                    return await _by_the_store(store, name)
                except Unavailable:  # two processes may wait for one another; one is asked to repeat
                    await asyncio.sleep(0.01)

        async def undone(store: CaseworkStore, name: str) -> None:
            with pytest.raises((RuntimeError, Unavailable)):
                await _by_the_store(store, name, fails=True)

        try:
            stores = (office.store, other)
            tasks = [until_it_is(stores[number % 2], name) for number, name in enumerate(names)]
            await asyncio.gather(*tasks, *(undone(stores[number % 2], name) for number, name in enumerate(names[::5])))
        finally:
            await other.close()
        given = sorted(int(order.name.rpartition("-")[2]) for order in await _orders(office))
        assert given == list(range(1, 41))

    run(test)
