"""Identifiers of resources: UUIDv7 for what is new, UUIDv5 for what must get the same id when it is made again."""

from __future__ import annotations

from typing import Final

import uuid_utils

_HUIYIN: Final = uuid_utils.UUID("6f1b9f0e-3c5d-5a43-9a0c-2f0d6c7c1a11")
"""The namespace of all derived ids; fixed for ever, or repeated creations would make doubles."""


def uuid7() -> str:
    """A new id whose order is about that of creation (RFC 9562, section 5.7)."""
    return str(uuid_utils.uuid7())


def derived_id(namespace: str, key: str) -> str:
    """The id that `key` has within `namespace`, for ever the same (RFC 9562, section 5.5)."""
    return str(uuid_utils.uuid5(_HUIYIN, f"{namespace}\x00{key}"))
