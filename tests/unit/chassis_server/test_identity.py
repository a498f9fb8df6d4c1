"""Tokens: who may sign for whom, and until when."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from huiyin_chassis import clock
from huiyin_chassis.errors import FailedPrecondition, Unauthenticated
from huiyin_chassis.identity import (
    LIFETIME,
    SERVICE_PERMISSIONS,
    Principal,
    Signer,
    Verifier,
    ensure_keys,
    permissions_of,
)

OFFICER = Principal("accounts/officer", roles=("officer",), units=("a", "b"), places=("places/A市",), everywhere=False)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    ensure_keys(tmp_path, ["gateway", "analyzer"])
    return tmp_path


def signer(keys: Path, name: str) -> Signer:
    return Signer(name, keys / "private" / f"{name}.pem")


def test_a_persons_token_carries_roles_and_reach(keys: Path) -> None:
    found = Verifier(keys / "public").verify(signer(keys, "gateway").sign(OFFICER))
    assert (found.subject, found.units, found.places) == ("accounts/officer", ("a", "b"), ("places/A市",))
    assert found.permissions == permissions_of(["officer"])
    assert found.may("casework.cases.draft") and not found.may("casework.cases.approve")


def test_a_services_permissions_come_from_the_table(keys: Path) -> None:
    found = Verifier(keys / "public").verify(signer(keys, "analyzer").own_token())
    assert found.subject == "services/analyzer" and found.may("collector.posts.watch")
    assert not found.may("casework.cases.read")


def test_a_service_signs_for_nobody_else(keys: Path) -> None:
    for principal in (OFFICER, Principal("services/gateway"), Principal("services/casework")):
        with pytest.raises(Unauthenticated, match="cannot sign for"):
            Verifier(keys / "public").verify(signer(keys, "analyzer").sign(principal))


def test_a_token_expires_even_when_it_was_verified_before(keys: Path) -> None:
    verifier, token = Verifier(keys / "public"), signer(keys, "gateway").sign(OFFICER)
    verifier.verify(token)
    later = clock.now() + LIFETIME + timedelta(seconds=1)
    with clock.stopped(later), pytest.raises(Unauthenticated) as caught:
        verifier.verify(token)
    assert caught.value.reason == "TOKEN_EXPIRED"


def test_a_token_for_longer_than_its_lifetime_is_refused_but_clocks_may_be_a_little_apart(keys: Path) -> None:
    key = (keys / "private" / "analyzer.pem").read_bytes()
    for longer, refused in ((timedelta(seconds=50), False), (timedelta(seconds=70), True)):
        claims = {"sub": "services/analyzer", "aud": "huiyin", "exp": clock.now() + LIFETIME + longer}
        token = jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "analyzer"})
        if refused:
            with pytest.raises(Unauthenticated, match="longer than five minutes"):
                Verifier(keys / "public").verify(token)
        else:
            assert Verifier(keys / "public").verify(token).subject == "services/analyzer"


def test_what_an_integrator_may_do_changes_nothing() -> None:
    assert {permission.rpartition(".")[2] for permission in SERVICE_PERMISSIONS["integrator"]} == {"read", "watch"}


def test_forged_and_broken_tokens_are_refused(keys: Path, tmp_path: Path) -> None:
    verifier = Verifier(keys / "public")
    token = signer(keys, "gateway").sign(OFFICER)
    other = tmp_path / "other"
    ensure_keys(other, ["gateway"])
    unsigned = jwt.encode({"sub": "accounts/desk", "aud": "huiyin", "exp": 9999999999}, "", algorithm="none")
    for forged in (
        token[:-4] + "AAAA",
        "nonsense",
        "",
        unsigned,
        Signer("gateway", other / "private/gateway.pem").sign(OFFICER),
    ):
        with pytest.raises(Unauthenticated):
            verifier.verify(forged)


def test_a_key_added_later_is_found(keys: Path) -> None:
    verifier = Verifier(keys / "public")
    verifier.verify(signer(keys, "gateway").sign(OFFICER))
    ensure_keys(keys, ["notifier"])
    verifier._looked = 0.0
    assert verifier.verify(signer(keys, "notifier").own_token()).subject == "services/notifier"


def test_a_key_that_was_replaced_is_read_again(keys: Path) -> None:
    verifier = Verifier(keys / "public")
    verifier.verify(signer(keys, "gateway").sign(OFFICER))
    (keys / "private" / "gateway.pem").unlink()
    ensure_keys(keys, ["gateway"])
    verifier._looked = 0.0
    assert verifier.verify(signer(keys, "gateway").sign(OFFICER)).subject == "accounts/officer"


def test_a_key_that_was_taken_away_opens_nothing_any_more(keys: Path) -> None:
    verifier = Verifier(keys / "public")
    verifier.verify(signer(keys, "analyzer").own_token())
    (keys / "public" / "analyzer.pem").unlink()
    verifier._looked -= 61
    with pytest.raises(Unauthenticated) as caught:
        verifier.verify(
            signer(keys, "analyzer").sign(Principal("services/analyzer", expires=clock.now() + timedelta(minutes=2)))
        )
    assert caught.value.reason == "KEY_UNKNOWN"
    assert verifier.verify(signer(keys, "gateway").sign(OFFICER)).subject == "accounts/officer"


def test_a_broken_key_file_stops_nobody_else(keys: Path) -> None:
    (keys / "public" / "broken.pem").write_text("half a key")
    found = Verifier(keys / "public").verify(signer(keys, "gateway").sign(OFFICER))
    assert found.subject == "accounts/officer"


def test_keys_are_made_once_and_are_private(keys: Path) -> None:
    path = keys / "private" / "gateway.pem"
    before = path.read_bytes()
    ensure_keys(keys, ["gateway"])
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_missing_key_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="make it with"):
        Signer("gateway", tmp_path / "none.pem")
