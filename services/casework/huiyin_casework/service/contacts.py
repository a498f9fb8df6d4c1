"""Contacts, opened for one named step at a time."""

from __future__ import annotations

from typing import Any

from huiyin.casework.v1 import contact_pb2
from huiyin_chassis.errors import FailedPrecondition, InvalidArgument
from huiyin_chassis.identity import current_principal

from huiyin_casework.handling.contacts import STEPS, ContactReading
from huiyin_casework.rules import Rules
from huiyin_casework.secrets import Secrets
from huiyin_casework.store import CaseworkStore


class ContactMethods:
    """What the service does with contacts."""

    _store: CaseworkStore
    _rules: Rules
    _secrets: Secrets

    async def ReadContact(
        self, request: contact_pb2.ReadContactRequest, context: Any
    ) -> contact_pb2.ReadContactResponse:
        """Opens a contact after the entry that says so is written; nothing of it is remembered."""
        principal = current_principal()
        if request.purpose not in STEPS:
            known = ", ".join(contact_pb2.ContactPurpose.Name(purpose) for purpose in STEPS)
            raise InvalidArgument("purpose", f"must say what the contact is read for: {known}", "REQUIRED")
        sealed = await self._store.write(
            lambda tx: ContactReading(tx, self._rules, principal, request.name).read(request.purpose)
        )
        contact = self._secrets.open(sealed)
        if contact is None:
            raise FailedPrecondition(
                "CONTACT_UNREADABLE", "it was sealed by another key; put that contact.key back into HUIYIN_SECRETS"
            )
        return contact_pb2.ReadContactResponse(contact=contact)
