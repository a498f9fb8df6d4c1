"""Files made free of what they carry unseen: where and by whom a picture was taken, what a PDF would run or has inside.

What is left is written anew from what was read, so that nothing stands before, between or behind it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, Final

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from pypdf import PdfReader, PdfWriter
from pypdf.errors import PyPdfError
from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, NameObject, StreamObject

from huiyin_casework.model.attachments import Cleaned, MediaType, Unusable

MOST_PIXELS: Final = 64_000_000
"""Of a picture: more than telephones take, and what still fits into memory three times."""
MOST_PAGES: Final = 200
MOST_PAGES_READ: Final = 60
"""For numbers of people: a page of text takes about thirty milliseconds."""
MOST_TEXT: Final = 200_000
"""Characters of a PDF that are read."""

_QUALITY: Final = 90
_QUANTA: Final = 255
_FORMATS: Final = {MediaType.JPEG: "JPEG", MediaType.PNG: "PNG", MediaType.WEBP: "WEBP"}
# ISO 32000-2: metadata streams, private data of applications, associated files, what runs by itself, and who did what
# when. Of marks on a page also their author and subject.
_UNSEEN: Final = ("/Metadata", "/PieceInfo", "/LastModified", "/AF", "/AA", "/A", "/PA", "/JS", "/OPI", "/Thumb")
_OF_MARKS: Final = (
    "/T",
    "/TU",
    "/TM",
    "/Subj",
    "/CreationDate",
    "/M",
    "/NM",
    "/RC",
    "/Contents",
    "/Popup",
    "/IRT",
    "/DV",
    "/V",
    "/Parent",
)
_HIDDEN: Final = 0b100010
"""Flags of a mark that is not shown: Hidden and NoView (ISO 32000-2, table 167)."""
_SHOWN_MARKS: Final = frozenset(
    {"/FreeText", "/Line", "/Square", "/Circle", "/Polygon", "/PolyLine", "/Highlight", "/Underline", "/StrikeOut"}
    | {"/Squiggly", "/Stamp", "/Ink", "/Widget", "/Redact"}
)
_JPEG_KEPT: Final = frozenset({0xE0, 0xEE})
"""Segments of an application that a decoder needs: JFIF, and Adobe's on how colours are stored."""


def clean(data: bytes, kind: MediaType) -> Cleaned:
    """A file of a kind without what it carries unseen. Raises Unusable."""
    return _pdf(data) if kind == MediaType.PDF else Cleaned(_picture(data, kind))


# Pictures


def _picture(data: bytes, kind: MediaType) -> bytes:
    try:
        with Image.open(io.BytesIO(data), formats=[_FORMATS[kind]]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise _too_many_pixels()
            if kind != MediaType.JPEG and getattr(image, "n_frames", 1) > 1:
                raise Unusable("ANIMATED", "is animated; send single pictures")
            image.load()
            options = _options(image, kind)
            # Turned the way it is looked at: what said so goes with the rest.
            return _written(_in_srgb(ImageOps.exif_transpose(image)), kind, options)
    except Image.DecompressionBombError:
        raise _too_many_pixels() from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError) as error:
        raise Unusable("UNREADABLE", "cannot be read as the picture that it says it is; save it anew") from error


def _too_many_pixels() -> Unusable:
    return Unusable("TOO_MANY_PIXELS", f"has more than {MOST_PIXELS // 1_000_000} million pixels; make it smaller")


def _options(image: Image.Image, kind: MediaType) -> dict[str, Any]:
    """How it is written; a JPEG as coarsely as it was, so that it does not grow."""
    if kind == MediaType.PNG:
        return {}
    tables = getattr(image, "quantization", None)
    if image.mode in ("L", "RGB") and tables and all(max(table) <= _QUANTA for table in tables.values()):
        return {"qtables": tables}
    return {"quality": _QUALITY}


def _in_srgb(image: Image.Image) -> Image.Image:
    """In the colours that are taken for granted where no profile stands beside a picture."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            converted = ImageCms.profileToProfile(
                image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            image = converted
    return image


def _written(image: Image.Image, kind: MediaType, options: dict[str, Any]) -> bytes:
    if image.mode.startswith("I"):
        # Of sixteen bits a grey is told by the upper eight; to convert it cuts it off at 255.
        image = image.convert("I").point(lambda grey: grey * (1 / 256)).convert("L")
    transparent = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
    if image.mode not in ("L", "RGB", "RGBA") or (transparent and image.mode != "RGBA"):
        image = image.convert("RGBA" if transparent and kind != MediaType.JPEG else "RGB")
    # Pixels alone go into a new picture: no comment, profile or text that a format keeps beside them.
    bare = Image.frombytes(image.mode, image.size, image.tobytes())
    if kind == MediaType.JPEG and bare.mode == "RGBA":
        bare = bare.convert("RGB")
    out = io.BytesIO()
    bare.save(out, _FORMATS[kind], **options)
    return out.getvalue()


# PDF


def _pdf(data: bytes) -> Cleaned:
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted:
            raise Unusable("ENCRYPTED", "is protected by a password; save it without")
        if not 0 < len(reader.pages) <= MOST_PAGES:
            raise Unusable("TOO_MANY_PAGES", f"must have 1 to {MOST_PAGES} pages; send it in parts")
        writer = PdfWriter()
        # Page by page, so that only what pages refer to comes along: no attached files, scripts, forms or bookmarks.
        for page in reader.pages:
            writer.add_page(page)
        for page in writer.pages:
            _keep_shown_marks(page)
        for held in writer._objects:
            if held is not None:
                _strip(held)
        writer.metadata = None
        _drop_unreached(writer)
        out = io.BytesIO()
        writer.write(out)
        text, readable = _text(writer)
        return Cleaned(out.getvalue(), text, readable)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OSError) as error:
        # It raises whatever a malformed file makes it run into.
        raise Unusable("UNREADABLE", "cannot be read as a PDF; save it anew, or send a picture of it") from error


def _keep_shown_marks(page: Any) -> None:
    """Of what is laid over a page that which is seen; no files, sounds, forms that are sent, or notes that pop up."""
    marks = page.get("/Annots")
    if marks is None:
        return
    kept = ArrayObject()
    for each in marks.get_object():
        mark = each.get_object()
        if isinstance(mark, DictionaryObject) and _is_shown(mark):
            for name in _OF_MARKS:
                mark.pop(NameObject(name), None)
            kept.append(each)
    page[NameObject("/Annots")] = kept


def _is_shown(mark: DictionaryObject) -> bool:
    return mark.get("/Subtype") in _SHOWN_MARKS and "/AP" in mark and not int(mark.get("/F", 0)) & _HIDDEN


def _strip(held: Any) -> None:
    """Takes what is unseen out of an object and of what stands within it."""
    for each in _within(held):
        # Others are lists of names, of fonts say, which may be called anything.
        if isinstance(each, StreamObject) or "/Type" in each or "/Subtype" in each:
            for name in _UNSEEN:
                each.pop(NameObject(name), None)
        if isinstance(each, StreamObject) and each.get("/Filter") in ("/DCTDecode", ["/DCTDecode"]):
            each._data = _jpeg_without_segments(each._data)


def _drop_unreached(writer: PdfWriter) -> None:
    """Takes away what only led on from what is gone: a file behind a mark, a script behind a field, in circles too."""
    reached: set[int] = set()
    waiting: list[Any] = [writer._root_object.indirect_reference]
    while waiting:
        each = waiting.pop()
        if isinstance(each, IndirectObject):
            if each.idnum not in reached:
                reached.add(each.idnum)
                waiting.append(each.get_object())
        elif isinstance(each, DictionaryObject):
            waiting += each.values()
        elif isinstance(each, ArrayObject):
            waiting += each
    for index in range(len(writer._objects)):
        if index + 1 not in reached:
            writer._objects[index] = None


def _within(held: Any) -> Iterator[DictionaryObject]:
    waiting = [held]
    while waiting:
        each = waiting.pop()
        if isinstance(each, DictionaryObject):
            yield each
            waiting += each.values()
        elif isinstance(each, ArrayObject):
            waiting += each


def _jpeg_without_segments(data: bytes) -> bytes:
    """A JPEG within a PDF without comments and what applications put beside the picture (ITU-T T.81, B.1.1.3)."""
    if not data.startswith(b"\xff\xd8"):
        return data
    kept, at = bytearray(data[:2]), 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:  # the picture itself begins
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker in _JPEG_KEPT:
            kept += data[at:end]
        at = end
    return bytes(kept + data[at:])


def _text(writer: PdfWriter) -> tuple[str, bool]:
    """What can be read, and whether that is all: a page without a letter, or with a picture, holds more."""
    found: list[str] = []
    left, readable = MOST_TEXT, True
    for number, page in enumerate(writer.pages):
        text = page.extract_text()[:left] if left > 0 and number < MOST_PAGES_READ else ""
        readable = readable and bool(text.strip()) and not _has_pictures(page)
        found.append(text)
        left -= len(text)
    return "\n".join(found), readable and left > 0


def _has_pictures(page: Any) -> bool:
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources is not None else None
    named = objects.get_object().values() if objects is not None else ()
    return any(each.get_object().get("/Subtype") in ("/Image", "/Form") for each in named)
