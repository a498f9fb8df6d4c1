"""The two engines that cut texts into words agree."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import jieba
import pytest
from huiyin_analyzer.model.words import TOKENIZER, cut

SAMPLES = Path(__file__).parents[3] / "samples" / "messages.csv"
AGREEMENT = 0.999
"""Least share of words that both engines cut alike, over the sample town's messages; docs/analysis.md states it."""


def spans(words: Iterable[str]) -> set[tuple[int, int]]:
    at, found = 0, set()
    for word in words:
        found.add((at, at + len(word)))
        at += len(word)
    return found


def test_rust_and_python_cut_alike() -> None:
    rjieba = pytest.importorskip("rjieba", reason="no wheel of rjieba for this machine")
    same = words = 0
    with SAMPLES.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for text in (row["主题"], row["内容"]):
                one, other = spans(rjieba.cut(text)), spans(jieba.cut(text))
                same += 2 * len(one & other)
                words += len(one) + len(other)
    assert words > 20_000
    assert same / words >= AGREEMENT


def test_the_engine_is_named_with_its_version() -> None:
    name, version = TOKENIZER.split()
    assert name in ("rjieba", "jieba") and version[0].isdecimal()
    assert list(cut("路灯坏了")) == ["路灯", "坏", "了"]
