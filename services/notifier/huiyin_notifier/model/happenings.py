"""What happened to a case or a source, as far as routes and messages ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    "case.opened": "新开办件",
    "case.updated": "办件有变动",
    "case.grade_changed": "等级调整",
    "case.inquiry_joined": "新增诉求",
    "case.assigned": "已交办",
    "case.accepted": "已签收",
    "case.drafted": "答复待审核",
    "case.reviewed": "答复待批准",
    "case.returned": "答复退回修改",
    "case.approved": "答复待发布",
    "case.published": "答复已发布",
    "case.closed": "已办结",
    "case.extended": "已延期",
    "case.extension_requested": "申请延期",
    "case.extension_refused": "延期未获同意",
    "case.objected": "承办单位提出异议",
    "case.objection_upheld": "异议成立，待重新交办",
    "case.objection_refused": "异议不成立，请签收",
    "case.investigated": "已记录核查情况",
    "case.noted": "新的内部备注",
    "case.contributed": "协办单位已提交意见",
    "case.part_objected": "协办单位提出异议",
    "case.part_objection_upheld": "协办异议成立",
    "case.part_objection_refused": "协办异议不成立，请提交意见",
    "case.asked": "已询问诉求人",
    "case.told": "已告知诉求人",
    "case.question_closed": "不再等待诉求人补充",
    "case.author_wrote": "诉求人有补充",
    "case.feedback": "诉求人已评价",
    "case.reopened": "重新办理",
    "case.inquiry_admitted": "诉求已受理",
    "case.refusal_proposed": "拟不予受理，待复核",
    "case.inquiry_refused": "不予受理，已告知途径",
    "case.refusal_returned": "不予受理退回",
    "case.inquiry_moved": "诉求已并入其他办件",
    "case.inquiry_withdrawn": "诉求人已撤回",
    "case.merged": "已并入其他办件",
    "inquiry.received": "收到诉求",
    "inquiry.updated": "诉求有变动",
    "task.created": "新的待办事项",
    "task.completed": "待办事项已完成",
    "clock.reminder": "催办",
    "clock.supervision": "督办",
    "clock.circular": "通报",
    "clock.updated": "时限有变动",
    "source.silent": "来源久无新内容",
    "source.failing": "来源连续采集失败",
    "source.recovered": "来源已恢复",
}
"""Every kind of change that somebody may be told of, with its words in a message."""

GRADES: Final[Mapping[str, str]] = {
    "ORDINARY": "一般",
    "LARGE": "较大",
    "SERIOUS": "重大",
    "ESPECIALLY_SERIOUS": "特别重大",
}
"""Grades from the least, with their words; the first is number 1 of huiyin.type.v1.Grade."""

CASE_STATES: Final = (
    "REGISTERED",
    "ASSIGNED",
    "ACCEPTED",
    "DRAFTED",
    "REVIEWED",
    "APPROVED",
    "PUBLISHED",
    "CLOSED",
    "MERGED",
    "OBJECTED",
)
"""States of a case in the order of huiyin.casework.v1.Case.State; the first is number 1."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One change. What a resource does not have is empty: a task has no grade, an inquiry no unit, a source no case."""

    kind: str
    name: str
    """The resource that changed: a case, an inquiry, a task, a clock or a source's health."""
    revision: int
    case: str = ""
    unit: str = ""
    """The case's lead unit, or the suggested one before it is assigned; of a clock, the unit that it waits for."""
    grade: str = ""
    topic: str = ""
    state: str = ""
    """The state of the case; empty for what is no case."""
    title: str = ""
    """The title of the case, the name of the source; never a text of a citizen's."""
    drill: bool = False
    supervisor: str = ""
    """The unit above the one that a clock waits for; empty for what is no clock."""

    def cause(self, receiver: str) -> str:
        """Tells this happening, for one receiver, from every other; the same whenever and wherever it is read again.

        The feed's epoch and sequence are no part of it: a feed that was restored says the same things once more.
        """
        return f"{self.name}\n{self.revision}\n{self.kind}\n{receiver}"
