"""What identifies somebody in a reply, and what only says how its office is reached."""

from __future__ import annotations

import pytest
from huiyin_casework.personal import mask_personal, personal_spans


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("请拨打13800138000找王工。", "请拨打〔电话〕找王工。"),
        ("手机+86 138 0013 8000，邮箱wang@example.org。", "手机〔电话〕，邮箱〔邮箱〕。"),
        ("咨询电话0731-5550123，热线12345。", "咨询电话0731-5550123，热线12345。"),
        ("电话：5550123", "电话：5550123"),
        ("关注微信公众号：yunxi_water", "关注微信公众号：yunxi_water"),
        ("加微信wang_gong88", "加微信〔社交账号〕"),
        ("没有什么可认出的。", "没有什么可认出的。"),
    ],
)
def test_a_person_is_masked_and_an_office_is_not(text: str, masked: str) -> None:
    assert mask_personal(text) == masked
    assert bool(personal_spans(text)) == (masked != text)
