"""`huiyin cases bulk` and `huiyin filters`: one step with many cases, and filters that are kept by a name."""

from __future__ import annotations

from collections.abc import Iterator

from huiyin_cli.client import Gateway, Json, Problem

FIELDS: dict[str, tuple[str, ...]] = {
    "assign": ("leadUnit", "assistingUnits", "note"),
    "dismiss": ("reason",),
    "close": (),
    "extend": ("reason",),
    "note": ("note",),
}
"""The steps that are taken in bulk, and what each takes."""

_OPTIONS = {"leadUnit": "unit", "assistingUnits": "assisting"}


def body_of(step: str, given: Json) -> Json:
    """The step as the call has it. Raises Problem for one that is not taken in bulk, or an option that it lacks."""
    if step not in FIELDS:
        raise Problem(f"{step} is not taken in bulk; {', '.join(FIELDS)} are, the others case by case (cases step).")
    for field, value in given.items():
        if value and field not in FIELDS[step]:
            takes = ", ".join(f"--{_OPTIONS.get(each, each)}" for each in FIELDS[step])
            raise Problem(f"{step} takes no --{_OPTIONS.get(field, field)}; it takes {takes or 'no option'}.")
    return {step: {field: given[field] for field in FIELDS[step] if given.get(field)}}


def kept_filter(gateway: Gateway, name: str) -> Json:
    """The filter that is called so, or has this name; the account's own before a unit's. Raises Problem for none."""
    kept = list(gateway.pages("/v1/caseFilters", "caseFilters"))
    found = [each for each in kept if name in (each["displayName"], each["name"])]
    if not found:
        names = ", ".join(each["displayName"] for each in kept)
        raise Problem(f"No filter is called {name}; there are {names or 'none'} (huiyin filters save).")
    return min(found, key=lambda each: bool(each.get("unit")))


def possible(trial: Json) -> list[Json]:
    """The cases with which the step went well in a trial, as they were seen."""
    return [
        {"name": outcome["name"], "etag": outcome["etag"]}
        for outcome in trial.get("outcomes", [])
        if not outcome.get("errorReason")
    ]


def trial_lines(trial: Json) -> Iterator[str]:
    """What would become of each case."""
    outcomes = trial.get("outcomes", [])
    for outcome in outcomes:
        yield f"{outcome['name']}  {_became(outcome)}  {outcome.get('title', '')}".rstrip()
    total = int(trial.get("totalSize", 0))
    if total > len(outcomes):
        yield f"{total} cases match; these are the {len(outcomes)} most pressing. Repeat for the others."


def done_lines(done: Json) -> Iterator[str]:
    """What became of each case, and how many."""
    outcomes = done.get("outcomes", [])
    for outcome in outcomes:
        yield f"{outcome['name']}  {_became(outcome)}"
    refused = sum(bool(outcome.get("errorReason")) for outcome in outcomes)
    yield f"{len(outcomes) - refused} done, {refused} refused"


def filter_line(kept: Json) -> str:
    """A filter on one line."""
    whose = f"  ({kept['unit']})" if kept.get("unit") else ""
    order = f"  by {kept['orderBy']}" if kept.get("orderBy") else ""
    return f"{kept['displayName']}{whose}: {kept['filter']}{order}"


def _became(outcome: Json) -> str:
    if reason := outcome.get("errorReason"):
        return f"refused ({reason}): {outcome.get('errorMessage', '')}"
    return f"→ {outcome['state'].removeprefix('STATE_')}"
