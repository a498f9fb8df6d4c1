"""`python -m huiyin_analyzer.training JOB ROWS MODEL`: one training, in a process of its own.

The arguments are numbers of open files: the job, the file of labelled rows, and where the model goes. Lines on standard
output tell how it goes. It ends when standard input does: a training does not outlive the process that began it.
"""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import BinaryIO

from huiyin_chassis.files import BadRow, Format, UnreadableFile, find_column, open_table
from huiyin_chassis.masking import mask_text

from huiyin_analyzer.model.topics import joined, path_of
from huiyin_analyzer.training.job import Failure, Job, Outcome, Step, Told, line_of

_LONGEST_LABEL = 60
_NICENESS = 5
_FIELDS = ("text_column", "label_column", "subject_column")


class _Refused(Exception):
    """The file cannot be learnt from."""

    def __init__(self, field: str, reason: str, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(field, reason, message)


Row = tuple[str, str, str]
"""Subject, text, label."""


def main() -> None:
    """Trains, and tells how it went; whatever happens, no text leaves in an error."""
    job_file, rows_file, model_file = map(int, sys.argv[1:])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.nice(_NICENESS)
    try:
        with os.fdopen(job_file, "rb") as job, os.fdopen(rows_file, "rb") as rows, os.fdopen(model_file, "wb") as model:
            _tell(_train(Job.load(job.read()), rows, model))
    except _Refused as error:
        _tell(error.failure)
    except MemoryError:
        _tell(Failure("", "TRAINING_FAILED", "there was not enough memory; train on fewer rows, or give it more"))
    except Exception as error:
        # Where, and not what: the message of an error may repeat what stands in the file.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{type(error).__name__} in {frame.name}, line {frame.lineno}"
        _tell(Failure("", "TRAINING_FAILED", f"the training failed ({at}); report this, with the kind of file"))


def _train(job: Job, rows_file: BinaryIO, model_file: BinaryIO) -> Outcome:
    _tell(Step("reading", 0))
    rows, skipped = _read(job, rows_file)
    # Loaded here, so that a mistaken file is told before the seconds that this takes.
    from huiyin_analyzer.training.fitting import CannotTrain, Example, train

    labels = {path_of(label): label for _, _, label in rows}
    corrected = [(subject, text, labels.get(topic, topic)) for subject, text, topic in _first_levels(job)]
    known = {joined(subject, text) for subject, text, _ in corrected}
    examples = [Example(*row) for row in rows if joined(row[0], row[1]) not in known]
    examples += [Example(*row, corrected=True) for row in corrected]
    try:
        model, report = train(
            examples,
            job.tree,
            skipped=skipped,
            tell=lambda step, done, steps: _tell(Step(step, done + 1)),
        )
    except CannotTrain as error:
        raise _Refused("file", "TOO_FEW_EXAMPLES", str(error)) from error
    model_file.write(model.dump())
    return Outcome(asdict(report))


def _read(job: Job, file: BinaryIO) -> tuple[list[Row], int]:
    """The rows that have text and label, masked as posts are, and how many have not."""
    try:
        return _rows(job, file)
    except UnreadableFile as error:
        raise _Refused("file", "FILE_UNREADABLE", str(error)) from error


def _rows(job: Job, file: BinaryIO) -> tuple[list[Row], int]:
    table = open_table(file, Format(job.format))
    names = zip(_FIELDS, (job.text_column, job.label_column, job.subject_column), strict=True)
    at = {field: _column(table.header, field, name) for field, name in names if name}
    found: list[Row] = []
    skipped = 0
    for row in table.rows:
        cells: Sequence[object] = () if isinstance(row, BadRow) else row[1]
        text, label, subject = (_cell(cells, at.get(field)) for field in _FIELDS)
        if not (text or subject) or not label or len(label) > _LONGEST_LABEL:
            skipped += 1
        elif len(found) == job.most_rows:
            why = f"holds more than {job.most_rows} labelled rows; give a sample of them, or raise HUIYIN_TRAINING_ROWS"
            raise _Refused("file", "TOO_MANY_ROWS", why)
        else:
            found.append((mask_text(subject), mask_text(text), label))
    return found, skipped


def _column(header: Sequence[object], field: str, name: str) -> int:
    found = find_column(header, name)
    if found is None:
        # The names of the header are not repeated: in a file without one they are the first row.
        why = f"names no column of the file's {len(header)}; write the name as the first row has it"
        raise _Refused(field, "COLUMN_UNKNOWN", why)
    return found


def _cell(cells: Sequence[object], at: int | None) -> str:
    value = cells[at] if at is not None and at < len(cells) else None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value).strip()


def _first_levels(job: Job) -> Iterator[Row]:
    for subject, text, topic in job.corrections:
        yield subject, text, topic.partition(".")[0]


def _tell(told: Told) -> None:
    print(line_of(told), flush=True)


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
