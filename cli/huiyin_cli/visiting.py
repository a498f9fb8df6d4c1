"""What `huiyin sources` shows: sources, how their visits go, and what an address would bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from huiyin_cli.client import Json
from huiyin_cli.console import local, short

SOURCES: Final[dict[str, Callable[[Json], str]]] = {
    "source": lambda source: str(source["name"]).removeprefix("sources/"),
    "kind": lambda source: short(str(source.get("kind", "")), "KIND_"),
    "state": lambda source: short(str(source.get("state", "STATE_UNSPECIFIED")), "STATE_").replace("UNSPECIFIED", ""),
    "area": lambda source: str(source.get("area", "")),
    "title": lambda source: " ".join(filter(None, [source.get("displayName", ""), source.get("uri", "")])),
}
HEALTHS: Final[dict[str, Callable[[Json], str]]] = {
    "source": lambda health: str(health["name"]).split("/")[1],
    "state": lambda health: short(str(health.get("state", "")), "STATE_"),
    "items/day": lambda health: f"{health.get('itemsADay', 0):.1f}",
    "last success": lambda health: local(health.get("lastSuccessTime", "")),
    "next visit": lambda health: local(health.get("nextVisitTime", "")),
    "alarm": lambda health: short(str(health.get("alarm", "")), "ALARM_").lower(),
    "failed": lambda health: str(health.get("errorStreak", 0) or ""),
    "title": lambda health: str(health.get("errorReason", "")),
}


def health_lines(health: Json) -> Iterator[str]:
    """Everything that is known of the visits of one source."""
    yield f"{HEALTHS['source'](health)}  {HEALTHS['state'](health)}  {health.get('uri', '')}"
    yield f"  items a day    {health.get('itemsADay', 0):.1f}, {health.get('itemsTotal', '0')} in all"
    for label, field in (
        ("last visit", "lastVisitTime"),
        ("last success", "lastSuccessTime"),
        ("last new item", "lastItemTime"),
        ("next visit", "nextVisitTime"),
    ):
        yield f"  {label:14} {local(health.get(field, '')) or '—'}"
    if health.get("alarm"):
        yield f"  {HEALTHS['alarm'](health)} since {local(health.get('alarmTime', ''))}"
    if health.get("itemsPassedOver"):
        yield f"  {health['itemsPassedOver']} items of the last visit had neither title nor text"
    if health.get("errorStreak"):
        times = "once" if health["errorStreak"] == 1 else f"{health['errorStreak']} times"
        yield f"  failed {times}: {health.get('errorReason', '')}"
        yield f"  {health.get('errorMessage', '')}"


def trial_lines(trial: Json) -> Iterator[str]:
    """What a visit of an address would bring."""
    verdict = short(str(trial.get("robots", "")), "ROBOTS_").lower().replace("unspecified", "not known")
    delay = trial.get("crawlDelaySeconds", 0)
    yield f"robots.txt: {verdict or 'not known'}" + (f", {delay:g} s between two requests" if delay else "")
    if trial.get("errorReason"):
        yield f"{trial['errorReason']}: {trial.get('errorMessage', '')}"
        for feed in trial.get("feeds", []):
            yield f"  feed: {feed}"
        return
    items, shown = trial.get("itemsTotal", 0), trial.get("items", [])
    yield f"{trial.get('format', '')} {trial.get('title', '')}  {trial.get('uri', '')}"
    left_out = trial.get("itemsPassedOver", 0)
    yield f"{items} items" + (f", {left_out} without title and text would be left out" if left_out else "")
    for item in shown:
        title = item.get("subject") or str(item.get("text", ""))[:60]
        yield f"  {local(item.get('publishTime', '')) or '—':16}  {' '.join(title.split())}  {item.get('uri', '')}"
    if items > len(shown):
        yield f"  and {items - len(shown)} more"
