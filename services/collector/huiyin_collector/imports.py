"""Imports: a file that arrived whole is read in the background, in batches, while its operation tells how it stands.

The raw bytes live in an unlinked temporary file only, and the authors in it go no further than `Intake`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from typing import BinaryIO, Final

import structlog
from google.longrunning import operations_pb2
from huiyin.collector.v1 import post_pb2, source_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.errors import DomainError, InvalidArgument, ResourceExhausted, internal
from huiyin_chassis.files import BadRow, Format, UnreadableFile, open_table
from huiyin_chassis.operations import OperationCancelled, Operations
from huiyin_chassis.store import Tx

from huiyin_collector.intake import Intake
from huiyin_collector.model.columns import UnknownColumns, find_columns
from huiyin_collector.model.posts import Draft, MaskedPost, Refusal, read_rows
from huiyin_collector.store import CollectorStore, refusals

log = structlog.get_logger(__name__)

BATCH: Final = 500
"""Rows that are read and written together: what a Watch sends at once."""
AT_ONCE: Final = 2
"""Imports under way at a time; others wait."""
MOST_WAITING: Final = 20
"""Files that may wait; each takes its size of temporary space."""
_MOST_REFUSED_LISTED: Final = 1000
_PROGRESS_SECONDS: Final = 0.5

_Row = tuple[int, Draft] | Refusal


@dataclass(frozen=True, slots=True)
class Import:
    """A file that arrived whole, and how it is to be read. `source` is the bare id; encoding and delimiter are those of
    `open_table`."""

    source: str
    file: BinaryIO
    file_name: str
    format: Format
    columns: list[str]
    zone: tzinfo
    drill: bool
    encoding: str = ""
    delimiter: str = ""


class Importer:
    """Takes imports and works them off, in the order in which they came."""

    def __init__(self, store: CollectorStore, operations: Operations, intake: Intake) -> None:
        self._store = store
        self._operations = operations
        self._intake = intake
        self._waiting: asyncio.Queue[tuple[Import, str, post_pb2.ImportPostsMetadata]] = asyncio.Queue()

    async def begin(self, item: Import) -> operations_pb2.Operation:
        """Creates the operation of an import and puts it in line. Raises ResourceExhausted when the line is long."""
        if self._waiting.qsize() >= MOST_WAITING:
            raise ResourceExhausted("IMPORTS_WAITING", "too many imports are waiting; try again when some are done")
        name = f"sources/{item.source}/operations/{ids.uuid7()}"
        now = clock.to_timestamp(clock.now())
        metadata = post_pb2.ImportPostsMetadata(
            source=f"sources/{item.source}", file_name=item.file_name, create_time=now, update_time=now
        )
        operation = await self._operations.create(name, metadata)
        self._waiting.put_nowait((item, name, metadata))
        return operation

    async def run(self) -> None:
        """Works imports off until it is cancelled; what is under way then is found lost at the next start."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work_off())

    async def _work_off(self) -> None:
        while True:
            item, name, metadata = await self._waiting.get()
            with item.file, contextlib.suppress(OperationCancelled):
                await self._end(item, name, metadata)
            figures = metadata.figures
            log.info(
                "import.ended",
                operation=name,
                read=figures.read,
                created=figures.created,
                updated=figures.updated,
                unchanged=figures.unchanged,
                refused=figures.refused,
            )

    async def _end(self, item: Import, name: str, metadata: post_pb2.ImportPostsMetadata) -> None:
        """Takes an import to its end. Raises OperationCancelled."""
        try:
            response = await self._read(item, name, metadata)
        except OperationCancelled:
            raise
        except Exception as error:
            told = _told(error, name)
            await self._operations.write(lambda tx: self._operations.fail_in(tx, name, told))
        else:
            await self._operations.write(lambda tx: self._operations.finish_in(tx, name, response, metadata))

    async def _read(
        self, item: Import, name: str, metadata: post_pb2.ImportPostsMetadata
    ) -> post_pb2.ImportPostsResponse:
        """Reads and writes the whole file; `metadata` follows what is committed."""
        loop = asyncio.get_running_loop()
        response = post_pb2.ImportPostsResponse()
        await self._operations.write(lambda tx: self._operations.require_running_in(tx, name))
        # One thread for the whole of it: a workbook is not for several.
        thread = ThreadPoolExecutor(1, thread_name_prefix="import")
        try:
            reading = await loop.run_in_executor(thread, _Reading, item)
            metadata.figures.rows = reading.count
            response.columns.extend(reading.columns)
            told = loop.time()
            while rows := await loop.run_in_executor(thread, reading.next_rows):
                refused = [row for row in rows if isinstance(row, Refusal)]
                drafts = [row[1] for row in rows if not isinstance(row, Refusal)]
                posts = await loop.run_in_executor(thread, self._intake.mask, item.source, drafts, clock.now())
                tell = loop.time() - told >= _PROGRESS_SECONDS
                batch = partial(self._write_batch, item.source, name, posts, refused, metadata, tell)
                metadata.CopyFrom(await self._operations.write(batch))
                told = loop.time() if tell else told
                for row in refused[: _MOST_REFUSED_LISTED - len(response.refused_rows)]:
                    response.refused_rows.add(row=row.row, field=row.field, description=row.description)
        finally:
            thread.shutdown(wait=False)
        metadata.figures.rows = metadata.figures.read
        response.figures.CopyFrom(metadata.figures)
        return response

    def _write_batch(
        self,
        source: str,
        name: str,
        posts: list[MaskedPost],
        refused: list[Refusal],
        before: post_pb2.ImportPostsMetadata,
        tell: bool,
        tx: Tx,
    ) -> post_pb2.ImportPostsMetadata:
        """Writes a batch, why rows were refused, and the operation's progress; returns the progress after it."""
        self._operations.require_running_in(tx, name)
        refusals.keep(tx, name, before.figures.refused, refused)
        outcomes = self._store.receive(tx, source, source_pb2.Source.KIND_FILE, posts)
        kinds = Counter(outcome.kind for outcome in outcomes)
        after = post_pb2.ImportPostsMetadata()
        after.CopyFrom(before)
        after.update_time.CopyFrom(clock.to_timestamp(tx.now))
        after.figures.read += len(posts) + len(refused)
        after.figures.created += kinds[post_pb2.PostOutcome.KIND_CREATED]
        after.figures.updated += kinds[post_pb2.PostOutcome.KIND_UPDATED]
        after.figures.unchanged += kinds[post_pb2.PostOutcome.KIND_UNCHANGED]
        after.figures.refused += len(refused)
        if tell:
            self._operations.progress_in(tx, name, after)
        return after


class _Reading:
    """A file that is being read; for one thread."""

    def __init__(self, item: Import) -> None:
        table = open_table(item.file, item.format, encoding=item.encoding, delimiter=item.delimiter)
        columns = find_columns(table.header, item.columns)
        self.count = table.count
        self.columns = columns.described()
        rows = (Refusal(row.row, "", row.description) if isinstance(row, BadRow) else row for row in table.rows)
        self._rows: Iterator[_Row] = read_rows(rows, columns, zone=item.zone, collected=clock.now(), drill=item.drill)

    def next_rows(self) -> list[_Row]:
        """The next batch, empty at the end."""
        return list(itertools.islice(self._rows, BATCH))


def _told(error: Exception, name: str) -> DomainError:
    """What the operation says of an error."""
    if isinstance(error, DomainError):
        return error
    if isinstance(error, UnreadableFile):
        return InvalidArgument("file", str(error), "FILE_UNREADABLE")
    if isinstance(error, UnknownColumns):
        return InvalidArgument("columns", str(error), "COLUMNS_UNKNOWN")
    # Where, and not what: the message of an error may repeat what stands in the file.
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error("import.failed", operation=name, error=type(error).__name__, at=f"{frame.filename}:{frame.lineno}")
    return internal()
