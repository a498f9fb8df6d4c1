"""`huiyin train` and `huiyin models`: topic models are trained, shown and compared."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from huiyin_cli.client import Gateway, Json
from huiyin_cli.uploading import cancelled_by_ctrl_c, check_table, response_of, upload

_LOOK_SECONDS = 0.3
_STEPS = {
    "STEP_READING": "reading",
    "STEP_COUNTING": "counting",
    "STEP_CHECKING": "cross-validating",
    "STEP_FITTING": "fitting",
}


def train(
    gateway: Gateway, path: Path, *, text: str, label: str, subject: str, inactive: bool, console: Console
) -> Json:
    """Trains a topic model on the rows of a file; returns the TopicModel. What was interrupted is not begun anew."""
    check_table(path)
    parameters: Json = {"fileName": path.name, "textColumn": text, "labelColumn": label}
    if subject:
        parameters["subjectColumn"] = subject
    if inactive:
        parameters["inactive"] = "true"
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("sending", total=None, note="")
        operation = upload(gateway, "/v1/topicModels:train", path, parameters, progress, task)
        with cancelled_by_ctrl_c(gateway, operation):
            while not operation.get("done"):
                told = operation.get("metadata", {})
                progress.update(
                    task,
                    description=_STEPS.get(told.get("step", ""), "waiting"),
                    completed=told.get("done", 0),
                    total=told.get("parts"),
                    note="",
                )
                time.sleep(_LOOK_SECONDS)
                operation = gateway.get(f"/v1/{operation['name']}")
        model = response_of(operation)
        progress.update(task, description="done", completed=1, total=1, note="")
    return model


def state(model: Json) -> str:
    """Whether a model is in force, kept or discarded, in small letters."""
    return str(model.get("state", "")).removeprefix("STATE_").lower()


COLUMNS: dict[str, Callable[[Json], str]] = {
    "model": lambda model: model["name"],
    "state": state,
    "texts": lambda model: f"{model['report'].get('texts', 0):,}",
    "labels": lambda model: str(len(model["report"].get("labels", []))),
    "macro-F1": lambda model: _share(model["report"].get("macroF1", 0)),
    "accuracy": lambda model: _share(model["report"].get("accuracy", 0)),
    "by": lambda model: model.get("author", "").removeprefix("accounts/"),
}
"""What a list shows of each model."""


def report_lines(model: Json) -> Iterator[str]:
    """A model's report in lines for a person."""
    report = model.get("report", {})
    labels = report.get("labels", [])
    yield f"{model['name']}  {state(model)}  by {model.get('author', '')}"
    passed = report.get("skippedRows", 0)
    corrected = report.get("corrections", 0)
    yield (
        f"{report.get('texts', 0):,} texts with {len(labels)} labels"
        + (f"; {passed:,} rows passed over (without text or label, or of a rare label)" if passed else "")
        + (f"; {corrected:,} are posts that people corrected" if corrected else "")
    )
    yield (
        f"macro-F1 {_share(report.get('macroF1', 0))}, accuracy {_share(report.get('accuracy', 0))}: "
        f"each text told by a model that had not seen it ({report.get('folds', 0)}-fold cross-validation)"
    )
    yield ""
    names = [f"{_letter(number)} {each['label']}" for number, each in enumerate(labels)]
    wide = max(map(cell_len, names), default=0)
    yield f"{_wide('label', wide)}  precision  recall     F1  texts"
    for name, each in zip(names, labels, strict=True):
        yield (
            f"{_wide(name, wide)}  {_share(each.get('precision', 0)):>9}  {_share(each.get('recall', 0)):>6}  "
            f"{_share(each.get('f1', 0)):>5}  {each.get('support', 0):>5,}"
        )
    yield ""
    yield "Told as (columns) of texts that have the label (rows):"
    yield _wide("", wide) + "".join(f"{_letter(number):>6}" for number in range(len(labels)))
    for name, row in zip(names, report.get("confusion", []), strict=False):
        yield _wide(name, wide) + "".join(f"{count or '·':>6}" for count in row.get("predicted", []))
    yield ""
    yield from _calibration_lines(report.get("calibration", {}))


def _calibration_lines(calibration: Json) -> Iterator[str]:
    yield "confidence   told   mean  right"
    for each in calibration.get("bins", []):
        yield (
            f"{each.get('least', 0):.1f} to {each.get('most', 0):.1f}  {each.get('count', 0):>5,}  "
            f"{_share(each.get('confidence', 0)):>5}  {_share(each.get('accuracy', 0)):>5}"
        )
    yield (
        f"Calibration error {_share(calibration.get('expectedCalibrationError', 0))}. "
        f"{calibration.get('lowShare', 0):.1%} are told with less than {calibration.get('lowBelow', 0):g} and wait "
        f"for a person; {calibration.get('accuracyOfLow', 0):.0%} of them are right, "
        f"{calibration.get('accuracyOfOthers', 0):.0%} of the others."
    )


def comparison(one: Json, other: Json) -> Iterator[str]:
    """Two models side by side, and whether their figures can be compared."""
    reports = [model.get("report", {}) for model in (one, other)]
    same = reports[0].get("dataHash") == reports[1].get("dataHash")
    yield (
        "Both were fitted to the same texts."
        if same
        else "They were fitted to different texts: a difference may be that of the texts."
    )
    f1 = [{each["label"]: each.get("f1", 0.0) for each in report.get("labels", [])} for report in reports]
    rows = [
        ("macro-F1", *(report.get("macroF1", 0.0) for report in reports)),
        ("accuracy", *(report.get("accuracy", 0.0) for report in reports)),
        *((f"F1 {label}", f1[0].get(label), f1[1].get(label)) for label in dict.fromkeys([*f1[0], *f1[1]])),
    ]
    wide = max(cell_len(name) for name, _, _ in rows)
    yield f"{_wide('', wide)}  {one['name']:>14}  {other['name']:>14}"
    for name, before, after in rows:
        change = f"{after - before:+.3f}" if before is not None and after is not None else ""
        cells = ["—" if value is None else _share(value) for value in (before, after)]
        yield f"{_wide(name, wide)}  {cells[0]:>14}  {cells[1]:>14}  {change}"


def _letter(number: int) -> str:
    """a, b, … z, aa, ab …"""
    first, last = divmod(number, 26)
    return (_letter(first - 1) if first else "") + chr(ord("a") + last)


def _wide(text: str, cells: int) -> str:
    """Padded to a width in cells of a terminal, of which a Chinese character takes two."""
    return text + " " * (cells - cell_len(text))


def _share(value: float) -> str:
    return f"{value:.3f}"
