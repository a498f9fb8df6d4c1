"""Files beside inquiries and answers, as the commands send, list and save them."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Iterator
from pathlib import Path

from huiyin_cli.client import Gateway, Json, Problem

_TAKEN = (".jpg", ".jpeg", ".png", ".webp", ".pdf")


def file_of(path: Path) -> Json:
    """A file as a request carries it. Raises Problem where it is none that would be taken."""
    if path.suffix.lower() not in _TAKEN:
        raise Problem(f"{path.name}: such a file is not taken; it must end in {', '.join(_TAKEN)}.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read ({error.strerror}).") from error
    kind, _ = mimetypes.guess_type(path.name)
    return {"fileName": path.name, "contentType": kind or "", "data": base64.b64encode(data).decode()}


def attach_all(gateway: Gateway, receipt: str, paths: Iterable[Path]) -> Iterator[Json]:
    """Adds files to the inquiry of a receipt, one a call; each as it is shown."""
    for path in paths:
        yield gateway.post("/v1/receipts:attach", {"receipt": receipt, "file": file_of(path)})


def attachment_lines(attachments: Iterable[Json]) -> Iterator[str]:
    """Files, a line each; of an answer with who looked them over, and what was found in them."""
    for each in attachments:
        told = [f"{each.get('name') or each['id']}  {each.get('fileName', '')}", f"{_size(each)}"]
        if personal := each.get("personalDataCount"):
            told.append(f"{personal} numbers or addresses of people found")
        if "reply" in each:
            who = each.get("clearedBy", "")
            told.append(f"looked over by {who}" if who else "not looked over")
        yield "  ".join(told)


def save(data: bytes, name: str, out: Path | None) -> Path:
    """Saves a file under its name, or as it is wished; never over another."""
    target = out or Path(Path(name).name or "attachment")
    if target.is_dir():
        target = target / Path(name).name
    try:
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError as error:
        raise Problem(f"{target} is there already; name another with --out.") from error
    except OSError as error:
        raise Problem(f"{target} cannot be written ({error.strerror}).") from error
    return target


def _size(attachment: Json) -> str:
    size = int(attachment.get("size", 0))
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} KB"
