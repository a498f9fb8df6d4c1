"""Pages that the gateway serves itself: the OpenAPI document, and a page to browse it, from files that come with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from huiyin_gateway.answers import ALWAYS, compressed

OPENAPI_PATH: Final = "/v1/openapi.json"
_LEVEL: Final = 9


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent."""

    kind: str
    body: bytes
    squeezed: bytes
    etag: str
    safe: bytes
    """The headers that say what it may do in a browser."""


class Pages:
    """Finds a page by its path."""

    def __init__(self, openapi: bytes) -> None:
        self._pages = {OPENAPI_PATH: _page("application/json", openapi, ALWAYS)}

    def find(self, path: str) -> Page | None:
        """The page at a path."""
        return self._pages.get(path)


def _page(kind: str, body: bytes, safe: bytes) -> Page:
    return Page(kind, body, compressed(body, _LEVEL), hashlib.sha256(body).hexdigest()[:16], safe)
