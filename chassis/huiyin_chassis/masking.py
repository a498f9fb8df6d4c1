"""Masks what identifies people in a text: telephone, identity-card and bank-card numbers, mail addresses, chat names.

A prefilter passes over the texts that hold none, which are most; amounts, dates, house and case numbers stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

PHONE: Final = "〔电话〕"
IDENTITY: Final = "〔身份证号〕"
BANK_CARD: Final = "〔银行卡号〕"
MAIL: Final = "〔邮箱〕"
CHAT: Final = "〔社交账号〕"

# Full-width digits, letters' neighbours and dashes, one character for one, so that positions stay.
_NARROW: Final = str.maketrans("０１２３４５６７８９＠．－—–﹣（）＋：ｘＸ" + "　", "0123456789@.----()+:xX" + " ")
# What a text must hold before it is looked at closely: seven digits, of any width, that at most separators divide, or
# one of these marks. Substrings are found an order of magnitude faster than alternatives of a pattern.
_DIGITS: Final = re.compile(r"\d[\d \-()－—–（）]{5,}\d")
_MARKS: Final = ("@", "＠", "微信", "QQ", "qq", "Qq", "VX", "vx", "Vx", "eixin", "eiXin", "echat", "eChat")

_MAIL: Final = r"(?<![A-Za-z0-9._%+-])(?P<mail>[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5})"
_CHAT: Final = (
    r"(?P<introduced>(?:微信|[Qq][Qq]|[Vv][Xx]|[Ww]e[Cc]hat|[Ww]ei[Xx]in)(?:号码|账号|号|群|同号)?[ :是为]{0,3})"
    r"(?P<chat>[A-Za-z][A-Za-z0-9_-]{5,19}|\d{5,11})(?![A-Za-z0-9])"
)
_MONTH_DAY: Final = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
# GB 11643: region, birthday, sequence, check digit; or the 15 digits used before 1999. One with a mistyped check digit
# still tells who it is.
_IDENTITY: Final = (
    rf"(?<!\d)(?P<identity>[1-9]\d{{5}}(?:(?:18|19|20)\d{{2}}{_MONTH_DAY}\d{{3}}[\dXx]|\d{{2}}{_MONTH_DAY}\d{{3}}))"
    r"(?!\d)"
)
_BANK: Final = r"(?<!\d)(?P<bank>\d{4}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?)(?!\d)"
_NAMED_CARD: Final = r"(?P<account>(?:卡号|账号|帐号|账户)[^\d\n]{0,4})(?P<card>\d(?:[ -]?\d){11,18})(?!\d)"
_MOBILE: Final = r"(?<!\d)(?P<mobile>(?:(?:\+|00)86[ -]?|86)?1[3-9]\d[ -]?\d{4}[ -]?\d{4})(?!\d)"
_LANDLINE: Final = r"(?<!\d)(?P<landline>\(?0\d{2,3}\)?[ -]{0,2}\d{3,4}[ -]?\d{4}(?:-\d{1,5})?)(?!\d)"
_NAMED_PHONE: Final = (
    r"(?P<named>(?:电话|手机|联系方式|致电|拨打|[Tt]el)[^\d\n]{0,6})(?P<number>\d{3,4}[ -]?\d{4})"
    r"(?!\d)(?![ -]\d{1,7}(?!\d))"  # the rest of a longer number; a second whole one may follow
)
# Every kind begins with one of these; looking at one character first makes the whole several times faster.
_BEGINS: Final = r"(?=[A-Za-z0-9._%+\-(微卡账帐电手联致拨])"


def _any_of(*kinds: str) -> re.Pattern[str]:
    return re.compile(f"{_BEGINS}(?:{'|'.join(kinds)})")


_ANY: Final = _any_of(_MAIL, _CHAT, _NAMED_CARD, _IDENTITY, _BANK, _MOBILE, _LANDLINE, _NAMED_PHONE)
_ANY_BUT_BANK: Final = _any_of(_MAIL, _CHAT, _NAMED_CARD, _IDENTITY, _MOBILE, _LANDLINE, _NAMED_PHONE)


_MARK_OF: Final = {
    "mail": MAIL,
    "chat": CHAT,
    "card": BANK_CARD,
    "bank": BANK_CARD,
    "identity": IDENTITY,
    "mobile": PHONE,
    "landline": PHONE,
    "number": PHONE,
}


@dataclass(frozen=True, slots=True)
class Identifying:
    """Where a text identifies somebody, in characters, and the mark that stands for it."""

    start: int
    end: int
    mark: str


def identifying(text: str) -> Iterator[Identifying]:
    """What identifies people in a text, in its order."""
    if _DIGITS.search(text) is None and not any(mark in text for mark in _MARKS):
        return
    narrow = text.translate(_NARROW)
    match = _ANY.search(narrow)
    while match is not None:
        if match.lastgroup == "bank" and not _passes_luhn(re.sub(r"\D", "", match["bank"])):
            # Not a card; what looked like one may be a telephone number behind another number.
            match = _ANY_BUT_BANK.search(narrow, match.start())
            continue
        kind = str(match.lastgroup)
        yield Identifying(match.start(kind), match.end(), _MARK_OF[kind])
        match = _ANY.search(narrow, match.end())


def mask_text(text: str) -> str:
    """The text with fixed marks in place of what identifies people."""
    parts: list[str] = []
    last = 0
    for found in identifying(text):
        parts += (text[last : found.start], found.mark)
        last = found.end
    return "".join((*parts, text[last:])) if parts else text


def mask_texts(texts: Iterable[str]) -> list[str]:
    """mask_text of each."""
    return [mask_text(text) for text in texts]


def _passes_luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1."""
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0
