"""Clocks on a terminal: `huiyin clock explain`, and the list with which a day of supervision begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, tzinfo
from itertools import groupby
from zoneinfo import ZoneInfo

from huiyin_cli.client import Json

KINDS = {
    "KIND_ANSWER": "answer",
    "KIND_ACCEPTANCE": "acceptance of the order",
    "KIND_CONTRIBUTION": "contribution of an assisting unit",
    "KIND_FIRST_INFORMATION": "first authoritative information",
    "KIND_BRIEFING": "briefing",
}
_STATES = {
    "STATE_RUNNING": "running",
    "STATE_PAUSED": "stands still",
    "STATE_MET": "met",
    "STATE_DROPPED": "dropped",
}
_REASONS = {
    "REASON_WORKING_HOURS": "working hours",
    "REASON_OUTSIDE_HOURS": "outside working hours",
    "REASON_WEEKEND": "weekend",
    "REASON_HOLIDAY": "holiday",
    "REASON_PAUSED": "paused",
    "REASON_WALL_CLOCK": "every hour counts",
}
_STAGES = {
    "STAGE_UNSPECIFIED": "due",
    "STAGE_REMINDER": "reminded",
    "STAGE_SUPERVISION": "supervised",
    "STAGE_CIRCULAR": "in a circular",
}


def explained(explanation: Json) -> Iterator[str]:
    """One clock of ExplainClock, in the zone of its days."""
    clock = explanation["clock"]
    zone = ZoneInfo(explanation.get("timeZone") or "UTC")
    what = KINDS[clock["kind"]] + (f" to {clock['inquiry']}" if clock.get("inquiry") else "")
    unit = clock.get("unit", "").removeprefix("units/")
    yield f"{what}  {_STATES[clock['state']]}  {clock['name']}"
    yield f"  {explanation.get('rule', '')}  from {_time(clock['startTime'], zone)}"
    due = f"  due {_time(clock['deadline'], zone)} ({zone})"
    if clock["state"] in ("STATE_RUNNING", "STATE_PAUSED"):
        due += f", {_amount(explanation.get('left', '0s'))} left, {unit} is waited for"
    elif "endTime" in clock:
        due += f", ended {_time(clock['endTime'], zone)}"
    yield due
    if clock["countedTime"] != clock["deadline"]:
        yield f"  its rule gives until {_time(clock['countedTime'], zone)}; the date that was promised stays"
    for stretch in explanation.get("stretches", []):
        start, end = (_time(stretch[edge], zone) for edge in ("startTime", "endTime"))
        until = end[11:] if start[:10] == end[:10] else end
        notice = f"  {stretch['notice']}" if stretch.get("notice") else ""
        mark = "counts" if stretch.get("counted") else "  skip"
        yield f"  {mark}  {start} – {until}  {_REASONS[stretch['reason']]}{notice}"
    if years := explanation.get("weekdayYears"):
        listed = ", ".join(map(str, years))
        yield (
            f"  the holidays of {listed} are not known yet: days are taken by the weekday, a notice may bring the date "
            "forward"
        )


def supervised(clocks: Iterable[Json], zone: tzinfo, now: datetime) -> Iterator[str]:
    """The list of the day: a heading a unit, a line a clock."""
    by_unit = sorted(clocks, key=lambda clock: (clock.get("unit", ""), clock["deadline"]))
    for unit, found in groupby(by_unit, key=lambda clock: str(clock.get("unit", ""))):
        lines = list(found)
        yield f"{unit.removeprefix('units/')}: {len(lines)}"
        for clock in lines:
            late = now - _moment(clock["deadline"])
            how = f"{_days(late)} late" if late > timedelta() else f"in {_days(-late)}"
            yield (
                f"  {_STAGES[clock.get('stage', 'STAGE_UNSPECIFIED')]:<13}  {_time(clock['deadline'], zone)} ({how})  "
                f"{KINDS[clock['kind']]}  {clock.get('title', '')}  {clock.get('case') or clock['name']}"
            )


def _days(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    return (
        f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours} h {int(span.total_seconds()) % 3600 // 60} min"
    )


def _amount(duration: str) -> str:
    """A duration as JSON has it, "12600s", in hours and minutes."""
    minutes = int(float(duration.removesuffix("s"))) // 60
    return f"{minutes // 60} h {minutes % 60} min"


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value.replace("Z", "+00:00"))


def _time(value: str, zone: tzinfo) -> str:
    return f"{_moment(value).astimezone(zone):%Y-%m-%d %H:%M}"
