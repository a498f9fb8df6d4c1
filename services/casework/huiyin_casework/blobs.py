"""The bytes of attachments: kept once each by their hash, destroyed with the last attachment that has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from huiyin_chassis.store import Tx, insert_new
from sqlalchemy import Connection, delete, func, select

from huiyin_casework.casefile import CaseFiles
from huiyin_casework.store import ATTACHMENTS, BLOBS, Fields


def keep(tx: Tx, data: bytes) -> str:
    """Keeps bytes; their hash. On PostgreSQL they stay locked until the work ends, so that nobody destroys them."""
    sha256 = hashlib.sha256(data).hexdigest()
    locked = select(BLOBS.c.sha256).where(BLOBS.c.sha256 == sha256).with_for_update()
    while tx.execute(locked).first() is None:
        tx.execute(insert_new(tx.connection, BLOBS), {"sha256": sha256, "data": data})
    return sha256


def read(connection: Connection, sha256: str) -> bytes | None:
    """Bytes by their hash; None of what is destroyed."""
    return connection.execute(select(BLOBS.c.data).where(BLOBS.c.sha256 == sha256)).scalar_one_or_none()


def destroy(files: CaseFiles, attachments: Sequence[Fields]) -> None:
    """Destroys what attachments are called and their bytes, unless another attachment has the same."""
    connection = files.tx.connection
    for row in attachments:
        sha256 = row["sha256"]
        if not sha256:
            continue
        connection.execute(select(BLOBS.c.sha256).where(BLOBS.c.sha256 == sha256).with_for_update())
        files.attachments.change(row, file_name="", sha256="", salt=b"")
        files.attachments.write(connection)
        users = select(func.count()).select_from(ATTACHMENTS).where(ATTACHMENTS.c.sha256 == sha256)
        if not connection.execute(users).scalar_one():
            connection.execute(delete(BLOBS).where(BLOBS.c.sha256 == sha256))
