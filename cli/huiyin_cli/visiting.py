"""What `huiyin sources` shows: sources, how their visits go, and what an address would bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from huiyin_cli.applying import load_yaml
from huiyin_cli.client import Json, Problem
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


_TEXT_SHOWN: Final = 80
_KINDS: Final = {"feed": "KIND_FEED", "page-list": "KIND_PAGE_LIST", "api": "KIND_API"}
KINDS: Final = ", ".join(_KINDS)


def described(uri: str, kind: str, items: str, file: Path | None) -> Json:
    """A source as a file describes it, in the form of the API, and as options do, which count more.

    Raises Problem.
    """
    source: Json = _read(file) if file is not None else {}
    if kind and kind not in _KINDS:
        raise Problem(f"{kind} is no kind of source that is visited; choose one of {KINDS}")
    source |= {"uri": uri} if uri else {}
    source |= {"kind": _KINDS[kind]} if kind else {}
    source.setdefault("kind", "KIND_FEED")
    if items and source["kind"] != "KIND_PAGE_LIST":
        raise Problem("--items is for --kind page-list; write what is read of an interface into a file (--file)")
    if items:
        source["pageList"] = {**source.get("pageList", {}), "itemSelector": items}
    if not source.get("uri"):
        raise Problem("give the address, or a file that has it as uri")
    return source


def trial_of(source: Json) -> Json:
    """What asks for a trial of a source."""
    return {name: source[name] for name in ("uri", "kind", "pageList", "api") if name in source}


def _read(file: Path) -> Json:
    read = load_yaml(file)
    if not isinstance(read, dict) or not isinstance(read.get("pageList", {}), dict):
        raise Problem(f"{file} holds no source; write it as docs/collecting.md shows")
    return read


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
        yield f"  {health['itemsPassedOver']} items of the last visit lacked what makes a post"
    if health.get("articlesWaiting") or health.get("articlesBroken"):
        waiting, broken = (health.get(name, 0) for name in ("articlesWaiting", "articlesBroken"))
        yield f"  articles       {waiting} wait to be read, {broken} could not be read so far"
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
        if not trial.get("items"):
            return
    items, shown = trial.get("itemsTotal", 0), trial.get("items", [])
    yield f"{trial.get('format', '')} {trial.get('title', '')}  {trial.get('uri', '')}"
    left_out = trial.get("itemsPassedOver", 0)
    yield f"{items} items" + (f", {left_out} without what makes a post would be left out" if left_out else "")
    for item in shown:
        title = item.get("subject") or str(item.get("text", ""))[:60]
        yield f"  {local(item.get('publishTime', '')) or '—':16}  {' '.join(title.split())}  {item.get('uri', '')}"
        if item.get("subject") and item.get("text"):
            yield f"  {'':16}  {' '.join(str(item['text']).split())[:_TEXT_SHOWN]}"
    if items > len(shown):
        yield f"  and {items - len(shown)} more"
