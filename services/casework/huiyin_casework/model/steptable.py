"""The table of steps as the documentation prints it: python -m huiyin_casework.model.steptable."""

from __future__ import annotations

from huiyin_casework.model.steps import BARS, NEEDS, OFFICES, TABLE, State, Step, roles_of


def lines() -> list[str]:
    """A Markdown table: a line for each step that leads from a group of states to the same place."""
    grouped: dict[tuple[Step, str, tuple[str, ...]], list[State]] = {}
    for row in TABLE:
        leads_to = "stays" if row.source == row.target else row.target.value
        grouped.setdefault((row.step, leads_to, roles_of(row)), []).append(row.source)
    found = ["| step | from | to | by | only if |", "|---|---|---|---|---|"]
    for step in Step:
        for (known, leads_to, roles), sources in grouped.items():
            if known == step:
                names = ", ".join(source.value for source in sources)
                found.append(f"| `{step}` | {names} | {leads_to} | {_by(step, roles)} | {_only_if(step)} |")
    return found


def _by(step: Step, roles: tuple[str, ...]) -> str:
    office, named = OFFICES[step], ", ".join(roles)
    if office.assisting_only:
        return f"{named} of an assisting unit"
    return f"{named} of the lead unit" if office.lead_only and set(roles) != {"desk"} else named


def _only_if(step: Step) -> str:
    conditions = [str(NEEDS[step])] if step in NEEDS else []
    return "; ".join([*conditions, *(f"not: {fact}" for fact in sorted(BARS.get(step, ())))])


if __name__ == "__main__":
    print("\n".join(lines()))
