"""The chain of a case as sentences that a person reads: what each entry says, by its step and its details.

An entry names offices and figures, never people: who took a step stands beside it, as the account.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

Names = Callable[[str], str]
"""What a unit is called, by its id."""

SENTENCES: Final[Mapping[str, str]] = {
    "case.opened": "事件立为办件",
    "case.linked": "记录了关联的事件或办件",
    "case.event_merged": "所属事件并入另一事件，办件随之",
    "case.merged": "并入另一办件",
    "case.took_over": "另一办件并入",
    "case.grade_rose": "等级由{from}升为{to}",
    "case.grade_fell": "等级由{from}降为{to}",
    "case.inquiry_joined": "收到一件诉求",
    "case.imported": "一件诉求由原台账转入（{source}第{row}行）",
    "case.inquiry_edited": "诉求的原文有修改",
    "case.inquiry_moved": "一件诉求转入另一办件",
    "case.inquiry_admitted": "受理一件诉求",
    "case.refusal_proposed": "拟不予受理一件诉求，依据{ground}，待他人复核",
    "case.refusal_returned": "不予受理未通过复核，退回",
    "case.inquiry_refused": "复核通过，一件诉求不予受理，已告知途径",
    "case.inquiry_withdrawn": "诉求人撤回了诉求",
    "case.assigned": "交办：{lead}牵头{assisting}{order}",
    "case.objected": "{unit}对交办提出异议",
    "case.objection_upheld": "{unit}的异议成立，收回交办",
    "case.objection_refused": "{unit}的异议不成立，交办不变",
    "case.accepted": "{unit}签收",
    "case.investigated": "记录了核查情况",
    "case.noted": "{unit}留了内部备注",
    "case.contributed": "{unit}提交协办意见",
    "case.part_objected": "{unit}对协办提出异议",
    "case.part_objection_upheld": "{unit}的异议成立，不再协办",
    "case.part_objection_refused": "{unit}的异议不成立，仍须协办",
    "case.asked": "{unit}询问诉求人",
    "case.told": "{unit}告知诉求人",
    "case.author_wrote": "诉求人作了补充",
    "case.contact_read": "为{purpose}查看了一件诉求的联系方式",
    "case.attached": "收到一件诉求的附件",
    "case.enclosed": "答复加了附件",
    "case.attachment_cleared": "答复的附件经人查看，可以发出",
    "case.attachment_taken_out": "撤下答复的附件",
    "case.question_closed": "不再等待诉求人补充",
    "case.drafted": "起草答复（第{version}稿）",
    "case.paragraph_drafted": "为一件诉求写了专门的一段",
    "case.reviewed": "答复通过审核",
    "case.returned": "答复退回修改",
    "case.approved": "答复获得批准",
    "case.published": "以{unit}名义发布答复，答复{inquiries}件诉求{missing}",
    "case.delivered": "答复已送达转来诉求的平台（{partner}）",
    "case.summary_published": "公开了答复和诉求摘要",
    "case.feedback": "诉求人评价：{satisfied}",
    "case.reopened": "重新办理",
    "case.extension_requested": "{unit}申请延期",
    "case.extension_refused": "延期未获同意",
    "case.extended": "延期，涉及{inquiries}件诉求",
    "case.dismissed": "没有待答复的诉求，不再办理{missing}",
    "case.closed": "办结封存{missing}",
    "case.reminded": "催办{unit}",
    "case.supervised": "督办{unit}",
    "case.circulated": "通报{unit}",
    "case.clock_paused": "时限暂停",
    "case.clock_resumed": "时限继续",
    "case.clock_met": "时限所等的事项已完成",
    "case.clocks_moved": "时限按新的规则或日历重新计算",
    "task.completed": "完成一项待办",
    "contacts.destroyed": "销毁联系方式",
    "texts.destroyed": "销毁原文",
}
"""What is said of each step. Names in braces are of its details; a unit is called by its name."""

_PURPOSES: Final = {
    "ASK_BACK": "回问",
    "VERIFY_ON_SITE": "现场核实",
    "DELIVER_REPLY": "送达答复",
    "RETURN_VISIT": "回访",
}
_GRADES: Final = {"ORDINARY": "一般", "LARGE": "较大", "SERIOUS": "重大", "ESPECIALLY_SERIOUS": "特别重大"}


def sentence(step: str, details: str, names: Names) -> str:
    """What an entry says; "" of a step that is not known, as one of a later release may be."""
    template = SENTENCES.get(step, "")
    return template.format_map(_Values(json.loads(details), names)) if template else ""


class _Values(dict[str, str]):
    """The details of an entry as a sentence names them; what an entry does not have is left out."""

    def __init__(self, details: Mapping[str, Any], names: Names) -> None:
        super().__init__({key: _word(key, value, names) for key, value in details.items()})

    def __missing__(self, key: str) -> str:
        return ""


def _word(key: str, value: Any, names: Names) -> str:
    if key in ("unit", "lead"):
        return names(value)
    if key == "assisting":
        return f"，{'、'.join(map(names, value))}协办" if value else ""
    if key == "missing":
        return f"，{'、'.join(map(names, value))}未提交协办意见"
    if key == "order":
        return f"（{value}）"
    if key == "satisfied":
        return "满意" if value else "不满意"
    if key == "purpose":
        return _PURPOSES.get(value, str(value))
    return _GRADES.get(value, value) if isinstance(value, str) else str(value)
