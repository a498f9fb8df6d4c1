"""The texts of problem documents in Chinese, by reason; in English they are as the services word them.

A service's sentence has figures and names that a reason does not tell, so it stands beside the Chinese one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

ENGLISH: Final = "en"
CHINESE: Final = "zh-CN"

_QUALITY = re.compile(r"q=([01](?:\.\d{0,3})?)")


def language_of(accepted: str) -> str:
    """The language to answer in, by Accept-Language (RFC 9110, 12.5.4): English unless Chinese is liked better."""
    best, found = 0.0, ENGLISH
    for part in accepted[:500].split(","):
        tag, _, parameters = part.partition(";")
        quality = _QUALITY.search(parameters)
        liked = float(quality[1]) if quality else 1.0
        language = {"zh": CHINESE, "en": ENGLISH}.get(tag.strip().lower().partition("-")[0])
        if language is not None and liked > best:
            best, found = liked, language
    return found


def in_chinese(reason: str, english: str) -> str | None:
    """What a sentence says, with its figures where it has any; None for a reason without a text."""
    for pattern, text in _WITH_FIGURES:
        if found := pattern.fullmatch(english):
            return text(found)
    return REASONS.get(reason)


def _filled(text: str) -> Callable[[re.Match[str]], str]:
    return lambda found: text.format(*found.groups())


_UNITS: Final = {"characters": "个字", "bytes": "个字节", "elements": "项", "entries": "项"}

_WITH_FIGURES: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = tuple(
    (re.compile(pattern, re.DOTALL), text if callable(text) else _filled(text))
    for pattern, text in (
        (
            r"has (\d+) (characters|bytes|elements|entries), at most (\d+) are accepted.*",
            lambda found: f"有{found[1]}{_UNITS[found[2]]}，最多{found[3]}{_UNITS[found[2]]}，请减少",
        ),
        (
            r"has (\d+) (characters|bytes), at least (\d+) are needed",
            lambda found: f"有{found[1]}{_UNITS[found[2]]}，至少{found[3]}{_UNITS[found[2]]}",
        ),
        (r"is (\S+), the least that is accepted is (\S+)", "是{0}，不能小于{1}"),
        (r"is (\S+), the greatest that is accepted is (\S+)", "是{0}，不能大于{1}"),
        (r"must lie between (\S+) and (\S+)", "应在{0}与{1}之间"),
        (r"must match (.+)", "应符合格式 {0}"),
        (r"must be one of (.+)", "应为以下之一：{0}"),
        (r"(\S+) is not known; choose one of (.+)", "没有{0}这个值，应为以下之一：{1}"),
        (r"is not a field here; did you mean (.+)\?", "没有这个字段，是否指 {0}？"),
        (r"is not a field here; known are (.+)", "没有这个字段，可用的有：{0}"),
        (r"must be a string", "应为字符串"),
        (r"must be a number", "应为数字"),
        (r"must be a whole number", "应为整数"),
        (r"must be true or false", "应为 true 或 false"),
        (r"must be a list", "应为数组"),
        (r"must be a JSON object", "应为 JSON 对象"),
        (r"must be base64", "应为 base64"),
        (r"must not be null", "不能为 null"),
        (r"is too large", "数值过大"),
        (r"is nested too deep", "嵌套过深"),
        (r"cannot be given in a URL; send it in the body", "不能放在网址里，请放在请求正文中"),
        (r"is not taken from the URL here; send it in the body", "不能放在网址里，请放在请求正文中"),
        (r"is given by the path; leave it out of the query", "已由路径给出，请从查询参数中去掉"),
        (r"is there twice, or with another of its choice; give one", "重复给出，请只给一个"),
        (r"is not a (\S+) as JSON has it: (.+)", "不是 JSON 形式的 {0}，例如：{1}"),
        (r"is not JSON: (.+) at line (\d+), column (\d+)", "第{1}行第{2}列不是 JSON：{0}"),
        (r"the (\S+) cannot be reached now; try again", "{0} 服务暂时联系不上，请稍后再试"),
        (r"the (\S+) did not answer within (\S+) s; .*", "{0} 服务在{1}秒内没有答复，请稍后再试，或一次少要一些"),
        (r"(\S+) takes (.+) only", "{0} 只接受 {1}"),
        (r"nothing is served at (\S+); .*", "{0} 处没有任何服务，可用的见 /v1/openapi.json"),
        (r"(\S+) may not do this; it needs the permission (\S+)", "{0} 无权这样做，需要权限 {1}"),
        (r"(\S+) does not exist; list the collection to see what does", "{0} 不存在，请列出所在集合查看"),
        (r"(\S+) exists already; update it, or choose another id", "{0} 已存在，请修改它，或换一个编号"),
    )
)

TITLES: Final[Mapping[int, str]] = {
    400: "请求不能使用",
    401: "请先登录",
    403: "不允许",
    404: "找不到",
    405: "不接受这种方法",
    408: "请求来得太慢",
    409: "冲突",
    410: "已不在",
    412: "其间已被修改",
    413: "过大",
    415: "不接受这种内容类型",
    429: "请求过多",
    431: "请求头过大",
    499: "已取消",
    500: "内部错误",
    501: "未实现",
    503: "暂不可用",
    504: "耗时过长",
}

REASONS: Final[Mapping[str, str]] = {
    "ALREADY_EXISTS": "已存在，请修改它，或换一个编号",
    "ANSWERS_EXPECTED": "在这里发帖的人等着答复，应有回执；请作为合作方转交诉求，或换一个不需答复的站点",
    "APPROVER_PRESENT": "审批人在岗；审批人都不在，或答复等得过久时，才由代理人审批",
    "ATTACHMENT_NOT_PUBLIC": "附件含有可识别个人的内容，或尚无人查看，不能公开；请去掉后重拟，或不公开发布",
    "ATTACHMENT_UNCLEARED": "附件尚无人查看；请打开查看，予以放行或去掉",
    "BODY_INVALID": "正文不是约定的 JSON，字段见接口说明",
    "BODY_MISPLACED": "只有移送其他机关的理由才能带这一项",
    "BODY_TOO_LARGE": "请求正文过大，请分几次发送",
    "BUREAU_WORK": "此事属于主管部门，不能下派；请派给主管部门，由该单位协办",
    "BUSY": "正在处理其他文件，请过几秒再发",
    "CALL_TOO_LONG": "耗时过长；请一次少要一些，或给出期限",
    "CASE_SUCCEEDED": "已有后续办件，请在那里处理",
    "CASE_UNSUITABLE": "应为另一件未办结的办件，且不是演练",
    "CIRCULAR": "形成了环，单位树不能有环",
    "CLOCK_ENDED": "这一时限已经结束",
    "CLOCK_MET_BY_STEP": "这一时限由相应的步骤完成，不能单独完成",
    "COLUMNS_UNKNOWN": "文件缺少所需的列，请指明各列",
    "CONTACT_UNREADABLE": "联系方式由另一密钥加密，请恢复原来的密钥文件",
    "CONTENT_TYPE": "不接受这种内容类型，请发送 application/json",
    "CURSOR_EXPIRED": "这一位置之后的变更已不再保留，请重新列出，再继续跟踪",
    "CURSOR_UNKNOWN": "这一位置不属于本变更流，请重新列出，再从列表处跟踪",
    "DEADLINE_EXCEEDED": "在期限内没有答复，请稍后再试，或一次少要一些",
    "DRILL": "演练的答复不公开",
    "DRILL_MIXED": "一个是演练，另一个不是，二者不能合并",
    "DUPLICATE": "重复给出，请只给一次",
    "ENDS_EARLY": "结束时间早于开始时间",
    "EVENT_MERGED": "此事件已并入另一事件，请用新的事件",
    "FEEDBACK_GIVEN": "每份答复只评价一次，此前已评价",
    "FEEDBACK_OVER": "评价期限已过，如有需要请另行提出",
    "FEED_INTERRUPTED": "变更流中断，将重新读取",
    "FEED_UNAVAILABLE": "变更流暂不可用，请稍后再试",
    "FIELD_NOT_UPDATABLE": "这一字段不能修改",
    "FIELD_UNKNOWN": "没有这个字段",
    "FIGURE_UNKNOWN": "没有这个指标",
    "FILE_EMPTY": "文件是空的",
    "FILE_TOO_LARGE": "文件过大，请拆分",
    "FILE_UNREADABLE": "文件读不出来，请检查格式",
    "FILTER_INVALID": "筛选条件写得不对",
    "FOLLOW_UP_WAITS": "前一次追问还在等答复，请等它答复",
    "FORMAT_UNKNOWN": "不认识这种文件格式",
    "GROUND_UNKNOWN": "没有这一理由，请从受理政策中选择",
    "HEADERS_TOO_LARGE": "网址或请求头过大，请减少",
    "HOURS_INVALID": "工作时间写得不对",
    "IMPORTS_WAITING": "排队的导入过多，请等一些完成后再试",
    "INQUIRY_ANSWERED": "此诉求已答复，提出人可以追问",
    "INQUIRY_UNKNOWN": "不是本办件中等待答复的诉求",
    "INQUIRY_WITHDRAWN": "此诉求已由提出人撤回，不再答复",
    "INTERNAL": "内部出错，请凭 traceId 查服务日志",
    "INVALID_ARGUMENT": "这一项的值不能使用",
    "IN_THE_PAST": "时间已过，请给将来的时间，或不给",
    "JSON_INVALID": "请求正文不是正确的 JSON",
    "KEY_INVALID": "请这样发送密钥：Authorization: Bearer hy_…",
    "KEY_MISSING": "请先登录：发送 Authorization: Bearer 和您的密钥",
    "KEY_UNKNOWN": "密钥不存在或已过期，请另要一个",
    "MAY_NOT_TAKE": "只有受理台和经办人可以代录诉求",
    "METHOD_NOT_ALLOWED": "此处不接受这种方法",
    "MODEL_DISCARDED": "这一模型已弃用",
    "NAME_INVALID": "名称写得不对",
    "NOTHING_ASKED": "请给出问题，或给出办件",
    "NOTHING_LEFT": "这样一来事件里就什么也不剩了",
    "NOT_ANSWERED": "此诉求尚无答复，回执上写有期限",
    "NOT_ASSISTING": "该单位不协办本办件",
    "NOT_ASSISTING_UNIT": "只有协办单位才能就自己的部分这样做",
    "NOT_FOUND": "不存在，请列出所在集合查看",
    "NOT_IMPORTED": "不是导入的答复",
    "NOT_KEPT": "此诉求的文字已不再保存，不能再加附件",
    "NOT_LEAD_UNIT": "只有主办单位才能这样做",
    "NOT_OF_EVENT": "不属于这一事件",
    "NOT_READ_BACK": "代录的诉求须先读给提出人听，并确认",
    "NOT_STANDING_IN": "该账号代理的是别的单位",
    "NO_CASE": "此诉求尚未进入办件，读过之后就会进入",
    "NO_CONSENT": "提出人未同意公开原文，请另写摘要",
    "NO_CONTACT": "提出人没有留下联系方式，或已销毁；请凭回执联系",
    "NO_DESK": "这样就没有受理台了，总要有人派单",
    "NO_MEMBER": "该账号不在本单位及其上级单位任职",
    "NO_QUESTION": "没有待答的提问",
    "NO_RECEIPT": "提出人没有回执，看不到；请在原处联系",
    "NO_REFUSAL": "没有待复核的不予受理",
    "NO_REPLY": "尚无答复",
    "NUL": "含有 NUL 字符，请去掉",
    "OBJECTION_LATE": "异议的期限已过",
    "ONEOF": "几项之中只能给一项",
    "OPERATION_LOST": "进程在完成之前结束了，请重新开始",
    "ORDER_INVALID": "不能按此排序",
    "OUT_OF_RANGE": "超出范围",
    "PAGE_TOKEN_INVALID": "翻页标记不属于这一列表，请用同样条件的前一页所给的标记",
    "PARENT_MISSING": "上级不存在",
    "PATTERN": "不符合格式",
    "PERMISSION_MISSING": "您无权这样做",
    "PERSONAL_DATA": "含有可识别个人的内容，请去掉",
    "PIECE_TOO_LARGE": "每一块过大，请发小一些",
    "POLICY_INVALID": "政策写得不对",
    "POST_UNKNOWN": "不认识这一帖文",
    "PRECONDITION_UNSUPPORTED": "此方法没有 etag，请去掉 If-Match",
    "PROPOSAL_OUTDATED": "事件其间已变，这一建议不再适用",
    "PROPOSAL_RESOLVED": "这一建议此前已处理",
    "QUERY_INVALID": "网址中的查询参数不能使用",
    "QUESTION_OPEN": "前一次提问还没有回答，请等待，或先结束它",
    "REACH_MISSING": "您看不到这些内容",
    "REACH_UNAVAILABLE": "暂时查不到您的身份与权限，请稍后再试",
    "RECEIPT_UNKNOWN": "没有这一回执，请逐字核对",
    "REFUSAL_OPEN": "不予受理尚待复核，请先复核",
    "REPLY_BLOCKED": "答复未通过检查；请退回，或说明理由后放行",
    "REQUEST_ID_REUSED": "这一请求编号已用于别的请求，请每次取新的 UUID",
    "REQUEST_MALFORMED": "请求不符合 HTTP/1.1",
    "REQUEST_TIMEOUT": "请求来得太慢，请重新发送",
    "REQUIRED": "必填",
    "ROUTE_UNKNOWN": "此处没有任何服务，可用的见 /v1/openapi.json",
    "RULES_UNUSED": "这类站点用不到这些规则，请去掉，或换一种类型",
    "RULE_INVALID": "采集规则写得不对",
    "SAME_AUTHOR": "不能由同一人办理，请另请一人",
    "SAME_EVENT": "是同一事件，请去掉",
    "SERVICE_DOWN": "该服务暂停使用，请稍后再试",
    "SIGNATURE_REFUSED": "签名不符；请核对地址、密钥、本机时钟，以及编号、时间和正文是否原样签名",
    "SIGN_IN": "只有经办人可以代录电话和窗口诉求，请先登录",
    "SOURCE_KIND": "站点的类型不对，请换一个，或新建",
    "STALE_ETAG": "其间已被他人修改，请重新读取后再试",
    "STALE_REVISION": "其间已有变化，请重新读取后再试",
    "STEP_NOT_POSSIBLE": "办件现在的状态不允许这一步",
    "STOPPING": "正在停止，请稍后再试",
    "STORE_BUSY": "等待写入的过多，请稍后再试",
    "STORE_CLOSED": "服务正在停止，请稍后再试",
    "STORE_UNAVAILABLE": "数据库暂不应答，请稍后再试",
    "TASKS_OPEN": "本办件还有未完成的任务，请先完成",
    "TASK_DONE": "任务此前已完成",
    "TIMES_REVERSED": "起止时间颠倒",
    "TIME_IMPLAUSIBLE": "时间不合理",
    "TIME_ZONE_UNKNOWN": "不认识这一时区，请写成 Asia/Shanghai 的形式",
    "TOKEN_EXPIRED": "凭证已过期，请重新登录，或从最后的位置重新打开",
    "TOKEN_INVALID": "凭证无效，请重新登录",
    "TOKEN_MISSING": "请先登录，只有部分方法对公众开放",
    "TOO_COMPLEX": "文件处理起来太费资源，请缩小",
    "TOO_DEEP": "层级过深",
    "TOO_LARGE": "数值过大",
    "TOO_LONG": "过长，请缩短",
    "TOO_MANY": "过多，请减少",
    "TOO_MANY_ATTACHMENTS": "附件过多，请合并",
    "TOO_MANY_BUCKETS": "时段过多，请缩短范围或加大间隔",
    "TOO_MANY_CONNECTIONS": "连接过多，请稍后再试",
    "TOO_MANY_MESSAGES": "往来过多，请另行提出",
    "TOO_MANY_REQUESTS": "同时处理的请求过多，请稍后再试",
    "TOO_SHORT": "过短",
    "TOO_SMALL": "数值过小",
    "TOPIC_UNKNOWN": "没有这一分类",
    "TRAININGS_WAITING": "排队的训练过多，请等一些完成后再试",
    "TRAINING_FAILED": "训练失败",
    "UNAVAILABLE": "服务暂不可用，请稍后再试",
    "UNIT_UNKNOWN": "没有这个单位，请查看单位列表",
    "UPLOAD_REFUSED": "文件未传完就被服务终止；请核对网址所指的对象是否存在",
    "UNKNOWN_VALUE": "没有这个值",
    "WINDOW_TOO_LONG": "时间范围过长",
    "ZONE_UNKNOWN": "不认识这一时区",
}
