"""Why rows of imports were refused: kept by their numbers, read as a report. What stood in them is never kept."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

from google.longrunning import operations_pb2
from huiyin.collector.v1 import post_pb2
from huiyin_chassis.store import Tx
from sqlalchemy import Connection, delete, select

from huiyin_collector.model.posts import Refusal
from huiyin_collector.store.tables import REFUSED_ROWS

MOST: Final = 100_000
"""Of one import that are kept."""

_MARK: Final = "\ufeff"
"""By it a spreadsheet knows UTF-8."""
_FORMULAS: Final = tuple("=+-@\t\r")
"""With which a spreadsheet takes a cell for something to be worked out."""


def keep(tx: Tx, operation: str, before: int, refused: Sequence[Refusal]) -> None:
    """Keeps why rows were refused, after so many of the same import before."""
    tx.append(
        REFUSED_ROWS,
        (
            {"operation": operation, "row": each.row, "field": each.field, "description": each.description}
            for each in refused[: max(MOST - before, 0)]
        ),
    )


def report(connection: Connection, operation: operations_pb2.Operation) -> bytes:
    """The refused rows of an import as CSV: number, field, reason, remedy; a last line for those that are not kept."""
    metadata = post_pb2.ImportPostsMetadata()
    operation.metadata.Unpack(metadata)
    target = io.StringIO()
    target.write(_MARK)
    writer = csv.writer(target)
    writer.writerow(("row", "field", "reason", "remedy"))
    columns = (REFUSED_ROWS.c.row, REFUSED_ROWS.c.field, REFUSED_ROWS.c.description)
    query = select(*columns).where(REFUSED_ROWS.c.operation == operation.name).order_by(REFUSED_ROWS.c.row)
    left = metadata.figures.refused
    for row in connection.execute(query):
        left -= 1
        reason, _, remedy = row.description.partition("; ")
        writer.writerow((row.row, *map(_cell, (row.field, reason, remedy))))
    if metadata.figures.refused > MOST:
        writer.writerow(("", "", f"{left} more rows were refused", "correct these and import the file again"))
    return target.getvalue().encode()


def forget(tx: Tx, operations: Sequence[str]) -> None:
    """Forgets the refused rows of operations that are forgotten."""
    tx.execute(delete(REFUSED_ROWS).where(REFUSED_ROWS.c.operation.in_(operations)))


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text
