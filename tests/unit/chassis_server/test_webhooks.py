"""Messages are signed as Standard Webhooks says, and one that is not, or no longer, is seen."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from huiyin_chassis.webhooks import TOLERANCE, is_signed, secret_of, signature

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIME, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER = secret_of(b"x" * 32)


def test_the_example_of_the_specification_is_signed_as_there() -> None:
    assert signature(SECRET, ID, TIME, BODY) == SIGNED
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{ID}.{TIME}.".encode() + BODY, hashlib.sha256).digest()
    assert base64.b64encode(digest).decode() == SIGNED.removeprefix("v1,")


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"body": BODY + b" "}, False),
        ({"message_id": "msg_2"}, False),
        ({"timestamp": TIME + 1}, False),
        ({"secrets": [OTHER]}, False),
        ({"secrets": []}, False),
        ({"secrets": [OTHER, SECRET]}, True),
        ({"signatures": f"v1,AAAA v2,whatever {SIGNED}"}, True),
        ({"signatures": SIGNED.replace("v1", "v2")}, False),
        ({"signatures": SIGNED.removeprefix("v1,")}, False),
        ({"signatures": ""}, False),
        ({"signatures": "é ü"}, False),
        ({"signatures": " ".join(["v1,AAAA"] * 10 + [SIGNED])}, False),
        ({"now": TIME + TOLERANCE}, True),
        ({"now": TIME - TOLERANCE}, True),
        ({"now": TIME + TOLERANCE + 1}, False),
        ({"now": TIME - TOLERANCE - 1}, False),
    ],
)
def test_a_message_holds_only_as_it_was_signed_and_not_for_long(change: dict[str, object], holds: bool) -> None:
    given = {
        "secrets": [SECRET],
        "message_id": ID,
        "timestamp": TIME,
        "signatures": SIGNED,
        "body": BODY,
        "now": TIME,
        **change,
    }
    assert is_signed(**given) is holds  # type: ignore[arg-type]
