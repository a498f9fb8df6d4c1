"""Problem documents speak the language that the client likes better, and lose nothing by it."""

from __future__ import annotations

import json

import pytest
from google.protobuf.message import Message
from huiyin.casework.v1 import inquiry_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from huiyin_chassis.validation import validate
from huiyin_gateway import codec
from huiyin_gateway.problems import problem
from huiyin_gateway.texts import CHINESE, ENGLISH, language_of


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", ENGLISH),
        ("*", ENGLISH),
        ("zh", CHINESE),
        ("zh-CN,zh;q=0.9,en;q=0.8", CHINESE),
        ("en-GB,en;q=0.9,zh;q=0.8", ENGLISH),
        ("en;q=0.5, ZH-Hans;q=0.7", CHINESE),
        ("de, zh;q=0.1", CHINESE),
        ("zh;q=0", ENGLISH),
        ("zh;q=nonsense", CHINESE),
        (";;,,q=" * 1000, ENGLISH),
    ],
)
def test_the_language_is_the_one_that_is_liked_better(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def told(error: Exception) -> dict[str, object]:
    assert isinstance(error, InvalidArgument | NotFound | FailedPrecondition)
    _, headers, body = problem(error, language=CHINESE)
    assert dict(headers)[b"content-language"] == (b"zh-CN" if "original" in json.loads(body) else b"en")
    found: dict[str, object] = json.loads(body)
    return found


def caught(message: Message, value: object) -> dict[str, object]:
    with pytest.raises(InvalidArgument) as error:
        codec.merge(message, value)
        validate(message)
    return told(error.value)


def test_a_violation_is_told_with_its_figures() -> None:
    request = inquiry_pb2.SubmitInquiryRequest
    assert caught(request(), {})["detail"] == "text：必填"
    assert caught(request(), {"text": "字" * 10_001})["detail"] == "text：有10001个字，最多10000个字，请减少"
    assert caught(request(), {"txt": "x"})["detail"] == "txt：没有这个字段，是否指 text？"
    assert caught(request(), {"text": 3})["detail"] == "text：应为字符串"


def test_the_sentence_of_the_service_stands_beside_the_chinese_one() -> None:
    found = told(NotFound("cases/1"))
    assert (found["title"], found["detail"]) == ("找不到", "cases/1 不存在，请列出所在集合查看")
    assert found["original"] == "cases/1 does not exist; list the collection to see what does"


def test_a_reason_without_a_text_is_told_in_english() -> None:
    found = told(FailedPrecondition("NEVER_HEARD_OF", "the moon is full"))
    assert found["detail"] == "the moon is full" and found["title"] == "The request cannot be used"
