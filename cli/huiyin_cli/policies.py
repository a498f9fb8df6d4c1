"""Grades and the policy that gives them: `huiyin policy test`, and what `huiyin events show` says of a grade."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from huiyin_cli.client import Gateway, Json, Problem, patiently

_BATCH = 1000
"""Events that one call tests."""


def test_policy(gateway: Gateway, policy: Path, events: Path | None) -> Json:
    """Grades events by a policy: {events, changes, before, after}; counts are by grade.

    `events`: a file of `huiyin events export --format jsonl`; None: the events as they are now.
    """
    try:
        body = policy.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{policy} cannot be read as UTF-8 ({error}).") from error
    found = _live(gateway) if events is None else _read(events)
    changes: list[Json] = []
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    total = 0
    graded = iter(found)
    while batch := list(islice(graded, _BATCH)):
        overridden = {event["name"]: grade for event, grade in batch if grade}
        request = {"body": body, "events": [event for event, _ in batch]}
        answer = patiently(lambda request=request: gateway.post("/v1/policies/grading:test", request))  # type: ignore[misc]
        for change in answer.get("changes", []):
            # What a person decided holds whatever the policy says.
            held = overridden.get(change["event"])
            changes.append({**change, "overriddenTo": held} if held else change)
        for counts, field in ((before, "before"), (after, "after")):
            counts.update({row["grade"]: int(row.get("count", 0)) for row in answer.get(field, [])})
        total += len(batch)
    if not total:
        raise Problem(f"{events or 'The analyzer'} has no events; there is nothing to test the policy on.")
    return {"events": total, "changes": changes, "before": dict(before), "after": dict(after)}


def lines_of(result: Json) -> Iterator[str]:
    """The result in lines for a person."""
    for change in result["changes"]:
        rules = ", ".join(change.get("firedRules", [])) or "no rule"
        unjudged = ", ".join(change.get("unjudgedRules", []))
        yield (
            f"{change['event']}  {_short(change['previousGrade'])} → {_short(change['grade'])}  by {rules}"
            + (f"  (not judged: {unjudged})" if unjudged else "")
            + (f"  (stays {_short(change['overriddenTo'])}: overridden)" if "overriddenTo" in change else "")
        )
    for grade in result["before"]:
        was, would = result["before"][grade], result["after"].get(grade, 0)
        yield f"{_short(grade):<18} {was:>7,} → {would:>7,}"
    yield f"{len(result['changes']):,} of {result['events']:,} events would have another grade."


def explained(explanation: Json) -> Iterator[str]:
    """Of a grade: who overrode it, what is missing, and what would change it."""
    assessment = explanation.get("assessment", {})
    if override := assessment.get("gradeOverride"):
        computed = _short(assessment.get("computedGrade", ""))
        until = f", until {override['expireTime']}" if "expireTime" in override else ""
        yield f"overridden by {override['author']}: {override['reason']} (computed: {computed}{until})"
    for missing in explanation.get("missing", []):
        if missing.get("rules"):
            yield f"not judged: {', '.join(missing['rules'])}; {missing['requirement']}"
    for direction, verb in (("raising", "raise"), ("lowering", "lower")):
        for change in explanation.get(direction, []):
            moves = " and ".join(
                f"{move['figure']} {move.get('value', 0):g} → {move.get('requiredValue', 0):g}"
                for move in change["figures"]
            )
            yield f"{moves} would {verb} it to {_short(change['grade'])}"


Graded = tuple[Json, str]
"""An event as TestPolicy takes it, and the grade that a person gave it, "" where nobody did."""


def _live(gateway: Gateway) -> Iterator[Graded]:
    return map(_graded, gateway.pages("/v1/events", "events"))


def _read(path: Path) -> Iterator[Graded]:
    try:
        with path.open(encoding="utf-8") as file:
            yield from _parse(path, file)
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{path} cannot be read as UTF-8 ({error}).") from error


def _parse(path: Path, lines: Iterable[str]) -> Iterator[Graded]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line)
            if not isinstance(event["name"], str) or not isinstance(event["assessment"].get("figures", {}), dict):
                raise TypeError
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            told = f"{path}, line {number}: is no event with name and assessment"
            raise Problem(f"{told}; write the file with huiyin events export --format jsonl.") from error
        yield _graded(event)


def _graded(event: Any) -> Graded:
    assessment = event.get("assessment", {})
    grade = assessment.get("computedGrade") or assessment.get("grade", "")
    graded = {"name": event["name"], "figures": assessment.get("figures", {})}
    return {**graded, **({"grade": grade} if grade else {})}, assessment.get("gradeOverride", {}).get("grade", "")


def _short(grade: str) -> str:
    return grade.removeprefix("GRADE_")
