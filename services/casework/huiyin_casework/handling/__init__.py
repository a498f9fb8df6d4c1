"""The steps that people take with a case, each one transaction: look up the table, change the case, record, tell."""

from __future__ import annotations

from huiyin_casework.handling.notes import NoteSteps
from huiyin_casework.handling.orders import OrderSteps
from huiyin_casework.handling.parts import PartSteps
from huiyin_casework.handling.replies import ReplySteps


class Handling(OrderSteps, NoteSteps, PartSteps, ReplySteps):
    """One step of one person with one case, within a transaction."""
