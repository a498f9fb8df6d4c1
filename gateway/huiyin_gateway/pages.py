"""Pages that the gateway serves itself: the OpenAPI document, and a page to browse it, from files that come with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from huiyin_gateway.answers import ALWAYS, WITH_PAGE, compressed

OPENAPI_PATH: Final = "/v1/openapi.json"
_FOLDER: Final = Path(__file__).parent / "page"
_FILES: Final = {
    "/docs": ("docs.html", "text/html; charset=utf-8"),
    "/docs/docs.css": ("docs.css", "text/css; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
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
        for path, (name, kind) in _FILES.items():
            self._pages[path] = _page(kind, (_FOLDER / name).read_bytes(), WITH_PAGE)

    def find(self, path: str) -> Page | None:
        """The page at a path."""
        return self._pages.get(path)


def _page(kind: str, body: bytes, safe: bytes) -> Page:
    return Page(kind, body, compressed(body, _LEVEL), hashlib.sha256(body).hexdigest()[:16], safe)
