"""Asks the gateway whether everything serves."""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from huiyin_local.layout import Layout


def serving(layout: Layout) -> bool:
    """Whether GET /v1/status says that every part serves; False too while nobody answers."""
    try:
        with urllib.request.urlopen(f"{layout.address}/v1/status", timeout=2) as answer:  # noqa: S310 - our own address
            return bool(json.load(answer).get("serving"))
    except (OSError, urllib.error.URLError, ValueError):
        return False
