"""Files as people send them, made on the spot, with what they carry unseen."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, NumberObject, StreamObject, TextStringObject

UNSEEN = "unseen-word"
"""Stands wherever a file carries what nobody sees."""


def _picture(width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), (200, 40, 40))
    image.putpixel((0, 0), (0, 0, 255))
    return image


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010E] = UNSEEN
    exif[0x8825] = {1: "N", 2: (28.0, 12.0, 1.0), 3: "E", 4: (112.0, 58.0, 2.0)}
    return exif


def jpeg(width: int = 40, height: int = 24) -> bytes:
    """A photograph that says where it was taken."""
    out = io.BytesIO()
    xmp = f"<x:xmpmeta>{UNSEEN}</x:xmpmeta>".encode()
    _picture(width, height).save(out, "JPEG", exif=_exif(), comment=UNSEEN.encode(), xmp=xmp)
    return out.getvalue() + UNSEEN.encode()


def png(colour: int = 0) -> bytes:
    """A picture with a text beside it."""
    told, out = PngInfo(), io.BytesIO()
    told.add_text("Author", UNSEEN)
    Image.new("RGBA", (16, 8), (colour, 0, 0, 100)).save(out, "PNG", pnginfo=told)
    return out.getvalue() + UNSEEN.encode()


def webp() -> bytes:
    """A photograph in another format."""
    out = io.BytesIO()
    _picture(20, 10).save(out, "WEBP", exif=_exif())
    return out.getvalue()


def animation() -> bytes:
    """A picture that moves."""
    out = io.BytesIO()
    _picture(8, 8).save(out, "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 8))], duration=100)
    return out.getvalue()


def scan() -> bytes:
    """A PDF of one photograph."""
    out = io.BytesIO()
    Image.open(io.BytesIO(jpeg())).save(out, "PDF", author=UNSEEN)
    return out.getvalue()


def pdf(text: str = "Water is back.") -> bytes:
    """A PDF of one page with a line of ASCII; beside it a script, a file, who wrote it, and a note that pops up."""
    writer = PdfWriter()
    page = writer.add_blank_page(200, 100)
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    # A font that is called as a key is that must go.
    fonts = _dictionary({"/A": writer._add_object(_dictionary(font))})
    page[NameObject("/Resources")] = _dictionary({"/Font": fonts})
    content = StreamObject()
    content.set_data(f"BT /A 12 Tf 10 50 Td ({text}) Tj ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    note = {"/Type": "/Annot", "/Subtype": "/Text", "/Contents": TextStringObject(UNSEEN)}
    page[NameObject("/PieceInfo")] = _dictionary({"/X": TextStringObject(UNSEEN)})
    writer.add_annotation(0, _dictionary({**note, "/Rect": writer.pages[0].mediabox}))
    script = _dictionary({"/S": "/JavaScript", "/JS": TextStringObject(f"app.alert('{UNSEEN}')")})
    writer._root_object[NameObject("/OpenAction")] = writer._add_object(script)
    writer.add_attachment(f"{UNSEEN}.txt", UNSEEN.encode())
    writer.add_metadata({"/Author": UNSEEN})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def form() -> bytes:
    """A PDF with a field that was filled in, whose value stands behind it, and a stamp that is not shown."""
    writer = PdfWriter()
    page = writer.add_blank_page(200, 100)
    looks, hidden = StreamObject(), StreamObject()
    looks.set_data(b"0 0 10 10 re f")
    hidden.set_data(f"({UNSEEN}) Tj".encode())
    for seen in (looks, hidden):
        seen.update(_dictionary({"/Type": "/XObject", "/Subtype": "/Form"}))
    value = {"/FT": "/Tx", "/T": TextStringObject(UNSEEN), "/V": TextStringObject(UNSEEN)}
    parent = writer._add_object(_dictionary(value))
    for subtype, flags, seen in (("/Widget", 4, looks), ("/Stamp", 2, hidden)):
        mark = {"/Type": "/Annot", "/Subtype": subtype, "/F": NumberObject(flags), "/Rect": page.mediabox}
        appearance = _dictionary({"/N": writer._add_object(seen)})
        writer.add_annotation(0, _dictionary({**mark, "/AP": appearance, "/Parent": parent}))
    # A file behind a mark, with a note that points back at it.
    inside = StreamObject()
    inside.set_data(UNSEEN.encode())
    file = writer._add_object(
        _dictionary({"/Type": "/Filespec", "/EF": _dictionary({"/F": writer._add_object(inside)})})
    )
    pinned = _dictionary({"/Type": "/Annot", "/Subtype": "/FileAttachment", "/FS": file, "/Rect": page.mediabox})
    writer.add_annotation(0, pinned)
    pinned[NameObject("/Popup")] = writer._add_object(_dictionary({"/Parent": page["/Annots"][-1].indirect_reference}))
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def grey() -> bytes:
    """A scan of sixteen bits, half black and half grey."""
    out = io.BytesIO()
    image = Image.new("I;16", (4, 2), 0x8000)
    image.putpixel((0, 0), 0)
    image.save(out, "PNG")
    return out.getvalue()


def locked_pdf() -> bytes:
    """A PDF that asks for a password."""
    writer, out = PdfWriter(), io.BytesIO()
    writer.add_blank_page(10, 10)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def _dictionary(values: dict[str, Any]) -> DictionaryObject:
    named = {key: NameObject(value) if type(value) is str else value for key, value in values.items()}
    return DictionaryObject({NameObject(key): value for key, value in named.items()})
