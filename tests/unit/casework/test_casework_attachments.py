"""What files are taken, what they are called, and that nothing unseen is left in them."""

from __future__ import annotations

import asyncio
import io

import pytest
from huiyin_casework.cleaning import CleanFile, Cleaning
from huiyin_casework.model import cleaning
from huiyin_casework.model.attachments import MediaType, Unusable, checked_type, file_name
from huiyin_casework.model.cleaning import clean
from huiyin_chassis.errors import InvalidArgument, ResourceExhausted
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfReader

from tests import files


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (files.jpeg(), MediaType.JPEG),
        (files.png(), MediaType.PNG),
        (files.webp(), MediaType.WEBP),
        (files.pdf(), MediaType.PDF),
        (files.scan(), MediaType.PDF),
        (files.form(), MediaType.PDF),
    ],
    ids=["jpeg", "png", "webp", "pdf", "scan", "form"],
)
def test_nothing_unseen_is_left_in_a_file(data: bytes, kind: MediaType) -> None:
    assert files.UNSEEN.encode() in data
    assert checked_type("", data) == kind
    cleaned = clean(data, kind)
    assert checked_type(kind, cleaned.data) == kind
    assert files.UNSEEN.encode() not in cleaned.data
    assert clean(cleaned.data, kind).text == cleaned.text


def test_a_photograph_is_turned_as_it_is_looked_at_and_says_no_place() -> None:
    image = Image.open(io.BytesIO(clean(files.jpeg(40, 24), MediaType.JPEG).data))
    assert image.size == (24, 40)
    assert not image.getexif()
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_a_picture_keeps_what_shines_through() -> None:
    image = Image.open(io.BytesIO(clean(files.png(9), MediaType.PNG).data))
    assert (image.mode, image.getpixel((3, 3))) == ("RGBA", (9, 0, 0, 100))


def test_a_pdf_keeps_its_pages_and_loses_scripts_files_notes_and_authors() -> None:
    cleaned = clean(files.pdf("Call 13812345678"), MediaType.PDF)
    reader = PdfReader(io.BytesIO(cleaned.data))
    assert [page.extract_text().strip() for page in reader.pages] == ["Call 13812345678"]
    assert (cleaned.text.strip(), cleaned.readable) == ("Call 13812345678", True)
    assert set(reader.trailer["/Root"]) == {"/Type", "/Pages"}  # type: ignore[arg-type]
    assert not reader.attachments
    assert "/PieceInfo" not in reader.pages[0]
    assert not reader.pages[0].get("/Annots")


def test_what_is_laid_over_a_page_stays_where_it_is_shown() -> None:
    (page,) = PdfReader(io.BytesIO(clean(files.form(), MediaType.PDF).data)).pages
    assert [mark["/Subtype"] for mark in page.annotations or ()] == ["/Widget"]


def test_a_scan_of_sixteen_bits_keeps_its_greys() -> None:
    image = Image.open(io.BytesIO(clean(files.grey(), MediaType.PNG).data))
    assert (image.mode, image.getpixel((0, 0)), image.getpixel((1, 1))) == ("L", 0, 128)


def test_what_a_picture_shows_counts_as_unread() -> None:
    assert not clean(files.jpeg(), MediaType.JPEG).readable
    assert not clean(files.scan(), MediaType.PDF).readable


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (files.locked_pdf(), "ENCRYPTED"),
        (files.animation(), "ANIMATED"),
        (b"%PDF-1.7 and nothing behind it", "UNREADABLE"),
        (b"\xff\xd8\xff\xe0 no picture", "UNREADABLE"),
        (files.png()[:60], "UNREADABLE"),
    ],
)
def test_a_file_that_cannot_be_cleaned_is_refused_with_what_to_do(data: bytes, reason: str) -> None:
    with pytest.raises(Unusable) as refused:
        clean(data, checked_type("", data))
    assert refused.value.reason == reason
    assert ";" in str(refused.value)


def test_a_picture_has_so_many_pixels_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "MOST_PIXELS", 100)
    with pytest.raises(Unusable) as refused:
        clean(files.webp(), MediaType.WEBP)
    assert refused.value.reason == "TOO_MANY_PIXELS"


@pytest.mark.parametrize(
    ("declared", "data", "field", "reason"),
    [
        ("image/png", files.jpeg(), "content_type", "TYPE_DIFFERS"),
        ("application/pdf", b"MZ\x90\x00", "data", "TYPE_NOT_TAKEN"),
        ("", b"PK\x03\x04", "data", "TYPE_NOT_TAKEN"),
        ("", b"", "data", "TYPE_NOT_TAKEN"),
    ],
)
def test_what_a_file_is_said_to_be_agrees_with_what_it_is(declared: str, data: bytes, field: str, reason: str) -> None:
    with pytest.raises(Unusable) as refused:
        checked_type(declared, data)
    assert (refused.value.field, refused.value.reason) == (field, reason)
    assert checked_type("image/jpg; name=a", files.jpeg()) == MediaType.JPEG


@pytest.mark.parametrize(
    ("given_name", "kind", "expected"),
    [
        ("现场照片.JPG", MediaType.JPEG, "现场照片.jpg"),
        ("C:\\Users\\wang\\门口.exe", MediaType.PNG, "门口.png"),
        ("../../etc/passwd", MediaType.PDF, "passwd.pdf"),
        ("gnp.\u202ecod", MediaType.PNG, "gnp.png"),
        ("", MediaType.WEBP, "attachment.webp"),
        ("...", MediaType.WEBP, "attachment.webp"),
    ],
)
def test_a_file_is_called_by_the_last_part_of_its_name(given_name: str, kind: MediaType, expected: str) -> None:
    assert file_name(given_name, kind) == expected


@given(st.text(max_size=300), st.sampled_from(MediaType))
def test_a_name_is_short_ends_rightly_and_leads_nowhere(given_name: str, kind: MediaType) -> None:
    name = file_name(given_name, kind)
    assert len(name) <= 100
    assert file_name(name, kind) == name
    assert not set(name) & set('/\\"\r\n\x00')


def test_a_file_that_takes_longer_than_a_file_may_is_refused_and_its_process_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huiyin_casework.cleaning._WALL_SECONDS", 0.01)
    with pytest.raises(InvalidArgument) as refused:
        asyncio.run(Cleaning().clean(files.png(), MediaType.PNG))
    assert refused.value.violations[0].reason == "TOO_COMPLEX"


def test_whoever_comes_while_many_files_wait_is_asked_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def crowd() -> list[object]:
        cleaning = Cleaning()
        all_at_once = (cleaning.clean(files.png(number), MediaType.PNG) for number in range(3))
        return list(await asyncio.gather(*all_at_once, return_exceptions=True))

    monkeypatch.setattr("huiyin_casework.cleaning._MOST_WAITING", 2)
    first, second, third = asyncio.run(crowd())
    assert isinstance(first, CleanFile)
    assert isinstance(second, CleanFile)
    assert isinstance(third, ResourceExhausted)
    assert third.reason == "BUSY"
