"""Filters that are kept by a name: an account's own, and those that the members of a unit share."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from huiyin.casework.v1 import case_filter_pb2, unit_pb2
from huiyin_chassis.identity import Principal

from tests.integration.casework.conftest import Office, Run

Filter = case_filter_pb2.CaseFilter
WANG, LI, ZHAO = (Principal(f"accounts/{name}", roles=("officer",)) for name in ("wang", "li", "zhao"))


async def _prepare(office: Office) -> None:
    members = [unit_pb2.UnitMember(account=f"accounts/{name}", roles=["officer"]) for name in ("wang", "li")]
    unit = unit_pb2.Unit(name="units/water", display_name="水务局", members=members)
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")


def _create(**fields: Any) -> case_filter_pb2.CreateCaseFilterRequest:
    values = {"display_name": "急件", "filter": "urgent = true", **fields}
    return case_filter_pb2.CreateCaseFilterRequest(case_filter=Filter(**values))


async def _listed(office: Office, who: Principal) -> list[str]:
    found = await office.call("ListCaseFilters", case_filter_pb2.ListCaseFiltersRequest(), who)
    return [each.display_name for each in found.case_filters]


def test_a_filter_is_its_accounts_own_or_shared_by_those_who_work_in_a_unit(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        own = await office.call("CreateCaseFilter", _create(), WANG)
        shared = await office.call("CreateCaseFilter", _create(display_name="供水", unit="units/water"), WANG)
        assert (own.account, own.unit, shared.unit) == ("accounts/wang", "", "units/water")
        assert [await _listed(office, who) for who in (WANG, LI, ZHAO)] == [["供水", "急件"], ["供水"], []]
        change = case_filter_pb2.UpdateCaseFilterRequest(
            case_filter=Filter(name=shared.name, order_by="grade desc"), update_mask=FieldMask(paths=["order_by"])
        )
        changed = await office.call("UpdateCaseFilter", change, LI)
        assert (changed.filter, changed.order_by) == ("urgent = true", "grade desc")
        for name, who in ((own.name, LI), (shared.name, ZHAO)):
            for method, request in (
                (
                    "UpdateCaseFilter",
                    case_filter_pb2.UpdateCaseFilterRequest(case_filter=_create(name=name).case_filter),
                ),
                ("DeleteCaseFilter", case_filter_pb2.DeleteCaseFilterRequest(name=name)),
            ):
                assert (await office.refusal(method, request, who)).code == grpc.StatusCode.NOT_FOUND
        await office.call("DeleteCaseFilter", case_filter_pb2.DeleteCaseFilterRequest(name=shared.name), LI)
        assert await _listed(office, WANG) == ["急件"]

    run(test)


def test_what_is_kept_is_a_filter_and_an_order_that_hold(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        for request, field in (
            (_create(filter="author = 1"), "filter"),
            (_create(order_by="author"), "order_by"),
            (_create(filter=" "), "case_filter.filter"),
            (_create(display_name=" "), "case_filter.display_name"),
            (_create(unit="units/desk"), "case_filter.unit"),
        ):
            assert (await office.refusal("CreateCaseFilter", request, WANG)).violations[0].field == field
        kept = await office.call("CreateCaseFilter", _create(), WANG)
        wrong = case_filter_pb2.UpdateCaseFilterRequest(
            case_filter=Filter(name=kept.name, filter="grade ="), update_mask=FieldMask(paths=["filter"])
        )
        assert (await office.refusal("UpdateCaseFilter", wrong, WANG)).reason == "FILTER_INVALID"
        wrong.update_mask.paths[:] = ["unit"]
        assert (await office.refusal("UpdateCaseFilter", wrong, WANG)).reason == "FIELD_NOT_UPDATABLE"

    run(test)


def test_a_name_is_kept_once_by_an_account_and_once_by_a_unit(run: Run) -> None:
    async def test(office: Office) -> None:
        await _prepare(office)
        request = _create()
        request.request_id = "0193c1f0-0000-7000-8000-000000000003"
        first = await office.call("CreateCaseFilter", request, WANG)
        assert await office.call("CreateCaseFilter", request, WANG) == first
        assert (await office.refusal("CreateCaseFilter", _create(), WANG)).code == grpc.StatusCode.ALREADY_EXISTS
        await office.call("CreateCaseFilter", _create(), LI)
        await office.call("CreateCaseFilter", _create(unit="units/water"), WANG)
        other = await office.call("CreateCaseFilter", _create(display_name="全部"), WANG)
        rename = case_filter_pb2.UpdateCaseFilterRequest(
            case_filter=Filter(name=other.name, display_name="急件"), update_mask=FieldMask(paths=["display_name"])
        )
        assert (await office.refusal("UpdateCaseFilter", rename, WANG)).code == grpc.StatusCode.ALREADY_EXISTS

    run(test)
