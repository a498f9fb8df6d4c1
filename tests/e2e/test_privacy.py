"""Who wrote, and numbers that identify people, are found in no byte that a run leaves behind."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.e2e.conftest import Start
from tests.e2e.outcome import Reader

AUTHOR = "南山渔翁甲乙丙"
MOBILE = "13912345678"
IDENTITY_CARD = "11010519491231002X"
BANK_CARD = "6222020200112230336"
MAIL = "nanshan.yuweng@example.org"
CONTACT = "微信 nanshan-8848"


def test_planted_authors_and_numbers_are_found_in_no_file(start: Start, tmp_path: Path) -> None:
    source = tmp_path / "planted.csv"
    with source.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("编号", "网友", "主题", "时间", "内容"))
        for number in range(50):
            text = f"第{number}号井盖坏了，请联系{MOBILE}，身份证{IDENTITY_CARD}，卡号{BANK_CARD}，邮箱{MAIL}。"
            writer.writerow((number, AUTHOR, f"井盖 {MOBILE}", f"2026/3/5 9:{number:02}:00", text))
    with start("sqlite") as system:
        system.huiyin("import", str(source))
        system.huiyin("inquire", f"路灯不亮，我的电话是{MOBILE}。", "--contact", CONTACT)
        system.settle(51)
        told = str(list(Reader(system.layout).all("/v1/inquiries", "inquiries")))
        assert "井盖" in told
        layout = system.layout
    planted = [AUTHOR, MOBILE, IDENTITY_CARD, BANK_CARD, MAIL, CONTACT]
    needles = [value.encode(coding) for value in planted for coding in ("utf-8", "utf-16-le", "gb18030")]
    needles += [f"{value!a}".strip("'").encode() for value in (AUTHOR, CONTACT)]
    files = [path for path in layout.var.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for path in files:
        content = path.read_bytes()
        for needle in needles:
            assert needle not in content, f"{needle!r} stands in {path.name}"
    for planted_value in (AUTHOR, MOBILE, IDENTITY_CARD, BANK_CARD, MAIL):
        assert planted_value not in told
