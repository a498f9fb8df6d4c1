"""Octets become text, whatever a site declares."""

from __future__ import annotations

import pytest
from huiyin_collector.model.encodings import decode

TEXT = "<rss><title>青石镇自来水停水通知</title><p>今天上午因管道检修，全镇停水三小时，请居民提前储水。</p></rss>"
LONG = "臺灣鄉鎮公所公告：因應颱風來襲，請民眾注意防汛，並提前做好各項準備，謝謝合作。"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be", "hz"])
@pytest.mark.parametrize("declared", ["", "utf-8", "iso-8859-1", "us-ascii", "nonsense"])
def test_chinese_is_read_with_a_missing_or_wrong_declaration(encoding: str, declared: str) -> None:
    if encoding == "hz":
        declared = "hz-gb-2312"  # which only a declaration tells from plain ASCII
    assert decode(TEXT.encode(encoding), declared) == TEXT


@pytest.mark.parametrize("declared", ["", "gb2312", "GBK", "utf-8"])
def test_big5_is_told_from_gb(declared: str) -> None:
    assert decode(LONG.encode("big5"), declared) == LONG


@pytest.mark.parametrize("declared", ["big5", "utf-8", ""])
def test_gb_is_told_from_big5(declared: str) -> None:
    assert decode(TEXT.encode("gb18030"), declared) == TEXT


def test_gb2312_means_the_wider_encoding_that_holds_rare_characters() -> None:
    text = "镕基喆堃㐂𠮷"
    assert decode(text.encode("gb18030"), "gb2312") == text


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0" encoding="gb2312"?><a>水</a>',
        '<html><head><meta charset="gbk"></head>水',
        "<meta http-equiv='Content-Type' content='text/html; charset=gb2312'>水",
    ],
)
def test_the_document_declares_where_the_header_does_not(content: str) -> None:
    assert decode(content.encode("gb18030")) == content


def test_a_short_text_follows_its_declaration() -> None:
    assert decode("联通".encode("gbk"), "gbk") == "联通"  # well-formed UTF-8 by accident
    assert decode("联通".encode()) == "联通"


def test_other_languages_are_read_as_they_declare() -> None:
    assert decode("Élan — déjà vu".encode("cp1252"), "iso-8859-1") == "Élan — déjà vu"
    assert decode("水道のお知らせ".encode("shift_jis"), "shift_jis") == "水道のお知らせ"


def test_a_damaged_document_loses_only_what_is_damaged() -> None:
    octets = bytearray(TEXT.encode())
    octets[20] = 0xFF
    found = decode(bytes(octets))
    assert "今天上午因管道检修" in found
    assert found.count("\ufffd") <= 3


@pytest.mark.parametrize("declared", ["base64", "rot13", "punycode", "unicode_escape", "utf-7", "idna", "undefined"])
def test_what_is_no_encoding_of_documents_is_not_believed(declared: str) -> None:
    assert decode(TEXT.encode(), declared) == TEXT


def test_nothing_makes_it_fail() -> None:
    for content in (b"", b"\xff", b"\x00" * 9, bytes(range(256)), b"<\x00"):
        assert isinstance(decode(content, "gbk"), str)
