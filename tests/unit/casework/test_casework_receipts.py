"""Receipts that a citizen keeps."""

from __future__ import annotations

import re

from huiyin_casework.model import receipts


def test_the_same_inquiry_has_the_same_receipt_and_another_another() -> None:
    assert receipts.token(b"k", "a") == receipts.token(b"k", "a")
    assert receipts.token(b"k", "a") != receipts.token(b"k", "b")
    assert receipts.token(b"k", "a") != receipts.token(b"l", "a")


def test_a_receipt_is_readable_and_holds_at_least_130_bits() -> None:
    receipt = receipts.token(b"k", "a")
    assert re.fullmatch(r"([A-Z2-7]{4}-){6}[A-Z2-7]{4}", receipt)
    assert len(receipt.replace("-", "")) * 5 >= 130


def test_a_receipt_typed_by_hand_is_understood() -> None:
    receipt = receipts.token(b"k", "a")
    typed = " " + receipt.lower().replace("-", " ").replace("o", "0").replace("i", "1").replace("b", "8") + "\n"
    assert receipts.token_hash(typed) == receipts.token_hash(receipt)
    assert receipts.token_hash(receipt[:-1]) != receipts.token_hash(receipt)
