"""Trainings of topic models: a file that arrived whole is learnt from in a process of its own.

The process that serves never loads a training library, and its stream goes on at its own pace. Rows live in unlinked
temporary files and in the memory of the training only.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import traceback
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import structlog
from google.longrunning import operations_pb2
from huiyin.analyzer.v1 import topic_model_pb2
from huiyin_chassis import clock, ids
from huiyin_chassis.errors import DomainError, FailedPrecondition, InvalidArgument, ResourceExhausted, internal
from huiyin_chassis.files import Format
from huiyin_chassis.operations import OperationCancelled, Operations
from huiyin_chassis.store import Tx

from huiyin_analyzer import resources, store
from huiyin_analyzer.model.topics import LOW
from huiyin_analyzer.store import AnalyzerStore, topic_corrections, topic_models
from huiyin_analyzer.training.job import PARTS, Failure, Job, Outcome, Step, Told, read_line

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 5
"""Files that may wait; each takes its size of temporary space."""
_STEPS: Final = {
    "reading": topic_model_pb2.TrainTopicModelMetadata.STEP_READING,
    "counting": topic_model_pb2.TrainTopicModelMetadata.STEP_COUNTING,
    "checking": topic_model_pb2.TrainTopicModelMetadata.STEP_CHECKING,
    "fitting": topic_model_pb2.TrainTopicModelMetadata.STEP_FITTING,
}
_LONGEST_LINE: Final = 2**20


@dataclass(frozen=True, slots=True)
class Training:
    """A file that arrived whole, and how it is to be learnt from."""

    file: BinaryIO
    file_name: str
    format: Format
    text_column: str
    label_column: str
    subject_column: str
    inactive: bool
    author: str


class Trainings:
    """Takes trainings and works them off one by one, in the order in which they came."""

    def __init__(self, store: AnalyzerStore, *, most_bytes: int = 256 * 2**20, most_rows: int = 20_000) -> None:
        self.operations = Operations(store)
        self.most_bytes = most_bytes
        """The largest file that is taken."""
        self._store = store
        self._most_rows = most_rows
        self._waiting: asyncio.Queue[tuple[Training, str, topic_model_pb2.TrainTopicModelMetadata]] = asyncio.Queue()

    async def begin(self, item: Training) -> operations_pb2.Operation:
        """Creates the operation of a training and puts it in line. Raises ResourceExhausted when the line is long."""
        if self._waiting.qsize() >= MOST_WAITING:
            raise ResourceExhausted("TRAININGS_WAITING", "too many trainings are waiting; try again when some are done")
        name = f"topicModels/-/operations/{ids.uuid7()}"
        now = clock.to_timestamp(clock.now())
        metadata = topic_model_pb2.TrainTopicModelMetadata(
            file_name=item.file_name, parts=PARTS, create_time=now, update_time=now
        )
        operation = await self.operations.create(name, metadata)
        self._waiting.put_nowait((item, name, metadata))
        return operation

    async def run(self) -> None:
        """Works trainings off until it is cancelled; the one under way then is found lost at the next start."""
        while True:
            item, name, metadata = await self._waiting.get()
            with item.file:
                try:
                    number = await self._train(item, name, metadata)
                except OperationCancelled:
                    log.info("training.cancelled", operation=name)
                except Exception as error:
                    told = _told(error, name)
                    with contextlib.suppress(OperationCancelled):
                        await self.operations.write(lambda tx: self.operations.fail_in(tx, name, told))  # noqa: B023
                    log.info("training.failed", operation=name, reason=told.reason)
                else:
                    log.info("training.ended", operation=name, model=number)

    async def _train(self, item: Training, name: str, metadata: topic_model_pb2.TrainTopicModelMetadata) -> int:
        await self.operations.write(lambda tx: self.operations.require_running_in(tx, name))
        job = await self._store.read(
            lambda connection: Job(
                format=item.format.value,
                text_column=item.text_column,
                label_column=item.label_column,
                subject_column=item.subject_column,
                most_rows=self._most_rows,
                tree=store.topics(connection),
                corrections=topic_corrections.to_learn_from(connection),
            )
        )
        outcome: Outcome | None = None
        with tempfile.TemporaryFile() as job_file, tempfile.TemporaryFile() as model_file:
            job_file.write(job.dump())
            job_file.seek(0)
            async with contextlib.aclosing(_run(job_file, item.file, model_file)) as lines:
                async for told in lines:
                    if isinstance(told, Step):
                        metadata.step, metadata.done = _STEPS[told.name], told.done
                        metadata.update_time.CopyFrom(clock.to_timestamp(clock.now()))
                        await self.operations.write(lambda tx: self.operations.progress_in(tx, name, metadata))
                    elif isinstance(told, Failure):
                        raise _error_of(told)
                    else:
                        outcome = told
            model_file.seek(0)
            model = model_file.read()
        if outcome is None or not model:
            why = "the training ended before it was done, perhaps for want of memory; train on fewer rows, or try again"
            raise FailedPrecondition("TRAINING_FAILED", why)
        report = _report(outcome.report).SerializeToString()
        metadata.done = PARTS

        def finish(tx: Tx) -> int:
            number = topic_models.add(tx, report=report, model=model, author=item.author)
            if not item.inactive:
                topic_models.choose(tx, number, item.author)
            row = topic_models.get(tx.connection, number)
            assert row is not None, "it was written just now"
            trained = resources.topic_model(row, topic_models.in_force(tx.connection))
            self.operations.finish_in(tx, name, trained, metadata)
            return number

        return await self.operations.write(finish)


async def _run(job: BinaryIO, rows: BinaryIO, model: BinaryIO) -> AsyncGenerator[Told, None]:
    """What a training tells, line by line, until it ends. It ends with the iteration in any case."""
    rows.seek(0)
    numbers = [file.fileno() for file in (job, rows, model)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "huiyin_analyzer.training",
        *map(str, numbers),
        # Held open as long as this process lives, and no longer: the training ends with it, however that ends.
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=numbers,
        limit=_LONGEST_LINE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        while line := await process.stdout.readline():
            yield read_line(line)
        await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        process.stdin.close()


def _report(found: Mapping[str, Any]) -> topic_model_pb2.TopicModelReport:
    """fitting.Report as the contract has it."""
    return topic_model_pb2.TopicModelReport(
        texts=found["texts"],
        skipped_rows=found["skipped_rows"],
        corrections=found["corrections"],
        data_hash=found["data_hash"],
        folds=found["folds"],
        macro_f1=found["macro_f1"],
        accuracy=found["accuracy"],
        labels=[topic_model_pb2.TopicLabelReport(**label) for label in found["labels"]],
        confusion=[topic_model_pb2.TopicConfusion(predicted=row) for row in found["confusion"]],
        calibration=topic_model_pb2.TopicCalibration(
            bins=[topic_model_pb2.TopicReliabilityBin(**each) for each in found["reliability"]],
            expected_calibration_error=found["expected_calibration_error"],
            low_below=LOW,
            low_share=found["low_share"],
            accuracy_of_low=found["accuracy_of_low"],
            accuracy_of_others=found["accuracy_of_others"],
        ),
    )


def _error_of(failure: Failure) -> DomainError:
    if failure.field:
        return InvalidArgument(failure.field, failure.message, failure.reason)
    return FailedPrecondition(failure.reason, failure.message)


def _told(error: Exception, name: str) -> DomainError:
    """What the operation says of an error."""
    if isinstance(error, DomainError):
        return error
    frame = traceback.extract_tb(error.__traceback__)[-1]
    log.error("training.broke", operation=name, error=type(error).__name__, at=f"{frame.filename}:{frame.lineno}")
    return internal()
