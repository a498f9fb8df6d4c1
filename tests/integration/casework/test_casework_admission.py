"""Admission: an inquiry is admitted, refused with a ground and a review, or joined to the case that deals with it."""

from __future__ import annotations

import grpc
from huiyin.casework.v1 import admission_pb2, case_pb2, clock_pb2, inquiry_pb2, message_pb2, policy_pb2, task_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_casework.store import CLOCKS
from huiyin_chassis.identity import Principal
from sqlalchemy import select

from tests.integration.casework.conftest import Office, Run, joined, merged, moved, opened

Admission, Case, Inquiry = admission_pb2.Admission, case_pb2.Case, inquiry_pb2.Inquiry
Refuse, Review = admission_pb2.RefuseInquiryRequest, admission_pb2.ReviewRefusalRequest

SECOND = Principal("accounts/second", roles=("desk",), everywhere=True)


async def _submitted(office: Office, event: str) -> tuple[Case, Inquiry, str]:
    submitted = await office.submit(f"{event}欠薪三个月")
    await office.sent()
    (external_id,) = [key for key, post in office.collector.posts.items() if post.text.startswith(event)]
    await office.tell(opened(event), joined(event, event, source="sources/inquiries", external_id=external_id))
    case = await office.case(event)
    (inquiry,) = await office.inquiries(case)
    return case, inquiry, submitted.receipt


def _pass(inquiry: Inquiry) -> admission_pb2.ReviewRefusalRequest:
    return Review(name=inquiry.name, decision=case_pb2.DECISION_PASS)


def test_a_refusal_states_its_ground_and_is_the_answer_once_another_person_reviewed_it(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _submitted(office, "e1")
        refuse = Refuse(name=inquiry.name, ground="labour-arbitration", text="仲裁院在人民路1号", request_id="r")
        proposed = await office.call("RefuseInquiry", refuse)
        assert await office.call("RefuseInquiry", refuse) == proposed
        assert (proposed.outcome, proposed.state) == (Admission.OUTCOME_ROUTED, Admission.STATE_PROPOSED)
        assert not (await office.lookup(receipt)).answers
        assign = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/desk")
        assert (await office.refusal("AssignCase", assign)).reason == "REFUSAL_OPEN"
        assert (await office.refusal("ReviewRefusal", _pass(inquiry))).reason == "SAME_PROPOSER"
        passed = await office.call("ReviewRefusal", _pass(inquiry), SECOND)
        assert (passed.state, passed.reviewer) == (Admission.STATE_IN_FORCE, "accounts/second")

        found = await office.lookup(receipt)
        assert found.state == Inquiry.STATE_ANSWERED
        (answer,) = found.answers
        assert "仲裁" in answer.text
        assert answer.text.endswith("仲裁院在人民路1号")
        assert (answer.unit_display_name, found.HasField("feedback_until")) == ("诉求受理中心", False)
        judge = message_pb2.GiveFeedbackRequest(receipt=receipt, satisfied=True)
        assert (await office.refusal("GiveFeedback", judge, "public")).reason == "NO_REPLY"
        clock_id = inquiry.name.removeprefix("inquiries/")
        query = select(CLOCKS.c.state).where(CLOCKS.c.id == clock_id)
        assert await office.store.read(lambda connection: connection.scalar(query)) == clock_pb2.Clock.STATE_MET
        case = await office.case("e1")
        assert (case.HasField("deadline"), case.open_refusal_count) == (False, 0)
        dismissed = await office.call("DismissCase", case_pb2.DismissCaseRequest(name=case.name, reason="已告知途径"))
        assert dismissed.state == Case.STATE_CLOSED
        assert (await office.steps(case))[-4:] == [
            "case.refusal_proposed",
            "case.inquiry_refused",
            "case.dismissed",
            "case.closed",
        ]
        await office.tell(joined("e1", "p2"))
        (successor,) = [each for each in await office.cases() if each.predecessor == case.name]
        assert successor.state == Case.STATE_REGISTERED

    run(test)


def test_a_refusal_that_is_sent_back_is_decided_anew(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, _ = await _submitted(office, "e1")
        await office.call("RefuseInquiry", Refuse(name=inquiry.name, ground="court"))
        back = Review(name=inquiry.name, decision=case_pb2.DECISION_RETURN)
        assert (await office.refusal("ReviewRefusal", back, SECOND)).violations[0].field == "note"
        back.note = "并无诉讼，应当受理"
        assert (await office.call("ReviewRefusal", back, SECOND)).state == Admission.STATE_RETURNED
        assert (await office.refusal("ReviewRefusal", back, SECOND)).reason == "NO_REFUSAL"
        admitted = await office.call("AdmitInquiry", admission_pb2.AdmitInquiryRequest(name=inquiry.name))
        assert admitted.outcome == Admission.OUTCOME_ADMITTED
        got = await office.call("GetAdmission", admission_pb2.GetAdmissionRequest(name=f"{inquiry.name}/admission"))
        assert got == admitted
        dismiss = case_pb2.DismissCaseRequest(name=case.name, reason="无需办理")
        assert (await office.refusal("DismissCase", dismiss)).reason == "INQUIRY_WAITS"
        assert (await office.take(case, "assign")).state == Case.STATE_ASSIGNED
        late = await office.refusal("RefuseInquiry", Refuse(name=inquiry.name, ground="court"))
        assert late.reason == "STEP_NOT_POSSIBLE"

    run(test)


def test_another_body_is_named_where_the_ground_is_that_it_deals_with_the_matter(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"))
        (inquiry,) = await office.inquiries(await office.case("e1"))
        for wrong in (
            Refuse(name=inquiry.name, ground="other-body"),
            Refuse(name=inquiry.name, ground="court", body="乙"),
        ):
            assert (await office.refusal("RefuseInquiry", wrong)).violations[0].field == "body"
        unknown = Refuse(name=inquiry.name, ground="life-in-danger")
        assert (await office.refusal("RefuseInquiry", unknown)).reason == "GROUND_UNKNOWN"
        passed_on = await office.call(
            "RefuseInquiry", Refuse(name=inquiry.name, ground="other-body", body="B市水务集团")
        )
        assert passed_on.outcome == Admission.OUTCOME_PASSED_ON
        assert "B市水务集团" in passed_on.text
        await office.call("ReviewRefusal", _pass(inquiry), SECOND)
        (task,) = await office.tasks()
        assert (task.kind, task.external_id) == (task_pb2.Task.KIND_DELIVER_ADMISSION, "row-p1")

    run(test)


def test_where_life_is_in_danger_the_author_is_told_at_once_and_the_inquiry_admitted(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry, receipt = await _submitted(office, "e1")
        admit = admission_pb2.AdmitInquiryRequest(name=inquiry.name, ground="life-in-danger")
        admitted = await office.call("AdmitInquiry", admit)
        assert admitted.state == Admission.STATE_IN_FORCE
        found = await office.lookup(receipt)
        assert (found.state, [message.text for message in found.messages]) == (
            Inquiry.STATE_IN_PROGRESS,
            [admitted.text],
        )
        assert (await office.case("e1")).deadline == case.deadline
        await office.steps(case)

    run(test)


def test_a_repeat_is_joined_to_the_case_that_deals_with_the_matter(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("e2"), joined("e2", "p2"))
        handled = await office.take(await office.case("e1"), "assign", "accept")
        case = await office.case("e2")
        (inquiry,) = await office.inquiries(case)
        join = admission_pb2.JoinInquiryRequest(name=inquiry.name, case=case.name)
        assert (await office.refusal("JoinInquiry", join)).reason == "CASE_UNSUITABLE"
        join.case = "cases/nowhere"
        assert (await office.refusal("JoinInquiry", join)).code == grpc.StatusCode.NOT_FOUND
        join.case = handled.name
        assert (await office.call("JoinInquiry", join)).joined_case == handled.name
        assert await office.posts(handled) == {"p1", "p2"}
        case = await office.case("e2")
        assert (case.inquiry_count, case.HasField("deadline")) == (0, False)
        handled = await office.take(handled, "draft", "review", "approve", "publish")
        assert {each.state for each in await office.inquiries(handled)} == {Inquiry.STATE_ANSWERED}
        await office.steps(case)
        await office.steps(handled)

    run(test)


def test_what_the_desk_joined_to_a_case_stays_there_whatever_becomes_of_its_event(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(
            *(told for event in ("e1", "e2", "e3") for told in (opened(event), joined(event, f"of-{event}")))
        )
        handling = await office.case("e1")
        (inquiry,) = await office.inquiries(await office.case("e2"))
        join = admission_pb2.JoinInquiryRequest(name=inquiry.name, case=handling.name)
        await office.call("JoinInquiry", join)
        await office.tell(merged("e2", "e3"), moved("e3", "of-e2", "e2"))
        assert await office.posts(handling) == {"of-e1", "of-e2"}
        assert await office.posts(await office.case("e3")) == {"of-e3"}

    run(test)


def test_a_refused_inquiry_keeps_its_answer_and_a_proposal_falls_when_events_change(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), joined("e1", "p2"), opened("e2"))
        inquiries = {each.post: each for each in await office.inquiries(await office.case("e1"))}
        for post in ("posts/p1", "posts/p2"):
            await office.call("RefuseInquiry", Refuse(name=inquiries[post].name, ground="court"))
        await office.call("ReviewRefusal", _pass(inquiries["posts/p1"]), SECOND)
        await office.tell(moved("e2", "p1", "e1"), moved("e2", "p2", "e1"))
        case = await office.case("e2")
        after = {each.post: each for each in await office.inquiries(case)}
        assert after["posts/p1"].state == Inquiry.STATE_ANSWERED
        assert after["posts/p2"].state == Inquiry.STATE_IN_PROGRESS
        assert after["posts/p2"].admission_state == Admission.STATE_RETURNED
        assert case.deadline == after["posts/p2"].deadline
        assert (await office.case("e1")).open_refusal_count == 0
        await office.steps(case)

    run(test)


def test_the_catalogue_is_a_policy(run: Run) -> None:
    async def test(office: Office) -> None:
        listed = await office.call("ListAdmissionGrounds", admission_pb2.ListAdmissionGroundsRequest())
        assert {"court", "petition", "disclosure", "life-in-danger"} <= {each.id for each in listed.admission_grounds}
        body = "grounds: [{id: court, name: 法院, kind: route, basis: 《民事诉讼法》, text: 请向人民法院起诉。}]"
        policy = policies_pb2.Policy(name="policies/admission", body=body)
        await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")
        again = await office.call("ListAdmissionGrounds", admission_pb2.ListAdmissionGroundsRequest())
        assert ([each.id for each in again.admission_grounds], again.version) == (["court"], 2)
        policy.body = "grounds: 1"
        refused = await office.refusal("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")
        assert refused.violations[0].reason == "POLICY_INVALID"

    run(test)
