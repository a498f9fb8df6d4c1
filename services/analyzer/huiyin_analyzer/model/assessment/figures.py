"""The figures that grading rules may read.

They measure harm, reach, growth and waiting; none is of an opinion or a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from huiyin_analyzer.model.events import GROWTH_VOICES

GRADES: Final = {"ORDINARY": 1, "LARGE": 2, "SERIOUS": 3, "ESPECIALLY_SERIOUS": 4}
"""Names and numbers of huiyin.type.v1.Grade."""

FIGURES: Final = (
    "posts",
    "inquiries",
    "voices",
    "places",
    "sources",
    "media",
    "posts_24h",
    "voices_24h",
    "growth",
    "span_days",
    "votes",
    "harm.life",
    "harm.health",
    "harm.livelihood",
    "harm.property",
    "intent.complaint",
    "intent.help",
)
"""Every figure that a rule may read; docs/analysis.md says what each counts."""

FRACTIONS: Final = frozenset({"growth", "span_days"})
"""The figures with a fraction, in hundredths; the others are counts."""

MINIMUMS: Final[Mapping[str, str]] = {
    "growth": f"needs at least {GROWTH_VOICES} voices in the two days before the newest",
    "media": "needs a grading policy that names the sources that are media",
}
"""What a figure needs before it is told. Below it, it is INSUFFICIENT: it is left out and never filled in."""
