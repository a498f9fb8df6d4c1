"""What units of a case note for one another. It stays inside."""

from __future__ import annotations

import json

from huiyin.casework.v1 import case_pb2
from huiyin_chassis.errors import InvalidArgument

from huiyin_casework.handling.work import StepWork
from huiyin_casework.model.steps import Step


class NoteSteps(StepWork):
    """What is noted about a case without changing anything of it."""

    def note(self, text: str) -> case_pb2.Case:
        """A unit of the case, or the desk, notes something."""
        if not text.strip():
            raise InvalidArgument("note", "is empty; say what those who deal with the case are to know", "REQUIRED")
        state = self._advance(Step.NOTE)
        self._files.record_with_note(self._case, "case.noted", self._actor, {"unit": self._own_unit()}, text)
        return self._done(state, "case.noted")

    def _own_unit(self) -> str:
        """The unit of the case for which the caller acts: the lead unit before one that assists; else the desk."""
        if not self._principal.everywhere:
            for unit in (self._case["lead_unit"], *json.loads(self._case["assisting_units"])):
                if unit in self._principal.units:
                    return str(unit)
        return self._files.rules.desk
