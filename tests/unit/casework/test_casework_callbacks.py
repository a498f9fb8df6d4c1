"""Where answers may be posted to."""

from __future__ import annotations

import pytest
from huiyin_casework.partners import CallbackRules

STRICT = CallbackRules(plain_http=False, private=False)
LAX = CallbackRules(plain_http=True, private=True)


@pytest.mark.parametrize(
    "url",
    ["https://partner.example/answers?from=huiyin", "https://partner.example:8443", "https://8.8.8.8/"],
)
def test_https_to_the_open_internet_is_allowed(url: str) -> None:
    assert STRICT.fault(url) == ""


@pytest.mark.parametrize(
    ("url", "rules", "told"),
    [
        ("http://partner.example/", STRICT, "HUIYIN_ALLOW_PLAIN_HTTP"),
        ("http://partner.example/", CallbackRules(plain_http=False, private=True), "HUIYIN_ALLOW_PLAIN_HTTP"),
        ("http://10.0.0.1/", CallbackRules(plain_http=True, private=False), "HUIYIN_ALLOW_PRIVATE_RECEIVERS"),
        ("https://127.0.0.1/", STRICT, "HUIYIN_ALLOW_PRIVATE_RECEIVERS"),
        ("https://localhost/", STRICT, "HUIYIN_ALLOW_PRIVATE_RECEIVERS"),
        ("https://[::ffff:10.0.0.1]/", STRICT, "HUIYIN_ALLOW_PRIVATE_RECEIVERS"),
        ("https://169.254.169.254/latest", STRICT, "HUIYIN_ALLOW_PRIVATE_RECEIVERS"),
        ("https://user:secret@partner.example/", LAX, "no user name"),
        ("https://partner.example/#part", LAX, "without a fragment"),
        ("https://partner.example:99999/", LAX, "no URL"),
        ("https://[::1/", LAX, "no URL"),
        ("https://热线.example/", LAX, "ASCII"),
        ("https://partner.example/a b", LAX, "ASCII"),
        ("ftp://partner.example/", LAX, "https://host/path"),
        ("https:///answers", LAX, "https://host/path"),
        ("partner.example", LAX, "https://host/path"),
    ],
)
def test_anything_else_is_refused_with_the_remedy(url: str, rules: CallbackRules, told: str) -> None:
    assert told in rules.fault(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/answers", "https://hotline.internal/", "http://[::1]/"])
def test_an_operator_may_allow_plain_http_and_private_networks(url: str) -> None:
    assert LAX.fault(url) == ""
