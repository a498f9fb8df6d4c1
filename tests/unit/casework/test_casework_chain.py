"""The chain of entries of a case: what alters it shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from huiyin_casework.model import chain
from hypothesis import given
from hypothesis import strategies as st


def build(count: int, case: str = "c1") -> list[chain.Entry]:
    entries: list[chain.Entry] = []
    previous = chain.GENESIS
    for number in range(1, count + 1):
        digest = chain.text_digest(b"salt", f"text {number}") if number % 2 else b""
        entry = chain.link(
            case, number, f"step.{number}", "accounts/a", number, chain.canonical({"n": number}), previous, digest
        )
        entries.append(entry)
        previous = entry.hash
    return entries


def test_an_untouched_chain_verifies() -> None:
    assert chain.verify("c1", build(5)) == 5
    assert chain.verify("c1", []) == 0


@given(
    position=st.integers(0, 4),
    field=st.sampled_from(["number", "step", "actor", "time", "details", "text_digest", "previous", "hash", "case"]),
)
def test_whatever_is_altered_shows(position: int, field: str) -> None:
    entries = build(5)
    value = getattr(entries[position], field)
    altered = value + 1 if isinstance(value, int) else value + (b"x" if isinstance(value, bytes) else "x")
    entries[position] = replace(entries[position], **{field: altered})
    with pytest.raises(chain.BrokenChain):
        chain.verify("c1", entries)


@given(position=st.integers(0, 3))
def test_a_missing_entry_shows(position: int) -> None:
    entries = build(5)
    del entries[position]
    with pytest.raises(chain.BrokenChain):
        chain.verify("c1", entries)


def test_swapped_entries_show() -> None:
    entries = build(3)
    entries[0], entries[1] = entries[1], entries[0]
    with pytest.raises(chain.BrokenChain):
        chain.verify("c1", entries)


def test_the_chain_verifies_without_salts_and_texts_and_a_kept_text_can_be_matched() -> None:
    entries = build(3)
    assert chain.matches(b"salt", "text 1", entries[0].text_digest)
    assert not chain.matches(b"salt", "text 2", entries[0].text_digest)
    assert chain.verify("c1", entries) == 3  # neither salt nor text is asked for


def test_nothing_but_forgetting_and_links_follows_the_seal() -> None:
    sealed = chain.link("c1", 1, "case.closed", "accounts/a", 1, "{}", chain.GENESIS)
    forgotten = chain.link("c1", 2, "contacts.destroyed", "services/casework", 2, "{}", sealed.hash)
    assert chain.verify("c1", [sealed, forgotten]) == 2
    added = chain.link("c1", 2, "reply.drafted", "accounts/a", 2, "{}", sealed.hash)
    with pytest.raises(chain.BrokenChain, match="sealed"):
        chain.verify("c1", [sealed, added])
