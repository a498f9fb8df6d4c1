"""What identifies people is masked; what only looks like it stays."""

from __future__ import annotations

import pytest
from huiyin_chassis.masking import BANK_CARD, CHAT, IDENTITY, MAIL, PHONE, mask_text, mask_texts
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("请打13812345678联系我", f"请打{PHONE}联系我"),
        ("手机138-1234-5678", f"手机{PHONE}"),
        ("+86 138 1234 5678", PHONE),
        ("１３８１２３４５６７８", PHONE),
        ("座机0731-88881234转3", f"座机{PHONE}转3"),
        ("（0731）88881234", PHONE),
        ("联系电话：8234567", f"联系电话：{PHONE}"),
        ("身份证11010519491231002X", f"身份证{IDENTITY}"),
        ("身份证号 110105491231002。", f"身份证号 {IDENTITY}。"),
        ("卡号6222020200112230337", f"卡号{BANK_CARD}"),
        ("办公室88881234 13812345678", f"办公室88881234 {PHONE}"),
        ("电话88881234 13812345678", f"电话{PHONE} {PHONE}"),
        ("0731-8888-1234-13812345678", f"{PHONE}-{PHONE}"),
        ("4111 1111 1111 1111 是我的卡", f"{BANK_CARD} 是我的卡"),
        ("邮箱：zhang.san@example.com。", f"邮箱：{MAIL}。"),
        ("加我微信号：abc_12345", f"加我微信号：{CHAT}"),
        ("QQ 123456789", f"QQ {CHAT}"),
    ],
)
def test_what_identifies_is_masked(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "欠薪12000元，2019年12月30日至今",
        "2019-12-30 09:15:00 起停水",
        "案号（2019）湘0102民初12345号",
        "编号20190228112505",
        "订单6222020200112233已付",
        "门牌3栋2单元1801",
        "拨打12345和110都没用",
        "微信小程序打不开",
        "",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_text(text) == text


_SEPARATORS = "@＠-+()（）－—– xX"
words = st.text(st.characters(blacklist_categories=("Nd", "Cs"), blacklist_characters=_SEPARATORS), max_size=30)
mobiles = st.builds("1{}{:09}".format, st.integers(3, 9), st.integers(0, 10**9 - 1))


@given(words, mobiles, words)
def test_a_mobile_number_never_survives(before: str, number: str, after: str) -> None:
    assert number not in mask_text(before + number + after)


@given(st.lists(st.text(max_size=60), max_size=5))
def test_masking_twice_changes_nothing_more(texts: list[str]) -> None:
    once = mask_texts(texts)
    assert mask_texts(once) == once
