"""Forgetting in time: contacts, purged texts, secrets that were replaced, old changes and request ids."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta

import structlog
from huiyin.casework.v1 import inquiry_pb2
from huiyin_chassis import clock
from huiyin_chassis.bulk import chunks
from huiyin_chassis.feed import Feed
from huiyin_chassis.store import Tx
from huiyin_chassis.webhooks import forget_secrets
from sqlalchemy import Connection, delete, select

from huiyin_casework.casefile import SYSTEM, CaseFiles
from huiyin_casework.model.steps import State
from huiyin_casework.resources import state_number
from huiyin_casework.rules import Rules
from huiyin_casework.store import ANSWERS, CASES, CONTACTS, INQUIRIES, PARTNERS, CaseworkStore, Fields
from huiyin_casework.worker.following import Following

log = structlog.get_logger(__name__)

_FIRST_SECONDS = 60.0
_EVERY_SECONDS = 600.0
_DAY = 86_400_000_000
_BATCH = 500


class Forgetting:
    """Destroys what may not be kept any longer.

    `feed_days`: how long changes are kept for those who follow; `answer_days`: how long answers of the past are.
    """

    def __init__(
        self,
        store: CaseworkStore,
        feed: Feed,
        rules: Rules,
        following: Following,
        *,
        feed_days: int,
        answer_days: int,
    ) -> None:
        self._store = store
        self._feed = feed
        self._rules = rules
        self._following = following
        self._feed_days = timedelta(days=feed_days)
        self._answer_days = timedelta(days=answer_days)
        # A process may have died after it deleted and before it emptied the files.
        self._unclean = True

    async def run(self) -> None:
        """Looks a minute after the start, when what waited is done, and then every ten, for ever."""
        await asyncio.sleep(_FIRST_SECONDS)
        while True:
            await self.forget()
            await asyncio.sleep(_EVERY_SECONDS)

    async def forget(self) -> None:
        """Destroys what is due now, in the files too."""
        contacts = 0
        while batch := await self._store.write(self._destroy_contacts):
            contacts += batch
            self._unclean = True
        while await self._store.read(_contacts_withdrawn):
            await self._store.write(self._destroy_withdrawn)
            self._unclean = True
        answers = await self._store.write(self._destroy_answers)
        secrets = await self._store.write(lambda tx: forget_secrets(tx, PARTNERS, PARTNERS.c.id))
        changes = await self._feed.expire(clock.now() - self._feed_days)
        await self._store.sweep()
        if self._unclean or answers or secrets or changes or self._following.destroyed_texts:
            self._following.destroyed_texts = False
            self._unclean = True
            await self._store.destroy_bytes()
            self._unclean = False
        if contacts or answers or changes:
            log.info("casework.forgot", cases=contacts, answers=answers, changes=changes)

    def _destroy_answers(self, tx: Tx) -> int:
        """Destroys answers of the past whose term is over; how many. Replies of ours stay in their cases."""
        until = tx.now_us - self._answer_days // timedelta(microseconds=1)
        return tx.execute(delete(ANSWERS).where(ANSWERS.c.create_time < until)).rowcount

    def _destroy_contacts(self, tx: Tx) -> int:
        """Destroys the contacts of cases that are sealed and whose time for feedback is over; how many cases."""
        files = CaseFiles(tx, self._rules)
        until = tx.now_us - self._rules.calendar.policy.feedback_calendar_days * _DAY
        due = select(CASES.c.id).where(
            CASES.c.state == state_number(State.CLOSED),
            CASES.c.publish_time < until,
            CASES.c.contacts_destroyed.is_(False),
        )
        ids = list(tx.execute(due.order_by(CASES.c.id).limit(_BATCH)).scalars())
        files.cases.load(tx.connection, CASES.c.id, ids)
        for case_id in ids:
            case = files.case(case_id)
            count = _destroy(files, files.load_inquiries_of(case_id))
            if count:
                files.record(case, "contacts.destroyed", SYSTEM, {"count": count})
            files.cases.change(case, contacts_destroyed=True)
        files.write()
        return len(ids)

    def _destroy_withdrawn(self, tx: Tx) -> None:
        """Destroys the contacts of inquiries that were withdrawn: nobody has a reason to call any more."""
        files = CaseFiles(tx, self._rules)
        inquiries = _contacts_withdrawn(tx.connection)
        query = select(INQUIRIES.c.case_id, INQUIRIES.c.id).where(INQUIRIES.c.id.in_(inquiries))
        by_case: dict[str, list[str]] = {}
        for row in tx.execute(query):
            by_case.setdefault(row.case_id, []).append(row.id)
        # Cases are locked before their inquiries, as by every other work.
        files.cases.load(tx.connection, CASES.c.id, filter(None, by_case))
        files.inquiries.load(tx.connection, INQUIRIES.c.id, inquiries)
        for case_id, ids in by_case.items():
            count = _destroy(files, [files.inquiries.get(each) for each in ids])
            if count and case_id:
                files.record(files.case(case_id), "contacts.destroyed", SYSTEM, {"count": count})
        files.write()


def _contacts_withdrawn(connection: Connection) -> list[str]:
    """Some inquiries that were withdrawn and whose contacts are kept."""
    query = (
        select(CONTACTS.c.inquiry_id)
        .join(INQUIRIES, INQUIRIES.c.id == CONTACTS.c.inquiry_id)
        .where(INQUIRIES.c.state == inquiry_pb2.Inquiry.STATE_WITHDRAWN)
    )
    return list(connection.execute(query.order_by(CONTACTS.c.inquiry_id).limit(_BATCH)).scalars())


def _destroy(files: CaseFiles, inquiries: Iterable[Fields | None]) -> int:
    """Destroys the contacts of inquiries; how many there were."""
    left = [row for row in inquiries if row is not None and row["has_contact"]]
    for chunk in chunks(row["id"] for row in left):
        files.tx.execute(delete(CONTACTS).where(CONTACTS.c.inquiry_id.in_(chunk)))
    for row in left:
        files.inquiries.change(row, has_contact=False)
        files.tell_inquiry(row, "inquiry.updated")
    return len(left)
