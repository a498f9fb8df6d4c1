"""What a robots.txt allows, by RFC 9309, and read as leniently as search engines read it.

Where the RFC is silent, the habits of the largest search engine hold, since it is against them that sites write these
files: common misspellings, a forgotten colon, `Allow: /news/index.html` that means `/news/` too, a limit of lines.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MOST_OCTETS: Final = 500 * 1024
"""What is read of a file (RFC 9309, 2.5, asks for at least as much)."""
_LINE_OCTETS: Final = 2083 * 8 - 1  # eight times the longest address that browsers took; what is beyond is not read

_AGENT: Final = "user-agent"
_ALLOW: Final = "allow"
_DISALLOW: Final = "disallow"
_DELAY: Final = "crawl-delay"
# How keys begin, as they are spelled: some sites put more behind them.
_KEYS: Final = {
    _AGENT: (b"user-agent", b"useragent", b"user agent"),
    _ALLOW: (b"allow",),
    _DISALLOW: (b"disallow", b"dissallow", b"dissalow", b"disalow", b"diasllow", b"disallaw"),
    _DELAY: (b"crawl-delay", b"crawldelay"),
}
_BOM: Final = b"\xef\xbb\xbf"
_BLANKS: Final = b" \t\n\v\f\r"
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_PRODUCT: Final = re.compile(rb"[A-Za-z_-]*")
_TWO_WORDS: Final = re.compile(rb"([^ \t]+)[ \t]+([^ \t]+)")
_INDEX: Final = b"/index.htm"
_PATH_BEGINS: Final = re.compile(rb"[/?;]")

_ESCAPED: Final = re.compile(rb"%([0-9A-Fa-f]{2})|([^\x21-\x7e])")
# Escaped or not, these are the same in a path: unreserved characters (RFC 3986, 2.3), and the two that have a meaning
# in patterns, which are escaped there to stand for themselves (RFC 9309, 2.2.3).
_SAME: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~*$")
_SAME_IN_QUERY: Final = _SAME | frozenset(b":/")  # which divide nothing there (RFC 3986, 3.4)


@dataclass(frozen=True, slots=True)
class _Rule:
    """Pieces between the asterisks of a pattern; `length`: its octets, by which the longest match is known."""

    allow: bool
    pieces: tuple[bytes, ...]
    anchored: bool
    length: int

    def matches(self, path: bytes) -> bool:
        first, *rest = self.pieces
        if not path.startswith(first):
            return False
        at = len(first)
        if not rest:
            return not self.anchored or at == len(path)
        last = rest.pop() if self.anchored else b""
        for piece in rest:
            # The leftmost place leaves most for the pieces behind it.
            found = path.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return at + len(last) <= len(path) and path.endswith(last)


@dataclass(frozen=True, slots=True)
class Robots:
    """What one agent may fetch from a host, and the seconds that it is asked to wait between two requests."""

    rules: tuple[_Rule, ...] = ()
    crawl_delay: float = 0.0

    def allows(self, url: str) -> bool:
        """Whether an absolute URL may be fetched. The fragment does not count, the query does."""
        path = _normal(_path_of(url.encode(errors="surrogateescape")), in_query=False)
        if path == b"/robots.txt":
            return True
        return next((rule.allow for rule in self.rules if rule.matches(path)), True)


ALLOWED: Final = Robots()
"""No robots.txt, or one that the host refuses to show (4xx): everything is allowed (RFC 9309, 2.3.1.3)."""
DISALLOWED: Final = Robots((_Rule(False, (b"/",), False, 1),))
"""A host that does not answer, or with an error of its own (5xx): nothing is, for a while (RFC 9309, 2.3.1.4)."""


@dataclass(slots=True)
class _Group:
    """What all groups for an agent say together."""

    named: bool = False
    rules: list[_Rule] = field(default_factory=list)
    crawl_delay: float = 0.0


def read_robots(content: bytes, agent: str) -> Robots:
    """What a robots.txt says to the agent of that product token, such as "Huiyin"; a version behind a slash is cut off.

    The groups that name the agent hold together; where none does, those for `*`. Of rules that match, the longest
    decides, and of two as long the one that allows.
    """
    product = agent.partition("/")[0].strip().encode().lower()
    own, everyone = _Group(), _Group()
    current: list[_Group] = []
    open_ = True  # agents that follow belong to the same group until a rule has come
    for key, value in _lines(content):
        if key == _AGENT:
            if not open_:
                current, open_ = [], True
            group = own if _names(value, product) else everyone if _is_everyone(value) else None
            if group is not None:
                group.named = True
                current.append(group)
        elif key == _DELAY:
            for group in current:
                group.crawl_delay = max(group.crawl_delay, _seconds(value))
        else:
            open_ = False
            rules = list(_rules(key == _ALLOW, value))
            for group in current:
                group.rules += rules
    said = own if own.named else everyone
    ranked = sorted(said.rules, key=lambda rule: (-rule.length, not rule.allow))
    return Robots(tuple(ranked), said.crawl_delay)


def _lines(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Known keys and their values."""
    cut = content[:MOST_OCTETS]
    lines = _LINE_END.split(_without_bom(cut))
    if len(cut) < len(content):
        lines.pop()  # half a rule would say what was not meant
    for line in lines:
        line = line[:_LINE_OCTETS].partition(b"\0")[0].partition(b"#")[0].strip(_BLANKS)
        name, colon, value = line.partition(b":")
        if not colon:
            words = _TWO_WORDS.fullmatch(line)
            if words is None:
                continue
            name, value = words.groups()
        name = name.strip(_BLANKS).lower()
        for key, spellings in _KEYS.items():
            if name.startswith(spellings):
                yield key, value.strip(_BLANKS)


def _without_bom(content: bytes) -> bytes:
    """Without a byte order mark, or the part of it that an editor left."""
    for octets in (3, 2, 1):
        if content.startswith(_BOM[:octets]):
            return content[octets:]
    return content


def _names(value: bytes, product: bytes) -> bool:
    token = _PRODUCT.match(value)
    return token is not None and token[0] != b"" and token[0].lower() == product


def _is_everyone(value: bytes) -> bool:
    return value[:1] == b"*" and value[1:2].strip(_BLANKS) == b""


def _seconds(value: bytes) -> float:
    try:
        seconds = float(value)
    except ValueError:
        return 0.0
    return seconds if math.isfinite(seconds) and seconds > 0 else 0.0


def _rules(allow: bool, pattern: bytes) -> Iterator[_Rule]:
    """The rules that a line stands for; an empty one stands for none."""
    if not pattern:
        return
    yield _rule(allow, pattern)
    head, slash, tail = pattern.rpartition(b"/")
    if allow and (slash + tail).startswith(_INDEX):
        yield _rule(True, head + b"/$")


def _rule(allow: bool, pattern: bytes) -> _Rule:
    anchored = pattern.endswith(b"$")
    pieces: list[bytes] = []
    in_query = False
    for piece in (pattern[:-1] if anchored else pattern).split(b"*"):
        pieces.append(_normal(piece, in_query=in_query))
        in_query = in_query or b"?" in piece
    return _Rule(allow, tuple(pieces), anchored, len(b"*".join(pieces)) + anchored)


def _path_of(url: bytes) -> bytes:
    """Path and query, where each is, of an absolute URL, of one without a scheme, or of a bare path."""
    url = url.partition(b"#")[0]
    start = 2 if url.startswith(b"//") else 0
    scheme_end = url.find(b"://", start)
    first = _PATH_BEGINS.search(url, start)
    # The colon of a scheme stands before whatever begins a path.
    if scheme_end >= 0 and first is not None and first.start() > scheme_end:
        start = scheme_end + 3
    path = _PATH_BEGINS.search(url, start)
    if path is None:
        return b"/"
    found = url[path.start() :]
    return found if found.startswith(b"/") else b"/" + found


def _normal(octets: bytes, *, in_query: bool) -> bytes:
    """Octets of a path and query in one spelling (RFC 9309, 2.2.2): what is not ASCII is escaped, what need not be is
    not, and escapes are in capitals. Reserved octets stay as they are: escaped, they mean something else."""
    path, mark, query = (b"", b"", octets) if in_query else octets.partition(b"?")
    return _respelled(path, _SAME) + mark + _respelled(query, _SAME_IN_QUERY)


def _respelled(octets: bytes, same: frozenset[int]) -> bytes:
    def respell(match: re.Match[bytes]) -> bytes:
        octet = int(match[1], 16) if match[1] else match[2][0]
        return bytes([octet]) if match[1] and octet in same else b"%%%02X" % octet

    return _ESCAPED.sub(respell, octets)
