"""How the hot list is shown: what each term of the heat is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, tzinfo

from huiyin_cli.client import Json


def head(answer: Json, zone: tzinfo) -> str:
    """The window, and how fast voices fade in it."""
    start, end = (_time(answer[name], zone) for name in ("startTime", "endTime"))
    hours = float(answer.get("halfLife", "0s").removesuffix("s")) / 3600
    return f"{start} to {end} ({zone}); a voice counts half after {hours:g} hours; heat = recent × growth × harm"


def _harm(row: Json) -> str:
    terms = row["heat"]
    name = terms.get("gravestHarm", "HARM_UNSPECIFIED").removeprefix("HARM_").lower()
    told = "" if name == "unspecified" else f" ({terms.get('harmedVoices', 0)} of {name})"
    return f"{terms.get('harm', 0):.2f}{told}"


COLUMNS: dict[str, Callable[[Json], str]] = {
    "heat": lambda row: f"{row['heat'].get('heat', 0):.1f}",
    "voices": lambda row: str(row["heat"].get("voices", 0)),
    "recent": lambda row: f"{row['heat'].get('recentVoices', 0):.1f}",
    "growth": lambda row: f"{row['heat'].get('growth', 0):.2f}",
    "harm": _harm,
}
"""What a list shows of each event's heat."""


def _time(value: str, zone: tzinfo) -> str:
    return f"{datetime.fromisoformat(value.replace('Z', '+00:00')).astimezone(zone):%Y-%m-%d %H:%M}"
