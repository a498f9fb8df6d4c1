"""A day in a small town that uses every method that writes, once at least; each is proved on the way.

Proved of every method with a `request_id`: the same request again gives the same answer, another one with that id is
refused. Of every one with an `etag`: a stale one is ABORTED, the one that was read last is accepted.
"""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from huiyin.casework.v1 import case_pb2, contact_pb2, inquiry_pb2
from huiyin.collector.v1 import source_pb2
from huiyin.type.v1 import grade_pb2
from huiyin_chassis.errors import DomainError
from huiyin_chassis.identity import Principal

from tests.conformance.world import DESK, World, new, somebody
from tests.contract.walking import is_map
from tests.files import png

OFFICER, SECOND = somebody("officer", units=("water",)), somebody("second", units=("water",))
ASSISTING = somebody("assisting", units=("roads",))
REVIEWER, APPROVER, ADMIN = somebody("reviewer"), somebody("approver"), somebody("admin")
GATEWAY = somebody("gateway")

MATTERS = (
    "青石巷的路灯坏了一个多星期，晚上走路看不清",
    "梅林小区三号楼自来水停了两天，没有人通知",
    "实验小学门口校车乱停，孩子过马路很危险",
    "西郊砖厂夜里偷偷冒黑烟，窗户都不敢开",
    "工业园电子厂拖欠三个月工资，找不到老板",
    "人民医院停车场收费比公示的标准高一倍",
    "北门菜市场污水横流，臭味熏人",
    "十二路公交车经常半小时不来一趟",
    "滨河花园电梯困人三次，物业一直不修",
    "南山村的灌溉水渠塌了，地里的庄稼要旱死",
    "文化广场跳舞音响到半夜还在响",
    "新城幼儿园的滑梯断了一截没人管",
    "老火车站旁边违章搭建把消防通道堵了",
    "农贸街卖的猪肉发黑有怪味",
)
"""Each a matter of its own."""

PASS, RETURN = case_pb2.DECISION_PASS, case_pb2.DECISION_RETURN


class Day:
    """What is done, one call after the other."""

    def __init__(self, world: World) -> None:
        self.world = world

    def do(self, key: str, who: Principal | None = DESK, **fields: Any) -> Any:
        """Calls a method that writes, and notes what it does otherwise than it should."""
        request = new(key, **fields)
        faults = self.world.done.setdefault(key, [])
        known = request.DESCRIPTOR.fields_by_name
        # What is created has no etag yet.
        stale = None if ".Create" in key else _with_etag(request, "stale")
        if stale is not None:
            faults += _unless(
                self.world.outcome(key, stale, who), grpc.StatusCode.ABORTED, "STALE_ETAG", "a stale etag"
            )
        if "request_id" not in known:
            return self._patiently(key, request, who)
        request.request_id = str(uuid.uuid4())  # type: ignore[attr-defined]
        first = self._patiently(key, request, who)
        again = self._patiently(key, request, who)
        if first != again:
            faults.append(f"the same request again answers {again}, not {first}")
        reused = self.world.outcome(key, _changed(request), who)
        faults += _unless(reused, grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED", "a request_id used before")
        return first

    def read(self, key: str, who: Principal | None = DESK, **fields: Any) -> Any:
        """Calls a method that reads."""
        return self.world.call(key, new(key, **fields), who)

    def _patiently(self, key: str, request: Message, who: Principal | None) -> Any:
        # Of files few are looked at at once; whoever sends one comes again.
        for _ in range(50):
            try:
                return self.world.call(key, request, who)
            except DomainError as error:
                if error.reason != "BUSY":
                    raise AssertionError(f"{key}: {error!r}\n{request}") from error
            time.sleep(0.1)
        raise AssertionError(f"{key} is busy for 5 s")

    def found(self, key: str, field: str, who: Principal | None = DESK, **fields: Any) -> Any:
        """What a list has, as soon as it has something."""
        return self.world.until(f"{key} {fields}", lambda: list(getattr(self.read(key, who, **fields), field)))

    def etag(self, case: str) -> str:
        """The etag of a case."""
        found: str = self.read("casework.GetCase", name=case).etag
        return found


def live(world: World) -> None:
    """The whole day. Afterwards the world has something of everything."""
    day = Day(world)
    _set_up(day)
    training = _train(day)
    _let_a_partner_pass_on(day)
    receipts = _ask(day)
    _listen(day)
    _handle(day, receipts)
    _regroup(day)
    _use_model(day, training)
    world.receipts = [receipts[matter] for matter in MATTERS[8:]]


def _set_up(day: Day) -> None:
    world = day.world
    topics = [{"name": f"topics/{name}", "words": [name]} for name in ("城乡建设", "环境保护", "交通运输")]
    day.do("analyzer.BatchUpdateTopics", ADMIN, topics=topics)
    places = [{"name": f"places/{name}", "kind": "town"} for name in ("青石巷", "梅林小区", "西郊")]
    day.do("analyzer.BatchUpdatePlaces", ADMIN, places=places)
    units = [
        {"name": "units/desk", "display_name": "受理中心", "desk": True},
        {
            "name": "units/water",
            "display_name": "供水公司",
            "members": [{"account": "accounts/officer", "roles": ["officer"]}],
        },
        {"name": "units/roads", "display_name": "公路处"},
    ]
    day.do("casework.BatchUpdateUnits", ADMIN, units=units)
    for source, kind in (("board", source_pb2.Source.KIND_INBOX), ("file", source_pb2.Source.KIND_FILE)):
        made = {"display_name": source, "kind": kind, "expects_answer": False}
        day.do("collector.CreateSource", source_id=source, source=made)
    # Nobody is there, and never will be (RFC 6761, section 6.4): a feed that fails has its health too.
    feed = {"display_name": "新闻", "kind": source_pb2.Source.KIND_FEED, "uri": "https://feed.invalid/news"}
    day.do("collector.CreateSource", source_id="feed", source=feed)
    world.names["SourceHealth"] = "sources/feed/health"
    day.do("collector.UpdateSource", source={"name": "sources/file", "area": "西郊", "etag": ""})
    world.names |= {"Topic": "topics/城乡建设", "Place": "places/西郊", "Unit": "units/roads", "Source": "sources/file"}
    for service, kind in (("analyzer", "grading"), ("casework", "clocks"), ("notifier", "routes")):
        policy = day.read(f"{service}.GetPolicy", name=f"policies/{kind}")
        day.do(f"{service}.UpdatePolicy", ADMIN, policy={"name": policy.name, "body": policy.body, "etag": policy.etag})


def _ask(day: Day) -> dict[str, str]:
    """Inquiries, each with its case; returns their receipts."""
    receipts = {}
    for matter in MATTERS[:-1]:
        receipts[matter] = day.do(
            "casework.SubmitInquiry", None, text=matter, contact="老王", public_consent=True
        ).receipt
    last = MATTERS[-1]
    taken = {"text": last, "channel": inquiry_pb2.Inquiry.CHANNEL_TELEPHONE}
    prepared = day.read("casework.PrepareInquiry", OFFICER, **taken)
    taken_down = day.do("casework.SubmitInquiry", OFFICER, **taken, confirmation=prepared.confirmation)
    receipts[last] = taken_down.receipt
    return receipts


def _let_a_partner_pass_on(day: Day) -> None:
    made = day.do("casework.CreatePartner", ADMIN, partner_id="hotline", partner={"display_name": "热线"})
    name = made.partner.name
    day.do(
        "casework.UpdatePartner", ADMIN, partner={"name": name, "display_name": "市民热线", "etag": made.partner.etag}
    )
    secret = day.do("casework.RotatePartnerSecret", ADMIN, name=name).secret
    sent = _signed(secret, {"externalId": "1", "text": "东湖公园的长椅断了两条腿"})
    receipts = {day.do("casework.SubmitPartnerInquiry", None, parent=name, **sent).receipt for _ in range(2)}
    assert len(receipts) == 1
    day.world.names["Partner"] = name


def _signed(secret: str, message: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message that another body's system sends."""
    body, now = json.dumps(message).encode(), int(time.time())
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"m1.{now}.".encode() + body, "sha256")).decode()
    return {
        "body": httpbody_pb2.HttpBody(content_type="application/json", data=body),
        "webhook_id": "m1",
        "webhook_timestamp": str(now),
        "webhook_signature": f"v1,{signature}",
    }


def _listen(day: Day) -> None:
    posts = [{"external_id": f"{number}", "text": f"{matter}，快来管管"} for number, matter in enumerate(MATTERS)]
    made = day.do("collector.BatchCreatePosts", source="sources/board", posts=posts)
    secret = day.do("collector.RotateSourceSecret", name="sources/board").secret
    delivery = _signed(secret, {"posts": [{"externalId": "d1", "text": "河滨步道的护栏断了"}]})
    answers = [day.do("collector.DeliverPosts", None, source="sources/board", **delivery) for _ in range(2)]
    assert answers[0] == answers[1]
    rows = "内容,编号\n" + "".join(f"{matter}！,r{number}\n" for number, matter in enumerate(MATTERS))
    file = httpbody_pb2.HttpBody(content_type="text/csv", data=rows.encode())
    columns = ["text=内容", "external_id=编号"]
    begun = day.do("collector.ImportPosts", source="sources/file", file=file, file_name="帖子.csv", columns=columns)
    again = day.do("collector.ImportPosts", source="sources/file", file=file, file_name="再来.csv", columns=columns)
    day.do("collector.CancelOperation", name=again.name)
    post = made.outcomes[0].post
    day.world.names |= {"Post": post, "PostSeries": f"{post}/series", "collector.Operation": begun.name}
    day.do("collector.SetPostHold", GATEWAY, posts=[made.outcomes[1].post], held=True)


def _handle(day: Day, receipts: dict[str, str]) -> None:
    world = day.world
    expected = len(MATTERS)
    world.until("cases", lambda: day.read("casework.ListCases").total_size >= expected)
    world.until("inquiries with cases", lambda: _inquiries(day).keys() >= set(MATTERS))
    by_matter = _inquiries(day)
    inquiries = [by_matter[matter] for matter in MATTERS]
    cases = [inquiry.case for inquiry in inquiries]
    first, objected, dismissed = cases[0], cases[1], cases[2]
    receipt = receipts[MATTERS[0]]

    day.do("casework.ReadContact", name=inquiries[0].name, purpose=contact_pb2.CONTACT_PURPOSE_ASK_BACK)
    day.do("casework.AdmitInquiry", name=inquiries[0].name)
    day.do("casework.RefuseInquiry", name=inquiries[3].name, ground="court")
    day.do("casework.ReviewRefusal", REVIEWER, name=inquiries[3].name, decision=PASS)
    day.do("casework.JoinInquiry", name=inquiries[4].name, case=cases[5])
    day.do("casework.WithdrawByReceipt", None, receipt=receipts[MATTERS[2]], reason="已经好了")
    day.do("casework.DismissCase", name=dismissed, reason="不属受理范围", etag=day.etag(dismissed))

    assign = {"lead_unit": "units/water", "assisting_units": ["units/roads"], "note": "请尽快"}
    day.do("casework.AssignCase", name=objected, etag=day.etag(objected), **assign)
    objection = {"rule": "《条例》第三条", "reason": "不归我们管"}
    day.do("casework.ObjectToCase", OFFICER, name=objected, etag=day.etag(objected), **objection)
    day.do("casework.DecideObjection", name=objected, decision=RETURN, note="归你们管", etag=day.etag(objected))

    day.do("casework.AssignCase", name=first, etag=day.etag(first), **assign)
    day.do("casework.ObjectToPart", ASSISTING, name=first, etag=day.etag(first), **objection)
    day.do(
        "casework.DecidePartObjection", name=first, unit="units/roads", decision=RETURN, note="要", etag=day.etag(first)
    )
    day.do("casework.ContributeToCase", ASSISTING, name=first, note="路面完好", etag=day.etag(first))
    day.do("casework.AcceptCase", OFFICER, name=first, etag=day.etag(first))
    day.do("casework.InvestigateCase", OFFICER, name=first, note="灯泡老化", etag=day.etag(first))
    day.do("casework.NoteCase", OFFICER, name=first, note="周五再看", etag=day.etag(first))
    day.do("casework.AskAuthor", OFFICER, name=inquiries[0].name, text="是哪一段？")
    day.do("casework.WriteByReceipt", None, receipt=receipt, text="桥头那一段")
    day.do("casework.AskAuthor", OFFICER, name=inquiries[0].name, text="灯杆上有编号吗？")
    day.do("casework.CloseQuestion", OFFICER, name=inquiries[0].name)
    day.do("casework.TellAuthor", OFFICER, name=inquiries[0].name, text="已派人查看")
    day.do("casework.RequestExtension", OFFICER, name=first, reason="等材料", etag=day.etag(first))
    day.do("casework.DecideExtension", APPROVER, name=first, decision=RETURN, note="不延", etag=day.etag(first))
    day.do("casework.ExtendCase", name=first, reason="等材料", etag=day.etag(first))
    _attach(day, inquiries[0].name, receipt)
    text = "经查，灯泡老化，已于昨日更换，感谢您的反映。"
    day.do("casework.DraftReply", OFFICER, name=first, text=text, etag=day.etag(first))
    taken_out = day.do("casework.EncloseFile", OFFICER, name=first, file=_picture(3))
    day.do("casework.TakeOutAttachment", OFFICER, name=taken_out.name)
    picture = day.do("casework.EncloseFile", OFFICER, name=first, file=_picture(5)).name
    day.do("casework.ClearAttachment", REVIEWER, name=picture)
    day.do(
        "casework.ReviewReply",
        REVIEWER,
        name=first,
        decision=PASS,
        etag=day.etag(first),
        override_findings=True,
        note="可",
    )
    day.do("casework.ApproveReply", APPROVER, name=first, decision=PASS, etag=day.etag(first))
    day.do("casework.PublishReply", name=first, etag=day.etag(first), public_inquiry=inquiries[0].name)
    day.do("casework.GiveFeedback", None, receipt=receipt, satisfied=False, reason="又坏了")
    (task, *_) = day.found("casework.ListTasks", "tasks", filter="state = OPEN")
    day.do("casework.CompleteTask", name=task.name, note="已回访")
    day.do("casework.ReopenCase", name=first, reason="确实又坏了", etag=day.etag(first))
    for method, who, fields in _TO_ANSWER:
        day.do(f"casework.{method}", who, name=first, etag=day.etag(first), **fields)
    day.do("casework.FollowUpReceipt", None, receipt=receipt, text="谢谢，还有一盏也不亮")
    day.do("casework.CloseCase", name=first, etag=day.etag(first))
    _keep(day, first, cases[7])
    for case, steps in ((cases[10], _TO_OBJECTION), (cases[11], _TO_APPROVAL)):
        for method, who, fields in steps:
            day.do(f"casework.{method}", who, name=case, etag=day.etag(case), **fields)
    world.names |= {
        "casework.ContributeToCase.name": objected,
        "casework.ObjectToPart.name": objected,
        "casework.DecidePartObjection.name": cases[10],
        "casework.PublishReply.name": cases[11],
    }
    names = {
        "Case": cases[9],
        "Inquiry": inquiries[9].name,
        "Admission": f"{inquiries[0].name}/admission",
        "Message": day.read("casework.ListMessages", parent=inquiries[0].name).messages[0].name,
        "Attachment": picture,
        "Reply": day.read("casework.ListReplies", parent=first).replies[0].name,
        "Order": day.found("casework.ListOrders", "orders")[0].name,
        "Task": task.name,
        "ReplyTemplate": day.read("casework.ListReplyTemplates").reply_templates[0].name,
        "Publication": day.read("casework.ListPublications", None).publications[0].name,
        "Entry": day.read("casework.ListEntries", parent=first).entries[0].name,
    }
    shown = day.read("casework.ListPublications", None).publications[0].attachments[0].id
    world.names |= names | {"casework.PublicAttachment": f"{names['Publication']}/attachments/{shown}"}
    (clock, *_) = day.found("casework.ListSupervision", "clocks", until={"seconds": int(time.time()) + 90 * 86400})
    world.names["Clock"] = clock.name
    world.names["Notification"] = day.found("notifier.ListNotifications", "notifications")[0].name


Steps = tuple[tuple[str, Principal, dict[str, Any]], ...]
_ASSIGN = ("AssignCase", DESK, {"lead_unit": "units/water", "assisting_units": ["units/roads"]})
_TO_OBJECTION: Steps = (_ASSIGN, ("ObjectToPart", ASSISTING, {"rule": "《条例》第三条", "reason": "不归我们管"}))
_ANSWERING: Steps = (
    ("DraftReply", OFFICER, {"text": "经复查，线路已整体更换，感谢您的反映。"}),
    ("ReviewReply", REVIEWER, {"decision": PASS, "override_findings": True, "note": "可"}),
    ("ApproveReply", APPROVER, {"decision": PASS}),
)
_TO_APPROVAL: Steps = (_ASSIGN, ("AcceptCase", OFFICER, {}), *_ANSWERING)
_TO_ANSWER: Steps = (*_ANSWERING, ("PublishReply", DESK, {}))


def _inquiries(day: Day) -> dict[str, inquiry_pb2.Inquiry]:
    """The inquiries that have a case, by their text."""
    found = day.read("casework.ListInquiries", page_size=1000).inquiries
    return {inquiry.text: inquiry for inquiry in found if inquiry.case}


def _picture(colour: int) -> dict[str, Any]:
    return {"file_name": "现场.png", "data": png(colour)}


def _attach(day: Day, inquiry: str, receipt: str) -> None:
    day.do("casework.AttachByReceipt", None, receipt=receipt, file=_picture(1))
    day.do("casework.AttachToInquiry", OFFICER, name=inquiry, file=_picture(2))


def _keep(day: Day, case: str, other: str) -> None:
    """What is kept beside cases: past answers, filters, running cases, steps with many."""
    answers = [{"external_id": "1", "subject": "路灯", "question": "路灯不亮", "text": "已更换灯泡"}]
    day.do("casework.BatchCreateAnswers", source="旧系统", answers=answers)
    (hit, *_) = day.found("casework.SearchAnswers", "hits", text="路灯不亮")
    day.world.names["Answer"] = hit.answer.name
    answers = [{"external_id": "2", "subject": "旧闻", "question": "旧闻", "text": "旧答"}]
    day.do("casework.BatchCreateAnswers", source="旧系统", answers=answers)
    (hit, *_) = day.found("casework.SearchAnswers", "hits", text="旧闻")
    day.do("casework.DeleteAnswer", name=hit.answer.name)
    kept = day.do("casework.CreateCaseFilter", case_filter={"display_name": "急件", "filter": "urgent = true"})
    changed = {"name": kept.name, "display_name": "加急"}
    day.do("casework.UpdateCaseFilter", case_filter=changed, update_mask={"paths": ["display_name"]})
    day.world.names["CaseFilter"] = kept.name
    gone = day.do("casework.CreateCaseFilter", case_filter={"display_name": "旧的", "filter": "drill = false"})
    day.do("casework.DeleteCaseFilter", name=gone.name)
    rows = [
        {
            "row": 2,
            "external_id": "7",
            "subject": "井盖",
            "text": "井盖丢了",
            "receive_time": {"seconds": int(time.time())},
        }
    ]
    day.do("casework.ImportCases", source="旧台账", rows=rows)
    noted = {"cases": [{"name": other, "etag": day.etag(other)}], "note": {"note": "逐件核对"}}
    day.do("casework.BatchStepCases", **noted)


def _regroup(day: Day) -> None:
    def events() -> list[Any]:
        held = {case.event for case in day.read("casework.ListCases", page_size=1000).cases if case.lead_unit}
        found = day.read("analyzer.ListEvents", page_size=1000).events
        return [event for event in found if event.name not in held and event.post_count >= 2]

    world = day.world
    one, two, three, *_ = world.until("events", lambda: (found := events())[3:] and found)
    posts = [member.post for member in day.read("analyzer.ListMemberships", parent=one.name).memberships]
    split = day.do("analyzer.SplitEvent", name=one.name, posts=posts[:1], reason="两件事")
    day.do("analyzer.MovePosts", name=two.name, posts=posts[1:2], reason="是那件事")
    day.do("analyzer.MergeEvents", name=two.name, events=[split.name], reason="一件事")
    day.do("analyzer.OverrideGrade", name=three.name, grade=grade_pb2.GRADE_LARGE, reason="影响大")
    day.do("analyzer.CorrectEventTopic", name=three.name, topic="topics/环境保护", reason="归类有误")
    membership = f"memberships/{posts[0].removeprefix('posts/')}"
    day.do("analyzer.CorrectTopics", memberships=[membership], topic="topics/交通运输", reason="归类有误")
    day.do("analyzer.SetEventHold", GATEWAY, events=[three.name], hold=2)
    world.names |= {
        "Event": three.name,
        "Membership": membership,
        "Regrouping": day.read("analyzer.ListRegroupings").regroupings[0].name,
        "TopicCorrection": day.read("analyzer.ListTopicCorrections").topic_corrections[0].name,
    }


def _train(day: Day) -> str:
    """A training, which goes on beside the rest of the day."""
    labels = ("甲", "乙")
    rows = "内容,分类\n" + "".join(f"{text}{n},{labels[at % 2]}\n" for at, text in enumerate(MATTERS) for n in range(8))
    file = httpbody_pb2.HttpBody(content_type="text/csv", data=rows.encode())
    columns = {"text_column": "内容", "label_column": "分类"}
    begun = day.do("analyzer.TrainTopicModel", ADMIN, file=file, file_name="样本.csv", inactive=True, **columns)
    day.world.names["analyzer.Operation"] = begun.name
    behind = day.do("analyzer.TrainTopicModel", ADMIN, file=file, file_name="再来.csv", inactive=True, **columns)
    day.do("analyzer.CancelOperation", ADMIN, name=behind.name)
    return str(begun.name)


def _use_model(day: Day, training: str) -> None:
    def finished() -> Any:
        operation = day.read("analyzer.GetOperation", name=training)
        return operation if operation.done else None

    assert not day.world.until("a topic model", finished).HasField("error")
    (model, *_) = day.found("analyzer.ListTopicModels", "topic_models")
    day.do("analyzer.ActivateTopicModel", ADMIN, name=model.name)
    day.do("analyzer.DeactivateTopicModel", ADMIN)
    day.world.names["TopicModel"] = model.name


def _unless(error: DomainError | None, code: grpc.StatusCode, reason: str, what: str) -> list[str]:
    if error is not None and (error.code, error.reason) == (code, reason):
        return []
    return [f"{what} is not refused with {reason}: {error!r}"]


def _with_etag(request: Message, etag: str) -> Message | None:
    """The request with another etag: its own, or that of the resource in it; None where there is none."""
    copy = type(request)()
    copy.CopyFrom(request)
    if "etag" in request.DESCRIPTOR.fields_by_name:
        copy.etag = etag  # type: ignore[attr-defined]
        return copy
    for field in request.DESCRIPTOR.fields:
        inner = field.message_type
        if inner is not None and not field.is_repeated and "etag" in inner.fields_by_name and copy.HasField(field.name):
            getattr(copy, field.name).etag = etag
            return copy
    return None


def _changed(request: Message) -> Message:
    """The request with something else in it."""
    copy = type(request)()
    copy.CopyFrom(request)
    _change(copy)
    return copy


def _change(message: Message) -> None:
    fields = [field for field in message.DESCRIPTOR.fields if field.name not in _SAME and not is_map(field)]
    flags = [field.name for field in fields if field.type == FieldDescriptor.TYPE_BOOL]
    texts = [field for field in fields if field.type == FieldDescriptor.TYPE_STRING and getattr(message, field.name)]
    inner = [field for field in fields if field.message_type and _given(message, field)]
    if flags:
        setattr(message, flags[0], not getattr(message, flags[0]))
    elif inner:
        there = getattr(message, inner[0].name)
        _change(there[0] if inner[0].is_repeated else there)
    elif texts and texts[-1].is_repeated:
        getattr(message, texts[-1].name)[0] += "1"
    elif texts:
        setattr(message, texts[-1].name, "另" + getattr(message, texts[-1].name))
    else:
        message.name += "1"  # type: ignore[attr-defined]


def _given(message: Message, field: FieldDescriptor) -> bool:
    return bool(getattr(message, field.name)) if field.is_repeated else message.HasField(field.name)


_SAME = ("request_id", "etag", "name", "validate_only", "receipt", "contact", "filter", "data")
"""Fields that stay as they are where a request is to differ: a contact is not remembered, so it cannot be compared."""
