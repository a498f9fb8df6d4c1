"""From octets to text, for sites whose declarations are missing or wrong."""

from __future__ import annotations

import codecs
import re
from typing import Final

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Without a mark, "<" or "{" beside zeros tells the width.
_WIDTHS: Final = (
    (re.compile(rb"[<{\s]\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0[<{\s]"), "utf-32-be"),
    (re.compile(rb"[<{\s]\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0[<{\s]\0[^\0]"), "utf-16-be"),
)
_DECLARED: Final = (
    re.compile(rb"""^\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([\w.:-]{1,40})["']""", re.IGNORECASE),
    re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([\w.:-]{1,40})""", re.IGNORECASE),
)
_HEAD: Final = 4096
# What says one of the narrower ones means the wider, of which it is a part.
_WIDER: Final = {"gb2312": "gb18030", "gbk": "gb18030", "hz": "hz", "big5": "big5hkscs", "ascii": "utf-8"}
_WIDER_LATIN: Final = {"iso8859-1": "cp1252"}
_TEXTUAL: Final = re.compile(
    r"utf-(8|16|32)(-[lb]e)?|gb\w+|hz|big5\w*|cp\d+|euc_\w+|shift_jis\w*|iso2022_\w+|iso8859-\d+|koi8-\w|mac-\w+|tis-620"
)
_FEW: Final = 24
"""Fewer octets than this beyond ASCII may be well-formed UTF-8 by accident; a declaration then counts more."""
# Pairs of octets that stand for the characters in common use: level 1 of GB 2312, and of Big5.
_COMMON_GB: Final = re.compile(rb"[\xb0-\xd7][\xa1-\xfe]")
_CHINESE: Final = {
    "gb18030": ("gb2312", _COMMON_GB),
    "big5hkscs": ("big5", re.compile(rb"[\xa4-\xc6][\x40-\x7e\xa1-\xfe]")),
}
# What a wrong encoding of two octets is full of.
_PRIVATE: Final = re.compile("[\ue000-\uf8ff]")
_SAMPLE: Final = 20_000


def decode(content: bytes, declared: str = "") -> str:
    """The text of a document; `declared`: the charset of its Content-Type.

    A byte order mark decides; then what is well-formed UTF-8 is that, whatever was declared; then a declaration that
    holds without an error; then GB 18030 or Big5, whichever reads as more common characters. Never fails: what no
    encoding explains becomes U+FFFD.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, "replace")
    for width, encoding in _WIDTHS:
        if width.match(content):
            return content.decode(encoding, "replace")
    if content.isascii() and b"~{" not in content and b"\x1b$" not in content:
        return content.decode("ascii")
    names = [name for name in map(_known, (declared, *_inside(content))) if name]
    beyond = sum(octet > 0x7F for octet in content[:_SAMPLE])
    order = [*names, "utf-8"] if beyond < _FEW else ["utf-8", *names]
    for name in order:
        text = _strictly(content, name)
        if text is not None and (name == "utf-8" or not _belied(text, name, content)):
            return text
    guess = _chinese(content)
    text = _strictly(content, guess)
    if text is not None:
        return text
    # Damaged: what breaks least.
    candidates = [content.decode(name, "replace") for name in dict.fromkeys([*names, "utf-8", guess])]
    return min(candidates, key=lambda each: each.count("\ufffd"))


def _known(label: str) -> str:
    """Python's name of an encoding of texts; empty where there is none."""
    try:
        name = codecs.lookup(label.strip().strip("\"'")).name if label else ""
    except (LookupError, ValueError):
        return ""
    name = _WIDER_LATIN.get(name, _WIDER.get(name, name))
    return name if _TEXTUAL.fullmatch(name) else ""


def _inside(content: bytes) -> list[str]:
    head = content[:_HEAD]
    return [match[1].decode("ascii") for match in (pattern.search(head) for pattern in _DECLARED) if match]


def _strictly(content: bytes, name: str) -> str | None:
    try:
        return content.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None


def _belied(text: str, name: str, content: bytes) -> bool:
    """Whether octets that an encoding explains say plainly that it is another."""
    if name == "cp1252":
        return _looks_chinese(content)
    if _PRIVATE.search(text, 0, _SAMPLE):
        return True
    if name in _CHINESE:
        other = _chinese(content)
        return other != name and _share(text[:_SAMPLE], name) < 0.5
    return False


def _looks_chinese(content: bytes) -> bool:
    """Whether octets beyond ASCII come in pairs, as no western text has them."""
    sample = content[:_SAMPLE]
    beyond = sum(octet > 0x7F for octet in sample)
    return beyond > 8 and 2 * len(_COMMON_GB.findall(sample)) > 0.6 * beyond


def _chinese(content: bytes) -> str:
    sample = content[:_SAMPLE]
    return max(_CHINESE, key=lambda name: _share(sample.decode(name, "replace"), name))


def _share(text: str, name: str) -> float:
    """Which share of the characters beyond ASCII is in common use."""
    wide = [character for character in text if character > "\x7f"]
    narrow, common = _CHINESE[name]
    hits = sum(common.fullmatch(character.encode(narrow, "ignore")) is not None for character in wide)
    return hits / len(wide) if wide else 0.0
