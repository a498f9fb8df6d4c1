"""Places in a text: those of the gazetteer by their names, or any by the pattern of names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple


@dataclass(frozen=True)
class PlaceNode:
    """A node of the gazetteer: its path and what people call it besides its last segment."""

    path: str
    aliases: Sequence[str] = ()


class Mention(NamedTuple):
    """A name of a place where it stands, and a path that it may mean."""

    at: int
    length: int
    path: str


_MASKED_PLACE = re.compile(r"([A-Z])(?:市|(\d{1,2}[区县市]))")
"""Names that a publisher masked: A市, A3区, A市A7县. The letter of a district is that of its city."""
_BEFORE_PLACE: Final = (
    "我是|我们是|我在|来自|关于|投诉|反映|咨询|举报|请问|建议|希望|请求|可是|但是|就是|不是|还是|于是|如果|因为|由于|所以|而且|并且|"
    "或者|比如|例如|目前|现在|今天|昨天|整个|这个|那个|一个|各个|作为|难道|到底|究竟|不仅|只有|只要|尤其"
)
"""Words that stand before the name of a place, or of something that is none; never its beginning."""
_NAMED_PLACE = re.compile(
    rf"(?:^|[，。！？、；：:,.!?\s（(]|在|位于)(?:{_BEFORE_PLACE})?(?:在|位于)?"
    r"([一-鿿]{2,3}省|[一-鿿]{2,7}自治区)?([一-鿿]{2,4}?市)?([一-鿿]{1,4}?[区县])?"
)
_NO_PLACE: Final = re.compile(
    rf"(?:{_BEFORE_PLACE}).*$|"
    r".*(?:超市|城市|全市|我市|本市|都市|门市|夜市|菜市|小区|社区|校区|园区|地区|景区|片区|新区|库区|辖区|厂区|城区|"
    r"街区|市区|郊区|山区|灾区|全省|我省|本省|全县|我县|本县|各区|各县|该区|该县|我区|本区|股市|楼市|上市|集市|农贸市)$"
)


def most_certain(mentions: Sequence[Mention]) -> str:
    """The path that is meant most certainly, "" of no mentions; the first of `by_certainty`."""
    if len(mentions) < 2:
        return mentions[0].path if mentions else ""
    whole = _whole(mentions)
    return min(whole, key=_rank(whole)).path


def by_certainty(mentions: Sequence[Mention]) -> list[str]:
    """The paths that are meant, that of `most_certain` first; without what lies above one before it.

    A path is the more certain, the more of what lies above it is mentioned too, and the longer it is (an estate before
    its district); of equals that of the longer name, then that which is mentioned first. A name within a longer one is
    part of it, and a name of several places means one of them.
    """
    whole = _whole(mentions)
    found: list[str] = []
    read: set[tuple[int, int]] = set()
    for mention in sorted(whole, key=_rank(whole)):
        span = (mention.at, mention.length)
        if span not in read:
            found.append(mention.path)
        read.add(span)
    return lowest(found)


def lowest(paths: Iterable[str]) -> list[str]:
    """Paths in their order, without those that are there before or lie above one that is."""
    found: list[str] = []
    for path in paths:
        if not any(f"{each}.".startswith(f"{path}.") for each in found):
            found.append(path)
    return found


def spans(mentions: Sequence[Mention]) -> list[tuple[int, int]]:
    """(position, length) of names, in their order; of those that overlap the first, of those within another none."""
    found: list[tuple[int, int]] = []
    for at, length, _ in _whole(mentions):
        if not found or at >= sum(found[-1]):
            found.append((at, length))
    return found


def _whole(mentions: Sequence[Mention]) -> list[Mention]:
    """Mentions that are not part of a longer one."""
    found: list[Mention] = []
    end, longest = -1, (-1, -1)
    for mention in sorted(mentions, key=lambda mention: (mention.at, -mention.length)):
        span = (mention.at, mention.length)
        if mention.at + mention.length > end:
            end, longest = mention.at + mention.length, span
        elif span != longest:
            continue
        found.append(mention)
    return found


def _rank(mentions: Iterable[Mention]) -> Callable[[Mention], tuple[int, int, int, str]]:
    paths = {mention.path for mention in mentions}

    def rank(mention: Mention) -> tuple[int, int, int, str]:
        parts = mention.path.split(".")
        above = sum(1 for depth in range(1, len(parts)) if ".".join(parts[:depth]) in paths)
        return (-above, -len(parts), mention.at - mention.length, mention.path)

    return rank


def of_post_by_pattern(subject: str, text: str) -> str:
    """The first place that a subject names, or else its text; where the text names one within it, that one."""
    found = by_pattern(subject)
    if "." in found:
        return found
    in_text = by_pattern(text)
    return in_text if not found or in_text.startswith(f"{found}.") else found


def by_pattern(text: str) -> str:
    """The first place that a text names by the pattern of masked names, or of names; "" of none."""
    return _masked_place(text) or next(_named_places(text), "")


def all_by_pattern(text: str) -> list[str]:
    """The places that a text names by their pattern, the first first, without what lies above one before it.

    Where no name is masked, the first is followed by those alone that name what they lie in: others are often none.
    """
    first = _masked_place(text)
    if not first:
        named = _named_places(text)
        return lowest([*islice(named, 1), *(path for path in named if "." in path)])
    masked = _MASKED_PLACE.findall(text)
    cities = [first[0], *(letter for letter, district in masked if not district)]
    districts = [f"{letter}市.{letter}{district}" for letter, district in masked if district and letter in cities]
    return lowest([first, *districts, *(f"{letter}市" for letter in cities)])


def _masked_place(text: str) -> str:
    """The first district of the city that is mentioned first: in A市K9县 the county is part of a name."""
    city = ""
    for match in _MASKED_PLACE.finditer(text):
        letter, district = match.groups()
        city = city or letter
        if district and letter == city:
            return f"{city}市.{city}{district}"
    return city and f"{city}市"


def _named_places(text: str) -> Iterator[str]:
    for match in _NAMED_PLACE.finditer(text):
        parts = []
        for part in match.groups():
            if part is None:
                continue
            if _NO_PLACE.match(part):
                break
            parts.append(part)
        if parts and (len(parts) > 1 or parts[0][-1] in "省市县"):
            yield ".".join(parts)
