"""Addresses of pages: which two are the same page."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final
from urllib.parse import urljoin, urlsplit, urlunsplit

_SCHEMES: Final = ("http", "https")
# Parameters that say how a reader came, not what is read.
_TRACKING: Final = re.compile(
    r"(utm_\w+|spm|scm|gclid|dclid|fbclid|msclkid|yclid|igshid|mc_[ce]id|_hs\w+|mkt_tok|ref_src|share_\w+|isappinstalled"
    r"|wxshare\w*|nsukey|bd_vid|hmsr|hmpl|hmcu|hmkw|hmci)=.*|(from|scene)=(timeline|singlemessage|groupmessage|rss|feed)",
    re.IGNORECASE,
)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_BLANKS: Final = re.compile(r"[\x00-\x20\x7f]+")


def absolute(link: str, base: str) -> str:
    """A link as a page shows it, made absolute; empty where it leads to no page."""
    link = link.strip()
    if not link:
        return ""
    try:
        found = urljoin(base, _BLANKS.sub("", link) if "://" in link[:10] else link)
        parts = urlsplit(found)
        usable = parts.scheme.lower() in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return ""
    return _BLANKS.sub("%20", found) if usable else ""


def canonical(url: str) -> str:
    """An absolute address in the one spelling by which a page is known: without tracking parameters and fragment.

    The default port, the case of the host and escapes that say nothing go; the scheme stays. Raises ValueError.
    """
    parts = urlsplit(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".")
    port = parts.port
    place = host if port in (None, {"http": 80, "https": 443}.get(scheme)) else f"{host}:{port}"
    query = "&".join(part for part in parts.query.split("&") if part and not _TRACKING.fullmatch(part))
    # Some pages are told apart behind "#!" or "#/" only.
    fragment = parts.fragment if parts.fragment.startswith(("!", "/")) else ""
    return urlunsplit((scheme, place, _plain(parts.path) or "/", _plain(query), fragment))


def address_fault(url: str) -> str:
    """What is wrong with the address of a source, as a sentence; empty when nothing is."""
    if not url or absolute(url, "") != url or "@" in urlsplit(url).netloc:
        return "must be the address of a feed, without a user or password: write it like https://example.org/feed.xml"
    return ""


def page_key(url: str) -> bytes:
    """What an absolute address has in common with all others of its page: 16 bytes. Raises ValueError."""
    return _key("page", canonical(url).partition("://")[2])


def item_key(source: str, item: str) -> bytes:
    """The same of an item by the id that its feed gives it, which holds within the feed only."""
    return _key("item", source, item)


def host_of(url: str) -> str:
    """The host of an absolute address, in small letters. Raises ValueError."""
    return urlsplit(url).hostname or ""


def _plain(text: str) -> str:
    def respell(match: re.Match[str]) -> str:
        character = chr(int(match[1], 16))
        return character if character in _UNRESERVED else match[0].upper()

    return _ESCAPE.sub(respell, text)


def _key(*parts: str) -> bytes:
    return blake2b("\x00".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
