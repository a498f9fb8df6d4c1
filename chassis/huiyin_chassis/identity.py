"""Who calls, and what they may do: principals signed with Ed25519, roles and services with their permissions.

Each process holds a private key of its own and everybody's public keys. The gateway's key signs people's principals; a
service's key signs only `services/NAME`, whose permissions stand in SERVICE_PERMISSIONS.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Collection, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from huiyin_chassis import clock
from huiyin_chassis.errors import FailedPrecondition, Unauthenticated

log = structlog.get_logger(__name__)

AUDIENCE: Final = "huiyin"
LIFETIME: Final = timedelta(minutes=5)
"""How long a token is good for."""
_CLOCKS_APART: Final = timedelta(minutes=1)
"""How far the clocks of two machines may be apart when it is asked how long a token is good for."""
_RENEW_BEFORE: Final = timedelta(minutes=1)
_CACHE: Final = 10_000
_LOOK_AGAIN_SECONDS: Final = 1.0
_KNOWN_SECONDS: Final = 60.0
"""How long a public key is good without being looked for: one that was taken away opens nothing for long."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)

_READ: Final = frozenset(
    {
        "collector.sources.read",
        "collector.operations.read",
        "analyzer.events.read",
        "analyzer.texts.analyze",
        "analyzer.topics.read",
        "analyzer.models.read",
        "analyzer.places.read",
        "analyzer.policies.read",
        "casework.units.read",
        "casework.inquiries.read",
        "casework.cases.read",
        "casework.filters.use",
        "casework.tasks.read",
        "casework.answers.read",
        "casework.policies.read",
        "notifier.notifications.read",
        "notifier.policies.read",
        "gateway.changes.watch",
    }
)
_READ_POSTS: Final = frozenset({"collector.posts.read"})

ROLES: Final[dict[str, frozenset[str]]] = {
    "desk": _READ
    | _READ_POSTS
    | {
        "collector.sources.write",
        "collector.sources.secrets",
        "collector.posts.import",
        "collector.posts.write",
        "analyzer.events.grade",
        "analyzer.events.regroup",
        "analyzer.topics.correct",
        "casework.cases.assign",
        "casework.cases.publish",
        "casework.cases.close",
        "casework.cases.extend",
        "casework.cases.reopen",
        "casework.cases.dismiss",
        "casework.cases.batch",
        "casework.cases.note",
        "casework.admissions.write",
        "casework.inquiries.take",
        "casework.refusals.review",
        "casework.objections.decide",
        "casework.messages.write",
        "casework.contacts.read",
        "casework.attachments.write",
        "casework.extensions.decide",
        "casework.clocks.write",
        "casework.tasks.write",
        "casework.answers.write",
        "casework.cases.import",
        "casework.partners.read",
        "casework.partners.write",
    },
    "officer": _READ
    | {
        "casework.cases.accept",
        "casework.cases.object",
        "casework.cases.investigate",
        "casework.cases.batch",
        "casework.cases.note",
        "casework.cases.contribute",
        "casework.inquiries.take",
        "casework.cases.draft",
        "casework.extensions.request",
        "casework.messages.write",
        "casework.contacts.read",
        "casework.attachments.write",
    },
    "reviewer": _READ | {"casework.cases.review", "casework.cases.batch", "casework.cases.note"},
    "approver": _READ
    | {"casework.cases.approve", "casework.cases.batch", "casework.cases.note", "casework.extensions.decide"},
    "inspector": _READ | _READ_POSTS,
    "admin": _READ
    | _READ_POSTS
    | {
        "collector.sources.write",
        "collector.sources.secrets",
        "collector.posts.import",
        "analyzer.events.grade",
        "analyzer.events.regroup",
        "analyzer.topics.correct",
        "analyzer.topics.write",
        "analyzer.models.train",
        "analyzer.places.write",
        "analyzer.policies.write",
        "casework.units.write",
        "casework.partners.read",
        "casework.partners.write",
        "casework.answers.write",
        "casework.cases.import",
        "casework.policies.write",
        "notifier.policies.write",
        "gateway.accounts.read",
        "gateway.accounts.write",
    },
}
"""What each role may do."""

SERVICE_PERMISSIONS: Final[dict[str, frozenset[str]]] = {
    "collector": frozenset(),
    "analyzer": frozenset({"collector.posts.watch", "collector.posts.read", "collector.posts.hold"}),
    "casework": frozenset(
        {
            "collector.sources.read",
            "collector.sources.write",
            "collector.posts.write",
            "analyzer.events.watch",
            "analyzer.events.read",
            "analyzer.events.hold",
        }
    ),
    "notifier": frozenset({"collector.posts.watch", "casework.cases.watch", "casework.cases.read"}),
    # Another system of the same body, where the operator makes it a key: it reads and follows, and changes nothing.
    "integrator": frozenset(
        {"analyzer.events.watch", "analyzer.events.read", "casework.cases.watch", "casework.cases.read"}
    ),
    "gateway": frozenset(
        {
            "collector.posts.watch",
            "analyzer.events.watch",
            "casework.cases.watch",
            "casework.reach.read",
            "notifier.notifications.watch",
        }
    ),
}
"""What each process may do in its own name."""


@dataclass(frozen=True)
class Principal:
    """The caller of a method. Unit ids are without `units/`; places and topics are resource names."""

    subject: str
    permissions: frozenset[str] = frozenset()
    roles: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    """Units of the caller and all below them."""
    places: tuple[str, ...] = ()
    """Places in scope, each with all below it; empty: every place."""
    topics: tuple[str, ...] = ()
    """Topics in scope, each with all below it; empty: every topic."""
    everywhere: bool = False
    """True for desks, inspectors, administrators and services: no limit by unit, place or topic."""
    expires: datetime = _NEVER

    def may(self, permission: str) -> bool:
        """Whether the caller holds a permission."""
        return permission in self.permissions

    @property
    def is_anonymous(self) -> bool:
        """True for the public."""
        return self.subject == "anonymous"


ANONYMOUS: Final = Principal("anonymous")

_current: ContextVar[Principal] = ContextVar("principal", default=ANONYMOUS)


def current_principal() -> Principal:
    """The principal of the call that is being served."""
    return _current.get()


def set_current_principal(principal: Principal) -> None:
    """For servers, and for tests of servicers: who calls."""
    _current.set(principal)


def permissions_of(roles: Iterable[str]) -> frozenset[str]:
    """The union of what roles may do; unknown roles may nothing."""
    return frozenset().union(*(ROLES.get(role, frozenset()) for role in roles))


class Signer:
    """Signs principals with the private key of the process `name`."""

    def __init__(self, name: str, key_file: Path) -> None:
        self.name = name
        self._key = _load_private(key_file)
        self._own = ""
        self._own_since = datetime.min.replace(tzinfo=UTC)

    def sign(self, principal: Principal) -> str:
        """A token for a principal, good for LIFETIME from now."""
        now = clock.now()
        claims: dict[str, Any] = {
            "sub": principal.subject,
            "aud": AUDIENCE,
            "iat": now,
            "exp": min(now + LIFETIME, principal.expires),
        }
        if not principal.subject.startswith("services/"):
            claims |= {
                "roles": list(principal.roles),
                "units": list(principal.units),
                "places": list(principal.places),
                "topics": list(principal.topics),
                "everywhere": principal.everywhere,
            }
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers={"kid": self.name})

    def own_token(self) -> str:
        """This process's token for itself, renewed before it expires, and where the clock was set back."""
        now = clock.now()
        if not self._own_since <= now < self._own_since + LIFETIME - _RENEW_BEFORE:
            self._own = self.sign(Principal(f"services/{self.name}"))
            self._own_since = now
        return self._own


class Verifier:
    """Verifies tokens by the public keys in a folder, NAME.pem each; a new key is found without a restart, and one that
    is gone is missed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._looked = -_LOOK_AGAIN_SECONDS
        self._verified: dict[str, Principal] = {}

    def verify(self, token: str) -> Principal:
        """The principal of a token. Raises Unauthenticated with reason TOKEN_EXPIRED, KEY_UNKNOWN or TOKEN_INVALID; so
        is one that is good for longer than LIFETIME.
        """
        now = clock.now()
        found = self._verified.get(token)
        if found is not None:
            if now < found.expires:
                return found
            del self._verified[token]
            raise _expired()
        principal = self._verify(token, now)
        if len(self._verified) >= _CACHE:
            self._verified.clear()
        self._verified[token] = principal
        return principal

    def _verify(self, token: str, now: datetime) -> Principal:
        try:
            kid = str(jwt.get_unverified_header(token).get("kid", ""))
            try:
                claims = _claims(token, self._key(kid))
            except jwt.InvalidSignatureError:
                # The process may have been given a new key pair.
                if not self._look_again():
                    raise
                claims = _claims(token, self._key(kid))
            expires = datetime.fromtimestamp(claims["exp"], UTC)
        except (jwt.InvalidTokenError, TypeError, ValueError, OverflowError) as error:
            raise Unauthenticated("TOKEN_INVALID", "the token cannot be verified; sign in again") from error
        if now >= expires:
            raise _expired()
        if expires > now + LIFETIME + _CLOCKS_APART:
            # Whoever holds a key of its own signs what it likes; a token that gets lost must not be of use for long.
            raise Unauthenticated(
                "TOKEN_INVALID",
                "the token is good for longer than five minutes; sign one for less, and the next in time",
            )
        return _principal(kid, claims, expires)

    def _key(self, kid: str) -> Ed25519PublicKey:
        if kid not in self._keys or time.monotonic() - self._looked > _KNOWN_SECONDS:
            self._look_again()
        if kid not in self._keys:
            raise Unauthenticated(
                "KEY_UNKNOWN",
                f"no public key of the process {kid[:40]!r} is known here; put it into HUIYIN_PUBLIC_KEYS",
            )
        return self._keys[kid]

    def _look_again(self) -> bool:
        """Reads the folder, unless that was done a moment ago; False then."""
        if time.monotonic() - self._looked < _LOOK_AGAIN_SECONDS:
            return False
        self._looked = time.monotonic()
        self._keys = {}
        for path in sorted(self._folder.glob("*.pem")):
            try:
                self._keys[path.stem] = _load_public(path)
            except (OSError, ValueError, FailedPrecondition) as error:
                log.warning("identity.key_unreadable", file=path.name, error=str(error))
        return True


def _claims(token: str, key: Ed25519PublicKey) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["EdDSA"],
        audience=AUDIENCE,
        options={"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False},
    )
    return claims


def _principal(kid: str, claims: dict[str, Any], expires: datetime) -> Principal:
    subject = str(claims["sub"])
    if subject.startswith("services/"):
        if subject != f"services/{kid}":
            raise Unauthenticated("TOKEN_INVALID", f"the key of {kid} cannot sign for {subject}")
        return Principal(subject, SERVICE_PERMISSIONS.get(kid, frozenset()), everywhere=True, expires=expires)
    if kid != "gateway":
        raise Unauthenticated("TOKEN_INVALID", f"the key of {kid} cannot sign for people; only the gateway's can")
    if subject == ANONYMOUS.subject:
        return replace(ANONYMOUS, expires=expires)
    roles = tuple(claims.get("roles", ()))
    return Principal(
        subject,
        permissions_of(roles),
        roles,
        tuple(claims.get("units", ())),
        tuple(claims.get("places", ())),
        tuple(claims.get("topics", ())),
        bool(claims.get("everywhere", False)),
        expires,
    )


def _expired() -> Unauthenticated:
    return Unauthenticated("TOKEN_EXPIRED", "the token has expired; sign in again, or open the stream again")


def ensure_keys(folder: Path, names: Collection[str]) -> None:
    """Creates the missing key pairs: folder/private/NAME.pem (mode 0600) and folder/public/NAME.pem."""
    private, public = folder / "private", folder / "public"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    public.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in names:
        path = private / f"{name}.pem"
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(pem)
        key = _load_private(path)
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        _replace_unless_same(public / f"{name}.pem", pem)


def _replace_unless_same(path: Path, content: bytes) -> None:
    """Other processes read this folder: they see the old file or the new one, never half of it."""
    if path.exists() and path.read_bytes() == content:
        return
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.replace(path)


def _load_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise FailedPrecondition(
            "KEY_FILE_MISSING",
            f"the private key {path} cannot be read ({error.strerror}); "
            f"make it with python -m huiyin_chassis.identity FOLDER NAME…, or set HUIYIN_KEY_FILE",
        ) from error
    except ValueError as error:
        raise FailedPrecondition("KEY_FILE_INVALID", f"{path} is not a private key in PEM; make a new pair") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise FailedPrecondition("KEY_FILE_INVALID", f"{path} is not an Ed25519 key; make a new pair")
    return key


def _load_public(path: Path) -> Ed25519PublicKey:
    key = load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise FailedPrecondition("KEY_FILE_INVALID", f"{path} is not an Ed25519 key; make a new pair")
    return key


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python -m huiyin_chassis.identity FOLDER NAME…")
    ensure_keys(Path(sys.argv[1]), sys.argv[2:])
