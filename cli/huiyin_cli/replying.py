"""`huiyin replies` and `huiyin templates`: a reply looked over, two versions compared, a template filled."""

from __future__ import annotations

from collections.abc import Iterator

from rich.markup import escape

from huiyin_cli.client import Gateway, Json, Problem

_STYLES = {"CHANGE_SAME": "{}", "CHANGE_REMOVED": "[red strike]{}[/]", "CHANGE_ADDED": "[green underline]{}[/]"}
_MARKS = {"CHANGE_SAME": "{}", "CHANGE_REMOVED": "[-{}-]", "CHANGE_ADDED": "{{+{}+}}"}
_SHOWN = 60


def finding_lines(findings: list[Json]) -> Iterator[str]:
    """What a reply is told of: what blocks first, a line each with its remedy."""
    for finding in findings:
        severity = finding["severity"].removeprefix("SEVERITY_")
        kind = finding["kind"].removeprefix("KIND_").lower()
        words = " ".join(finding.get("words", "").split())
        place = finding.get("attachment") or finding.get("inquiry", "")
        told = f" “{words[:_SHOWN]}{'…' if len(words) > _SHOWN else ''}”" if words else ""
        yield f"{severity} {kind}{told}{f' ({place})' if place else ''}: {finding.get('why', '')}"
        yield f"    → {finding.get('instead', '')}"


def blocks(findings: list[Json]) -> bool:
    """Whether a reply with these findings does not pass review as it is."""
    return any(finding["severity"] == "SEVERITY_BLOCKING" for finding in findings)


def compare(gateway: Gateway, case: str, version: int, base: int) -> Json:
    """What changed in a case's reply from one version to another; 0: the newest, and the one before it."""
    replies = {
        int(reply.get("version", 0)): reply["name"] for reply in gateway.get(f"/v1/{case}/replies").get("replies", [])
    }
    if not replies:
        raise Problem(f"{case} has no reply yet; there is nothing to compare.")
    wanted = version or max(replies)
    for each in filter(None, (wanted, base)):
        if each not in replies:
            raise Problem(f"{case} has no version {each}; it has {', '.join(map(str, sorted(replies)))}.")
    return gateway.get(f"/v1/{replies[wanted]}:compare", base=replies.get(base, ""))


def difference_lines(result: Json, *, styled: bool) -> Iterator[str]:
    """The difference of two versions, with rich's markup or with marks: [-removed-] {+added+}."""
    before, after = result.get("baseVersion", 0), result.get("version", 0)
    yield f"version {before or '—'} → version {after}"
    yield _piece_text(result.get("pieces", []), styled)
    for change in result.get("paragraphs", []):
        yield f"{change['inquiry']}:"
        yield _piece_text(change.get("pieces", []), styled)


def _piece_text(pieces: list[Json], styled: bool) -> str:
    forms = _STYLES if styled else _MARKS
    return "".join(
        forms[piece["change"]].format(escape(piece.get("text", "")) if styled else piece.get("text", ""))
        for piece in pieces
    )
