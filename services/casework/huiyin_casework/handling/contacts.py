"""Reading a contact: one named step, one entry of the chain each time."""

from __future__ import annotations

from typing import Final

from huiyin.casework.v1 import contact_pb2, inquiry_pb2
from huiyin_chassis.errors import FailedPrecondition
from sqlalchemy import select

from huiyin_casework.handling.authors import feedback_until
from huiyin_casework.handling.dialogue import Dialogue, check_waiting
from huiyin_casework.model.steps import State, Step
from huiyin_casework.resources import state_of
from huiyin_casework.store import CONTACTS

STEPS: Final[dict[contact_pb2.ContactPurpose.ValueType, Step]] = {
    contact_pb2.CONTACT_PURPOSE_ASK_BACK: Step.CONTACT_TO_ASK,
    contact_pb2.CONTACT_PURPOSE_VERIFY_ON_SITE: Step.CONTACT_TO_VERIFY,
    contact_pb2.CONTACT_PURPOSE_DELIVER_REPLY: Step.CONTACT_TO_DELIVER,
    contact_pb2.CONTACT_PURPOSE_RETURN_VISIT: Step.CONTACT_TO_VISIT,
}
"""The step of the table that a contact is read for."""


class ContactReading(Dialogue):
    """A contact in the hands of one person of an office."""

    def read(self, purpose: contact_pb2.ContactPurpose.ValueType) -> bytes:
        """The contact, sealed, once the chain says who reads it and what for."""
        self._advance(STEPS[purpose])
        if state_of(self._case) != State.PUBLISHED or self._inquiry["state"] != inquiry_pb2.Inquiry.STATE_ANSWERED:
            check_waiting(self._inquiry)
        else:
            self._check_time()
        sealed = self._tx.execute(
            select(CONTACTS.c.sealed).where(CONTACTS.c.inquiry_id == self._inquiry["id"])
        ).scalar_one_or_none()
        if sealed is None:
            raise FailedPrecondition(
                "NO_CONTACT",
                "its author left no contact, or it is destroyed; write to the author by receipt (ask, tell)",
            )
        name = contact_pb2.ContactPurpose.Name(purpose).removeprefix("CONTACT_PURPOSE_")
        details: dict[str, object] = {"inquiry": self._inquiry["id"], "purpose": name}
        self._files.record(self._case, "case.contact_read", self._actor, details)
        # The case as others see it is what it was: there is no change to tell of, and no etag grows stale.
        self._files.write()
        return bytes(sealed)

    def _check_time(self) -> None:
        days = self._files.rules.policy.feedback_calendar_days
        if self._tx.now_us > feedback_until(self._case["publish_time"], days):
            raise FailedPrecondition(
                "FEEDBACK_OVER", "the days for feedback are over, and with them what the contact was left for"
            )
