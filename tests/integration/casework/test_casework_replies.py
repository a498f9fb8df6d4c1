"""Replies: looked over before review, kept in versions, with paragraphs for single authors, public through a gate."""

from __future__ import annotations

import pytest
from huiyin.casework.v1 import admission_pb2, case_pb2, inquiry_pb2, policy_pb2, publication_pb2, reply_pb2, unit_pb2
from huiyin.type.v1 import policy_pb2 as policies_pb2
from huiyin_casework.store import PARAGRAPHS, PUBLICATIONS
from huiyin_chassis.identity import Principal
from sqlalchemy import update

from tests.integration.casework.conftest import PEOPLE, Office, Run, joined, opened

Case = case_pb2.Case
Finding = reply_pb2.Finding

THIN = "您好！对此我们高度重视。"
BLOCKED = "您好！请联系王工，手机13800138000。"
PASS = case_pb2.DECISION_PASS
WATER = Principal("accounts/wang", roles=("officer",), units=("water",))
OTHER = Principal("accounts/li", roles=("officer",), units=("roads",))


async def _accepted(office: Office, *posts: str) -> case_pb2.Case:
    told = [joined("e1", post) for post in posts or ("p1",)]
    await office.tell(opened("e1"), *told)
    return await office.take(await office.case("e1"), "assign", "accept")


async def _draft(office: Office, case: case_pb2.Case, text: str, **fields: object) -> case_pb2.Case:
    request = case_pb2.DraftReplyRequest(name=case.name, text=text, **fields)  # type: ignore[arg-type]
    drafted: case_pb2.Case = await office.call("DraftReply", request, "officer")
    return drafted


async def _replies(office: Office, case: case_pb2.Case) -> list[case_pb2.Reply]:
    """The newest first."""
    return list((await office.call("ListReplies", case_pb2.ListRepliesRequest(parent=case.name))).replies)


# Findings


def test_a_draft_keeps_what_it_was_told_of_with_the_words_and_the_remedy(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        await _draft(office, case, THIN)
        (reply,) = await _replies(office, case)
        (phrase,) = [each for each in reply.findings if each.kind == Finding.KIND_EMPTY_PHRASE]
        assert (phrase.words, phrase.severity, phrase.place) == (
            "高度重视",
            Finding.SEVERITY_REMARK,
            Finding.PLACE_REPLY,
        )
        assert THIN[phrase.start : phrase.end] == phrase.words
        assert phrase.why
        assert phrase.instead
        (inquiry,) = await office.inquiries(case)
        (point,) = [each for each in reply.findings if each.kind == Finding.KIND_UNANSWERED_POINT]
        assert (point.inquiry, point.words) == (inquiry.name, inquiry.text[point.start : point.end])

    run(test)


def test_a_text_is_looked_over_without_being_stored(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        request = reply_pb2.CheckReplyRequest(name=case.name)
        assert (await office.refusal("CheckReply", request, "reviewer")).reason == "NO_REPLY"
        request.text = BLOCKED
        found = (await office.call("CheckReply", request, "reviewer")).findings
        assert [(each.kind, each.words) for each in found if each.severity == Finding.SEVERITY_BLOCKING] == [
            (Finding.KIND_PERSONAL_DATA, "13800138000")
        ]
        assert await _replies(office, case) == []
        await _draft(office, case, THIN)
        (reply,) = await _replies(office, case)
        again = await office.call("CheckReply", reply_pb2.CheckReplyRequest(name=case.name), "reviewer")
        assert list(again.findings) == list(reply.findings)

    run(test)


def test_what_blocks_does_not_pass_review_unless_the_reviewer_says_why(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _draft(office, await _accepted(office), BLOCKED)
        request = case_pb2.ReviewReplyRequest(name=case.name, decision=PASS)
        error = await office.refusal("ReviewReply", request, "reviewer")
        assert (error.reason, error.metadata["findings"]) == ("REPLY_BLOCKED", "personal_data")
        request.override_findings = True
        assert (await office.refusal("ReviewReply", request, "reviewer")).violations[0].field == "note"
        request.note = "该号码是公布的值班手机"
        case = await office.call("ReviewReply", request, "reviewer")
        assert case.state == Case.STATE_REVIEWED
        (reply,) = await _replies(office, case)
        assert (reply.overridden, reply.note) == (True, request.note)
        entries = (await office.call("ListEntries", case_pb2.ListEntriesRequest(parent=case.name))).entries
        assert '"overridden":["personal_data"]' in entries[-1].details
        assert (await office.steps(case))[-1] == "case.reviewed"

    run(test)


def test_a_blocked_reply_may_be_returned_and_remarks_hold_nothing_up(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _draft(office, await _accepted(office), BLOCKED)
        back = case_pb2.ReviewReplyRequest(name=case.name, decision=case_pb2.DECISION_RETURN, note="删去手机号")
        case = await office.call("ReviewReply", back, "reviewer")
        case = await _draft(office, case, THIN)
        case = await office.take(case, "review")
        assert case.state == Case.STATE_REVIEWED
        assert not (await _replies(office, case))[0].overridden

    run(test)


def test_severities_and_phrases_are_the_policys(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        policy = await office.call("GetPolicy", policy_pb2.GetPolicyRequest(name="policies/replies"))
        wrong = policies_pb2.Policy(name="policies/replies", body="checks: {}")
        refused = await office.refusal("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=wrong), "admin")
        assert refused.violations[0].field == "policy.body"
        policy.body = policy.body.replace(
            "empty_phrase:\n    severity: remark", "empty_phrase:\n    severity: blocking"
        )
        await office.call("UpdatePolicy", policy_pb2.UpdatePolicyRequest(policy=policy), "admin")
        case = await _draft(office, case, THIN)
        request = case_pb2.ReviewReplyRequest(name=case.name, decision=PASS)
        assert (await office.refusal("ReviewReply", request, "reviewer")).metadata["findings"] == "empty_phrase"

    run(test)


def test_the_units_contact_stands_beneath_its_answers(run: Run) -> None:
    async def test(office: Office) -> None:
        unit = unit_pb2.Unit(name="units/water", display_name="供水公司", contact="0731-5550123")
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        submitted = await office.submit("请问停水几天？")
        await office.sent()
        (external_id,) = office.collector.posts
        await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
        case = await office.case("e1")
        assign = case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water")
        case = await office.call("AssignCase", assign)
        case = await office.take(case, "accept", "draft")
        (reply,) = await _replies(office, case)
        assert Finding.KIND_NO_CONTACT not in {each.kind for each in reply.findings}
        await office.take(case, "review", "approve", "publish")
        (answer,) = (await office.lookup(submitted.receipt)).answers
        assert (answer.unit_display_name, answer.unit_contact) == ("供水公司", "0731-5550123")

    run(test)


# Versions


def test_every_draft_is_a_version_and_two_can_be_compared(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office, "p1", "p2")
        one, other = (inquiry.name for inquiry in await office.inquiries(case))
        first = reply_pb2.ReplyParagraph(inquiry=one, text="您家的水表已检修。")
        await _draft(office, case, "您好！管网3月修复。", paragraphs=[first])
        second = reply_pb2.ReplyParagraph(inquiry=other, text="您家的水压已恢复。")
        await _draft(office, case, "您好！管网4月修复。", paragraphs=[second])
        newer, older = await _replies(office, case)
        assert [(reply.version, reply.state) for reply in (newer, older)] == [
            (2, case_pb2.Reply.STATE_DRAFTED),
            (1, case_pb2.Reply.STATE_RETURNED),
        ]
        found = await office.call("CompareReplies", reply_pb2.CompareRepliesRequest(name=newer.name), "reviewer")
        assert (found.base_version, found.version) == (1, 2)
        assert "".join({1: "{}", 2: "[-{}]", 3: "[+{}]"}[each.change].format(each.text) for each in found.pieces) == (
            "您好！管网[-3][+4]月修复。"
        )
        assert {change.inquiry: [piece.change for piece in change.pieces] for change in found.paragraphs} == {
            one: [reply_pb2.TextPiece.CHANGE_REMOVED],
            other: [reply_pb2.TextPiece.CHANGE_ADDED],
        }
        back = reply_pb2.CompareRepliesRequest(name=older.name)
        assert (await office.call("CompareReplies", back)).base_version == 0
        back.base = older.name
        assert [each.change for each in (await office.call("CompareReplies", back)).pieces] == [1]

    run(test)


def test_versions_of_a_case_out_of_reach_are_not_compared(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _draft(office, await _accepted(office), THIN)
        request = reply_pb2.CompareRepliesRequest(name=case.reply)
        assert (await office.refusal("CompareReplies", request, OTHER)).code.name == "NOT_FOUND"

    run(test)


# One reply, many inquiries


def test_one_reply_answers_many_and_each_reads_the_paragraph_that_is_theirs(run: Run) -> None:
    async def test(office: Office) -> None:
        receipts = [(await office.submit(f"{number}号楼停水三天")).receipt for number in (1, 2)]
        await office.sent()
        posts = {post.text: external_id for external_id, post in office.collector.posts.items()}
        told = [
            joined("e1", f"p{number}", source="sources/inquiries", external_id=posts[f"{number}号楼停水三天"])
            for number in (1, 2)
        ]
        await office.tell(opened("e1"), *told)
        case = await office.take(await office.case("e1"), "assign", "accept")
        first = f"inquiries/{posts['1号楼停水三天']}"
        paragraph = reply_pb2.ReplyParagraph(inquiry=first, text="1号楼的阀门已更换，原联系电话13800138000停用。")
        case = await _draft(office, case, "管网已抢修完毕，今晨恢复供水。", paragraphs=[paragraph])
        await office.take(case, "review", "approve", "publish")
        answers = [(await office.lookup(receipt)).answers[0] for receipt in receipts]
        assert {answer.text for answer in answers} == {"管网已抢修完毕，今晨恢复供水。"}
        assert [answer.paragraph for answer in answers] == ["1号楼的阀门已更换，原联系电话〔电话〕停用。", ""]
        assert "case.paragraph_drafted" in await office.steps(case)

    run(test)


def test_a_paragraph_is_for_an_inquiry_of_the_case_and_one_for_each(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        (inquiry,) = await office.inquiries(case)
        wrong = reply_pb2.ReplyParagraph(inquiry="inquiries/nobody", text="x")
        right = reply_pb2.ReplyParagraph(inquiry=inquiry.name, text="x")
        request = case_pb2.DraftReplyRequest(name=case.name, text="已处理。", paragraphs=[wrong])
        assert (await office.refusal("DraftReply", request, "officer")).reason == "INQUIRY_UNKNOWN"
        request = case_pb2.DraftReplyRequest(name=case.name, text="已处理。", paragraphs=[right, right])
        assert (await office.refusal("DraftReply", request, "officer")).violations[0].reason == "DUPLICATE"

    run(test)


@pytest.mark.parametrize("table", [PARAGRAPHS, PUBLICATIONS])
def test_an_altered_paragraph_or_summary_shows(run: Run, table: object) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        (inquiry,) = await office.inquiries(case)
        paragraph = reply_pb2.ReplyParagraph(inquiry=inquiry.name, text="您家的水表已检修。")
        case = await _draft(office, case, "管网已抢修完毕。", paragraphs=[paragraph])
        case = await office.take(case, "review", "approve")
        await office.call("PublishReply", case_pb2.PublishReplyRequest(name=case.name, public_summary="停水何时恢复"))
        verify = case_pb2.VerifyCaseRequest(name=case.name)
        assert (await office.call("VerifyCase", verify)).intact
        await office.store.write(lambda tx: tx.execute(update(table).values(text="另一段话")))  # type: ignore[arg-type]
        assert not (await office.call("VerifyCase", verify)).intact

    run(test)


# The public


async def _public(office: Office) -> list[publication_pb2.Publication]:
    listed = await office.call("ListPublications", publication_pb2.ListPublicationsRequest(), "public")
    return list(listed.publications)


async def _approved(office: Office, *, consent: bool) -> tuple[case_pb2.Case, str]:
    """A case whose inquiry was submitted, with its reply approved."""
    await office.submit("3号楼停水三天，电话13812345678", subject="停水", public_consent=consent)
    await office.sent()
    (external_id,) = office.collector.posts
    await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
    case = await office.take(await office.case("e1"), "assign", "accept", "draft", "review", "approve")
    return case, f"inquiries/{external_id}"


def test_nothing_becomes_public_by_itself(run: Run) -> None:
    async def test(office: Office) -> None:
        case, _ = await _approved(office, consent=True)
        await office.take(case, "publish")
        assert await _public(office) == []

    run(test)


def test_with_consent_the_masked_text_becomes_public_with_the_answer(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry = await _approved(office, consent=True)
        await office.call("PublishReply", case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry))
        (public,) = await _public(office)
        assert (public.subject, public.question) == ("停水", "3号楼停水三天，电话〔电话〕")
        assert (public.answer, public.unit_display_name) == ("管网已抢修完毕，今晨恢复供水。", "诉求受理中心")
        # What is destroyed at its source is gone here too.
        gone = joined("e1", "p1", "membership.purged", source="sources/inquiries", external_id=inquiry[10:])
        await office.tell(gone)
        (public,) = await _public(office)
        assert (public.subject, public.question) == ("", "")

    run(test)


def test_without_consent_only_a_summary_of_the_desk_becomes_public(run: Run) -> None:
    async def test(office: Office) -> None:
        case, inquiry = await _approved(office, consent=False)
        request = case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry)
        assert (await office.refusal("PublishReply", request)).reason == "NO_CONSENT"
        request = case_pb2.PublishReplyRequest(name=case.name, public_summary="打13812345678的人问停水")
        assert (await office.refusal("PublishReply", request)).violations[0].reason == "PERSONAL_DATA"
        request.public_summary = "某小区停水何时恢复"
        both = case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry, public_summary="x")
        assert (await office.refusal("PublishReply", both)).violations[0].field == "public_summary"
        await office.call("PublishReply", request)
        (public,) = await _public(office)
        assert (public.subject, public.question) == ("", "某小区停水何时恢复")
        assert (await office.steps(case))[-2:] == ["case.published", "case.summary_published"]

    run(test)


def test_what_a_reviewer_let_pass_for_its_authors_still_does_not_become_public(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _draft(office, await _accepted(office), BLOCKED)
        review = case_pb2.ReviewReplyRequest(name=case.name, decision=PASS, override_findings=True, note="公布的号码")
        case = await office.take(await office.call("ReviewReply", review, "reviewer"), "approve")
        request = case_pb2.PublishReplyRequest(name=case.name, public_summary="停水何时恢复")
        assert (await office.refusal("PublishReply", request)).reason == "PERSONAL_DATA"
        assert (await office.take(case, "publish")).state == Case.STATE_PUBLISHED

    run(test)


def test_what_was_written_on_a_public_board_needs_no_consent_and_a_rehearsal_is_never_public(run: Run) -> None:
    async def test(office: Office) -> None:
        await office.tell(opened("e1"), joined("e1", "p1"), opened("d1", drill=True), joined("d1", "p2", drill=True))
        for event, reason in (("e1", ""), ("d1", "DRILL")):
            case = await office.take(await office.case(event), "assign", "accept", "draft", "review", "approve")
            (inquiry,) = await office.inquiries(case)
            request = case_pb2.PublishReplyRequest(name=case.name, public_inquiry=inquiry.name)
            if reason:
                assert (await office.refusal("PublishReply", request)).reason == reason
            else:
                await office.call("PublishReply", request)
        assert len(await _public(office)) == 1

    run(test)


# Following up


def test_a_follow_up_reaches_the_unit_that_answered_as_an_inquiry_of_its_own(run: Run) -> None:
    async def test(office: Office) -> None:
        unit = unit_pb2.Unit(name="units/water", display_name="供水公司")
        await office.call("BatchUpdateUnits", unit_pb2.BatchUpdateUnitsRequest(units=[unit]), "admin")
        submitted = await office.submit("停水三天", subject="停水")
        await office.sent()
        (external_id,) = office.collector.posts
        await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
        request = inquiry_pb2.FollowUpReceiptRequest(receipt=submitted.receipt, text="昨晚又停了，电话13812345678")
        assert (await office.refusal("FollowUpReceipt", request, "public")).reason == "NOT_ANSWERED"
        case = await office.case("e1")
        await office.call("AssignCase", case_pb2.AssignCaseRequest(name=case.name, lead_unit="units/water"))
        answered = await office.take(case, "accept", "draft", "review", "approve", "publish")

        request.request_id = "one"
        first = await office.call("FollowUpReceipt", request, "public")
        assert await office.call("FollowUpReceipt", request, "public") == first
        (successor,) = await office.cases("state = ASSIGNED", WATER)
        assert (successor.predecessor, successor.lead_unit) == (answered.name, "units/water")
        (inquiry,) = await office.inquiries(successor)
        assert (inquiry.text, inquiry.subject) == ("昨晚又停了，电话〔电话〕", "停水")
        assert inquiry.follows == f"inquiries/{external_id}"
        assert (await office.steps(successor))[:3] == ["case.opened", "case.inquiry_joined", "case.assigned"]

        request.request_id = "two"
        assert (await office.refusal("FollowUpReceipt", request, "public")).reason == "FOLLOW_UP_WAITS"
        await office.take(successor, "accept", "draft", "review", "approve", "publish")
        assert len((await office.lookup(first.receipt)).answers) == 1
        # The first receipt reads its own answer as before, and may follow up again.
        assert len((await office.lookup(submitted.receipt)).answers) == 1
        assert (await office.call("FollowUpReceipt", request, "public")).receipt != first.receipt

    run(test)


async def answered_and_asked_anew(office: Office) -> tuple[str, case_pb2.Case]:
    """The receipt of an inquiry that was answered, and the case of another one about the same event that came since."""
    submitted = await office.submit("停水三天")
    await office.sent()
    (external_id,) = office.collector.posts
    await office.tell(opened("e1"), joined("e1", "p1", source="sources/inquiries", external_id=external_id))
    await office.take(await office.case("e1"), "assign", "accept", "draft", "review", "approve", "publish")
    await office.tell(joined("e1", "p2"))
    (waiting,) = await office.cases("state = REGISTERED")
    return submitted.receipt, waiting


def test_a_follow_up_joins_the_case_that_is_in_work_and_asks_for_its_receipt(run: Run) -> None:
    async def test(office: Office) -> None:
        receipt, waiting = await answered_and_asked_anew(office)
        request = inquiry_pb2.FollowUpReceiptRequest(receipt="no such", text="又停了")
        assert (await office.refusal("FollowUpReceipt", request, "public")).reason == "RECEIPT_UNKNOWN"
        request.receipt = receipt
        await office.call("FollowUpReceipt", request, "public")
        (case,) = await office.cases("state = ASSIGNED", PEOPLE["desk"])
        assert (case.name, case.inquiry_count) == (waiting.name, 2)

    run(test)


def test_a_follow_up_joins_a_case_whose_refusal_waits_for_its_review_and_orders_nobody(run: Run) -> None:
    async def test(office: Office) -> None:
        receipt, waiting = await answered_and_asked_anew(office)
        (inquiry,) = await office.inquiries(waiting)
        await office.call("RefuseInquiry", admission_pb2.RefuseInquiryRequest(name=inquiry.name, ground="court"))
        await office.call(
            "FollowUpReceipt", inquiry_pb2.FollowUpReceiptRequest(receipt=receipt, text="又停了"), "public"
        )
        (case,) = await office.cases("state = REGISTERED")
        assert (case.name, case.inquiry_count, case.open_refusal_count) == (waiting.name, 2, 1)

    run(test)


# Templates


def test_a_template_is_filled_with_what_the_case_knows_and_what_stays_open_blocks(run: Run) -> None:
    async def test(office: Office) -> None:
        case = await _accepted(office)
        listed = await office.call("ListReplyTemplates", reply_pb2.ListReplyTemplatesRequest(case=case.name), "officer")
        assert listed.version == 1
        template = next(each for each in listed.reply_templates if each.name == "replyTemplates/dealt-with")
        assert "采取的措施和结果" in template.slots
        fill = reply_pb2.FillReplyTemplateRequest(name=template.name, case=case.name)
        filled = await office.call("FillReplyTemplate", fill, "officer")
        assert "“e1停水”" in filled.text
        assert "诉求受理中心" in filled.text
        assert "采取的措施和结果" in filled.open_slots
        assert "contact" in filled.open_slots
        drafted = await _draft(office, case, filled.text)
        request = case_pb2.ReviewReplyRequest(name=drafted.name, decision=PASS)
        assert (await office.refusal("ReviewReply", request, "reviewer")).metadata["findings"] == "open_slot"
        fill.name = "replyTemplates/none"
        assert (await office.refusal("FillReplyTemplate", fill, "officer")).code.name == "NOT_FOUND"

    run(test)
