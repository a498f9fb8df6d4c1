"""Which addresses may be called on behalf of a text that somebody else wrote."""

from __future__ import annotations

import pytest
from huiyin_chassis.addresses import is_public


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("10.1.2.3", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2001:4860:4860::8888", True),
        ("::ffff:8.8.8.8", True),
        ("::127.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::808:808", True),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("ff02::1", False),
    ],
)
def test_addresses_of_this_machine_and_of_private_networks_are_not_public(address: str, public: bool) -> None:
    assert is_public(address) is public
