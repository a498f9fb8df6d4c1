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


def test_the_chain_verifies_without_salts_and_texts() -> None:
    assert chain.verify("c1", build(3)) == 3


def about(number: int, step: str, details: str, text: str) -> chain.Entry:
    """An entry about a text; verify_texts does not look at the links."""
    digest = chain.text_digest(b"salt", text)
    return chain.link("c1", number, step, "accounts/a", number, details, chain.GENESIS, digest)


@pytest.mark.parametrize(
    ("kept", "altered_at"),
    [
        (
            {
                ("inquiry", "i"): (b"salt", "edited"),
                ("reply", "r"): (b"salt", "answer"),
                ("note", "3"): (b"salt", "note"),
            },
            None,
        ),
        ({("inquiry", "i"): (b"", "")}, None),
        ({("inquiry", "i"): (b"salt", "asked")}, 4),
        ({("reply", "r"): (b"salt", "another answer")}, 2),
        ({("note", "3"): (b"salt", "another note")}, 3),
    ],
)
def test_a_text_that_is_kept_is_the_one_its_last_entry_was_about(kept: chain.Texts, altered_at: int | None) -> None:
    entries = [
        about(1, "case.inquiry_joined", '{"inquiry":"i"}', "asked"),
        about(2, "case.drafted", '{"reply":"r"}', "answer"),
        about(3, "case.reviewed", '{"reply":"r"}', "note"),
        about(4, "case.inquiry_edited", '{"inquiry":"i"}', "edited"),
    ]
    if altered_at is None:
        chain.verify_texts(entries, kept)
    else:
        with pytest.raises(chain.BrokenChain) as broken:
            chain.verify_texts(entries, kept)
        assert broken.value.number == altered_at


def test_nothing_but_forgetting_and_links_follows_the_seal() -> None:
    sealed = chain.link("c1", 1, "case.closed", "accounts/a", 1, "{}", chain.GENESIS)
    forgotten = chain.link("c1", 2, "contacts.destroyed", "services/casework", 2, "{}", sealed.hash)
    assert chain.verify("c1", [sealed, forgotten]) == 2
    added = chain.link("c1", 2, "reply.drafted", "accounts/a", 2, "{}", sealed.hash)
    with pytest.raises(chain.BrokenChain, match="sealed"):
        chain.verify("c1", [sealed, added])
