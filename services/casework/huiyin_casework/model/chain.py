"""The hash chain of a case: every step is an entry that names the hash of the one before it.

An entry's hash covers the case, its number, the step, the actor, the time, the details and a keyed digest of the text
that the step was about. The text itself never enters the chain: `HMAC-SHA256(salt, text)` does, and the salt is
destroyed together with the text. What remains still verifies, and tells nothing of what was said.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SALT_BYTES = 16
GENESIS = bytes(32)
"""The previous hash of an entry number 1."""

_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_SEALING_STEP = "case.closed"
AFTER_SEALING: frozenset[str] = frozenset({"contacts.destroyed", "texts.destroyed", "case.linked", "case.feedback"})
"""What may still happen to a sealed case: forgetting, being pointed at by a successor, an author's judgement."""


@dataclass(frozen=True)
class Entry:
    """One step of a case. Time is in microseconds since the epoch (UTC); hashes are 32 bytes."""

    case: str
    number: int
    step: str
    actor: str
    time: int
    details: str
    """Canonical JSON; never holds a text."""
    text_digest: bytes
    """HMAC-SHA256(salt, text), empty when the step was about no text."""
    previous: bytes
    hash: bytes


class BrokenChain(Exception):
    """The entries do not form an unbroken chain; `number` is the first that does not fit."""

    def __init__(self, number: int, why: str) -> None:
        self.number = number
        super().__init__(f"Entry {number} {why}.")


def canonical(details: Mapping[str, object]) -> str:
    """Details as canonical JSON: sorted keys, no spaces, characters as they are."""
    return _CANONICAL.encode(details)


def text_digest(salt: bytes, text: str) -> bytes:
    """HMAC-SHA256 of a text under its salt; without the salt nobody can try texts against it."""
    return hmac.digest(salt, text.encode(), "sha256")


def entry_hash(
    case: str, number: int, step: str, actor: str, time: int, details: str, digest: bytes, previous: bytes
) -> bytes:
    """SHA-256 over the entry's fields, delimited so that no two entries read alike."""
    # The head's fields end with the unit separator, which names never hold; details carry their length; the rest is
    # of fixed length.
    head = f"{case}\x1f{number}\x1f{step}\x1f{actor}\x1f{time}\x1f".encode()
    body = details.encode()
    return hashlib.sha256(b"%b%d\x1f%b%b%b" % (head, len(body), body, digest or GENESIS, previous)).digest()


def link(
    case: str,
    number: int,
    step: str,
    actor: str,
    time: int,
    details: str,
    previous: bytes,
    digest: bytes = b"",
) -> Entry:
    """The next entry of a case's chain."""
    return Entry(
        case,
        number,
        step,
        actor,
        time,
        details,
        digest,
        previous,
        entry_hash(case, number, step, actor, time, details, digest, previous),
    )


def verify(case: str, entries: Iterable[Entry]) -> int:
    """Checks a case's whole chain in order; returns its length. Raises BrokenChain at the first that does not fit."""
    previous, number, sealed = GENESIS, 0, False
    for entry in entries:
        number += 1
        if entry.number != number:
            raise BrokenChain(number, "is missing or out of order")
        if entry.case != case:
            raise BrokenChain(number, "belongs to another case")
        if entry.previous != previous:
            raise BrokenChain(number, "does not follow from the entry before it")
        expected = entry_hash(
            case, number, entry.step, entry.actor, entry.time, entry.details, entry.text_digest, entry.previous
        )
        if not hmac.compare_digest(expected, entry.hash):
            raise BrokenChain(number, "was altered after it was written")
        if sealed and entry.step not in AFTER_SEALING:
            raise BrokenChain(number, "was added after the case was sealed")
        sealed = sealed or entry.step == _SEALING_STEP
        previous = entry.hash
    return number


Texts = Mapping[tuple[str, str], tuple[bytes, str]]
"""Texts that are still kept, each with its salt: ("inquiry", id), ("reply", id), ("paragraph", reply/inquiry),
("publication", id), ("message", id), ("attachment", id; the hash of its bytes), ("admission", its inquiry's id),
("note", the entry's number)."""

_ABOUT: Mapping[str, str] = {
    "case.inquiry_joined": "inquiry",
    "case.inquiry_edited": "inquiry",
    "case.drafted": "reply",
    "case.paragraph_drafted": "paragraph",
    "case.summary_published": "publication",
    "case.published": "reply",
    "case.asked": "message",
    "case.told": "message",
    "case.author_wrote": "message",
    "case.attached": "attachment",
    "case.enclosed": "attachment",
    "case.refusal_proposed": "admission",
    "case.inquiry_refused": "admission",
}
"""What the text of a step's entry is, and where its details name it; of every other step, a note."""


def verify_texts(entries: Iterable[Entry], texts: Texts) -> None:
    """Checks each kept text against the last entry that was about it. Raises BrokenChain where they differ.

    An inquiry's text may be edited at its source; each edit is an entry. A text that is gone is passed over.
    """
    last: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.text_digest:
            kind = _ABOUT.get(entry.step, "note")
            last[kind, str(entry.number) if kind == "note" else json.loads(entry.details)[kind]] = entry
    for about, entry in last.items():
        salt, text = texts.get(about, (b"", ""))
        if salt and not hmac.compare_digest(text_digest(salt, text), entry.text_digest):
            raise BrokenChain(entry.number, "was about a text that was altered since")
