"""Attachments: what kinds of file are taken, how a file says what it is, and what it may be called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class MediaType(StrEnum):
    """The kinds of file that are taken: those that can be made free of what they carry unseen, and no other."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    WEBP = "image/webp"
    PDF = "application/pdf"


ENDINGS: Final = {MediaType.JPEG: ".jpg", MediaType.PNG: ".png", MediaType.WEBP: ".webp", MediaType.PDF: ".pdf"}
MOST_CHARACTERS: Final = 80
"""Of a file's name, without its ending."""

_ALSO_CALLED: Final = {"image/jpg": MediaType.JPEG, "image/pjpeg": MediaType.JPEG, "application/x-pdf": MediaType.PDF}
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream"})
# Whatever a name needs no more than this: no separators of paths, no quotes, nothing that steers a terminal.
_UNFIT: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')


class Unusable(Exception):
    """A file that is not taken: `reason` for programs, the message for people, the field that it is about."""

    def __init__(self, reason: str, message: str, field: str = "data") -> None:
        self.reason = reason
        self.field = field
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A file without what it carried unseen."""

    data: bytes
    text: str = ""
    """What can be read in it as text."""
    readable: bool = False
    """Whether all that a person sees in it is that text; a picture is not, nor a page that was scanned."""


def media_type(data: bytes) -> MediaType | None:
    """What a file is, by how it begins; None for what is not taken."""
    if data.startswith(b"\xff\xd8\xff"):
        return MediaType.JPEG
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return MediaType.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return MediaType.WEBP
    # ISO 32000-2, 7.5.2; readers allow for bytes before it, which have no business there.
    return MediaType.PDF if data.startswith(b"%PDF-") else None


def checked_type(declared: str, data: bytes) -> MediaType:
    """What a file is, where that is taken and agrees with what was said of it. Raises Unusable."""
    found = media_type(data)
    if found is None:
        raise Unusable(
            "TYPE_NOT_TAKEN",
            "is neither JPEG, PNG, WebP nor PDF by its content; save a picture as JPEG, a document as PDF",
        )
    said = declared.partition(";")[0].strip().lower()
    if said not in _SAYS_NOTHING and _ALSO_CALLED.get(said, said) != found:
        raise Unusable("TYPE_DIFFERS", f"says {said[:60]}, but the file is {found}; give {found}", "content_type")
    return found


def file_name(given: str, kind: MediaType) -> str:
    """What a file is called: the last part of what was given, short, with the ending of what it is."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", given))[-1]
    shown = "".join(each for each in _UNFIT.sub("", last) if unicodedata.category(each) not in ("Cf", "Cs", "Co"))
    stem = shown.rpartition(".")[0] if "." in shown.strip(".") else shown
    return (stem.strip(" .")[:MOST_CHARACTERS].strip(" .") or "attachment") + ENDINGS[kind]
