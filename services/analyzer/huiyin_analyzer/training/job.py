"""What the serving process hands to a training, and what a training tells: a job in JSON, lines of JSON in answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

PARTS = 8
"""Into how many parts a training is divided when it tells how far it is."""


@dataclass(frozen=True, slots=True)
class Job:
    """How a file is read, and what is learnt besides it."""

    format: str
    text_column: str
    label_column: str
    subject_column: str
    most_rows: int
    tree: Mapping[str, Sequence[str]]
    """The words of each topic, by path."""
    corrections: Sequence[tuple[str, str, str]]
    """Subject, text and topic path of posts whose topic people corrected."""

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What `dump` made."""
        return cls(**json.loads(data))


@dataclass(frozen=True, slots=True)
class Step:
    """How far a training is: what it does now, and how many of PARTS are done."""

    name: str
    done: int


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a training ended without a model. `field`: what of the request is at fault, "" where it is not to blame."""

    field: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report of a model that was fitted: fitting.Report as a mapping."""

    report: Mapping[str, Any]


Told = Step | Failure | Outcome
_KINDS: Mapping[str, type[Any]] = {"step": Step, "failure": Failure, "outcome": Outcome}


def line_of(told: Told) -> str:
    """A line in which something is told."""
    kind = type(told).__name__.lower()
    return json.dumps({"kind": kind, **asdict(told)}, ensure_ascii=False)


def read_line(line: bytes) -> Told:
    """What `line_of` wrote. Raises ValueError for anything else."""
    fields = json.loads(line)
    try:
        told: Told = _KINDS[fields.pop("kind")](**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("this is no line of a training") from error
    return told
