"""Grades events by rules that are data: CEL expressions over named figures, each with the reason that it gives.

Every rule that fired is told with the figures that it read; those that could not be judged are told too. Rules measure
harm, reach, growth and waiting; there is no figure of opinion to read.
"""

from huiyin_analyzer.model.assessment.evidence import MOST_EVIDENCE, Spoken, evidence
from huiyin_analyzer.model.assessment.figures import FIGURES, FRACTIONS, GRADES, MINIMUMS
from huiyin_analyzer.model.assessment.grading import Grading, Rule, Verdict
from huiyin_analyzer.model.assessment.nearest import Change, Move, nearest
from huiyin_analyzer.model.assessment.overrides import Override, grade_that_holds
from huiyin_analyzer.model.assessment.parsing import Mistake, PolicyError, parse_grading

__all__ = [
    "FIGURES",
    "FRACTIONS",
    "GRADES",
    "MINIMUMS",
    "MOST_EVIDENCE",
    "Change",
    "Grading",
    "Mistake",
    "Move",
    "Override",
    "PolicyError",
    "Rule",
    "Spoken",
    "Verdict",
    "evidence",
    "grade_that_holds",
    "nearest",
    "parse_grading",
]
