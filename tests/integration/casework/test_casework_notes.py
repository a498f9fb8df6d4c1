"""Notes that stay inside: by every unit of a case, in every state before it is sealed, and read by nobody outside."""

from __future__ import annotations

import grpc
from huiyin.casework.v1 import case_pb2, note_pb2, publication_pb2, unit_pb2
from huiyin_chassis.identity import Principal

from tests.integration.casework.conftest import Office, Run, joined, opened

LEAD = Principal("accounts/wang", roles=("officer",), units=("water",))
ASSISTING = Principal("accounts/li", roles=("reviewer",), units=("road",))
OUTSIDE = Principal("accounts/zhao", roles=("approver",), units=("school",))


def _note(case: case_pb2.Case, text: str, **fields: str) -> note_pb2.NoteCaseRequest:
    return note_pb2.NoteCaseRequest(name=case.name, note=text, **fields)


async def _case(office: Office) -> tuple[case_pb2.Case, str]:
    """A case that one unit leads and another assists, with an inquiry and its receipt."""
    units = [unit_pb2.Unit(name=f"units/{name}", display_name=f"{name}局") for name in ("water", "road", "school")]
    await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=units), "admin")
    receipt = (await office.submit("路口的井盖松动")).receipt
    await office.sent()
    (external_id,) = office.collector.posts
    await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
    case = await office.case("e1")
    order = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water", assisting_units=["units/road"])
    return await office.call("AssignCase", order), receipt


def test_every_unit_of_a_case_notes_in_its_own_name_and_nobody_else_does(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _ = await _case(office)
        for who, text in ((LEAD, "夜间巡查一次"), (ASSISTING, "围挡已备好"), ("desk", "周五前回看")):
            noted = await office.call("NoteCase", _note(case, text), who)
            assert noted.state == case.state
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name), LEAD)).entries
        assert [(entry.sentence, entry.note) for entry in entries if entry.step == "case.noted"] == [
            ("water局留了内部备注", "夜间巡查一次"),
            ("road局留了内部备注", "围挡已备好"),
            ("诉求受理中心留了内部备注", "周五前回看"),
        ]
        assert (await office.refusal("NoteCase", _note(case, "旁观"), OUTSIDE)).code == grpc.StatusCode.NOT_FOUND
        assert (await office.refusal("NoteCase", _note(case, " "), LEAD)).violations[0].field == "note"

    run(test)


def test_notes_reach_neither_authors_nor_the_public_nor_the_reply(run: Run) -> None:
    async def test(office: Office) -> None:
        case, receipt = await _case(office)
        secret = "现场负责人下周调岗"
        for step in ("accept", "draft", "review", "approve"):
            await office.call("NoteCase", _note(case, secret), LEAD)
            case = await office.take(case, step)
        summary = case_pb2.PublishReplyRequest(name=case.name, public_summary="井盖何时修好。")
        await office.call("PublishReply", summary)
        await office.call("NoteCase", _note(case, secret), LEAD)
        replies = await office.call("ListReplies", case_pb2.ListRepliesRequest(parent=case.name))
        published = await office.call("ListPublications", publication_pb2.ListPublicationsRequest(), "public")
        assert published.publications
        for seen in (await office.lookup(receipt), published, replies):
            assert secret.encode() not in seen.SerializeToString()
        await office.take(case, "close")
        assert (await office.refusal("NoteCase", _note(case, secret), LEAD)).reason == "STEP_NOT_POSSIBLE"
        assert (await office.steps(case)).count("case.noted") == 5

    run(test)


def test_a_note_is_written_once_and_only_on_what_was_seen(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _ = await _case(office)
        request = _note(case, "周五前回看", request_id="0193c1f0-0000-7000-8000-000000000001", etag=case.etag)
        for _ in range(2):
            await office.call("NoteCase", request, LEAD)
        assert (await office.refusal("NoteCase", _note(case, "再看", etag=case.etag), LEAD)).reason == "STALE_ETAG"
        assert (await office.steps(case)).count("case.noted") == 1

    run(test)
