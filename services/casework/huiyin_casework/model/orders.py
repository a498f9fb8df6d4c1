"""The numbers of orders (抄告单), and why a case has its grade, as an order states it.

Orders are numbered from 1 in each year, real ones and those of rehearsals apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_DRILL: Final = "drill"


def series_of(year: int, *, drill: bool) -> str:
    """What is counted together: the orders of a year, or those of its rehearsals."""
    return f"{year}-{_DRILL}" if drill else str(year)


def order_id(series: str, number: int) -> str:
    """The id of an order: its series and its number in it."""
    return f"{series}-{number}"


def order_number(order: str) -> str:
    """An order's number as it is written, by its id: 抄告〔2026〕12号; of a rehearsal 抄告（演练）〔2026〕3号."""
    year, *drill, number = order.split("-")
    return f"抄告{'（演练）' if drill else ''}〔{year}〕{number}号"


def grade_reason(explanations: Sequence[str], override: str) -> str:
    """Why a grade holds: what a person said who decided on it, else what the rules say that give it, each once."""
    if override:
        return f"人工研判：{override}"
    return "；".join(dict.fromkeys(each.strip().rstrip("。；") for each in explanations if each.strip()))
